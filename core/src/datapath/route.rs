//! A node's routes and devices, as Calico's BIRD and Felix leave them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::distribution::known;
use super::fact::{Device, Untold};
use crate::cluster::{Cluster, EncapMode, NodeId, PodId, ProxyMode};
use crate::net::{Encapsulation, Family, InFamily};

impl Device {
    /// The device's own name; a pod's is the pod's.
    pub(crate) fn interface(self, family: Family) -> Option<&'static str> {
        match self {
            Self::Loopback => Some("lo"),
            Self::Ethernet => Some("eth0"),
            Self::Tunnel(encapsulation) => Some(encapsulation.device(family)),
            Self::Pod(_) => None,
        }
    }
}

/// Where a node sends a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To itself.
    Local,
    /// Out by a pod's veth.
    Pod(PodId),
    /// Into its own block, where no pod has the address: `blackhole … proto bird`.
    Blackhole(IpNet),
    /// Wrapped, to the node that has the block.
    Tunnel(Encapsulation, NodeId, IpNet),
    /// Unwrapped, to the node that has the block.
    Node(NodeId, IpNet),
    /// Out by the network card to the default gateway, because nobody told it which node has the
    /// block.
    Untold(NodeId, IpNet, Untold),
    /// Out by the network card to a machine of the node's own subnet.
    OnLink,
    /// Out by the network card to the default gateway.
    Gateway,
}

impl Route {
    /// The device that the packet leaves by.
    pub(super) fn device(&self) -> Device {
        match self {
            Self::Local | Self::Blackhole(_) => Device::Loopback,
            Self::Pod(pod) => Device::Pod(*pod),
            Self::Tunnel(encapsulation, ..) => Device::Tunnel(*encapsulation),
            Self::Node(..) | Self::Untold(..) | Self::OnLink | Self::Gateway => Device::Ethernet,
        }
    }
}

/// Looks up `to` in the routes of `node`.
///
/// Calico's routes: a /32 for each local pod, a blackhole for the rest of the node's own blocks,
/// and a route for every block of another node, through a tunnel or not as the block's pool says
/// (`confd` bird templates, Felix `route_mgr.go`).
pub(super) fn route(cluster: &Cluster, node: NodeId, to: IpAddr) -> Route {
    let Some(here) = cluster.node(node) else { return Route::Gateway };
    if is_local_address(cluster, node, to) {
        return Route::Local;
    }
    if let Some(&id) = cluster.pod_by_address.get(&to)
        && cluster.pod(id).is_some_and(|pod| pod.node == node)
    {
        return Route::Pod(id);
    }
    if let Some((owner, block)) = block_of(cluster, to) {
        if owner == node {
            return Route::Blackhole(block);
        }
        let encapsulation = encapsulation(cluster, to, node, owner);
        if let Err(why) = known(cluster, node, owner, encapsulation) {
            return Route::Untold(owner, block, why);
        }
        return match encapsulation {
            Some(encapsulation) => Route::Tunnel(encapsulation, owner, block),
            None => Route::Node(owner, block),
        };
    }
    if here.addresses.iter().any(|subnet| subnet.contains(&to)) {
        return Route::OnLink;
    }
    Route::Gateway
}

/// The node that announces `address`, with the block: the node of a pod whose address lies in
/// another node's block announces it as a /32, which is longer and wins.
pub(super) fn block_of(cluster: &Cluster, address: IpAddr) -> Option<(NodeId, IpNet)> {
    let (block, &owner) = cluster.network.node_by_block.longest(address)?;
    let pod = cluster.pod_by_address.get(&address).and_then(|id| cluster.pod(*id));
    match pod.filter(|pod| pod.node != owner) {
        Some(borrower) => Some((borrower.node, IpNet::from(address))),
        None => Some((owner, block)),
    }
}

/// How packets from `from` to the pool address `to`, which lives on `owner`, are wrapped. `WireGuard`
/// goes before the pools' tunnels, between nodes that have it (`felix/wireguard/wireguard.go`).
pub(super) fn encapsulation(
    cluster: &Cluster,
    to: IpAddr,
    from: NodeId,
    owner: NodeId,
) -> Option<Encapsulation> {
    let pool = cluster.network.pool(cluster.network.pool_of(to)?)?;
    let family = to.family();
    let keyed = |id: NodeId| {
        cluster.node(id).is_some_and(|node| {
            node.network.tunnel_address(Encapsulation::Wireguard, family).is_some()
        })
    };
    if cluster.network.felix.wireguard_of(family).value && keyed(from) && keyed(owner) {
        return Some(Encapsulation::Wireguard);
    }
    let applies = |mode: EncapMode| match mode {
        EncapMode::Never => false,
        EncapMode::Always => true,
        EncapMode::CrossSubnet => !same_subnet(cluster, from, owner, to.family()),
    };
    if applies(pool.ipip.value) && to.is_ipv4() {
        Some(Encapsulation::Ipip)
    } else if applies(pool.vxlan.value) {
        Some(Encapsulation::Vxlan)
    } else {
        None
    }
}

/// Whether two nodes reach each other without a router.
pub(super) fn same_subnet(cluster: &Cluster, a: NodeId, b: NodeId, family: Family) -> bool {
    match (cluster.node(a), cluster.node(b).and_then(|node| node.address(family))) {
        (Some(a), Some(b)) => a.addresses.iter().any(|subnet| subnet.contains(&b)),
        _ => false,
    }
}

/// Whether `address` is one of `node`'s own. IPVS mode binds every service address to the dummy
/// device kube-ipvs0, which makes them local (`ipvs/proxier.go syncService`).
pub(super) fn is_local_address(cluster: &Cluster, node: NodeId, address: IpAddr) -> bool {
    is_host_address(cluster, node, address)
        || (cluster.proxy.mode.value == ProxyMode::Ipvs && cluster.is_service_address(address))
}

/// Whether `address` is one of `node`'s own, kube-ipvs0 aside: what Felix calls `this-host`.
pub(super) fn is_host_address(cluster: &Cluster, node: NodeId, address: IpAddr) -> bool {
    address.is_loopback()
        || cluster.node(node).is_some_and(|node| {
            node.addresses.iter().any(|own| own.addr() == address)
                || node.network.tunnel_addresses(&cluster.network).any(|own| own == address)
        })
}

/// The source address that the kernel gives a packet of the node itself (`ip_route_output_key`):
/// the destination if that is local, the tunnel's own address, or the card's.
pub(super) fn source_for(cluster: &Cluster, node: NodeId, to: IpAddr) -> Option<IpAddr> {
    match route(cluster, node, to) {
        Route::Local => Some(to),
        found => masquerade_source(cluster, node, &found, to),
    }
}

/// The source that `MASQUERADE` gives a packet to `to` that leaves by `route`
/// (`nf_nat_masquerade.c`, `devinet.c inet_select_addr`): the device's own address, for the card
/// the one whose subnet holds the next hop, and for a veth, which has none, the first global
/// address in the order in which the devices were registered: the card's.
pub(super) fn masquerade_source(
    cluster: &Cluster,
    node: NodeId,
    route: &Route,
    to: IpAddr,
) -> Option<IpAddr> {
    let here = cluster.node(node)?;
    let family = to.family();
    let next_hop = match route {
        Route::Tunnel(encapsulation, ..) => {
            return here
                .network
                .tunnel_address(*encapsulation, family)
                .or_else(|| here.address(family));
        }
        Route::Node(owner, _) => cluster.node(*owner).and_then(|owner| owner.address(family)),
        Route::OnLink => Some(to),
        Route::Local | Route::Pod(_) | Route::Blackhole(_) | Route::Untold(..) | Route::Gateway => {
            None
        }
    };
    here.addresses
        .iter()
        .find(|own| next_hop.is_some_and(|hop| own.contains(&hop)))
        .map(IpNet::addr)
        .or_else(|| here.address(family))
}
