//! What a flow's ends are is one answer: `trace` and `evaluate` speak of the same pods, ports and
//! addresses, know the same errors, and where no network lies between, say the same.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test: a broken scenario must stop it"
)]

use std::net::IpAddr;

use hopwise::cluster::{Ends, Sender, Unresolved};
use hopwise::datapath::{Because, Machine};
use hopwise::decision::{allowed, evaluate};
use hopwise::net::Verdict;
use hopwise::report::json;
use hopwise::{Cluster, Flow, read, trace, words};

/// Everybody but `far` is on node1. `shop` lets in only what comes from `cli`, on `http` and 7000, and
/// lets nobody out to 7000.
const WORLD: &str = "
{apiVersion: v1, kind: Node, metadata: {name: node1, annotations: {
  projectcalico.org/IPv4Address: 192.168.1.11/24, projectcalico.org/IPv6Address: 'fd00:1::11/64',
  projectcalico.org/IPv4IPIPTunnelAddr: 10.244.1.1}}}
---
{apiVersion: v1, kind: Node, metadata: {name: node2, annotations: {
  projectcalico.org/IPv4Address: 192.168.1.12/24, projectcalico.org/IPv4IPIPTunnelAddr: 10.244.2.1}}}
---
{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: four}, spec: {cidr: 10.244.0.0/16, ipipMode: Always}}
---
{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: six}, spec: {cidr: 'fd00:10::/48'}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cli, namespace: shop, labels: {app: cli}},
  spec: {nodeName: node1, containers: [{name: c}]}, status: {podIP: 10.244.1.5}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}},
  spec: {nodeName: node1, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]},
  status: {podIP: 10.244.1.6}}
---
{apiVersion: v1, kind: Pod, metadata: {name: dual, namespace: shop, labels: {app: cli}},
  spec: {nodeName: node1, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]},
  status: {podIPs: [{ip: 10.244.1.7}, {ip: 'fd00:10::7'}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: laud, namespace: shop, labels: {app: web}},
  spec: {nodeName: node1, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]},
  status: {podIPs: [{ip: 'fd00:10::8'}, {ip: 10.244.1.8}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: six, namespace: shop, labels: {app: web}},
  spec: {nodeName: node1, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]},
  status: {podIP: 'fd00:10::9'}}
---
{apiVersion: v1, kind: Pod, metadata: {name: agent, namespace: shop, labels: {app: web}},
  spec: {nodeName: node1, hostNetwork: true, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: run-1, namespace: shop, labels: {app: run},
    ownerReferences: [{apiVersion: batch/v1, kind: Job, name: run, uid: a, controller: true}]},
  spec: {nodeName: node1, containers: [{name: c}]}, status: {phase: Succeeded, podIP: 10.244.1.20}}
---
{apiVersion: v1, kind: Pod, metadata: {name: run-2, namespace: shop, labels: {app: run},
    ownerReferences: [{apiVersion: batch/v1, kind: Job, name: run, uid: a, controller: true}]},
  spec: {nodeName: node1, containers: [{name: c, ports: [{name: http, containerPort: 8081}]}]},
  status: {podIP: 10.244.1.21}}
---
{apiVersion: v1, kind: Pod, metadata: {name: over-1, namespace: shop,
    ownerReferences: [{apiVersion: batch/v1, kind: Job, name: over, uid: b, controller: true}]},
  spec: {nodeName: node1, containers: [{name: c}]}, status: {phase: Failed, podIP: 10.244.1.22}}
---
{apiVersion: v1, kind: Pod, metadata: {name: far, namespace: shop, labels: {app: far}},
  spec: {nodeName: node2, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]},
  status: {podIP: 10.244.2.5}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {type: LoadBalancer,
    clusterIP: 10.96.0.9, selector: {app: web}, ports: [{name: web, port: 80, targetPort: http, nodePort: 30080}]},
  status: {loadBalancer: {ingress: [{ip: 192.0.2.10}]}}}
---
{apiVersion: v1, kind: Service, metadata: {name: plain, namespace: shop},
  spec: {clusterIP: 10.96.0.10, selector: {app: web}, ports: [{port: 80, targetPort: http}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: six, namespace: shop},
  spec: {clusterIP: 'fd00:96::9', ipFamilies: [IPv6], selector: {app: web}, ports: [{port: 80, targetPort: http}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: each, namespace: shop},
  spec: {clusterIP: None, selector: {app: web}, ports: [{port: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: nobody, namespace: shop},
  spec: {clusterIP: None, selector: {app: nobody}, ports: [{port: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: there, namespace: shop},
  spec: {type: ExternalName, externalName: example.org}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: shop, namespace: shop}, spec: {
  podSelector: {}, policyTypes: [Ingress, Egress],
  ingress: [{from: [{podSelector: {matchLabels: {app: cli}}}], ports: [{port: http}, {port: 7000}]}],
  egress: [{ports: [{port: 1, endPort: 6999}, {port: 7001, endPort: 65535}]}]}}
---
{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: edge},
  spec: {node: node2, interfaceName: eth9, expectedIPs: [192.168.1.12]}}
---
{apiVersion: hopwise.dev/v1, kind: Scenario, metadata: {name: ends}, spec: {
  clients: [{name: user, ip: 203.0.113.9}], loadBalancers: [{name: lb, ip: 192.168.1.200}]}}
";

const PARTIES: [&str; 23] = [
    "client/user",
    "client/none",
    "ip/203.0.113.9",
    "ip/203.0.113.77",
    "ip/10.244.1.5",
    "ip/10.244.1.20",
    "ip/192.168.1.11",
    "ip/10.244.1.1",
    "pod/shop/cli",
    "pod/shop/web",
    "pod/shop/dual",
    "pod/shop/laud",
    "pod/shop/six",
    "pod/shop/agent",
    "pod/shop/run-1",
    "pod/shop/none",
    "pod/shop/far",
    "job/shop/run",
    "job/shop/over",
    "node/node1",
    "node/none",
    "hostEndpoint/edge",
    "hostEndpoint/none",
];

const TARGETS: [&str; 42] = [
    "service/shop/web:80",
    "service/shop/web:web",
    "service/shop/web:81",
    "service/shop/six:80",
    "service/shop/each:8080",
    "service/shop/nobody:8080",
    "service/shop/there:80",
    "service/shop/none:80",
    "nodePort/node1:30080",
    "nodePort/none:30080",
    "nodePort/node1/shop/web:80",
    "nodePort/node1/shop/web:81",
    "nodePort/node1/shop/plain:80",
    "nodePort/none/shop/web:80",
    "loadBalancer/shop/web:80",
    "loadBalancer/shop/plain:80",
    "loadBalancer/shop/web:80@lb",
    "loadBalancer/shop/web:80@lb/node1",
    "loadBalancer/shop/web:80@lb/none",
    "loadBalancer/shop/web:80@none",
    "externalIP/198.51.100.7:80",
    "pod/shop/cli:8080",
    "pod/shop/web:8080",
    "pod/shop/web:http",
    "pod/shop/web:7000",
    "pod/shop/web:http/UDP",
    "pod/shop/dual:http",
    "pod/shop/laud:http",
    "pod/shop/six:http",
    "pod/shop/agent:http",
    "pod/shop/run-1:80",
    "pod/shop/none:80",
    "pod/shop/far:http",
    "job/shop/run:http",
    "job/shop/run:80",
    "job/shop/over:80",
    "ip/10.244.1.6:8080",
    "ip/203.0.113.77:80",
    "node/node1:10250",
    "node/none:10250",
    "hostEndpoint/edge:80",
    "hostEndpoint/none:80",
];

fn cluster() -> Cluster {
    let reading = read(WORLD);
    let problems: Vec<_> = reading.problems.iter().map(|problem| &problem.message).collect();
    assert!(problems.is_empty(), "{problems:?}");
    reading.cluster
}

fn flow(text: &str) -> Flow {
    text.parse().unwrap()
}

fn flows() -> impl Iterator<Item = Flow> {
    PARTIES.iter().flat_map(|from| TARGETS.iter().map(move |to| flow(&format!("{from} -> {to}"))))
}

/// What `trace` cannot resolve.
fn unresolved(cluster: &Cluster, flow: &Flow) -> Option<Unresolved> {
    match &trace(cluster, flow).outcomes[0].cause.as_ref()?.because {
        Because::Unresolved(why) => Some(why.clone()),
        _ => None,
    }
}

/// Packets have one family and come from machines; policies are asked about what the ends are, all
/// the same.
fn is_of_packets(why: &Unresolved) -> bool {
    matches!(
        why,
        Unresolved::OtherFamily { .. }
            | Unresolved::SenderOfOtherFamily { .. }
            | Unresolved::OnlyPoliciesKnow { .. }
    )
}

#[test]
fn an_end_is_there_for_both_or_for_neither() {
    let cluster = cluster();
    let mut missing = 0;
    for flow in flows() {
        let traced = unresolved(&cluster, &flow);
        let found = evaluate(&cluster, &flow).problem;
        assert_eq!(traced.clone().filter(|why| !is_of_packets(why)), found, "{flow}");
        assert_eq!(allowed(&cluster, &flow).is_none(), found.is_some(), "{flow}");
        missing += usize::from(found.is_some());
        if let Some(why) = traced {
            assert_eq!(trace(&cluster, &flow).verdict, Verdict::Unroutable, "{flow}: {why:?}");
        }
    }
    assert!(missing > 300, "{missing}");
}

#[test]
fn packets_are_sent_from_and_to_the_ends() {
    let cluster = cluster();
    for flow in flows() {
        if unresolved(&cluster, &flow).is_some() {
            continue;
        }
        let Ends { sender, own, asked, others } = cluster.ends(&flow).unwrap();
        for outcome in trace(&cluster, &flow).outcomes {
            let first = &outcome.steps[0];
            let packet = &first.before;
            let to = std::iter::once(&asked).chain(&others).find(|asked| {
                asked.addresses.contains(&packet.destination)
                    && packet.destination_port == Some(asked.port)
            });
            assert!(to.is_some(), "{flow}");
            let (machine, source) = match &sender {
                Sender::Pod(id) => (cluster.pods[id.0].node, own.contains(&packet.source)),
                // The route gives the source.
                Sender::Process(node, _) => (*node, true),
                Sender::Outside(client) => {
                    assert_eq!(first.machine, Machine::Client(*client), "{flow}");
                    assert!(own.contains(&packet.source), "{flow}");
                    continue;
                }
                Sender::HostEndpoint(_) => panic!("{flow} is sent"),
            };
            assert_eq!(first.machine, Machine::Node(machine), "{flow}");
            assert!(source, "{flow}");
        }
    }
}

#[test]
fn where_no_network_lies_between_both_say_the_same() {
    let cluster = cluster();
    let on_node1 = |end: &str| {
        // Nobody has a finished pod's address.
        let elsewhere = ["far", "203.0.113", "10.244.1.20"];
        let kinds = ["pod/", "job/", "ip/", "node/"];
        kinds.iter().any(|kind| end.starts_with(kind))
            && !elsewhere.iter().any(|it| end.contains(it))
    };
    let mut said = [0, 0];
    for flow in flows() {
        let ends = flow.to_string();
        let (from, to) = ends.split_once(" -> ").unwrap();
        if !on_node1(from) || !on_node1(to) || unresolved(&cluster, &flow).is_some() {
            continue;
        }
        let traced = trace(&cluster, &flow).verdict;
        let found = evaluate(&cluster, &flow);
        assert_eq!(found.allowed, traced == Verdict::Delivered, "{flow}: {traced:?} {found:#?}");
        assert_eq!(allowed(&cluster, &flow), Some(found.allowed), "{flow}");
        said[usize::from(found.allowed)] += 1;
    }
    assert!(said.iter().all(|count| *count > 20), "{said:?}");
}

#[test]
fn a_workload_is_its_running_pod() {
    let cluster = cluster();
    let job = flow("pod/shop/web -> job/shop/run:80");
    let pod = flow("pod/shop/web -> pod/shop/run-2:80");
    assert_eq!(trace(&cluster, &job).verdict, Verdict::Dropped);
    for flow in [&job, &pod] {
        let found = evaluate(&cluster, flow);
        assert_eq!((found.allowed, found.problem), (false, None), "{flow}");
    }
    assert_eq!(evaluate(&cluster, &job).ingress, evaluate(&cluster, &pod).ingress);
    // A port's name is the running pod's, too.
    let ends = cluster.ends(&flow("pod/shop/cli -> job/shop/run:http")).unwrap().asked;
    assert_eq!(ends.port, 8081);
}

#[test]
fn the_first_family_of_what_is_asked_for_is_used() {
    let cluster = cluster();
    for (text, source, destination) in [
        ("pod/shop/dual -> pod/shop/laud:http", "fd00:10::7", "fd00:10::8"),
        ("pod/shop/laud -> pod/shop/dual:http", "10.244.1.8", "10.244.1.7"),
        ("pod/shop/cli -> pod/shop/laud:http", "10.244.1.5", "10.244.1.8"),
        ("pod/shop/dual -> service/shop/six:80", "fd00:10::7", "fd00:96::9"),
    ] {
        let first = trace(&cluster, &flow(text)).outcomes[0].steps[0].before;
        let wanted: [IpAddr; 2] = [source.parse().unwrap(), destination.parse().unwrap()];
        assert_eq!([first.source, first.destination], wanted, "{text}");
    }
    // What another family would be told is a doubt.
    let only_four = "
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: four, namespace: shop}, spec: {
  podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: 10.244.1.7/32}}], ports: [{port: 9000}]}]}}
";
    let cluster = read(&format!("{WORLD}{only_four}")).cluster;
    let asked = flow("pod/shop/dual -> pod/shop/laud:9000");
    let found = evaluate(&cluster, &asked);
    assert!(!found.allowed);
    assert_eq!(trace(&cluster, &asked).verdict, Verdict::Dropped);
    let doubt = words::policy::doubt(&cluster, &found.ingress.uncertain.unwrap()).to_string();
    let wanted = "both ends have both families, and this is over IPv6; over IPv4 it is allowed: ";
    assert!(doubt.starts_with(wanted), "{doubt}");
}

#[test]
fn a_headless_service_is_its_endpoints() {
    let cluster = cluster();
    let asked = flow("pod/shop/cli -> service/shop/each:8080");
    let traced = trace(&cluster, &asked);
    let name = |backend| words::names::backend(&cluster, backend);
    let named: Vec<_> =
        traced.outcomes.iter().map(|outcome| name(outcome.endpoint.unwrap())).collect();
    // Those that have an address of the sender's family.
    assert_eq!(named, ["pod/shop/web", "pod/shop/laud", "pod/shop/agent"]);
    let found = evaluate(&cluster, &asked);
    assert_eq!((found.allowed, found.problem), (true, None));
    assert_eq!(found.ingress.uncertain, None, "all of them say the same");
    // The hostNetwork pod has no policies.
    let denied = flow("job/shop/run -> service/shop/each:8080");
    assert_eq!(trace(&cluster, &denied).verdict, Verdict::Mixed);
    let found = evaluate(&cluster, &denied);
    assert!(!found.allowed);
    let doubt = words::policy::doubt(&cluster, &found.ingress.uncertain.unwrap()).to_string();
    let wanted = "DNS gives the addresses of several endpoints, and this is about pod/shop/web; to pod/shop/agent it is allowed: ";
    assert!(doubt.starts_with(wanted), "{doubt}");
}

#[test]
fn every_error_has_its_sentence() {
    let cluster = cluster();
    for (text, sentence) in [
        (
            "client/none -> pod/shop/web:80",
            "no client is called `none`: name it in the Scenario's spec.clients, or write ip/ADDRESS",
        ),
        ("pod/shop/we -> pod/shop/web:80", "there is no pod shop/we; did you mean pod/shop/web?"),
        ("pod/shop/cli -> pod/app/web:80", "there is no pod app/web; did you mean pod/shop/web?"),
        ("pod/shop/cli -> pod/app/none:80", "there is no pod app/none"),
        ("job/shop/over -> pod/shop/web:80", "there is no job shop/over, or it has no pods"),
        ("pod/shop/cli -> job/shop/none:80", "there is no job shop/none, or it has no pods"),
        ("pod/shop/run-1 -> pod/shop/web:80", "pod shop/run-1 has finished: it sends nothing"),
        ("pod/shop/cli -> pod/shop/run-1:80", "pod shop/run-1 has finished: nobody answers"),
        ("node/none -> pod/shop/web:80", "there is no node `none`; nodes are node1, node2"),
        ("pod/shop/cli -> hostEndpoint/none:80", "there is no host endpoint `none`"),
        ("pod/shop/cli -> service/shop/none:80", "there is no Service shop/none"),
        (
            "pod/shop/cli -> service/shop/there:80",
            "Service shop/there is only a name in DNS for example.org: kube-proxy does nothing for it; ask for that address instead",
        ),
        (
            "pod/shop/cli -> service/shop/web:81",
            "Service shop/web has no port 81/TCP; it has 80/TCP",
        ),
        (
            "pod/shop/cli -> service/shop/web:http/UDP",
            "Service shop/web has no port http/UDP; it has 80/TCP",
        ),
        (
            "pod/shop/cli -> loadBalancer/shop/there:80",
            "Service shop/there has no port 80/TCP; it has none",
        ),
        ("pod/shop/cli -> pod/shop/web:dns", "pod shop/web has no TCP port called `dns`"),
        ("pod/shop/cli -> pod/shop/web:http/UDP", "pod shop/web has no UDP port called `http`"),
        ("pod/shop/cli -> nodePort/node1/shop/plain:80", "Service shop/plain has no node port"),
        (
            "pod/shop/cli -> loadBalancer/shop/web:80@none",
            "no balancer is called `none`: name it in the Scenario's spec.loadBalancers",
        ),
        (
            "pod/shop/cli -> loadBalancer/shop/plain:80",
            "Service shop/plain has no load balancer IP in status.loadBalancer.ingress: name a balancer of the scenario with `@BALANCER`",
        ),
        (
            "pod/shop/cli -> service/shop/nobody:8080",
            "Service shop/nobody is headless and has no ready endpoints: DNS has no address for it",
        ),
    ] {
        let flow = flow(text);
        let traced = trace(&cluster, &flow);
        assert_eq!(words::cause(&cluster, &traced.outcomes[0]).unwrap().to_string(), sentence);
        let found = evaluate(&cluster, &flow);
        assert_eq!(words::unresolved(&cluster, &found.problem.unwrap()).to_string(), sentence);
    }
}

#[test]
fn what_only_packets_cannot_do_is_no_problem_to_policies() {
    let cluster = cluster();
    for (text, sentence) in [
        (
            "pod/shop/cli -> service/shop/six:80",
            "Service shop/six has only IPv6 addresses, and the sender only IPv4",
        ),
        (
            "pod/shop/cli -> pod/shop/six:80",
            "pod shop/six has only IPv6 addresses, and the sender only IPv4",
        ),
        (
            "pod/shop/six -> node/node2:80",
            "node2 has only IPv4 addresses, and the sender only IPv6",
        ),
        (
            "pod/shop/six -> loadBalancer/shop/web:80",
            "the load balancer has only IPv4 addresses, and the sender only IPv6",
        ),
        (
            "client/user -> ip/[fd00:10::9]:80",
            "client/user has only IPv4 addresses, but fd00:10::9 needs IPv6",
        ),
        (
            "hostEndpoint/edge -> pod/shop/web:80",
            "hostEndpoint/edge is known to policies only: name the node instead, as node/NAME",
        ),
        (
            "pod/shop/cli -> hostEndpoint/edge:80",
            "hostEndpoint/edge is known to policies only: name the node instead, as node/NAME:PORT",
        ),
    ] {
        let flow = flow(text);
        let traced = trace(&cluster, &flow);
        assert_eq!(words::cause(&cluster, &traced.outcomes[0]).unwrap().to_string(), sentence);
        assert_eq!(evaluate(&cluster, &flow).problem, None, "{text}");
    }
}

#[test]
fn what_has_no_address_is_no_end() {
    let mut cluster = cluster();
    let cli = cluster.pods.iter().position(|pod| pod.name == "cli").unwrap();
    cluster.pods[cli].addresses.clear();
    cluster.nodes[1].addresses.clear();
    let plain = cluster.services.iter().position(|service| service.name == "plain").unwrap();
    cluster.services[plain].cluster_ips.clear();
    for (text, sentence) in [
        ("pod/shop/cli -> pod/shop/web:80", "pod shop/cli has no address"),
        ("pod/shop/web -> pod/shop/cli:80", "pod shop/cli has no address"),
        ("node/node2 -> pod/shop/web:80", "node2 has no address"),
        ("pod/shop/web -> nodePort/node2:30080", "node2 has no address"),
        ("pod/shop/web -> service/shop/plain:80", "Service shop/plain has no address"),
    ] {
        let flow = flow(text);
        let why = evaluate(&cluster, &flow).problem;
        assert_eq!(unresolved(&cluster, &flow), why);
        assert_eq!(words::unresolved(&cluster, &why.unwrap()).to_string(), sentence);
    }
}

#[test]
fn the_contract_tells_the_sentence_in_place_of_reasons() {
    let cluster = cluster();
    let flow = flow("pod/shop/cli -> pod/shop/none:80");
    let wanted = "there is no pod shop/none";
    let line = json::evaluation_line(&cluster, &evaluate(&cluster, &flow));
    let found: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(found["problem"], wanted);
    assert_eq!(found["ingress"]["reason"], wanted);
    assert_eq!(found["egress"]["reason"], wanted);
    let line = json::trace_line(&cluster, &trace(&cluster, &flow));
    let found: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(found["outcomes"][0]["cause"]["message"], wanted);
}
