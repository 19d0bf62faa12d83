//! From objects to the world: one pass, in the order in which one thing needs the other.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{ExpectedProblem, Reading, Scenario, ScenarioFlow, propose};
use crate::assumed::{assume, nodes, outside, peers, place, pools, write};
use crate::cluster::endpoints::{self, Slices};
use crate::cluster::{
    Balancer, Bgp, Calico, Client, Cluster, Hosts, NodeId, OutsideRoute, PodId, ServiceId, alike,
    bgp, pods, services, settings, source,
};
use crate::manifest::{self, Kind, Manifest, Object};
use crate::net::{Flow, Labels, Verdict};
use crate::policy::Policies;
use crate::text::{Origin, Problem, Severity};

/// Everything that can be known from `text` alone; of several `Scenario`s, with the first.
pub fn read(text: &str) -> Reading {
    resolve(manifest::read(text))
}

/// What can be known from `text` alone, for each `Scenario` in it: they share its objects, and each
/// has its own machines outside, routes and flows. One reading, if there is none.
pub fn readings(text: &str) -> impl ExactSizeIterator<Item = Reading> {
    let mut manifest = manifest::read(text);
    let count = manifest.objects.iter().filter(|object| is_scenario(object)).count().max(1);
    (0..count).map(move |nth| {
        let last = nth + 1 == count;
        let mut own = if last { std::mem::take(&mut manifest) } else { manifest.clone() };
        drop(keep_scenario(&mut own.objects, nth));
        resolve(own)
    })
}

/// Whether the text has a `Scenario`, be it one that can't be read: it is then a world of its own,
/// and not a part of those of other texts.
pub fn has_scenario(text: &str) -> bool {
    // Large texts seldom have one, and to read them twice takes time.
    text.contains("Scenario") && {
        let manifest = manifest::read(text);
        let refused = manifest.problems.iter().filter_map(|problem| problem.object.as_ref());
        manifest.objects.iter().any(is_scenario)
            || refused.into_iter().any(|object| object.kind == "Scenario")
    }
}

fn is_scenario(object: &Object) -> bool {
    matches!(object.kind, Kind::Scenario(_))
}

/// Takes all `Scenario`s out but the `nth`.
fn keep_scenario(objects: &mut Vec<Object>, nth: usize) -> Vec<Object> {
    let mut seen = 0;
    objects
        .extract_if(.., |object| {
            let other = is_scenario(object) && seen != nth;
            seen += usize::from(is_scenario(object));
            other
        })
        .collect()
}

/// Everything that can be known from a text's objects alone; of several `Scenario`s, with the first.
pub fn resolve(mut manifest: Manifest) -> Reading {
    let mut problems = manifest.problems;
    problems.extend(keep_scenario(&mut manifest.objects, 0).into_iter().map(|object| {
        Problem {
            span: object.node.span_at("kind"),
            severity: Severity::Warning,
            message:
                "this Scenario is not looked at: the first of the text is; the command line takes \
                  each in turn"
                    .to_owned(),
            object: Some(object.reference),
            fix: None,
        }
    }));
    let objects = &manifest.objects;
    problems.extend(source::passed_over(objects));
    let mut cluster = Cluster {
        network: Calico::written(objects),
        hosts: Hosts::written(objects),
        ..Cluster::default()
    };

    let services = services::written_services(objects);
    let slices = Slices::of(objects);
    cluster.namespaces = assume::namespaces(objects);
    cluster.nodes = nodes::nodes_of(objects);
    let names: Vec<String> = cluster.nodes.iter().map(|node| node.name.clone()).collect();
    let mut drafts = pods::written(objects, &names);
    assume::service_pods(&mut drafts, &services, &slices, objects);
    let (policies, more) = Policies::translate(objects);
    problems.extend(more);
    peers::assume(&mut drafts, &mut cluster.namespaces, &policies, objects);
    cluster.policies = policies;
    assume::neighbour(&mut drafts, &services, objects);
    for draft in &drafts {
        let name = &draft.pod.namespace;
        if !cluster.namespaces.contains_key(name) {
            let reason = format!("pod {name}/{} is in it", draft.pod.name);
            let found = assume::namespace(name, Labels::new(), Origin::Assumed(reason));
            cluster.namespaces.insert(name.clone(), found);
        }
    }
    let of_services = services.iter().flat_map(|draft| &draft.service.cluster_ips);
    pools::assume_pool(&mut cluster, &drafts, of_services.into_iter().any(IpAddr::is_ipv6));
    if cluster.network.pools.iter().any(|pool| pool.cidr.addr().is_ipv6()) {
        nodes::assume_ipv6(&mut cluster.nodes);
    }
    cluster.proxy = settings::proxy(objects, &cluster.network.pools);
    place::place(&mut cluster, drafts);
    index_addresses(&mut cluster);
    endpoints::fill(&mut cluster, services, &slices);
    index_services(&mut cluster);
    cluster.service_ranges = services::ranges(objects);
    cluster.network.bgp = Bgp::of(objects, &cluster.nodes);
    cluster.alike = alike::classes(&cluster);
    let scenario = machines_outside(&mut cluster, objects, &mut problems);
    cluster.assumed = write::assumptions(&cluster, objects);
    problems.sort_by_key(|problem| problem.span);
    Reading { cluster, scenario, problems }
}

/// Who has which address.
fn index_addresses(cluster: &mut Cluster) {
    for (index, pod) in cluster.pods.iter().enumerate() {
        if !pod.host_network && !pod.finished {
            for ip in &pod.addresses {
                cluster.pod_by_address.entry(*ip).or_insert(PodId(index));
            }
        }
    }
    let mut found = Vec::new();
    for (index, node) in cluster.nodes.iter().enumerate() {
        found.extend(node.addresses.iter().map(|own| (own.addr(), NodeId(index))));
        found.extend(
            node.network.tunnel_addresses(&cluster.network).map(|own| (own, NodeId(index))),
        );
    }
    cluster.node_by_address.extend(found);
    let subnets: BTreeSet<IpNet> =
        cluster.nodes.iter().flat_map(|node| &node.addresses).map(IpNet::trunc).collect();
    cluster.subnets = subnets.into_iter().collect();
    for (index, node) in cluster.nodes.iter().enumerate() {
        for block in &node.network.blocks {
            cluster.network.node_by_block.entry(*block).or_insert(NodeId(index));
        }
    }
}

/// Which services are behind which address, and behind which node port.
fn index_services(cluster: &mut Cluster) {
    for (index, service) in cluster.services.iter().enumerate() {
        let ingress = service.ingress_ips.iter().filter(|ingress| !ingress.proxy);
        let addresses = service.cluster_ips.iter().chain(&service.external_ips);
        for ip in addresses.copied().chain(ingress.map(|ingress| ingress.ip)) {
            let found = cluster.service_by_address.entry(ip).or_default();
            if !found.contains(&ServiceId(index)) {
                found.push(ServiceId(index));
            }
        }
        for port in &service.ports {
            let addresses = port.endpoints.iter().map(|endpoint| endpoint.ip);
            let of_no_pod = addresses.filter(|ip| !cluster.pod_by_address.contains_key(ip));
            cluster.endpoints_of_no_pod.extend(of_no_pod);
            if let Some(number) = port.node_port {
                let at = (port.protocol, number);
                cluster.service_by_node_port.entry(at).or_default().push(ServiceId(index));
            }
        }
    }
}

/// The scenario: machines outside, their routes, and the questions.
fn machines_outside(
    cluster: &mut Cluster,
    objects: &[Object],
    problems: &mut Vec<Problem>,
) -> Scenario {
    let mut scenario = Scenario::default();
    let found = objects.iter().find_map(|object| match &object.kind {
        Kind::Scenario(found) => Some((object, &found.spec)),
        _ => None,
    });
    if let Some((object, spec)) = found {
        scenario.name.clone_from(&object.reference.name);
        scenario.span = Some(object.span);
        for (index, part) in spec.expect_problems.iter().enumerate() {
            let span = object.cite(&format!("spec.expectProblems[{index}]")).span;
            scenario.problems.push(ExpectedProblem { part: part.clone(), span });
        }
        scenario.title = spec.title.clone().unwrap_or_default();
        scenario.description = spec.description.clone().unwrap_or_default();
        for (index, client) in spec.clients.iter().enumerate() {
            let Ok(ip) = client.ip.parse() else { continue };
            let origin = Origin::Written(object.cite(&format!("spec.clients[{index}]")));
            cluster.clients.push(Client { name: client.name.clone(), ip, origin });
        }
        for (index, balancer) in spec.load_balancers.iter().enumerate() {
            let Ok(ip) = balancer.ip.parse() else { continue };
            cluster.balancers.push(Balancer {
                name: balancer.name.clone(),
                ip,
                preserve: balancer.source_address.as_deref() != Some("Replace"),
                health_check: balancer.health_check.unwrap_or(true),
                origin: Origin::Written(object.cite(&format!("spec.loadBalancers[{index}]"))),
            });
        }
        for (index, route) in spec.routes.iter().enumerate() {
            let via = cluster.nodes.iter().position(|node| node.name == route.via);
            let cite = object.cite(&format!("spec.routes[{index}]"));
            if let (Ok(to), Some(via)) = (route.to.parse::<IpNet>(), via) {
                let via = [NodeId(via)].into();
                let to = to.trunc();
                let known = cluster.routes.entry(to).or_default();
                known.push(OutsideRoute { to, via, cite, assumed: None });
            } else if via.is_none() {
                problems.push(Problem {
                    span: cite.span.unwrap_or(object.span),
                    severity: Severity::Warning,
                    message: format!("the route has no effect: there is no node `{}`", route.via),
                    object: Some(object.reference.clone()),
                    fix: None,
                });
            }
        }
    }
    if cluster.clients.is_empty() {
        cluster.clients = outside::clients(cluster);
    }
    bgp::announce(cluster);
    if let Some((object, spec)) = found {
        for (index, asked) in spec.flows.iter().enumerate() {
            let notation = format!("{} -> {}", asked.from, asked.to);
            let Ok(flow) = notation.parse::<Flow>() else { continue };
            scenario.flows.push(ScenarioFlow {
                name: asked.name.clone().unwrap_or_else(|| flow.to_string()),
                flow,
                expect: asked.expect.as_deref().and_then(Verdict::of_name),
                expect_source: asked.expect_source.as_deref().and_then(|ip| ip.parse().ok()),
                span: object.cite(&format!("spec.flows[{index}]")).span,
            });
        }
    }
    if scenario.flows.is_empty() {
        scenario.flows = propose::flows(cluster);
    }
    scenario
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: foo}
spec:
  podSelector: {}
  ingress:
  - from:
    - ipBlock: {cidr: 10.2.3.4/32}
    - namespaceSelector: {matchExpressions: [{key: region, operator: NotIn, values: [bar]}]}
";
    const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: foo}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: http, nodePort: 31602}]}
";

    fn read(documents: &[&str]) -> Reading {
        super::read(&documents.join("---\n"))
    }

    fn pods(reading: &Reading) -> Vec<String> {
        reading.cluster.pods.iter().map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect()
    }

    #[test]
    fn a_policy_and_a_service_are_enough_to_start() {
        let reading = read(&[POLICY, SERVICE]);
        let cluster = &reading.cluster;
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        // The article's nodes, somebody behind the service, somebody let in, somebody shut out.
        let nodes: Vec<_> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(nodes, ["node1", "node2", "node3"]);
        assert_eq!(pods(&reading), ["foo/web-1", "default/client", "bar/client"]);
        let endpoints = &cluster.services[0].ports[0].endpoints;
        assert_eq!(endpoints[0].ip.to_string(), "10.233.96.32");
        let clients: Vec<_> =
            cluster.clients.iter().map(|c| format!("{} {}", c.name, c.ip)).collect();
        assert_eq!(clients, ["user 10.2.3.4", "stranger 203.0.113.77"]);
        assert!(!reading.scenario.flows.is_empty());
    }

    #[test]
    fn everything_assumed_says_why_and_can_be_written_into_the_text() {
        let reading = read(&[POLICY, SERVICE]);
        let mut text = [POLICY, SERVICE].join("---\n");
        for assumed in &reading.cluster.assumed {
            assert!(!assumed.reason.is_empty(), "{}", assumed.object);
            if !assumed.yaml.is_empty() {
                text = format!("{text}---\n{}", assumed.yaml);
            }
        }
        let written = super::read(&text);
        assert!(written.problems.is_empty(), "{:?}", written.problems);
        let left: Vec<_> = written.cluster.assumed.iter().map(|a| a.object.to_string()).collect();
        assert_eq!(left, Vec::<String>::new());
        assert_eq!(pods(&written).len(), pods(&reading).len());
    }

    #[test]
    fn a_service_that_selects_none_of_its_namespaces_pods_has_no_endpoints() {
        let other = "
apiVersion: v1
kind: Pod
metadata: {name: other, namespace: foo}
spec: {containers: [{name: main}]}
";
        let reading = read(&[SERVICE, other]);
        assert_eq!(reading.cluster.services[0].ports[0].endpoints, []);
    }

    #[test]
    fn a_selector_that_names_the_policys_own_namespace_leaves_its_labels_alone() {
        let namespace = "
apiVersion: v1
kind: Namespace
metadata: {name: foo, labels: {team: green}}
";
        let policy = POLICY.replace(
            "{matchExpressions: [{key: region, operator: NotIn, values: [bar]}]}",
            "{matchLabels: {kubernetes.io/metadata.name: foo}}",
        );
        let reading = read(&[namespace, &policy]);
        let labels = &reading.cluster.namespaces["foo"].labels;
        assert_eq!(labels.get("team").map(String::as_str), Some("green"));
    }

    const SCENARIOS: &str = "
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: a}
spec: {clients: [{name: a, ip: 192.0.2.1}], flows: [{from: client/a, to: 'service/foo/web:80'}]}
---
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: b}
spec: {clients: [{name: b, ip: 192.0.2.2}], hosts: {rpFilter: Loose}}
";

    #[test]
    fn scenarios_of_a_text_share_its_objects_and_nothing_else() {
        let text = [SERVICE, SCENARIOS].join("---\n");
        let [a, b] = &super::readings(&text).collect::<Vec<_>>()[..] else { panic!() };
        for (reading, client, strict) in [(a, "a", true), (b, "b", false)] {
            let cluster = &reading.cluster;
            assert_eq!(reading.scenario.name, client);
            assert_eq!(cluster.services.len(), 1);
            assert_eq!(cluster.clients.len(), 1);
            assert_eq!(cluster.clients[0].name, client);
            assert_eq!(cluster.hosts.strict_rp_filter.value, strict);
            assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        }
    }

    #[test]
    fn who_reads_one_of_several_scenarios_is_told() {
        let reading = read(&[SERVICE, SCENARIOS]);
        assert_eq!(reading.scenario.name, "a");
        assert!(reading.cluster.hosts.strict_rp_filter.value);
        let [problem] = &reading.problems[..] else { panic!("{:?}", reading.problems) };
        assert!(problem.message.starts_with("this Scenario is not looked at"), "{problem:?}");
        assert_eq!(problem.object.as_ref().map(|object| object.name.as_str()), Some("b"));
    }

    #[test]
    fn of_several_configurations_of_kube_proxy_the_last_counts() {
        let mode = |mode: &str| {
            format!(
                "\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: {mode}\n"
            )
        };
        let reading = read(&[&mode("ipvs"), &mode("nftables")]);
        assert_eq!(reading.cluster.proxy.mode.value.name(), "nftables");
        let [problem] = &reading.problems[..] else { panic!("{:?}", reading.problems) };
        let message = "KubeProxyConfiguration is written again in line 7, which replaces it";
        assert!(problem.message.starts_with(message), "{problem:?}");
    }

    #[test]
    fn a_pool_is_assumed_that_holds_the_pods_addresses() {
        let pod = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: foo}
spec: {nodeName: worker-7, containers: [{name: main}]}
status: {podIP: 10.244.3.9}
";
        let cluster = read(&[pod]).cluster;
        assert_eq!(cluster.network.pools[0].cidr.to_string(), "10.244.0.0/16");
        assert_eq!(cluster.nodes[0].name, "worker-7");
        assert_eq!(cluster.nodes[0].network.blocks[0].to_string(), "10.244.3.0/24");
    }

    #[test]
    fn tunnel_addresses_come_from_annotations_or_are_assumed() {
        let node = "
apiVersion: v1
kind: Node
metadata:
  name: a
  annotations:
    projectcalico.org/IPv4Address: 192.168.1.11/24
    projectcalico.org/IPv4IPIPTunnelAddr: 10.233.90.7
status: {addresses: [{type: InternalIP, address: 192.168.1.11}]}
---
apiVersion: v1
kind: Node
metadata: {name: b}
status: {addresses: [{type: InternalIP, address: 192.168.1.12}]}
";
        let cluster = read(&[node]).cluster;
        let tunnels: Vec<_> =
            cluster.nodes.iter().filter_map(|node| node.network.ipip.clone()).collect();
        assert_eq!(tunnels[0].value.to_string(), "10.233.90.7");
        assert!(matches!(tunnels[0].origin, Origin::Written(_)));
        assert!(matches!(tunnels[1].origin, Origin::Assumed(_)));
    }
}
