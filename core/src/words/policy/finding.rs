//! Words for what was found where policies were asked.

use std::net::IpAddr;

use crate::cluster::Cluster;
use crate::decision::{
    EndpointRef, Finding, Held, Miss, PortOf, Seen, Traffic, TrafficMiss, Unmet,
};
use crate::net::{InFamily, Selector, SelectorMiss};
use crate::policy::form::{Action, Port, PortNumber, Requirement, Term, View};

/// What was found of a rule or a policy.
pub(super) fn found(cluster: &Cluster, finding: &Finding) -> String {
    match finding {
        Finding::Peer { rule, end, holds } => {
            let held: Vec<_> = holds.iter().map(|held| holding(end, held)).collect();
            let held = match held.as_slice() {
                [] => format!("{} is none of those that it excludes", by_address(end).text()),
                held => held.join(" and "),
            };
            format!("{held}{}", onwards(rule.action))
        }
        Finding::AnyPeer { rule } => {
            format!("the rule names no peer, so any matches{}", onwards(rule.action))
        }
        Finding::Port { port, traffic, .. } => match &port.number {
            PortNumber::Range(first, last) if first == last => {
                format!("the port is {}", port_name(port))
            }
            PortNumber::Any => format!("the protocol is {}", traffic.protocol),
            PortNumber::Named(name) => format!("{} is its port {name}", traffic_name(*traffic)),
            PortNumber::Range(..) => {
                format!("{} is within {}", traffic_name(*traffic), port_name(port))
            }
        },
        Finding::NoPeer { rule, end, misses, traffic } => {
            let why = joined(misses.iter().map(|miss| unmet(cluster, end, Role::Peer, miss)));
            let besides = traffic
                .as_ref()
                .map_or_else(String::new, |miss| format!("; besides, {}", unmatched(miss)));
            format!("{}{why}{besides}", which(rule.action))
        }
        Finding::NoPort { rule, peers, miss } => {
            let who = if *peers { "the peer would match" } else { "any peer would match" };
            format!("{}{who}, but {}", which(rule.action), unmatched(miss))
        }
        Finding::NoRule { policy, direction } => {
            format!("{policy} has no {direction} rule, so it allows nothing")
        }
        Finding::OtherDirection { policy, subject, direction } => {
            format!("{policy} selects {}, but does not speak of {direction}", seen(subject))
        }
        Finding::NotSelected { policy, subject, misses } => {
            let why =
                joined(misses.iter().map(|miss| unmet(cluster, subject, Role::Subject, miss)));
            format!("{policy} does not select it: {why}")
        }
    }
}

/// What follows a rule that matches, where that is no decision.
fn onwards(action: Action) -> &'static str {
    match action {
        Action::Allow | Action::Deny => "",
        Action::Pass => ": the rule passes it on to the next tier",
        Action::Log => ": the rule logs it, and the next one is asked",
    }
}

/// Which rule does not match, where it is not one that allows.
fn which(action: Action) -> &'static str {
    match action {
        Action::Allow => "",
        Action::Deny => "the Deny rule does not match: ",
        Action::Pass => "the Pass rule does not match: ",
        Action::Log => "the Log rule does not match: ",
    }
}

/// Of what is looked at: whose policies are asked, or whom a rule speaks of.
#[derive(Clone, Copy)]
enum Role {
    Subject,
    Peer,
}

/// What a part of a sentence is about.
enum Subject {
    /// An endpoint by its name, which need not be repeated.
    Name(String),
    Other(String),
}

impl Subject {
    fn text(self) -> String {
        match self {
            Self::Name(text) | Self::Other(text) => text,
        }
    }

    fn says(self, what: &str) -> Part {
        match self {
            Self::Name(name) => Part { name: Some(name), text: what.to_owned() },
            Self::Other(subject) => Part { name: None, text: format!("{subject} {what}") },
        }
    }
}

/// A part of a sentence, of an endpoint with that name.
struct Part {
    name: Option<String>,
    text: String,
}

/// Several things about an end: it is named but once.
fn joined(parts: impl IntoIterator<Item = Part>) -> String {
    let mut all = String::new();
    let mut last: Option<String> = None;
    for Part { name, text } in parts {
        let known = name.is_some() && name == last;
        if !all.is_empty() {
            all.push_str(if known { " and " } else { ", and " });
        }
        if let Some(name) = name.as_ref().filter(|_| !known) {
            all.push_str(name);
            all.push(' ');
        }
        all.push_str(&text);
        last = name;
    }
    all
}

/// A condition that holds of an end.
fn holding(end: &Seen, held: &Held) -> String {
    match held {
        Held::Endpoint { who, terms } => {
            format!("{} {}", called(who, end).text(), selected_by(who, terms))
        }
        Held::Net(net) => format!("{} is in {net}", by_address(end).text()),
        Held::Node { node, selector } if selector.is_everything() => {
            format!("{} is {node}'s", seen(end))
        }
        Held::Node { node, selector } => {
            format!("{} is {node}'s, which has {selector}", seen(end))
        }
        Held::Service { namespace, name } => {
            format!("{} is an endpoint of {}", seen(end), service_name(namespace, name))
        }
        Held::Unknown => UNKNOWN_CLOSED.to_owned(),
    }
}

/// Why an endpoint is one of those that are selected.
fn selected_by(who: &EndpointRef, terms: &[Term]) -> String {
    let namespace = who.namespace().unwrap_or_default();
    let account = who.service_account().unwrap_or_default();
    let reasons = terms.iter().filter_map(|term| match &term.requires {
        Requirement::Namespace(name) => Some(format!("is in the policy's namespace {name}")),
        Requirement::Namespaces(_) if namespace.is_empty() => Some("is in no namespace".to_owned()),
        Requirement::Namespaces(all) if all.is_everything() => {
            Some(format!("is in a namespace ({namespace})"))
        }
        Requirement::Namespaces(selector) => {
            Some(format!("is in namespace {namespace}, which has {selector}"))
        }
        Requirement::Labels(all) if all.is_everything() => None,
        Requirement::Labels(selector) => Some(format!("has {selector}")),
        Requirement::ServiceAccountNames(_) => Some(format!("has service account {account}")),
        Requirement::ServiceAccounts(selector) => {
            Some(format!("has service account {account} with {selector}"))
        }
    });
    match reasons.collect::<Vec<_>>().as_slice() {
        [] => "is known, and every label will do".to_owned(),
        reasons => reasons.join(" and "),
    }
}

/// What does not hold of an end.
fn unmet(cluster: &Cluster, end: &Seen, role: Role, miss: &Miss) -> Part {
    match &miss.unmet {
        Unmet::Term { who, view, requires, labels } => {
            term_unmet(called(who, end), role, *view, who, requires, labels.as_ref())
        }
        Unmet::NoEndpoint { view, requires } => {
            let what = match view {
                View::Kubernetes => "no pod",
                View::Calico => "no pod, host endpoint or network set",
            };
            let by_namespace = requires.iter().any(|it| matches!(it, Requirement::Namespaces(_)));
            let by = match view {
                View::Kubernetes if !by_namespace => "a podSelector",
                View::Kubernetes => "a namespaceSelector",
                View::Calico => "a selector",
            };
            let who = end.address.and_then(|ip| identity(cluster, ip));
            let who = who.map_or_else(String::new, |what| format!(" (it is {what})"));
            subject(end).says(&format!("belongs to {what}, so {by} can never match it{who}"))
        }
        Unmet::Excluded { who, terms } => {
            called(who, end).says(&format!("{}, which is excluded", selected_by(who, terms)))
        }
        Unmet::Nets(nets) => by_address(end).says(&format!("is not in {}", listed(nets))),
        Unmet::Blocks(nets) => by_address(end).says(&format!("is in none of {}", listed(nets))),
        Unmet::Except(net) => by_address(end).says(&format!("is in {net}, which is excepted")),
        Unmet::Node { node: Some(node), labels } => {
            let miss = labels.as_ref().map_or_else(String::new, selector_miss);
            subject(end).says(&format!("is {node}'s, which {miss}"))
        }
        Unmet::Node { node: None, .. } => subject(end).says("is no node's address"),
        Unmet::Service { namespace, name, with_port } => {
            let what = if *with_port { "with this port, is" } else { "is" };
            subject(end).says(&format!("{what} no endpoint of {}", service_name(namespace, name)))
        }
        Unmet::Unknown => Part { name: None, text: UNKNOWN.to_owned() },
        Unmet::DomainNames(names) => Part {
            name: None,
            text: format!("which addresses {} have is not in the text", names.join(", ")),
        },
    }
}

/// A term does not hold of the endpoint `who`, which is called `subject`.
fn term_unmet(
    subject: Subject,
    role: Role,
    view: View,
    who: &EndpointRef,
    requires: &Requirement,
    labels: Option<&SelectorMiss>,
) -> Part {
    let miss = || labels.map_or_else(String::new, selector_miss);
    let without = |text: String| Part { name: None, text };
    match (requires, who.namespace(), who.service_account()) {
        (Requirement::Namespace(wanted), namespace, _) => {
            let place = namespace
                .map_or_else(|| "no namespace".to_owned(), |name| format!("namespace {name}"));
            let why = match (role, view) {
                (Role::Subject, _) => "a policy selects only pods of its own namespace",
                (Role::Peer, View::Kubernetes) => {
                    "a podSelector alone looks only in the policy's own namespace"
                }
                (Role::Peer, View::Calico) => {
                    "without a namespaceSelector only the policy's own namespace counts"
                }
            };
            subject.says(&format!("is in {place}, not in {wanted} ({why})"))
        }
        (Requirement::Namespaces(selector), None, _) => {
            let asked = if selector.is_everything() { "one" } else { "its namespace" };
            subject.says(&format!("is in no namespace, and the namespaceSelector asks for {asked}"))
        }
        (Requirement::Namespaces(_), Some(name), _) => {
            without(format!("namespace {name} {}", miss()))
        }
        (Requirement::Labels(_), _, _) => subject.says(&miss()),
        (Requirement::ServiceAccountNames(_) | Requirement::ServiceAccounts(_), _, None) => {
            subject.says("has no service account")
        }
        (Requirement::ServiceAccountNames(names), _, Some(account)) => {
            subject.says(&format!("has service account {account}, not {}", names.join(" or ")))
        }
        (Requirement::ServiceAccounts(_), _, Some(account)) => {
            without(format!("service account {account} of {} {}", subject.text(), miss()))
        }
    }
}

/// Why a selector does not select something: what follows its name, as in `has label app=web, not
/// app=api`.
fn selector_miss(miss: &SelectorMiss) -> String {
    let (term, value) = match miss {
        SelectorMiss::All(parts) => {
            let parts: Vec<_> = parts.iter().map(selector_miss).filter(|m| !m.is_empty()).collect();
            return parts.join(" and ");
        }
        SelectorMiss::Any(parts) => {
            return parts.iter().map(selector_miss).collect::<Vec<_>>().join(", and ");
        }
        SelectorMiss::Term { term, value } => (term, value),
    };
    let found = |key: &str, otherwise: &str| match value {
        Some(value) => format!("has label {key}={value}, {otherwise}"),
        None => format!("has no label {key} ({term} is asked for)"),
    };
    match term {
        Selector::All(_) => "is not in a namespace".to_owned(),
        Selector::Any(_) => String::new(),
        Selector::Global => "is not global".to_owned(),
        Selector::Has(key) => format!("has no label {key}"),
        Selector::Is(key, wanted) => found(key, &format!("not {key}={wanted}")),
        Selector::IsNot(key, _) => found(key, &format!("which {term} excludes")),
        Selector::In(key, values) => {
            found(key, &format!("which is not in [{}]", values.join(", ")))
        }
        Selector::NotIn(key, values) => {
            found(key, &format!("which NotIn [{}] excludes", values.join(", ")))
        }
        Selector::Contains(key, part) => found(key, &format!("which does not contain {part}")),
        Selector::StartsWith(key, part) => found(key, &format!("which does not start with {part}")),
        Selector::EndsWith(key, part) => found(key, &format!("which does not end with {part}")),
        Selector::Not(part) => match part.as_ref() {
            Selector::Has(key) => found(key, "which must not exist"),
            Selector::Is(key, _)
            | Selector::Contains(key, _)
            | Selector::StartsWith(key, _)
            | Selector::EndsWith(key, _) => found(key, &format!("which {term} excludes")),
            _ => format!("is excluded by {term}"),
        },
    }
}

/// Why protocol or ports do not match.
fn unmatched(miss: &TrafficMiss) -> String {
    match miss {
        TrafficMiss::IpVersion(wanted) => format!("the packet is not IPv{wanted}"),
        TrafficMiss::Protocol { found, wanted } => {
            format!("the protocol is {found}, not {wanted}")
        }
        TrafficMiss::NotProtocol(found) => {
            format!("the protocol must not be {found}")
        }
        TrafficMiss::NotPort { side, found, .. } => {
            format!("the {} must not be {}", port_of(*side), number_name(found.port))
        }
        TrafficMiss::Port { side, found, wanted, end, named } => {
            let (what, number) = (port_of(*side), number_name(found.port));
            let protocol = found.protocol;
            let [port] = wanted.as_slice() else {
                let wanted: Vec<_> = wanted.iter().map(port_name).collect();
                let wanted = wanted.join(", ");
                return format!("the {what} is {protocol} {number}, which is none of {wanted}");
            };
            if port.protocol.is_some_and(|wanted| wanted != found.protocol) {
                return format!("the {what} is {protocol} {number}, not {}", port_name(port));
            }
            match (&port.number, named) {
                (PortNumber::Named(name), Some(port)) => {
                    format!("the {what} is {number}, and {name} of {} is {port}", seen(end))
                }
                (PortNumber::Named(name), None) => {
                    format!("{} has no {protocol} port named {name}", seen(end))
                }
                (PortNumber::Range(first, last), _) if first == last => {
                    format!("the {what} is {number}, not {first}")
                }
                (PortNumber::Range(first, last), _) => {
                    format!("the {what} is {number}, not within {first}-{last}")
                }
                (PortNumber::Any, _) => format!("the {what} is {number}"),
            }
        }
    }
}

fn port_of(side: PortOf) -> &'static str {
    match side {
        PortOf::Source => "source port",
        PortOf::Destination => "port",
    }
}

fn number_name(port: Option<u16>) -> String {
    port.map_or_else(|| "random".to_owned(), |number| number.to_string())
}

/// A rule's port: `TCP 80`.
fn port_name(port: &Port) -> String {
    let protocol = port.protocol.map_or_else(|| "port".to_owned(), |it| it.to_string());
    match &port.number {
        PortNumber::Any => format!("{protocol} any port"),
        PortNumber::Range(first, last) if first == last => format!("{protocol} {first}"),
        PortNumber::Range(first, last) => format!("{protocol} {first}-{last}"),
        PortNumber::Named(name) => format!("{protocol} {name}"),
    }
}

/// What is asked for: `TCP 9097`.
pub(super) fn traffic_name(traffic: Traffic) -> String {
    let name = traffic.protocol;
    traffic.port.map_or_else(|| name.to_string(), |port| format!("{name} {port}"))
}

/// Why a peer that is of a kind that is not known here matches nothing.
pub(crate) const UNKNOWN: &str = "it has a peer of a kind that is not known here";
/// Why one matches everything.
pub(crate) const UNKNOWN_CLOSED: &str = "it has a peer of a kind that is not known here, and so fails closed: it is as if it denied all";

/// An endpoint by its name, anything else by its address.
pub(super) fn seen(end: &Seen) -> String {
    subject(end).text()
}

fn subject(end: &Seen) -> Subject {
    match (&end.endpoint, end.address) {
        (Some(endpoint), _) => endpoint_name(endpoint),
        (None, Some(ip)) => Subject::Other(ip.to_string()),
        (None, None) => Subject::Other("an unknown address".to_owned()),
    }
}

/// The address, with the endpoint that has it.
fn by_address(end: &Seen) -> Subject {
    match (&end.endpoint, end.address) {
        (Some(_), Some(ip)) => Subject::Other(format!("{ip} ({})", seen(end))),
        _ => subject(end),
    }
}

/// The endpoint with its address.
pub(super) fn with_address(end: &Seen) -> String {
    match (&end.endpoint, end.address) {
        (Some(_), Some(ip)) => format!("{} ({ip})", seen(end)),
        _ => seen(end),
    }
}

/// Something that is selected at an end.
fn called(who: &EndpointRef, end: &Seen) -> Subject {
    match (who, end.address) {
        (EndpointRef::Set(set), Some(ip)) => Subject::Other(format!("{ip} ({set})")),
        (who, _) => endpoint_name(who),
    }
}

fn endpoint_name(endpoint: &EndpointRef) -> Subject {
    match endpoint {
        EndpointRef::Pod { object, .. } => {
            Subject::Name(format!("pod/{}/{}", object.namespace, object.name))
        }
        EndpointRef::Host(object) => Subject::Name(format!("hostEndpoint/{}", object.name)),
        EndpointRef::Set(object) => Subject::Other(object.to_string()),
    }
}

pub(super) fn service_name(namespace: &str, name: &str) -> String {
    format!("service/{namespace}/{name}")
}

pub(super) fn listed<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
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
    Some(format!("the ClusterIP of {}", service_name(&service.namespace, &service.name)))
}
