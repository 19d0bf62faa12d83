//! Where pods run and which addresses they have, as far as nothing tells.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::address::Addresses;
use super::nodes;
use crate::cluster::pods::Draft;
use crate::cluster::{Cluster, NodeId};
use crate::net::{Family, InFamily};

/// Gives pods their nodes, nodes their blocks and tunnels, and pods their addresses.
pub(crate) fn place(cluster: &mut Cluster, drafts: Vec<Draft>) {
    let by_name: HashMap<String, usize> =
        cluster.nodes.iter().enumerate().map(|(index, node)| (node.name.clone(), index)).collect();
    let by_ip: HashMap<IpAddr, usize> = cluster
        .nodes
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.addresses.iter().map(move |own| (own.addr(), index)))
        .collect();
    let count = cluster.nodes.len().max(1);
    let mut placed: Vec<(usize, Draft)> = Vec::with_capacity(drafts.len());
    let (mut serving, mut others) = (0, 0);
    for draft in drafts {
        let named = draft.node.as_ref().and_then(|name| by_name.get(name)).copied();
        let of_host = draft
            .pod
            .addresses
            .first()
            .filter(|_| draft.pod.host_network)
            .and_then(|ip| by_ip.get(ip))
            .copied();
        // Pods that serve start on the second node, so that the first is one without an endpoint.
        let at = named.or(of_host).unwrap_or_else(|| {
            let serves = !draft.pod.ports.is_empty();
            let next = if serves { &mut serving } else { &mut others };
            let index = *next + usize::from(serves);
            *next += 1;
            index % count
        });
        placed.push((at, draft));
    }
    let mut addresses = Addresses::default();
    let known: Vec<(usize, IpAddr)> = placed
        .iter()
        .filter(|(_, draft)| !draft.pod.host_network && !draft.pod.finished)
        .flat_map(|(at, draft)| draft.pod.addresses.iter().map(|ip| (*at, *ip)))
        .collect();
    nodes::give_blocks(&mut cluster.nodes, &cluster.pools, &known, &mut addresses);
    nodes::give_tunnels(&mut cluster.nodes, &cluster.pools, &cluster.felix, &mut addresses);
    for (at, mut draft) in placed {
        draft.pod.node = NodeId(at);
        let Some(node) = cluster.nodes.get_mut(at) else { continue };
        if draft.pod.host_network {
            draft.pod.addresses = node.addresses.iter().map(IpNet::addr).collect();
        } else if draft.pod.addresses.is_empty() && !draft.pod.finished {
            let families = Family::ALL
                .into_iter()
                .filter(|family| cluster.pools.iter().any(|p| p.cidr.family() == *family));
            for family in families {
                draft.pod.addresses.extend(addresses.pod(node, &cluster.pools, family));
            }
        }
        cluster.pods.push(draft.pod);
    }
}
