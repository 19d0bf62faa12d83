//! The two ends of a packet as policies see them: an address, and what is known to have it.

use std::net::IpAddr;

use ipnet::IpNet;

use super::finding::{EndpointRef, Seen, Unmet};
use crate::cluster::{Cluster, Pod, PodId};
use crate::net::{CALICO_NAME, IpProtocol, Labels, Lookup};
use crate::policy::form::{Endpoints, HostEndpoint, NetworkSet, Requirement, Term, View};
use crate::text::ObjectRef;

/// One end of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a> {
    pub(crate) cluster: &'a Cluster,
    /// The address, where the question has one.
    pub(crate) address: Option<IpAddr>,
    /// The endpoint that has the address for itself.
    pub(crate) endpoint: Option<Endpoint<'a>>,
}

/// Something that policies can select.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Endpoint<'a> {
    Pod(&'a Pod),
    Host(&'a HostEndpoint),
    Set(&'a NetworkSet),
}

/// Why one asks what an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A policy may decide its traffic.
    Subject,
    /// A rule may speak of it.
    Peer,
}

impl<'a> End<'a> {
    /// Whatever has `address`.
    pub(crate) fn at(cluster: &'a Cluster, address: IpAddr) -> Self {
        let pod = cluster.pod_by_address.get(&address).and_then(|id| cluster.pods.get(id.0));
        let pod = pod.filter(|pod| has_own_network(pod)).map(Endpoint::Pod);
        let host = || {
            let mut hosts = cluster.policies.host_endpoints.iter();
            hosts.find(|h| h.addresses.contains(&address)).map(Endpoint::Host)
        };
        Self { cluster, address: Some(address), endpoint: pod.or_else(host) }
    }

    /// Something without an address.
    pub(crate) fn nowhere(cluster: &'a Cluster) -> Self {
        Self { cluster, address: None, endpoint: None }
    }

    /// A pod that is asked as itself, whatever its address.
    pub(crate) fn pod(cluster: &'a Cluster, id: PodId, address: Option<IpAddr>) -> Self {
        let pod = cluster.pods.get(id.0).filter(|pod| has_own_network(pod));
        Self { cluster, address, endpoint: pod.map(Endpoint::Pod) }
    }

    /// A host endpoint that is asked as itself.
    pub(crate) fn host(
        cluster: &'a Cluster,
        host: &'a HostEndpoint,
        address: Option<IpAddr>,
    ) -> Self {
        Self { cluster, address, endpoint: Some(Endpoint::Host(host)) }
    }

    /// The pod that has the address for itself.
    pub(crate) fn as_pod(&self) -> Option<&'a Pod> {
        match self.endpoint {
            Some(Endpoint::Pod(pod)) => Some(pod),
            _ => None,
        }
    }

    /// The host endpoint that has the address.
    pub(crate) fn as_host(&self) -> Option<&'a HostEndpoint> {
        match self.endpoint {
            Some(Endpoint::Host(host)) => Some(host),
            _ => None,
        }
    }

    /// Everything that is known at this address.
    fn known(&self, view: View, role: Role) -> impl Iterator<Item = Endpoint<'a>> + use<'a> {
        let endpoint = self.endpoint.filter(|known| match known {
            Endpoint::Pod(_) => true,
            _ => view == View::Calico,
        });
        let sets = match (view, role) {
            (View::Calico, Role::Peer) => self.cluster.policies.network_sets.as_slice(),
            _ => &[],
        };
        let end = *self;
        let holds = move |set: &&NetworkSet| end.is_in(&set.nets);
        endpoint.into_iter().chain(sets.iter().filter(holds).map(Endpoint::Set))
    }

    /// Is its address in one of these?
    pub(crate) fn is_in(&self, nets: &[IpNet]) -> bool {
        self.address.is_some_and(|ip| nets.iter().any(|net| net.contains(&ip)))
    }

    /// Is it one of these?
    pub(crate) fn is_one_of(&self, endpoints: &Endpoints, role: Role) -> bool {
        let holds = |known| endpoints.terms.iter().all(|c| self.holds(endpoints.view, c, known));
        self.known(endpoints.view, role).any(holds)
    }

    /// Is it an endpoint of which a term holds?
    pub(crate) fn is_endpoint_with(&self, view: View, term: &Term) -> bool {
        self.known(view, Role::Subject).any(|known| self.holds(view, term, known))
    }

    /// Has it the labels that these have, wherever it is?
    pub(crate) fn labels_match(&self, endpoints: &Endpoints) -> bool {
        self.known(endpoints.view, Role::Subject).any(|known| {
            let mut labels =
                endpoints.terms.iter().filter(|c| matches!(c.requires, Requirement::Labels(_)));
            labels.all(|term| self.holds(endpoints.view, term, known))
        })
    }

    /// The terms of `endpoints` that do not hold, each with what there is instead: of what is
    /// nearest at this address, or all at once if nothing is known there.
    pub(crate) fn misses<'e>(
        &self,
        endpoints: &'e Endpoints,
        role: Role,
    ) -> Vec<(&'e Term, Unmet)> {
        let failing = |known| {
            let terms = endpoints.terms.iter();
            let failing = terms.filter(move |c| !self.holds(endpoints.view, c, known));
            failing.collect::<Vec<_>>()
        };
        let known = self.known(endpoints.view, role).map(|known| (known, failing(known)));
        if let Some((known, failing)) = known.min_by_key(|(_, failing)| failing.len()) {
            let miss = |term| (term, self.unmet(endpoints.view, term, known));
            return failing.into_iter().map(miss).collect();
        }
        let requires = endpoints.terms.iter().map(|term| term.requires.clone()).collect();
        let unmet = Unmet::NoEndpoint { view: endpoints.view, requires };
        endpoints.terms.first().map(|term| (term, unmet)).into_iter().collect()
    }

    /// Is anything known here that `endpoints` may select?
    pub(crate) fn is_known(&self, endpoints: &Endpoints) -> bool {
        self.known(endpoints.view, Role::Peer).next().is_some()
    }

    pub(super) fn holds(&self, view: View, term: &Term, known: Endpoint<'_>) -> bool {
        match &term.requires {
            Requirement::Namespace(name) => known.namespace() == Some(name),
            Requirement::Namespaces(selector) => {
                selector.holds(&self.namespace_labels(view, known))
            }
            Requirement::Labels(selector) => {
                selector.holds(&EndpointLabels { cluster: self.cluster, view, known })
            }
            Requirement::ServiceAccountNames(names) => {
                known.service_account().is_some_and(|a| names.iter().any(|n| n == a))
            }
            Requirement::ServiceAccounts(selector) => selector.holds(&self.account_labels(known)),
        }
    }

    fn unmet(&self, view: View, term: &Term, known: Endpoint<'_>) -> Unmet {
        let labels = match &term.requires {
            Requirement::Namespace(_) | Requirement::ServiceAccountNames(_) => None,
            Requirement::Namespaces(selector) => selector.miss(&self.namespace_labels(view, known)),
            Requirement::Labels(selector) => {
                selector.miss(&EndpointLabels { cluster: self.cluster, view, known })
            }
            Requirement::ServiceAccounts(selector) => selector.miss(&self.account_labels(known)),
        };
        Unmet::Term { who: known.named(), view, requires: term.requires.clone(), labels }
    }

    /// Which endpoint here is one of these, and by which terms.
    pub(crate) fn held(&self, endpoints: &Endpoints) -> Option<(EndpointRef, Vec<Term>)> {
        let holds = |known: &Endpoint<'_>| {
            endpoints.terms.iter().all(|c| self.holds(endpoints.view, c, *known))
        };
        let known = self.known(endpoints.view, Role::Peer).find(holds)?;
        Some((known.named(), endpoints.terms.clone()))
    }

    /// Names it, for those who are told about it.
    pub(crate) fn seen(&self) -> Seen {
        Seen { address: self.address, endpoint: self.endpoint.map(Endpoint::named) }
    }

    /// The numbers that this end gives to the port `name` of a protocol.
    pub(crate) fn named_ports(
        &self,
        name: &str,
        protocol: IpProtocol,
    ) -> impl Iterator<Item = u16> {
        let ports = match self.endpoint {
            Some(Endpoint::Pod(pod)) => pod.ports.as_slice(),
            Some(Endpoint::Host(host)) => &host.ports,
            _ => &[],
        };
        ports
            .iter()
            .filter(move |p| p.name == name && p.protocol.number() == protocol)
            .map(|p| p.port)
    }

    fn namespace_labels<'k>(&self, view: View, known: Endpoint<'k>) -> NamespaceLabels<'k>
    where
        'a: 'k,
    {
        NamespaceLabels { cluster: self.cluster, view, namespace: known.namespace() }
    }

    fn account_labels<'k>(&self, known: Endpoint<'k>) -> AccountLabels<'k>
    where
        'a: 'k,
    {
        AccountLabels {
            cluster: self.cluster,
            account: known.namespace().zip(known.service_account()),
        }
    }
}

impl<'a> Endpoint<'a> {
    fn named(self) -> EndpointRef {
        match self {
            Self::Pod(pod) => EndpointRef::Pod {
                object: ObjectRef::new("Pod", &pod.namespace, &pod.name),
                service_account: pod.service_account.clone(),
            },
            Self::Host(host) => EndpointRef::Host(host.object.clone()),
            Self::Set(set) => EndpointRef::Set(set.object.clone()),
        }
    }

    fn namespace(self) -> Option<&'a str> {
        match self {
            Self::Pod(pod) => Some(&pod.namespace),
            Self::Host(_) => None,
            Self::Set(set) => Some(set.object.namespace.as_str()).filter(|n| !n.is_empty()),
        }
    }

    fn service_account(self) -> Option<&'a str> {
        match self {
            Self::Pod(pod) => Some(&pod.service_account),
            Self::Host(_) | Self::Set(_) => None,
        }
    }

    fn labels(self) -> &'a Labels {
        match self {
            Self::Pod(pod) => &pod.labels,
            Self::Host(host) => &host.labels,
            Self::Set(set) => &set.labels,
        }
    }
}

/// Is it there, with a network of its own? Policies know no other pods: those on the host's
/// network are undefined by the API and no endpoints for Calico, finished ones are gone.
pub(crate) fn has_own_network(pod: &Pod) -> bool {
    !pod.host_network && !pod.finished
}

/// An endpoint's labels in the eyes of a language.
pub(super) struct EndpointLabels<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) view: View,
    pub(super) known: Endpoint<'a>,
}

impl Lookup for EndpointLabels<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        let own = self.known.labels();
        if self.view == View::Kubernetes {
            return own.value(key);
        }
        let special = match (key, self.known) {
            ("projectcalico.org/namespace", known) => known.namespace(),
            ("projectcalico.org/serviceaccount", known) => known.service_account(),
            ("projectcalico.org/orchestrator", Endpoint::Pod(_)) => Some("k8s"),
            _ => None,
        };
        special.or_else(|| own.value(key)).or_else(|| inherited(self.cluster, self.known, key))
    }
}

/// Labels that an endpoint has from its profiles, those of its namespace and service account
/// among them.
fn inherited<'a>(cluster: &'a Cluster, known: Endpoint<'a>, key: &str) -> Option<&'a str> {
    let policies = &cluster.policies;
    let of = |name: &str| policies.profiles.get(name).and_then(|p| p.labels.value(key));
    match known {
        Endpoint::Set(_) => None,
        Endpoint::Host(host) => host.profiles.iter().find_map(|name| of(name)),
        Endpoint::Pod(pod) => {
            let names =
                if policies.profiles.is_empty() { Vec::new() } else { profiles(cluster, pod) };
            names.iter().find_map(|name| of(name)).or_else(|| {
                if let Some(key) = key.strip_prefix("pcns.") {
                    return namespace_label(cluster, &pod.namespace, key);
                }
                let key = key.strip_prefix("pcsa.")?;
                account_label(cluster, &pod.namespace, &pod.service_account, key)
            })
        }
    }
}

/// The names of a pod's profiles: those of its namespace and its service account, unless the text
/// says others.
pub(crate) fn profiles(cluster: &Cluster, pod: &Pod) -> Vec<String> {
    own_profiles(cluster, pod).cloned().unwrap_or_else(|| {
        vec![
            format!("kns.{}", pod.namespace),
            format!("ksa.{}.{}", pod.namespace, pod.service_account),
        ]
    })
}

/// The profiles that the text says of a pod.
pub(crate) fn own_profiles<'a>(cluster: &'a Cluster, pod: &Pod) -> Option<&'a Vec<String>> {
    let written = &cluster.policies.pod_profiles;
    if written.is_empty() {
        return None;
    }
    written.get(&(pod.namespace.clone(), pod.name.clone()))
}

/// A namespace's labels in the eyes of a language.
pub(super) struct NamespaceLabels<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) view: View,
    pub(super) namespace: Option<&'a str>,
}

impl Lookup for NamespaceLabels<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        let namespace = self.namespace?;
        match self.view {
            View::Calico => namespace_label(self.cluster, namespace, key),
            View::Kubernetes => self.cluster.namespaces.get(namespace)?.labels.value(key),
        }
    }

    fn all(&self) -> bool {
        self.namespace.is_some()
    }

    fn global(&self) -> bool {
        self.namespace.is_none()
    }
}

fn namespace_label<'a>(cluster: &'a Cluster, namespace: &'a str, key: &str) -> Option<&'a str> {
    if key == CALICO_NAME {
        return Some(namespace);
    }
    let own = cluster.namespaces.get(namespace).and_then(|n| n.labels.value(key));
    own.or_else(|| {
        let profile = cluster.policies.profiles.get(&format!("kns.{namespace}"))?;
        profile.labels.value(&format!("pcns.{key}"))
    })
}

/// A service account's labels as Calico sees them.
struct AccountLabels<'a> {
    cluster: &'a Cluster,
    /// Namespace and name.
    account: Option<(&'a str, &'a str)>,
}

impl Lookup for AccountLabels<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        let (namespace, name) = self.account?;
        account_label(self.cluster, namespace, name, key)
    }

    fn all(&self) -> bool {
        self.account.is_some()
    }
}

fn account_label<'a>(
    cluster: &'a Cluster,
    namespace: &str,
    name: &'a str,
    key: &str,
) -> Option<&'a str> {
    if key == CALICO_NAME {
        return Some(name);
    }
    let accounts = &cluster.policies.service_accounts;
    let own = accounts.get(&(namespace.to_owned(), name.to_owned())).and_then(|l| l.value(key));
    own.or_else(|| {
        let profile = cluster.policies.profiles.get(&format!("ksa.{namespace}.{name}"))?;
        profile.labels.value(&format!("pcsa.{key}"))
    })
}
