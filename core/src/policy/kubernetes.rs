//! `NetworkPolicy` (networking.k8s.io/v1) in the common form.
//!
//! Calico keeps these policies in its tier `default`, where they can only allow: whoever they
//! select is denied everything else at the tier's end. Defaults are those of kube-apiserver
//! (`pkg/apis/networking/v1/defaults.go`).

use super::form::{
    Action, Condition, Endpoints, Peer, Policy, Port, PortNumber, Requirement, Rule, Rules, Side,
    Stage, Term, Test, View,
};
use crate::manifest::kubernetes::{
    IntOrString, LabelSelector, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort,
};
use crate::manifest::{Object, cidr};
use crate::net::{Direction, IpProtocol, Protocol, Selector};
use crate::text::Cite;

/// `NetworkPolicy`.
pub(super) fn translate(object: &Object, policy: &NetworkPolicy) -> Policy {
    let spec = &policy.spec;
    let namespace = &object.reference.namespace;
    let typed = |name: &str| spec.policy_types.iter().any(|t| t == name);
    let defaulted = spec.policy_types.is_empty();
    let list = |path: &str| {
        object.cite(if object.has(path) || !object.has("spec.policyTypes") {
            path
        } else {
            "spec.policyTypes"
        })
    };
    let place = Place { object, namespace };
    let ingress = (defaulted || typed("Ingress")).then(|| Rules {
        cite: list("spec.ingress"),
        rules: spec
            .ingress
            .iter()
            .enumerate()
            .map(|(i, r)| {
                let at = format!("spec.ingress[{i}]");
                place.rule(Direction::Ingress, &at, "from", &r.from, &r.ports)
            })
            .collect(),
    });
    let egress = (typed("Egress") || (defaulted && !spec.egress.is_empty())).then(|| Rules {
        cite: list("spec.egress"),
        rules: spec
            .egress
            .iter()
            .enumerate()
            .map(|(i, r)| {
                let at = format!("spec.egress[{i}]");
                place.rule(Direction::Egress, &at, "to", &r.to, &r.ports)
            })
            .collect(),
    });
    Policy {
        object: object.reference.clone(),
        cite: object.cite(""),
        // Where Calico puts it among its own policies.
        order: Some(1000.0),
        staged: None,
        stage: Stage::Normal,
        apply_on_forward: false,
        subject: Endpoints {
            view: View::Kubernetes,
            terms: vec![
                Term {
                    cite: object.cite("metadata.namespace"),
                    requires: Requirement::Namespace(namespace.clone()),
                },
                labels(object.cite("spec.podSelector"), &spec.pod_selector),
            ],
        },
        ingress,
        egress,
    }
}

/// Whose rules are translated.
struct Place<'a> {
    object: &'a Object,
    namespace: &'a str,
}

impl Place<'_> {
    fn rule(
        &self,
        direction: Direction,
        at: &str,
        list: &str,
        peers: &[NetworkPolicyPeer],
        ports: &[NetworkPolicyPort],
    ) -> Rule {
        let peers = peers.iter().enumerate();
        let peers = peers.map(|(i, p)| self.peer(&format!("{at}.{list}[{i}]"), p)).collect();
        let ports = ports.iter().enumerate();
        let ports: Vec<_> =
            ports.map(|(i, p)| port(self.object.cite(&format!("{at}.ports[{i}]")), p)).collect();
        // Ports are always the destination's.
        let (source, destination) = match direction {
            Direction::Ingress => {
                (Side { peers, ..Side::default() }, Side { ports, ..Side::default() })
            }
            Direction::Egress => (Side::default(), Side { peers, ports, ..Side::default() }),
        };
        Rule {
            cite: self.object.cite(at),
            action: Action::Allow,
            ip_version: None,
            protocol: None,
            not_protocol: None,
            source,
            destination,
        }
    }

    fn peer(&self, at: &str, peer: &NetworkPolicyPeer) -> Peer {
        let mut conditions = Vec::new();
        if let Some(block) = &peer.ip_block {
            conditions.push(Condition {
                cite: self.object.cite(&format!("{at}.ipBlock.cidr")),
                test: Test::Nets(cidr(&block.cidr).into_iter().collect()),
            });
            for (i, except) in block.except.iter().enumerate() {
                conditions.push(Condition {
                    cite: self.object.cite(&format!("{at}.ipBlock.except[{i}]")),
                    test: Test::NotNets(cidr(except).into_iter().collect()),
                });
            }
        } else {
            let cite = |field: &str| self.object.cite(&format!("{at}.{field}"));
            let mut terms = vec![match &peer.namespace_selector {
                Some(selector) => Term {
                    cite: cite("namespaceSelector"),
                    requires: Requirement::Namespaces(Selector::from(selector)),
                },
                None => Term {
                    cite: cite("podSelector"),
                    requires: Requirement::Namespace(self.namespace.to_owned()),
                },
            }];
            terms.extend(peer.pod_selector.as_ref().map(|s| labels(cite("podSelector"), s)));
            conditions.push(Condition {
                cite: self.object.cite(at),
                test: Test::Endpoints(Endpoints { view: View::Kubernetes, terms }),
            });
        }
        Peer { cite: self.object.cite(at), conditions }
    }
}

pub(super) fn labels(cite: Cite, selector: &LabelSelector) -> Term {
    Term { cite, requires: Requirement::Labels(Selector::from(selector)) }
}

fn port(cite: Cite, port: &NetworkPolicyPort) -> Port {
    let number = match (&port.port, port.end_port) {
        (None, _) => PortNumber::Any,
        (Some(IntOrString::String(name)), _) => PortNumber::Named(name.clone()),
        (Some(IntOrString::Int(first)), last) => {
            let bounded = |n: i32| u16::try_from(n).unwrap_or(0);
            PortNumber::Range(bounded(*first), bounded(last.unwrap_or(*first)))
        }
    };
    Port { cite, protocol: Some(transport(port.protocol.as_deref())), number }
}

/// A protocol that is TCP if left out.
pub(super) fn transport(name: Option<&str>) -> IpProtocol {
    // What else there is validation refuses.
    name.map_or(Some(Protocol::Tcp), Protocol::of_name)
        .map_or(IpProtocol::RESERVED, Protocol::number)
}

impl From<&LabelSelector> for Selector {
    fn from(selector: &LabelSelector) -> Self {
        let labels = selector.match_labels.iter();
        let mut parts: Vec<_> =
            labels.map(|(key, value)| Self::Is(key.clone(), value.clone())).collect();
        parts.extend(selector.match_expressions.iter().map(|requirement| {
            let key = requirement.key.clone();
            let values = || {
                let mut values = requirement.values.clone();
                values.sort();
                values
            };
            match requirement.operator.as_str() {
                "In" => Self::In(key, values()),
                "NotIn" => Self::NotIn(key, values()),
                "Exists" => Self::Has(key),
                "DoesNotExist" => Self::Not(Box::new(Self::Has(key))),
                // Refused by validation; selects nothing.
                _ => Self::Any(Vec::new()),
            }
        }));
        Self::All(parts)
    }
}
