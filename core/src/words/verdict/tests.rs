use super::*;
use crate::picture::fixture::{LOOSE, ROUTED, TEXT, UNDETECTED, changed};
use crate::{read, trace};

/// The sentence on a flow, of the text with the given parts replaced.
fn says(changes: &[(&str, &str)], flow: &str) -> String {
    let reading = read(&changed(changes));
    let problems: Vec<_> = reading.problems.iter().map(|p| &p.message).collect();
    assert!(problems.is_empty(), "{problems:?}");
    let trace = trace(&reading.cluster, &flow.parse().unwrap());
    verdict(&reading.cluster, &trace, 0).to_string()
}

const LOCAL: (&str, &str) = ("externalTrafficPolicy: Cluster", "externalTrafficPolicy: Local");
const IPTABLES: (&str, &str) = ("mode: ipvs", "mode: iptables");

#[test]
fn a_denial_after_masquerade_names_who_masqueraded_and_why() {
    insta::assert_snapshot!(says(&[], "client/user -> nodePort/node1:31602"), @r#"
    Dropped on node2. The policy `tekton/only-the-user` sees 10.233.90.0 (node1's tunl0), not 10.2.3.4: kube-proxy on node1 masqueraded the packet because `externalTrafficPolicy` is `Cluster`.
    "#);
}

#[test]
fn a_default_is_called_one() {
    let default = ("  externalTrafficPolicy: Cluster\n", "");
    insta::assert_snapshot!(says(&[default], "client/user -> nodePort/node1:31602"), @r#"
    Dropped on node2. The policy `tekton/only-the-user` sees 10.233.90.0 (node1's tunl0), not 10.2.3.4: kube-proxy on node1 masqueraded the packet because `externalTrafficPolicy` is `Cluster`, its default.
    "#);
}

#[test]
fn a_plain_denial_tells_the_nearest_misses() {
    insta::assert_snapshot!(says(&[], "pod/bar/web -> pod/tekton/dashboard:9097"), @r#"
    Dropped on node2. The policy `tekton/only-the-user` does not allow 10.233.90.17 (pod web) into pod `tekton/dashboard`: namespace bar has label region=bar, which NotIn [bar] excludes; 10.233.90.17 (pod `bar/web`) is not in `10.2.3.4/32`.
    "#);
}

#[test]
fn a_denial_after_a_balancers_own_connection_names_the_balancer() {
    let replace = ("sourceAddress: Preserve", "sourceAddress: Replace");
    insta::assert_snapshot!(
        says(&[replace], "client/user -> loadBalancer/tekton/dashboard:9097@lb/node2"), @r#"
    Dropped on node2. The policy `tekton/only-the-user` sees 10.102.123.250 (balancer lb), not 10.2.3.4: balancer lb opened a connection of its own.
    "#);
}

#[test]
fn a_denied_way_out_says_what_the_policy_was_asked_about() {
    insta::assert_snapshot!(says(&[], "pod/bar/shut -> service/tekton/dashboard:9097"), @r#"
    Dropped on node1. The policy `bar/no-way-out` does not let pod `bar/shut` talk to 10.233.96.32:9097 (pod dashboard), which kube-proxy put in the place of 10.233.5.155:9097 before the policy was asked: 10.233.96.32 (pod `tekton/dashboard`) is not in `10.233.5.155/32`.
    "#);
}

#[test]
fn a_delivery_tells_what_policy_and_application_see() {
    insta::assert_snapshot!(says(&[], "client/user -> nodePort/node2:31602"), @r#"
    Delivered. The policy `tekton/only-the-user` allows 10.2.3.4 (client user). The application sees 10.102.123.104 (node2) instead: after the policy was asked, kube-proxy on node2 masqueraded the packet because `externalTrafficPolicy` is `Cluster`.
    "#);
    insta::assert_snapshot!(says(&[LOCAL], "client/user -> nodePort/node2:31602"), @r#"
    Delivered. The policy `tekton/only-the-user` allows 10.2.3.4 (client user). The application sees the same address.
    "#);
    insta::assert_snapshot!(says(&[], "client/user -> pod/bar/web:80"), @r#"
    No route outside the nodes. 10.233.90.17 is not reachable: the network outside the nodes has no route to pods, and node1 tells its block `10.233.90.0/26` to no router (that takes a BGPPeer with a peerIP).
    "#);
    insta::assert_snapshot!(says(&[], "node/node1 -> pod/bar/web:80"), @r#"
    Delivered. The policy of pod `bar/web` is not asked: a node's own processes always reach the pods on the node: Calico's OUTPUT chain returns before any policy. The application sees 10.102.123.117 (node1).
    "#);
    insta::assert_snapshot!(says(&[], "node/node2 -> pod/bar/web:80"), @r#"
    Delivered. No policy restricts who may reach pod `bar/web`. The application sees 10.233.96.0 (node2's tunl0).
    "#);
    insta::assert_snapshot!(says(&[], "pod/bar/web -> ip/10.2.3.4:443"), @r#"
    Delivered. No policy restricts the way out of pod `bar/web`. The application sees 10.102.123.117 (node1): Calico on node1 masqueraded the packet because `natOutgoing` of the pool `default-ipv4-ippool` is `true`.
    "#);
}

#[test]
fn a_drop_for_want_of_a_local_endpoint_names_the_field() {
    insta::assert_snapshot!(says(&[LOCAL, IPTABLES], "client/user -> nodePort/node1:31602"), @r#"
    Dropped on node1. Service `tekton/dashboard` has endpoints, but none on this node, and its externalTrafficPolicy is Local, so kube-proxy drops 10.102.123.117:31602.
    "#);
}

#[test]
fn what_the_filters_drop_is_explained() {
    insta::assert_snapshot!(says(&[LOCAL], "client/user -> nodePort/node1:31602"), @r#"
    Dropped on node2. 10.2.3.4 came in by tunl0, but node2 would answer by eth0: the strict reverse path filter drops it. See `spec.hosts.rpFilter` of `dashboard`.
    "#);
}

#[test]
fn services_without_endpoints_reject() {
    let none = ("    app: dashboard\n---", "    app: nobody\n---");
    insta::assert_snapshot!(
        says(&[none, IPTABLES], "client/user -> nodePort/node1:31602"), @r#"
    Rejected on node1. Service `tekton/dashboard` has no endpoints, so kube-proxy rejects 10.102.123.117:31602.
    "#);
}

#[test]
fn hosts_without_listeners_refuse() {
    insta::assert_snapshot!(says(&[], "client/user -> node/node1:81"), @r#"
    Rejected on node1. Nothing on node1 listens on 10.102.123.117:81: the kernel answers with a reset.
    "#);
}

#[test]
fn hosts_that_shut_their_pods_out_drop() {
    let drop = ("defaultEndpointToHostAction: Accept", "defaultEndpointToHostAction: Drop");
    insta::assert_snapshot!(says(&[drop], "pod/bar/web -> node/node1:10250"), @r#"
    Dropped on node1. Calico drops what pods send to their own node: defaultEndpointToHostAction is Drop, and 10.102.123.117 is an address of node1. See `spec.defaultEndpointToHostAction` of `default`.
    "#);
}

#[test]
fn a_reply_past_the_translator_is_lost() {
    insta::assert_snapshot!(
        says(&[ROUTED, UNDETECTED, LOOSE], "client/user -> service/tekton/dashboard:9097"), @r#"
    No connection: the reply is lost. The answer comes from 10.233.96.32:9097, but client user waits for one from 10.233.5.155:9097: it took a way past the machine that has to translate it back.
    "#);
}

#[test]
fn what_does_not_exist_cannot_be_asked() {
    insta::assert_snapshot!(says(&[], "client/user -> service/tekton/nothing:80"), @r#"
    Nothing to reach. There is no Service tekton/nothing.
    "#);
}

#[test]
fn several_ways_are_listed() {
    insta::assert_snapshot!(
        says(&[], "client/user -> loadBalancer/tekton/dashboard:9097@lb"), @r#"
    Delivered 1 time in 2. Through node1: dropped on node2. The policy `tekton/only-the-user` sees 10.233.90.0 (node1's tunl0), not 10.2.3.4: kube-proxy on node1 masqueraded the packet because `externalTrafficPolicy` is `Cluster`.
    - 1 time in 2 through node1: dropped on node2
    - 1 time in 2 through node2: delivered
    "#);
}

#[test]
fn pieces_are_links() {
    let reading = read(TEXT);
    let flow = "client/user -> nodePort/node1:31602".parse().unwrap();
    let trace = trace(&reading.cluster, &flow);
    let sentence = verdict(&reading.cluster, &trace, 0);
    let cited: Vec<&str> = sentence
        .pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Code(_, Some(cite)) | Piece::Object(cite) => {
                cite.span.and_then(|span| TEXT.get(span.start..span.end))
            }
            _ => None,
        })
        .map(|text| text.lines().next().unwrap_or_default())
        .collect();
    insta::assert_debug_snapshot!(cited, @r#"
    [
        "ingress:",
        "externalTrafficPolicy: Cluster",
        "externalTrafficPolicy: Cluster",
    ]
    "#);
    let owners: Vec<Owner> = sentence
        .pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Address { owner, .. } => Some(*owner),
            _ => None,
        })
        .collect();
    assert_eq!(owners, [Owner::Tunnel, Owner::Client]);
}

#[test]
fn shares_are_small_fractions() {
    assert_eq!(times(1.0 / 3.0), "1 time in 3");
    assert_eq!(times(2.0 / 3.0), "2 times in 3");
    assert_eq!(times(0.5 + 0.5), "always");
    assert_eq!(times(0.123_45), "in 12.3 % of connections");
}
