//! What the modes of kube-proxy do each in their own way.

use hopwise::datapath::{
    CauseKind, Device, Dnat, Doubt, Evidence, Fact, Hook, Late, Masquerade, Masquerades, NotTaken,
    Outcome, Refused, Rule, Skipped, Unanswered,
};
use hopwise::net::Verdict;

use crate::{
    ONLY_HOST_NETWORK, ONLY_WEB2, ONLY_WEB2_LOCAL, WEB, WEB2, ask, ask_with_route, command, doubt,
    only, proxy_mode, rules, said, scenario, shows, step, why,
};

/// How the destination was rewritten.
fn dnat(outcome: &Outcome) -> Dnat {
    match step(outcome, Rule::Dnat).fact {
        Fact::Dnat(dnat) => dnat,
        ref other => panic!("{other:?}"),
    }
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
        traced.outcomes[0].steps.iter().any(|step| step.rule() == Rule::IngressGate)
    };
    assert!(asked("30080", &[config]));
    assert!(!asked("20500", &[config]));
    assert!(!asked("30080", &[config, felix]));
    assert!(asked("20500", &[config, felix]));
    assert!(asked("22000", &[config, felix]));
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
    assert_eq!((new.verdict, doubt(&new, Rule::Dnat)), (Verdict::Delivered, None));
    let untold =
        only(ask(&scenario(&[far, labelled], &[ipvs]), "pod/app/cli -> nodePort/node1:30080"));
    assert_eq!(untold.verdict, Verdict::Delivered);
    assert_eq!(doubt(&untold, Rule::Dnat), Some(Doubt::FallbackUntold));
}

#[test]
fn ipvs_masquerades_to_itself_only_the_endpoints_of_the_node() {
    // KUBE-LOOP-BACK of node1 does not hold node2's endpoint, so node1 leaves its source alone.
    let kept = ("ipipMode: Always, natOutgoing: true", "natOutgoing: false");
    let edits = [&ONLY_WEB2_LOCAL[..], &[kept]].concat();
    let text = scenario(&edits, &[&proxy_mode("ipvs")]);
    let elsewhere = only(ask(&text, "pod/app/web2 -> nodePort/node1:30080"));
    assert!(elsewhere.steps.iter().all(|step| step.rule() != Rule::Masquerade));
    assert_eq!(elsewhere.verdict, Verdict::Dropped);
    assert_eq!(elsewhere.cause.unwrap().kind, CauseKind::RpFilter);
    let here = only(ask(&text, "pod/app/web2 -> nodePort/node2:30080"));
    assert_eq!(here.verdict, Verdict::Delivered);
    // Nothing marks it: the set of the endpoints' own addresses decides.
    assert!(!dnat(&here).marked);
    let masquerade = step(&here, Rule::Masquerade);
    let (why, out) = (Masquerades::LoopBack, Device::Pod(WEB2));
    assert_eq!(masquerade.fact, Fact::Masquerade(Masquerade { why, out, fixed: false }));
    assert!(rules(&text, masquerade)[0].contains("KUBE-LOOP-BACK dst,dst,src -j MASQUERADE"));
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
    let text = scenario(&[], &[&nftables, SERVICE_CIDR]);
    let known = only(ask(&text, free));
    assert_eq!(known.verdict, Verdict::Dropped);
    let last = known.steps.last().unwrap();
    assert_eq!(last.fact, Fact::Refused(Refused::Unallocated(Some(0))));
    let lines = rules(&text, last);
    assert!(lines[0].contains("10.96.0.0/16 } drop"), "{lines:?}");
    assert_eq!(last.doubt, None);
    assert_eq!(known.cause.unwrap().cite.unwrap().field, "spec.cidrs[0]");
    // Without the ServiceCIDR it is a guess by the addresses that services have.
    let unknown = only(ask(&scenario(&[], &[&nftables]), free));
    assert_eq!(unknown.verdict, Verdict::Dropped);
    let last = unknown.steps.last().unwrap();
    assert_eq!(last.fact, Fact::Refused(Refused::Unallocated(None)));
    assert_eq!(last.doubt, Some(Doubt::GuessedRange));
    // Other addresses are machines outside as before.
    let outside =
        only(ask(&scenario(&[], &[&nftables, SERVICE_CIDR]), "pod/app/cli -> ip/9.9.9.9:80"));
    assert_eq!(outside.verdict, Verdict::Delivered);
    // iptables mode has no such rule, but no machine outside has the address either.
    let iptables = only(ask(&scenario(&[], &[SERVICE_CIDR]), free));
    assert_eq!(iptables.verdict, Verdict::Unroutable);
}

#[test]
fn without_a_service_cidr_nftables_is_not_taken_to_drop_what_somebody_else_has() {
    let nftables = proxy_mode("nftables");
    let refused = |edits: &[(&str, &str)], to: &str| {
        let asked = ask(&scenario(edits, &[&nftables]), &format!("pod/app/cli -> ip/{to}:80"));
        let mut steps = asked.outcomes.iter().flat_map(|outcome| &outcome.steps);
        steps.any(|step| step.fact == Fact::Refused(Refused::Unallocated(None)))
    };
    let services_near = |ip: &'static str| ("clusterIP: 10.96.0.9", ip);
    let by_nodes = services_near("clusterIP: 192.168.7.9");
    let by_clients = services_near("clusterIP: 203.0.7.9");
    assert!(refused(&[by_nodes], "192.168.9.9"));
    assert!(!refused(&[by_nodes], "192.168.1.12"), "a node");
    assert!(!refused(&[by_nodes], "192.168.1.99"), "a node's subnet");
    assert!(refused(&[by_clients], "203.0.113.10"));
    assert!(!refused(&[by_clients], "203.0.113.9"), "a client");
    let balancer = ("  clients:", "  loadBalancers: [{name: lb, ip: 203.0.113.10}]\n  clients:");
    assert!(!refused(&[by_clients, balancer], "203.0.113.10"), "a balancer");
    let route = ("  clients:", "  routes: [{to: 203.0.113.10/32, via: node2}]\n  clients:");
    assert!(!refused(&[by_clients, route], "203.0.113.10"), "routed");
    let pools = services_near("clusterIP: 10.244.200.9");
    assert!(!refused(&[pools], "10.244.77.7"), "a pool");
    let pod = ("podIP: 10.244.2.5", "podIP: 10.96.2.5");
    assert!(refused(&[pod], "10.96.2.6"));
    assert!(!refused(&[pod], "10.96.2.5"), "a pod");
    // A range of the other family says nothing of this one.
    let six = SERVICE_CIDR.replace("10.96.0.0/16", "fd00:10:96::/112");
    let text = scenario(&[], &[&nftables, &six]);
    let last = only(ask(&text, "pod/app/cli -> ip/10.96.7.7:80")).steps.pop().unwrap();
    assert_eq!(last.fact, Fact::Refused(Refused::Unallocated(None)));
}

#[test]
fn the_fallback_of_ipvs_is_not_certain_around_its_release() {
    let told = |version: &str| {
        let info = format!("kind: Node\nstatus: {{nodeInfo: {{kubeletVersion: {version}}}}}\n");
        let edits = [&ONLY_WEB2_LOCAL[..], &[("kind: Node\n", &info)]].concat();
        only(ask(&scenario(&edits, &[&proxy_mode("ipvs")]), "pod/app/cli -> nodePort/node1:30080"))
    };
    for (version, rule, why) in [
        ("v1.21.0", Rule::NoEndpoints, None),
        ("v1.23.0", Rule::NoEndpoints, Some(Doubt::FallbackRelease)),
        ("v1.24.0", Rule::Dnat, Some(Doubt::FallbackRelease)),
        ("v1.27.0", Rule::Dnat, None),
    ] {
        assert_eq!(doubt(&told(version), rule), why, "{version}");
    }
}

#[test]
fn a_node_port_that_nobody_answers_names_its_service_and_why() {
    let flow = "pod/app/cli -> nodePort/node1:30080";
    let refused = |edits: &[(&str, &str)], more: &[&str], flow: &str| {
        let outcome = only(ask(&scenario(edits, more), flow));
        assert_eq!(outcome.verdict, Verdict::Rejected);
        let Fact::NoListener(unanswered) = step(&outcome, Rule::NoListener).fact else { panic!() };
        (unanswered, outcome.cause.unwrap().cite)
    };
    let nobody = [("selector: {app: web}", "selector: {app: nobody}")];
    // Accept ends the filter table before kube-proxy's REJECT.
    let (unanswered, cite) = refused(&nobody, &[&proxy_mode("iptables")], flow);
    let late = Some(Late { rejects: true, endpoint_to_host: true });
    assert_eq!(unanswered, Some(Unanswered { service: WEB, why: NotTaken::NoEndpoints, late }));
    assert_eq!(cite.unwrap().object.name, "web");
    // Without a local detector the pod's own packet is not sent to other nodes' endpoints.
    let unable = proxy_mode("iptables").replace("clusterCIDR: 10.244.0.0/16", "");
    let (unanswered, _) = refused(&ONLY_WEB2_LOCAL, &[&unable], flow);
    let late = Some(Late { rejects: false, endpoint_to_host: true });
    assert_eq!(
        unanswered,
        Some(Unanswered { service: WEB, why: NotTaken::NoLocalEndpoints, late })
    );
    // nodePortAddresses leaves the address out.
    let narrow = format!("{}\nnodePortAddresses: [192.168.1.12/32]", proxy_mode("iptables"));
    let text = scenario(&[], &[&narrow]);
    let outcome = only(ask(&text, "client/near -> nodePort/node1:30080"));
    let last = step(&outcome, Rule::NoListener);
    let why = Unanswered { service: WEB, why: NotTaken::Address, late: None };
    assert_eq!(last.fact, Fact::NoListener(Some(why)));
    assert!(last.evidence.contains(&Evidence::NodePortAddresses));
    let told = said(&text, last);
    assert!(told.contains("Service app/web"), "{told}");
    assert!(told.contains("nodePortAddresses leaves only 192.168.1.12/32"), "{told}");
    // A port that is no node port has no such story.
    assert_eq!(refused(&[], &[], "client/near -> node/node1:9").0, None);
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
        assert_eq!(refused.doubt, None, "no egress policy can come before it");
    }
}

#[test]
fn source_ranges_are_shown_with_the_rules_that_hold_them() {
    let within = ("  selector", "  loadBalancerSourceRanges: [10.0.0.0/8]\n  selector");
    let edits = [&ONLY_WEB2[..], &[within]].concat();
    let flow = "pod/app/cli -> loadBalancer/app/web:80";
    let text = scenario(&edits, &[&proxy_mode("iptables")]);
    let lines = rules(&text, step(&only(ask(&text, flow)), Rule::Dnat));
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
    let text = scenario(&edits, &[&proxy_mode("ipvs")]);
    let outcome = only(ask_with_route(&text, "client/near -> loadBalancer/app/web:80"));
    let refused = step(&outcome, Rule::SourceRange);
    assert!(command(&text, refused).starts_with("iptables"), "{refused:?}");
}

#[test]
fn the_rule_that_takes_a_short_cut_under_local_is_shown() {
    let text = |mode: &str| scenario(&ONLY_WEB2_LOCAL, &[&proxy_mode(mode)]);
    let lines = |mode: &str, flow: &str| {
        let text = text(mode);
        rules(&text, step(&only(ask(&text, flow)), Rule::Dnat)).join("\n")
    };
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
    let skipped = step(&pod, Rule::GateSkipped);
    assert_eq!(skipped.fact, Fact::GateSkipped(Skipped::HandedOn { node_port: false }));
    assert_eq!(skipped.doubt, Some(Doubt::HandedOn));
    // The node's own packet goes on to POSTROUTING, with the mark.
    let host = only(ask(&text, "node/node1 -> service/app/web:80"));
    assert_eq!(step(&host, Rule::Masquerade).after.source.to_string(), "192.168.1.11");
    assert_eq!(host.source_seen_by_app.unwrap().to_string(), "192.168.1.11");
    // A mark that no POSTROUTING reads is not announced.
    let client = only(ask(&text, "client/near -> nodePort/node1:30080"));
    assert_eq!(client.source_seen_by_app.unwrap().to_string(), "203.0.113.9");
    assert!(dnat(&client).unread);
}

#[test]
fn whether_ipvs_answers_node_ports_on_loopback_is_not_certain() {
    let flow = "node/node1 -> ip/127.0.0.1:30080";
    let ipvs = only(ask(&scenario(&[], &[&proxy_mode("ipvs")]), flow));
    assert_eq!(doubt(&ipvs, Rule::NoListener), Some(Doubt::IpvsLoopback));
    // nftables mode has no rule for loopback addresses, and says so.
    let text = scenario(&[], &[&proxy_mode("nftables")]);
    let nftables = only(ask(&text, flow));
    assert_eq!(doubt(&nftables, Rule::NoListener), None);
    assert!(shows(&nftables, Evidence::Mode));
    assert!(why(&text, &nftables).contains("127.0.0.0/8"));
}
