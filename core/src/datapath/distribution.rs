//! Who told a node where another node's pods are: BGP's sessions, or Felix.

use super::evidence::Evidence;
use super::fact::{Doubt, Known, Untold};
use crate::cluster::{Cluster, ClusterRoutes, NodeId, PeerId};
use crate::net::Encapsulation;

/// How `node` knows the blocks of `owner`, or why nobody tells it.
///
/// The routes of VXLAN and `WireGuard` are Felix' own (`vxlan_mgr.go`, `wireguard.go`), all others
/// BIRD's, unless `programClusterRoutes` says otherwise. A reflector takes no part in the mesh, and
/// passes on what it is told by one node to the others (`bird.cfg.template`).
pub(super) fn known(
    cluster: &Cluster,
    node: NodeId,
    owner: NodeId,
    encapsulation: Option<Encapsulation>,
) -> Result<Known, Untold> {
    let felix = match cluster.network.felix.cluster_routes.value {
        ClusterRoutes::Enabled => true,
        ClusterRoutes::Ipip => encapsulation == Some(Encapsulation::Ipip),
        ClusterRoutes::Disabled => false,
    };
    if felix || matches!(encapsulation, Some(Encapsulation::Vxlan | Encapsulation::Wireguard)) {
        return Ok(Known::Felix);
    }
    let bgp = &cluster.network.bgp;
    let meshed = |node: &NodeId| !bgp.reflectors.contains(node);
    if bgp.mesh.value && meshed(&node) && meshed(&owner) {
        return Ok(Known::Mesh);
    }
    let untold = || {
        let reflector = [node, owner].into_iter().find(|id| bgp.reflectors.contains(id));
        let reflector = reflector.filter(|_| bgp.mesh.value);
        reflector.map_or(Untold::NoMesh, Untold::Reflector)
    };
    if bgp.peers.is_empty() {
        return if bgp.mesh.value { Err(untold()) } else { Ok(Known::Assumed) };
    }
    if let Some(peer) = bgp.session(owner, node) {
        return Ok(Known::Session(peer));
    }
    if let Some((way, peer)) = reflected(cluster, owner, node) {
        return Ok(Known::Reflectors(way, peer));
    }
    match (bgp.with_router(owner), bgp.with_router(node)) {
        (Some(router), Some(_)) => Ok(Known::Routers(router)),
        _ => Err(untold()),
    }
}

/// The shortest way from one node to another by way of reflectors, and the last session of it.
fn reflected(cluster: &Cluster, from: NodeId, to: NodeId) -> Option<(Vec<NodeId>, PeerId)> {
    let bgp = &cluster.network.bgp;
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

impl Known {
    /// What in the text says so.
    pub(super) fn evidence(&self, cluster: &Cluster) -> Option<Evidence> {
        Some(match self {
            Self::Session(peer) | Self::Reflectors(_, peer) | Self::Routers(peer) => {
                Evidence::Session(*peer)
            }
            Self::Felix
                if cluster.network.felix.cluster_routes.value == ClusterRoutes::Disabled =>
            {
                return None;
            }
            Self::Felix => Evidence::ClusterRoutes,
            Self::Mesh | Self::Assumed => Evidence::Mesh(None),
        })
    }

    /// Why it is not certain, where it is not.
    pub(super) fn doubt(&self) -> Option<Doubt> {
        (*self == Self::Assumed).then_some(Doubt::AssumedReflectors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::{Because, Fact, NoRoute, Out, Outcome, Rule, Wrap, trace};
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

    /// How the sending node knows the block that the packet goes to.
    fn known(outcome: &Outcome) -> &Known {
        let known = outcome.steps.iter().find_map(|step| match &step.fact {
            Fact::DeviceOut(Out::Node { known, .. }) => Some(known),
            Fact::Encapsulate(Wrap::Tunnel { known, .. }) => known.as_ref(),
            _ => None,
        });
        known.unwrap()
    }

    /// Why it does not.
    fn untold(outcome: &Outcome) -> Untold {
        let untold = outcome.steps.iter().find_map(|step| match step.fact {
            Fact::DeviceOut(Out::Untold { why, .. }) => Some(why),
            _ => None,
        });
        untold.unwrap()
    }

    /// Why nobody was reached.
    fn no_route(outcome: &Outcome) -> NoRoute {
        match outcome.steps.last().unwrap().fact {
            Fact::NoRoute(why) => why,
            ref other => panic!("{other:?}"),
        }
    }

    const FLOW: &str = "pod/app/a -> pod/app/b:80";

    #[test]
    fn in_the_mesh_every_node_tells_every_other() {
        let outcome = ask(&[NODES, &pool("Never", "Never")].concat(), FLOW);
        assert_eq!(known(&outcome), &Known::Mesh);
    }

    #[test]
    fn a_reflector_passes_on_what_it_is_told() {
        let peers = peer("reflectors", "peerSelector: \"rr == 'one'\"");
        let text = [NODES, &pool("Always", "Never"), &mesh(false), &peers].concat();
        let outcome = ask(&text, FLOW);
        assert_eq!(outcome.verdict, Verdict::Delivered);
        assert_eq!(known(&outcome), &Known::Reflectors(vec![NodeId(2)], PeerId(0)));
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
        let way = vec![NodeId(3), NodeId(2)];
        assert_eq!(known(&outcome), &Known::Reflectors(way, PeerId(0)));
    }

    #[test]
    fn a_node_whom_nobody_tells_sends_to_the_default_gateway() {
        let peers = peer("rack-a", "nodeSelector: \"rack == 'a'\", peerSelector: \"rr == 'one'\"");
        let text = [NODES, &pool("Never", "Never"), &mesh(false), &peers].concat();
        let outcome = ask(&text, FLOW);
        assert_eq!(outcome.verdict, Verdict::Unroutable);
        assert_eq!(untold(&outcome), Untold::NoMesh);
        // What the routers then did is only what came of it.
        let cause = outcome.cause.unwrap();
        let Because::Step { reply: false, at } = cause.because else { panic!("{cause:?}") };
        assert_eq!(outcome.steps[at].rule(), Rule::DeviceOut);
        assert_eq!(cause.cite.unwrap().field, "spec.nodeToNodeMeshEnabled");
    }

    #[test]
    fn a_reflector_without_sessions_is_cut_off_while_the_mesh_is_on() {
        let text = [NODES, &pool("Always", "Never")].concat();
        assert_eq!(ask(&text, FLOW).verdict, Verdict::Delivered);
        let cut_off = ask(&text, "pod/app/a -> pod/app/c:80");
        assert_eq!(cut_off.verdict, Verdict::Unroutable);
        assert_eq!(untold(&cut_off), Untold::Reflector(NodeId(2)));
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
        assert!(outcome.steps.iter().any(|step| step.doubt == Some(Doubt::AssumedReflectors)));
    }

    #[test]
    fn between_subnets_the_routers_must_be_told() {
        let nodes = NODES.replace("192.168.1.12/24", "192.168.2.12/24");
        let bare = [nodes.as_str(), &pool("Never", "Never")].concat();
        let outcome = ask(&bare, FLOW);
        assert_eq!(outcome.verdict, Verdict::Unroutable);
        let block = "10.244.2.0/24".parse().unwrap();
        assert_eq!(no_route(&outcome), NoRoute::Unannounced { owner: NodeId(1), block });

        let told = [&bare, peer("tor", "peerIP: 192.168.1.1, asNumber: 64513").as_str()].concat();
        assert_eq!(ask(&told, FLOW).verdict, Verdict::Delivered);
        // Felix knows no way round by the gateway.
        let felix = "---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {programClusterRoutes: Enabled}
";
        let told = [told.as_str(), felix].concat();
        let outcome = ask(&told, FLOW);
        assert_eq!(outcome.verdict, Verdict::Unroutable);
        assert_eq!(no_route(&outcome), NoRoute::OnLink { to: NodeId(1), block });
        let wrapped = [nodes.as_str(), &pool("CrossSubnet", "Never")].concat();
        assert_eq!(ask(&wrapped, FLOW).verdict, Verdict::Delivered);
    }
}
