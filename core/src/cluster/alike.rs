//! Nodes that are alike. A new connection that may come in by any of a thousand nodes is walked
//! once for each kind of node, not once for each.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Cluster, LocalDetector, Node, NodeId, NodePortAddresses, ProxyMode};
use crate::net::{Encapsulation, Family, InFamily};
use crate::policy::form::Test;

/// Clusters of so few nodes show every one.
const SHOWN: usize = 16;

/// Everything of a node that can make a difference to a packet, its own addresses aside: those
/// count by which ranges they are in.
#[derive(PartialEq, Eq, Hash)]
struct Kind<'a> {
    subnets: Vec<IpNet>,
    zone: Option<&'a String>,
    reflector: bool,
    sessions: Vec<bool>,
    tunnels: Vec<(Encapsulation, Family)>,
    /// kube-proxy's version, where it matters: IPVS mode once used no other nodes' endpoints.
    kube_proxy: Option<(u16, u16)>,
    /// Whether kube-proxy's local detector has a range to compare with.
    detects: bool,
    seen: Vec<bool>,
    /// A node that the text knows by its name, as host endpoints and hints do, is like no other.
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
    let ranges = asked_about(cluster);
    let hosts = cluster.policies.host_endpoints.iter().map(|endpoint| &endpoint.node);
    let ports = cluster.services.iter().flat_map(|service| &service.ports);
    let hints = ports.flat_map(|port| &port.endpoints).flat_map(|endpoint| &endpoint.nodes);
    let named: BTreeSet<&String> = hosts.chain(hints).collect();
    let ipvs = cluster.proxy.mode.value == ProxyMode::Ipvs;
    let by_node = cluster.proxy.detect_local.value == LocalDetector::NodeCidr;
    let mut classes = HashMap::new();
    cluster
        .nodes
        .iter()
        .enumerate()
        .map(|(index, node)| {
            let kind = Kind {
                subnets: node.addresses.iter().map(IpNet::trunc).collect(),
                zone: node.labels.get("topology.kubernetes.io/zone"),
                reflector: cluster.network.bgp.reflectors.contains(&NodeId(index)),
                sessions: cluster
                    .network
                    .bgp
                    .peers
                    .iter()
                    .flat_map(|peer| [&peer.nodes, &peer.with])
                    .map(|nodes| nodes.contains(&NodeId(index)))
                    .collect(),
                tunnels: node
                    .network
                    .tunnels()
                    .map(|(tunnel, own)| (tunnel, own.value.family()))
                    .collect(),
                kube_proxy: node.kube_proxy.filter(|_| ipvs),
                detects: by_node && !node.pod_cidrs.is_empty(),
                seen: seen(node, &ranges),
                alone: named.contains(&node.name).then_some(index),
            };
            let next = NodeClass(classes.len());
            *classes.entry(kind).or_insert(next)
        })
        .collect()
}

/// In which of the ranges each of a node's addresses is.
fn seen(node: &Node, ranges: &BTreeSet<Vec<IpNet>>) -> Vec<bool> {
    let own = || {
        let tunnels = node.network.tunnels().map(|(_, own)| own.value);
        node.addresses.iter().map(IpNet::addr).chain(tunnels)
    };
    let inside = |nets: &[IpNet], address: &IpAddr| nets.iter().any(|net| net.contains(address));
    ranges.iter().flat_map(|nets| own().map(|address| inside(nets, &address))).collect()
}

/// The ranges that a node's addresses are compared with, each once; those of one question are one.
/// kube-proxy asks about node ports, and policies about the source that a node has given a packet:
/// egress was decided before the packet came here, and its destination is no node.
fn asked_about(cluster: &Cluster) -> BTreeSet<Vec<IpNet>> {
    let policies = &cluster.policies;
    let mut ranges: BTreeSet<Vec<IpNet>> =
        policies.network_sets.iter().map(|set| set.nets.clone()).collect();
    if let NodePortAddresses::In(found) = &cluster.proxy.node_port_addresses.value {
        ranges.insert(found.clone());
    }
    let rules = policies
        .tiers
        .iter()
        .flat_map(|tier| &tier.policies)
        .flat_map(|policy| &policy.ingress)
        .flat_map(|rules| &rules.rules);
    let peers = rules.flat_map(|rule| &rule.source.peers);
    ranges.extend(peers.flat_map(|peer| &peer.conditions).filter_map(|condition| {
        match &condition.test {
            Test::Nets(found) | Test::NotNets(found) => Some(found.clone()),
            Test::Service { namespace, name, .. } => Some(processes(cluster, namespace, name)),
            _ => None,
        }
    }));
    ranges
}

/// The endpoints of a service that are processes of nodes.
fn processes(cluster: &Cluster, namespace: &str, name: &str) -> Vec<IpNet> {
    let mut services = cluster.services.iter();
    let service = services.find(|service| service.namespace == namespace && service.name == name);
    let ports = service.into_iter().flat_map(|service| &service.ports);
    let endpoints = ports.flat_map(|port| &port.endpoints).map(|endpoint| endpoint.ip);
    let own = endpoints.filter(|address| cluster.node_by_address.contains_key(address));
    own.map(IpNet::from).collect()
}
