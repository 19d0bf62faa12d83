//! Services, settings and address families on the packet's path, one scenario each.
//!
//! Two nodes in one subnet; a pod `web1` on node1 and `web2` on node2 behind one service, a pod
//! `cli` on node1, and two clients outside. IPIP, unless a test says otherwise.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test: a broken scenario must stop it")]

use std::collections::BTreeSet;

use hopwise::datapath::{CauseKind, Hook, Outcome, Rule, Step, Trace, Verdict};
use hopwise::{Flow, read, trace};

const NODES: &str = "
apiVersion: v1
kind: Node
metadata:
  name: node1
  labels: {topology.kubernetes.io/zone: a}
  annotations: {projectcalico.org/IPv4Address: 192.168.1.11/24, projectcalico.org/IPv4IPIPTunnelAddr: 10.244.1.1}
---
apiVersion: v1
kind: Node
metadata:
  name: node2
  labels: {topology.kubernetes.io/zone: b}
  annotations: {projectcalico.org/IPv4Address: 192.168.1.12/24, projectcalico.org/IPv4IPIPTunnelAddr: 10.244.2.1}
---";
const POOL: &str = "
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.244.0.0/16, ipipMode: Always, natOutgoing: true}
---";
const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web1, namespace: app, labels: {app: web}}
spec: {nodeName: node1, containers: [{name: main, ports: [{name: http, containerPort: 8080}]}]}
status: {podIP: 10.244.1.5}
---
apiVersion: v1
kind: Pod
metadata: {name: web2, namespace: app, labels: {app: web}}
spec: {nodeName: node2, containers: [{name: main, ports: [{name: http, containerPort: 8081}]}]}
status: {podIP: 10.244.2.5}
---
apiVersion: v1
kind: Pod
metadata: {name: cli, namespace: app, labels: {app: cli}}
spec: {nodeName: node1, containers: [{name: main}]}
status: {podIP: 10.244.1.6}
---";
const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: app}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.9
  externalIPs: [198.51.100.7]
  selector: {app: web}
  ports: [{name: web, port: 80, targetPort: http, nodePort: 30080}]
status: {loadBalancer: {ingress: [{ip: 192.0.2.10}]}}
---";
const OUTSIDE: &str = "
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: test}
spec:
  clients: [{name: near, ip: 203.0.113.9}, {name: far, ip: 203.0.114.9}]
";

/// The scenario with edits, and objects of its own.
fn scenario(edits: &[(&str, &str)], more: &[&str]) -> String {
    let mut text = [NODES, POOL, PODS, SERVICE].concat();
    for object in more {
        text += object;
        text += "\n---";
    }
    text += OUTSIDE;
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text
}

fn ask(text: &str, flow: &str) -> Trace {
    let reading = read(text);
    let errors: Vec<_> = reading.problems.iter().map(|problem| &problem.message).collect();
    assert!(errors.is_empty(), "{errors:?}");
    trace(&reading.cluster, &flow.parse::<Flow>().unwrap())
}

fn only(traced: Trace) -> Outcome {
    let count = traced.outcomes.len();
    let [outcome] = <[Outcome; 1]>::try_from(traced.outcomes).unwrap_or_else(|_| panic!("{count}"));
    outcome
}

fn step(outcome: &Outcome, rule: Rule) -> &Step {
    outcome.steps.iter().find(|step| step.rule == rule).unwrap()
}

/// What the steps of a trace give as reasons, in one text.
fn reasons(outcome: &Outcome) -> String {
    let findings = outcome.steps.iter().flat_map(|step| &step.evidence);
    findings.map(|found| found.finding.as_str()).collect::<Vec<_>>().join("\n")
}

fn endpoints(traced: &Trace) -> Vec<&str> {
    traced.outcomes.iter().map(|outcome| outcome.endpoint.as_deref().unwrap_or("-")).collect()
}

const TO_SERVICE: &str = "pod/app/cli -> service/app/web:80";

#[test]
fn every_endpoint_is_as_likely_and_named_ports_are_each_pods_own() {
    let traced = ask(&scenario(&[], &[]), TO_SERVICE);
    assert_eq!(endpoints(&traced), ["pod/app/web1", "pod/app/web2"]);
    let to: Vec<String> = traced.outcomes.iter().map(|o| step(o, Rule::Dnat).after.to()).collect();
    assert_eq!(to, ["10.244.1.5:8080", "10.244.2.5:8081"]);
    assert_eq!(
        step(&traced.outcomes[0], Rule::Dnat).rules[1].split_once(" -m statistic").unwrap().1,
        " --mode random --probability 0.50000000000 -j KUBE-SEP-TOFCBYNZ4Q7J6SVY"
    );
}

#[test]
fn session_affinity_is_said_with_its_rules() {
    let affinity = ("  selector", "  sessionAffinity: ClientIP\n  selector");
    let traced = ask(&scenario(&[affinity], &[]), TO_SERVICE);
    assert!(reasons(&traced.outcomes[0]).contains("to the same endpoint for 10800 seconds"));
    let rules = step(&traced.outcomes[0], Rule::Dnat).rules.join("\n");
    assert!(rules.contains("-m recent --rcheck --seconds 10800 --reap"), "{rules}");
}

#[test]
fn the_health_check_port_answers_by_the_nodes_own_ready_endpoints() {
    let local =
        ("  selector", "  externalTrafficPolicy: Local\n  healthCheckNodePort: 32100\n  selector");
    let on_node1 = ("selector: {app: web}", "selector: {app: web, only: one}");
    let labelled = (
        "name: web1, namespace: app, labels: {",
        "name: web1, namespace: app, labels: {only: one, ",
    );
    let text = scenario(&[local, on_node1, labelled], &[]);
    for (node, answer) in [("node1", "it answers 200"), ("node2", "it answers 503")] {
        let outcome = only(ask(&text, &format!("client/near -> node/{node}:32100")));
        assert_eq!(outcome.verdict, Verdict::Delivered);
        assert!(step(&outcome, Rule::DeliverToHost).summary.contains(answer));
    }
    let cluster = scenario(&[("  selector", "  healthCheckNodePort: 32100\n  selector")], &[]);
    let reading = read(&cluster);
    let flow: Flow = "client/near -> node/node1:32100".parse().unwrap();
    let outcome = only(trace(&reading.cluster, &flow));
    assert_eq!(outcome.cause.unwrap().kind, CauseKind::NoListener, "only Local has the port");
}

#[test]
fn hints_keep_traffic_in_the_zone_or_on_the_node() {
    let slice = |hints: [&str; 2]| {
        format!(
            "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, namespace: app, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: web, port: 8080}}]
endpoints:
- {{addresses: [10.244.1.5], nodeName: node1{}}}
- {{addresses: [10.244.2.5], nodeName: node2{}}}",
            hints[0], hints[1]
        )
    };
    let zones = slice([", hints: {forZones: [{name: a}]}", ", hints: {forZones: [{name: b}]}"]);
    let nodes =
        slice([", hints: {forNodes: [{name: node1}]}", ", hints: {forNodes: [{name: node2}]}"]);
    let some = slice([", hints: {forZones: [{name: a}]}", ""]);
    for hinted in [&zones, &nodes] {
        let traced = ask(&scenario(&[], &[hinted]), TO_SERVICE);
        assert_eq!(endpoints(&traced), ["pod/app/web1"]);
        assert!(reasons(&traced.outcomes[0]).contains("as their hints say"));
    }
    let traced = ask(&scenario(&[], &[&some]), TO_SERVICE);
    assert_eq!(endpoints(&traced).len(), 2, "hints count only if every endpoint has one");
}

#[test]
fn endpoints_that_are_not_ready_are_left_out_unless_published() {
    let unready = (
        "status: {podIP: 10.244.1.5}",
        "status: {podIP: 10.244.1.5, conditions: [{type: Ready, status: \"False\"}]}",
    );
    let traced = ask(&scenario(&[unready], &[]), TO_SERVICE);
    assert_eq!(endpoints(&traced), ["pod/app/web2"]);
    let published = ("  selector", "  publishNotReadyAddresses: true\n  selector");
    let traced = ask(&scenario(&[unready, published], &[]), TO_SERVICE);
    assert_eq!(endpoints(&traced).len(), 2);
}

#[test]
fn a_headless_services_name_gives_its_endpoints_addresses() {
    let headless = ("clusterIP: 10.96.0.9\n  externalIPs: [198.51.100.7]", "clusterIP: None");
    let plain = ("type: LoadBalancer", "type: ClusterIP");
    let port = (", nodePort: 30080", "");
    let status = ("status: {loadBalancer: {ingress: [{ip: 192.0.2.10}]}}", "");
    let traced = ask(&scenario(&[headless, plain, port, status], &[]), TO_SERVICE);
    assert_eq!(endpoints(&traced), ["pod/app/web1", "pod/app/web2"]);
    assert!(traced.outcomes.iter().all(|o| o.steps.iter().all(|step| step.rule != Rule::Dnat)));
}

#[test]
fn slices_name_processes_of_nodes_and_machines_outside() {
    let slice = |ip: &str, port: u16| {
        format!(
            "
apiVersion: v1
kind: Service
metadata: {{name: kubernetes, namespace: default}}
spec: {{clusterIP: 10.96.0.77, ports: [{{name: https, port: 443}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: kubernetes, namespace: default, labels: {{kubernetes.io/service-name: kubernetes}}}}
addressType: IPv4
endpoints: [{{addresses: [{ip}], conditions: {{ready: true}}}}]
ports: [{{name: https, port: {port}, protocol: TCP}}]"
        )
    };
    for ip in ["192.168.1.11", "10.50.0.9"] {
        let outcome = only(ask(
            &scenario(&[], &[&slice(ip, 6443)]),
            "pod/app/cli -> service/default/kubernetes:443",
        ));
        assert_eq!(outcome.verdict, Verdict::Delivered, "{ip}: {:?}", outcome.cause);
    }
    // What is refused is no connection.
    let refused = only(ask(&scenario(&[], &[]), "pod/app/cli -> node/node2:68/UDP"));
    assert_eq!(refused.verdict, Verdict::Rejected);
    assert!(refused.cause.unwrap().message.ends_with("an ICMP port unreachable"));
    assert_eq!(
        refused.reply.last().unwrap().summary,
        "the refusal arrives: there is no connection"
    );
}

#[test]
fn what_comes_back_to_a_router_comes_back_again() {
    let loops = "
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {serviceClusterIPs: [{cidr: 10.96.0.0/16}]}
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {serviceLoopPrevention: Disabled}";
    let traced = ask(&scenario(&[], &[loops]), "client/near -> ip/10.96.99.99:80");
    assert!(traced.outcomes.len() <= 3, "{} ways", traced.outcomes.len());
    for outcome in traced.outcomes {
        assert!(outcome.cause.unwrap().message.contains("circles"));
    }
}

#[test]
fn an_external_name_is_only_a_name() {
    let service = "
apiVersion: v1
kind: Service
metadata: {name: there, namespace: app}
spec: {type: ExternalName, externalName: example.org}";
    let outcome = only(ask(&scenario(&[], &[service]), "pod/app/cli -> service/app/there:80"));
    let cause = outcome.cause.unwrap();
    assert_eq!(cause.kind, CauseKind::NoSuchDestination);
    assert!(cause.message.contains("only a name in DNS for example.org"), "{}", cause.message);
}

#[test]
fn source_ranges_are_for_the_balancers_address_only() {
    let ranges = ("  selector", "  loadBalancerSourceRanges: [203.0.113.0/24]\n  selector");
    let text = scenario(&[ranges], &[]);
    let verdict = |flow: &str| {
        let traced = ask(&text, flow);
        (traced.verdict, traced.outcomes[0].cause.as_ref().map(|cause| cause.kind))
    };
    assert_eq!(verdict("client/near -> loadBalancer/app/web:80").0, Verdict::Delivered);
    assert_eq!(
        verdict("client/far -> loadBalancer/app/web:80"),
        (Verdict::Dropped, Some(CauseKind::SourceRange))
    );
    assert_eq!(verdict("client/far -> nodePort/node1:30080").0, Verdict::Delivered);
}

#[test]
fn a_balancers_address_that_proxies_is_left_to_the_balancer() {
    let proxy = ("{ip: 192.0.2.10}", "{ip: 192.0.2.10, ipMode: Proxy}");
    let outcome = only(ask(&scenario(&[proxy], &[]), "pod/app/cli -> loadBalancer/app/web:80"));
    assert!(outcome.steps.iter().all(|step| step.rule != Rule::Dnat));
    assert_eq!(outcome.verdict, Verdict::Unroutable, "nobody outside has the address");
}

#[test]
fn node_port_addresses_say_where_node_ports_answer() {
    let config = "
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
nodePortAddresses: [192.168.1.12/32]
clusterCIDR: 10.244.0.0/16";
    let text = scenario(&[], &[config]);
    assert_eq!(ask(&text, "client/near -> nodePort/node2:30080").verdict, Verdict::Delivered);
    let refused = only(ask(&text, "client/near -> nodePort/node1:30080"));
    assert_eq!(refused.cause.unwrap().kind, CauseKind::NoListener);
}

#[test]
fn ipvs_lets_node_ports_outside_the_range_past_the_policy() {
    let config = "
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
clusterCIDR: 10.244.0.0/16";
    let felix = "
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {kubeNodePortRanges: [\"20000:21000\", 22000]}";
    let asked = |port: &str, more: &[&str]| {
        let text = scenario(&[("nodePort: 30080", &format!("nodePort: {port}"))], more);
        let traced = ask(&text, &format!("client/near -> nodePort/node1:{port}"));
        traced.outcomes[0].steps.iter().any(|step| step.rule == Rule::IngressGate)
    };
    assert!(asked("30080", &[config]));
    assert!(!asked("20500", &[config]));
    assert!(!asked("30080", &[config, felix]));
    assert!(asked("20500", &[config, felix]));
    assert!(asked("22000", &[config, felix]));
}

#[test]
fn nat_outgoing_gives_the_address_that_felix_is_told() {
    let felix = "
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {natOutgoingAddress: 192.168.1.77}";
    let outcome = only(ask(&scenario(&[], &[felix]), "pod/app/cli -> ip/203.0.113.9:443"));
    let translated = step(&outcome, Rule::NatOutgoing);
    assert_eq!(translated.after.source.to_string(), "192.168.1.77");
    assert!(translated.rules[0].contains("SNAT --to-source 192.168.1.77"));
    assert_eq!(outcome.verdict, Verdict::Dropped, "no machine has the address: the answer is lost");
}

#[test]
fn several_pools_are_wrapped_each_in_its_own_way() {
    let pool = "
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: second}
spec: {cidr: 10.245.0.0/16, vxlanMode: Always}
---
apiVersion: v1
kind: Pod
metadata: {name: other, namespace: app}
spec: {nodeName: node2, containers: [{name: main}]}
status: {podIP: 10.245.0.9}";
    let loose = ("  clients", "  hosts: {rpFilter: Loose}\n  clients");
    let text = scenario(&[loose], &[pool]);
    let wrapped = |flow: &str| {
        let outcome = only(ask(&text, flow));
        assert_eq!(outcome.verdict, Verdict::Delivered);
        step(&outcome, Rule::Encapsulate).device.clone().unwrap()
    };
    assert_eq!(wrapped("pod/app/cli -> pod/app/web2:8081"), "tunl0");
    assert_eq!(wrapped("pod/app/cli -> pod/app/other:80"), "vxlan.calico");
    // Between the pools request and answer take different tunnels.
    let strict = only(ask(&scenario(&[], &[pool]), "pod/app/cli -> pod/app/other:80"));
    assert_eq!(strict.cause.unwrap().kind, CauseKind::RpFilter);
}

const ADVERTISING: &str = "
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec:
  serviceClusterIPs: [{cidr: 10.96.0.0/16}]
  serviceExternalIPs: [{cidr: 198.51.100.0/24}]";

#[test]
fn advertised_service_addresses_lead_to_every_node_or_under_local_to_those_with_endpoints() {
    let text = scenario(&[], &[ADVERTISING]);
    let ways = |text: &str, flow: &str| {
        let mut ways: Vec<String> = ask(text, flow)
            .outcomes
            .iter()
            .map(|outcome| {
                let step = step(outcome, Rule::RouterForward);
                step.rules[0].clone()
            })
            .collect();
        ways.dedup();
        ways
    };
    let to_external = "client/near -> externalIP/198.51.100.7:80";
    assert_eq!(
        ways(&text, to_external),
        ["198.51.100.0/24 via node1", "198.51.100.0/24 via node2"]
    );
    let local = (
        "  selector: {app: web}",
        "  externalTrafficPolicy: Local\n  selector: {app: web, only: one}",
    );
    let labelled = (
        "name: web2, namespace: app, labels: {",
        "name: web2, namespace: app, labels: {only: one, ",
    );
    let local = scenario(&[local, labelled], &[ADVERTISING]);
    assert_eq!(ways(&local, to_external), ["198.51.100.7/32 via node2"]);
    assert_eq!(ways(&local, "client/near -> ip/10.96.0.9:80"), ["10.96.0.9/32 via node2"]);
    // The routers' sessions are not in the text.
    let untold = ask(&text, to_external);
    assert!(step(&untold.outcomes[0], Rule::RouterForward).uncertain.is_some());
    let peer = "
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor}
spec: {peerIP: 192.168.1.1, asNumber: 64513}";
    let told = ask(&scenario(&[], &[ADVERTISING, peer]), to_external);
    assert_eq!(step(&told.outcomes[0], Rule::RouterForward).uncertain, None);
}

#[test]
fn an_advertised_address_that_no_service_has_is_stopped_before_it_loops() {
    for (mode, verdict) in
        [("Drop", Verdict::Dropped), ("Reject", Verdict::Rejected), ("Disabled", Verdict::Dropped)]
    {
        let felix = format!(
            "
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {{name: default}}
spec: {{serviceLoopPrevention: {mode}}}"
        );
        let traced = ask(&scenario(&[], &[ADVERTISING, &felix]), "client/near -> ip/10.96.7.7:80");
        assert_eq!(traced.verdict, verdict, "{mode}");
        let kind = traced.outcomes[0].cause.as_ref().unwrap().kind;
        let expected = if mode == "Disabled" { CauseKind::NoRoute } else { CauseKind::ServiceLoop };
        assert_eq!(kind, expected, "{mode}");
    }
}

fn ebpf(more: &str) -> String {
    format!(
        "
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {{name: default}}
spec: {{bpfEnabled: true{more}}}"
    )
}

/// The machines that the answer passes, in order.
fn way_back(outcome: &Outcome) -> Vec<&str> {
    let mut way: Vec<&str> = outcome.reply.iter().map(|step| step.machine.label()).collect();
    way.dedup();
    way
}

#[test]
fn ebpf_answers_through_the_node_that_was_asked_or_under_dsr_directly() {
    let on_node2 = ("selector: {app: web}", "selector: {app: web, only: one}");
    let labelled = (
        "name: web2, namespace: app, labels: {",
        "name: web2, namespace: app, labels: {only: one, ",
    );
    let asked = |felix: &str| {
        let text = scenario(&[on_node2, labelled], &[felix]);
        only(ask(&text, "client/near -> nodePort/node1:30080"))
    };
    let tunnel = asked(&ebpf(""));
    assert_eq!(way_back(&tunnel), ["node2", "node1", "near"]);
    let dsr = asked(&ebpf(", bpfExternalServiceMode: DSR"));
    assert_eq!(way_back(&dsr), ["node2", "near"]);
    for outcome in [tunnel, dsr] {
        assert_eq!(outcome.verdict, Verdict::Delivered);
        assert_eq!(outcome.source_seen_by_app.unwrap().to_string(), "203.0.113.9");
        let answer = &outcome.reply.last().unwrap().before;
        assert_eq!(answer.from(), "192.168.1.11:30080", "the client gets what it asked");
        assert!(outcome.steps.iter().any(|step| step.uncertain.is_some()));
    }
}

#[test]
fn ebpf_rewrites_in_the_socket_call_what_it_is_told_to() {
    use hopwise::datapath::Hook;
    let both = (
        "ports: [{name: web,",
        "ports: [{name: udp, protocol: UDP, port: 80, targetPort: 8080}, {name: web,",
    );
    let hook = |felix: &str, flow: &str| {
        let traced = ask(&scenario(&[both], &[felix]), flow);
        step(&traced.outcomes[0], Rule::Dnat).hook
    };
    let udp = "pod/app/cli -> service/app/web:80/UDP";
    assert_eq!(hook(&ebpf(""), TO_SERVICE), Hook::Socket);
    assert_eq!(hook(&ebpf(""), udp), Hook::Device);
    assert_eq!(hook(&ebpf(", bpfConnectTimeLoadBalancing: Enabled"), udp), Hook::Socket);
    assert_eq!(hook(&ebpf(", bpfConnectTimeLoadBalancing: Disabled"), TO_SERVICE), Hook::Device);
    let traced = ask(&scenario(&[both], &[&ebpf("")]), TO_SERVICE);
    assert_eq!(
        step(&traced.outcomes[0], Rule::Dnat).rules,
        [
            "10.96.0.9 port 80 proto 6 id N count 2 local 1",
            "\tN:0\t 10.244.1.5:8080",
            "\tN:1\t 10.244.2.5:8081",
        ]
    );
}

#[test]
fn the_fallback_of_ipvs_depends_on_a_release_that_the_text_may_tell() {
    let ipvs = "
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
clusterCIDR: 10.244.0.0/16";
    let far = (
        "  selector: {app: web}",
        "  externalTrafficPolicy: Local\n  selector: {app: web, only: one}",
    );
    let labelled = (
        "name: web2, namespace: app, labels: {",
        "name: web2, namespace: app, labels: {only: one, ",
    );
    let told = |version: &str| {
        let info = format!("kind: Node\nstatus: {{nodeInfo: {{kubeletVersion: {version}}}}}\n");
        let edits = [far, labelled, ("kind: Node\n", &info)];
        only(ask(&scenario(&edits, &[ipvs]), "pod/app/cli -> nodePort/node1:30080"))
    };
    assert_eq!(told("v1.23.4").verdict, Verdict::Rejected);
    let new = told("v1.33.1");
    assert_eq!((new.verdict, &step(&new, Rule::Dnat).uncertain), (Verdict::Delivered, &None));
    let untold =
        only(ask(&scenario(&[far, labelled], &[ipvs]), "pod/app/cli -> nodePort/node1:30080"));
    assert_eq!(untold.verdict, Verdict::Delivered);
    assert!(step(&untold, Rule::Dnat).uncertain.as_ref().unwrap().contains("before about v1.24"));
}

const WIREGUARD: &str = "
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {wireguardEnabled: true}";

#[test]
fn wireguard_wraps_instead_of_the_pools_tunnels() {
    let text = scenario(&[], &[WIREGUARD]);
    let outcome = only(ask(&text, "pod/app/cli -> pod/app/web2:8081"));
    assert_eq!(step(&outcome, Rule::Encapsulate).device.as_deref(), Some("wireguard.cali"));
    assert_eq!(outcome.source_seen_by_app.unwrap().to_string(), "10.244.1.6");
    let sure = |outcome: &Outcome| outcome.steps.iter().all(|step| step.uncertain.is_none());
    assert!(sure(&outcome), "a pod's own packet is not touched");
    // What the node itself sends is not settled.
    assert!(!sure(&only(ask(&text, "node/node1 -> pod/app/web2:8081"))));
}

const SIX: &str = "
apiVersion: v1
kind: Node
metadata:
  name: node1
  annotations: {projectcalico.org/IPv4Address: 192.168.1.11/24, projectcalico.org/IPv6Address: \"2001:db8:1::11/64\"}
---
apiVersion: v1
kind: Node
metadata:
  name: node2
  annotations: {projectcalico.org/IPv4Address: 192.168.1.12/24, projectcalico.org/IPv6Address: \"2001:db8:1::12/64\", projectcalico.org/IPv6VXLANTunnelAddr: \"fd00:10:244:2::1\"}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: four}
spec: {cidr: 10.244.0.0/16, ipipMode: Always, natOutgoing: true}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: six}
spec: {cidr: \"fd00:10:244::/48\", vxlanMode: Always, natOutgoing: true}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: app, labels: {app: web}}
spec: {nodeName: node1, containers: [{name: main, ports: [{containerPort: 8080}]}]}
status: {podIP: 10.244.1.5, podIPs: [{ip: 10.244.1.5}, {ip: \"fd00:10:244:1::5\"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: both, namespace: app}
spec: {nodeName: node2, containers: [{name: main}]}
status: {podIP: 10.244.2.5, podIPs: [{ip: 10.244.2.5}, {ip: \"fd00:10:244:2::5\"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: app}
spec: {nodeName: node2, containers: [{name: main}]}
status: {podIP: 10.244.2.6}
---
apiVersion: v1
kind: Service
metadata: {name: dual, namespace: app}
spec:
  type: NodePort
  ipFamilyPolicy: RequireDualStack
  clusterIP: \"fd00:10:96::9\"
  clusterIPs: [\"fd00:10:96::9\", 10.96.0.9]
  ipFamilies: [IPv6, IPv4]
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: six, namespace: app}
spec: {clusterIP: \"fd00:10:96::6\", selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: app}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from: [{ipBlock: {cidr: \"fd00:10:244:2::/64\"}}, {ipBlock: {cidr: 10.0.0.0/8}}]
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clusterCIDR: \"10.244.0.0/16,fd00:10:244::/48\"
---
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: six}
spec:
  clients: [{name: six, ip: \"2001:db8:9::1\"}, {name: four, ip: 203.0.113.9}]
";

#[test]
fn the_first_family_of_both_ends_is_used() {
    let both = only(ask(SIX, "pod/app/both -> service/app/dual:80"));
    assert_eq!(both.source_seen_by_app.unwrap().to_string(), "fd00:10:244:2::5");
    assert_eq!(step(&both, Rule::Encapsulate).device.as_deref(), Some("vxlan-v6.calico"));
    let rules = step(&both, Rule::Dnat).rules.join("\n");
    assert!(rules.contains("-d fd00:10:96::9/128"), "{rules}");
    assert!(step(&both, Rule::Dnat).inspect.as_ref().unwrap().command.starts_with("ip6tables"));
    let old = only(ask(SIX, "pod/app/old -> service/app/dual:80"));
    assert_eq!(old.source_seen_by_app.unwrap().to_string(), "10.244.2.6");
}

#[test]
fn a_family_that_only_one_end_has_is_explained() {
    let mismatch = only(ask(SIX, "pod/app/old -> service/app/six:80"));
    assert_eq!(
        mismatch.cause.unwrap().message,
        "Service app/six has only IPv6 addresses, and the sender only IPv4"
    );
    let client = only(ask(SIX, "client/four -> ip/[fd00:10:96::6]:80"));
    let message = client.cause.unwrap().message;
    assert!(message.contains("has only IPv4 addresses"), "{message}");
}

#[test]
fn an_ipv6_client_is_masqueraded_to_the_ipv6_tunnel() {
    let outcome = only(ask(SIX, "client/six -> nodePort/node2:30080"));
    let masqueraded = step(&outcome, Rule::Masquerade);
    assert_eq!(masqueraded.after.source.to_string(), "fd00:10:244:2::1");
    assert_eq!(outcome.verdict, Verdict::Delivered, "the policy lets the tunnel's range in");
    let direct = only(ask(SIX, "client/six -> nodePort/node1:30080"));
    assert_eq!(direct.verdict, Verdict::Dropped, "there it sees the client");
}

/// kube-proxy's configuration in a mode, with the pods' own range.
fn proxy_mode(mode: &str) -> String {
    format!(
        "
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: {mode}
clusterCIDR: 10.244.0.0/16"
    )
}

/// Only `web2`, on node2, is an endpoint.
const ONLY_WEB2: [(&str, &str); 2] = [
    ("  selector: {app: web}", "  selector: {app: web, only: one}"),
    ("name: web2, namespace: app, labels: {", "name: web2, namespace: app, labels: {only: one, "),
];
/// The same, under externalTrafficPolicy Local.
const ONLY_WEB2_LOCAL: [(&str, &str); 2] = [
    ("  selector: {app: web}", "  externalTrafficPolicy: Local\n  selector: {app: web, only: one}"),
    ONLY_WEB2[1],
];
/// `web1` is a hostNetwork pod of node1, and the only endpoint.
const ONLY_HOST_NETWORK: [(&str, &str); 4] = [
    ("  selector: {app: web}", "  selector: {app: web, only: one}"),
    ("name: web1, namespace: app, labels: {", "name: web1, namespace: app, labels: {only: one, "),
    (
        "spec: {nodeName: node1, containers: [{name: main, ports",
        "spec: {nodeName: node1, hostNetwork: true, containers: [{name: main, ports",
    ),
    ("status: {podIP: 10.244.1.5}", "status: {podIP: 192.168.1.11}"),
];

/// The rules that a step shows, in one text.
fn rules(outcome: &Outcome, rule: Rule) -> String {
    step(outcome, rule).rules.join("\n")
}

fn uncertain(outcome: &Outcome, rule: Rule) -> &str {
    step(outcome, rule).uncertain.as_deref().unwrap_or("")
}

#[test]
fn ipvs_masquerades_to_itself_only_the_endpoints_of_the_node() {
    // KUBE-LOOP-BACK of node1 does not hold node2's endpoint, so node1 leaves its source alone.
    let kept = ("ipipMode: Always, natOutgoing: true", "natOutgoing: false");
    let edits = [&ONLY_WEB2_LOCAL[..], &[kept]].concat();
    let text = scenario(&edits, &[&proxy_mode("ipvs")]);
    let elsewhere = only(ask(&text, "pod/app/web2 -> nodePort/node1:30080"));
    assert!(elsewhere.steps.iter().all(|step| step.rule != Rule::Masquerade));
    assert_eq!(elsewhere.verdict, Verdict::Dropped);
    assert_eq!(elsewhere.cause.unwrap().kind, CauseKind::RpFilter);
    let here = only(ask(&text, "pod/app/web2 -> nodePort/node2:30080"));
    assert_eq!(here.verdict, Verdict::Delivered);
    // Nothing marks it: the set of the endpoints' own addresses decides.
    assert!(!step(&here, Rule::Dnat).summary.contains("marks"));
    let masquerade = step(&here, Rule::Masquerade);
    assert!(masquerade.rules[0].contains("KUBE-LOOP-BACK dst,dst,src -j MASQUERADE"));
    assert!(!masquerade.summary.contains("marked"), "{}", masquerade.summary);
}

const SERVICE_CIDR: &str = "
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: kubernetes}
spec: {cidrs: [10.96.0.0/16]}";

#[test]
fn nftables_drops_free_addresses_of_the_service_cidr() {
    let nftables = proxy_mode("nftables");
    let free = "pod/app/cli -> ip/10.96.7.7:80";
    let known = only(ask(&scenario(&[], &[&nftables, SERVICE_CIDR]), free));
    assert_eq!(known.verdict, Verdict::Dropped);
    let last = known.steps.last().unwrap();
    assert!(last.rules[0].contains("10.96.0.0/16 } drop"), "{:?}", last.rules);
    assert_eq!(last.uncertain, None);
    assert_eq!(known.cause.unwrap().cite.unwrap().field, "spec.cidrs[0]");
    // Without the ServiceCIDR it is a guess by the addresses that services have.
    let unknown = only(ask(&scenario(&[], &[&nftables]), free));
    assert_eq!(unknown.verdict, Verdict::Dropped);
    let said = unknown.steps.last().unwrap().uncertain.clone().unwrap();
    assert!(said.contains("ServiceCIDR"), "{said}");
    // Other addresses are machines outside as before.
    let outside =
        only(ask(&scenario(&[], &[&nftables, SERVICE_CIDR]), "pod/app/cli -> ip/9.9.9.9:80"));
    assert_eq!(outside.verdict, Verdict::Delivered);
    // iptables mode has no such rule, but no machine outside has the address either.
    let iptables = only(ask(&scenario(&[], &[SERVICE_CIDR]), free));
    assert_eq!(iptables.verdict, Verdict::Unroutable);
}

#[test]
fn a_service_that_forbids_node_ports_gets_none() {
    let none = (", nodePort: 30080", "");
    let forbids =
        ("  type: LoadBalancer", "  type: LoadBalancer\n  allocateLoadBalancerNodePorts: false");
    let balancer = (
        "  clients:",
        "  loadBalancers: [{name: lb, ip: 192.168.1.200, sourceAddress: Preserve, healthCheck: false}]\n  clients:",
    );
    let flow = "client/near -> loadBalancer/app/web:80@lb/node1";
    let outcome = only(ask(&scenario(&[none, forbids, balancer], &[]), flow));
    assert_ne!(outcome.verdict, Verdict::Delivered);
    let message = outcome.cause.unwrap().message;
    assert!(message.contains("node port"), "{message}");
    // Without the field kube-apiserver allocates one.
    let text = scenario(&[none, balancer], &[]);
    assert_eq!(ask(&text, flow).outcomes[0].verdict, Verdict::Delivered);
    // A port that the text writes is there whatever the field says.
    let text = scenario(&[forbids, balancer], &[]);
    assert_eq!(ask(&text, flow).outcomes[0].verdict, Verdict::Delivered);
}

#[test]
fn the_fallback_of_ipvs_is_not_certain_around_its_release() {
    let told = |version: &str| {
        let info = format!("kind: Node\nstatus: {{nodeInfo: {{kubeletVersion: {version}}}}}\n");
        let edits = [&ONLY_WEB2_LOCAL[..], &[("kind: Node\n", &info)]].concat();
        only(ask(&scenario(&edits, &[&proxy_mode("ipvs")]), "pod/app/cli -> nodePort/node1:30080"))
    };
    for (version, rule, certain) in [
        ("v1.21.0", Rule::NoEndpoints, true),
        ("v1.23.0", Rule::NoEndpoints, false),
        ("v1.24.0", Rule::Dnat, false),
        ("v1.27.0", Rule::Dnat, true),
    ] {
        let outcome = told(version);
        assert_eq!(step(&outcome, rule).uncertain.is_none(), certain, "{version}");
    }
}

#[test]
fn a_node_port_that_nobody_answers_names_its_service_and_why() {
    let flow = "pod/app/cli -> nodePort/node1:30080";
    let why = |edits: &[(&str, &str)], more: &[&str], flow: &str| {
        let outcome = only(ask(&scenario(edits, more), flow));
        assert_eq!(outcome.verdict, Verdict::Rejected);
        outcome.cause.unwrap()
    };
    let nobody = [("selector: {app: web}", "selector: {app: nobody}")];
    // Accept ends the filter table before kube-proxy's REJECT.
    let cause = why(&nobody, &[&proxy_mode("iptables")], flow);
    assert!(cause.message.contains("Service app/web, which has no endpoints"), "{}", cause.message);
    assert!(cause.message.contains("defaultEndpointToHostAction"), "{}", cause.message);
    assert_eq!(cause.cite.unwrap().object.name, "web");
    // Without a local detector the pod's own packet is not sent to other nodes' endpoints.
    let unable = proxy_mode("iptables").replace("clusterCIDR: 10.244.0.0/16", "");
    let cause = why(&ONLY_WEB2_LOCAL, &[&unable], flow);
    assert!(cause.message.contains("no endpoint on node1"), "{}", cause.message);
    assert!(cause.message.contains("defaultEndpointToHostAction"), "{}", cause.message);
    // nodePortAddresses leaves the address out.
    let narrow = format!("{}\nnodePortAddresses: [192.168.1.12/32]", proxy_mode("iptables"));
    let outcome = only(ask(&scenario(&[], &[&narrow]), "client/near -> nodePort/node1:30080"));
    let last = step(&outcome, Rule::NoListener);
    assert!(last.summary.contains("nodePortAddresses leaves only 192.168.1.12/32"));
    assert!(last.summary.contains("Service app/web"), "{}", last.summary);
    assert!(last.evidence.iter().any(|found| found.cite.field == "nodePortAddresses"));
    // A port that is no node port has no such story.
    let cause = why(&[], &[], "client/near -> node/node1:9");
    assert!(!cause.message.contains("Service"), "{}", cause.message);
}

#[test]
fn nftables_asks_for_the_source_before_anything_else() {
    let ranges = ("  selector", "  loadBalancerSourceRanges: [198.18.0.0/15]\n  selector");
    let deny = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: no-egress, namespace: app}
spec: {podSelector: {matchLabels: {app: cli}}, policyTypes: [Egress]}";
    let text = scenario(&[ranges], &[&proxy_mode("nftables"), deny]);
    for (flow, hook) in [
        ("client/near -> loadBalancer/app/web:80", Hook::Prerouting),
        ("pod/app/cli -> loadBalancer/app/web:80", Hook::Prerouting),
        ("node/node1 -> loadBalancer/app/web:80", Hook::Output),
    ] {
        let outcome = only(ask_with_route(&text, flow));
        let refused = step(&outcome, Rule::SourceRange);
        assert_eq!((outcome.verdict, refused.hook), (Verdict::Dropped, hook), "{flow}");
        assert_eq!(refused.uncertain, None, "no egress policy can come before it");
    }
}

/// Asks where the routers send the balancer's address to node1.
fn ask_with_route(text: &str, flow: &str) -> Trace {
    ask(
        &text.replace("  clients:", "  routes: [{to: 192.0.2.10/32, via: node1}]\n  clients:"),
        flow,
    )
}

#[test]
fn source_ranges_are_shown_with_the_rules_that_hold_them() {
    let within = ("  selector", "  loadBalancerSourceRanges: [10.0.0.0/8]\n  selector");
    let edits = [&ONLY_WEB2[..], &[within]].concat();
    let flow = "pod/app/cli -> loadBalancer/app/web:80";
    let outcome = only(ask(&scenario(&edits, &[&proxy_mode("iptables")]), flow));
    let lines = step(&outcome, Rule::Dnat).rules.clone();
    assert!(lines[0].contains("-j KUBE-FW-"), "{lines:?}");
    assert!(
        lines[1].starts_with("-A KUBE-FW-")
            && lines[1].contains("-s 10.0.0.0/8 ")
            && lines[1].contains("-j KUBE-EXT-"),
        "{lines:?}"
    );
    assert!(
        lines[2].starts_with("-A KUBE-EXT-") && lines[2].ends_with("-j KUBE-MARK-MASQ"),
        "{lines:?}"
    );
    // In IPVS mode it is iptables, too, that drops.
    let outcome = only(ask_with_route(
        &scenario(&edits, &[&proxy_mode("ipvs")]),
        "client/near -> loadBalancer/app/web:80",
    ));
    let refused = step(&outcome, Rule::SourceRange);
    assert!(refused.inspect.as_ref().unwrap().command.starts_with("iptables"), "{refused:?}");
}

#[test]
fn the_rule_that_takes_a_short_cut_under_local_is_shown() {
    let text = |mode: &str| scenario(&ONLY_WEB2_LOCAL, &[&proxy_mode(mode)]);
    let lines = |mode: &str, flow: &str| rules(&only(ask(&text(mode), flow)), Rule::Dnat);
    let (pod, host) = ("pod/app/cli -> nodePort/node1:30080", "node/node1 -> nodePort/node1:30080");
    let found = lines("iptables", pod);
    assert!(found.contains("-s 10.244.0.0/16 -m comment --comment \"pod traffic for app/web:web external destinations\" -j KUBE-SVC-"), "{found}");
    let found = lines("iptables", host);
    assert!(found.contains("-m addrtype --src-type LOCAL -j KUBE-SVC-"), "{found}");
    let found = lines("nftables", pod);
    assert!(found.contains("{ ip saddr 10.244.0.0/16 goto service-"), "{found}");
    let found = lines("nftables", host);
    assert!(found.contains("{ fib saddr type local goto service-"), "{found}");
    // From outside, on the endpoint's own node, nothing is cut short.
    let found = lines("iptables", "client/near -> nodePort/node2:30080");
    assert!(found.contains("-j KUBE-SVL-") && !found.contains("-s 10.244.0.0/16"), "{found}");
}

#[test]
fn ipvs_hands_a_host_networks_endpoint_on_at_once() {
    let deny = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: no-egress, namespace: app}
spec: {podSelector: {matchLabels: {app: cli}}, policyTypes: [Egress]}";
    let text = scenario(&ONLY_HOST_NETWORK, &[&proxy_mode("ipvs"), deny]);
    // ip_vs accepts it in INPUT: neither OUTPUT, where the policy is asked, nor POSTROUTING follow.
    let pod = only(ask(&text, "pod/app/cli -> service/app/web:80"));
    assert_eq!(pod.verdict, Verdict::Delivered);
    assert!(uncertain(&pod, Rule::GateSkipped).contains("not measured"));
    // The node's own packet goes on to POSTROUTING, with the mark.
    let host = only(ask(&text, "node/node1 -> service/app/web:80"));
    assert_eq!(step(&host, Rule::Masquerade).after.source.to_string(), "192.168.1.11");
    assert_eq!(host.source_seen_by_app.unwrap().to_string(), "192.168.1.11");
    // A mark that no POSTROUTING reads is not announced.
    let client = only(ask(&text, "client/near -> nodePort/node1:30080"));
    assert_eq!(client.source_seen_by_app.unwrap().to_string(), "203.0.113.9");
    let summary = &step(&client, Rule::Dnat).summary;
    assert!(summary.contains("POSTROUTING never sees it"), "{summary}");
}

#[test]
fn whether_ipvs_answers_node_ports_on_loopback_is_not_certain() {
    let flow = "node/node1 -> ip/127.0.0.1:30080";
    let ipvs = only(ask(&scenario(&[], &[&proxy_mode("ipvs")]), flow));
    assert!(uncertain(&ipvs, Rule::NoListener).contains("virtual server"));
    // nftables mode has no rule for loopback addresses, and says so.
    let nftables = only(ask(&scenario(&[], &[&proxy_mode("nftables")]), flow));
    assert_eq!(step(&nftables, Rule::NoListener).uncertain, None);
    assert!(nftables.cause.unwrap().message.contains("127.0.0.0/8"));
}

/// Every thing that a step can be is shown by some flow of the examples or of these scenarios.
#[test]
fn every_rule_is_reached_by_some_flow() {
    let mut seen = BTreeSet::new();
    let mut walk = |text: &str, flows: &[&str]| {
        let reading = read(text);
        let own = reading.scenario.flows.iter().map(|flow| flow.flow.clone());
        let given = flows.iter().map(|flow| flow.parse::<Flow>().unwrap());
        for flow in own.chain(given) {
            for outcome in trace(&reading.cluster, &flow).outcomes {
                seen.extend(outcome.steps.iter().chain(&outcome.reply).map(|step| step.rule));
            }
        }
    };
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            walk(&std::fs::read_to_string(path).unwrap(), &[]);
        }
    }
    let ranges = ("  selector", "  loadBalancerSourceRanges: [203.0.113.0/24]\n  selector");
    walk(&scenario(&[ranges], &[]), &["client/far -> loadBalancer/app/web:80"]);
    walk(
        &scenario(&[], &[ADVERTISING]),
        &[
            "client/near -> ip/10.96.7.7:80",
            "pod/app/cli -> ip/10.244.1.9:80",
            "node/node1 -> service/app/web:80",
            "node/node1 -> node/node2:9",
            "client/near -> node/node1:10250",
        ],
    );
    let drop = "
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {defaultEndpointToHostAction: Drop}";
    walk(&scenario(&[], &[drop]), &["pod/app/cli -> node/node1:10250"]);
    let nobody = ("selector: {app: web}", "selector: {app: nobody}");
    walk(&scenario(&[nobody], &[]), &[TO_SERVICE]);
    // A pod's own packet that comes back through a balancer with its node's address as source.
    let replace = (
        "  clients:",
        "  loadBalancers: [{name: lb, ip: 192.168.1.200, sourceAddress: Replace}]\n  clients:",
    );
    walk(&scenario(&[replace], &[]), &["client/near -> loadBalancer/app/web:80@lb/node1"]);
    let preserve = (
        "  clients:",
        "  loadBalancers: [{name: lb, ip: 192.168.2.200, sourceAddress: Preserve, healthCheck: false}]\n  clients:",
    );
    walk(
        &scenario(&[preserve], &[]),
        &[
            "pod/app/cli -> loadBalancer/app/web:80@lb/node1",
            "client/near -> loadBalancer/app/web:80@lb/node2",
        ],
    );
    // Untranslated to another node: its answer comes by the tunnel, the request did not.
    let untranslated = ("natOutgoing: true", "natOutgoing: false");
    walk(&scenario(&[untranslated], &[]), &["pod/app/cli -> nodePort/node2:30080"]);
    let loose = (
        "  clients:",
        "  hosts: {rpFilter: Loose}\n  routes: [{to: 10.96.0.0/16, via: node1}]\n  clients:",
    );
    let unable = "
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables";
    walk(&scenario(&[loose], &[unable]), &["client/near -> ip/10.96.0.9:80"]);
    let ipvs = "
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
clusterCIDR: 10.244.0.0/16";
    let far = (
        "  selector: {app: web}",
        "  externalTrafficPolicy: Local\n  selector: {app: web, only: one}",
    );
    let labelled = (
        "name: web2, namespace: app, labels: {",
        "name: web2, namespace: app, labels: {only: one, ",
    );
    walk(&scenario(&[far, labelled], &[ipvs]), &["node/node1 -> loadBalancer/app/web:80"]);
    let host = "
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: edge}
spec: {node: node1, interfaceName: eth0}";
    walk(&scenario(&[], &[host]), &["client/near -> node/node1:10250"]);
    let missing: Vec<Rule> = Rule::ALL.into_iter().filter(|rule| !seen.contains(rule)).collect();
    assert_eq!(missing, []);
}

/// The service's only endpoint is `web1`, on node1.
const ONLY_WEB1: [(&str, &str); 2] = [
    ("selector: {app: web}", "selector: {app: web, only: one}"),
    ("name: web1, namespace: app, labels: {", "name: web1, namespace: app, labels: {only: one, "),
];

#[test]
fn in_ebpf_mode_only_the_connection_that_was_forwarded_is_answered_through_the_entry_node() {
    let replace = (
        "  clients:",
        "  loadBalancers: [{name: lb, ip: 192.168.1.200, sourceAddress: Replace}]\n  clients:",
    );
    let text = scenario(&[ONLY_WEB1[0], ONLY_WEB1[1], replace], &[&ebpf("")]);
    // The balancer's own connection is forwarded by node2, the sender's to the balancer is not.
    let ways = [
        ("client/near", vec!["node1", "node2", "lb", "near"]),
        ("pod/app/cli", vec!["node1", "node2", "lb", "node1"]),
        ("node/node1", vec!["node1", "node2", "lb", "node1"]),
    ];
    for (from, way) in ways {
        let flow = format!("{from} -> loadBalancer/app/web:80@lb/node2");
        let outcome = only(ask(&text, &flow));
        assert_eq!(outcome.verdict, Verdict::Delivered, "{from}: {:?}", outcome.cause);
        assert_eq!(way_back(&outcome), way, "{from}");
    }
}

/// An endpoint of the service `web` with a hint for a zone.
fn hinted_endpoint(ip: &str, node: &str, pod: &str, zone: &str) -> String {
    format!(
        "
- addresses: [{ip}]
  conditions: {{ready: true}}
  nodeName: {node}
  targetRef: {{kind: Pod, namespace: app, name: {pod}}}
  hints: {{forZones: [{{name: {zone}}}]}}"
    )
}

#[test]
fn in_ebpf_mode_the_endpoints_node_takes_the_endpoint_that_the_entry_node_picked() {
    let zoned = |zones: [&str; 2]| {
        let slice = format!(
            "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, namespace: app, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
endpoints:{}{}
ports: [{{name: web, port: 8080, protocol: TCP}}]",
            hinted_endpoint("10.244.1.5", "node1", "web1", zones[0]),
            hinted_endpoint("10.244.2.5", "node2", "web2", zones[1]),
        );
        // A third node in no zone may use all endpoints.
        let third = "
apiVersion: v1
kind: Node
metadata:
  name: node3
  annotations: {projectcalico.org/IPv4Address: 192.168.1.13/24, projectcalico.org/IPv4IPIPTunnelAddr: 10.244.3.1}";
        let text = scenario(&[], &[&ebpf(""), &slice, third]);
        ask(&text, "client/near -> nodePort/node3:30080")
    };
    let near = zoned(["a", "b"]);
    assert_eq!(near.verdict, Verdict::Delivered);
    assert_eq!(endpoints(&near), ["pod/app/web1", "pod/app/web2"]);
    // Each endpoint is meant for the other's zone: its own node has none that it may use.
    let far = zoned(["b", "a"]);
    assert_eq!(far.verdict, Verdict::Rejected);
    let message = &far.outcomes[0].cause.as_ref().unwrap().message;
    assert!(message.contains("topology hints"), "{message}");
}

#[test]
fn in_ebpf_mode_the_route_map_stops_advertised_addresses_that_no_service_has() {
    for (mode, verdict, entry) in [
        ("Drop", Verdict::Dropped, "10.96.0.0/16: blackhole-drop"),
        ("Reject", Verdict::Rejected, "10.96.0.0/16: blackhole-reject"),
    ] {
        let felix = ebpf(&format!(", serviceLoopPrevention: {mode}"));
        let text = scenario(&[], &[ADVERTISING, &felix]);
        for from in ["client/near", "pod/app/cli"] {
            let traced = ask(&text, &format!("{from} -> ip/10.96.7.7:80"));
            assert_eq!(traced.verdict, verdict, "{mode} {from}");
            for outcome in &traced.outcomes {
                assert_eq!(outcome.cause.as_ref().unwrap().kind, CauseKind::ServiceLoop);
                let stop = step(outcome, Rule::ServiceLoop);
                assert_eq!(stop.rules, [entry]);
                assert_eq!(command(stop), "calico-node -bpf routes dump");
                assert!(stop.uncertain.is_some());
            }
        }
    }
    let felix = ebpf(", serviceLoopPrevention: Disabled");
    let traced = ask(&scenario(&[], &[ADVERTISING, &felix]), "client/near -> ip/10.96.7.7:80");
    assert_eq!(traced.outcomes[0].cause.as_ref().unwrap().kind, CauseKind::NoRoute);
}

fn command(step: &Step) -> &str {
    &step.inspect.as_ref().unwrap().command
}

/// The request's steps by their kind, with the destination after each.
fn sent(outcome: &Outcome) -> Vec<(Rule, String)> {
    outcome.steps.iter().map(|step| (step.rule, step.after.to())).collect()
}

#[test]
fn a_socket_call_that_ebpf_rewrites_comes_before_the_packet() {
    let text = scenario(&ONLY_WEB1, &[&ebpf("")]);
    let outcome = only(ask(&text, "pod/app/cli -> nodePort/node2:30080"));
    assert_eq!(
        sent(&outcome)[..3],
        [
            (Rule::Send, "192.168.1.12:30080".to_owned()),
            (Rule::Dnat, "10.244.1.5:8080".to_owned()),
            (Rule::DeviceIn, "10.244.1.5:8080".to_owned()),
        ]
    );
    assert_eq!(step(&outcome, Rule::Dnat).device.as_deref(), Some("pod/app/cli"));
    // The answer is translated back where the call was rewritten: no conntrack does it.
    let back = outcome.reply.iter().find(|step| step.rule == Rule::UnNat).unwrap();
    assert_eq!(back.hook, hopwise::datapath::Hook::Socket);
    assert_eq!(outcome.verdict, Verdict::Delivered);
}

#[test]
fn a_socket_call_that_leads_back_to_the_pod_never_leaves_it() {
    let text = scenario(&ONLY_WEB1, &[&ebpf("")]);
    let outcome = only(ask(&text, "pod/app/web1 -> service/app/web:80"));
    let rules: Vec<Rule> = outcome.steps.iter().map(|step| step.rule).collect();
    assert_eq!(rules, [Rule::Send, Rule::Dnat, Rule::DeliverToPod]);
    assert_eq!(outcome.verdict, Verdict::Delivered);
}

#[test]
fn without_a_backend_the_socket_call_fails_and_the_packet_is_answered() {
    let nobody = ("selector: {app: web}", "selector: {app: nobody}");
    let udp = (
        "ports: [{name: web,",
        "ports: [{name: udp, protocol: UDP, port: 80, targetPort: 8080}, {name: web,",
    );
    for from in ["pod/app/cli", "node/node1"] {
        for (felix, protocol, why) in [
            ("", "", "EPERM"),
            ("", "/UDP", "ICMP port unreachable"),
            (", bpfConnectTimeLoadBalancing: Disabled", "", "ICMP port unreachable"),
            (", bpfConnectTimeLoadBalancing: Enabled", "/UDP", "EPERM"),
        ] {
            let flow = format!("{from} -> service/app/web:80{protocol}");
            let outcome = only(ask(&scenario(&[nobody, udp], &[&ebpf(felix)]), &flow));
            let message = &outcome.cause.as_ref().unwrap().message;
            assert!(message.contains(why), "{flow} {felix}: {message}");
            assert_eq!(outcome.verdict, Verdict::Rejected, "{flow} {felix}");
            let entered = outcome.steps.iter().any(|step| step.rule == Rule::DeviceIn);
            assert_eq!(entered, why != "EPERM" && from.starts_with("pod"), "{flow} {felix}");
        }
    }
}

#[test]
fn in_ebpf_mode_the_sentence_names_calicos_dataplane() {
    let text = scenario(&ONLY_WEB1, &[&ebpf(", bpfConnectTimeLoadBalancing: Disabled")]);
    let traced = ask(&text, "pod/app/web1 -> service/app/web:80");
    let said = hopwise::report::sentence::verdict(&read(&text).cluster, &traced, 0).to_string();
    assert!(said.contains("Calico’s eBPF dataplane on node1 masqueraded the packet"), "{said}");
    let deny = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: quiet, namespace: app}
spec: {podSelector: {matchLabels: {app: cli}}, policyTypes: [Egress]}";
    let text = scenario(&ONLY_WEB1, &[&ebpf(""), deny]);
    let traced = ask(&text, TO_SERVICE);
    let said = hopwise::report::sentence::verdict(&read(&text).cluster, &traced, 0).to_string();
    assert!(said.contains("which Calico’s eBPF dataplane put in the place of"), "{said}");
}

#[test]
fn in_ebpf_mode_commands_read_the_bpf_maps() {
    let felix = ebpf(", bpfConnectTimeLoadBalancing: Disabled, defaultEndpointToHostAction: Drop");
    let flows = [
        "client/near -> nodePort/node2:30080",
        "pod/app/cli -> service/app/web:80",
        "pod/app/web2 -> pod/app/web1:8080",
        "node/node1 -> service/app/web:80",
        "node/node2 -> service/app/web:80",
        "pod/app/cli -> node/node1:10250",
    ];
    for flow in flows {
        let outcome = only(ask(&scenario(&ONLY_WEB1, &[&felix]), flow));
        let expected = if flow.contains("10250") { Verdict::Dropped } else { Verdict::Delivered };
        assert_eq!(outcome.verdict, expected, "{flow}");
        for step in outcome.steps.iter().chain(&outcome.reply) {
            let see = step.inspect.as_ref().map_or("", |inspect| &inspect.command);
            let text = format!("{flow}: {see} {:?}", step.rules);
            for chains in ["iptables", "conntrack -L", "cali-INPUT", "cali-tw-", "cali-fw-"] {
                assert!(!text.contains(chains), "{text}");
            }
            assert!(!text.contains("vxlan.calico"), "no pool has VXLAN: {text}");
        }
    }
    let outcome = only(ask(&scenario(&ONLY_WEB1, &[&felix]), flows[1]));
    let veth = |pod| veth_of(&outcome, pod);
    let egress = format!("calico-node -bpf policy dump {} egress", veth("pod/app/cli"));
    assert_eq!(command(step(&outcome, Rule::EgressGate)), egress);
    let ingress = format!("calico-node -bpf policy dump {} ingress", veth("pod/app/web1"));
    assert_eq!(command(step(&outcome, Rule::IngressGate)), ingress);
    let back = outcome.reply.iter().find(|step| step.rule == Rule::UnNat).unwrap();
    assert_eq!(command(back), "calico-node -bpf conntrack dump");
}

/// The node's end of a pod's veth, as the step on it shows it.
fn veth_of(outcome: &Outcome, pod: &str) -> String {
    let on_device = [Rule::DeviceIn, Rule::DeliverToPod];
    let step = outcome
        .steps
        .iter()
        .find(|step| on_device.contains(&step.rule) && step.device.as_deref() == Some(pod))
        .unwrap();
    command(step).split_whitespace().nth(2).unwrap().to_owned()
}

#[test]
fn every_way_in_ebpf_mode_says_that_it_was_not_measured() {
    let local = ("  clients:", "  routes: [{to: 10.244.0.0/16, via: node1}]\n  clients:");
    let text = scenario(&[local], &[&ebpf("")]);
    for flow in [
        "pod/app/cli -> pod/app/web1:8080",
        "pod/app/cli -> pod/app/web2:8081",
        "node/node1 -> pod/app/web1:8080",
        "node/node1 -> pod/app/web2:8081",
        "client/near -> pod/app/web2:8081",
    ] {
        let outcome = only(ask(&text, flow));
        assert_eq!(outcome.verdict, Verdict::Delivered, "{flow}");
        let gates = [Rule::EgressGate, Rule::IngressGate, Rule::GateSkipped];
        let gates: Vec<&Step> = outcome.steps.iter().filter(|s| gates.contains(&s.rule)).collect();
        assert!(!gates.is_empty(), "{flow}");
        for gate in gates {
            assert!(gate.uncertain.is_some(), "{flow}: {}", gate.summary);
        }
    }
    // What rp_filter would drop passes.
    let outcome = only(ask(&text, "client/near -> pod/app/web2:8081"));
    let unwrap = step(&outcome, Rule::Decapsulate).uncertain.as_deref().unwrap();
    assert!(unwrap.contains("rp_filter"), "{unwrap}");
}

#[test]
fn in_ebpf_mode_source_ranges_are_certain_for_neither_pods_nor_nodes() {
    let ranges = ("  selector", "  loadBalancerSourceRanges: [203.0.113.0/24]\n  selector");
    let text = scenario(&[ONLY_WEB1[0], ONLY_WEB1[1], ranges], &[&ebpf("")]);
    let why = |flow: &str| step(&only(ask(&text, flow)), Rule::Dnat).uncertain.clone().unwrap();
    for from in ["pod/app/cli", "node/node1"] {
        let said = why(&format!("{from} -> loadBalancer/app/web:80"));
        assert!(said.contains("loadBalancerSourceRanges"), "{from}: {said}");
        let said = why(&format!("{from} -> service/app/web:80"));
        assert!(!said.contains("loadBalancerSourceRanges"), "{from}: {said}");
    }
}

#[test]
fn in_ebpf_mode_calico_answers_the_health_checks() {
    let local =
        ("  selector", "  externalTrafficPolicy: Local\n  healthCheckNodePort: 32000\n  selector");
    let outcome = only(ask(&scenario(&[local], &[&ebpf("")]), "client/near -> node/node1:32000"));
    let said = &step(&outcome, Rule::DeliverToHost).summary;
    assert!(said.starts_with("Calico's eBPF dataplane on node1 listens"), "{said}");
}
