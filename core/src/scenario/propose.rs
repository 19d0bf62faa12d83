//! The flows that are worth asking about, for a text that asks none.

use std::collections::BTreeSet;

use super::ScenarioFlow;
use crate::assumed::outside::{Block, asked_service};
use crate::cluster::{Cluster, Node, Pod, PodId, Service, ServicePort};
use crate::decision::{describes, ports_named};
use crate::net::{Flow, Party, PortRef, Protocol, Target};
use crate::policy::form::PortNumber;

/// More proposed flows than this are no help.
const MAX_FLOWS: usize = 12;
/// So many of the pods are asked about each other.
const FEW: usize = 4;

/// The way in from outside through each node, then from pods, to the first exposed service, or to the first pod; and what
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
    found.into_iter().filter(Flow::reads_back).take(MAX_FLOWS).map(proposed).collect()
}

fn pods_behind(port: &ServicePort) -> BTreeSet<PodId> {
    port.endpoints.iter().filter_map(|endpoint| endpoint.pod).collect()
}

fn service_flows(cluster: &Cluster, service: &Service, port: &ServicePort) -> Vec<Flow> {
    let (namespace, name) = (service.namespace.clone(), service.name.clone());
    let number = PortRef::Number(port.port);
    let flow = |from: &Party, to: Target| flow(from.clone(), to, port.protocol);
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
        .map(|from| ask(cluster, from, pod))
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
        cluster.policies.all().any(|policy| {
            (policy.egress.is_some() && describes(cluster, &policy.subject, from))
                || (policy.ingress.is_some() && describes(cluster, &policy.subject, to))
        })
    };
    for (id, to) in &few {
        for (other, from) in &few {
            if id != other && !behind.contains(id) && about(from, to) {
                found.push(ask(cluster, party(from), to));
            }
        }
    }
    found.extend(few.iter().flat_map(|(_, from)| flows_out(cluster, from)));
    found
}

/// What one would ask of a pod: on a port that it declares, or that a policy names.
fn ask(cluster: &Cluster, from: Party, pod: &Pod) -> Flow {
    let declared = pod.ports.first().map(|port| (port.port, port.protocol));
    let named = || {
        let named = ports_named(cluster, pod);
        let numbered = named.iter().find(|(port, _)| port.is_some()).or(named.first());
        numbered.map(|(port, protocol)| (port.unwrap_or(80), *protocol))
    };
    let (port, protocol) = declared.or_else(named).unwrap_or((80, Protocol::Tcp));
    let port = PortRef::Number(port);
    flow(from, Target::Pod(pod.namespace.clone(), pod.name.clone(), port), protocol)
}

fn flow(from: Party, to: Target, protocol: Protocol) -> Flow {
    Flow { from, to, protocol, explicit_tcp: false }
}

fn party(pod: &Pod) -> Party {
    Party::Pod(pod.namespace.clone(), pod.name.clone())
}

/// To an address in each block that the pod's egress rules speak of.
fn flows_out(cluster: &Cluster, pod: &Pod) -> Vec<Flow> {
    let policies = cluster.policies.all().filter(|policy| describes(cluster, &policy.subject, pod));
    let rules = policies.flat_map(|policy| &policy.egress).flat_map(|egress| &egress.rules);
    let mut found = Vec::new();
    for rule in rules {
        let port = rule.destination.ports.iter().find_map(|port| match port.number {
            PortNumber::Range(first, _) => Some((first.max(1), port.protocol.or(rule.protocol))),
            _ => None,
        });
        let (port, number) = port.unwrap_or((443, rule.protocol));
        let protocol = number.and_then(Protocol::of_number).unwrap_or_default();
        for ip in Block::of(&rule.destination).filter_map(|block| block.outside(cluster)) {
            let flow = flow(party(pod), Target::Ip(ip, port), protocol);
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
        .map(|(_, pod)| party(pod))
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
            assert_eq!(verdict, crate::net::Verdict::Delivered, "{}", asked.flow);
        }
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
