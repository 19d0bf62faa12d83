//! Which endpoints services have, and who reaches them.

use hopwise::cluster::{BalancerId, ServiceId, Unresolved};
use hopwise::datapath::{
    Because, CauseKind, Evidence, Fact, Hint, HintedBy, Listener, NoTarget, Rule, Trace,
};
use hopwise::net::Verdict;
use hopwise::{Flow, read, trace};

use crate::{
    NODE1, TO_SERVICE, WEB, ask, endpoints, only, rules, said, scenario, shows, step, why,
};

#[test]
fn every_endpoint_is_as_likely_and_named_ports_are_each_pods_own() {
    let text = scenario(&[], &[]);
    let traced = ask(&text, TO_SERVICE);
    assert_eq!(endpoints(&text, &traced), ["pod/app/web1", "pod/app/web2"]);
    let to: Vec<String> = traced.outcomes.iter().map(|o| step(o, Rule::Dnat).after.to()).collect();
    assert_eq!(to, ["10.244.1.5:8080", "10.244.2.5:8081"]);
    assert_eq!(
        rules(&text, step(&traced.outcomes[0], Rule::Dnat))[1]
            .split_once(" -m statistic")
            .unwrap()
            .1,
        " --mode random --probability 0.50000000000 -j KUBE-SEP-TOFCBYNZ4Q7J6SVY"
    );
}

#[test]
fn session_affinity_is_said_with_its_rules() {
    let affinity = ("  selector", "  sessionAffinity: ClientIP\n  selector");
    let text = scenario(&[affinity], &[]);
    let traced = ask(&text, TO_SERVICE);
    let dnat = step(&traced.outcomes[0], Rule::Dnat);
    assert!(dnat.evidence.contains(&Evidence::Affinity(WEB)));
    let rules = rules(&text, dnat).join("\n");
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
    for (node, ready, answer) in [("node1", 1, "it answers 200"), ("node2", 0, "it answers 503")] {
        let outcome = only(ask(&text, &format!("client/near -> node/{node}:32100")));
        assert_eq!(outcome.verdict, Verdict::Delivered);
        let answers = step(&outcome, Rule::DeliverToHost);
        let check = Listener::HealthCheck { service: WEB, ready };
        assert_eq!(answers.fact, Fact::DeliverToHost(check));
        assert!(said(&text, answers).contains(answer));
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
    for (hinted, by) in [(&zones, HintedBy::Zone), (&nodes, HintedBy::Node)] {
        let text = scenario(&[], &[hinted]);
        let traced = ask(&text, TO_SERVICE);
        assert_eq!(endpoints(&text, &traced), ["pod/app/web1"]);
        let hint = Hint { meant: 1, ready: 2, by, node: NODE1 };
        assert!(shows(&traced.outcomes[0], Evidence::Hinted(WEB, hint)), "{hint:?}");
    }
    let text = scenario(&[], &[&some]);
    let found = endpoints(&text, &ask(&text, TO_SERVICE));
    assert_eq!(found.len(), 2, "hints count only if every endpoint has one");
}

#[test]
fn endpoints_that_are_not_ready_are_left_out_unless_published() {
    let unready = (
        "status: {podIP: 10.244.1.5}",
        "status: {podIP: 10.244.1.5, conditions: [{type: Ready, status: \"False\"}]}",
    );
    let text = scenario(&[unready], &[]);
    assert_eq!(endpoints(&text, &ask(&text, TO_SERVICE)), ["pod/app/web2"]);
    let published = ("  selector", "  publishNotReadyAddresses: true\n  selector");
    let text = scenario(&[unready, published], &[]);
    assert_eq!(endpoints(&text, &ask(&text, TO_SERVICE)).len(), 2);
}

#[test]
fn a_headless_services_name_gives_its_endpoints_addresses() {
    let headless = ("clusterIP: 10.96.0.9\n  externalIPs: [198.51.100.7]", "clusterIP: None");
    let plain = ("type: LoadBalancer", "type: ClusterIP");
    let port = (", nodePort: 30080", "");
    let status = ("status: {loadBalancer: {ingress: [{ip: 192.0.2.10}]}}", "");
    let text = scenario(&[headless, plain, port, status], &[]);
    let traced = ask(&text, TO_SERVICE);
    assert_eq!(endpoints(&text, &traced), ["pod/app/web1", "pod/app/web2"]);
    assert!(traced.outcomes.iter().all(|o| o.steps.iter().all(|step| step.rule() != Rule::Dnat)));
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
    let text = scenario(&[], &[]);
    let refused = only(ask(&text, "pod/app/cli -> node/node2:68/UDP"));
    assert_eq!(refused.verdict, Verdict::Rejected);
    assert!(why(&text, &refused).ends_with("an ICMP port unreachable"));
    assert_eq!(refused.reply.last().unwrap().fact, Fact::ReplyDelivered { refusal: true });
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
    let text = scenario(&[], &[loops]);
    let traced = ask(&text, "client/near -> ip/10.96.99.99:80");
    assert!(traced.outcomes.len() <= 3, "{} ways", traced.outcomes.len());
    for outcome in traced.outcomes {
        assert_eq!(outcome.cause.unwrap().because, Because::Circles);
    }
}

#[test]
fn an_external_name_is_only_a_name() {
    let service = "
apiVersion: v1
kind: Service
metadata: {name: there, namespace: app}
spec: {type: ExternalName, externalName: example.org}";
    let text = scenario(&[], &[service]);
    let cause = only(ask(&text, "pod/app/cli -> service/app/there:80")).cause.unwrap();
    assert_eq!(cause.kind, CauseKind::NoSuchDestination);
    let there = Unresolved::OnlyAName { service: ServiceId(1) };
    assert_eq!(cause.because, Because::Unresolved(there));
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
    assert!(outcome.steps.iter().all(|step| step.rule() != Rule::Dnat));
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
    let text = scenario(&[none, forbids, balancer], &[]);
    let outcome = only(ask(&text, flow));
    assert_ne!(outcome.verdict, Verdict::Delivered);
    let without = Because::NoTarget(BalancerId(0), NoTarget::NoNodePort(WEB));
    assert_eq!(outcome.cause.unwrap().because, without);
    // Without the field kube-apiserver allocates one.
    let text = scenario(&[none, balancer], &[]);
    assert_eq!(ask(&text, flow).outcomes[0].verdict, Verdict::Delivered);
    // A port that the text writes is there whatever the field says.
    let text = scenario(&[forbids, balancer], &[]);
    assert_eq!(ask(&text, flow).outcomes[0].verdict, Verdict::Delivered);
}

/// A service without a selector, and the `Endpoints` that somebody wrote for it.
fn old(subsets: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: db, namespace: app}}
spec:
  type: NodePort
  clusterIP: 10.96.0.50
  externalTrafficPolicy: Local
  ports: [{{name: sql, port: 5432, nodePort: 30432}}, {{name: stats, port: 9187, nodePort: 30187}}]
---
apiVersion: v1
kind: Endpoints
metadata: {{name: db, namespace: app}}
subsets: {subsets}"
    )
}

fn destinations(traced: &Trace) -> Vec<String> {
    traced.outcomes.iter().map(|outcome| step(outcome, Rule::Dnat).after.to()).collect()
}

const TO_OLD: &str = "pod/app/cli -> service/app/db:5432";

#[test]
fn old_endpoints_are_the_ready_addresses() {
    let db = old("
- addresses: [{ip: 10.244.1.5}, {ip: 10.50.0.9}]
  notReadyAddresses: [{ip: 10.244.2.5}]
  ports: [{name: sql, port: 5000}]");
    let text = scenario(&[], &[&db]);
    let traced = ask(&text, TO_OLD);
    assert_eq!(endpoints(&text, &traced), ["pod/app/web1", "10.50.0.9:5000"]);
    assert_eq!(destinations(&traced), ["10.244.1.5:5000", "10.50.0.9:5000"]);

    let unready =
        old("[{notReadyAddresses: [{ip: 10.244.2.5}], ports: [{name: sql, port: 5000}]}]");
    let outcome = only(ask(&scenario(&[], &[&unready]), TO_OLD));
    assert_eq!(outcome.cause.unwrap().kind, CauseKind::NoEndpoints);
}

#[test]
fn each_subset_of_old_endpoints_has_ports_of_its_own() {
    let text = old("
- addresses: [{ip: 10.244.1.5}]
  ports: [{name: sql, port: 53, protocol: UDP}, {name: sql, port: 5000}]
- addresses: [{ip: 10.244.2.5}]
  ports: [{name: stats, port: 9000}, {name: sql, port: 5001, protocol: TCP}]");
    let sql = ask(&scenario(&[], &[&text]), TO_OLD);
    assert_eq!(destinations(&sql), ["10.244.1.5:5000", "10.244.2.5:5001"]);
    let stats = ask(&scenario(&[], &[&text]), "pod/app/cli -> service/app/db:9187");
    assert_eq!(destinations(&stats), ["10.244.2.5:9000"]);

    let unnamed = text.replace("name: sql, port: 500", "port: 500");
    let outcome = only(ask(&scenario(&[], &[&unnamed]), TO_OLD));
    assert_eq!(outcome.cause.unwrap().kind, CauseKind::NoEndpoints, "a port is found by its name");
}

#[test]
fn old_endpoints_are_where_their_node_name_or_address_says() {
    for address in ["{ip: 10.50.0.9, nodeName: node2}", "{ip: 192.168.1.12}", "{ip: 10.244.2.5}"] {
        let text =
            old(&format!("[{{addresses: [{address}], ports: [{{name: sql, port: 5000}}]}}]"));
        let text = scenario(&[], &[&text]);
        let here = only(ask(&text, "client/near -> nodePort/node2:30432"));
        assert!(here.endpoint.is_some(), "{address}: {:?}", here.cause);
        let elsewhere = only(ask(&text, "client/near -> nodePort/node1:30432"));
        assert_eq!(elsewhere.cause.unwrap().kind, CauseKind::NoLocalEndpoints, "{address}");
    }
}

#[test]
fn old_endpoints_count_instead_of_the_selector_and_slices_instead_of_them() {
    let old = |namespace: &str| {
        format!(
            "
apiVersion: v1
kind: Endpoints
metadata: {{name: web, namespace: {namespace}}}
subsets: [{{addresses: [{{ip: 10.244.2.5}}], ports: [{{name: web, port: 8081}}]}}]"
        )
    };
    let slice = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: app, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.244.1.5]}]
ports: [{name: web, port: 8080}]";
    for (objects, expected) in [
        (vec![old("app")], vec!["pod/app/web2"]),
        (vec![old("other")], vec!["pod/app/web1", "pod/app/web2"]),
        (vec![old("app"), slice.to_owned()], vec!["pod/app/web1"]),
    ] {
        let objects: Vec<_> = objects.iter().map(String::as_str).collect();
        let text = scenario(&[], &objects);
        assert_eq!(endpoints(&text, &ask(&text, TO_SERVICE)), expected, "{objects:?}");
    }
}

#[test]
fn old_endpoints_that_are_none_are_refused_or_empty() {
    let address = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    for (subsets, error) in [
        ("[]", None),
        ("null", None),
        ("[{}, null]", None),
        ("[{addresses: [{ip: 10.244.1.5}]}]", None),
        ("[{ports: [{name: sql, port: 5000}]}]", None),
        ("[{addresses: [{ip: 10.244.1.5}], ports: [{name: sql}]}]", None),
        ("[{addresses: [{ip: 10.244.1.5, nodeName: nowhere}], ports: [{port: 5432}]}]", None),
        ("[{addresses: [{ip: '2001:db8::1'}], ports: [{name: sql, port: 5000}]}]", None),
        (
            "[{addresses: [{ip: 300.1.1.1}], ports: [{name: sql, port: 5000}]}]",
            Some(format!("subsets[0].addresses[0].ip: Invalid value: \"300.1.1.1\": {address}")),
        ),
        (
            "[{notReadyAddresses: [{}], ports: [{name: sql, port: 5000}]}]",
            Some(format!("subsets[0].notReadyAddresses[0].ip: Invalid value: \"\": {address}")),
        ),
        (
            "[{addresses: [{ip: 10.244.1.5}], ports: [{name: sql, port: 70000}]}]",
            Some("subsets[0].ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive".to_owned()),
        ),
    ] {
        let reading = read(&scenario(&[], &[&old(subsets)]));
        let said: Vec<_> = reading.problems.iter().map(|problem| &problem.message).collect();
        assert_eq!(said, error.iter().collect::<Vec<_>>(), "{subsets}");
        let outcome = only(trace(&reading.cluster, &TO_OLD.parse::<Flow>().unwrap()));
        assert_eq!(outcome.cause.unwrap().kind, CauseKind::NoEndpoints, "{subsets}");
    }
}
