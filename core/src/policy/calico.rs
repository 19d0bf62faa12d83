//! Calico's kinds in the common form.
//!
//! Selectors are scoped as `libcalico-go/lib/backend/syncersv1/updateprocessors` does it: a
//! namespaced policy, and each of its rules that selects anything, speaks of its own namespace
//! unless a `namespaceSelector` says otherwise; `all()` there is any namespace, `global()` none.

use std::net::IpAddr;

use ipnet::IpNet;

use super::form::{
    Action, Condition, Endpoints, HostEndpoint, NetworkSet, Peer, Policy, Port, PortNumber,
    Profile, Requirement, Rule, Rules, Side, Stage, StagedAction, Term, Test, Tier, TierDefault,
    View,
};
use crate::manifest::calico_policy::{
    self, CalicoPolicy, CalicoRule, EndpointPort, EntityRule, Expression,
};
use crate::manifest::kubernetes::IntOrString;
use crate::manifest::{Object, cidr};
use crate::net::{ContainerPort, Direction, IpProtocol, Protocol, Selector};

/// The tier that a policy belongs to, and the policy.
pub(super) fn policy(object: &Object, policy: &CalicoPolicy) -> (String, Policy) {
    let spec = &policy.spec;
    let reader = Reader { object };
    let global = object.reference.kind.contains("Global");
    let mut terms = Vec::new();
    if !global {
        let cite = object.cite("metadata.namespace");
        terms.push(Term {
            cite,
            requires: Requirement::Namespace(object.reference.namespace.clone()),
        });
    }
    // Namespaced policies have neither this field nor the flags below.
    let namespaces = spec.namespace_selector.as_ref().filter(|_| global);
    terms.extend(reader.term("spec.namespaceSelector", namespaces, Requirement::Namespaces));
    terms.extend(reader.term(
        "spec.serviceAccountSelector",
        spec.service_account_selector.as_ref(),
        Requirement::ServiceAccounts,
    ));
    let selector = Expression::given(spec.selector.as_ref()).cloned();
    terms.push(Term {
        cite: object.cite("spec.selector"),
        requires: Requirement::Labels(selector.unwrap_or_else(Selector::everything)),
    });
    let typed = |name: &str| spec.types.iter().any(|t| t == name);
    let defaulted = spec.types.is_empty();
    // `libcalico-go/lib/clientv3`: no rules at all mean ingress.
    let only_egress = spec.ingress.is_empty() && !spec.egress.is_empty();
    let namespace = (!global).then_some(object.reference.namespace.as_str());
    let ingress = (typed("Ingress") || (defaulted && !only_egress))
        .then(|| reader.rules("spec.ingress", &spec.ingress, Direction::Ingress, namespace));
    let egress = (typed("Egress") || (defaulted && !spec.egress.is_empty()))
        .then(|| reader.rules("spec.egress", &spec.egress, Direction::Egress, namespace));
    let policy = Policy {
        object: object.reference.clone(),
        cite: object.cite(""),
        order: spec.order,
        staged: staged(object),
        stage: match (global, spec.do_not_track, spec.pre_dnat) {
            (true, true, _) => Stage::Untracked,
            (true, false, true) => Stage::PreDnat,
            _ => Stage::Normal,
        },
        apply_on_forward: global && spec.apply_on_forward,
        subject: Endpoints { view: View::Calico, terms },
        ingress,
        egress,
    };
    let tier = spec.tier.as_deref().filter(|t| !t.is_empty()).unwrap_or("default");
    (tier.to_owned(), policy)
}

/// What a staged policy is to do.
pub(super) fn staged(object: &Object) -> Option<StagedAction> {
    Some(match object.staged_action()? {
        "Delete" => StagedAction::Delete,
        "Learn" => StagedAction::Learn,
        "Ignore" => StagedAction::Ignore,
        _ => StagedAction::Set,
    })
}

/// `Tier`.
pub(super) fn tier(object: &Object, tier: &calico_policy::Tier) -> Tier {
    Tier {
        name: object.reference.name.clone(),
        order: tier.spec.order,
        default: match tier.spec.default_action.as_deref() {
            Some("Pass") => TierDefault::Pass,
            _ => TierDefault::Deny,
        },
        policies: Vec::new(),
    }
}

/// `NetworkSet`, `GlobalNetworkSet`.
pub(super) fn network_set(object: &Object, set: &calico_policy::NetworkSet) -> NetworkSet {
    NetworkSet {
        object: object.reference.clone(),
        labels: object.metadata.labels.clone(),
        nets: nets(&set.spec.nets),
    }
}

/// `HostEndpoint`.
pub(super) fn host_endpoint(object: &Object, host: &calico_policy::HostEndpoint) -> HostEndpoint {
    let spec = &host.spec;
    HostEndpoint {
        object: object.reference.clone(),
        labels: object.metadata.labels.clone(),
        node: spec.node.clone().unwrap_or_default(),
        interface: spec.interface_name.clone(),
        addresses: spec.expected_ips.iter().filter_map(|ip| ip.parse().ok()).collect(),
        profiles: spec.profiles.clone(),
        ports: spec.ports.iter().filter_map(endpoint_port).collect(),
    }
}

/// `Profile`.
pub(super) fn profile(object: &Object, profile: &calico_policy::Profile) -> Profile {
    let spec = &profile.spec;
    let reader = Reader { object };
    Profile {
        object: object.reference.clone(),
        ingress: reader.rules("spec.ingress", &spec.ingress, Direction::Ingress, None),
        egress: reader.rules("spec.egress", &spec.egress, Direction::Egress, None),
        labels: spec.labels_to_apply.clone(),
    }
}

/// Reads the fields of one object.
struct Reader<'a> {
    object: &'a Object,
}

impl Reader<'_> {
    fn rules(
        &self,
        at: &str,
        rules: &[CalicoRule],
        direction: Direction,
        namespace: Option<&str>,
    ) -> Rules {
        let cite = self.object.cite(if self.object.has(at) || !self.object.has("spec.types") {
            at
        } else {
            "spec.types"
        });
        let rules = rules
            .iter()
            .enumerate()
            .map(|(i, rule)| self.rule(&format!("{at}[{i}]"), rule, direction, namespace))
            .collect();
        Rules { cite, rules }
    }

    fn rule(
        &self,
        at: &str,
        rule: &CalicoRule,
        direction: Direction,
        namespace: Option<&str>,
    ) -> Rule {
        Rule {
            cite: self.object.cite(at),
            action: match rule.action.as_str() {
                "Allow" => Action::Allow,
                "Pass" => Action::Pass,
                "Log" => Action::Log,
                _ => Action::Deny,
            },
            ip_version: rule.ip_version.and_then(|v| u8::try_from(v).ok()),
            // What `icmp` and `notICMP` ask, only ICMP packets have; the protocol says that.
            protocol: protocol(rule.protocol.as_ref()),
            not_protocol: protocol(rule.not_protocol.as_ref()),
            source: self.side(&format!("{at}.source"), &rule.source, false, namespace),
            destination: self.side(
                &format!("{at}.destination"),
                &rule.destination,
                direction == Direction::Egress,
                namespace,
            ),
        }
    }

    /// `with_port`: a service here stands for its endpoints' ports too.
    fn side(
        &self,
        at: &str,
        entity: &EntityRule,
        with_port: bool,
        namespace: Option<&str>,
    ) -> Side {
        let conditions = self.conditions(at, entity, with_port, namespace);
        let cite = self.object.cite(at);
        let peers =
            if conditions.is_empty() { Vec::new() } else { vec![Peer { cite, conditions }] };
        Side {
            peers,
            ports: self.ports(&format!("{at}.ports"), &entity.ports),
            not_ports: self.ports(&format!("{at}.notPorts"), &entity.not_ports),
        }
    }

    fn conditions(
        &self,
        at: &str,
        entity: &EntityRule,
        with_port: bool,
        namespace: Option<&str>,
    ) -> Vec<Condition> {
        let object = self.object;
        let cite = |field: &str| object.cite(&format!("{at}.{field}"));
        let mut conditions = Vec::new();
        if !entity.nets.is_empty() {
            conditions.push(Condition { cite: cite("nets"), test: Test::Nets(nets(&entity.nets)) });
        }
        if !entity.not_nets.is_empty() {
            let test = Test::NotNets(nets(&entity.not_nets));
            conditions.push(Condition { cite: cite("notNets"), test });
        }
        let terms = self.terms(at, entity, namespace);
        if !terms.is_empty() {
            let test = Test::Endpoints(Endpoints { view: View::Calico, terms });
            conditions.push(Condition { cite: cite("selector"), test });
        }
        let not = self.term(
            &format!("{at}.notSelector"),
            entity.not_selector.as_ref(),
            Requirement::Labels,
        );
        if let Some(term) = not {
            let test = Test::NotEndpoints(Endpoints { view: View::Calico, terms: vec![term] });
            conditions.push(Condition { cite: cite("notSelector"), test });
        }
        if let Some(service) = &entity.services {
            let own = namespace.unwrap_or_default();
            let test = Test::Service {
                namespace: service.namespace.as_deref().unwrap_or(own).to_owned(),
                name: service.name.clone(),
                with_port,
            };
            conditions.push(Condition { cite: cite("services"), test });
        }
        conditions
    }

    /// Which endpoints the positive selectors speak of; none of them, no terms.
    fn terms(&self, at: &str, entity: &EntityRule, namespace: Option<&str>) -> Vec<Term> {
        let mut terms = Vec::new();
        if let Some(accounts) = &entity.service_accounts {
            if !accounts.names.is_empty() {
                let cite = self.object.cite(&format!("{at}.serviceAccounts.names"));
                let of = Requirement::ServiceAccountNames(accounts.names.clone());
                terms.push(Term { cite, requires: of });
            }
            terms.extend(self.term(
                &format!("{at}.serviceAccounts.selector"),
                accounts.selector.as_ref(),
                Requirement::ServiceAccounts,
            ));
        }
        terms.extend(self.term(
            &format!("{at}.selector"),
            entity.selector.as_ref(),
            Requirement::Labels,
        ));
        let namespaces = self.term(
            &format!("{at}.namespaceSelector"),
            entity.namespace_selector.as_ref(),
            Requirement::Namespaces,
        );
        let negative = Expression::given(entity.not_selector.as_ref()).is_some();
        match (namespaces, namespace) {
            (Some(term), _) => terms.insert(0, term),
            // Any selector, the negative one too, limits the rule to its own namespace.
            (None, Some(own)) if negative || !terms.is_empty() => {
                let cite = terms.first().map_or_else(|| self.object.cite(at), |c| c.cite.clone());
                terms.insert(0, Term { cite, requires: Requirement::Namespace(own.to_owned()) });
            }
            _ => {}
        }
        terms
    }

    fn term(
        &self,
        at: &str,
        field: Option<&Expression>,
        of: fn(Selector) -> Requirement,
    ) -> Option<Term> {
        let selector = Expression::given(field)?.clone();
        Some(Term { cite: self.object.cite(at), requires: of(selector) })
    }

    fn ports(&self, at: &str, ports: &[IntOrString]) -> Vec<Port> {
        let ports = ports.iter().enumerate().map(|(i, port)| Port {
            cite: self.object.cite(&format!("{at}[{i}]")),
            // The rule's protocol says it.
            protocol: None,
            number: port_number(port),
        });
        ports.collect()
    }
}

fn port_number(port: &IntOrString) -> PortNumber {
    match port {
        IntOrString::Int(number) => {
            let number = u16::try_from(*number).unwrap_or(0);
            PortNumber::Range(number, number)
        }
        IntOrString::String(text) => {
            let limits = text.split_once(':').unwrap_or((text, text));
            match (limits.0.trim().parse(), limits.1.trim().parse()) {
                (Ok(first), Ok(last)) => PortNumber::Range(first, last),
                _ => PortNumber::Named(text.clone()),
            }
        }
    }
}

/// An IP protocol by name or number (`numorstring.Protocol`).
fn protocol(protocol: Option<&IntOrString>) -> Option<IpProtocol> {
    let known = match protocol? {
        IntOrString::Int(number) => u8::try_from(*number).ok().map(IpProtocol),
        IntOrString::String(text) => IpProtocol::of_name(text)
            .map(|(_, named)| named)
            .or_else(|| text.parse().ok().map(IpProtocol)),
    };
    // What else there is validation refuses.
    Some(known.unwrap_or(IpProtocol::RESERVED))
}

/// Networks, or single addresses.
fn nets(texts: &[String]) -> Vec<IpNet> {
    let net = |text: &String| {
        let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
        cidr(text).or_else(single)
    };
    texts.iter().filter_map(net).collect()
}

/// A port of Calico's endpoints; only those of protocols that pods can listen with.
pub(crate) fn endpoint_port(port: &EndpointPort) -> Option<ContainerPort> {
    let protocol =
        protocol(port.protocol.as_ref()).map_or(Some(Protocol::Tcp), Protocol::of_number)?;
    Some(ContainerPort { name: port.name.clone(), port: u16::try_from(port.port).ok()?, protocol })
}
