//! The two ends of a packet as policies see them: an address, and what is known to have it.

use std::fmt;
use std::net::IpAddr;

use super::form::{Clause, Endpoints, Of, View};
use crate::cluster::{Cluster, Labels, Namespace, Pod, PodId};

/// One end of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a> {
    cluster: &'a Cluster,
    /// The address, where the question has one.
    pub(crate) address: Option<IpAddr>,
    /// The pod that has the address for itself.
    pub(crate) pod: Option<PodId>,
}

impl<'a> End<'a> {
    /// Whatever has `address`.
    pub(crate) fn at(cluster: &'a Cluster, address: IpAddr) -> Self {
        let pod = cluster.pod_by_address.get(&address).copied();
        let pod = pod.filter(|id| cluster.pods.get(id.0).is_some_and(has_own_network));
        Self { cluster, address: Some(address), pod }
    }

    /// Something without an address.
    pub(crate) fn nowhere(cluster: &'a Cluster) -> Self {
        Self { cluster, address: None, pod: None }
    }

    /// A pod that is asked as itself, whatever its address.
    pub(crate) fn pod(cluster: &'a Cluster, id: PodId, address: Option<IpAddr>) -> Self {
        let pod = cluster.pods.get(id.0).is_some_and(has_own_network).then_some(id);
        Self { cluster, address, pod }
    }

    /// The pod that has the address for itself.
    pub(crate) fn as_pod(&self) -> Option<&'a Pod> {
        self.cluster.pods.get(self.pod?.0)
    }

    /// Is it one of these?
    pub(crate) fn is_one_of(&self, endpoints: &Endpoints) -> bool {
        self.as_pod().is_some_and(|pod| {
            endpoints.clauses.iter().all(|clause| holds(self.cluster, clause, pod))
        })
    }

    /// Has it the labels that these have, wherever it is?
    pub(crate) fn labels_match(&self, endpoints: &Endpoints) -> bool {
        self.as_pod().is_some_and(|pod| {
            let mut labels = endpoints.clauses.iter().filter(|c| matches!(c.of, Of::Labels(_)));
            labels.all(|clause| holds(self.cluster, clause, pod))
        })
    }

    /// The clauses of `endpoints` that do not hold, each with what to say about it; all of them at
    /// once if nothing is known at this address.
    pub(crate) fn misses<'e>(&self, endpoints: &'e Endpoints) -> Vec<(&'e Clause, String)> {
        let Some(pod) = self.as_pod() else {
            let what = match endpoints.view {
                View::Kubernetes => "no pod",
            };
            let text = format!(
                "{self} belongs to {what}, so {} can never match it{}",
                asked(endpoints),
                self.explained()
            );
            return endpoints.clauses.first().map(|c| (c, text)).into_iter().collect();
        };
        let failing = endpoints.clauses.iter().filter(|c| !holds(self.cluster, c, pod));
        failing.map(|clause| (clause, self.clause_miss(clause, pod))).collect()
    }

    fn clause_miss(&self, clause: &Clause, pod: &Pod) -> String {
        match &clause.of {
            Of::Namespace(wanted) => format!(
                "{self} is in namespace {}, and a podSelector alone selects only pods of the \
                 policy's own namespace, {wanted}",
                pod.namespace
            ),
            Of::Namespaces(selector) => {
                let labels = namespace_labels(self.cluster, &pod.namespace);
                let miss = labels
                    .map_or_else(|| "is not known".to_owned(), |labels| selector.miss(labels));
                format!("namespace {} {miss}", pod.namespace)
            }
            Of::Labels(selector) => format!("{self} {}", selector.miss(&pod.labels)),
        }
    }

    /// Why it is one of these.
    pub(crate) fn hit(&self, endpoints: &Endpoints) -> String {
        let Some(pod) = self.as_pod() else { return String::new() };
        let reasons: Vec<_> = endpoints
            .clauses
            .iter()
            .filter_map(|clause| match &clause.of {
                Of::Namespace(name) => Some(format!("is in the policy's namespace {name}")),
                Of::Namespaces(all) if all.is_everything() => {
                    Some(format!("is in a namespace ({})", pod.namespace))
                }
                Of::Namespaces(selector) => {
                    Some(format!("is in namespace {}, which has {selector}", pod.namespace))
                }
                Of::Labels(all) if all.is_everything() => None,
                Of::Labels(selector) => Some(format!("has {selector}")),
            })
            .collect();
        format!("{self} {}", reasons.join(" and "))
    }

    /// The number that this end gives to the port `name` of a protocol.
    pub(crate) fn named_ports(&self, name: &str, protocol: u8) -> impl Iterator<Item = u16> {
        let ports = self.as_pod().map_or(&[][..], |pod| &pod.ports);
        ports
            .iter()
            .filter(move |p| p.name == name && p.protocol.number() == protocol)
            .map(|p| p.port)
    }

    /// ` (it is node1's tunl0 address)`, for addresses that no policy knows by a selector.
    fn explained(&self) -> String {
        let Some(ip) = self.address else { return String::new() };
        self.identity(ip).map_or_else(String::new, |what| format!(" (it is {what})"))
    }

    fn identity(&self, ip: IpAddr) -> Option<String> {
        let cluster = self.cluster;
        if let Some(id) = cluster.node_by_address.get(&ip) {
            let node = cluster.nodes.get(id.0)?;
            let device = if node.ipip.as_ref().is_some_and(|s| s.value == ip) {
                "tunl0"
            } else if node.vxlan.iter().any(|s| s.value == ip) {
                "vxlan.calico"
            } else if node.wireguard.as_ref().is_some_and(|s| s.value == ip) {
                "wireguard.cali"
            } else {
                return Some(format!(
                    "{}'s own address; pods with hostNetwork share it and are not selected",
                    node.name
                ));
            };
            return Some(format!("{}'s {device} address", node.name));
        }
        if let Some(pod) = cluster.pods.iter().find(|p| p.finished && p.addresses.contains(&ip)) {
            return Some(format!("pod/{}/{}'s, which has finished", pod.namespace, pod.name));
        }
        if let Some(client) = cluster.clients.iter().find(|c| c.ip == ip) {
            return Some(format!("client/{}, outside the cluster", client.name));
        }
        if let Some(balancer) = cluster.balancers.iter().find(|b| b.ip == ip) {
            return Some(format!("the balancer {}", balancer.name));
        }
        let service = cluster.services.iter().find(|s| s.cluster_ips.contains(&ip))?;
        Some(format!("the ClusterIP of service/{}/{}", service.namespace, service.name))
    }
}

/// What explanations call it: a pod by its name, anything else by its address.
impl fmt::Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.as_pod(), self.address) {
            (Some(pod), _) => write!(f, "pod/{}/{}", pod.namespace, pod.name),
            (None, Some(ip)) => write!(f, "{ip}"),
            (None, None) => f.write_str("an unknown address"),
        }
    }
}

/// Is it there, with a network of its own? Policies know no other pods: those on the host's
/// network are undefined by the API and no endpoints for Calico, finished ones are gone.
pub(crate) fn has_own_network(pod: &Pod) -> bool {
    !pod.host_network && !pod.finished
}

fn holds(cluster: &Cluster, clause: &Clause, pod: &Pod) -> bool {
    match &clause.of {
        Of::Namespace(name) => pod.namespace == *name,
        Of::Namespaces(selector) => {
            namespace_labels(cluster, &pod.namespace).is_some_and(|l| selector.matches(l))
        }
        Of::Labels(selector) => selector.matches(&pod.labels),
    }
}

fn namespace_labels<'a>(cluster: &'a Cluster, name: &str) -> Option<&'a Labels> {
    cluster.namespaces.get(name).map(|Namespace { labels, .. }| labels)
}

/// The words for what a peer is selected by.
fn asked(endpoints: &Endpoints) -> &'static str {
    let by_namespace = endpoints.clauses.iter().any(|c| matches!(c.of, Of::Namespaces(_)));
    if by_namespace { "a namespaceSelector" } else { "a podSelector" }
}
