//! The policy API (policy.networking.k8s.io) in the common form.
//!
//! `AdminNetworkPolicy` and the tier `Admin` of `ClusterNetworkPolicy` are asked before
//! everything else, `BaselineAdminNetworkPolicy` and the tier `Baseline` after everything else;
//! none of them denies by merely selecting a pod.

use super::form::{
    Action, Condition, Endpoints, Peer, Policy, Port, PortNumber, Requirement, Rule, Rules, Side,
    Stage, Term, Test, View,
};
use super::kubernetes::{labels, transport};
use crate::manifest::policy_api::{
    AdminPeer, AdminPolicy, AdminPort, AdminProtocol, AdminRule, AdminTransport,
};
use crate::manifest::{Object, cidr};
use crate::net::{Direction, Selector};
use crate::text::{Problem, Severity};

/// The tier that a policy belongs to, and the policy.
pub(super) fn translate(
    object: &Object,
    policy: &AdminPolicy,
    problems: &mut Vec<Problem>,
) -> (String, Policy) {
    let spec = &policy.spec;
    let baseline = object.reference.kind == "BaselineAdminNetworkPolicy"
        || spec.tier.as_deref() == Some("Baseline");
    let tier = if baseline { "kube-baseline" } else { "kube-admin" };
    let mut rules = |direction: Direction, rules: &[AdminRule]| {
        let at = format!("spec.{direction}");
        let rules: Vec<_> = rules
            .iter()
            .enumerate()
            .map(|(i, r)| rule(object, direction, &format!("{at}[{i}]"), r, problems))
            .collect();
        // Without rules it does not speak of the direction.
        (!rules.is_empty()).then(|| Rules { cite: object.cite(&at), rules })
    };
    let ingress = rules(Direction::Ingress, &spec.ingress);
    let egress = rules(Direction::Egress, &spec.egress);
    let policy = Policy {
        object: object.reference.clone(),
        cite: object.cite(""),
        order: spec.priority.map(f64::from),
        staged: None,
        stage: Stage::Normal,
        apply_on_forward: false,
        subject: endpoints(object, "spec.subject", &spec.subject).unwrap_or_else(|| nobody(object)),
        ingress,
        egress,
    };
    (tier.to_owned(), policy)
}

/// What a subject without a selector selects.
fn nobody(object: &Object) -> Endpoints {
    let nothing = Requirement::Labels(Selector::Any(Vec::new()));
    let terms = vec![Term { cite: object.cite("spec.subject"), requires: nothing }];
    Endpoints { view: View::Kubernetes, terms }
}

fn rule(
    object: &Object,
    direction: Direction,
    at: &str,
    rule: &AdminRule,
    problems: &mut Vec<Problem>,
) -> Rule {
    let (list, peers) = match direction {
        Direction::Ingress => ("from", &rule.from),
        Direction::Egress => ("to", &rule.to),
    };
    // What a field means that the direction or the action does not have, nobody knows.
    let allows = matches!(rule.action.as_str(), "Allow" | "Accept");
    let peers: Vec<AdminPeer> = peers
        .iter()
        .map(|peer| match direction {
            Direction::Ingress => {
                AdminPeer { networks: None, nodes: None, domain_names: None, ..peer.clone() }
            }
            Direction::Egress if allows => peer.clone(),
            Direction::Egress => AdminPeer { domain_names: None, ..peer.clone() },
        })
        .collect();
    if let Some(i) = peers.iter().position(|peer| *peer == AdminPeer::default()) {
        return closed(object, direction, at, &format!("{at}.{list}[{i}]"), rule);
    }
    let peers = peers
        .iter()
        .enumerate()
        .map(|(i, p)| peer(object, &format!("{at}.{list}[{i}]"), p, problems))
        .collect();
    let ports = rule
        .ports
        .iter()
        .enumerate()
        .filter_map(|(i, p)| port(object, &format!("{at}.ports[{i}]"), p))
        .chain(
            rule.protocols
                .iter()
                .enumerate()
                .filter_map(|(i, p)| protocol(object, &format!("{at}.protocols[{i}]"), p)),
        )
        .collect();
    let (source, destination) = match direction {
        Direction::Ingress => {
            (Side { peers, ..Side::default() }, Side { ports, ..Side::default() })
        }
        Direction::Egress => (Side::default(), Side { peers, ports, ..Side::default() }),
    };
    Rule {
        cite: object.cite(at),
        action: match rule.action.as_str() {
            "Allow" | "Accept" => Action::Allow,
            "Pass" => Action::Pass,
            _ => Action::Deny,
        },
        ip_version: None,
        protocol: None,
        not_protocol: None,
        source,
        destination,
    }
}

/// A rule with a peer that says nothing that is known here, as a later version's may: the API has
/// it fail closed. What it allows matches nothing; what it denies, or passes on, it denies to all.
fn closed(object: &Object, direction: Direction, at: &str, peer: &str, rule: &AdminRule) -> Rule {
    let allows = matches!(rule.action.as_str(), "Allow" | "Accept");
    let cite = object.cite(peer);
    let test = if allows { Test::Never } else { Test::Always };
    let condition = Condition { cite: cite.clone(), test };
    let peers = vec![Peer { cite, conditions: vec![condition] }];
    let (source, destination) = match direction {
        Direction::Ingress => (Side { peers, ..Side::default() }, Side::default()),
        Direction::Egress => (Side::default(), Side { peers, ..Side::default() }),
    };
    Rule {
        cite: object.cite(if allows { at } else { peer }),
        action: if allows { Action::Allow } else { Action::Deny },
        ip_version: None,
        protocol: None,
        not_protocol: None,
        source,
        destination,
    }
}

fn peer(object: &Object, at: &str, peer: &AdminPeer, problems: &mut Vec<Problem>) -> Peer {
    let test = if let Some(endpoints) = endpoints(object, at, peer) {
        Test::Endpoints(endpoints)
    } else if let Some(networks) = &peer.networks {
        Test::Nets(networks.iter().filter_map(|text| cidr(text)).collect())
    } else if let Some(selector) = &peer.nodes {
        Test::Nodes(Selector::from(selector))
    } else if let Some(domains) = &peer.domain_names {
        let names = domains.join(", ");
        let field = object.cite(&format!("{at}.domainNames"));
        problems.push(Problem {
            span: field.span.unwrap_or(object.span),
            severity: Severity::Note,
            message: format!(
                "which addresses {names} have is not in the text, so this peer matches nothing \
                 here"
            ),
            object: Some(object.reference.clone()),
            fix: None,
        });
        Test::DomainNames(domains.clone())
    } else {
        Test::Never
    };
    let cite = object.cite(at);
    Peer { cite: cite.clone(), conditions: vec![Condition { cite, test }] }
}

fn endpoints(object: &Object, at: &str, peer: &AdminPeer) -> Option<Endpoints> {
    let namespaces = |field: &str, selector| Term {
        cite: object.cite(&format!("{at}.{field}")),
        requires: Requirement::Namespaces(Selector::from(selector)),
    };
    let terms = match (&peer.namespaces, &peer.pods) {
        (Some(selector), _) => vec![namespaces("namespaces", selector)],
        (None, Some(pods)) => vec![
            namespaces("pods.namespaceSelector", &pods.namespace_selector),
            labels(object.cite(&format!("{at}.pods.podSelector")), &pods.pod_selector),
        ],
        (None, None) => return None,
    };
    Some(Endpoints { view: View::Kubernetes, terms })
}

fn port(object: &Object, at: &str, port: &AdminPort) -> Option<Port> {
    let (protocol, number) = if let Some(number) = &port.port_number {
        (Some(number.protocol.as_deref()), range(number.port, number.port))
    } else if let Some(limits) = &port.port_range {
        (Some(limits.protocol.as_deref()), range(limits.start, limits.end))
    } else {
        (None, PortNumber::Named(port.named_port.clone()?))
    };
    Some(Port { cite: object.cite(at), protocol: protocol.map(transport), number })
}

fn protocol(object: &Object, at: &str, protocol: &AdminProtocol) -> Option<Port> {
    let of = |name: &str, transport_match: &AdminTransport| {
        let number = match &transport_match.destination_port {
            Some(port) => match (port.number, &port.range) {
                (Some(number), _) => range(number, number),
                (None, Some(limits)) => range(limits.start, limits.end),
                (None, None) => PortNumber::Any,
            },
            None => PortNumber::Any,
        };
        (Some(transport(Some(name))), number)
    };
    let (number, port) = if let Some(tcp) = &protocol.tcp {
        of("TCP", tcp)
    } else if let Some(udp) = &protocol.udp {
        of("UDP", udp)
    } else if let Some(sctp) = &protocol.sctp {
        of("SCTP", sctp)
    } else {
        (None, PortNumber::Named(protocol.destination_named_port.clone()?))
    };
    Some(Port { cite: object.cite(at), protocol: number, number: port })
}

fn range(first: i32, last: i32) -> PortNumber {
    let bounded = |n: i32| u16::try_from(n).unwrap_or(0);
    PortNumber::Range(bounded(first), bounded(last))
}
