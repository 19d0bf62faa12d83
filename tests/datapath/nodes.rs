//! Clusters of many nodes: where a connection may come in by any of them, one node stands for all
//! that are like it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hopwise::datapath::Trace;
use hopwise::{Cluster, Flow, read, trace};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// What to write in the place of what.
type Edit = (&'static str, &'static str);

/// The node of a number.
const NODE: &str = "
apiVersion: v1
kind: Node
metadata:
  name: n%
  labels: {}
  annotations: {projectcalico.org/IPv4Address: 192.168.1.%/24}
spec: {}
status: {}
---";

/// What a node can have that others have not.
const MARKS: [(&str, &[Edit]); 9] = [
    ("subnet", &[("192.168.1.", "192.168.2.")]),
    ("zone", &[("labels: {", "labels: {topology.kubernetes.io/zone: a, ")]),
    ("rack", &[("labels: {", "labels: {rack: a, ")]),
    ("peer", &[("labels: {", "labels: {peer: '', ")]),
    (
        "reflector",
        &[(
            "annotations: {",
            "annotations: {projectcalico.org/RouteReflectorClusterID: 244.0.0.1, ",
        )],
    ),
    ("old kube-proxy", &[("status: {}", "status: {nodeInfo: {kubeProxyVersion: v1.23.17}}")]),
    ("podCIDR", &[("spec: {}", "spec: {podCIDRs: [10.1.%.0/24]}")]),
    (
        "host endpoint",
        &[(
            "\napiVersion: v1\nkind: Node",
            "
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: edge%, labels: {host: edge}}
spec: {node: n%, interfaceName: eth0}
---
apiVersion: v1
kind: Node",
        )],
    ),
    (
        "process",
        &[(
            "\napiVersion: v1\nkind: Node",
            "
apiVersion: v1
kind: Pod
metadata: {name: process%, namespace: app, labels: {app: process}}
spec: {nodeName: n%, hostNetwork: true, containers: [{name: main}]}
---
apiVersion: v1
kind: Node",
        )],
    ),
];

/// A pod on the node of a number.
const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: APP-%, namespace: app, labels: {app: APP}}
spec: {nodeName: n%, containers: [{name: main}]}
status: {podIP: ADDRESS}
---";

const SLICE: &str = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: app, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [ENDPOINTS]
ports: [{port: 8080}]
---";

const REST: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: app}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.9
  externalIPs: [198.51.100.7]
  externalTrafficPolicy: Cluster
  internalTrafficPolicy: Cluster
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
status: {loadBalancer: {ingress: [{ip: 192.0.2.10}]}}
---
apiVersion: v1
kind: Service
metadata: {name: more, namespace: app}
spec:
  type: NodePort
  clusterIP: 10.96.0.10
  externalIPs: [198.51.100.8]
  selector: {app: more}
  ports: [{port: 81, targetPort: 8080, nodePort: 30081}]
---
apiVersion: v1
kind: Service
metadata: {name: processes, namespace: app}
spec: {clusterIP: 10.96.0.11, selector: {app: process}, ports: [{port: 82}]}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.244.0.0/16, blockSize: 28, ipipMode: Always, vxlanMode: Never, natOutgoing: true}
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {bpfEnabled: false, wireguardEnabled: false}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec:
  nodeToNodeMeshEnabled: true
  serviceClusterIPs: [{cidr: 10.96.0.0/16}]
  serviceExternalIPs: [{cidr: 198.51.100.0/24}]
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: racks}
spec: {nodeSelector: has(rack), peerSelector: has(peer)}
---
apiVersion: v1
kind: Pod
metadata: {name: asker, namespace: other}
spec: {nodeName: n10, containers: [{name: main}]}
status: {podIP: 10.244.0.167}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: sources, namespace: app}
spec: {selector: has(app), ingress: [{action: Allow, source: {}}]}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: destinations, namespace: other}
spec: {egress: [{action: Allow, destination: {}}]}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: racks}
spec:
  priority: 10
  subject: {namespaces: {}}
  egress: [{action: Deny, to: [{nodes: {matchLabels: {rack: none}}}]}]
---
# sets
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: edge}
spec:
  selector: host == 'edge'
  applyOnForward: true
  preDNAT: true
  types: [Ingress]
  ingress: [{action: Deny, protocol: TCP, destination: {ports: [30080]}}, {action: Allow}]
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: 10.244.0.0/16
nodePortAddresses: []
---
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: many}
spec:
  clients: [{name: near, ip: 192.168.1.99}, {name: far, ip: 203.0.113.9}]
  loadBalancers:
  - {name: keeps, ip: 192.168.9.200, sourceAddress: Preserve, healthCheck: false}
  - {name: opens, ip: 192.168.1.200, sourceAddress: Replace, healthCheck: false}
  hosts: {rpFilter: Strict}
";

const SETS: (&str, &[&str]) = (
    "# sets",
    &["apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: some, labels: {set: some}}
spec: {nets: [192.168.1.2/31, 192.168.1.4/32]}
---"],
);

/// What the rest says, and what it could say instead.
const SETTINGS: [(&str, &[&str]); 16] = [
    // An address that two services share.
    ("externalIPs: [198.51.100.8]", &["externalIPs: [198.51.100.7]"]),
    ("mode: iptables", &["mode: ipvs", "mode: nftables"]),
    ("bpfEnabled: false", &["bpfEnabled: true"]),
    (
        "ipipMode: Always, vxlanMode: Never",
        &[
            "ipipMode: CrossSubnet, vxlanMode: Never",
            "ipipMode: Never, vxlanMode: Always",
            "ipipMode: Never, vxlanMode: Never",
        ],
    ),
    ("wireguardEnabled: false", &["wireguardEnabled: true"]),
    // Too small for a block for each node.
    ("cidr: 10.244.0.0/16, block", &["cidr: 10.244.0.0/25, block"]),
    ("natOutgoing: true", &["natOutgoing: false"]),
    ("externalTrafficPolicy: Cluster", &["externalTrafficPolicy: Local"]),
    ("clusterCIDR: 10.244.0.0/16", &["", "detectLocalMode: NodeCIDR"]),
    ("nodePortAddresses: []", &["nodePortAddresses: [192.168.1.16/28]"]),
    ("nodeToNodeMeshEnabled: true", &["nodeToNodeMeshEnabled: false"]),
    (
        "source: {}",
        &[
            "source: {nets: [192.168.1.16/28, 10.244.0.0/26, 203.0.113.0/24]}",
            "source: {notNets: [192.168.2.0/24, 10.244.0.0/26]}",
            "source: {services: {name: processes, namespace: app}}",
            "source: {selector: set == 'some', namespaceSelector: global()}",
        ],
    ),
    (
        "destination: {}",
        &[
            "destination: {nets: [192.168.1.16/28, 10.244.0.0/16, 192.168.9.0/24]}",
            "destination: {notNets: [192.168.2.0/24]}",
        ],
    ),
    ("rack: none", &["rack: a"]),
    SETS,
    ("rpFilter: Strict", &["rpFilter: Loose"]),
];

/// A cluster of many nodes, each with the marks that it has; and which have a pod of a service.
#[derive(Clone, Debug)]
struct Many {
    nodes: Vec<Vec<&'static str>>,
    web: Vec<usize>,
    more: Vec<usize>,
    /// For whom the pods of `web` are meant, in turn.
    hints: Vec<&'static str>,
    settings: Vec<Edit>,
}

impl Many {
    /// So many nodes, the pod of the service on the first.
    fn of(nodes: usize) -> Self {
        Self {
            nodes: vec![Vec::new(); nodes],
            web: vec![1],
            more: Vec::new(),
            hints: Vec::new(),
            settings: Vec::new(),
        }
    }

    fn text(&self) -> String {
        let edited = |text: &str, edits: &[Edit]| {
            edits.iter().fold(text.to_owned(), |text, (from, to)| {
                assert!(text.contains(from), "{from}");
                text.replace(from, to)
            })
        };
        let mut text = String::new();
        for (index, marks) in self.nodes.iter().enumerate() {
            let marks = MARKS.iter().filter(|(name, _)| marks.contains(name));
            let edits: Vec<Edit> = marks.flat_map(|(_, edits)| *edits).copied().collect();
            text += &edited(NODE, &edits).replace('%', &(index + 1).to_string());
        }
        for (app, nodes) in [("web", &self.web), ("more", &self.more)] {
            for node in nodes {
                let pod = POD.replace("APP", app).replace("ADDRESS", &address(app, *node));
                text += &pod.replace('%', &node.to_string());
            }
        }
        let mut hints = self.hints.iter().cycle();
        let endpoints: Vec<String> = self
            .web
            .iter()
            .map(|node| {
                let hint = hints.next().copied().unwrap_or_default();
                format!("{{addresses: [{}]{hint}}}", address("web", *node))
            })
            .collect();
        text += &SLICE.replace("ENDPOINTS", &endpoints.join(", "));
        text + &edited(REST, &self.settings)
    }

    fn cluster(&self) -> Cluster {
        let reading = read(&self.text());
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        reading.cluster
    }
}

/// In a block of the node.
fn address(app: &str, node: usize) -> String {
    let last = node * 16 + if app == "web" { 5 } else { 6 };
    format!("10.244.{}.{}", last / 256, last % 256)
}

fn ask(cluster: &Cluster, flow: &str) -> Trace {
    trace(cluster, &flow.parse::<Flow>().unwrap())
}

/// What comes of connections, each `weight` of all, and how often; nodes' own addresses by what
/// they are.
fn shares(cluster: &Cluster, traces: &[Trace], weight: f64) -> BTreeMap<String, f64> {
    let whose = |address: IpAddr| match cluster.node_by_address.get(&address) {
        Some(node) => match cluster.node(*node).unwrap().tunnel_of(address) {
            Some(tunnel) => format!("{tunnel:?}"),
            None => "card".to_owned(),
        },
        None => address.to_string(),
    };
    let mut shares = BTreeMap::new();
    for outcome in traces.iter().flat_map(|traced| &traced.outcomes) {
        let cause = outcome.cause.as_ref().map(|cause| cause.kind);
        let sources = [outcome.source_at_pod, outcome.source_seen_by_app].map(|ip| ip.map(whose));
        let what = format!("{:?} {cause:?} {:?} {sources:?}", outcome.verdict, outcome.endpoint);
        *shares.entry(what).or_default() += outcome.share * weight;
    }
    shares
}

fn same(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-9)
}

/// How often each way is gone from outside through a balancer.
fn ways(many: &Many) -> Vec<f64> {
    let traced = ask(&many.cluster(), "client/far -> loadBalancer/app/web:80@keeps");
    traced.outcomes.iter().map(|outcome| (outcome.share * 1e4).round() / 1e4).collect()
}

#[test]
fn few_nodes_are_all_shown() {
    assert_eq!(ways(&Many::of(16)), [1.0 / 16.0; 16]);
    assert_eq!(ways(&Many::of(17)).len(), 2);
}

#[test]
fn nodes_with_an_endpoint_and_the_packets_own_are_like_no_other() {
    let many = Many { web: vec![1, 2], ..Many::of(20) };
    // Each endpoint from each of the two, and from one of the others.
    assert_eq!(ways(&many), [0.025, 0.025, 0.025, 0.025, 0.45, 0.45]);
    // What the sender itself sends through a balancer, untranslated.
    let settings = vec![("natOutgoing: true", "natOutgoing: false")];
    let cluster = Many { settings, ..Many::of(20) }.cluster();
    for from in ["node/n10", "pod/other/asker"] {
        let own = ask(&cluster, &format!("{from} -> loadBalancer/app/web:80@keeps"));
        let shares: Vec<f64> = own.outcomes.iter().map(|outcome| outcome.share).collect();
        assert_eq!(shares, [0.05, 0.9, 0.05], "{from}");
    }
}

/// The endpoint's node, three nodes with a mark, and all the others.
const APART: &[f64] = &[0.05, 0.15, 0.8];
const TOGETHER: &[f64] = &[0.05, 0.95];
const EACH: &[f64] = &[0.05, 0.05, 0.05, 0.05, 0.8];

#[test]
fn nodes_are_told_apart_by_what_makes_a_difference_to_a_packet() {
    const IPVS: Edit = ("mode: iptables", "mode: ipvs");
    const NODE_CIDR: Edit = ("clusterCIDR: 10.244.0.0/16", "detectLocalMode: NodeCIDR");
    const SERVICE: Edit = ("source: {}", "source: {services: {name: processes, namespace: app}}");
    for (mark, setting, expected) in [
        ("subnet", None, APART),
        ("zone", None, APART),
        ("rack", None, APART),
        ("peer", None, APART),
        ("reflector", None, APART),
        ("host endpoint", None, EACH),
        ("old kube-proxy", None, TOGETHER),
        ("old kube-proxy", Some(IPVS), APART),
        ("podCIDR", None, TOGETHER),
        ("podCIDR", Some(NODE_CIDR), APART),
        ("process", None, TOGETHER),
        ("process", Some(SERVICE), APART),
    ] {
        let mut many = Many { settings: Vec::from_iter(setting), ..Many::of(20) };
        many.nodes[1..4].fill(vec![mark]);
        assert_eq!(ways(&many), expected, "{mark}, {setting:?}");
    }
}

#[test]
fn nodes_are_told_apart_by_the_ranges_that_their_addresses_are_in() {
    const OF_SET: Edit =
        ("source: {}", "source: {selector: set == 'some', namespaceSelector: global()}");
    for (settings, expected) in [
        (
            &[("nodePortAddresses: []", "nodePortAddresses: [192.168.1.2/31, 192.168.1.4/32]")][..],
            APART,
        ),
        (&[("source: {}", "source: {nets: [192.168.1.2/31, 192.168.1.4/32]}")], APART),
        (&[("source: {}", "source: {notNets: [192.168.1.2/31, 192.168.1.4/32]}")], APART),
        (&[OF_SET, (SETS.0, SETS.1[0])], APART),
        // The tunnels' addresses.
        (&[("source: {}", "source: {nets: [10.244.0.0/28, 10.244.0.32/27]}")], APART),
        (&[("source: {}", "source: {nets: [192.168.0.0/16, 10.244.0.0/16]}")], TOGETHER),
        // So few blocks that the others have no tunnel's address.
        (&[("10.244.0.0/16, block", "10.244.0.0/26, block")], APART),
        // A pod's egress is asked about before its packets come to any of the nodes.
        (&[("destination: {}", "destination: {nets: [192.168.1.2/31]}")], TOGETHER),
    ] {
        let many = Many { settings: settings.to_vec(), ..Many::of(20) };
        assert_eq!(ways(&many), expected, "{settings:?}");
    }
}

#[test]
fn a_node_that_hints_name_is_like_no_other() {
    let many = Many { hints: vec![", hints: {forNodes: [{name: n3}]}"], ..Many::of(20) };
    assert_eq!(ways(&many), [0.05, 0.9, 0.05]);
}

#[test]
fn beyond_so_many_ways_the_rest_are_taken_to_be_like_them() {
    let many = Many::of(16).text();
    let endpoints: Vec<String> =
        (0..300).map(|n| format!("{{addresses: [10.50.{}.{}]}}", n / 100, n % 100)).collect();
    let text = many.replace("{addresses: [10.244.0.21]}", &endpoints.join(", "));
    let traced = ask(&read(&text).cluster, "client/far -> loadBalancer/app/web:80@keeps");
    assert!(traced.outcomes.len() < 16 * 300, "{}", traced.outcomes.len());
    let sum: f64 = traced.outcomes.iter().map(|outcome| outcome.share).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
}

fn clusters() -> impl Strategy<Value = Many> {
    let nodes = || 1_usize..=24;
    let pods =
        || prop::collection::btree_set(nodes(), 0..4).prop_map(|set| set.into_iter().collect());
    let marks = subsequence(MARKS.map(|(name, _)| name).to_vec(), 0..=3);
    let kinds = prop::collection::vec(marks, 1..4);
    let hints = select(vec![
        Vec::new(),
        vec![", hints: {forZones: [{name: a}]}", ", hints: {forZones: [{name: b}]}"],
        vec![", hints: {forNodes: [{name: n7}]}", ", hints: {forNodes: [{name: n8}]}"],
    ]);
    let settings: Vec<_> = SETTINGS
        .iter()
        .map(|(from, to)| {
            let keep = prop::option::weighted(0.3, select(*to));
            keep.prop_map(move |to| to.map(|to| (*from, to)))
        })
        .collect();
    (
        kinds,
        prop::collection::vec(any::<prop::sample::Index>(), 24),
        pods(),
        pods(),
        hints,
        settings,
    )
        .prop_map(|(kinds, of, web, more, hints, settings)| Many {
            nodes: of.iter().map(|kind| kind.get(&kinds).clone()).collect(),
            web,
            more,
            hints,
            settings: settings.into_iter().flatten().collect(),
        })
}

fn senders() -> impl Strategy<Value = &'static str> {
    select(vec!["client/near", "client/far", "node/n10", "pod/other/asker"])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn one_node_stands_for_all_that_are_like_it(
        many in clusters(),
        from in senders(),
        to in select(vec![
            "ip/198.51.100.7:80",
            "ip/198.51.100.7:81",
            "ip/198.51.100.8:81",
            "ip/192.0.2.10:80",
            "ip/10.96.0.9:80",
            "loadBalancer/app/web:80@keeps",
            "loadBalancer/app/web:80@opens",
        ]),
    ) {
        let cluster = many.cluster();
        let mut each = cluster.clone();
        each.alike.clear();
        let flow = format!("{from} -> {to}");
        let (few, all) = (ask(&cluster, &flow), ask(&each, &flow));
        let (few, all) = (shares(&cluster, &[few], 1.0), shares(&cluster, &[all], 1.0));
        prop_assert!(same(&few, &all), "{flow}\n{few:#?}\n{all:#?}");
    }

    #[test]
    fn a_balancer_sends_to_each_node_as_often(
        many in clusters(),
        from in senders(),
        to in select(vec!["loadBalancer/app/web:80@keeps", "loadBalancer/app/web:80@opens"]),
    ) {
        let cluster = many.cluster();
        let flow = format!("{from} -> {to}");
        let pinned = |node| ask(&cluster, &format!("{flow}/n{node}"));
        let pinned: Vec<Trace> = (1..=24).map(pinned).collect();
        let any = [ask(&cluster, &flow)];
        let (few, all) = (shares(&cluster, &any, 1.0), shares(&cluster, &pinned, 1.0 / 24.0));
        prop_assert!(same(&few, &all), "{flow}\n{few:#?}\n{all:#?}");
    }
}
