//! The nodes that the text does not have, and what it does not tell of those that it has: blocks and
//! tunnel addresses.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::address::{Addresses, network, nth};
use crate::cluster::nodes::written;
use crate::cluster::{Calico, CalicoNode, EncapMode, Node, Pool};
use crate::manifest::{Kind, Object};
use crate::net::{Family, InFamily};
use crate::text::{Origin, Setting};

/// The nodes of the article that Hopwise grew from: name, address, tunnel address.
const ARTICLE: [(&str, [u8; 4], [u8; 4]); 3] = [
    ("node1", [10, 102, 123, 117], [10, 233, 90, 0]),
    ("node2", [10, 102, 123, 104], [10, 233, 96, 0]),
    ("node3", [10, 102, 123, 143], [10, 233, 92, 0]),
];

/// The nodes of the text, and those that its objects speak of; the article's if there are none.
pub(crate) fn nodes_of(objects: &[Object]) -> Vec<Node> {
    let mut found = written(objects);
    let mut known: HashSet<String> = found.iter().map(|node| node.name.clone()).collect();
    let mut spoken_of: Vec<(String, String)> = Vec::new();
    for object in objects {
        let name = match &object.kind {
            Kind::Pod(pod) => pod.spec.node_name.clone(),
            Kind::WorkloadEndpoint(endpoint) => endpoint.spec.node.clone(),
            Kind::HostEndpoint(host) => host.spec.node.clone(),
            _ => None,
        };
        if let Some(name) = name.filter(|name| !name.is_empty() && !known.contains(name)) {
            known.insert(name.clone());
            spoken_of.push((name, format!("{} is on it", object.reference)));
        }
    }
    if found.is_empty() && spoken_of.is_empty() {
        return article(
            "the text has no nodes: these are the ones of the article that Hopwise grew from",
        );
    }
    spoken_of.sort();
    for (name, reason) in spoken_of {
        let node = assumed(&name, found.len(), &reason, &found);
        found.push(node);
    }
    // Nodes without any address cannot be walked.
    let unaddressed: Vec<usize> = (0..found.len())
        .filter(|index| found.get(*index).is_some_and(|node| node.addresses.is_empty()))
        .collect();
    for position in unaddressed {
        let name = found.get(position).map(|node| node.name.clone()).unwrap_or_default();
        let stand_in = assumed(&name, position, "the Node tells no InternalIP", &found);
        if let Some(node) = found.get_mut(position) {
            node.addresses = stand_in.addresses;
            node.subnet_origin = stand_in.subnet_origin;
        }
    }
    found
}

/// A node that something speaks of, or the article's, with an address that no other has.
pub(crate) fn assumed(name: &str, index: usize, reason: &str, others: &[Node]) -> Node {
    let taken = |ip: &IpAddr| others.iter().any(|n| n.addresses.iter().any(|a| a.addr() == *ip));
    let article = ARTICLE.get(index).filter(|_| others.len() == index);
    let article = article.map(|(_, ip, _)| IpAddr::from(*ip)).filter(|ip| !taken(ip));
    let subnet = others
        .iter()
        .find_map(|node| node.addresses.iter().find(|a| a.addr().is_ipv4()).copied())
        .map_or_else(|| network(IpAddr::from(ARTICLE[0].1), 24), |net| net.trunc());
    let address = article.filter(|ip| subnet.contains(ip)).or_else(|| {
        (150..250).chain(10..150).filter_map(|n| nth(&subnet, n)).find(|ip| !taken(ip))
    });
    let addresses = address.and_then(|ip| IpNet::new(ip, subnet.prefix_len()).ok());
    Node {
        name: name.to_owned(),
        labels: [("kubernetes.io/hostname".to_owned(), name.to_owned())].into(),
        origin: Origin::Assumed(reason.to_owned()),
        addresses: addresses.into_iter().collect(),
        subnet_origin: Origin::Assumed(reason.to_owned()),
        network: CalicoNode::default(),
        pod_cidrs: Vec::new(),
        kube_proxy: None,
    }
}

const IPV6_NODES: [u16; 8] = [0xfd00, 0x10, 0x102, 0x123, 0, 0, 0, 0];

/// An IPv6 address for every assumed node, where the cluster has both families.
pub(crate) fn assume_ipv6(nodes: &mut [Node]) {
    let others = nodes.iter().flat_map(|node| &node.addresses);
    let subnet = others.filter(|own| own.addr().is_ipv6()).map(IpNet::trunc).next();
    let subnet = subnet.unwrap_or_else(|| network(IpAddr::from(IPV6_NODES), 64));
    let taken: Vec<IpAddr> =
        nodes.iter().flat_map(|node| &node.addresses).map(IpNet::addr).collect();
    let mut free = (0x10..).filter_map(|n| nth(&subnet, n)).filter(|ip| !taken.contains(ip));
    for node in nodes {
        let lacks_it = node.addresses.iter().all(|own| own.addr().is_ipv4());
        if lacks_it && matches!(node.origin, Origin::Assumed(_)) {
            let own = free.next().and_then(|ip| IpNet::new(ip, subnet.prefix_len()).ok());
            node.addresses.extend(own);
        }
    }
}

/// The article's nodes.
pub(crate) fn article(reason: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    for (index, (name, ..)) in ARTICLE.iter().enumerate() {
        let node = assumed(name, index, reason, &nodes);
        nodes.push(node);
    }
    nodes
}

/// Gives every node its blocks: those of its tunnel addresses and its pods, or else a free one,
/// the article's where the nodes are the article's.
pub(crate) fn give_blocks(
    nodes: &mut [Node],
    calico: &Calico,
    pods: &[(usize, IpAddr)],
    addresses: &mut Addresses,
) {
    let mut claimed: Vec<(IpNet, usize)> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        for (_, tunnel) in node.network.tunnels() {
            addresses.take(tunnel.value);
            claimed.extend(calico.block_of(tunnel.value).map(|block| (block, index)));
        }
    }
    for (index, address) in pods {
        addresses.take(*address);
        claimed.extend(calico.block_of(*address).map(|block| (block, *index)));
    }
    // A block is one node's: that of its tunnel, else that of the first pod in it. Other nodes'
    // pods in it have borrowed their addresses.
    for (block, index) in claimed {
        if let Some(node) = nodes.get_mut(index)
            && addresses.take_block(block)
        {
            node.network.blocks.push(block);
        }
    }
    for (index, node) in nodes.iter_mut().enumerate() {
        for family in Family::ALL {
            let has = node.network.blocks.iter().any(|block| block.family() == family);
            if has || !node.addresses.iter().any(|own| own.family() == family) {
                continue;
            }
            let article = ARTICLE
                .get(index)
                .filter(|(name, ..)| family == Family::V4 && *name == node.name)
                .and_then(|(_, _, tunnel)| calico.block_of(IpAddr::from(*tunnel)))
                .filter(|block| addresses.claim(*block));
            if let Some(block) = article.or_else(|| addresses.block(&calico.pools, family)) {
                node.network.blocks.push(block);
            }
        }
    }
}

/// Gives every node the tunnel addresses that its pools and Felix' settings need and that no
/// annotation tells: the first free ones of its first block, for Calico allocates them before any
/// pod's (`node/pkg/allocateip`).
pub(crate) fn give_tunnels(nodes: &mut [Node], calico: &Calico, addresses: &mut Addresses) {
    let uses = |family: Family, pick: fn(&Pool) -> EncapMode| {
        calico.pools.iter().any(|p| p.cidr.family() == family && pick(p) != EncapMode::Never)
    };
    for node in nodes {
        let CalicoNode { ipip, vxlan, wireguard, blocks } = &mut node.network;
        let mut guess = |family: Family| {
            let block = blocks.iter().find(|block| block.family() == family)?;
            let value = addresses.first_free(block)?;
            addresses.take(value);
            let origin = Origin::Assumed(format!(
                "no annotation tells it; Calico normally takes the first free address of the node's first block, {block}"
            ));
            Some(Setting { value, origin })
        };
        let lacks = |known: &[Setting<IpAddr>], family: Family| {
            !known.iter().any(|known| known.value.family() == family)
        };
        if ipip.is_none() && uses(Family::V4, |pool| pool.ipip.value) {
            *ipip = guess(Family::V4);
        }
        for family in Family::ALL {
            if lacks(vxlan, family) && uses(family, |pool| pool.vxlan.value) {
                vxlan.extend(guess(family));
            }
            if lacks(wireguard, family) && calico.felix.wireguard_of(family).value {
                wireguard.extend(guess(family));
            }
        }
    }
}
