//! Peers that nobody is, and addresses that are seen otherwise where policies are asked.

use std::net::IpAddr;

use ipnet::IpNet;

use super::nobody::Role;
use super::{About, Look, peer_of};
use crate::cluster::{NodeId, ProxyMode, TrafficPolicy};
use crate::decision::decide;
use crate::net::{Direction, InFamily, Packet, Protocol};
use crate::policy::form::{Action, Condition, Endpoints, Peer, PortNumber, Rule, Stage, Test};
use crate::words::policy::{UNKNOWN, UNKNOWN_CLOSED};

impl Look<'_> {
    /// The peers of a rule.
    pub(super) fn peers(&mut self, policy: &About<'_>, direction: Direction, rule: &Rule) {
        let name = &policy.form.object;
        let peers = peer_of(rule, direction).peers.iter();
        let conditions = peers.flat_map(|peer| peer.conditions.iter().map(move |it| (peer, it)));
        for (peer, condition) in conditions {
            match &condition.test {
                Test::Endpoints(endpoints) => self.endpoints(policy, condition, endpoints),
                Test::Nets(nets) => {
                    let range = Range::of(peer, nets);
                    if nets.iter().any(|net| net.prefix_len() == 0) {
                        if direction == Direction::Ingress && rule.action == Action::Allow {
                            self.everywhere(policy, rule, condition, &range);
                        }
                    } else {
                        self.nets(policy, direction, condition, &range);
                    }
                }
                Test::Never | Test::Always => {
                    let always = matches!(condition.test, Test::Always);
                    let reason = if always { UNKNOWN_CLOSED } else { UNKNOWN };
                    let title = format!("a peer of {name} can't be evaluated here");
                    self.warn("peer-not-evaluable", &condition.cite, title, reason);
                }
                Test::DomainNames(names) => {
                    let names = names.join(", ");
                    self.warn(
                        "domain-names",
                        &condition.cite,
                        format!("{name} speaks of domain names, and which addresses they have is not in the text"),
                        &format!("here the peer {names} matches nothing, and decisions that it could have made are marked as not certain; Calico's open source release knows no such peers, and has the rule fail closed"),
                    );
                }
                Test::Service { namespace, name: service, .. } => {
                    self.service(policy, condition, namespace, service);
                }
                Test::NotEndpoints(_) | Test::NotNets(_) | Test::Nodes(_) => {}
            }
        }
    }

    fn endpoints(&mut self, policy: &About<'_>, at: &Condition, endpoints: &Endpoints) {
        let Some(missing) = self.nobody(endpoints, Role::Peer) else { return };
        let title = format!("a peer of {} matches nobody: {}", policy.form.object, missing.what);
        let why = missing.why.as_deref();
        let why = why.unwrap_or("the rule matches nobody as long as that is so");
        self.warn("peer-matches-nobody", &at.cite, title, why).instead = missing.instead;
    }

    fn service(&mut self, policy: &About<'_>, at: &Condition, namespace: &str, service: &str) {
        let known = self.cluster.services.iter().any(|found| {
            found.namespace == namespace
                && found.name == service
                && found.ports.iter().any(|port| !port.endpoints.is_empty())
        });
        if !known {
            self.warn(
                "peer-matches-nobody",
                &at.cite,
                format!(
                    "a peer of {} matches nobody: service {namespace}/{service} has no endpoints in the text",
                    policy.form.object
                ),
                "a rule with services matches the addresses of their endpoints",
            );
        }
    }

    /// All addresses, and so those of pods, if nothing before the rule keeps them out.
    fn everywhere(&mut self, policy: &About<'_>, rule: &Rule, at: &Condition, range: &Range<'_>) {
        const ASKED: usize = 32;
        if range.narrowed {
            return;
        }
        let cluster = self.cluster;
        let addresses = cluster.pods.iter().filter(|pod| !pod.host_network && !pod.finished);
        let addresses = addresses.flat_map(|pod| &pod.addresses);
        let addresses: Vec<&IpAddr> = addresses.filter(|ip| range.is_of_family(ip)).collect();
        let enters = |source: &IpAddr| {
            let Some(id) = policy.pods.first() else { return true };
            let own = cluster.pod(*id).into_iter().flat_map(|pod| &pod.addresses);
            let mut own = own.filter(|ip| ip.family() == source.family());
            let packet = own.next().and_then(|to| on(rule, *source, *to));
            packet.is_none_or(|packet| decide(cluster, Direction::Ingress, *id, &packet).allow)
        };
        let held: Vec<&IpAddr> = addresses.iter().copied().filter(|ip| range.holds(ip)).collect();
        let asked = held.iter().take(ASKED);
        let entering = asked.clone().filter(|ip| enters(ip)).count();
        if entering == 0 {
            return;
        }
        let every = held.len() == addresses.len() && entering == asked.count();
        let who = if every { "every pod" } else { "pods" };
        self.note(
            "pod-addresses-in-policy",
            &at.cite,
            format!("{} lets {who} in too, with everybody outside", policy.form.object),
            "pods' addresses are in the range like all others; Calico matches them, other plugins need not",
        )
        .instead("take the pods' addresses out of the range (`except`, in Calico `notNets`)");
    }

    /// Ranges of addresses that are seen otherwise where policies are asked.
    fn nets(
        &mut self,
        policy: &About<'_>,
        direction: Direction,
        at: &Condition,
        range: &Range<'_>,
    ) {
        let cluster = self.cluster;
        let name = &policy.form.object;
        let holds = |ip: &IpAddr| range.holds(ip);
        let pods = cluster.pod_by_address.keys().any(holds);
        let mut of_nodes: Vec<NodeId> = cluster
            .node_by_address
            .iter()
            .filter(|(ip, _)| holds(ip))
            .map(|(_, node)| *node)
            .collect();
        of_nodes.sort_unstable();
        of_nodes.dedup();
        let nodes = !of_nodes.is_empty();
        let cluster_ips = cluster.services.iter().flat_map(|service| &service.cluster_ips);
        let of_service = cluster_ips.copied().filter(|ip| holds(ip)).min();
        match of_service {
            Some(ip) if !pods && !nodes => {
                let (why, instead) = match direction {
                    Direction::Egress => (
                        "kube-proxy puts a pod's address and its targetPort in the place of a ClusterIP before the policy is asked, so the rule never matches",
                        "name the pods behind the service, and their port",
                    ),
                    Direction::Ingress => (
                        "no packet has a ClusterIP as its source where policies are asked, so the rule never matches",
                        "name the pods that send",
                    ),
                };
                let net = range.nets.iter().find(|net| net.contains(&ip));
                let range = net.filter(|net| net.prefix_len() < net.max_prefix_len());
                let (title, of) = match range {
                    Some(net) => (
                        format!("{name} speaks of {net}, a range with services' ClusterIPs ({ip})"),
                        " them",
                    ),
                    None => (format!("{name} speaks of {ip}, a service's ClusterIP"), ""),
                };
                let but = match direction {
                    Direction::Egress => {
                        " (except, of all things, while the service has no endpoints)"
                    }
                    Direction::Ingress => "",
                };
                let why = format!("{why}{of}{but}");
                self.warn("cluster-ip-in-policy", &at.cite, title, &why).instead(instead);
            }
            _ if pods => {
                self.note(
                    "pod-addresses-in-policy",
                    &at.cite,
                    format!("a range of {name} holds pods' addresses"),
                    "Calico matches them, other plugins need not; pods get other addresses when they are made anew",
                )
                .instead("selectors follow the pods");
            }
            _ if nodes => {
                const SHOWN: usize = 3;
                let names = of_nodes.iter().filter_map(|id| cluster.node(*id));
                let shown: Vec<_> = names.take(SHOWN).map(|node| node.name.as_str()).collect();
                let more = if of_nodes.len() > SHOWN { " and others" } else { "" };
                self.note(
                    "node-addresses-in-policy",
                    &at.cite,
                    format!("a range of {name} holds addresses of {}{more}", shown.join(", ")),
                    "they are also the addresses of hostNetwork pods, and of everybody whom kube-proxy or natOutgoing masquerades there: who is behind one of them, a policy can't tell",
                );
            }
            _ if direction == Direction::Ingress && policy.form.stage == Stage::Normal => {
                self.masqueraded_clients(policy, at);
            }
            _ => {}
        }
    }

    /// Clients outside that are allowed by address, but come by way of a masquerade.
    fn masqueraded_clients(&mut self, policy: &About<'_>, at: &Condition) {
        let cluster = self.cluster;
        let behind = |service: &&crate::cluster::Service| {
            service.external_traffic_policy.value == TrafficPolicy::Cluster
                && service.ports.iter().any(|port| {
                    (port.node_port.is_some()
                        || !service.external_ips.is_empty()
                        || !service.ingress_ips.is_empty())
                        && port
                            .endpoints
                            .iter()
                            .any(|e| e.pod.is_some_and(|pod| policy.pods.contains(&pod)))
                })
        };
        let ebpf = cluster.proxy.mode.value == ProxyMode::Ebpf;
        let service = cluster.services.iter().find(behind);
        let Some(service) = service.filter(|_| !ebpf && cluster.nodes.len() > 1) else { return };
        let name = &service.cite.object;
        self.warn(
            "clients-are-masqueraded",
            &at.cite,
            format!("{} allows clients by address that mostly arrive with another", policy.form.object),
            &format!("{name} is reached from outside under externalTrafficPolicy Cluster: whoever comes in by a node without the pod is seen with that node's address (of its tunnel, if there is one), not with its own"),
        )
        .instead("set externalTrafficPolicy: Local, or filter with a preDNAT policy; to allow the nodes' tunnel addresses lets every pod in that uses a node port");
    }
}

/// A packet that a rule is about. `None` where its protocol and first port don't tell which.
fn on(rule: &Rule, source: IpAddr, destination: IpAddr) -> Option<Packet> {
    const ANY: u16 = 1;
    let port = rule.destination.ports.first();
    let number = match port.map(|port| &port.number) {
        Some(PortNumber::Named(_)) => return None,
        Some(PortNumber::Range(first, _)) => *first,
        Some(PortNumber::Any) | None => ANY,
    };
    let protocol = match rule.protocol.or(port.and_then(|port| port.protocol)) {
        None => Protocol::Tcp,
        Some(wanted) => Protocol::of_number(wanted)?,
    };
    Some(Packet {
        protocol,
        source,
        source_port: None,
        destination,
        destination_port: Some(number),
        outer: None,
    })
}

/// A peer's addresses.
struct Range<'a> {
    nets: &'a [IpNet],
    /// What is taken out of them.
    except: Vec<&'a IpNet>,
    /// Whether it asks for more than an address.
    narrowed: bool,
}

impl<'a> Range<'a> {
    fn of(peer: &'a Peer, nets: &'a [IpNet]) -> Self {
        let of_addresses =
            |condition: &Condition| matches!(condition.test, Test::Nets(_) | Test::NotNets(_));
        let narrowed = !peer.conditions.iter().all(of_addresses);
        Self { nets, except: peer.not_nets().collect(), narrowed }
    }

    fn holds(&self, ip: &IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(ip))
            && !self.except.iter().any(|net| net.contains(ip))
    }

    /// Whether it is about addresses of this family.
    fn is_of_family(&self, ip: &IpAddr) -> bool {
        self.nets.iter().any(|net| net.family() == ip.family())
    }
}
