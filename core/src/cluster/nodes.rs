//! The nodes that the text has: their addresses and tunnels.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{CalicoNode, Node};
use crate::manifest::calico::annotation;
use crate::manifest::{Kind, Object};
use crate::text::{Origin, Setting};

/// The nodes that the text has.
pub(crate) fn written(objects: &[Object]) -> Vec<Node> {
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
        network: CalicoNode {
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
        },
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
