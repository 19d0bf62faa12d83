//! Host endpoints' policies on the packet's path: which are asked where, about what.
//!
//! Two nodes with an endpoint for their network card (or for all interfaces, where a test says so),
//! a pod on each, a service with the second as its only endpoint. Each case lists what host
//! endpoints were asked, in order: `node HOOK source > destination sign`, where `+` accepts for
//! good, `.` goes on and `-` denies.

#![expect(clippy::unwrap_used, reason = "a test: a broken case must stop it")]

use hopwise::cluster::HostEndpointId;
use hopwise::datapath::{Because, Doubt, Fact, Lost, Outcome, Rule, Skipped, Step};
use hopwise::decision::By;
use hopwise::net::Verdict;
use hopwise::words::names;
use hopwise::{Flow, read, trace};

const CLUSTER: &str = "
apiVersion: v1
kind: Node
metadata:
  name: node1
  annotations: {projectcalico.org/IPv4Address: 192.168.1.11/24, projectcalico.org/IPv4IPIPTunnelAddr: 10.244.1.1}
---
apiVersion: v1
kind: Node
metadata:
  name: node2
  annotations: {projectcalico.org/IPv4Address: 192.168.1.12/24, projectcalico.org/IPv4IPIPTunnelAddr: 10.244.2.1}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.244.0.0/16, ipipMode: Always, natOutgoing: true}
---
apiVersion: v1
kind: Pod
metadata: {name: cli, namespace: app}
spec: {nodeName: node1, containers: [{name: main}]}
status: {podIP: 10.244.1.6}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: app, labels: {app: web}}
spec: {nodeName: node2, containers: [{name: main, ports: [{containerPort: 8080}]}]}
status: {podIP: 10.244.2.5}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: app}
spec:
  type: NodePort
  clusterIP: 10.96.0.9
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
---
apiVersion: projectcalico.org/v3
kind: Profile
metadata: {name: open}
spec: {ingress: [{action: Allow}], egress: [{action: Allow}]}
---
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: hosts}
spec:
  clients: [{name: friend, ip: 203.0.113.9}, {name: stranger, ip: 198.51.100.9}]
";

fn hosts(interface: &str, more: &str) -> String {
    (1..3)
        .map(|node| {
            format!(
                "---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {{name: host{node}, labels: {{host: edge}}}}
spec: {{node: node{node}, interfaceName: \"{interface}\"{more}}}
"
            )
        })
        .collect::<Vec<_>>()
        .concat()
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {{name: {name}}}
spec:
  selector: host == 'edge'
{spec}
"
    )
}

fn ask(more: &[&str], flow: &str) -> Outcome {
    let reading = read(&[&[CLUSTER], more].concat().concat());
    let problems: Vec<_> = reading.problems.iter().map(|problem| &problem.message).collect();
    assert!(problems.is_empty(), "{problems:?}");
    let mut traced = trace(&reading.cluster, &flow.parse::<Flow>().unwrap());
    assert_eq!(traced.outcomes.len(), 1);
    traced.outcomes.remove(0)
}

/// What host endpoints were asked on the way there.
fn asked(outcome: &Outcome) -> Vec<String> {
    let cluster = read(CLUSTER).cluster;
    let gates = outcome.steps.iter().filter(|step| step.rule() == Rule::HostGate);
    gates
        .map(|step| {
            let ruling = &step.gate().unwrap().ruling;
            let sign = match (&ruling.by, ruling.allow) {
                (_, false) => "-",
                (By::Policy(_), true) => "+",
                _ => ".",
            };
            let (from, to) = match step.before.outer {
                Some(outer) => (outer.source.to_string(), format!("{} in IPIP", outer.destination)),
                None => (step.before.source.to_string(), step.before.to()),
            };
            let node = names::own_name(&cluster, step.machine);
            format!("{node} {} {from} > {to} {sign}", step.hook)
        })
        .collect()
}

const FRIENDS_ONLY: &str = "  preDNAT: true
  applyOnForward: true
  types: [Ingress]
  ingress:
  - {action: Allow, source: {nets: [203.0.113.0/24]}}
  - {action: Deny, protocol: TCP, destination: {ports: [\"30000:32767\"]}}";

#[test]
fn pre_dnat_policies_see_the_client_and_the_node_port() {
    let (hosts, policy) = (hosts("eth0", ""), policy("friends-only", FRIENDS_ONLY));
    let friend = ask(&[&hosts, &policy], "client/friend -> nodePort/node1:30080");
    assert_eq!(friend.verdict, Verdict::Delivered);
    assert_eq!(asked(&friend), ["node1 PREROUTING 203.0.113.9 > 192.168.1.11:30080 +"]);
    let stranger = ask(&[&hosts, &policy], "client/stranger -> nodePort/node1:30080");
    assert_eq!(stranger.verdict, Verdict::Dropped);
    assert_eq!(asked(&stranger), ["node1 PREROUTING 198.51.100.9 > 192.168.1.11:30080 -"]);
    assert_eq!(stranger.cause.unwrap().cite.unwrap().field, "spec.ingress[1]");
}

#[test]
fn what_pre_dnat_policies_accept_no_later_chain_of_the_interface_is_asked_about() {
    let (shut, policy) = (hosts("eth0", ""), policy("friends-only", FRIENDS_ONLY));
    let flow = "client/friend -> node/node1:10250";
    assert_eq!(ask(&[&shut], flow).verdict, Verdict::Dropped);
    let accepted = ask(&[&shut, &policy], flow);
    assert_eq!(accepted.verdict, Verdict::Delivered);
    assert_eq!(asked(&accepted), ["node1 PREROUTING 203.0.113.9 > 192.168.1.11:10250 +"]);
}

#[test]
fn normal_policies_are_for_the_host_itself() {
    let (shut, open) = (hosts("eth0", ""), hosts("eth0", ", profiles: [open]"));
    let forwarded = ask(&[&shut], "client/stranger -> nodePort/node2:30080");
    assert_eq!((forwarded.verdict, asked(&forwarded)), (Verdict::Delivered, vec![]));
    let kubelet = "client/stranger -> node/node1:10250";
    assert_eq!(asked(&ask(&[&shut], kubelet)), ["node1 INPUT 198.51.100.9 > 192.168.1.11:10250 -"]);
    assert_eq!(ask(&[&open], kubelet).verdict, Verdict::Delivered);
    // A failsafe port: nothing listens on it, and the answer says so.
    let ssh = ask(&[&shut], "client/stranger -> node/node1:22");
    assert_eq!(asked(&ssh), ["node1 INPUT 198.51.100.9 > 192.168.1.11:22 ."]);
    assert_eq!(ssh.verdict, Verdict::Rejected);
    let out = ask(&[&shut], "node/node1 -> node/node2:10250");
    assert_eq!(asked(&out), ["node1 OUTPUT 192.168.1.11 > 192.168.1.12:10250 -"]);
}

#[test]
fn policies_on_forward_see_the_translated_destination() {
    let hosts = hosts("eth0", ", profiles: [open]");
    let deny = policy(
        "no-web",
        "  applyOnForward: true
  types: [Ingress]
  ingress: [{action: Deny, protocol: TCP, destination: {ports: [8080]}}, {action: Allow}]",
    );
    let flow = "client/stranger -> nodePort/node2:30080";
    let denied = ask(&[&hosts, &deny], flow);
    assert_eq!(asked(&denied), ["node2 FORWARD 198.51.100.9 > 10.244.2.5:8080 -"]);
    // Where one applies and does not match, the tier ends in a drop.
    let other = policy(
        "only-dns",
        "  applyOnForward: true
  types: [Ingress]
  ingress: [{action: Allow, protocol: UDP, destination: {ports: [53]}}]",
    );
    assert_eq!(
        asked(&ask(&[&hosts, &other], flow)),
        ["node2 FORWARD 198.51.100.9 > 10.244.2.5:8080 -"]
    );
    // In the other direction nothing applies, and nothing is asked.
    assert_eq!(
        ask(&[&hosts, &other], "pod/app/cli -> ip/203.0.113.9:443").verdict,
        Verdict::Delivered
    );
}

#[test]
fn what_is_forwarded_belongs_to_whoever_has_its_addresses() {
    let hosts = hosts("eth0", ", profiles: [open]");
    for (peer, verdict) in
        [("app == 'web'", Verdict::Delivered), ("host == 'edge'", Verdict::Dropped)]
    {
        let allow = policy(
            "to",
            &format!(
                "  applyOnForward: true
  types: [Ingress]
  ingress: [{{action: Allow, destination: {{selector: \"{peer}\"}}}}]"
            ),
        );
        let flow = "client/stranger -> nodePort/node2:30080";
        assert_eq!(ask(&[&hosts, &allow], flow).verdict, verdict, "{peer}");
    }
}

#[test]
fn policies_on_forward_of_the_way_out_come_after_the_pods_own_and_before_nat() {
    let hosts = hosts("eth0", "");
    let deny = policy(
        "stay-in",
        "  applyOnForward: true
  types: [Egress]
  egress: [{action: Deny, destination: {nets: [203.0.113.0/24]}}, {action: Allow}]",
    );
    let outcome = ask(&[&hosts, &deny], "pod/app/cli -> ip/203.0.113.9:443");
    assert_eq!(asked(&outcome), ["node1 FORWARD 10.244.1.6 > 203.0.113.9:443 -"]);
    let rules: Vec<Rule> = outcome.steps.iter().map(Step::rule).collect();
    assert_eq!(rules[rules.len() - 2..], [Rule::EgressGate, Rule::HostGate]);
}

#[test]
fn an_endpoint_for_all_interfaces_takes_in_tunnels_and_for_pre_dnat_pods() {
    let everywhere = hosts("*", ", profiles: [open]");
    // The node's own packet to a service leaves by tunl0, and is asked about once it is translated.
    let own = ask(&[&everywhere], "node/node1 -> service/app/web:80");
    assert_eq!(asked(&own), ["node1 POSTROUTING 192.168.1.11 > 10.244.2.5:8080 +"]);
    let card = hosts("eth0", ", profiles: [open]");
    assert_eq!(asked(&ask(&[&card], "node/node1 -> service/app/web:80")), Vec::<String>::new());
    // Never to the node's own pods.
    let local = ask(&[&everywhere], "node/node2 -> pod/app/web:8080");
    assert_eq!(asked(&local), Vec::<String>::new());
    let policy = policy("friends-only", FRIENDS_ONLY);
    let pod = ask(&[&everywhere, &policy], "pod/app/cli -> nodePort/node1:30080");
    assert_eq!(asked(&pod), ["node1 PREROUTING 10.244.1.6 > 192.168.1.11:30080 -"]);
    // A pod's packet to its own node is not the host endpoint's.
    let shut = hosts("*", "");
    let kubelet = ask(&[&shut], "pod/app/cli -> node/node1:10250");
    assert_eq!((kubelet.verdict, asked(&kubelet)), (Verdict::Delivered, vec![]));
}

const UNTRACKED_IN: &str = "  doNotTrack: true
  applyOnForward: true
  types: [Ingress]
  ingress: [{action: Allow, protocol: TCP, destination: {ports: [10250, 30080]}}]";
const UNTRACKED_OUT: &str = "  doNotTrack: true
  applyOnForward: true
  types: [Egress]
  egress: [{action: Allow, protocol: TCP, source: {ports: [10250, 30080]}}]";

#[test]
fn untracked_policies_are_needed_in_both_directions() {
    let hosts = hosts("eth0", "");
    let (one_way, back) = (policy("in", UNTRACKED_IN), policy("out", UNTRACKED_OUT));
    let flow = "client/stranger -> node/node1:10250";
    let lost = ask(&[&hosts, &one_way], flow);
    assert_eq!(asked(&lost), ["node1 PREROUTING 198.51.100.9 > 192.168.1.11:10250 +"]);
    assert_eq!(lost.verdict, Verdict::Dropped);
    assert_eq!(lost.reply.last().unwrap().fact, Fact::ReplyLost(Lost::Untracked));
    let at = lost.reply.len() - 1;
    assert_eq!(lost.cause.unwrap().because, Because::Step { reply: true, at });
    assert_eq!(ask(&[&hosts, &one_way, &back], flow).verdict, Verdict::Delivered);
}

#[test]
fn what_is_not_tracked_is_not_translated() {
    let hosts = hosts("eth0", "");
    let both = [policy("in", UNTRACKED_IN), policy("out", UNTRACKED_OUT)].concat();
    let outcome = ask(&[&hosts, &both], "client/stranger -> nodePort/node2:30080");
    assert!(outcome.steps.iter().all(|step| step.rule() != Rule::Dnat));
    assert_eq!(outcome.verdict, Verdict::Rejected, "the node port reaches the node itself");
}

#[test]
fn a_pre_dnat_policy_that_forgets_the_nodes_cuts_their_tunnels() {
    let hosts = hosts("eth0", "");
    let deny_rest = "  preDNAT: true
  applyOnForward: true
  types: [Ingress]
  ingress:
  - {action: Allow, source: {nets: [NETS]}}
  - {action: Deny}";
    let flow = "pod/app/cli -> pod/app/web:8080";
    let forgets = policy("edge", &deny_rest.replace("NETS", "203.0.113.0/24"));
    let cut = ask(&[&hosts, &forgets], flow);
    assert_eq!(asked(&cut), ["node2 PREROUTING 192.168.1.11 > 192.168.1.12 in IPIP -"]);
    let knows = policy("edge", &deny_rest.replace("NETS", "203.0.113.0/24, 192.168.1.0/24"));
    let passes = ask(&[&hosts, &knows], flow);
    assert_eq!(passes.verdict, Verdict::Delivered);
    assert_eq!(asked(&passes), ["node2 PREROUTING 192.168.1.11 > 192.168.1.12 in IPIP +"]);
}

#[test]
fn ipvs_forwards_node_ports_past_the_hosts_own_policies() {
    let hosts = hosts("eth0", "");
    let ipvs = "---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
clusterCIDR: 10.244.0.0/16
";
    let outcome = ask(&[&hosts, ipvs], "client/stranger -> nodePort/node2:30080");
    assert_eq!((outcome.verdict, asked(&outcome)), (Verdict::Delivered, vec![]));
}

#[test]
fn in_ebpf_mode_it_is_said_that_they_are_not_asked() {
    let hosts = hosts("eth0", "");
    let bpf = "---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {bpfEnabled: true}
";
    let outcome = ask(&[&hosts, bpf], "client/stranger -> nodePort/node2:30080");
    let doubted = outcome.steps.iter().filter(|step| step.doubt == Some(Doubt::EbpfHostEndpoint));
    let facts: Vec<&Fact> = doubted.map(|step| &step.fact).collect();
    // Of host2.
    assert_eq!(facts, [&Fact::GateSkipped(Skipped::HostEndpoint(HostEndpointId(1)))]);
}
