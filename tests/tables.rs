//! The decision tables of the datapath, as an engineer writes them on a whiteboard.
//!
//! One endpoint, on node2. Each cell is `P/A`: the source that the pod's ingress policy is asked
//! about, and the source that the application gets; `-` for a policy that is not asked. `tunN` and
//! `ethN` are nodeN's addresses, `own` is the sending pod's. `=` repeats the cell before.
//! `timeout` is silence, `refused` an immediate error, `no-route` silence because nobody knows the
//! address.

#![expect(
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test: a broken table must stop it"
)]

use std::net::IpAddr;

use hopwise::datapath::Rule;
use hopwise::net::Direction;
use hopwise::net::Verdict;
use hopwise::{Cluster, Flow, read, trace};

/// externalTrafficPolicy Cluster, IPIP. Rows C1 to C14. The client is on the nodes' own subnet, and would
/// get answers past a balancer; `far` is not.
const CLUSTER: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
C1   client  node2:np        cl/eth2    =          =          cl/cl
C1   client  vip2            cl/eth2    =          =          cl/cl
C2   client  node1:np        tun1/tun1  =          =          cl/cl
C2   client  vip1            tun1/tun1  =          =          cl/cl
C3   client  lb>node1        tun1/tun1  =          =          lb/lb
C3   client  lb>node2        lb/eth2    =          =          lb/lb
C4   far     keeps>node1     tun1/tun1  =          =          cl/cl
C4   far     keeps>node2     cl/eth2    =          =          cl/cl
C5   bar1    node1:np        tun1/tun1  =          =          own/own
C5   bar1    vip1            tun1/tun1  =          =          own/own
C6   bar2    node2:np        own/eth2   =          =          own/own
C6   bar2    vip1            own/eth2   =          =          own/own
C7   bar1    node3:np        tun3/tun3  =          =          own/own
C8   bar1    node2:np        eth1/eth2  =          =          own/own
C9   node1   node1:np        tun1/tun1  =          =          =
C9   node1   vip1            tun1/tun1  =          =          =
C10  node1   node3:np        tun3/tun3  =          =          tun1/tun1
C11  node1   node2:np        eth1/eth2  =          =          tun1/tun1
C12  node2   node2:np        -/eth2     =          =          =
C13  node2   node1:np        tun1/tun1  =          =          -/eth2
C14  tekton  node2:np        own/eth2   =          =          -/own
";

/// externalTrafficPolicy Local, IPIP. Rows L1 to L13.
const LOCAL: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
L1   client  node2:np        cl/cl      =          =          =
L1   client  vip2            cl/cl      =          =          =
L2   client  node1:np        timeout    timeout    timeout    refused
L3   far     checks>any      cl/cl      =          =          =
L4   client  lb>node2        lb/lb      =          =          =
L5   bar1    node1:np        own/own    =          =          =
L5   bar1    vip1            own/own    =          =          =
L6   bar2    node2:np        own/own    =          =          =
L7   bar1    node2:np        eth1/eth1  =          =          own/own
L8   bar1    node3:np        timeout    =          =          own/own
L9   node1   node1:np        tun1/tun1  =          =          =
L9   node1   vip1            tun1/tun1  =          =          =
L10  node2   node2:np        -/eth2     =          =          =
L10  node2   vip1            -/eth2     -/vip1     -/eth2     =
L11  node1   node2:np        eth1/eth1  =          =          tun1/tun1
L12  node1   node3:np        timeout    =          =          tun1/tun1
L13  tekton  node2:np        own/eth2   =          =          -/own
";

/// externalTrafficPolicy Local with an IPVS kube-proxy before v1.24: column "IPVS older".
const LOCAL_OLD_IPVS: &str = "
row  from    to              ipvs
L1   client  node2:np        cl/cl
L2   client  node1:np        refused
L4   client  lb>node2        lb/lb
L5   bar1    node1:np        refused
L5   bar1    vip1            refused
L6   bar2    node2:np        own/own
L7   bar1    node2:np        eth1/eth1
L8   bar1    node3:np        refused
L9   node1   node1:np        refused
L9   node1   vip1            refused
L10  node2   node2:np        -/eth2
L10  node2   vip1            -/vip1
L12  node1   node3:np        refused
";

/// ClusterIP, and pod addresses. Rows K1 to K7 and I1 to I5.
const INSIDE: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
K1   bar1    svc             own/own    =          =          =
K2   bar2    svc             own/own    =          =          =
K3   tekton  svc             own/eth2   =          =          -/own
K4   node1   svc             tun1/tun1  =          =          =
K5   node2   svc             -/eth2     =          =          =
K6   client  svc@node2       cl/eth2    =          =          cl/cl
K7   client  svc@node1       tun1/tun1  =          =          cl/cl
I1   bar1    pod             own/own    =          =          =
I2   bar2    pod             own/own    =          =          =
I3   node1   pod             tun1/tun1  =          =          =
I4   node2   pod             -/eth2     =          =          =
I5   client  pod@node2       cl/cl      =          =          =
I12  tekton  pod             -/own      =          =          =
";

/// ClusterIP without clusterCIDR: kube-proxy can't tell pods from others.
const INSIDE_NO_DETECTOR: &str = "
row  from    to              iptables   ipvs       nftables
K1   bar1    svc             own/own    =          =
K2   bar2    svc             own/own    =          =
K3   tekton  svc             own/eth2   =          =
K4   node1   svc             tun1/tun1  =          =
K6   client  svc@node2       cl/cl      =          =
K7   client  svc@node1       timeout    =          =
";

/// ClusterIP with masqueradeAll.
const INSIDE_MASQUERADE_ALL: &str = "
row  from    to              iptables   ipvs       nftables
K1   bar1    svc             tun1/tun1  =          =
K2   bar2    svc             own/eth2   =          =
K3   tekton  svc             own/eth2   =          =
K4   node1   svc             tun1/tun1  =          =
K6   client  svc@node2       cl/eth2    =          =
K7   client  svc@node1       tun1/tun1  =          =
";

/// externalTrafficPolicy Local without clusterCIDR: nothing tells that the pod is one. Row L5'.
const LOCAL_NO_DETECTOR: &str = "
row  from    to              iptables   ipvs       nftables
L5'  bar1    node1:np        refused    own/own    timeout
L5'  bar1    vip1            timeout    own/own    timeout
";

/// Pods' packets to another node's address keep their source. Row C8'.
const UNTRANSLATED: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
C8'  bar1    node2:np        own/eth2   =          =          own/own
C7'  bar1    node3:np        tun3/tun3  =          =          own/own
";
const UNTRANSLATED_STRICT_TUNNEL: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
C8'  bar1    node2:np        timeout    =          =          own/own
";

/// internalTrafficPolicy Local. Rows K8 and K9; the service has a node port.
const INTERNAL_LOCAL: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
K8   bar2    svc             own/own    =          =          =
K8   tekton  svc             own/eth2   =          =          -/own
K8   node2   svc             -/eth2     =          =          =
K8   client  svc@node2       cl/eth2    =          =          cl/cl
K9   bar1    svc             timeout    own/own    timeout    refused
K9   node1   svc             timeout    tun1/tun1  timeout    refused
";
/// The same of a service that has only a ClusterIP.
const INTERNAL_LOCAL_ONLY: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
K9   bar1    svc             timeout    refused    timeout    refused
";

/// A service without endpoints. Rows K10, C15.
const NO_ENDPOINTS: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
K10  bar1    svc             refused    =          =          =
K10  node1   svc             refused    =          =          =
C15  client  node1:np        refused    =          =          =
C15  client  vip1            refused    =          =          =
C15  bar1    node1:np        refused    =          =          =
C15  node1   node1:np        refused    =          =          =
";
/// The same, asked by pods whose egress policy denies everything.
const NO_ENDPOINTS_NO_EGRESS: &str = "
row  from    to              iptables   ipvs       nftables
K10  bar1    svc             timeout    refused    refused
C15  bar1    node1:np        timeout    refused    refused
";

/// The only endpoint is being deleted and still serves. Row L14.
const TERMINATING: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
L14  client  node2:np        cl/cl      =          =          refused
L14  bar1    svc             own/own    =          =          refused
";

/// A port that the ClusterIP does not have. Row K11.
const WRONG_PORT: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
K11  bar1    svc:9999        no-route   refused    refused    no-route
";

/// Nodes and machines outside. Rows I7 to I9.
const OUTSIDE: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
I7   bar1    node2:10250     -/eth1     =          =          =
I8   bar2    node2:10250     -/own      =          =          =
I9   bar1    client:443      -/eth1     =          =          =
";
/// A client that is routed to another node than the pod's. Row I6.
const ROUTED_PODS: &str = "
row  from    to              iptables   ipvs       nftables
I6   client  pod@node1       cl/cl      =          =
";
const ROUTED_PODS_TUNNEL: &str = "
row  from    to              iptables   ipvs       nftables
I6   client  pod@node1       timeout    =          =
";

/// The endpoint is a process of node2, as kube-apiserver is. Row I10.
const HOST_NETWORK_ENDPOINT: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
I10  bar1    svc             -/eth1     =          =          =
I10  bar2    svc             -/own      =          =          =
";

/// The endpoint is a machine outside the cluster. Row I11.
const OUTSIDE_ENDPOINT: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
I11  bar1    svc             -/eth1     =          =          =
";

/// What `defaultEndpointToHostAction: Drop` does to pods that talk to their own node, and what not.
const TO_OWN_NODE_DROP: &str = "
row  from    to              iptables   ipvs       nftables   ebpf
I8   bar2    node2:10250     timeout    =          =          =
C6   bar2    node2:np        own/eth2   =          =          own/own
";

/// Node ports on a tunnel's address, and on loopback.
const ODD_ADDRESSES: &str = "
row  from    to              iptables   ipvs       nftables
-    bar2    tun2:np         own/eth2   =          refused
-    node1   localhost:np    tun1/tun1  refused    refused
";

#[test]
fn pods_that_do_not_look_like_pods() {
    compare(LOCAL_NO_DETECTOR, &World { policy: "Local", cluster_cidr: false, ..World::default() });
}

#[test]
fn pods_whose_source_is_kept_on_the_way_to_nodes() {
    const KEPT: Edit<'_> = ("natOutgoing: true", "natOutgoing: false");
    const EXCLUDED: Edit<'_> =
        ("bpfEnabled", "natOutgoingExclusions: IPPoolsAndHostIPs, bpfEnabled");
    const LOOSE: Edit<'_> = ("spec:\n  clients", "spec:\n  hosts: {rpFilter: Loose}\n  clients");
    for edit in [KEPT, EXCLUDED] {
        let world = World { edits: vec![edit], ..World::default() };
        compare(UNTRANSLATED_STRICT_TUNNEL, &world);
        compare(UNTRANSLATED, &World { edits: vec![edit, LOOSE], ..World::default() });
        let world = World { edits: vec![edit], encapsulation: "bgp", ..World::default() };
        compare(&UNTRANSLATED.replace("tun", "eth"), &world);
    }
}

#[test]
fn internal_traffic_policy_local() {
    const LOCAL: Edit<'_> = ("  selector:", "  internalTrafficPolicy: Local\n  selector:");
    compare(INTERNAL_LOCAL, &World { edits: vec![LOCAL], ..World::default() });
    let plain = vec![
        LOCAL,
        ("type: LoadBalancer", "type: ClusterIP"),
        ("  externalTrafficPolicy: Cluster\n", ""),
        (", nodePort: 31602", ""),
        ("status: {loadBalancer: {ingress: [{ip: 203.0.113.11}, {ip: 203.0.113.12}]}}", ""),
    ];
    compare(INTERNAL_LOCAL_ONLY, &World { edits: plain, ..World::default() });
}

#[test]
fn a_service_without_endpoints() {
    const NONE: Edit<'_> = ("selector: {app: tekton}", "selector: {app: nobody}");
    const DENY: Edit<'_> = (
        "apiVersion: hopwise.dev/v1",
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: no-egress, namespace: bar}
spec: {podSelector: {}, policyTypes: [Egress]}
---
apiVersion: hopwise.dev/v1",
    );
    compare(NO_ENDPOINTS, &World { edits: vec![NONE], ..World::default() });
    compare(NO_ENDPOINTS_NO_EGRESS, &World { edits: vec![NONE, DENY], ..World::default() });
}

#[test]
fn endpoints_that_are_being_deleted() {
    const SLICE: Edit<'_> = (
        "apiVersion: hopwise.dev/v1",
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: tekton-1, namespace: tekton, labels: {kubernetes.io/service-name: tekton}}
addressType: IPv4
ports: [{port: 9097}]
endpoints:
- addresses: [10.233.96.5]
  nodeName: node2
  conditions: {ready: false, serving: true, terminating: true}
---
apiVersion: hopwise.dev/v1",
    );
    compare(TERMINATING, &World { policy: "Local", edits: vec![SLICE], ..World::default() });
}

#[test]
fn a_port_that_the_cluster_ip_does_not_have() {
    // The routers do not know the service's addresses.
    const ELSEWHERE: Edit<'_> = ("  - {to: 10.233.20.0/24, via: node1}\n", "");
    compare(WRONG_PORT, &World { edits: vec![ELSEWHERE], ..World::default() });
}

#[test]
fn nodes_and_machines_outside() {
    compare(OUTSIDE, &World::default());
    compare(OUTSIDE, &World { encapsulation: "bgp", ..World::default() });
    compare(ROUTED_PODS, &World { encapsulation: "bgp", ..World::default() });
    compare(ROUTED_PODS_TUNNEL, &World::default());
    let action = ("bpfEnabled", "defaultEndpointToHostAction: Drop, bpfEnabled");
    compare(TO_OWN_NODE_DROP, &World { edits: vec![action], ..World::default() });
}

#[test]
fn endpoints_that_are_no_pods() {
    let endpoint = |ip: &str| {
        format!(
            "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: tekton-1, namespace: tekton, labels: {{kubernetes.io/service-name: tekton}}}}
addressType: IPv4
ports: [{{port: 10250}}]
endpoints: [{{addresses: [{ip}]}}]
---
apiVersion: hopwise.dev/v1"
        )
    };
    let (node, outside) = (endpoint("192.168.1.12"), endpoint("192.168.1.99"));
    let at = "apiVersion: hopwise.dev/v1";
    compare(HOST_NETWORK_ENDPOINT, &World { edits: vec![(at, &node)], ..World::default() });
    compare(OUTSIDE_ENDPOINT, &World { edits: vec![(at, &outside)], ..World::default() });
}

#[test]
fn node_ports_on_other_addresses_of_the_node() {
    compare(ODD_ADDRESSES, &World::default());
}

#[test]
fn external_traffic_policy_cluster() {
    compare(CLUSTER, &World { policy: "Cluster", ..World::default() });
}

#[test]
fn external_traffic_policy_local() {
    compare(LOCAL, &World { policy: "Local", ..World::default() });
}

#[test]
fn external_traffic_policy_local_before_the_fallback() {
    const OLD: Edit<'_> =
        ("kind: Node\n", "kind: Node\nstatus: {nodeInfo: {kubeProxyVersion: v1.23.17}}\n");
    compare(LOCAL_OLD_IPVS, &World { policy: "Local", edits: vec![OLD], ..World::default() });
}

#[test]
fn cluster_ip_and_pod_addresses() {
    compare(INSIDE, &World::default());
}

#[test]
fn cluster_ip_without_a_local_detector() {
    compare(INSIDE_NO_DETECTOR, &World { cluster_cidr: false, ..World::default() });
}

#[test]
fn cluster_ip_with_masquerade_all() {
    compare(INSIDE_MASQUERADE_ALL, &World { masquerade_all: true, ..World::default() });
}

/// What encapsulation changes: the masquerade towards another node, and nothing else.
#[test]
fn without_encapsulation_the_tunnels_addresses_become_the_nodes() {
    for (table, policy) in [(CLUSTER, "Cluster"), (INSIDE, "Cluster")] {
        let table = table.replace("tun", "eth");
        compare(&table, &World { policy, encapsulation: "bgp", ..World::default() });
    }
}

#[test]
fn vxlan_is_as_ipip() {
    compare(CLUSTER, &World { encapsulation: "vxlan", ..World::default() });
    compare(INSIDE, &World { encapsulation: "vxlan", ..World::default() });
}

/// What to write in the place of what.
type Edit<'a> = (&'a str, &'a str);

struct World<'a> {
    policy: &'static str,
    encapsulation: &'static str,
    cluster_cidr: bool,
    masquerade_all: bool,
    edits: Vec<Edit<'a>>,
}

impl Default for World<'_> {
    fn default() -> Self {
        Self {
            policy: "Cluster",
            encapsulation: "ipip",
            cluster_cidr: true,
            masquerade_all: false,
            edits: Vec::new(),
        }
    }
}

/// Compares every cell, and reports all that differ.
fn compare(table: &str, world: &World<'_>) {
    let mut lines = table.lines().filter(|line| !line.trim().is_empty());
    let modes: Vec<&str> = lines.next().unwrap().split_whitespace().skip(3).collect();
    let clusters: Vec<(&str, Vec<Cluster>)> = modes
        .iter()
        .map(|mode| {
            let at = |entry: &str| read(&text(mode, world, entry)).cluster;
            (*mode, vec![at("node1"), at("node2")])
        })
        .collect();
    let mut wrong = Vec::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let (row, from, to) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let mut wanted = "";
        for (cell, (mode, at)) in words.zip(&clusters) {
            wanted = if cell == "=" { wanted } else { cell };
            let entry = usize::from(to.ends_with("@node2"));
            let got = ask(&at[entry], from, to);
            let resolved = wanted.replace("own", from);
            if got != resolved {
                wrong.push(format!(
                    "{row} {from} -> {to}, {mode}: {resolved} in the table, {got} here"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", world.encapsulation, wrong.join("\n"));
}

fn ask(cluster: &Cluster, from: &str, to: &str) -> String {
    let from = match from {
        "client" | "far" => format!("client/{from}"),
        "tekton" => "pod/tekton/tekton".to_owned(),
        node if node.starts_with("node") => format!("node/{node}"),
        pod => format!("pod/bar/{pod}"),
    };
    let (to, _) = to.split_once('@').unwrap_or((to, ""));
    let to = match to {
        "svc" => "service/tekton/tekton:9097".to_owned(),
        "pod" => "pod/tekton/tekton:9097".to_owned(),
        "vip1" => "ip/203.0.113.11:9097".to_owned(),
        "vip2" => "ip/203.0.113.12:9097".to_owned(),
        "svc:9999" => "ip/10.233.20.20:9999".to_owned(),
        "tun2:np" => "ip/10.233.96.0:31602".to_owned(),
        "localhost:np" => "ip/127.0.0.1:31602".to_owned(),
        "client:443" => "ip/192.168.1.99:443".to_owned(),
        "node2:10250" => "node/node2:10250".to_owned(),
        other => match (other.strip_suffix(":np"), other.split_once('>')) {
            (Some(node), _) => format!("nodePort/{node}:31602"),
            (_, Some((balancer, "any"))) => format!("loadBalancer/tekton/tekton:9097@{balancer}"),
            (_, Some((balancer, node))) => {
                format!("loadBalancer/tekton/tekton:9097@{balancer}/{node}")
            }
            _ => panic!("{other}"),
        },
    };
    let flow: Flow = format!("{from} -> {to}").parse().unwrap();
    let traced = trace(cluster, &flow);
    let [outcome] = traced.outcomes.as_slice() else {
        panic!("{flow}: {} ways", traced.outcomes.len())
    };
    match outcome.verdict {
        Verdict::Dropped => "timeout".to_owned(),
        Verdict::Rejected => "refused".to_owned(),
        Verdict::Unroutable => "no-route".to_owned(),
        Verdict::Delivered => {
            let asked = outcome.steps.iter().find(|step| {
                step.rule() == Rule::IngressGate
                    && step.gate().is_some_and(|gate| gate.direction == Direction::Ingress)
            });
            let asked = asked.map_or_else(|| "-".to_owned(), |step| name(step.before.source));
            format!("{asked}/{}", name(outcome.source_seen_by_app.unwrap()))
        }
        Verdict::Mixed => "mixed".to_owned(),
    }
}

const NAMES: [(&str, &str); 15] = [
    ("192.168.1.99", "cl"),
    ("198.51.100.9", "cl"),
    ("192.168.1.200", "lb"),
    ("192.168.1.11", "eth1"),
    ("192.168.1.12", "eth2"),
    ("192.168.1.13", "eth3"),
    ("10.233.90.0", "tun1"),
    ("10.233.96.0", "tun2"),
    ("10.233.92.0", "tun3"),
    ("10.233.90.10", "bar1"),
    ("10.233.96.10", "bar2"),
    ("10.233.92.10", "bar3"),
    ("10.233.96.5", "tekton"),
    ("203.0.113.11", "vip1"),
    ("203.0.113.12", "vip2"),
];

fn name(address: IpAddr) -> String {
    let found = NAMES.iter().find(|(ip, _)| *ip == address.to_string());
    found.map_or_else(|| address.to_string(), |(_, name)| (*name).to_owned())
}

fn text(mode: &str, world: &World<'_>, entry: &str) -> String {
    let (ipip, vxlan) = match world.encapsulation {
        "ipip" => ("Always", "Never"),
        "vxlan" => ("Never", "Always"),
        _ => ("Never", "Never"),
    };
    let mut text = String::new();
    for (index, tunnel) in [(1, 90), (2, 96), (3, 92)] {
        text += &format!(
            "
apiVersion: v1
kind: Node
metadata:
  name: node{index}
  annotations:
    projectcalico.org/IPv4Address: 192.168.1.1{index}/24
    projectcalico.org/IPv4IPIPTunnelAddr: 10.233.{tunnel}.0
    projectcalico.org/IPv4VXLANTunnelAddr: 10.233.{tunnel}.0
---"
        );
    }
    for (namespace, pod, node, ip) in [
        ("tekton", "tekton", "node2", "10.233.96.5"),
        ("bar", "bar1", "node1", "10.233.90.10"),
        ("bar", "bar2", "node2", "10.233.96.10"),
        ("bar", "bar3", "node3", "10.233.92.10"),
    ] {
        text += &format!(
            "
apiVersion: v1
kind: Pod
metadata: {{name: {pod}, namespace: {namespace}, labels: {{app: {pod}}}}}
spec: {{nodeName: {node}, containers: [{{name: main, ports: [{{containerPort: 9097}}]}}]}}
status: {{podIP: {ip}}}
---"
        );
    }
    let cidr = if world.cluster_cidr { "clusterCIDR: 10.233.64.0/18" } else { "" };
    let (proxy, bpf) = if mode == "ebpf" { ("iptables", "true") } else { (mode, "false") };
    let (policy, all) = (world.policy, world.masquerade_all);
    text += &format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: tekton, namespace: tekton}}
spec:
  type: LoadBalancer
  clusterIP: 10.233.20.20
  selector: {{app: tekton}}
  externalTrafficPolicy: {policy}
  ports: [{{port: 9097, nodePort: 31602}}]
status: {{loadBalancer: {{ingress: [{{ip: 203.0.113.11}}, {{ip: 203.0.113.12}}]}}}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: pool}}
spec: {{cidr: 10.233.64.0/18, blockSize: 26, ipipMode: {ipip}, vxlanMode: {vxlan}, natOutgoing: true}}
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
iptables: {{masqueradeAll: {all}}}
nftables: {{masqueradeAll: {all}}}
---
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {{name: table}}
spec:
  clients: [{{name: client, ip: 192.168.1.99}}, {{name: far, ip: 198.51.100.9}}]
  loadBalancers:
  - {{name: lb, ip: 192.168.1.200, sourceAddress: Replace, healthCheck: false}}
  - {{name: keeps, ip: 192.168.1.201, sourceAddress: Preserve, healthCheck: false}}
  - {{name: checks, ip: 192.168.1.202, sourceAddress: Preserve}}
  routes:
  - {{to: 203.0.113.11/32, via: node1}}
  - {{to: 203.0.113.12/32, via: node2}}
  - {{to: 10.233.20.0/24, via: {entry}}}
  - {{to: 10.233.96.0/26, via: {entry}}}
"
    );
    for (from, to) in &world.edits {
        let from = from.replace("via: node1", &format!("via: {entry}"));
        assert!(text.contains(&from), "{from}");
        text = text.replace(&from, to);
    }
    text
}
