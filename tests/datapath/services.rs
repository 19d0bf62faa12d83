//! Which endpoints services have, and who reaches them.

use hopwise::datapath::{CauseKind, Rule};
use hopwise::net::Verdict;
use hopwise::{Flow, read, trace};

use crate::{TO_SERVICE, ask, endpoints, only, reasons, scenario, step};

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
