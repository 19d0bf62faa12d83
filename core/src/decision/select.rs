//! Whom a description of endpoints selects, as far as the text tells.

use std::collections::BTreeSet;

use super::end::{End, Endpoint, Role, has_own_network};
use crate::cluster::{Cluster, Pod, PodId};
use crate::net::Protocol;
use crate::policy::form::{Endpoints, Peer, PortNumber, Rule, Test};

/// Whether the description fits the pod, though it may have no network of its own.
pub fn describes(cluster: &Cluster, endpoints: &Endpoints, pod: &Pod) -> bool {
    is_one(cluster, endpoints, Endpoint::Pod(pod))
}

/// The pods that are selected: those with a network of their own that have not finished.
pub fn selected(cluster: &Cluster, endpoints: &Endpoints) -> Vec<PodId> {
    let pods = cluster.pods.iter().enumerate().filter(|(_, pod)| has_own_network(pod));
    pods.filter(|(_, pod)| describes(cluster, endpoints, pod)).map(|(id, _)| PodId(id)).collect()
}

/// Whether it selects anything at all: a pod, a host endpoint, a set of networks.
pub fn selects_anything(cluster: &Cluster, endpoints: &Endpoints) -> bool {
    let policies = &cluster.policies;
    let pods = cluster.pods.iter().filter(|pod| has_own_network(pod)).map(Endpoint::Pod);
    let hosts = policies.host_endpoints.iter().map(Endpoint::Host);
    let sets = policies.network_sets.iter().map(Endpoint::Set);
    pods.chain(hosts).chain(sets).any(|known| is_one(cluster, endpoints, known))
}

/// Whether it selects a host endpoint.
pub fn selects_host(cluster: &Cluster, endpoints: &Endpoints) -> bool {
    let mut hosts = cluster.policies.host_endpoints.iter();
    hosts.any(|host| is_one(cluster, endpoints, Endpoint::Host(host)))
}

/// The ports that rules about traffic to this pod name: those of policies that select it, and of
/// ways out to it. `None` is a protocol without a port. The first port stands for a range.
pub fn ports_named(cluster: &Cluster, pod: &Pod) -> BTreeSet<(Option<u16>, Protocol)> {
    let policies = cluster.policies.all();
    let mut found = BTreeSet::new();
    for policy in policies {
        let ingress = policy.ingress.as_ref().filter(|_| describes(cluster, &policy.subject, pod));
        let ingress = ingress.into_iter().flat_map(|ingress| &ingress.rules);
        let egress = policy.egress.iter().flat_map(|egress| &egress.rules);
        let to_it = |rule: &&Rule| {
            let peers = &rule.destination.peers;
            peers.is_empty() || peers.iter().any(|peer| is_peer(cluster, peer, pod))
        };
        for rule in ingress.chain(egress.filter(to_it)) {
            if rule.destination.ports.is_empty() {
                let protocol = rule.protocol.and_then(Protocol::of_number);
                found.extend(protocol.map(|protocol| (None, protocol)));
            }
            for port in &rule.destination.ports {
                let number = port.protocol.or(rule.protocol);
                let protocol = number.map_or(Some(Protocol::Tcp), Protocol::of_number);
                let Some(protocol) = protocol else { continue };
                match port.number {
                    PortNumber::Any => found.insert((None, protocol)),
                    PortNumber::Range(first, _) => found.insert((Some(first.max(1)), protocol)),
                    PortNumber::Named(_) => continue,
                };
            }
        }
    }
    found
}

/// Whether a peer may be this pod, going by what it says of endpoints and addresses.
fn is_peer(cluster: &Cluster, peer: &Peer, pod: &Pod) -> bool {
    peer.conditions.iter().all(|condition| match &condition.test {
        Test::Endpoints(endpoints) => describes(cluster, endpoints, pod),
        Test::NotEndpoints(endpoints) => !describes(cluster, endpoints, pod),
        Test::Nets(nets) => pod.addresses.iter().any(|ip| nets.iter().any(|net| net.contains(ip))),
        Test::Never | Test::Nodes(_) => false,
        _ => true,
    })
}

fn is_one(cluster: &Cluster, endpoints: &Endpoints, known: Endpoint<'_>) -> bool {
    End { cluster, address: None, endpoint: Some(known) }.is_one_of(endpoints, Role::Peer)
}
