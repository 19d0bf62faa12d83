//! Whom a description of endpoints selects, as far as the text tells.

use super::end::{End, Known, Role};
use super::form::Endpoints;
use crate::cluster::{Cluster, Pod, PodId};

/// Whether the description fits the pod, though it may have no network of its own.
pub fn describes(cluster: &Cluster, endpoints: &Endpoints, pod: &Pod) -> bool {
    let end = End { cluster, address: None, endpoint: Some(Known::Pod(pod)) };
    end.is_one_of(endpoints, Role::Peer)
}

/// The pods that are selected: those with a network of their own that have not finished.
pub fn selected(cluster: &Cluster, endpoints: &Endpoints) -> Vec<PodId> {
    (0..cluster.pods.len())
        .map(PodId)
        .filter(|id| cluster.pod(*id).is_some_and(|pod| !pod.finished && !pod.host_network))
        .filter(|id| cluster.pod(*id).is_some_and(|pod| describes(cluster, endpoints, pod)))
        .collect()
}

/// Whether it selects anything at all: a pod, a host endpoint, a set of networks.
pub fn selects_anything(cluster: &Cluster, endpoints: &Endpoints) -> bool {
    let is_one = |known| {
        let end = End { cluster, address: None, endpoint: Some(known) };
        end.is_one_of(endpoints, Role::Peer)
    };
    let policies = &cluster.policies;
    !selected(cluster, endpoints).is_empty()
        || policies.host_endpoints.iter().any(|host| is_one(Known::Host(host)))
        || policies.network_sets.iter().any(|set| is_one(Known::Set(set)))
}
