//! Calico's pools, routes and addresses.

use hopwise::cluster::RouteDoubt;
use hopwise::datapath::{CauseKind, Device, Doubt, Outcome, Rule};
use hopwise::net::{Encapsulation, Verdict};

use crate::{ADVERTISING, ONLY_WEB2, ask, doubt, only, rules, scenario, step};

#[test]
fn nat_outgoing_gives_the_address_that_felix_is_told() {
    let felix = "
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {natOutgoingAddress: 192.168.1.77}";
    let text = scenario(&[], &[felix]);
    let outcome = only(ask(&text, "pod/app/cli -> ip/203.0.113.9:443"));
    let translated = step(&outcome, Rule::NatOutgoing);
    assert_eq!(translated.after.source.to_string(), "192.168.1.77");
    assert!(rules(&text, translated)[0].contains("SNAT --to-source 192.168.1.77"));
    assert_eq!(outcome.verdict, Verdict::Dropped, "no machine has the address: the answer is lost");
}

#[test]
fn what_kube_proxy_masquerades_has_the_nodes_address_whatever_felix_is_told() {
    let felix = "
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {natOutgoingAddress: 192.168.1.77}";
    // A client's packet to the other node's pod, by the tunnel.
    let text = scenario(&ONLY_WEB2, &[felix]);
    let client = only(ask(&text, "client/near -> nodePort/node1:30080"));
    assert_eq!(client.source_at_pod.unwrap().to_string(), "10.244.1.1");
    // A pod's packet that leaves the pools: both rules apply to it, and kube-proxy's comes first.
    let outside = "
apiVersion: v1
kind: Service
metadata: {name: db, namespace: app}
spec: {type: NodePort, clusterIP: 10.96.0.50, ports: [{port: 5432, nodePort: 30432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db, namespace: app, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.50.0.9]}]
ports: [{port: 5000}]";
    let pod = only(ask(&scenario(&[], &[felix, outside]), "pod/app/cli -> nodePort/node1:30432"));
    assert_eq!(pod.source_seen_by_app.unwrap().to_string(), "192.168.1.11");
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
        step(&outcome, Rule::Encapsulate).device
    };
    let tunnel = |encapsulation| Some(Device::Tunnel(encapsulation));
    assert_eq!(wrapped("pod/app/cli -> pod/app/web2:8081"), tunnel(Encapsulation::Ipip));
    assert_eq!(wrapped("pod/app/cli -> pod/app/other:80"), tunnel(Encapsulation::Vxlan));
    // Between the pools request and answer take different tunnels.
    let strict = only(ask(&scenario(&[], &[pool]), "pod/app/cli -> pod/app/other:80"));
    assert_eq!(strict.cause.unwrap().kind, CauseKind::RpFilter);
}

#[test]
fn advertised_service_addresses_lead_to_every_node_or_under_local_to_those_with_endpoints() {
    let text = scenario(&[], &[ADVERTISING]);
    let ways = |text: &str, flow: &str| {
        let mut ways: Vec<String> = ask(text, flow)
            .outcomes
            .iter()
            .map(|outcome| {
                let step = step(outcome, Rule::RouterForward);
                rules(text, step)[0].clone()
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
    let assumed = Some(Doubt::Route(RouteDoubt::NoRouters));
    assert_eq!(doubt(&untold.outcomes[0], Rule::RouterForward), assumed);
    let peer = "
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor}
spec: {peerIP: 192.168.1.1, asNumber: 64513}";
    let told = ask(&scenario(&[], &[ADVERTISING, peer]), to_external);
    assert_eq!(doubt(&told.outcomes[0], Rule::RouterForward), None);
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

const WIREGUARD: &str = "
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {wireguardEnabled: true}";

#[test]
fn wireguard_wraps_instead_of_the_pools_tunnels() {
    let text = scenario(&[], &[WIREGUARD]);
    let outcome = only(ask(&text, "pod/app/cli -> pod/app/web2:8081"));
    let device = step(&outcome, Rule::Encapsulate).device;
    assert_eq!(device, Some(Device::Tunnel(Encapsulation::Wireguard)));
    assert_eq!(outcome.source_seen_by_app.unwrap().to_string(), "10.244.1.6");
    let doubts = |outcome: &Outcome| -> Vec<Doubt> {
        outcome.steps.iter().filter_map(|step| step.doubt).collect()
    };
    assert_eq!(doubts(&outcome), [], "a pod's own packet is not touched");
    // What the node itself sends is not settled.
    let own = only(ask(&text, "node/node1 -> pod/app/web2:8081"));
    assert_eq!(doubts(&own), [Doubt::WireguardSource]);
}

#[test]
fn a_tunnels_address_is_uncertain_where_it_was_assumed() {
    let text = scenario(&ONLY_WEB2, &[]);
    let known = only(ask(&text, "client/near -> nodePort/node1:30080"));
    assert_eq!(doubt(&known, Rule::Masquerade), None);
    let silent = text.replace(", projectcalico.org/IPv4IPIPTunnelAddr: 10.244.1.1", "");
    let assumed = only(ask(&silent, "client/near -> nodePort/node1:30080"));
    let source = step(&assumed, Rule::Masquerade).after.source;
    assert_eq!(doubt(&assumed, Rule::Masquerade), Some(Doubt::TunnelAddress(source)));
}
