//! Words for what was found where policies were asked.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::cluster::Cluster;
use crate::decision::{
    EndpointRef, Finding, Held, Miss, PortOf, Seen, Traffic, TrafficMiss, Unmet,
};
use crate::net::{InFamily, Selector, SelectorMiss};
use crate::policy::form::{Action, Port, PortNumber, Requirement, Term, View};
use crate::text::ObjectRef;
use crate::words::phrase::{Part, Phrase, joined, name, object, phrase};

/// What was found of a rule or a policy.
pub(super) fn found(cluster: &Cluster, finding: &Finding) -> Phrase {
    let all = |end: &Seen, role: Role, misses: &[Miss]| {
        told(misses.iter().map(|miss| unmet(cluster, end, role, miss)))
    };
    match finding {
        Finding::Peer { rule, end, holds } => {
            let held = if holds.is_empty() {
                phrase![by_address(end).called(), " is none of those that it excludes"]
            } else {
                joined(holds.iter().map(|held| holding(end, held)), " and ")
            };
            phrase![held, onwards(rule.action)]
        }
        Finding::AnyPeer { rule } => {
            phrase!["the rule names no peer, so any matches", onwards(rule.action)]
        }
        Finding::Port { port, traffic, .. } => match &port.number {
            PortNumber::Range(first, last) if first == last => {
                phrase!["the port is ", port_name(port)]
            }
            PortNumber::Any => phrase!["the protocol is ", traffic.protocol.to_string()],
            PortNumber::Named(name) => {
                phrase![traffic_name(*traffic), " is its port ", name.as_str()]
            }
            PortNumber::Range(..) => {
                phrase![traffic_name(*traffic), " is within ", port_name(port)]
            }
        },
        Finding::NoPeer { rule, end, misses, traffic } => {
            let mut says = phrase![which(rule.action), all(end, Role::Peer, misses)];
            if let Some(miss) = traffic {
                says.add(phrase!["; besides, ", unmatched(miss)]);
            }
            says
        }
        Finding::NoPort { rule, peers, miss } => {
            let who = if *peers { "the peer would match" } else { "any peer would match" };
            phrase![which(rule.action), who, ", but ", unmatched(miss)]
        }
        Finding::NoRule { policy, direction } => {
            phrase![object(policy), format!(" has no {direction} rule, so it allows nothing")]
        }
        Finding::OtherDirection { policy, subject, direction } => {
            let but = format!(", but does not speak of {direction}");
            phrase![object(policy), " selects ", seen(subject), but]
        }
        Finding::NotSelected { policy, subject, misses } => {
            let why = all(subject, Role::Subject, misses);
            phrase![object(policy), " does not select it: ", why]
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
    Name(Part),
    Other(Phrase),
}

impl Subject {
    fn called(self) -> Phrase {
        match self {
            Self::Name(name) => name.into(),
            Self::Other(subject) => subject,
        }
    }

    fn says(self, what: impl Into<Phrase>) -> Statement {
        match self {
            Self::Name(name) => Statement { of: Some(name), says: what.into() },
            Self::Other(subject) => Statement::whole(phrase![subject, " ", what]),
        }
    }
}

/// A part of a sentence, of an endpoint with that name.
struct Statement {
    of: Option<Part>,
    says: Phrase,
}

impl Statement {
    /// One that names what it is about itself.
    fn whole(says: impl Into<Phrase>) -> Self {
        Self { of: None, says: says.into() }
    }
}

/// Several things about an end: it is named but once.
fn told(statements: impl IntoIterator<Item = Statement>) -> Phrase {
    let mut all = Phrase::default();
    let mut last: Option<Part> = None;
    for Statement { of, says } in statements {
        let known = of.is_some() && of == last;
        if !all.is_empty() {
            all.add(if known { " and " } else { ", and " });
        }
        if let Some(name) = of.as_ref().filter(|_| !known) {
            all.add(phrase![name.clone(), " "]);
        }
        all.add(says);
        last = of;
    }
    all
}

/// A condition that holds of an end.
fn holding(end: &Seen, held: &Held) -> Phrase {
    match held {
        Held::Endpoint { who, terms } => {
            phrase![called(who, end).called(), " ", selected_by(who, terms)]
        }
        Held::Net(net) => phrase![by_address(end).called(), " is in ", *net],
        Held::Node { node, selector } => {
            let mut says = phrase![seen(end), " is ", name(node), "'s"];
            if !selector.is_everything() {
                says.add(format!(", which has {selector}"));
            }
            says
        }
        Held::Service { namespace, name } => {
            phrase![seen(end), " is an endpoint of ", service_name(namespace, name)]
        }
        Held::Unknown => UNKNOWN_CLOSED.into(),
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
fn unmet(cluster: &Cluster, end: &Seen, role: Role, miss: &Miss) -> Statement {
    let net = |net: &IpNet| Part::Net(*net, Some(miss.cite.clone()));
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
            let mut says: Phrase = format!("belongs to {what}, so {by} can never match it").into();
            if let Some(who) = end.address.and_then(|ip| identity(cluster, ip)) {
                says.add(phrase![" (it is ", who, ")"]);
            }
            subject(end).says(says)
        }
        Unmet::Excluded { who, terms } => {
            called(who, end).says(format!("{}, which is excluded", selected_by(who, terms)))
        }
        Unmet::Nets(nets) => {
            by_address(end).says(phrase!["is not in ", joined(nets.iter().map(net), ", ")])
        }
        Unmet::Blocks(nets) => {
            by_address(end).says(phrase!["is in none of ", joined(nets.iter().map(net), ", ")])
        }
        Unmet::Except(but) => {
            by_address(end).says(phrase!["is in ", net(but), ", which is excepted"])
        }
        Unmet::Node { node: Some(node), labels } => {
            let miss = labels.as_ref().map_or_else(String::new, selector_miss);
            subject(end).says(phrase!["is ", name(node), "'s, which ", miss])
        }
        Unmet::Node { node: None, .. } => subject(end).says("is no node's address"),
        Unmet::Service { namespace, name, with_port } => {
            let what = if *with_port { "with this port, is" } else { "is" };
            let service = service_name(namespace, name);
            subject(end).says(phrase![what, " no endpoint of ", service])
        }
        Unmet::Unknown => Statement::whole(UNKNOWN),
        Unmet::DomainNames(names) => {
            let names = names.join(", ");
            Statement::whole(format!("which addresses {names} have is not in the text"))
        }
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
) -> Statement {
    let miss = || labels.map_or_else(String::new, selector_miss);
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
            subject.says(format!("is in {place}, not in {wanted} ({why})"))
        }
        (Requirement::Namespaces(selector), None, _) => {
            let asked = if selector.is_everything() { "one" } else { "its namespace" };
            subject.says(format!("is in no namespace, and the namespaceSelector asks for {asked}"))
        }
        (Requirement::Namespaces(_), Some(name), _) => {
            Statement::whole(format!("namespace {name} {}", miss()))
        }
        (Requirement::Labels(_), _, _) => subject.says(miss()),
        (Requirement::ServiceAccountNames(_) | Requirement::ServiceAccounts(_), _, None) => {
            subject.says("has no service account")
        }
        (Requirement::ServiceAccountNames(names), _, Some(account)) => {
            subject.says(format!("has service account {account}, not {}", names.join(" or ")))
        }
        (Requirement::ServiceAccounts(_), _, Some(account)) => Statement::whole(phrase![
            format!("service account {account} of "),
            subject.called(),
            " ",
            miss()
        ]),
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
fn unmatched(miss: &TrafficMiss) -> Phrase {
    match miss {
        TrafficMiss::IpVersion(wanted) => format!("the packet is not IPv{wanted}").into(),
        TrafficMiss::Protocol { found, wanted } => {
            format!("the protocol is {found}, not {wanted}").into()
        }
        TrafficMiss::NotProtocol(found) => format!("the protocol must not be {found}").into(),
        TrafficMiss::NotPort { side, found, .. } => {
            format!("the {} must not be {}", port_of(*side), number_name(found.port)).into()
        }
        TrafficMiss::Port { side, found, wanted, end, named } => {
            let (what, number) = (port_of(*side), number_name(found.port));
            let protocol = found.protocol;
            let [port] = wanted.as_slice() else {
                let wanted: Vec<_> = wanted.iter().map(port_name).collect();
                let wanted = wanted.join(", ");
                return format!("the {what} is {protocol} {number}, which is none of {wanted}")
                    .into();
            };
            if port.protocol.is_some_and(|wanted| wanted != found.protocol) {
                let wanted = port_name(port);
                return format!("the {what} is {protocol} {number}, not {wanted}").into();
            }
            match (&port.number, named) {
                (PortNumber::Named(name), Some(port)) => phrase![
                    format!("the {what} is {number}, and {name} of "),
                    seen(end),
                    " is ",
                    *port
                ],
                (PortNumber::Named(name), None) => {
                    phrase![seen(end), format!(" has no {protocol} port named {name}")]
                }
                (PortNumber::Range(first, last), _) if first == last => {
                    format!("the {what} is {number}, not {first}").into()
                }
                (PortNumber::Range(first, last), _) => {
                    format!("the {what} is {number}, not within {first}-{last}").into()
                }
                (PortNumber::Any, _) => format!("the {what} is {number}").into(),
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
    let protocol = port.protocol.map_or_else(|| "port".to_owned(), |known| known.to_string());
    match &port.number {
        PortNumber::Any => format!("{protocol} any port"),
        PortNumber::Range(first, last) if first == last => format!("{protocol} {first}"),
        PortNumber::Range(first, last) => format!("{protocol} {first}-{last}"),
        PortNumber::Named(name) => format!("{protocol} {name}"),
    }
}

/// What is asked for: `TCP 9097`.
pub(super) fn traffic_name(traffic: Traffic) -> String {
    let Traffic { protocol, port } = traffic;
    port.map_or_else(|| protocol.to_string(), |port| format!("{protocol} {port}"))
}

/// Why a peer that is of a kind that is not known here matches nothing.
pub(crate) const UNKNOWN: &str = "it has a peer of a kind that is not known here";
/// Why one matches everything.
pub(crate) const UNKNOWN_CLOSED: &str = "it has a peer of a kind that is not known here, and so fails closed: it is as if it denied all";

/// An endpoint by its name, anything else by its address.
pub(super) fn seen(end: &Seen) -> Phrase {
    subject(end).called()
}

fn subject(end: &Seen) -> Subject {
    match (&end.endpoint, end.address) {
        (Some(endpoint), _) => endpoint_name(endpoint),
        (None, Some(ip)) => Subject::Other(ip.into()),
        (None, None) => Subject::Other("an unknown address".into()),
    }
}

/// The address, with the endpoint that has it.
fn by_address(end: &Seen) -> Subject {
    match (&end.endpoint, end.address) {
        (Some(_), Some(ip)) => Subject::Other(phrase![ip, " (", seen(end), ")"]),
        _ => subject(end),
    }
}

/// The endpoint with its address.
pub(super) fn with_address(end: &Seen) -> Phrase {
    match (&end.endpoint, end.address) {
        (Some(_), Some(ip)) => phrase![seen(end), " (", ip, ")"],
        _ => seen(end),
    }
}

/// Something that is selected at an end.
fn called(who: &EndpointRef, end: &Seen) -> Subject {
    match (who, end.address) {
        (EndpointRef::Set(set), Some(ip)) => Subject::Other(phrase![ip, " (", object(set), ")"]),
        (who, _) => endpoint_name(who),
    }
}

fn endpoint_name(endpoint: &EndpointRef) -> Subject {
    match endpoint {
        EndpointRef::Pod { object, .. } => Subject::Name(Part::Pod(object.clone())),
        EndpointRef::Host(host) => Subject::Name(name(&format!("hostEndpoint/{}", host.name))),
        EndpointRef::Set(set) => Subject::Other(object(set).into()),
    }
}

/// A service as flows spell it.
pub(super) fn service_name(namespace: &str, service: &str) -> Part {
    name(&format!("service/{namespace}/{service}"))
}

/// Who has an address that no selector can match.
fn identity(cluster: &Cluster, ip: IpAddr) -> Option<Phrase> {
    if let Some(id) = cluster.node_by_address.get(&ip) {
        let node = cluster.nodes.get(id.0)?;
        let whose = match node.tunnel_of(ip) {
            None => {
                "'s own address; pods with hostNetwork share it and are not selected".to_owned()
            }
            Some(tunnel) => format!("'s {} address", tunnel.device(ip.family())),
        };
        return Some(phrase![name(&node.name), whose]);
    }
    if let Some(pod) = cluster.pods.iter().find(|p| p.finished && p.addresses.contains(&ip)) {
        let pod = Part::Pod(ObjectRef::new("Pod", &pod.namespace, &pod.name));
        return Some(phrase![pod, "'s, which has finished"]);
    }
    if let Some(client) = cluster.clients.iter().find(|c| c.ip == ip) {
        let client = name(&format!("client/{}", client.name));
        return Some(phrase![client, ", outside the cluster"]);
    }
    if let Some(balancer) = cluster.balancers.iter().find(|b| b.ip == ip) {
        return Some(phrase!["the balancer ", name(&balancer.name)]);
    }
    let service = cluster.services.iter().find(|s| s.cluster_ips.contains(&ip))?;
    Some(phrase!["the ClusterIP of ", service_name(&service.namespace, &service.name)])
}
