//! Whom a description of endpoints selects, as far as the text tells.

use super::end::{End, Known, Role, has_own_network};
use super::form::Endpoints;
use crate::cluster::{Cluster, Pod, PodId};

/// Whether the description fits the pod, though it may have no network of its own.
pub fn describes(cluster: &Cluster, endpoints: &Endpoints, pod: &Pod) -> bool {
    is_one(cluster, endpoints, Known::Pod(pod))
}

/// The pods that are selected: those with a network of their own that have not finished.
pub fn selected(cluster: &Cluster, endpoints: &Endpoints) -> Vec<PodId> {
    let pods = cluster.pods.iter().enumerate().filter(|(_, pod)| has_own_network(pod));
    pods.filter(|(_, pod)| describes(cluster, endpoints, pod)).map(|(id, _)| PodId(id)).collect()
}

/// Whether it selects anything at all: a pod, a host endpoint, a set of networks.
pub fn selects_anything(cluster: &Cluster, endpoints: &Endpoints) -> bool {
    let policies = &cluster.policies;
    let pods = cluster.pods.iter().filter(|pod| has_own_network(pod)).map(Known::Pod);
    let hosts = policies.host_endpoints.iter().map(Known::Host);
    let sets = policies.network_sets.iter().map(Known::Set);
    pods.chain(hosts).chain(sets).any(|known| is_one(cluster, endpoints, known))
}

/// Whether it selects a host endpoint.
pub fn selects_host(cluster: &Cluster, endpoints: &Endpoints) -> bool {
    let mut hosts = cluster.policies.host_endpoints.iter();
    hosts.any(|host| is_one(cluster, endpoints, Known::Host(host)))
}

fn is_one(cluster: &Cluster, endpoints: &Endpoints, known: Known<'_>) -> bool {
    End { cluster, address: None, endpoint: Some(known) }.is_one_of(endpoints, Role::Peer)
}
