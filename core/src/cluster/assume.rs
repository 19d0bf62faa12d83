//! What the text speaks of, but does not contain: pods behind a service, machines outside, and the
//! flows that are worth asking about.

use std::collections::BTreeSet;
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

/// A neighbour for a pod that is all alone: somebody has to ask, where the text asks nothing.
pub(super) fn neighbour(drafts: &mut Vec<Draft>, objects: &[Object]) {
    let asks = |object: &Object| matches!(&object.kind, Kind::Scenario(scenario) if !scenario.spec.flows.is_empty());
    let [alone] = drafts.as_slice() else { return };
    if objects.iter().any(asks) {
        return;
    }
    let namespace = alone.pod.namespace.clone();
    let name = if alone.pod.name == "client" { "client-2" } else { "client" };
    let reason = format!("somebody who asks {namespace}/{}, the only pod", alone.pod.name);
    drafts.push(pods::assumed(&namespace, name, Labels::new(), Vec::new(), &reason));
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
