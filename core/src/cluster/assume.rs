//! What the text speaks of, but does not contain: pods behind a service, machines outside, and the
//! flows that are worth asking about.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::address::{nth, place_in};
use super::endpoints::{Slices, selects};
use super::pods::{self, Draft};
use super::{
    Client, Cluster, ContainerPort, Labels, Namespace, Node, Pod, PodId, ScenarioFlow, Service,
    ServiceKind, ServicePort, services,
};
use crate::datapath::{Flow, Party, PortRef, Protocol, Target};
use crate::manifest::{Kind, Object};
use crate::policy::form::{PortNumber, Side, Test};
use crate::policy::{describes, ports_named};
use crate::text::Origin;

/// The label that kube-apiserver gives every namespace.
pub(super) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// More assumed clients than this show nothing new.
const MAX_CLIENTS: usize = 6;
/// More proposed flows than this are no help.
const MAX_FLOWS: usize = 12;
/// So many of the pods are asked about each other.
const FEW: usize = 4;

/// A pod behind each service whose selector finds none, unless the namespace has pods: then the
/// service really has no endpoints.
pub(super) fn service_pods(
    drafts: &mut Vec<Draft>,
    services: &[services::Draft],
    slices: &Slices<'_>,
    objects: &[Object],
) {
    let populated: BTreeSet<String> = drafts.iter().map(|d| d.pod.namespace.clone()).collect();
    for service in services {
        let (namespace, name) = (&service.service.namespace, &service.service.name);
        let selected = |draft: &Draft| {
            draft.pod.namespace == *namespace && selects(&service.selector, &draft.pod.labels)
        };
        if service.selector.is_empty()
            || is_scaled(objects, namespace, &service.selector)
            || populated.contains(namespace)
            || slices.has(namespace, name)
            || drafts.iter().any(selected)
        {
            continue;
        }
        let ports = service.service.ports.iter().map(|port| {
            let number = port.target_port.parse();
            ContainerPort {
                name: if number.is_ok() { port.name.clone() } else { port.target_port.clone() },
                port: number.unwrap_or(port.port),
                protocol: port.protocol,
            }
        });
        drafts.push(pods::assumed(
            namespace,
            &format!("{name}-1"),
            service.selector.clone(),
            ports.collect(),
            &format!(
                "Service {namespace}/{name} selects a pod, and the text has none in {namespace}"
            ),
        ));
    }
}

/// Whether a workload makes such pods; it may have been scaled to none.
pub(super) fn is_scaled(objects: &[Object], namespace: &str, selector: &Labels) -> bool {
    objects.iter().any(|object| {
        let Kind::Workload(workload) = &object.kind else { return false };
        let labels = &workload.template.metadata.labels;
        object.reference.namespace == namespace && selects(selector, labels)
    })
}

/// Somebody who asks, where the text asks nothing, and all its pods are of one kind: of one
/// workload, or behind one service.
pub(super) fn neighbour(drafts: &mut Vec<Draft>, services: &[services::Draft], objects: &[Object]) {
    let asks = |object: &Object| matches!(&object.kind, Kind::Scenario(scenario) if !scenario.spec.flows.is_empty());
    let Some(first) = drafts.first().map(|draft| &draft.pod) else { return };
    let of_one_kind = |draft: &Draft| {
        draft.pod.namespace == first.namespace
            && draft.pod.owner == first.owner
            && draft.pod.labels == first.labels
    };
    let behind_one = |service: &services::Draft| {
        let is_behind = |draft: &Draft| {
            draft.pod.namespace == service.service.namespace
                && selects(&service.selector, &draft.pod.labels)
        };
        !service.selector.is_empty() && drafts.iter().all(is_behind)
    };
    let alone = drafts.iter().all(of_one_kind) || services.iter().any(behind_one);
    if !alone || objects.iter().any(asks) {
        return;
    }
    let taken = |name: &str| drafts.iter().any(|draft| draft.pod.name == name);
    let name = if taken("client") { "client-2" } else { "client" };
    let reason = format!("somebody who asks {}/{}", first.namespace, first.name);
    let namespace = first.namespace.clone();
    drafts.push(pods::assumed(&namespace, name, Labels::new(), Vec::new(), &reason));
}

/// A namespace, with the label that kube-apiserver gives it.
pub(super) fn namespace(name: &str, mut labels: Labels, origin: Origin) -> Namespace {
    labels.insert(NAMESPACE_NAME.to_owned(), name.to_owned());
    Namespace { labels, origin }
}

/// Addresses that a rule speaks of.
struct Block {
    cidr: IpNet,
    except: Vec<IpNet>,
}

/// The blocks of a rule's side, each with what its peer leaves out.
fn blocks(side: &Side) -> impl Iterator<Item = Block> {
    side.peers.iter().flat_map(|peer| {
        let tests = || peer.conditions.iter().map(|condition| &condition.test);
        let except: Vec<IpNet> = tests()
            .flat_map(|test| if let Test::NotNets(nets) = test { nets.as_slice() } else { &[] })
            .copied()
            .collect();
        tests()
            .flat_map(|test| if let Test::Nets(nets) = test { nets.as_slice() } else { &[] })
            .map(move |cidr| Block { cidr: cidr.trunc(), except: except.clone() })
    })
}

/// Documentation addresses (RFC 5737, RFC 3849) belong to nobody.
const NOBODYS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 77)),
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 77)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77)),
];

/// An address of the block that a machine outside may have.
fn outside_of(cluster: &Cluster, Block { cidr, except }: &Block) -> Option<IpAddr> {
    let first = u128::from(cidr.prefix_len() < if cidr.addr().is_ipv4() { 31 } else { 127 });
    let low = (first..first + 64).filter_map(|index| nth(cidr, index));
    // Behind what is left out.
    let behind = except.iter().flat_map(|left_out| {
        let bits = u32::from(left_out.max_prefix_len() - left_out.prefix_len());
        let size = 1_u128.checked_shl(bits).unwrap_or(u128::MAX);
        (0..2).filter_map(move |more| {
            let start = place_in(cidr, left_out)?;
            nth(cidr, start.checked_add(size)?.checked_add(more)?)
        })
    });
    NOBODYS.into_iter().chain(low).chain(behind).find(|ip| {
        cidr.contains(ip) && !except.iter().any(|range| range.contains(ip)) && is_free(cluster, ip)
    })
}

/// Whether nothing in the cluster has the address, and a machine may have it.
fn is_free(cluster: &Cluster, ip: &IpAddr) -> bool {
    let reserved = match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 0 || ip.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    let special = reserved || ip.is_loopback() || ip.is_multicast() || ip.is_unspecified();
    let known = cluster.pool_of(*ip).is_some()
        || cluster.node_by_address.contains_key(ip)
        || cluster.service_by_address.contains_key(ip);
    !special
        && !known
        && !cluster.nodes.iter().any(|node| node.addresses.iter().any(|own| own.contains(ip)))
}

/// Machines outside, for a text that names none: one inside each block of an ingress rule, and
/// one that is in none of them.
pub(super) fn clients(cluster: &Cluster) -> Vec<Client> {
    let policies = cluster.policies.tiers.iter().flat_map(|tier| &tier.policies);
    let blocks: Vec<(Block, String)> = policies
        .flat_map(|policy| policy.ingress.iter().map(move |ingress| (ingress, &policy.object)))
        .flat_map(|(ingress, who)| ingress.rules.iter().map(move |rule| (&rule.source, who)))
        .flat_map(|(side, who)| blocks(side).map(move |block| (block, who.to_string())))
        .collect();
    let mut clients: Vec<Client> = Vec::new();
    for (block, who) in &blocks {
        let cidr = block.cidr;
        let Some(ip) = outside_of(cluster, block) else { continue };
        let is_there = |client: &Client| {
            cidr.contains(&client.ip)
                && !block.except.iter().any(|left_out| left_out.contains(&client.ip))
        };
        if clients.len() >= MAX_CLIENTS || clients.iter().any(is_there) {
            continue;
        }
        let name = if clients.is_empty() {
            "user".to_owned()
        } else {
            format!("user{}", clients.len() + 1)
        };
        let origin =
            Origin::Assumed(format!("an ipBlock of {who}, {cidr}, speaks of machines outside"));
        clients.push(Client { name, ip, origin });
    }
    let asked = asked_service(cluster).map(|(service, _)| &service.cluster_ips);
    let ipv6 = asked.is_some_and(|own| !own.is_empty() && own.iter().all(IpAddr::is_ipv6));
    let is_strange = |ip: &IpAddr| {
        ip.is_ipv6() == ipv6
            && !blocks.iter().any(|(block, _)| block.cidr.contains(ip))
            && is_free(cluster, ip)
    };
    let stranger = NOBODYS.into_iter().find(is_strange);
    if let Some(ip) = stranger {
        let why = if blocks.is_empty() {
            "a machine outside the cluster"
        } else {
            "a machine outside that no ipBlock speaks of"
        };
        let name = if blocks.is_empty() { "user" } else { "stranger" };
        let name = if clients.iter().any(|c| c.name == name) { "stranger" } else { name };
        clients.push(Client { name: name.to_owned(), ip, origin: Origin::Assumed(why.to_owned()) });
    }
    clients
}

/// The flows that are worth asking about, for a text that asks none: the way in from outside
/// through each node, then from pods, to the first exposed service, or to the first pod; and what
/// policies would be asked about.
pub(super) fn flows(cluster: &Cluster) -> Vec<ScenarioFlow> {
    let mut found = match asked_service(cluster) {
        Some((service, port)) => {
            let mut found = service_flows(cluster, service, port);
            found.extend(policy_flows(cluster, &pods_behind(port)));
            found
        }
        None => policy_flows(cluster, &BTreeSet::new()),
    };
    if found.is_empty() {
        found = pod_flows(cluster);
    }
    let proposed = |flow: Flow| ScenarioFlow {
        name: flow.to_string(),
        flow,
        expect: None,
        expect_source: None,
        span: None,
    };
    found.into_iter().take(MAX_FLOWS).map(proposed).collect()
}

fn asked_service(cluster: &Cluster) -> Option<(&Service, &ServicePort)> {
    let exposed = |service: &&Service| {
        matches!(service.kind, ServiceKind::NodePort | ServiceKind::LoadBalancer)
    };
    // The API server's own has endpoints that no text shows.
    let of_the_api_server =
        |service: &&Service| service.namespace == "default" && service.name == "kubernetes";
    let answers = |service: &&Service| service.ports.iter().any(|port| !port.endpoints.is_empty());
    let services = || cluster.services.iter().filter(|service| !of_the_api_server(service));
    let inside = || services().filter(|service| !service.cluster_ips.is_empty());
    let service = services()
        .filter(answers)
        .find(exposed)
        .or_else(|| inside().find(answers))
        .or_else(|| services().find(exposed))
        .or_else(|| inside().next())?;
    service.ports.first().map(|port| (service, port))
}

fn pods_behind(port: &ServicePort) -> BTreeSet<PodId> {
    port.endpoints.iter().filter_map(|endpoint| endpoint.pod).collect()
}

fn service_flows(cluster: &Cluster, service: &Service, port: &ServicePort) -> Vec<Flow> {
    let (namespace, name) = (service.namespace.clone(), service.name.clone());
    let number = PortRef::Number(port.port);
    let flow = |from: &Party, to: Target| Flow {
        from: from.clone(),
        to,
        protocol: port.protocol,
        explicit_tcp: false,
    };
    let through = |from: &Party, node: &Node| {
        port.node_port.map(|number| flow(from, Target::NodePort(node.name.clone(), number)))
    };
    let mut clients = cluster.clients.iter().map(|client| Party::Client(client.name.clone()));
    let (first, second) = (clients.next(), clients.next());
    let mut found = Vec::new();
    if let Some(client) = &first {
        found.extend(cluster.nodes.iter().take(3).filter_map(|node| through(client, node)));
    }
    if !service.ingress_ips.is_empty() || !cluster.balancers.is_empty() {
        let to = Target::LoadBalancer {
            namespace: namespace.clone(),
            name: name.clone(),
            port: number.clone(),
            balancer: cluster.balancers.first().map(|balancer| balancer.name.clone()),
            node: None,
        };
        found.extend(first.iter().chain(&second).map(|client| flow(client, to.clone())));
    }
    let behind = pods_behind(port);
    for pod in one_pod_a_namespace(cluster, |id| !behind.contains(&id)) {
        let to = Target::Service(namespace.clone(), name.clone(), number.clone());
        found.push(flow(&pod, to));
        found.extend(cluster.nodes.first().and_then(|node| through(&pod, node)));
    }
    found.extend(second.iter().zip(cluster.nodes.first()).filter_map(|(c, n)| through(c, n)));
    found
}

/// From others to the first pod.
fn pod_flows(cluster: &Cluster) -> Vec<Flow> {
    let target = cluster.pods.iter().position(may_be_asked).map(PodId);
    let Some((id, pod)) = target.and_then(|id| Some((id, cluster.pod(id)?))) else {
        return Vec::new();
    };
    one_pod_a_namespace(cluster, |other| other != id)
        .into_iter()
        .map(|from| Flow { from, ..asked_of(cluster, pod) })
        .collect()
}

fn may_be_asked(pod: &Pod) -> bool {
    !pod.finished && !pod.host_network
}

/// What a policy would be asked about among a few pods, and from them to addresses outside;
/// `behind` are asked through their service.
fn policy_flows(cluster: &Cluster, behind: &BTreeSet<PodId>) -> Vec<Flow> {
    let mut found = Vec::new();
    let mut kinds = BTreeSet::new();
    let kind = |pod: &Pod| (pod.namespace.clone(), pod.owner.clone(), pod.labels.clone());
    let few: Vec<(PodId, &Pod)> = cluster
        .pods
        .iter()
        .enumerate()
        .filter(|(_, pod)| may_be_asked(pod) && kinds.insert(kind(pod)))
        .map(|(index, pod)| (PodId(index), pod))
        .take(FEW)
        .collect();
    let about = |from: &Pod, to: &Pod| {
        cluster.policies.tiers.iter().flat_map(|tier| &tier.policies).any(|policy| {
            (policy.egress.is_some() && describes(cluster, &policy.subject, from))
                || (policy.ingress.is_some() && describes(cluster, &policy.subject, to))
        })
    };
    for (id, to) in &few {
        for (other, from) in &few {
            if id != other && !behind.contains(id) && about(from, to) {
                let from = Party::Pod(from.namespace.clone(), from.name.clone());
                found.push(Flow { from, ..asked_of(cluster, to) });
            }
        }
    }
    found.extend(few.iter().flat_map(|(_, from)| flows_out(cluster, from)));
    found
}

/// What one would ask of a pod: on a port that it declares, or that a policy names.
fn asked_of(cluster: &Cluster, pod: &Pod) -> Flow {
    let declared = pod.ports.first().map(|port| (port.port, port.protocol));
    // One with a number, if there is one: nothing comes before every number.
    let named = || {
        let last = ports_named(cluster, pod).pop_last();
        last.map(|(port, protocol)| (port.unwrap_or(80), protocol))
    };
    let (port, protocol) = declared.or_else(named).unwrap_or((80, Protocol::Tcp));
    let port = PortRef::Number(port);
    Flow {
        from: Party::Pod(pod.namespace.clone(), pod.name.clone()),
        to: Target::Pod(pod.namespace.clone(), pod.name.clone(), port),
        protocol,
        explicit_tcp: false,
    }
}

/// To an address in each block that the pod's egress rules speak of.
fn flows_out(cluster: &Cluster, pod: &Pod) -> Vec<Flow> {
    let policies = cluster.policies.tiers.iter().flat_map(|tier| &tier.policies);
    let policies = policies.filter(|policy| describes(cluster, &policy.subject, pod));
    let rules = policies.flat_map(|policy| &policy.egress).flat_map(|egress| &egress.rules);
    let mut found = Vec::new();
    for rule in rules {
        let port = rule.destination.ports.iter().find_map(|port| match port.number {
            PortNumber::Range(first, _) => Some((first.max(1), port.protocol.or(rule.protocol))),
            _ => None,
        });
        let (port, number) = port.unwrap_or((443, rule.protocol));
        let protocol = [Protocol::Udp, Protocol::Sctp]
            .into_iter()
            .find(|known| Some(known.number()) == number)
            .unwrap_or_default();
        for ip in blocks(&rule.destination).filter_map(|block| outside_of(cluster, &block)) {
            let flow = Flow {
                from: Party::Pod(pod.namespace.clone(), pod.name.clone()),
                to: Target::Ip(ip, port),
                protocol,
                explicit_tcp: false,
            };
            if !found.contains(&flow) {
                found.push(flow);
            }
        }
    }
    found.truncate(FEW);
    found
}

/// The first few namespaces' first pods.
fn one_pod_a_namespace(cluster: &Cluster, wanted: impl Fn(PodId) -> bool) -> Vec<Party> {
    let mut seen = BTreeSet::new();
    cluster
        .pods
        .iter()
        .enumerate()
        .filter(|(index, pod)| {
            !pod.finished && wanted(PodId(*index)) && seen.insert(&pod.namespace)
        })
        .take(3)
        .map(|(_, pod)| Party::Pod(pod.namespace.clone(), pod.name.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    fn proposed(text: &str) -> Vec<String> {
        crate::read(text).scenario.flows.iter().map(|found| found.flow.to_string()).collect()
    }

    const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
";

    #[test]
    fn somebody_asks_a_pod_that_is_all_alone() {
        assert_eq!(proposed(SERVICE), ["pod/shop/client -> service/shop/web:80"]);
        let policy = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress]}
";
        assert_eq!(proposed(policy), ["pod/shop/client -> pod/shop/server:80"]);
    }

    #[test]
    fn replicas_of_a_workload_are_of_one_kind() {
        let workload = |replicas: usize| {
            format!(
                "{SERVICE}---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: []}}}}
"
            )
        };
        assert_eq!(proposed(&workload(3)), ["pod/shop/client -> service/shop/web:80"]);
        assert!(crate::read(&workload(0)).cluster.pods.is_empty(), "it is scaled to none");
    }

    #[test]
    fn the_api_servers_service_is_not_what_one_asks_about() {
        let kubernetes = "---
apiVersion: v1
kind: Service
metadata: {name: kubernetes, namespace: default}
spec: {clusterIP: 10.233.0.1, ports: [{port: 443, targetPort: 6443}]}
";
        let flows = proposed(&format!("{kubernetes}---{SERVICE}"));
        assert_eq!(flows[0], "pod/shop/client -> service/shop/web:80");
    }

    #[test]
    fn egress_is_asked_from_whom_the_policy_selects() {
        let policy = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: db}}}]
    ports: [{port: 5432}]
  - to: [{ipBlock: {cidr: 198.51.100.0/24, except: [198.51.100.0/25]}}]
    ports: [{port: 443}]
";
        assert_eq!(
            proposed(policy),
            ["pod/shop/web -> pod/shop/db:5432", "pod/shop/web -> ip/198.51.100.128:443"]
        );
    }

    #[test]
    fn an_ipv6_service_is_asked_over_ipv6() {
        let text = SERVICE.replace("spec: {", "spec: {type: NodePort, ipFamilies: [IPv6], ");
        let reading = crate::read(&text);
        let cluster = &reading.cluster;
        assert!(cluster.services[0].cluster_ips.iter().all(std::net::IpAddr::is_ipv6));
        assert_eq!(cluster.clients[0].ip.to_string(), "2001:db8::77");
        assert!(!reading.scenario.flows.is_empty());
        for asked in &reading.scenario.flows {
            let verdict = crate::trace(cluster, &asked.flow).verdict;
            assert_eq!(verdict, crate::datapath::Verdict::Delivered, "{}", asked.flow);
        }
    }

    #[test]
    fn clients_have_addresses_that_machines_can_have() {
        let clients = |source: &str| {
            let policy = format!(
                "
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: web, namespace: shop}}
spec: {{ingress: [{{action: Allow, source: {source}}}]}}
"
            );
            let clients = crate::read(&policy).cluster.clients;
            clients.iter().map(|client| client.ip.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(clients("{nets: [0.0.0.0/0]}"), ["203.0.113.77"]);
        assert_eq!(clients("{nets: [127.0.0.0/8]}"), ["203.0.113.77"], "only the stranger");
        let but_half = "{nets: [198.51.100.0/24], notNets: [198.51.100.0/25]}";
        assert_eq!(clients(but_half), ["198.51.100.128", "203.0.113.77"]);
    }

    #[test]
    fn nobody_is_assumed_where_the_text_says_who_asks() {
        let scenario = "
---
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: nodes}
spec: {flows: [{from: node/node1, to: service/shop/web:80}]}
";
        let pods = crate::read(&format!("{SERVICE}{scenario}")).cluster.pods;
        assert_eq!(pods.len(), 1, "{pods:?}");
    }
}
