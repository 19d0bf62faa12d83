//! Whom a description of endpoints selects, as far as the text tells.

use std::collections::BTreeSet;

use super::end::{End, EndpointLabels, Known, NamespaceLabels, Role, has_own_network};
use super::form::{Clause, Endpoints, Of, View};
use super::labels::{Lookup, Selector};
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

/// Why a description selects nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nobody {
    /// The clause that rules out the last ones.
    pub clause: usize,
    /// What no pod or namespace has: `no namespace has team=a`.
    pub what: String,
    /// What there is instead: `there are team=b and team=c`.
    pub instead: Option<String>,
}

/// Why no pod is selected. `None` if one is.
pub fn nobody(cluster: &Cluster, endpoints: &Endpoints) -> Option<Nobody> {
    let mut left: Vec<&Pod> = cluster.pods.iter().filter(|pod| has_own_network(pod)).collect();
    for (index, clause) in endpoints.clauses.iter().enumerate() {
        let fits = |pod: &&&Pod| {
            let known = Known::Pod(pod);
            let end = End { cluster, address: None, endpoint: Some(known) };
            end.holds(endpoints.view, clause, known)
        };
        let next: Vec<&Pod> = left.iter().filter(fits).copied().collect();
        if next.is_empty() {
            let before = endpoints.clauses.get(..index).unwrap_or_default();
            let (what, instead) = missing(cluster, endpoints.view, before, clause, &left);
            return Some(Nobody { clause: index, what, instead });
        }
        left = next;
    }
    None
}

fn missing(
    cluster: &Cluster,
    view: View,
    before: &[Clause],
    clause: &Clause,
    left: &[&Pod],
) -> (String, Option<String>) {
    let place = before.iter().find_map(|clause| match &clause.of {
        Of::Namespace(name) => Some(format!(" of namespace {name}")),
        Of::Namespaces(all) if all.is_everything() => None,
        Of::Namespaces(selector) => Some(format!(" of a namespace with {selector}")),
        _ => None,
    });
    let place = place.unwrap_or_default();
    match &clause.of {
        Of::Namespace(name) => (format!("no pod of the text is in namespace {name}"), None),
        Of::Namespaces(selector) => {
            let labels = |namespace| NamespaceLabels { cluster, view, namespace: Some(namespace) };
            let names = || cluster.namespaces.keys().map(String::as_str);
            let fitting: Vec<&str> = names().filter(|name| selector.holds(&labels(name))).collect();
            if fitting.is_empty() {
                let all: Vec<_> = names().map(labels).collect();
                (format!("no namespace has {selector}"), there(selector, &all))
            } else {
                (format!("no pod of the text is in {}", fitting.join(" or ")), None)
            }
        }
        Of::Labels(selector) => {
            let all: Vec<_> = left
                .iter()
                .map(|pod| EndpointLabels { cluster, view, known: Known::Pod(pod) })
                .collect();
            (format!("no pod{place} has {selector}"), there(selector, &all))
        }
        Of::ServiceAccountNames(names) => {
            (format!("no pod{place} has service account {}", names.join(" or ")), None)
        }
        Of::ServiceAccounts(selector) => {
            (format!("no pod{place} has a service account with {selector}"), None)
        }
    }
}

/// Which values the label has that a selector asks for.
fn there(selector: &Selector, all: &[impl Lookup]) -> Option<String> {
    const SHOWN: usize = 5;
    let key = selector.wanted()?;
    let values: BTreeSet<&str> = all.iter().filter_map(|labels| labels.value(key)).collect();
    if values.is_empty() {
        return Some(format!("none has a label {key}"));
    }
    let shown: Vec<_> = values.iter().take(SHOWN).map(|value| format!("{key}={value}")).collect();
    let more = if values.len() > SHOWN { " and others" } else { "" };
    Some(format!("there is {}{more}", shown.join(", ")))
}
