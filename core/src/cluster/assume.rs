//! What the text speaks of, but does not contain: pods behind a service, pods that a policy's
//! peers mean, machines outside, and the flows that are worth asking about.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::address::nth;
use super::endpoints::{Slices, selects};
use super::pods::{self, Draft};
use super::{
    Client, Cluster, ContainerPort, Labels, Namespace, Node, PodId, ScenarioFlow, Service,
    ServiceKind, ServicePort, services,
};
use crate::datapath::{Flow, Party, PortRef, Protocol, Target};
use crate::manifest::kubernetes::{LabelSelector, NetworkPolicyPeer};
use crate::manifest::{Kind, Object};
use crate::text::Origin;

/// The label that kube-apiserver gives every namespace.
pub(super) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// More assumed clients than this show nothing new.
const MAX_CLIENTS: usize = 6;
/// More proposed flows than this are no help.
const MAX_FLOWS: usize = 12;

/// A pod behind each service whose selector finds none, unless the namespace has pods: then the
/// service really has no endpoints.
pub(super) fn service_pods(
    drafts: &mut Vec<Draft>,
    services: &[services::Draft],
    slices: &Slices<'_>,
) {
    let populated: BTreeSet<String> = drafts.iter().map(|d| d.pod.namespace.clone()).collect();
    for service in services {
        let (namespace, name) = (&service.service.namespace, &service.service.name);
        let selected = |draft: &Draft| {
            draft.pod.namespace == *namespace && selects(&service.selector, &draft.pod.labels)
        };
        if service.selector.is_empty()
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

/// A pod for everyone that a policy's selectors speak of, in its namespace. A text with pods of
/// several namespaces is taken for a whole cluster: there, a selector that no pod has really
/// matches nobody.
pub(super) fn peer_pods(
    drafts: &mut Vec<Draft>,
    namespaces: &mut BTreeMap<String, Namespace>,
    objects: &[Object],
) {
    let written = drafts.iter().filter(|draft| matches!(draft.pod.origin, Origin::Written(_)));
    let populated: BTreeSet<&String> = written.map(|draft| &draft.pod.namespace).collect();
    if populated.len() > 1 {
        return;
    }
    for object in objects {
        let Kind::NetworkPolicy(policy) = &object.kind else { continue };
        let own = &object.reference.namespace;
        let who = object.reference.to_string();
        let subject = &policy.spec.pod_selector;
        let reason = format!("{who} selects it, and the text has no pod in {own}");
        if !drafts.iter().any(|draft| draft.pod.namespace == *own) {
            let labels = satisfy(subject);
            let name = labels.values().next().cloned().unwrap_or_else(|| "pod".to_owned());
            drafts.push(pods::assumed(own, &dns_name(&name), labels, Vec::new(), &reason));
        }
        let ingress = policy.spec.ingress.iter().flat_map(|rule| &rule.from);
        let egress = policy.spec.egress.iter().flat_map(|rule| &rule.to);
        for peer in ingress.chain(egress) {
            peer_pod(drafts, namespaces, own, peer, &who);
        }
    }
}

fn peer_pod(
    drafts: &mut Vec<Draft>,
    namespaces: &mut BTreeMap<String, Namespace>,
    own: &str,
    peer: &NetworkPolicyPeer,
    who: &str,
) {
    let pod_labels = peer.pod_selector.as_ref().map(satisfy).unwrap_or_default();
    let Some(selector) = &peer.namespace_selector else {
        if peer.pod_selector.is_some() {
            add_client(drafts, own, pod_labels, who);
        }
        return;
    };
    // Someone who is let in, and someone for each value that is shut out.
    let mut wanted = vec![(satisfy(selector), true)];
    for expression in selector.match_expressions.iter().filter(|e| e.operator == "NotIn") {
        let values = expression.values.iter();
        wanted.extend(values.map(|v| ([(expression.key.clone(), v.clone())].into(), false)));
    }
    for (labels, let_in) in wanted {
        let fits = |(name, found): &(&String, &Namespace)| {
            name.as_str() != own
                && selects(&labels, &found.labels)
                && (!let_in || !excludes(selector, &found.labels))
        };
        let found = namespaces.iter().find(fits).map(|(name, _)| name.clone());
        let name = found.unwrap_or_else(|| {
            let reason = format!("a namespaceSelector of {who} speaks of it");
            let name = free_name(namespaces, &labels);
            // One that the text has keeps its labels, even where they don't fit.
            let assumed = || namespace(&name, labels.clone(), Origin::Assumed(reason));
            namespaces.entry(name.clone()).or_insert_with(assumed);
            name
        });
        add_client(drafts, &name, pod_labels.clone(), who);
    }
}

/// Whether a selector shuts these labels out, whatever else it asks.
fn excludes(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.match_expressions.iter().any(|expression| {
        labels.get(&expression.key).is_some_and(|value| match expression.operator.as_str() {
            "NotIn" => expression.values.contains(value),
            "DoesNotExist" => true,
            _ => false,
        })
    })
}

/// A name for a namespace with these labels that no other has.
fn free_name(namespaces: &BTreeMap<String, Namespace>, labels: &Labels) -> String {
    if let Some(name) = labels.get(NAMESPACE_NAME) {
        return name.clone();
    }
    let value = labels.values().find(|value| !value.is_empty());
    let name = value.map_or_else(|| "default".to_owned(), |value| dns_name(value));
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.clone())
        .chain(numbered)
        .find(|name| !namespaces.contains_key(name))
        .unwrap_or(name)
}

/// A pod in a namespace that has none with these labels.
fn add_client(drafts: &mut Vec<Draft>, namespace: &str, labels: Labels, who: &str) {
    let fits =
        |draft: &Draft| draft.pod.namespace == namespace && selects(&labels, &draft.pod.labels);
    if drafts.iter().any(fits) {
        return;
    }
    let name = labels
        .values()
        .find(|value| !value.is_empty())
        .map_or_else(|| "client".to_owned(), |v| dns_name(v));
    let taken = |name: &str| {
        drafts.iter().any(|draft| draft.pod.namespace == namespace && draft.pod.name == name)
    };
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let name = std::iter::once(name.clone()).chain(numbered).find(|n| !taken(n)).unwrap_or(name);
    let reason =
        format!("a peer of {who} speaks of it, and the text has no such pod in {namespace}");
    drafts.push(pods::assumed(namespace, &name, labels, Vec::new(), &reason));
}

/// Labels that a selector selects.
fn satisfy(selector: &LabelSelector) -> Labels {
    let mut labels = selector.match_labels.clone();
    for expression in &selector.match_expressions {
        let value = match (expression.operator.as_str(), expression.values.first()) {
            ("In", Some(value)) => value.clone(),
            ("Exists", _) => "yes".to_owned(),
            _ => continue,
        };
        labels.entry(expression.key.clone()).or_insert(value);
    }
    labels
}

/// A name that kube-apiserver takes, made of a label's value.
fn dns_name(value: &str) -> String {
    let name: String = value
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "client".to_owned() } else { name.to_owned() }
}

/// A namespace, with the label that kube-apiserver gives it.
pub(super) fn namespace(name: &str, mut labels: Labels, origin: Origin) -> Namespace {
    labels.insert(NAMESPACE_NAME.to_owned(), name.to_owned());
    Namespace { labels, origin }
}

/// Machines outside, for a text that names none: one inside each `ipBlock` of an ingress rule,
/// and one that is in none of them.
pub(super) fn clients(cluster: &Cluster, objects: &[Object]) -> Vec<Client> {
    let mut blocks: Vec<(IpNet, Vec<IpNet>, String)> = Vec::new();
    for object in objects {
        let Kind::NetworkPolicy(policy) = &object.kind else { continue };
        for block in policy
            .spec
            .ingress
            .iter()
            .flat_map(|rule| &rule.from)
            .filter_map(|p| p.ip_block.as_ref())
        {
            if let Ok(cidr) = block.cidr.parse::<IpNet>() {
                let except = block.except.iter().filter_map(|e| e.parse().ok()).collect();
                blocks.push((cidr.trunc(), except, object.reference.to_string()));
            }
        }
    }
    let inside_cluster = |ip: &IpAddr| {
        cluster.pool_of(*ip).is_some()
            || cluster.node_by_address.contains_key(ip)
            || cluster.nodes.iter().any(|n| n.addresses.iter().any(|a| a.contains(ip)))
    };
    let mut clients: Vec<Client> = Vec::new();
    for (cidr, except, who) in &blocks {
        let first = u128::from(cidr.prefix_len() < if cidr.addr().is_ipv4() { 31 } else { 127 });
        let ip = (first..first + 64)
            .filter_map(|index| nth(cidr, index))
            .find(|ip| !except.iter().any(|range| range.contains(ip)) && !inside_cluster(ip));
        let Some(ip) = ip else { continue };
        if clients.len() >= MAX_CLIENTS || clients.iter().any(|client| cidr.contains(&client.ip)) {
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
    // Documentation addresses (RFC 5737) belong to nobody.
    let stranger = [[203, 0, 113, 77], [198, 51, 100, 77], [192, 0, 2, 77]]
        .map(IpAddr::from)
        .into_iter()
        .find(|ip| !blocks.iter().any(|(cidr, ..)| cidr.contains(ip)) && !inside_cluster(ip));
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
/// through each node, then from pods, to the first exposed service, or to the first pod.
pub(super) fn flows(cluster: &Cluster) -> Vec<ScenarioFlow> {
    let found = match asked_service(cluster) {
        Some((service, port)) => service_flows(cluster, service, port),
        None => pod_flows(cluster),
    };
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
    let services = &cluster.services;
    let service = services
        .iter()
        .find(exposed)
        .or_else(|| services.iter().find(|service| !service.cluster_ips.is_empty()))?;
    service.ports.first().map(|port| (service, port))
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
    let behind: BTreeSet<_> = port.endpoints.iter().filter_map(|endpoint| endpoint.pod).collect();
    for pod in one_pod_a_namespace(cluster, |id| !behind.contains(&id)) {
        let to = Target::Service(namespace.clone(), name.clone(), number.clone());
        found.push(flow(&pod, to));
        found.extend(cluster.nodes.first().and_then(|node| through(&pod, node)));
    }
    found.extend(second.iter().zip(cluster.nodes.first()).filter_map(|(c, n)| through(c, n)));
    found
}

fn pod_flows(cluster: &Cluster) -> Vec<Flow> {
    let target = cluster.pods.iter().position(|pod| !pod.finished && !pod.host_network).map(PodId);
    let Some((id, pod)) = target.and_then(|id| Some((id, cluster.pod(id)?))) else {
        return Vec::new();
    };
    let (port, protocol) =
        pod.ports.first().map_or((80, Protocol::Tcp), |port| (port.port, port.protocol));
    let to = Target::Pod(pod.namespace.clone(), pod.name.clone(), PortRef::Number(port));
    one_pod_a_namespace(cluster, |other| other != id)
        .into_iter()
        .map(|from| Flow { from, to: to.clone(), protocol, explicit_tcp: false })
        .collect()
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
    /// A policy whose peers no pod and no namespace of the text has.
    const POLICY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: shop}
spec:
  podSelector: {}
  ingress:
  - from:
    - podSelector: {matchLabels: {app: cart}}
    - namespaceSelector: {matchLabels: {team: red}}
";

    fn pods(namespaces: &[&str]) -> Vec<String> {
        let mut text = POLICY.to_owned();
        for namespace in namespaces {
            text = format!(
                "{text}---\n{{apiVersion: v1, kind: Pod, metadata: {{name: db, namespace: {namespace}}}}}\n"
            );
        }
        let cluster = crate::read(&text).cluster;
        cluster.pods.iter().map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect()
    }

    #[test]
    fn peers_are_assumed_for_a_policy_and_its_pods() {
        assert_eq!(pods(&[]), ["shop/pod", "shop/cart", "red/client"]);
        assert_eq!(pods(&["shop"]), ["shop/db", "shop/cart", "red/client"]);
        assert_eq!(pods(&["bank"]), ["bank/db", "shop/pod", "shop/cart", "red/client"]);
    }

    #[test]
    fn pods_of_several_namespaces_are_a_whole_cluster() {
        assert_eq!(pods(&["shop", "bank"]), ["shop/db", "bank/db"]);
        assert_eq!(pods(&["bank", "dev"]), ["bank/db", "dev/db"]);
    }
}
