//! Laws that hold for every cluster and every flow.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::select;

use super::{Machine, Rule, Step, Trace, trace};
use crate::cluster::Cluster;
use crate::net::Verdict;
use crate::scenario::read;

/// A cluster to ask: every setting that moves packets, and where the pods are.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are the settings' own")]
struct World {
    proxy: &'static str,
    ipip: &'static str,
    vxlan: &'static str,
    policy: &'static str,
    internal: &'static str,
    masquerade_all: bool,
    cluster_cidr: bool,
    nat_outgoing: bool,
    strict: bool,
    /// The node of each of the service's pods.
    endpoints: Vec<usize>,
    subnets: bool,
}

fn worlds() -> impl Strategy<Value = World> {
    let modes = (
        select(vec!["iptables", "ipvs", "nftables", "ebpf"]),
        select(vec![
            ("Always", "Never"),
            ("Never", "Always"),
            ("CrossSubnet", "Never"),
            ("Never", "Never"),
        ]),
        select(vec!["Cluster", "Local"]),
        select(vec!["Cluster", "Local"]),
    );
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (modes, switches, prop::collection::vec(1_usize..=3, 0..4)).prop_map(
        |(
            (proxy, (ipip, vxlan), policy, internal),
            (all, cidr, nat, strict, subnets),
            endpoints,
        )| {
            World {
                proxy,
                ipip,
                vxlan,
                policy,
                internal,
                masquerade_all: all,
                cluster_cidr: cidr,
                nat_outgoing: nat,
                strict,
                endpoints,
                subnets,
            }
        },
    )
}

fn flows() -> impl Strategy<Value = String> {
    let from = select(vec![
        "client/user",
        "pod/other/a1",
        "pod/other/a2",
        "pod/other/a3",
        "node/node1",
        "node/node2",
    ]);
    let to = select(vec![
        "nodePort/node1:31602",
        "nodePort/node2:31602",
        "nodePort/node3:31602",
        "service/app/web:80",
        "loadBalancer/app/web:80@keeps",
        "loadBalancer/app/web:80@opens/node1",
        "ip/203.0.113.9:80",
        "node/node2:10250",
        "ip/8.8.8.8:53/UDP",
        "pod/other/a1:80",
    ]);
    (from, to).prop_map(|(from, to)| format!("{from} -> {to}"))
}

impl World {
    fn text(&self, more: &str) -> String {
        let mut text = String::new();
        for (node, block) in [(1, 90), (2, 96), (3, 92)] {
            let subnet = if self.subnets && node == 3 { 2 } else { 1 };
            let _ = write!(
                text,
                "
apiVersion: v1
kind: Node
metadata:
  name: node{node}
  annotations: {{projectcalico.org/IPv4Address: 192.168.{subnet}.1{node}/24}}
---
apiVersion: v1
kind: Pod
metadata: {{name: a{node}, namespace: other}}
spec: {{nodeName: node{node}, containers: [{{name: main}}]}}
status: {{podIP: 10.233.{block}.10}}
---"
            );
        }
        for (index, node) in self.endpoints.iter().enumerate() {
            let block = [90, 96, 92][node - 1];
            let _ = write!(
                text,
                "
apiVersion: v1
kind: Pod
metadata: {{name: web{index}, namespace: app, labels: {{app: web}}}}
spec: {{nodeName: node{node}, containers: [{{name: main}}]}}
status: {{podIP: 10.233.{block}.{}}}
---",
                20 + index
            );
        }
        let bpf = self.proxy == "ebpf";
        let proxy = if bpf { "iptables" } else { self.proxy };
        let cidr = if self.cluster_cidr { "clusterCIDR: 10.233.64.0/18" } else { "" };
        let World { ipip, vxlan, policy, internal, masquerade_all, nat_outgoing, strict, .. } =
            self;
        let filter = if *strict { "Strict" } else { "Loose" };
        let _ = write!(
            text,
            "
apiVersion: v1
kind: Pod
metadata: {{name: anchor, namespace: app}}
spec: {{nodeName: node1, containers: [{{name: main}}]}}
status: {{podIP: 10.233.90.99}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: app}}
spec:
  type: LoadBalancer
  clusterIP: 10.233.20.20
  selector: {{app: web}}
  externalTrafficPolicy: {policy}
  internalTrafficPolicy: {internal}
  ports: [{{port: 80, nodePort: 31602}}]
status: {{loadBalancer: {{ingress: [{{ip: 203.0.113.9}}]}}}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: pool}}
spec: {{cidr: 10.233.64.0/18, blockSize: 24, ipipMode: {ipip}, vxlanMode: {vxlan}, natOutgoing: {nat_outgoing}}}
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {{name: default}}
spec: {{bpfEnabled: {bpf}}}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: {proxy}
{cidr}
iptables: {{masqueradeAll: {masquerade_all}}}
nftables: {{masqueradeAll: {masquerade_all}}}
---
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {{name: law}}
spec:
  clients: [{{name: user, ip: 10.2.3.4}}]
  loadBalancers:
  - {{name: keeps, ip: 198.51.100.1}}
  - {{name: opens, ip: 192.168.1.200, sourceAddress: Replace}}
  hosts: {{rpFilter: {filter}}}
  routes: [{{to: 10.233.0.0/16, via: node1}}]
{more}"
        );
        text
    }

    fn cluster(&self, more: &str) -> Cluster {
        let reading = read(&self.text(more));
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        reading.cluster
    }
}

fn ask(cluster: &Cluster, flow: &str) -> Trace {
    trace(cluster, &flow.parse().unwrap())
}

fn steps(trace: &Trace) -> impl Iterator<Item = &Step> {
    trace.outcomes.iter().flat_map(|outcome| &outcome.steps)
}

const ALLOW_ALL: &str = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all, namespace: app}
spec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all, namespace: other}
spec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}
";

const REFLECTORS: &str = "
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: false}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: reflectors}
spec: {nodeSelector: all(), peerSelector: has(route-reflector)}
";

/// The same cluster with its mesh off, and two of its nodes reflecting routes.
fn reflected(world: &World) -> Cluster {
    let mut text = world.text(REFLECTORS);
    for node in ["node1", "node3"] {
        let name = format!("  name: {node}\n  annotations: {{");
        let reflector = "projectcalico.org/RouteReflectorClusterID: 244.0.0.1, ";
        text =
            text.replace(&name, &format!("  labels: {{route-reflector: \"\"}}\n{name}{reflector}"));
    }
    let reading = read(&text);
    assert!(reading.problems.is_empty(), "{:?}", reading.problems);
    assert_eq!(reading.cluster.network.bgp.reflectors.len(), 2);
    reading.cluster
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn shares_sum_to_one(world in worlds(), flow in flows()) {
        let sum: f64 = ask(&world.cluster(""), &flow).outcomes.iter().map(|o| o.share).sum();
        prop_assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn an_ingress_gate_sees_the_packet_after_its_nodes_dnat_and_before_its_snat(
        world in worlds(),
        flow in flows(),
    ) {
        let cluster = world.cluster("");
        for outcome in ask(&cluster, &flow).outcomes {
            let mut arrived: Option<(Machine, std::net::IpAddr)> = None;
            for step in &outcome.steps {
                if arrived.is_none_or(|(machine, _)| machine != step.machine)
                    || matches!(step.rule(), Rule::DeviceIn | Rule::Decapsulate)
                {
                    arrived = Some((step.machine, step.before.source));
                }
                if step.rule() == Rule::IngressGate {
                    prop_assert_eq!(arrived, Some((step.machine, step.before.source)));
                    prop_assert!(cluster.pod_by_address.contains_key(&step.before.destination));
                }
            }
        }
    }

    #[test]
    fn an_allow_all_policy_never_changes_a_path(world in worlds(), flow in flows()) {
        let path = |more: &str| -> Vec<_> {
            let traced = ask(&world.cluster(more), &flow);
            let mut path: Vec<String> = steps(&traced)
                .map(|step| format!("{:?} {:?} {:?} {:?}", step.machine, step.rule(), step.before, step.after))
                .collect();
            path.push(format!("{:?}", traced.verdict));
            path
        };
        prop_assert_eq!(path(""), path(ALLOW_ALL));
    }

    #[test]
    fn a_nodes_own_processes_pass_no_gate_to_the_nodes_own_pods(
        world in worlds(),
        node in 1_usize..=3,
    ) {
        let traced = ask(&world.cluster(""), &format!("node/node{node} -> pod/other/a{node}:80"));
        prop_assert_eq!(traced.verdict, Verdict::Delivered);
        prop_assert!(steps(&traced).all(|step| step.gate().is_none()));
    }

    #[test]
    fn every_nat_is_undone_or_the_trace_says_where_the_reply_is_lost(
        world in worlds(),
        flow in flows(),
    ) {
        for outcome in ask(&world.cluster(""), &flow).outcomes {
            if outcome.verdict == Verdict::Delivered {
                let first = outcome.steps.first().map(|step| step.before.answered());
                let last = outcome.reply.last().map(|step| step.after);
                prop_assert_eq!(last, first);
            } else {
                prop_assert!(outcome.cause.is_some());
            }
        }
    }

    #[test]
    fn who_tells_whom_the_routes_never_changes_a_verdict(world in worlds(), flow in flows()) {
        let told = |cluster: &Cluster| {
            let traced = ask(cluster, &flow);
            let seen: Vec<_> = steps(&traced).map(|step| (step.rule(), step.before)).collect();
            (traced.verdict, seen)
        };
        prop_assert_eq!(told(&world.cluster("")), told(&reflected(&world)));
    }

    #[test]
    fn the_same_question_has_the_same_answer(world in worlds(), flow in flows()) {
        prop_assert_eq!(ask(&world.cluster(""), &flow), ask(&world.cluster(""), &flow));
    }
}
