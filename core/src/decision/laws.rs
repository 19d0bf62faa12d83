//! What holds of all policies.

use std::net::IpAddr;

use proptest::prelude::*;

use super::random::{ADDRESSES, reading, texts};
use super::{
    Decision, HostChain, HostPacket, Peer, Point, Reach, Ruling, allowed, decide, decide_host,
    evaluate, explain, explain_host,
};
use crate::cluster::{Cluster, PodId};
use crate::net::{Direction, Flow, Labels, Packet, Protocol, Selector};

const WORLD: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: one, labels: {ns: first}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: two}}
---
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: one, labels: {app: a}}, status: {podIP: 10.233.1.1},
  spec: {containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: one, labels: {app: b}}, status: {podIP: 10.233.1.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: two, labels: {app: a, tier: t}}, status: {podIP: 10.233.1.3},
  spec: {containers: [{name: c, ports: [{name: web, containerPort: 81}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: c, namespace: two}, status: {podIP: 10.233.1.4}}
---
";

const ENDS: [&str; 6] =
    ["pod/one/a", "pod/one/b", "pod/two/a", "pod/two/c", "ip/192.0.2.1", "ip/198.51.100.1"];
const PORTS: [&str; 4] = ["80", "81", "80/UDP", "443"];

fn flows() -> impl Iterator<Item = Flow> {
    let pairs = ENDS.iter().flat_map(|from| ENDS.iter().map(move |to| (from, to)));
    let pairs = pairs.filter(|(from, to)| from != to);
    pairs.flat_map(|(from, to)| {
        PORTS.iter().map(move |port| format!("{from} -> {to}:{port}").parse().unwrap())
    })
}

fn cluster(documents: &[String]) -> Cluster {
    crate::read(&format!("{WORLD}{}", documents.join("---\n"))).cluster
}

fn verdicts(documents: &[String]) -> Vec<bool> {
    let cluster = cluster(documents);
    flows().map(|flow| evaluate(&cluster, &flow).allowed).collect()
}

fn document(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

fn selector() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{}",
        "{matchLabels: {app: a}}",
        "{matchLabels: {ns: first}}",
        "{matchExpressions: [{key: app, operator: NotIn, values: [a]}]}",
        "{matchExpressions: [{key: tier, operator: Exists}]}",
        "{matchExpressions: [{key: ns, operator: DoesNotExist}]}",
    ])
}

fn peer() -> impl Strategy<Value = String> {
    prop_oneof![
        selector().prop_map(|s| format!("{{podSelector: {s}}}")),
        selector().prop_map(|s| format!("{{namespaceSelector: {s}}}")),
        (selector(), selector())
            .prop_map(|(n, p)| format!("{{namespaceSelector: {n}, podSelector: {p}}}")),
        prop::sample::select(vec![
            "{ipBlock: {cidr: 0.0.0.0/0, except: [192.0.2.0/24]}}".to_owned(),
            "{ipBlock: {cidr: 10.233.1.0/30}}".to_owned(),
            "{ipBlock: {cidr: 192.0.2.1/32}}".to_owned(),
        ]),
    ]
}

fn rule(peers: &'static str) -> impl Strategy<Value = String> {
    let ports = prop::sample::select(vec![
        "[]",
        "[{port: 80}]",
        "[{port: web}]",
        "[{protocol: UDP}]",
        "[{port: 80, endPort: 100}, {port: 443}]",
    ]);
    (prop::collection::vec(peer(), 0..3), ports).prop_map(move |(list, ports)| {
        format!("{{{peers}: [{}], ports: {ports}}}", list.join(", "))
    })
}

/// A policy's namespace and its `spec`.
fn policy() -> impl Strategy<Value = (&'static str, String)> {
    let rules = |peers| prop::collection::vec(rule(peers), 0..3).prop_map(|r| r.join(", "));
    let types = prop::sample::select(vec!["[]", "[Ingress]", "[Egress]", "[Ingress, Egress]"]);
    let namespace = prop::sample::select(vec!["one", "two"]);
    (namespace, selector(), types, rules("from"), rules("to")).prop_map(
        |(namespace, selector, types, ingress, egress)| {
            let spec = format!(
                "{{podSelector: {selector}, policyTypes: {types}, ingress: [{ingress}], \
                 egress: [{egress}]}}"
            );
            (namespace, spec)
        },
    )
}

fn policies() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(policy(), 0..4).prop_map(|all| {
        let named = all.into_iter().enumerate();
        named.map(|(i, (namespace, spec))| document(&format!("p{i}"), namespace, &spec)).collect()
    })
}

/// Packets between a pod or machine and those outside, there and back.
fn packets(ip: IpAddr) -> impl Iterator<Item = (Direction, Packet)> {
    let others = ADDRESSES.into_iter().map(|other| other.parse().unwrap());
    others.flat_map(move |other| {
        let packet = |source, destination| Packet {
            protocol: Protocol::Tcp,
            source,
            source_port: None,
            destination,
            destination_port: Some(80),
            outer: None,
        };
        [(Direction::Ingress, packet(other, ip)), (Direction::Egress, packet(ip, other))]
    })
}

fn ruling(Decision { allow, by, cite, .. }: Decision) -> Ruling {
    Ruling { allow, by, cite }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn reasons_change_no_answer(text in texts()) {
        let cluster = reading(&text).cluster;
        for (at, pod) in cluster.pods.iter().enumerate() {
            for (direction, packet) in pod.addresses.iter().flat_map(|ip| packets(*ip)) {
                let id = PodId(at);
                let told = explain(&cluster, direction, id, &packet);
                prop_assert_eq!(decide(&cluster, direction, id, &packet), ruling(told), "{}", text);
            }
        }
        for host in &cluster.policies.host_endpoints {
            for (direction, packet) in host.addresses.iter().flat_map(|ip| packets(*ip)) {
                let headers = HostPacket {
                    source: packet.source,
                    destination: packet.destination,
                    protocol: packet.protocol.number(),
                    source_port: packet.source_port,
                    destination_port: packet.destination_port,
                };
                for chain in [
                    HostChain::Untracked, HostChain::PreDnat, HostChain::Normal, HostChain::Forward,
                ] {
                    let told = explain_host(&cluster, direction, host, chain, &headers);
                    let found = decide_host(&cluster, direction, host, chain, &headers);
                    prop_assert_eq!(found, told.map(ruling), "{:?}\n{}", chain, text);
                }
            }
        }
    }

    #[test]
    fn order_never_matters(documents in policies()) {
        let reversed: Vec<_> = documents.iter().rev().cloned().collect();
        prop_assert_eq!(verdicts(&documents), verdicts(&reversed));
    }

    #[test]
    fn allowing_all_allows_all(mut documents in policies()) {
        for namespace in ["one", "two"] {
            let all = "{policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}";
            documents.push(document("all", namespace, all));
        }
        prop_assert!(verdicts(&documents).into_iter().all(|allowed| allowed));
    }

    #[test]
    fn a_policy_that_selects_nobody_changes_nothing(documents in policies(), other in policy()) {
        let spec = other.1.replacen("podSelector: {", "podSelector: {matchLabels: {no: body}, ", 1);
        let spec = spec.replacen(", matchLabels: {app: a}", "", 1);
        let spec = spec.replacen(", matchLabels: {ns: first}", "", 1);
        let mut more = documents.clone();
        more.push(document("nobody", other.0, &spec));
        prop_assert_eq!(verdicts(&documents), verdicts(&more));
    }

    #[test]
    fn policies_that_select_the_same_pods_add_up(
        first in prop::collection::vec(rule("from"), 0..3),
        second in prop::collection::vec(rule("from"), 0..3),
    ) {
        let spec = |rules: &[String]| format!("{{ingress: [{}]}}", rules.join(", "));
        let a = document("a", "one", &spec(&first));
        let b = document("b", "one", &spec(&second));
        let both = verdicts(&[a.clone(), b.clone()]);
        let either: Vec<_> =
            verdicts(&[a]).into_iter().zip(verdicts(&[b])).map(|(a, b)| a || b).collect();
        prop_assert_eq!(&both, &either);
        // and two policies are one with the rules of both
        let merged = [first, second].concat();
        prop_assert_eq!(both, verdicts(&[document("ab", "one", &spec(&merged))]));
    }

    #[test]
    fn every_way_to_ask_gives_the_same_answer(documents in policies()) {
        let cluster = cluster(&documents);
        for flow in flows() {
            let found = evaluate(&cluster, &flow);
            prop_assert_eq!(allowed(&cluster, &flow), Some(found.allowed), "{}", flow);
            let cited = found.egress.cite.is_some() || !documents.iter().any(|d| d.contains("Egress"));
            prop_assert!(found.egress.allow || cited, "{}: a denial has a place", flow);
        }
        // and so does asking about everybody at once
        let from: Vec<_> = (0..4).map(|i| Peer::Pod(PodId(i)))
            .chain(ENDS[4..].iter().map(|end| Peer::Address(end[3..].parse().unwrap())))
            .collect();
        let ports = [(Protocol::Tcp, 80), (Protocol::Tcp, 81), (Protocol::Udp, 80)];
        let to: Vec<_> = (0..4)
            .flat_map(|i| ports.map(|(protocol, port)| Point { pod: PodId(i), protocol, port: Some(port) }))
            .collect();
        let reach = Reach::new(&cluster, &from, &to);
        for (i, end) in ENDS.iter().enumerate().take(from.len()) {
            for (j, point) in to.iter().enumerate() {
                let port = point.port.unwrap();
                let flow = format!("{end} -> {}:{port}/{}", ENDS[point.pod.0], point.protocol);
                prop_assert_eq!(
                    Some(reach.allows(i, j)), allowed(&cluster, &flow.parse().unwrap()), "{}", flow
                );
            }
        }
    }

    #[test]
    fn selectors_say_why_exactly_where_they_do_not_match(
        text in prop::sample::select(vec![
            "a == 'x'", "a != 'x'", "a in {'x'}", "a not in {'x', 'y'}", "has(a)", "!has(a)",
            "a contains 'x'", "a starts with 'x'", "a ends with 'x'", "all()",
            "!(a == 'x' && b == 'y')", "a == 'x' || b == 'y'", "!(a in {'x'} || has(b))",
        ]),
        a in prop::option::of("[xy]{0,2}"),
        b in prop::option::of("[xy]{0,2}"),
    ) {
        let pairs = [("a", a), ("b", b)];
        let labels: Labels =
            pairs.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect();
        let selector: Selector = text.parse().unwrap();
        prop_assert_eq!(selector.matches(&labels), selector.miss(&labels).is_none());
        let opposite: Selector = format!("!({text})").parse().unwrap();
        prop_assert_ne!(selector.matches(&labels), opposite.matches(&labels));
    }
}
