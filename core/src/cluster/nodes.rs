//! The nodes: their addresses, tunnels and blocks, read or assumed.

use std::net::IpAddr;

use ipnet::IpNet;

use super::address::{Addresses, block_of, network, nth};
use super::{EncapMode, Felix, Node, Pool};
use crate::manifest::calico::annotation;
use crate::manifest::{Kind, Object};
use crate::text::{ObjectRef, Origin, Setting};

/// The nodes of the article that Hopwise grew from: name, address, tunnel address.
const ARTICLE: [(&str, [u8; 4], [u8; 4]); 3] = [
    ("node1", [10, 102, 123, 117], [10, 233, 90, 0]),
    ("node2", [10, 102, 123, 104], [10, 233, 96, 0]),
    ("node3", [10, 102, 123, 143], [10, 233, 92, 0]),
];

/// The pool of the article.
pub(super) fn article_pool(cidr: IpNet, reason: &str) -> Pool {
    let assumed = |why: &str| Origin::Assumed(why.to_owned());
    Pool {
        name: "default-ipv4-ippool".to_owned(),
        cidr,
        block_size: 24,
        ipip: Setting {
            value: EncapMode::Always,
            origin: assumed("Calico's manifest sets IPIP unless told otherwise"),
        },
        vxlan: Setting {
            value: EncapMode::Never,
            origin: assumed("Calico's manifest sets IPIP unless told otherwise"),
        },
        nat_outgoing: Setting { value: true, origin: assumed("Calico's manifest sets it") },
        load_balancer_only: false,
        origin: assumed(reason),
    }
}

/// The nodes that the text has.
pub(super) fn written(objects: &[Object]) -> Vec<Node> {
    objects
        .iter()
        .filter_map(|object| match &object.kind {
            Kind::Node(node) => Some(read(object, node)),
            _ => None,
        })
        .collect()
}

fn read(object: &Object, node: &crate::manifest::kubernetes::Node) -> Node {
    let annotation = |key: &str| {
        let path = format!("metadata.annotations[{key}]");
        object.metadata.annotations.get(key).map(|value| (value, object.cite(&path)))
    };
    let tunnel = |key: &str| {
        annotation(key).and_then(|(value, cite)| {
            let value: IpAddr = value.parse().ok()?;
            Some(Setting { value, origin: Origin::Written(cite) })
        })
    };
    let hosts: Vec<(IpNet, crate::text::Cite)> =
        [annotation::IPV4_ADDRESS, annotation::IPV6_ADDRESS]
            .into_iter()
            .filter_map(annotation)
            .filter_map(|(value, cite)| Some((value.parse().ok()?, cite)))
            .collect();
    let mut addresses: Vec<IpNet> = hosts.iter().map(|(net, _)| *net).collect();
    let mut subnet_origin = hosts.first().map(|(_, cite)| Origin::Written(cite.clone()));
    for address in &node.status.addresses {
        let Ok(ip) = address.address.parse::<IpAddr>() else { continue };
        if address.kind != "InternalIP" || addresses.iter().any(|known| known.addr() == ip) {
            continue;
        }
        // Calico's annotation says the prefix; without one, nodes are taken to share a /24.
        let net = IpNet::new(ip, if ip.is_ipv4() { 24 } else { 64 });
        addresses.extend(net);
    }
    let subnet_origin = subnet_origin.take().unwrap_or_else(|| {
        Origin::Assumed(format!(
            "no annotation {} says how long the subnet's prefix is",
            annotation::IPV4_ADDRESS
        ))
    });
    let cidrs = node.spec.pod_cidrs.iter().chain(node.spec.pod_cidr.iter());
    Node {
        name: object.reference.name.clone(),
        labels: object.metadata.labels.clone(),
        origin: Origin::Written(object.cite("")),
        addresses,
        subnet_origin,
        ipip: tunnel(annotation::IPV4_IPIP_TUNNEL),
        vxlan: [annotation::IPV4_VXLAN_TUNNEL, annotation::IPV6_VXLAN_TUNNEL]
            .into_iter()
            .filter_map(tunnel)
            .collect(),
        wireguard: [annotation::IPV4_WIREGUARD, annotation::IPV6_WIREGUARD]
            .into_iter()
            .filter_map(tunnel)
            .collect(),
        blocks: Vec::new(),
        pod_cidrs: cidrs.filter_map(|range| range.parse().ok()).collect(),
        kube_proxy: version(&node.status.node_info),
    }
}

/// `v1.33.1`, `v1.24+k3s1`.
fn version(info: &crate::manifest::kubernetes::NodeSystemInfo) -> Option<(u16, u16)> {
    let own = info.kube_proxy_version.as_ref().filter(|version| !version.is_empty());
    let text = own.or(info.kubelet_version.as_ref())?.trim_start_matches('v');
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A node that something speaks of, or the article's, with an address that no other has.
pub(super) fn assumed(name: &str, index: usize, reason: &str, others: &[Node]) -> Node {
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
        ipip: None,
        vxlan: Vec::new(),
        wireguard: Vec::new(),
        blocks: Vec::new(),
        pod_cidrs: Vec::new(),
        kube_proxy: None,
    }
}

/// What pods have IPv6 addresses of, where nothing tells. The article has none.
pub(super) const IPV6_PODS: [u16; 8] = [0xfd00, 0x10, 0x233, 0x64, 0, 0, 0, 0];
const IPV6_NODES: [u16; 8] = [0xfd00, 0x10, 0x102, 0x123, 0, 0, 0, 0];

/// An IPv6 address for every assumed node, where the cluster has both families.
pub(super) fn assume_ipv6(nodes: &mut [Node]) {
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
pub(super) fn article(reason: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    for (index, (name, ..)) in ARTICLE.iter().enumerate() {
        let node = assumed(name, index, reason, &nodes);
        nodes.push(node);
    }
    nodes
}

/// Gives every node its blocks: those of its tunnel addresses and its pods, or else a free one,
/// the article's where the nodes are the article's.
pub(super) fn give_blocks(
    nodes: &mut [Node],
    pools: &[Pool],
    pods: &[(usize, IpAddr)],
    addresses: &mut Addresses,
) {
    let mut claimed: Vec<(IpNet, usize)> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let tunnels = node.ipip.iter().chain(&node.vxlan).chain(&node.wireguard);
        for tunnel in tunnels {
            addresses.take(tunnel.value);
            claimed.extend(block_of(tunnel.value, pools).map(|block| (block, index)));
        }
    }
    for (index, address) in pods {
        addresses.take(*address);
        claimed.extend(block_of(*address, pools).map(|block| (block, *index)));
    }
    // A block is one node's: that of its tunnel, else that of the first pod in it. Other nodes'
    // pods in it have borrowed their addresses.
    for (block, index) in claimed {
        if let Some(node) = nodes.get_mut(index)
            && addresses.take_block(block)
        {
            node.blocks.push(block);
        }
    }
    for (index, node) in nodes.iter_mut().enumerate() {
        for v4 in [true, false] {
            let has = node.blocks.iter().any(|block| block.addr().is_ipv4() == v4);
            if has || !node.addresses.iter().any(|own| own.addr().is_ipv4() == v4) {
                continue;
            }
            let article = ARTICLE
                .get(index)
                .filter(|(name, ..)| v4 && *name == node.name)
                .and_then(|(_, _, tunnel)| block_of(IpAddr::from(*tunnel), pools))
                .filter(|block| addresses.claim(*block));
            if let Some(block) = article.or_else(|| addresses.block(pools, v4)) {
                node.blocks.push(block);
            }
        }
    }
}

/// Gives every node the tunnel addresses that its pools and Felix' settings need and that no
/// annotation tells: the first free ones of its first block, for Calico allocates them before any
/// pod's (`node/pkg/allocateip`).
pub(super) fn give_tunnels(
    nodes: &mut [Node],
    pools: &[Pool],
    felix: &Felix,
    addresses: &mut Addresses,
) {
    let uses = |v4: bool, pick: fn(&Pool) -> EncapMode| {
        pools.iter().any(|p| p.cidr.addr().is_ipv4() == v4 && pick(p) != EncapMode::Never)
    };
    for node in nodes {
        let blocks = &node.blocks;
        let mut guess = |v4: bool| {
            let block = blocks.iter().find(|block| block.addr().is_ipv4() == v4)?;
            let value = addresses.first_free(block)?;
            addresses.take(value);
            let origin = Origin::Assumed(format!(
                "no annotation tells it; Calico normally takes the first free address of the node's first block, {block}"
            ));
            Some(Setting { value, origin })
        };
        let lacks = |known: &[Setting<IpAddr>], v4: bool| {
            !known.iter().any(|known| known.value.is_ipv4() == v4)
        };
        if node.ipip.is_none() && uses(true, |pool| pool.ipip.value) {
            node.ipip = guess(true);
        }
        for v4 in [true, false] {
            if lacks(&node.vxlan, v4) && uses(v4, |pool| pool.vxlan.value) {
                node.vxlan.extend(guess(v4));
            }
            if lacks(&node.wireguard, v4) && felix.wireguard_of(v4).value {
                node.wireguard.extend(guess(v4));
            }
        }
    }
}

/// What writes a node into the text.
pub(super) fn yaml(node: &Node) -> serde_json::Value {
    let mut annotations = serde_json::Map::new();
    let mut annotate = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            annotations.insert(key.to_owned(), value.into());
        }
    };
    let host = |v4: bool| node.addresses.iter().find(|own| own.addr().is_ipv4() == v4);
    annotate(annotation::IPV4_ADDRESS, host(true).map(ToString::to_string));
    annotate(annotation::IPV6_ADDRESS, host(false).map(ToString::to_string));
    annotate(annotation::IPV4_IPIP_TUNNEL, node.ipip.as_ref().map(|own| own.value.to_string()));
    for tunnel in &node.vxlan {
        let key = if tunnel.value.is_ipv4() {
            annotation::IPV4_VXLAN_TUNNEL
        } else {
            annotation::IPV6_VXLAN_TUNNEL
        };
        annotate(key, Some(tunnel.value.to_string()));
    }
    for tunnel in &node.wireguard {
        let key = if tunnel.value.is_ipv4() {
            annotation::IPV4_WIREGUARD
        } else {
            annotation::IPV6_WIREGUARD
        };
        annotate(key, Some(tunnel.value.to_string()));
    }
    let addresses: Vec<_> = node
        .addresses
        .iter()
        .map(|own| serde_json::json!({ "type": "InternalIP", "address": own.addr().to_string() }))
        .collect();
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": node.name, "annotations": annotations },
        "status": { "addresses": addresses },
    })
}

/// How the text would name it.
pub(super) fn reference(node: &Node) -> ObjectRef {
    ObjectRef::new("Node", "", &node.name)
}
