//! Egress that is shut, and with it the resolution of names.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{About, Look};
use crate::assumed::beside;
use crate::cluster::{Pod, PodId};
use crate::decision::{By, Ruling, decide, selected};
use crate::net::{Direction, InFamily, IpProtocol, Packet, Protocol};
use crate::policy::form::{
    Action, Condition, Endpoints, Peer, Port, PortNumber, Rule, Rules, Stage, Test,
};
use crate::text::Cite;

/// Where name servers listen.
const DNS: u16 = 53;

/// Addresses of which no rule knows more than that they are outside (RFC 5737, RFC 3849).
const ELSEWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, DNS)),
];

/// Somewhere that a name server is, or may be.
type Place = (IpAddr, u16);

impl Look<'_> {
    /// Pods that can't ask for names: exactly where the text has the name servers, and else by the
    /// ports of the rules.
    pub(super) fn name_resolution(&mut self) {
        let servers = self.cluster.pods.iter().filter(|pod| is_server(pod));
        let servers = servers.flat_map(|pod| &pod.addresses).map(|address| (*address, DNS));
        let servers: Vec<Place> = servers.collect();
        let mut shut = self.shut(&servers);
        shut.sort_by_key(|(name, cite, udp)| (name.clone(), cite.span, !udp));
        shut.dedup_by(|a, b| a.0 == b.0 && a.1 == b.1);
        for (name, cite, udp) in shut {
            if udp {
                self.warn(
                    "egress-without-dns",
                    &cite,
                    format!("{name} denies its pods name resolution"),
                    "nothing lets UDP port 53 out, so names of services and hosts are not found; long answers come over TCP",
                )
                .instead("allow port 53, UDP and TCP, to the pods of kube-dns");
            } else {
                self.note(
                    "dns-without-tcp",
                    &cite,
                    format!("{name} lets its pods ask for names over UDP only"),
                    "answers that are too long for a UDP packet are asked for again over TCP port 53, which nothing lets out",
                )
                .instead("allow port 53 over TCP too");
            }
        }
    }

    /// Who denies each pod the way to every name server, and whether over UDP too. Where the text
    /// has no server, it may be wherever a rule about names leads.
    fn shut(&self, servers: &[Place]) -> Vec<(String, Cite, bool)> {
        let cluster = self.cluster;
        let profiles = cluster.policies.profiles.values();
        let everywhere: Vec<Place> = ELSEWHERE
            .map(|address| (address, DNS))
            .into_iter()
            .chain(profiles.flat_map(|profile| self.guessed(&profile.egress)))
            .collect();
        // Whom no policy restricts needs not be asked about.
        let mut asked: BTreeMap<PodId, BTreeSet<Place>> = BTreeMap::new();
        for policy in self.in_force() {
            let Some(rules) = &policy.form.egress else { continue };
            let guessed = if servers.is_empty() { self.guessed(rules) } else { Vec::new() };
            for id in &policy.pods {
                asked.entry(*id).or_default().extend(&guessed);
            }
        }
        let mut shut = Vec::new();
        for (id, guessed) in asked {
            let Some(pod) = cluster.pod(id).filter(|pod| !is_server(pod)) else { continue };
            let places: Vec<Place> = if servers.is_empty() {
                everywhere.iter().copied().chain(guessed).collect()
            } else {
                servers.to_vec()
            };
            let said = |packet: &Packet| decide(cluster, Direction::Egress, id, packet);
            let may = |packet: &Packet| said(packet).allow;
            let Some(first) = questions(pod, &places, Protocol::Udp).next() else { continue };
            let over_udp = questions(pod, &places, Protocol::Udp).find(&may);
            if over_udp.is_some() && questions(pod, &places, Protocol::Tcp).any(|q| may(&q)) {
                continue;
            }
            let denial = said(&Packet {
                protocol: if over_udp.is_some() { Protocol::Tcp } else { Protocol::Udp },
                ..over_udp.unwrap_or(first)
            });
            // One adds TCP where UDP is allowed, unless that rule would allow both.
            let allowed = over_udp.as_ref().map(said).filter(|allowed| self.is_over_udp(allowed));
            let ruling = allowed.unwrap_or(denial);
            let name = match ruling.by {
                By::Policy(object) => Some(object),
                By::Isolation(objects) => objects.into_iter().next(),
                By::NoPolicy => None,
            };
            if let (Some(name), Some(cite)) = (name, ruling.cite) {
                shut.push((name.to_string(), cite, over_udp.is_none()));
            }
        }
        shut
    }

    /// Whether the rule that decided is about UDP and not about TCP.
    fn is_over_udp(&self, ruling: &Ruling) -> bool {
        let (By::Policy(object), Some(cite)) = (&ruling.by, &ruling.cite) else {
            return false;
        };
        let decided = |rule: &&Rule| {
            let rest = cite.field.strip_prefix(rule.cite.field.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let own = self.about.iter().filter(|policy| policy.form.object == *object);
        let rules = own.filter_map(|policy| policy.form.egress.as_ref());
        let Some(rule) = rules.flat_map(|rules| &rules.rules).find(decided) else { return false };
        let tcp =
            |protocol: Option<IpProtocol>| protocol.is_none_or(|it| it == Protocol::Tcp.number());
        let ports = &rule.destination.ports;
        !tcp(rule.protocol)
            || (!ports.is_empty()
                && !ports.iter().any(|port| tcp(port.protocol) && may_be_dns(port)))
    }

    fn in_force(&self) -> impl Iterator<Item = &About<'_>> {
        self.about
            .iter()
            .filter(|policy| policy.form.staged.is_none() && policy.form.stage == Stage::Normal)
    }

    /// Where name servers may be that rules lead to: where port 53 is spoken of, or everybody.
    fn guessed(&self, rules: &Rules) -> Vec<Place> {
        let leading = rules.rules.iter().filter(|rule| {
            matches!(rule.action, Action::Allow | Action::Pass) && self.is_about_names(rule)
        });
        leading.flat_map(|rule| self.places(rule)).collect()
    }

    /// Of a rule without ports for some nobody knows whether it is.
    fn is_about_names(&self, rule: &Rule) -> bool {
        let side = &rule.destination;
        let all = |endpoints: &Endpoints| {
            let known = self.cluster.pods.iter().filter(|pod| !pod.host_network && !pod.finished);
            selected(self.cluster, endpoints).len() == known.count()
        };
        let to_all = || {
            let conditions = side.peers.iter().flat_map(|peer| &peer.conditions);
            let mut tests = conditions.map(|condition| &condition.test);
            side.peers.is_empty()
                || tests.any(|test| match test {
                    Test::Endpoints(endpoints) => all(endpoints),
                    _ => true,
                })
        };
        let any_port = |port: &Port| port.number == PortNumber::Any;
        side.ports.iter().any(|port| !any_port(port) && may_be_dns(port))
            || ((side.ports.is_empty() || side.ports.iter().any(any_port)) && to_all())
    }

    /// Some of those whom a rule leads to, all sorts among them.
    fn places(&self, rule: &Rule) -> Vec<Place> {
        const MANY: usize = 8;
        let cluster = self.cluster;
        let side = &rule.destination;
        let mut called = side.ports.iter().filter_map(|port| match &port.number {
            PortNumber::Named(name) if may_be_dns(port) => Some(name.as_str()),
            _ => None,
        });
        let name = called.next();
        let of_pods = |pods: Vec<&Pod>| -> Vec<Place> {
            let pods = pods.into_iter().filter(|pod| !pod.host_network && !pod.finished);
            let pods: Vec<&Pod> = pods.collect();
            // One of each namespace, and some who differ by labels.
            let (mut namespaces, mut labels) = (BTreeSet::new(), BTreeSet::new());
            let first = pods.iter().filter(|pod| namespaces.insert(&pod.namespace)).take(MANY);
            let some = pods.iter().filter(|pod| labels.insert(&pod.labels)).take(MANY);
            let pods = first.chain(some);
            pods.flat_map(|pod| {
                let own = pod.ports.iter().filter(|port| name == Some(port.name.as_str()));
                let ports: Vec<u16> = own.map(|port| port.port).chain([DNS]).collect();
                let with = move |address: &IpAddr| {
                    let address = *address;
                    ports.clone().into_iter().map(move |port| (address, port))
                };
                pod.addresses.iter().flat_map(with).collect::<Vec<_>>()
            })
            .collect()
        };
        if side.peers.is_empty() {
            // By number it is everywhere.
            return name.map_or_else(Vec::new, |_| of_pods(cluster.pods.iter().collect()));
        }
        let mut places = Vec::new();
        for peer in &side.peers {
            for Condition { test, .. } in &peer.conditions {
                match test {
                    Test::Endpoints(endpoints) => {
                        let ids = selected(cluster, endpoints);
                        let pods = ids.iter().filter_map(|id| cluster.pod(*id));
                        places.extend(of_pods(pods.collect()));
                        // Network sets, among which the policies themselves choose.
                        let sets = cluster.policies.network_sets.iter();
                        let nets = sets.flat_map(|set| &set.nets).take(MANY);
                        places.extend(nets.map(|net| (net.network(), DNS)));
                    }
                    Test::Nets(nets) => {
                        let of_net = nets.iter().flat_map(|net| edges(net, peer));
                        places.extend(of_net.map(|address| (address, DNS)));
                    }
                    Test::Nodes(_) => {
                        let nodes = cluster.nodes.iter().flat_map(|node| &node.addresses);
                        places.extend(nodes.take(MANY).map(|net| (net.addr(), DNS)));
                    }
                    Test::Service { namespace, name, .. } => {
                        let own = |it: &&crate::cluster::Service| {
                            it.namespace == *namespace && it.name == *name
                        };
                        let services = cluster.services.iter().filter(own);
                        let ports = services.flat_map(|service| &service.ports);
                        let ends =
                            ports.filter(|port| port.port == DNS).flat_map(|port| &port.endpoints);
                        places.extend(ends.map(|end| (end.ip, end.port)));
                    }
                    Test::NotEndpoints(_)
                    | Test::NotNets(_)
                    | Test::Never
                    | Test::Always
                    | Test::DomainNames(_) => {}
                }
            }
        }
        places
    }
}

/// What a pod asks name servers at these places.
fn questions<'a>(
    pod: &'a Pod,
    places: &'a [Place],
    protocol: Protocol,
) -> impl Iterator<Item = Packet> + use<'a> {
    pod.addresses.iter().flat_map(move |source| {
        let there = places.iter().filter(|(to, _)| to.family() == source.family());
        there.map(move |(destination, port)| Packet {
            protocol,
            source: *source,
            source_port: None,
            destination: *destination,
            destination_port: Some(*port),
            outer: None,
        })
    })
}

/// Whether name servers listen there, by its number or by its name.
fn may_be_dns(port: &Port) -> bool {
    match &port.number {
        PortNumber::Any => true,
        PortNumber::Range(first, last) => (*first..=*last).contains(&DNS),
        PortNumber::Named(name) => name.contains("dns"),
    }
}

/// The first and the last address of a range, and those next to what is taken out of it.
fn edges(net: &IpNet, peer: &Peer) -> Vec<IpAddr> {
    let beside = peer.not_nets().flat_map(|hole| beside(hole).into_iter().flatten());
    [net.network(), net.broadcast()].into_iter().chain(beside).collect()
}

/// A pod that answers questions for names, by the labels that such pods usually have.
fn is_server(pod: &Pod) -> bool {
    let named = |value: &String| matches!(value.as_str(), "kube-dns" | "coredns");
    pod.labels.get("k8s-app").is_some_and(named)
        || pod.labels.get("app.kubernetes.io/name").is_some_and(named)
}
