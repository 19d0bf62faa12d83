//! Calico's eBPF dataplane.

use hopwise::cluster::PodId;
use hopwise::datapath::{
    CauseKind, Device, Doubt, Fact, FrontendKind, FrontendRef, Hint, HintedBy, Hook, Left,
    Listener, Outcome, Refused, Rule, Step,
};
use hopwise::net::Verdict;
use hopwise::{read, words};

use crate::{
    ADVERTISING, CLI, NODE1, ONLY_WEB1, TO_SERVICE, WEB, WEB1, ask, command, doubt, ebpf,
    endpoints, only, rules, said, scenario, step, way_back, why,
};

#[test]
fn ebpf_answers_through_the_node_that_was_asked_or_under_dsr_directly() {
    let on_node2 = ("selector: {app: web}", "selector: {app: web, only: one}");
    let labelled = (
        "name: web2, namespace: app, labels: {",
        "name: web2, namespace: app, labels: {only: one, ",
    );
    let asked = |felix: &str| {
        let text = scenario(&[on_node2, labelled], &[felix]);
        let outcome = only(ask(&text, "client/near -> nodePort/node1:30080"));
        (way_back(&text, &outcome), outcome)
    };
    let (way, tunnel) = asked(&ebpf(""));
    assert_eq!(way, ["node2", "node1", "near"]);
    let (way, dsr) = asked(&ebpf(", bpfExternalServiceMode: DSR"));
    assert_eq!(way, ["node2", "near"]);
    for outcome in [tunnel, dsr] {
        assert_eq!(outcome.verdict, Verdict::Delivered);
        assert_eq!(outcome.source_seen_by_app.unwrap().to_string(), "203.0.113.9");
        let answer = &outcome.reply.last().unwrap().before;
        assert_eq!(answer.from(), "192.168.1.11:30080", "the client gets what it asked");
        assert!(outcome.steps.iter().any(|step| step.doubt == Some(Doubt::Unmeasured)));
    }
}

#[test]
fn ebpf_rewrites_in_the_socket_call_what_it_is_told_to() {
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
    let text = scenario(&[both], &[&ebpf("")]);
    let traced = ask(&text, TO_SERVICE);
    assert_eq!(
        rules(&text, step(&traced.outcomes[0], Rule::Dnat)),
        [
            "10.96.0.9 port 80 proto 6 id N count 2 local 1",
            "\tN:0\t 10.244.1.5:8080",
            "\tN:1\t 10.244.2.5:8081",
        ]
    );
}

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
        assert_eq!(way_back(&text, &outcome), way, "{from}");
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
        let traced = ask(&text, "client/near -> nodePort/node3:30080");
        (text, traced)
    };
    let (text, near) = zoned(["a", "b"]);
    assert_eq!(near.verdict, Verdict::Delivered);
    assert_eq!(endpoints(&text, &near), ["pod/app/web1", "pod/app/web2"]);
    // Each endpoint is meant for the other's zone: its own node has none that it may use.
    let (text, far) = zoned(["b", "a"]);
    assert_eq!(far.verdict, Verdict::Rejected);
    let hint = Hint { meant: 1, ready: 2, by: HintedBy::Zone, node: NODE1 };
    let refused = &step(&far.outcomes[0], Rule::NoEndpoints).fact;
    let Fact::Refused(Refused::NoBackend { left, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(*left, Left::Hinted(hint));
    let message = why(&text, &far.outcomes[0]);
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
                assert_eq!(rules(&text, stop), [entry]);
                assert_eq!(command(&text, stop), "calico-node -bpf routes dump");
                assert_eq!(stop.doubt, Some(Doubt::Unmeasured));
            }
        }
    }
    let felix = ebpf(", serviceLoopPrevention: Disabled");
    let traced = ask(&scenario(&[], &[ADVERTISING, &felix]), "client/near -> ip/10.96.7.7:80");
    assert_eq!(traced.outcomes[0].cause.as_ref().unwrap().kind, CauseKind::NoRoute);
}

/// The request's steps by their kind, with the destination after each.
fn sent(outcome: &Outcome) -> Vec<(Rule, String)> {
    outcome.steps.iter().map(|step| (step.rule(), step.after.to())).collect()
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
    assert_eq!(step(&outcome, Rule::Dnat).device, Some(Device::Pod(CLI)));
    // The answer is translated back where the call was rewritten: no conntrack does it.
    let back = outcome.reply.iter().find(|step| step.rule() == Rule::UnNat).unwrap();
    assert_eq!(back.hook, Hook::Socket);
    assert_eq!(outcome.verdict, Verdict::Delivered);
}

#[test]
fn a_socket_call_that_leads_back_to_the_pod_never_leaves_it() {
    let text = scenario(&ONLY_WEB1, &[&ebpf("")]);
    let outcome = only(ask(&text, "pod/app/web1 -> service/app/web:80"));
    let rules: Vec<Rule> = outcome.steps.iter().map(Step::rule).collect();
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
        for (felix, protocol, hook) in [
            ("", "", Hook::Socket),
            ("", "/UDP", Hook::Device),
            (", bpfConnectTimeLoadBalancing: Disabled", "", Hook::Device),
            (", bpfConnectTimeLoadBalancing: Enabled", "/UDP", Hook::Socket),
        ] {
            let flow = format!("{from} -> service/app/web:80{protocol}");
            let text = scenario(&[nobody, udp], &[&ebpf(felix)]);
            let outcome = only(ask(&text, &flow));
            let refused = step(&outcome, Rule::NoEndpoints);
            let (port, kind) = (usize::from(protocol.is_empty()), FrontendKind::ClusterIp);
            let frontend = FrontendRef { service: WEB, port, kind };
            let fact = Fact::Refused(Refused::NoBackend { frontend, left: Left::None });
            assert_eq!((refused.hook, &refused.fact), (hook, &fact), "{flow} {felix}");
            let how = if hook == Hook::Socket { "EPERM" } else { "ICMP port unreachable" };
            let message = why(&text, &outcome);
            assert!(message.ends_with(how), "{flow} {felix}: {message}");
            assert_eq!(outcome.verdict, Verdict::Rejected, "{flow} {felix}");
            let entered = outcome.steps.iter().any(|step| step.rule() == Rule::DeviceIn);
            assert_eq!(entered, hook == Hook::Device && from.starts_with("pod"), "{flow} {felix}");
        }
    }
}

#[test]
fn in_ebpf_mode_the_sentence_names_calicos_dataplane() {
    let text = scenario(&ONLY_WEB1, &[&ebpf(", bpfConnectTimeLoadBalancing: Disabled")]);
    let traced = ask(&text, "pod/app/web1 -> service/app/web:80");
    let said = words::verdict::verdict(&read(&text).cluster, &traced, 0).to_string();
    assert!(said.contains("Calico’s eBPF dataplane on node1 masqueraded the packet"), "{said}");
    let deny = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: quiet, namespace: app}
spec: {podSelector: {matchLabels: {app: cli}}, policyTypes: [Egress]}";
    let text = scenario(&ONLY_WEB1, &[&ebpf(""), deny]);
    let traced = ask(&text, TO_SERVICE);
    let said = words::verdict::verdict(&read(&text).cluster, &traced, 0).to_string();
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
    let text = scenario(&ONLY_WEB1, &[&felix]);
    let cluster = read(&text).cluster;
    for flow in flows {
        let outcome = only(ask(&text, flow));
        let expected = if flow.contains("10250") { Verdict::Dropped } else { Verdict::Delivered };
        assert_eq!(outcome.verdict, expected, "{flow}");
        for step in outcome.steps.iter().chain(&outcome.reply) {
            let (rules, inspect) = words::rules(&cluster, step);
            let see = inspect.map_or_else(String::new, |inspect| inspect.command);
            let told = format!("{flow}: {see} {rules:?}");
            for chains in ["iptables", "conntrack -L", "cali-INPUT", "cali-tw-", "cali-fw-"] {
                assert!(!told.contains(chains), "{told}");
            }
            assert!(!told.contains("vxlan.calico"), "no pool has VXLAN: {told}");
        }
    }
    let outcome = only(ask(&text, flows[1]));
    let veth = |pod| veth_of(&text, &outcome, pod);
    let egress = format!("calico-node -bpf policy dump {} egress", veth(CLI));
    assert_eq!(command(&text, step(&outcome, Rule::EgressGate)), egress);
    let ingress = format!("calico-node -bpf policy dump {} ingress", veth(WEB1));
    assert_eq!(command(&text, step(&outcome, Rule::IngressGate)), ingress);
    let back = outcome.reply.iter().find(|step| step.rule() == Rule::UnNat).unwrap();
    assert_eq!(command(&text, back), "calico-node -bpf conntrack dump");
}

/// The node's end of a pod's veth, as the step on it shows it.
fn veth_of(text: &str, outcome: &Outcome, pod: PodId) -> String {
    let on_device = [Rule::DeviceIn, Rule::DeliverToPod];
    let step = outcome
        .steps
        .iter()
        .find(|step| on_device.contains(&step.rule()) && step.pod() == Some(pod))
        .unwrap();
    command(text, step).split_whitespace().nth(2).unwrap().to_owned()
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
        let gates: Vec<&Step> =
            outcome.steps.iter().filter(|s| gates.contains(&s.rule())).collect();
        assert!(!gates.is_empty(), "{flow}");
        for gate in gates {
            assert_eq!(gate.doubt, Some(Doubt::Unmeasured), "{flow}: {:?}", gate.fact);
        }
    }
    // What rp_filter would drop passes.
    let outcome = only(ask(&text, "client/near -> pod/app/web2:8081"));
    let back = Device::Ethernet;
    assert_eq!(doubt(&outcome, Rule::Decapsulate), Some(Doubt::EbpfRpFilter { back }));
}

#[test]
fn in_ebpf_mode_source_ranges_are_certain_for_neither_pods_nor_nodes() {
    let ranges = ("  selector", "  loadBalancerSourceRanges: [203.0.113.0/24]\n  selector");
    let text = scenario(&[ONLY_WEB1[0], ONLY_WEB1[1], ranges], &[&ebpf("")]);
    let doubt = |flow: &str| doubt(&only(ask(&text, flow)), Rule::Dnat);
    for from in ["pod/app/cli", "node/node1"] {
        let balancer = doubt(&format!("{from} -> loadBalancer/app/web:80"));
        assert_eq!(balancer, Some(Doubt::EbpfSourceRange(WEB)), "{from}");
        let inside = doubt(&format!("{from} -> service/app/web:80"));
        assert_eq!(inside, Some(Doubt::Unmeasured), "{from}");
    }
}

#[test]
fn in_ebpf_mode_calico_answers_the_health_checks() {
    let local =
        ("  selector", "  externalTrafficPolicy: Local\n  healthCheckNodePort: 32000\n  selector");
    let text = scenario(&[local], &[&ebpf("")]);
    let outcome = only(ask(&text, "client/near -> node/node1:32000"));
    let answers = step(&outcome, Rule::DeliverToHost);
    let check = Listener::HealthCheck { service: WEB, ready: 1 };
    assert_eq!(answers.fact, Fact::DeliverToHost(check));
    let said = said(&text, answers);
    assert!(said.starts_with("Calico's eBPF dataplane on node1 listens"), "{said}");
}
