//! The two ends of a packet as policies see them: an address, and what is known to have it.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::cluster::{Cluster, Pod, PodId};
use crate::net::{CALICO_NAME, InFamily, IpProtocol, Labels, Lookup};
use crate::policy::form::{Clause, Endpoints, HostEndpoint, NetworkSet, Of, View};

/// One end of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a> {
    pub(crate) cluster: &'a Cluster,
    /// The address, where the question has one.
    pub(crate) address: Option<IpAddr>,
    /// The endpoint that has the address for itself.
    pub(crate) endpoint: Option<Known<'a>>,
}

/// Something that policies can select.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known<'a> {
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
        let pod = pod.filter(|pod| has_own_network(pod)).map(Known::Pod);
        let host = || {
            let mut hosts = cluster.policies.host_endpoints.iter();
            hosts.find(|h| h.addresses.contains(&address)).map(Known::Host)
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
        Self { cluster, address, endpoint: pod.map(Known::Pod) }
    }

    /// A host endpoint that is asked as itself.
    pub(crate) fn host(
        cluster: &'a Cluster,
        host: &'a HostEndpoint,
        address: Option<IpAddr>,
    ) -> Self {
        Self { cluster, address, endpoint: Some(Known::Host(host)) }
    }

    /// The pod that has the address for itself.
    pub(crate) fn as_pod(&self) -> Option<&'a Pod> {
        match self.endpoint {
            Some(Known::Pod(pod)) => Some(pod),
            _ => None,
        }
    }

    /// The host endpoint that has the address.
    pub(crate) fn as_host(&self) -> Option<&'a HostEndpoint> {
        match self.endpoint {
            Some(Known::Host(host)) => Some(host),
            _ => None,
        }
    }

    /// Everything that is known at this address.
    fn known(&self, view: View, role: Role) -> impl Iterator<Item = Known<'a>> + use<'a> {
        let endpoint = self.endpoint.filter(|known| match known {
            Known::Pod(_) => true,
            _ => view == View::Calico,
        });
        let sets = match (view, role) {
            (View::Calico, Role::Peer) => self.cluster.policies.network_sets.as_slice(),
            _ => &[],
        };
        let end = *self;
        let holds = move |set: &&NetworkSet| end.is_in(&set.nets);
        endpoint.into_iter().chain(sets.iter().filter(holds).map(Known::Set))
    }

    /// Is its address in one of these?
    pub(crate) fn is_in(&self, nets: &[IpNet]) -> bool {
        self.address.is_some_and(|ip| nets.iter().any(|net| net.contains(&ip)))
    }

    /// Is it one of these?
    pub(crate) fn is_one_of(&self, endpoints: &Endpoints, role: Role) -> bool {
        let holds = |known| endpoints.clauses.iter().all(|c| self.holds(endpoints.view, c, known));
        self.known(endpoints.view, role).any(holds)
    }

    /// Is it an endpoint of which a clause holds?
    pub(crate) fn is_endpoint_with(&self, view: View, clause: &Clause) -> bool {
        self.known(view, Role::Subject).any(|known| self.holds(view, clause, known))
    }

    /// Has it the labels that these have, wherever it is?
    pub(crate) fn labels_match(&self, endpoints: &Endpoints) -> bool {
        self.known(endpoints.view, Role::Subject).any(|known| {
            let mut labels = endpoints.clauses.iter().filter(|c| matches!(c.of, Of::Labels(_)));
            labels.all(|clause| self.holds(endpoints.view, clause, known))
        })
    }

    /// The clauses of `endpoints` that do not hold, each with what to say about it: of what is
    /// nearest at this address, or all at once if nothing is known there.
    pub(crate) fn misses<'e>(
        &self,
        endpoints: &'e Endpoints,
        role: Role,
    ) -> Vec<(&'e Clause, String)> {
        let failing = |known| {
            let clauses = endpoints.clauses.iter();
            let failing = clauses.filter(move |c| !self.holds(endpoints.view, c, known));
            failing.collect::<Vec<_>>()
        };
        let known = self.known(endpoints.view, role).map(|known| (known, failing(known)));
        if let Some((known, failing)) = known.min_by_key(|(_, failing)| failing.len()) {
            let miss = |clause| (clause, self.clause_miss(endpoints.view, clause, known, role));
            return failing.into_iter().map(miss).collect();
        }
        let what = match endpoints.view {
            View::Kubernetes => "no pod",
            View::Calico => "no pod, host endpoint or network set",
        };
        let text = format!(
            "{self} belongs to {what}, so {} can never match it{}",
            asked(endpoints),
            self.explained()
        );
        endpoints.clauses.first().map(|c| (c, text)).into_iter().collect()
    }

    /// Is anything known here that `endpoints` may select?
    pub(crate) fn is_known(&self, endpoints: &Endpoints) -> bool {
        self.known(endpoints.view, Role::Peer).next().is_some()
    }

    pub(super) fn holds(&self, view: View, clause: &Clause, known: Known<'_>) -> bool {
        match &clause.of {
            Of::Namespace(name) => known.namespace() == Some(name),
            Of::Namespaces(selector) => selector.holds(&self.namespace_labels(view, known)),
            Of::Labels(selector) => {
                selector.holds(&EndpointLabels { cluster: self.cluster, view, known })
            }
            Of::ServiceAccountNames(names) => {
                known.service_account().is_some_and(|a| names.iter().any(|n| n == a))
            }
            Of::ServiceAccounts(selector) => selector.holds(&self.account_labels(known)),
        }
    }

    fn clause_miss(&self, view: View, clause: &Clause, known: Known<'_>, role: Role) -> String {
        let who = self.called(known);
        match &clause.of {
            Of::Namespace(wanted) => {
                let place = known.namespace().map_or_else(
                    || "no namespace".to_owned(),
                    |namespace| format!("namespace {namespace}"),
                );
                let why = match (role, view) {
                    (Role::Subject, _) => "a policy selects only pods of its own namespace",
                    (Role::Peer, View::Kubernetes) => {
                        "a podSelector alone looks only in the policy's own namespace"
                    }
                    (Role::Peer, View::Calico) => {
                        "without a namespaceSelector only the policy's own namespace counts"
                    }
                };
                format!("{who} is in {place}, not in {wanted} ({why})")
            }
            Of::Namespaces(selector) => {
                let Some(name) = known.namespace() else {
                    let asked = if selector.is_everything() { "one" } else { "its namespace" };
                    return format!(
                        "{who} is in no namespace, and the namespaceSelector asks for {asked}"
                    );
                };
                format!("namespace {name} {}", selector.miss(&self.namespace_labels(view, known)))
            }
            Of::Labels(selector) => {
                let labels = EndpointLabels { cluster: self.cluster, view, known };
                format!("{who} {}", selector.miss(&labels))
            }
            Of::ServiceAccountNames(names) => match known.service_account() {
                Some(account) => {
                    format!("{who} has service account {account}, not {}", names.join(" or "))
                }
                None => format!("{who} has no service account"),
            },
            Of::ServiceAccounts(selector) => match known.service_account() {
                Some(account) => format!(
                    "service account {account} of {who} {}",
                    selector.miss(&self.account_labels(known))
                ),
                None => format!("{who} has no service account"),
            },
        }
    }

    /// Why it is one of these.
    pub(crate) fn hit(&self, endpoints: &Endpoints) -> String {
        let holds = |known: &Known<'_>| {
            endpoints.clauses.iter().all(|c| self.holds(endpoints.view, c, *known))
        };
        let Some(known) = self.known(endpoints.view, Role::Peer).find(holds) else {
            return String::new();
        };
        let namespace = known.namespace().unwrap_or_default();
        let account = known.service_account().unwrap_or_default();
        let reasons: Vec<_> = endpoints
            .clauses
            .iter()
            .filter_map(|clause| match &clause.of {
                Of::Namespace(name) => Some(format!("is in the policy's namespace {name}")),
                Of::Namespaces(_) if namespace.is_empty() => Some("is in no namespace".to_owned()),
                Of::Namespaces(all) if all.is_everything() => {
                    Some(format!("is in a namespace ({namespace})"))
                }
                Of::Namespaces(selector) => {
                    Some(format!("is in namespace {namespace}, which has {selector}"))
                }
                Of::Labels(all) if all.is_everything() => None,
                Of::Labels(selector) => Some(format!("has {selector}")),
                Of::ServiceAccountNames(_) => Some(format!("has service account {account}")),
                Of::ServiceAccounts(selector) => {
                    Some(format!("has service account {account} with {selector}"))
                }
            })
            .collect();
        match reasons.as_slice() {
            [] => format!("{} is known, and every label will do", self.called(known)),
            reasons => format!("{} {}", self.called(known), reasons.join(" and ")),
        }
    }

    /// The numbers that this end gives to the port `name` of a protocol.
    pub(crate) fn named_ports(
        &self,
        name: &str,
        protocol: IpProtocol,
    ) -> impl Iterator<Item = u16> {
        let ports = match self.endpoint {
            Some(Known::Pod(pod)) => pod.ports.as_slice(),
            Some(Known::Host(host)) => &host.ports,
            _ => &[],
        };
        ports
            .iter()
            .filter(move |p| p.name == name && p.protocol.number() == protocol)
            .map(|p| p.port)
    }

    /// What explanations call something that is known here.
    fn called(&self, known: Known<'_>) -> String {
        match (known, self.address) {
            (Known::Set(set), Some(ip)) => format!("{ip} ({})", set.object),
            (known, _) => known.to_string(),
        }
    }

    fn namespace_labels<'k>(&self, view: View, known: Known<'k>) -> NamespaceLabels<'k>
    where
        'a: 'k,
    {
        NamespaceLabels { cluster: self.cluster, view, namespace: known.namespace() }
    }

    fn account_labels<'k>(&self, known: Known<'k>) -> AccountLabels<'k>
    where
        'a: 'k,
    {
        AccountLabels {
            cluster: self.cluster,
            account: known.namespace().zip(known.service_account()),
        }
    }

    /// ` (it is node1's tunl0 address)`, for addresses that no policy knows by a selector.
    fn explained(&self) -> String {
        let Some(ip) = self.address else { return String::new() };
        identity(self.cluster, ip).map_or_else(String::new, |what| format!(" (it is {what})"))
    }
}

/// What explanations call it: an endpoint by its name, anything else by its address.
impl fmt::Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.endpoint, self.address) {
            (Some(known), _) => write!(f, "{known}"),
            (None, Some(ip)) => write!(f, "{ip}"),
            (None, None) => f.write_str("an unknown address"),
        }
    }
}

impl<'a> Known<'a> {
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

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(pod) => write!(f, "pod/{}/{}", pod.namespace, pod.name),
            Self::Host(host) => write!(f, "hostEndpoint/{}", host.object.name),
            Self::Set(set) => write!(f, "{}", set.object),
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
    pub(super) known: Known<'a>,
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
            ("projectcalico.org/orchestrator", Known::Pod(_)) => Some("k8s"),
            _ => None,
        };
        special.or_else(|| own.value(key)).or_else(|| inherited(self.cluster, self.known, key))
    }
}

/// Labels that an endpoint has from its profiles, those of its namespace and service account
/// among them.
fn inherited<'a>(cluster: &'a Cluster, known: Known<'a>, key: &str) -> Option<&'a str> {
    let policies = &cluster.policies;
    let of = |name: &str| policies.profiles.get(name).and_then(|p| p.labels.value(key));
    match known {
        Known::Set(_) => None,
        Known::Host(host) => host.profiles.iter().find_map(|name| of(name)),
        Known::Pod(pod) => {
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

/// Who has an address that no selector can match.
fn identity(cluster: &Cluster, ip: IpAddr) -> Option<String> {
    if let Some(id) = cluster.node_by_address.get(&ip) {
        let node = cluster.nodes.get(id.0)?;
        let Some(tunnel) = node.tunnel_of(ip) else {
            return Some(format!(
                "{}'s own address; pods with hostNetwork share it and are not selected",
                node.name
            ));
        };
        let device = tunnel.device(ip.family());
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

/// The words for what a peer is selected by.
fn asked(endpoints: &Endpoints) -> &'static str {
    let by_namespace = endpoints.clauses.iter().any(|c| matches!(c.of, Of::Namespaces(_)));
    match endpoints.view {
        View::Kubernetes if !by_namespace => "a podSelector",
        View::Kubernetes => "a namespaceSelector",
        View::Calico => "a selector",
    }
}
