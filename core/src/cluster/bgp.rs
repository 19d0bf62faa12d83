//! BGP: which nodes speak with which, and which service addresses they advertise to the routers
//! outside (`confd/pkg/backends/calico`: `bgp_processor.go`, `routes.go`).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::source::{CLUSTER, default, written};
use super::{
    Cluster, Node, NodeId, OutsideRoute, PeerId, RouteDoubt, Service, ServiceField, TrafficPolicy,
};
use crate::manifest::calico::{self, annotation};
use crate::manifest::calico_policy::Expression;
use crate::manifest::{Kind, Object};
use crate::net::Selector;
use crate::text::{Cite, Setting};

/// Nodes with this label advertise no service addresses.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Who tells whom the routes, and which service addresses are advertised.
#[derive(Clone, Debug)]
pub struct Bgp {
    /// `nodeToNodeMeshEnabled`: every node tells every other, route reflectors aside.
    pub mesh: Setting<bool>,
    /// The nodes with a route reflector cluster ID, which pass on what they are told.
    pub reflectors: BTreeSet<NodeId>,
    /// The text's `BGPPeer`s.
    pub peers: Vec<BgpPeer>,
    /// `serviceClusterIPs`, `serviceExternalIPs`, `serviceLoadBalancerIPs`.
    pub advertised: Vec<Advertised>,
}

/// A `BGPPeer`: sessions between the nodes that it is for and those that it names.
#[derive(Clone, Debug)]
pub struct BgpPeer {
    /// `metadata.name`.
    pub name: String,
    /// Where it stands.
    pub cite: Cite,
    /// `node`, `nodeSelector`, or every node.
    pub nodes: BTreeSet<NodeId>,
    /// The nodes of `peerSelector`, or the one whose address `peerIP` is.
    pub with: BTreeSet<NodeId>,
    /// `peerIP`, if it is no node's: a router.
    pub router: Option<IpAddr>,
}

/// A range of service addresses that nodes advertise.
#[derive(Clone, Debug)]
pub struct Advertised {
    /// The range.
    pub range: IpNet,
    /// Where it stands.
    pub cite: Cite,
    /// Which of a service's addresses count.
    addresses: ServiceAddresses,
    /// Whether the range as a whole is announced, rather than each address.
    aggregate: bool,
}

/// Some of a service's addresses.
#[derive(Clone, Copy, Debug)]
enum ServiceAddresses {
    Cluster,
    External,
    LoadBalancer,
}

impl ServiceAddresses {
    fn of(self, service: &Service) -> Vec<IpAddr> {
        match self {
            Self::Cluster => service.cluster_ips.clone(),
            Self::External => service.external_ips.clone(),
            Self::LoadBalancer => service.ingress_ips.iter().map(|ingress| ingress.ip).collect(),
        }
    }
}

impl Default for Bgp {
    fn default() -> Self {
        Self {
            mesh: default(true, "Calico's default (nodeToNodeMeshEnabled: true)"),
            reflectors: BTreeSet::new(),
            peers: Vec::new(),
            advertised: Vec::new(),
        }
    }
}

impl Bgp {
    /// What the text says of it.
    pub(crate) fn of(objects: &[Object], nodes: &[Node]) -> Self {
        let mut bgp = Self::default();
        for object in objects {
            match &object.kind {
                Kind::BgpConfiguration(found) if object.reference.name == CLUSTER => {
                    if let Some(mesh) = found.spec.node_to_node_mesh_enabled {
                        bgp.mesh = written(mesh, object.cite("spec.nodeToNodeMeshEnabled"));
                    }
                    bgp.advertised = advertised(object, &found.spec);
                }
                Kind::BgpPeer(peer) => bgp.peers.push(resolve(object, &peer.spec, nodes)),
                Kind::Node(_)
                    if object
                        .metadata
                        .annotations
                        .contains_key(annotation::ROUTE_REFLECTOR_CLUSTER_ID) =>
                {
                    let named = |node: &Node| node.name == object.reference.name;
                    bgp.reflectors.extend(nodes.iter().position(named).map(NodeId));
                }
                _ => {}
            }
        }
        bgp
    }

    /// The session between two nodes that a `BGPPeer` makes: confd configures both ends of one.
    pub fn session(&self, a: NodeId, b: NodeId) -> Option<PeerId> {
        let session = |peer: &BgpPeer| {
            peer.nodes.contains(&a) && peer.with.contains(&b)
                || peer.nodes.contains(&b) && peer.with.contains(&a)
        };
        self.peers.iter().position(session).map(PeerId)
    }

    /// The session of a node with a router outside.
    pub fn with_router(&self, node: NodeId) -> Option<PeerId> {
        let tells = |peer: &BgpPeer| peer.router.is_some() && peer.nodes.contains(&node);
        self.peers.iter().position(tells).map(PeerId)
    }
}

fn advertised(object: &Object, spec: &calico::BgpConfigurationSpec) -> Vec<Advertised> {
    let each = spec.service_load_balancer_aggregation.as_deref() == Some("Disabled");
    let lists: [(&str, &[calico::AdvertisedBlock], ServiceAddresses, bool); 3] = [
        ("serviceClusterIPs", &spec.service_cluster_ips, ServiceAddresses::Cluster, true),
        ("serviceExternalIPs", &spec.service_external_ips, ServiceAddresses::External, true),
        (
            "serviceLoadBalancerIPs",
            &spec.service_load_balancer_ips,
            ServiceAddresses::LoadBalancer,
            !each,
        ),
    ];
    let mut found = Vec::new();
    for (list, blocks, addresses, aggregate) in lists {
        for (index, block) in blocks.iter().enumerate() {
            if let Some(range) = crate::manifest::cidr(&block.cidr) {
                let cite = object.cite(&format!("spec.{list}[{index}].cidr"));
                found.push(Advertised { range: range.trunc(), cite, addresses, aggregate });
            }
        }
    }
    found
}

/// Whom a `BGPPeer` is for and whom it names.
fn resolve(object: &Object, spec: &calico::BgpPeerSpec, nodes: &[Node]) -> BgpPeer {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let selected = |selector: &Selector| -> BTreeSet<NodeId> {
        let matching = nodes.iter().enumerate().filter(|(_, node)| selector.matches(&node.labels));
        matching.map(|(index, _)| NodeId(index)).collect()
    };
    let all = || (0..nodes.len()).map(NodeId).collect();
    let own = match (given(&spec.node), Expression::given(spec.node_selector.as_ref())) {
        (Some(name), _) => {
            nodes.iter().position(|node| node.name == name).map(NodeId).into_iter().collect()
        }
        (None, Some(selector)) => selected(selector),
        (None, None) => all(),
    };
    let mut with = match Expression::given(spec.peer_selector.as_ref()) {
        Some(selector) => selected(selector),
        None => BTreeSet::new(),
    };
    let address = given(&spec.peer_ip).and_then(|text| {
        let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next());
        let bare = bare.or_else(|| text.split(':').next().filter(|ip| ip.contains('.')));
        crate::manifest::ip(bare.unwrap_or(&text))
    });
    let node_with = |ip: IpAddr| {
        nodes.iter().position(|node| node.addresses.iter().any(|own| own.addr() == ip)).map(NodeId)
    };
    let node = address.and_then(node_with);
    with.extend(node);
    BgpPeer {
        name: object.reference.name.clone(),
        cite: object.cite(""),
        nodes: own,
        with,
        router: address.filter(|_| node.is_none()),
    }
}

/// What the routers outside learn of service addresses: what `BGPConfiguration` advertises, and
/// every other load balancer's IP, which something outside must lead to the nodes. Under `Local`
/// only nodes with ready endpoints announce an address, and the longer route wins. What the
/// scenario's own routes say comes first.
pub(crate) fn announce(cluster: &mut Cluster) {
    let every: Arc<[NodeId]> = (0..cluster.nodes.len()).map(NodeId).collect();
    let advertising: Arc<[NodeId]> = every
        .iter()
        .copied()
        .filter(|id| cluster.node(*id).is_some_and(|node| !node.labels.contains_key(EXCLUDED)))
        .collect();
    let told = |to: &IpNet| {
        cluster.routes.get(*to).is_some()
            || cluster.balancers.iter().any(|balancer| to.contains(&balancer.ip))
    };
    let routers = cluster.network.bgp.peers.iter().any(|peer| peer.router.is_some());
    let assumed = (!routers).then_some(RouteDoubt::NoRouters);
    let mut found = cluster.routes.clone();
    let mut add = |route: OutsideRoute| found.entry(route.to).or_default().push(route);
    for advertised in &cluster.network.bgp.advertised {
        if advertised.aggregate && !told(&advertised.range) {
            let (via, cite) = (advertising.clone(), advertised.cite.clone());
            add(OutsideRoute { to: advertised.range, via, cite, assumed });
        }
        for service in &cluster.services {
            let local = service.external_traffic_policy.value == TrafficPolicy::Local;
            if !local && advertised.aggregate {
                continue;
            }
            let inside = |ip: &IpAddr| advertised.range.contains(ip);
            for to in advertised.addresses.of(service).into_iter().filter(inside).map(IpNet::from) {
                let via =
                    if local { ready_nodes(service, &advertising) } else { advertising.clone() };
                if !via.is_empty() && !told(&to) {
                    let cite = advertised.cite.clone();
                    add(OutsideRoute { to, via, cite, assumed });
                }
            }
        }
    }
    for service in &cluster.services {
        let local = service.external_traffic_policy.value == TrafficPolicy::Local;
        for ingress in service.ingress_ips.iter().filter(|ingress| !ingress.proxy) {
            let to = IpNet::from(ingress.ip);
            if told(&to) || found.longest(ingress.ip).is_some() {
                continue;
            }
            let via = if local { ready_nodes(service, &every) } else { every.clone() };
            let cite = service.field(ServiceField::Ingress);
            if !via.is_empty() {
                let assumed =
                    Some(if local { RouteDoubt::AnnouncedLocal } else { RouteDoubt::Announced });
                found.entry(to).or_default().push(OutsideRoute { to, via, cite, assumed });
            }
        }
    }
    cluster.routes = found;
}

/// Those of the nodes that have a ready endpoint of the service.
fn ready_nodes(service: &Service, of: &[NodeId]) -> Arc<[NodeId]> {
    let ready: BTreeSet<NodeId> = service
        .ports
        .iter()
        .flat_map(|port| &port.endpoints)
        .filter(|endpoint| endpoint.ready)
        .filter_map(|endpoint| endpoint.node)
        .collect();
    of.iter().copied().filter(|node| ready.contains(node)).collect()
}
