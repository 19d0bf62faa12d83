//! Whose an address is: the picture's colours and the sentences' words.

use std::net::IpAddr;

use serde::Serialize;

use crate::cluster::Cluster;
use crate::net::InFamily;

/// The kinds of things that own addresses; one colour each, the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Owner {
    /// A machine outside that the scenario names.
    Client,
    /// A node's own address.
    Node,
    /// A node's tunnel device.
    Tunnel,
    /// A service's virtual address.
    Service,
    /// A pod.
    Pod,
    /// A balancer.
    Balancer,
    /// Nothing that the text knows.
    Outside,
}

impl Owner {
    /// Every owner.
    pub const ALL: [Self; 7] = [
        Self::Client,
        Self::Node,
        Self::Tunnel,
        Self::Service,
        Self::Pod,
        Self::Balancer,
        Self::Outside,
    ];

    /// Its word, as in the name of its colour.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Node => "node",
            Self::Tunnel => "tunnel",
            Self::Service => "service",
            Self::Pod => "pod",
            Self::Balancer => "balancer",
            Self::Outside => "outside",
        }
    }
}

/// An address's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its kind.
    pub owner: Owner,
    /// Its name for a person: `node1's tunl0`.
    pub name: String,
}

/// Whose `ip` is.
pub fn owner_of(cluster: &Cluster, ip: IpAddr) -> Named {
    let named = |owner, name: String| Named { owner, name };
    if let Some(pod) = cluster.pod_by_address.get(&ip).and_then(|id| cluster.pods.get(id.0)) {
        return named(Owner::Pod, format!("pod {}", pod.name));
    }
    if let Some(node) = cluster.node_by_address.get(&ip).and_then(|id| cluster.nodes.get(id.0)) {
        return match node.tunnel_of(ip).map(|own| own.device(ip.family())) {
            Some(device) => named(Owner::Tunnel, format!("{}'s {device}", node.name)),
            None => named(Owner::Node, node.name.clone()),
        };
    }
    if let Some(balancer) = cluster.balancers.iter().find(|b| b.ip == ip) {
        return named(Owner::Balancer, format!("balancer {}", balancer.name));
    }
    for service in &cluster.services {
        let what = if service.cluster_ips.contains(&ip) {
            "cluster IP"
        } else if service.external_ips.contains(&ip) {
            "external IP"
        } else if service.ingress_ips.iter().any(|ingress| ingress.ip == ip) {
            "load balancer IP"
        } else {
            continue;
        };
        return named(Owner::Service, format!("{what} of {}", service.name));
    }
    if let Some(client) = cluster.clients.iter().find(|c| c.ip == ip) {
        let name = &client.name;
        let name = if name == "client" || name.parse::<IpAddr>().is_ok() {
            "client".to_owned()
        } else {
            format!("client {name}")
        };
        return named(Owner::Client, name);
    }
    named(Owner::Outside, if ip.is_loopback() { "loopback" } else { "outside" }.to_owned())
}
