//! Why a description of endpoints is nobody's.

use std::collections::BTreeSet;

use super::Look;
use crate::cluster::{Cluster, Pod};
use crate::decision::{describes, selected, selects_anything, selects_host};
use crate::net::{CALICO_NAME, Selector};
use crate::policy::form::{Endpoints, Requirement, Term, View};
use crate::text::Origin;

/// Why one asks whom a description selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A policy decides about them: pods and host endpoints.
    Subject,
    /// A rule speaks of them: Calico's network sets too.
    Peer,
}

/// Why nobody is selected.
pub(super) struct Nobody {
    /// The term that rules out the last ones, if it is one.
    pub(super) term: Option<usize>,
    /// What is so: `no namespace has team=a`.
    pub(super) what: String,
    /// Why that matters, where it is not plain.
    pub(super) why: Option<String>,
    /// What there is instead: `there is team=b, team=c`.
    pub(super) instead: Option<String>,
}

impl Look<'_> {
    /// Why a description selects nobody. `None` if it selects someone, or nobody can tell.
    pub(super) fn nobody(&self, endpoints: &Endpoints, role: Role) -> Option<Nobody> {
        // Without pods, the text is not the whole cluster: who is missing is assumed.
        let written = |pod: &Pod| !matches!(pod.origin, Origin::Assumed(_));
        if !self.cluster.pods.iter().any(written) {
            return None;
        }
        let asking = Asking { cluster: self.cluster, view: endpoints.view, role };
        if asking.selects(&endpoints.terms) {
            return None;
        }
        asking.without_network(endpoints).or_else(|| asking.missing(endpoints))
    }
}

struct Asking<'a> {
    cluster: &'a Cluster,
    view: View,
    role: Role,
}

impl Asking<'_> {
    fn selects(&self, terms: &[Term]) -> bool {
        let (cluster, terms) = (self.cluster, terms.to_vec());
        let endpoints = Endpoints { view: self.view, terms };
        match self.role {
            Role::Peer => selects_anything(cluster, &endpoints),
            Role::Subject => {
                !selected(cluster, &endpoints).is_empty() || selects_host(cluster, &endpoints)
            }
        }
    }

    /// Whom it describes are pods that no policy sees.
    fn without_network(&self, endpoints: &Endpoints) -> Option<Nobody> {
        let cluster = self.cluster;
        let described = cluster.pods.iter().filter(|pod| describes(cluster, endpoints, pod));
        let described: Vec<&Pod> = described.collect();
        let (finished, host): (Vec<&Pod>, Vec<&Pod>) =
            described.iter().copied().partition(|pod| pod.finished);
        let one = described.len() == 1;
        let who =
            if one { "the only pod that it would select" } else { "all that it would select" };
        let (what, why) = match (finished.as_slice(), host.as_slice()) {
            ([], []) => return None,
            ([pod, ..], []) => (
                format!("{who} {} finished", if one { "has" } else { "have" }),
                format!("{} sends and receives nothing any more", called(pod)),
            ),
            ([], [pod, ..]) => (
                format!(
                    "{who} {} network",
                    if one { "uses its node's" } else { "use their nodes'" }
                ),
                on_its_node(pod),
            ),
            ([..], [pod, ..]) => {
                (format!("{who} have finished, or use their nodes' network"), on_its_node(pod))
            }
        };
        let instead = match self.role {
            Role::Peer => "only an ipBlock of the nodes' addresses matches it",
            Role::Subject => "only a HostEndpoint with a GlobalNetworkPolicy can guard it",
        };
        let instead = (!host.is_empty()).then(|| instead.to_owned());
        Some(Nobody { term: None, what, why: Some(why), instead })
    }

    /// What nobody has: the first term that leaves none of those who fit the terms before it.
    fn missing(&self, endpoints: &Endpoints) -> Option<Nobody> {
        let terms = &endpoints.terms;
        let until = |end: usize| terms.get(..end).unwrap_or_default();
        let index = (0..terms.len()).find(|index| !self.selects(until(index + 1)))?;
        let (what, instead) = self.lacking(until(index), terms.get(index)?);
        Some(Nobody { term: Some(index), what, why: None, instead })
    }

    fn lacking(&self, before: &[Term], term: &Term) -> (String, Option<String>) {
        let place = before.iter().find_map(|term| match &term.requires {
            Requirement::Namespace(name) => Some(format!(" of namespace {name}")),
            Requirement::Namespaces(selector) => match simple(selector) {
                all if all.is_everything() => None,
                Selector::Global => Some(" without a namespace".to_owned()),
                selector => Some(format!(" of a namespace with {selector}")),
            },
            _ => None,
        });
        let place = place.unwrap_or_default();
        let sorts = self.sorts();
        match &term.requires {
            Requirement::Namespace(name) => {
                (format!("no {sorts} of the text is in namespace {name}"), None)
            }
            Requirement::Namespaces(selector) => self.namespaces(&simple(selector)),
            Requirement::Labels(selector) => {
                let with = |of: Selector| {
                    let more = Term { cite: term.cite.clone(), requires: Requirement::Labels(of) };
                    self.selects(&before.iter().cloned().chain([more]).collect::<Vec<_>>())
                };
                let values = |key: &str| self.values(before, key, &with);
                shortfall(
                    &simple(selector),
                    &format!("no {sorts}{place}"),
                    &|part| with(part.clone()),
                    &values,
                )
            }
            Requirement::ServiceAccountNames(names) => {
                (format!("no pod{place} has service account {}", names.join(" or ")), None)
            }
            Requirement::ServiceAccounts(selector) => match simple(selector) {
                none if is_nothing(&none) => (EXCLUDES_ALL.to_owned(), None),
                selector => (format!("no pod{place} has a service account with {selector}"), None),
            },
        }
    }

    fn namespaces(&self, selector: &Selector) -> (String, Option<String>) {
        let sorts = self.sorts();
        if selector.is_everything() {
            return (format!("no {sorts} of the text is in a namespace"), None);
        }
        if *selector == Selector::Global {
            let what = match self.role {
                Role::Peer => "network set or host endpoint",
                Role::Subject => "host endpoint",
            };
            let what = format!(
                "global() is for what has no namespace, and no {what} of the text is without one"
            );
            return (what, None);
        }
        let namespaces = self.cluster.namespaces.iter().map(|(name, namespace)| {
            let mut labels = namespace.labels.clone();
            if self.view == View::Calico {
                labels.insert(CALICO_NAME.to_owned(), name.clone());
            }
            (name.as_str(), labels)
        });
        let namespaces: Vec<_> = namespaces.collect();
        let fitting = namespaces.iter().filter(|(_, labels)| selector.matches(labels));
        let fitting: Vec<&str> = fitting.map(|(name, _)| *name).collect();
        if !fitting.is_empty() {
            return (format!("no {sorts} of the text is in {}", fitting.join(" or ")), None);
        }
        let values = |key: &str| {
            namespaces.iter().filter_map(|(_, labels)| labels.get(key)).cloned().collect()
        };
        let has = |part: &Selector| namespaces.iter().any(|(_, labels)| part.matches(labels));
        shortfall(selector, "no namespace", &has, &values)
    }

    /// The values of a label that those have who fit the terms; `with` asks them for more.
    fn values(
        &self,
        before: &[Term],
        key: &str,
        with: &dyn Fn(Selector) -> bool,
    ) -> BTreeSet<String> {
        let cluster = self.cluster;
        let policies = &cluster.policies;
        let endpoints = Endpoints { view: self.view, terms: before.to_vec() };
        let pods = selected(cluster, &endpoints).into_iter().filter_map(|id| cluster.pod(id));
        // Calico's own labels hide those that are written.
        let hidden = self.view == View::Calico && key.starts_with("projectcalico.org/");
        let labels = pods.filter(|_| !hidden).filter_map(|pod| pod.labels.get(key));
        let mut found: BTreeSet<String> = labels.cloned().collect();
        if self.view == View::Kubernetes {
            return found;
        }
        let own = policies.network_sets.iter().map(|set| &set.labels);
        let own = own.chain(policies.host_endpoints.iter().map(|host| &host.labels));
        let own = own.chain(policies.profiles.values().map(|profile| &profile.labels));
        let own = own.filter_map(|labels| labels.get(key));
        // What pods have from where they are.
        let of_namespace = key.strip_prefix("pcns.").into_iter().flat_map(|key| {
            cluster.namespaces.values().filter_map(move |namespace| namespace.labels.get(key))
        });
        let names = cluster.namespaces.keys();
        let names = names.filter(|_| key == "projectcalico.org/namespace");
        let accounts = cluster.pods.iter().map(|pod| &pod.service_account);
        let accounts = accounts.filter(|_| key == "projectcalico.org/serviceaccount");
        let candidates = own.chain(of_namespace).chain(names).chain(accounts);
        for value in candidates.collect::<BTreeSet<_>>() {
            if with(Selector::Is(key.to_owned(), value.clone())) {
                found.insert(value.clone());
            }
        }
        found
    }

    /// What there is that could be selected.
    fn sorts(&self) -> &'static str {
        let policies = &self.cluster.policies;
        let calico = self.view == View::Calico;
        let hosts = calico && !policies.host_endpoints.is_empty();
        let sets = calico && self.role == Role::Peer && !policies.network_sets.is_empty();
        match (hosts, sets) {
            (true, true) => "pod, host endpoint or network set",
            (true, false) => "pod or host endpoint",
            (false, true) => "pod or network set",
            (false, false) => "pod",
        }
    }
}

const EXCLUDES_ALL: &str = "its selector excludes all there is";

/// What of a selector nobody has, and what there is instead.
fn shortfall(
    selector: &Selector,
    nobody: &str,
    has: &dyn Fn(&Selector) -> bool,
    values: &dyn Fn(&str) -> BTreeSet<String>,
) -> (String, Option<String>) {
    if is_nothing(selector) {
        return (EXCLUDES_ALL.to_owned(), None);
    }
    let lacking = match selector {
        Selector::All(parts) => {
            let Some(part) = parts.iter().find(|part| !has(part)) else {
                let instead = "each of them is there, but not all on one";
                return (format!("{nobody} has all of {selector}"), Some(instead.to_owned()));
            };
            part
        }
        one => one,
    };
    (format!("{nobody} has {lacking}"), there(lacking, values))
}

/// Which values the label has that a selector asks for.
fn there(selector: &Selector, values: &dyn Fn(&str) -> BTreeSet<String>) -> Option<String> {
    const SHOWN: usize = 5;
    let key = selector.wanted()?;
    let values = values(key);
    if values.is_empty() {
        return Some(format!("none has a label {key}"));
    }
    let shown: Vec<_> = values.iter().take(SHOWN).map(|value| format!("{key}={value}")).collect();
    let more = if values.len() > SHOWN { " and others" } else { "" };
    Some(format!("there is {}{more}", shown.join(", ")))
}

/// The selector without the parts that always or never hold, which have no words of their own.
fn simple(selector: &Selector) -> Selector {
    match selector {
        Selector::All(parts) => {
            let mut kept = Vec::new();
            for part in parts.iter().map(simple) {
                match part {
                    Selector::All(parts) => kept.extend(parts),
                    nothing if is_nothing(&nothing) => return nothing,
                    part => kept.push(part),
                }
            }
            one_of(kept, Selector::All)
        }
        Selector::Any(parts) => {
            let mut kept = Vec::new();
            for part in parts.iter().map(simple) {
                match part {
                    Selector::Any(parts) => kept.extend(parts),
                    all if all.is_everything() => return all,
                    part => kept.push(part),
                }
            }
            one_of(kept, Selector::Any)
        }
        Selector::Not(part) => match simple(part) {
            all if all.is_everything() => Selector::Any(Vec::new()),
            nothing if is_nothing(&nothing) => Selector::everything(),
            part => Selector::Not(Box::new(part)),
        },
        Selector::In(_, values) if values.is_empty() => Selector::Any(Vec::new()),
        other => other.clone(),
    }
}

/// A single part needs no list around it.
fn one_of(mut parts: Vec<Selector>, list: fn(Vec<Selector>) -> Selector) -> Selector {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (popped, _) => {
            parts.extend(popped);
            list(parts)
        }
    }
}

fn is_nothing(selector: &Selector) -> bool {
    matches!(selector, Selector::Any(parts) if parts.is_empty())
}

fn called(pod: &Pod) -> String {
    format!("pod {}/{}", pod.namespace, pod.name)
}

fn on_its_node(pod: &Pod) -> String {
    format!(
        "{} uses its node's network (hostNetwork): it is seen with the node's address, and no policy of pods knows it",
        called(pod)
    )
}
