//! Who told a node where another node's pods are: BGP's sessions, or Felix.

use super::evidence::Evidence;
use crate::cluster::{BgpPeer, Cluster, ClusterRoutes, NodeId};
use crate::net::Encapsulation;
use crate::text::{Cite, ObjectRef};

/// How a node knows another's blocks.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// Felix writes the route itself.
    Felix,
    /// The node-to-node mesh.
    Mesh,
    /// A session of the two.
    Session(Cite),
    /// Route reflectors, from the one that is told to the one that tells.
    Reflectors(Vec<NodeId>, Cite),
    /// The routers outside, which both speak with.
    Routers(Cite),
    /// The mesh is off, and the text has no sessions at all: taken to be elsewhere.
    Assumed,
}

/// How `node` knows the blocks of `owner`; `None` if nobody tells it.
///
/// The routes of VXLAN and `WireGuard` are Felix' own (`vxlan_mgr.go`, `wireguard.go`), all others
/// BIRD's, unless `programClusterRoutes` says otherwise. A reflector takes no part in the mesh, and
/// passes on what it is told by one node to the others (`bird.cfg.template`).
pub(super) fn told(
    cluster: &Cluster,
    node: NodeId,
    owner: NodeId,
    encapsulation: Option<Encapsulation>,
) -> Option<Told> {
    let felix = match cluster.felix.cluster_routes.value {
        ClusterRoutes::Enabled => true,
        ClusterRoutes::Ipip => encapsulation == Some(Encapsulation::Ipip),
        ClusterRoutes::Disabled => false,
    };
    if felix || matches!(encapsulation, Some(Encapsulation::Vxlan | Encapsulation::Wireguard)) {
        return Some(Told::Felix);
    }
    let bgp = &cluster.bgp;
    let meshed = |node: &NodeId| !bgp.reflectors.contains(node);
    if bgp.mesh.value && meshed(&node) && meshed(&owner) {
        return Some(Told::Mesh);
    }
    if bgp.peers.is_empty() {
        return (!bgp.mesh.value).then_some(Told::Assumed);
    }
    if let Some(peer) = bgp.session(owner, node) {
        return Some(Told::Session(peer.cite.clone()));
    }
    if let Some((way, peer)) = reflected(cluster, owner, node) {
        return Some(Told::Reflectors(way, peer.cite.clone()));
    }
    let router = bgp.with_router(owner)?;
    bgp.with_router(node).map(|_| Told::Routers(router.cite.clone()))
}

/// The shortest way from one node to another by way of reflectors, and the last session of it.
fn reflected(cluster: &Cluster, from: NodeId, to: NodeId) -> Option<(Vec<NodeId>, &BgpPeer)> {
    let bgp = &cluster.bgp;
    let mut ways: Vec<Vec<NodeId>> = bgp
        .reflectors
        .iter()
        .filter(|reflector| bgp.session(from, **reflector).is_some())
        .map(|reflector| vec![*reflector])
        .collect();
    let mut seen: Vec<NodeId> = ways.iter().flatten().copied().collect();
    while !ways.is_empty() {
        for way in &ways {
            if let Some(peer) = way.last().and_then(|last| bgp.session(*last, to)) {
                return Some((way.clone(), peer));
            }
        }
        let mut longer = Vec::new();
        for way in ways {
            let Some(last) = way.last() else { continue };
            for next in &bgp.reflectors {
                if !seen.contains(next) && bgp.session(*last, *next).is_some() {
                    seen.push(*next);
                    longer.push([way.as_slice(), &[*next]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

impl Told {
    /// How a sentence goes on that says whose block it is: `as node2 tells over the BGP mesh`.
    pub(super) fn phrase(&self, cluster: &Cluster, owner: NodeId) -> String {
        let name = |id: NodeId| cluster.node(id).map_or("", |node| node.name.as_str());
        let owner = name(owner);
        match self {
            Self::Felix => "and Felix writes the route".to_owned(),
            Self::Mesh => format!("as {owner} tells over the BGP mesh"),
            Self::Session(_) => format!("as {owner} tells over a BGP session"),
            Self::Reflectors(way, _) => {
                let way: Vec<&str> = way.iter().map(|id| name(*id)).collect();
                format!("as {owner} tells the route reflector {}", way.join(", which tells "))
            }
            Self::Routers(_) => format!("as {owner} tells the routers outside over BGP"),
            Self::Assumed => format!("as {owner} is taken to tell over BGP"),
        }
    }

    /// What in the text says so.
    pub(super) fn evidence(&self, cluster: &Cluster) -> Option<Evidence> {
        Some(match self {
            Self::Session(cite) | Self::Reflectors(_, cite) | Self::Routers(cite) => {
                Evidence::of(cite.clone(), "it makes the BGP session")
            }
            Self::Felix if cluster.felix.cluster_routes.value == ClusterRoutes::Disabled => {
                return None;
            }
            Self::Felix => Evidence::of_felix(
                &cluster.felix.cluster_routes,
                "spec.programClusterRoutes",
                "Felix writes the routes between nodes",
            ),
            Self::Mesh | Self::Assumed => {
                let state = if *self == Self::Mesh { "on" } else { "off" };
                mesh_evidence(cluster, &format!("the node-to-node mesh is {state}"))
            }
        })
    }

    /// Why it is not certain, where it is not.
    pub(super) fn uncertain(&self) -> Option<String> {
        (*self == Self::Assumed).then(|| {
            "the text turns the node-to-node mesh off and has no BGPPeer: route reflectors are assumed; without any, no node knows another's pods".to_owned()
        })
    }
}

/// Why nobody tells `node` where `owner`'s pods are.
pub(super) fn untold(cluster: &Cluster, node: NodeId, owner: NodeId) -> (String, Evidence) {
    let name = |id: NodeId| cluster.node(id).map_or("", |node| node.name.as_str());
    let bgp = &cluster.bgp;
    let reflector = [node, owner].into_iter().find(|id| bgp.reflectors.contains(id));
    let why = match reflector {
        Some(reflector) if bgp.mesh.value => format!(
            "{} is a route reflector, which takes no part in the node-to-node mesh, and no BGPPeer gives it a session",
            name(reflector)
        ),
        _ => "the node-to-node mesh is off, and no BGPPeer leads from one to the other".to_owned(),
    };
    let message = format!("nobody tells {} where {}'s pods are: {why}", name(node), name(owner));
    let evidence = mesh_evidence(cluster, &why);
    (message, evidence)
}

fn mesh_evidence(cluster: &Cluster, finding: &str) -> Evidence {
    let object = ObjectRef::new("BGPConfiguration", "", "default");
    Evidence::of_setting(&cluster.bgp.mesh, &object, "spec.nodeToNodeMeshEnabled", finding)
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, Rule, trace};
    use crate::net::Verdict;
    use crate::{Flow, read};

    const NODES: &str = "
apiVersion: v1
kind: Node
metadata: {name: node1, labels: {rack: a}, annotations: {projectcalico.org/IPv4Address: 192.168.1.11/24}}
---
apiVersion: v1
kind: Node
metadata: {name: node2, labels: {rack: b}, annotations: {projectcalico.org/IPv4Address: 192.168.1.12/24}}
---
apiVersion: v1
kind: Node
metadata: {name: node3, labels: {rr: one}, annotations: {projectcalico.org/IPv4Address: 192.168.1.13/24, projectcalico.org/RouteReflectorClusterID: 244.0.0.1}}
---
apiVersion: v1
kind: Node
metadata: {name: node4, labels: {rr: two}, annotations: {projectcalico.org/IPv4Address: 192.168.1.14/24, projectcalico.org/RouteReflectorClusterID: 244.0.0.2}}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: app}
spec: {nodeName: node1, containers: [{name: main}]}
status: {podIP: 10.244.1.10}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: app}
spec: {nodeName: node2, containers: [{name: main}]}
status: {podIP: 10.244.2.10}
---
apiVersion: v1
kind: Pod
metadata: {name: c, namespace: app}
spec: {nodeName: node3, containers: [{name: main}]}
status: {podIP: 10.244.3.10}
";

    fn pool(ipip: &str, vxlan: &str) -> String {
        format!(
            "---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: pool}}
spec: {{cidr: 10.244.0.0/16, blockSize: 24, ipipMode: {ipip}, vxlanMode: {vxlan}, natOutgoing: true}}
"
        )
    }

    fn mesh(enabled: bool) -> String {
        format!(
            "---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {{name: default}}
spec: {{nodeToNodeMeshEnabled: {enabled}}}
"
        )
    }

    fn peer(name: &str, spec: &str) -> String {
        format!(
            "---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {{name: {name}}}
spec: {{{spec}}}
"
        )
    }

    fn ask(text: &str, flow: &str) -> Outcome {
        let reading = read(text);
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        trace(&reading.cluster, &flow.parse::<Flow>().unwrap()).outcomes.remove(0)
    }

    /// What the sending node says as the packet leaves it.
    fn leaving(outcome: &Outcome) -> &str {
        let leaves = |rule| matches!(rule, Rule::DeviceOut | Rule::Encapsulate);
        &outcome.steps.iter().find(|step| leaves(step.rule)).unwrap().summary
    }

    const FLOW: &str = "pod/app/a -> pod/app/b:80";

    #[test]
    fn in_the_mesh_every_node_tells_every_other() {
        let outcome = ask(&[NODES, &pool("Never", "Never")].concat(), FLOW);
        assert_eq!(
            leaving(&outcome),
            "10.244.2.0/24 is behind node2, as node2 tells over the BGP mesh: out by eth0, not wrapped"
        );
    }

    #[test]
    fn a_reflector_passes_on_what_it_is_told() {
        let peers = peer("reflectors", "peerSelector: \"rr == 'one'\"");
        let text = [NODES, &pool("Always", "Never"), &mesh(false), &peers].concat();
        let outcome = ask(&text, FLOW);
        assert_eq!(outcome.verdict, Verdict::Delivered);
        assert!(
            leaving(&outcome).contains("as node2 tells the route reflector node3:"),
            "{}",
            leaving(&outcome)
        );
    }

    #[test]
    fn reflectors_pass_on_to_reflectors() {
        let peers = [
            peer("rack-a", "nodeSelector: \"rack == 'a'\", peerSelector: \"rr == 'one'\""),
            peer("rack-b", "nodeSelector: \"rack == 'b'\", peerSelector: \"rr == 'two'\""),
            peer("core", "nodeSelector: \"rr == 'one'\", peerSelector: \"rr == 'two'\""),
        ];
        let text = [NODES, &pool("Never", "Never"), &mesh(false), &peers.concat()].concat();
        let outcome = ask(&text, FLOW);
        assert_eq!(outcome.verdict, Verdict::Delivered);
        let told = "as node2 tells the route reflector node4, which tells node3:";
        assert!(leaving(&outcome).contains(told), "{}", leaving(&outcome));
    }

    #[test]
    fn a_node_whom_nobody_tells_sends_to_the_default_gateway() {
        let peers = peer("rack-a", "nodeSelector: \"rack == 'a'\", peerSelector: \"rr == 'one'\"");
        let text = [NODES, &pool("Never", "Never"), &mesh(false), &peers].concat();
        let outcome = ask(&text, FLOW);
        assert_eq!(outcome.verdict, Verdict::Unroutable);
        let cause = outcome.cause.unwrap();
        assert_eq!(
            cause.message,
            "nobody tells node1 where node2's pods are: the node-to-node mesh is off, and no BGPPeer leads from one to the other"
        );
        assert_eq!(cause.cite.unwrap().field, "spec.nodeToNodeMeshEnabled");
    }

    #[test]
    fn a_reflector_without_sessions_is_cut_off_while_the_mesh_is_on() {
        let text = [NODES, &pool("Always", "Never")].concat();
        assert_eq!(ask(&text, FLOW).verdict, Verdict::Delivered);
        let cut_off = ask(&text, "pod/app/a -> pod/app/c:80");
        assert_eq!(cut_off.verdict, Verdict::Unroutable);
        assert!(cut_off.cause.unwrap().message.contains("node3 is a route reflector"));
    }

    #[test]
    fn vxlan_needs_no_bgp() {
        let peers = peer("rack-a", "nodeSelector: \"rack == 'a'\", peerSelector: \"rr == 'one'\"");
        let text = [NODES, &pool("Never", "Always"), &mesh(false), &peers].concat();
        assert_eq!(ask(&text, FLOW).verdict, Verdict::Delivered);
    }

    #[test]
    fn sessions_that_the_text_lacks_are_assumed_and_said() {
        let outcome = ask(&[NODES, &pool("Never", "Never"), &mesh(false)].concat(), FLOW);
        assert_eq!(outcome.verdict, Verdict::Delivered);
        let said = outcome.steps.iter().find_map(|step| step.uncertain.as_deref()).unwrap();
        assert!(said.starts_with("the text turns the node-to-node mesh off and has no BGPPeer"));
    }

    #[test]
    fn between_subnets_the_routers_must_be_told() {
        let nodes = NODES.replace("192.168.1.12/24", "192.168.2.12/24");
        let bare = [nodes.as_str(), &pool("Never", "Never")].concat();
        let outcome = ask(&bare, FLOW);
        assert_eq!(outcome.verdict, Verdict::Unroutable);
        let message = outcome.cause.unwrap().message;
        assert!(message.contains("node2 tells its block 10.244.2.0/24 to no router"), "{message}");

        let told = [&bare, peer("tor", "peerIP: 192.168.1.1, asNumber: 64513").as_str()].concat();
        assert_eq!(ask(&told, FLOW).verdict, Verdict::Delivered);
        // Felix knows no way round by the gateway.
        let felix = "---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {programClusterRoutes: Enabled}
";
        let outcome = ask(&[told.as_str(), felix].concat(), FLOW);
        assert_eq!(outcome.verdict, Verdict::Unroutable);
        let message = outcome.cause.unwrap().message;
        assert!(message.contains("onlink"), "{message}");
        let wrapped = [nodes.as_str(), &pool("CrossSubnet", "Never")].concat();
        assert_eq!(ask(&wrapped, FLOW).verdict, Verdict::Delivered);
    }
}
