//! Nodes that are alike. A new connection that may come in by any of a thousand nodes is walked
//! once for each kind of node, not once for each.

use std::collections::{BTreeSet, HashMap};

use ipnet::IpNet;

use super::{Cluster, Node, NodeId};
use crate::net::{Labels, Selector};
use crate::policy::form::Test;

/// Clusters of so few nodes show every one.
const SHOWN: usize = 16;

/// Everything of a node that can make a difference to a packet, its own addresses aside: those
/// count by which of the policies' ranges and selectors they are in.
#[derive(PartialEq, Eq, Hash)]
struct Kind<'a> {
    subnets: Vec<IpNet>,
    zone: Option<&'a String>,
    reflector: bool,
    sessions: Vec<bool>,
    wireguard: bool,
    seen: Vec<bool>,
    /// A node with interfaces of its own in the policies is like no other.
    alone: Option<usize>,
}

/// A class of nodes; see [`Cluster::alike`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeClass(usize);

/// The class of each node.
pub(crate) fn classes(cluster: &Cluster) -> Vec<NodeClass> {
    if cluster.nodes.len() <= SHOWN {
        return (0..cluster.nodes.len()).map(NodeClass).collect();
    }
    let (nets, selectors) = spoken_of(cluster);
    let with_endpoints: BTreeSet<&str> =
        cluster.policies.host_endpoints.iter().map(|endpoint| endpoint.node.as_str()).collect();
    let mut classes = HashMap::new();
    cluster
        .nodes
        .iter()
        .enumerate()
        .map(|(index, node)| {
            let kind = Kind {
                subnets: node.addresses.iter().map(IpNet::trunc).collect(),
                zone: node.labels.get("topology.kubernetes.io/zone"),
                reflector: cluster.bgp.reflectors.contains(&NodeId(index)),
                sessions: cluster
                    .bgp
                    .peers
                    .iter()
                    .flat_map(|peer| [&peer.nodes, &peer.with])
                    .map(|nodes| nodes.contains(&NodeId(index)))
                    .collect(),
                wireguard: !node.wireguard.is_empty(),
                seen: seen(node, &nets, &selectors),
                alone: with_endpoints.contains(node.name.as_str()).then_some(index),
            };
            let next = NodeClass(classes.len());
            *classes.entry(kind).or_insert(next)
        })
        .collect()
}

/// In which of the policies' ranges each of a node's addresses is, and which selectors name it.
fn seen(node: &Node, nets: &[IpNet], selectors: &[&Selector]) -> Vec<bool> {
    let own = || {
        let tunnels = node.ipip.iter().chain(&node.vxlan).chain(&node.wireguard);
        node.addresses.iter().map(IpNet::addr).chain(tunnels.map(|own| own.value))
    };
    let labels: &Labels = &node.labels;
    nets.iter()
        .flat_map(|net| own().map(move |address| net.contains(&address)))
        .chain(selectors.iter().map(|selector| selector.matches(labels)))
        .collect()
}

/// The ranges and the node selectors that policies speak of, each once.
fn spoken_of(cluster: &Cluster) -> (Vec<IpNet>, Vec<&Selector>) {
    let mut nets = BTreeSet::new();
    let mut selectors: Vec<&Selector> = Vec::new();
    let policies = &cluster.policies;
    for set in &policies.network_sets {
        nets.extend(set.nets.iter().copied());
    }
    let rules = policies
        .tiers
        .iter()
        .flat_map(|tier| &tier.policies)
        .flat_map(|policy| policy.ingress.iter().chain(&policy.egress))
        .flat_map(|rules| &rules.rules);
    let peers = rules.flat_map(|rule| rule.source.peers.iter().chain(&rule.destination.peers));
    for condition in peers.flat_map(|peer| &peer.conditions) {
        match &condition.test {
            Test::Nets(found) | Test::NotNets(found) => nets.extend(found.iter().copied()),
            Test::Nodes(selector) if !selectors.contains(&selector) => selectors.push(selector),
            _ => {}
        }
    }
    (nets.into_iter().collect(), selectors)
}
