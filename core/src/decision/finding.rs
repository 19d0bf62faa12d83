//! What is found where policies are asked, as data: which rule's which part, against which value.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::net::{Direction, IpProtocol, Selector, SelectorMiss};
use crate::policy::form::{Action, Port, Requirement, Term, View};
use crate::text::{Cite, ObjectRef};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where it stands.
    pub cite: Cite,
    /// Did it match?
    pub matched: bool,
    /// What was found.
    pub finding: Finding,
}

/// What was found of a rule or a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A peer of the rule matches an end of the packet.
    Peer {
        /// The rule.
        rule: RuleRef,
        /// The end.
        end: Seen,
        /// What of the peer holds, but for what it excludes.
        holds: Vec<Held>,
    },
    /// The rule names no peer, so any matches.
    AnyPeer {
        /// The rule.
        rule: RuleRef,
    },
    /// A port of the rule matches.
    Port {
        /// The rule.
        rule: RuleRef,
        /// The port.
        port: Port,
        /// The packet's.
        traffic: Traffic,
    },
    /// A peer of the rule does not match an end of the packet.
    NoPeer {
        /// The rule.
        rule: RuleRef,
        /// The end.
        end: Seen,
        /// Why not.
        misses: Vec<Miss>,
        /// Why the protocol or a port does not match either.
        traffic: Option<TrafficMiss>,
    },
    /// The protocol or a port does not match; the peers do.
    NoPort {
        /// The rule.
        rule: RuleRef,
        /// Whether it names any peer.
        peers: bool,
        /// Why not.
        miss: TrafficMiss,
    },
    /// The policy has no rule of the direction.
    NoRule {
        /// The policy.
        policy: ObjectRef,
        /// The direction.
        direction: Direction,
    },
    /// The policy selects the endpoint, but does not speak of the direction.
    OtherDirection {
        /// The policy.
        policy: ObjectRef,
        /// The endpoint.
        subject: Seen,
        /// The direction.
        direction: Direction,
    },
    /// The policy does not select the endpoint.
    NotSelected {
        /// The policy.
        policy: ObjectRef,
        /// The endpoint.
        subject: Seen,
        /// Why not.
        misses: Vec<Miss>,
    },
}

impl Finding {
    /// The rule that it is about.
    pub fn rule(&self) -> Option<&RuleRef> {
        match self {
            Self::Peer { rule, .. }
            | Self::AnyPeer { rule }
            | Self::Port { rule, .. }
            | Self::NoPeer { rule, .. }
            | Self::NoPort { rule, .. } => Some(rule),
            Self::NoRule { .. } | Self::OtherDirection { .. } | Self::NotSelected { .. } => None,
        }
    }
}

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRef {
    /// Where it stands.
    pub cite: Cite,
    /// What it does with what matches.
    pub action: Action,
}

/// One end of a packet as policies see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its address, where the question has one.
    pub address: Option<IpAddr>,
    /// The endpoint that has the address for itself.
    pub endpoint: Option<EndpointRef>,
}

/// Names something that policies can select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointRef {
    /// A pod with a network of its own.
    Pod {
        /// The pod.
        object: ObjectRef,
        /// `spec.serviceAccountName`.
        service_account: String,
    },
    /// A host endpoint.
    Host(ObjectRef),
    /// A network set that has the address.
    Set(ObjectRef),
}

impl EndpointRef {
    /// The namespace that it is in.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Pod { object, .. } => Some(&object.namespace),
            Self::Host(_) => None,
            Self::Set(object) => Some(object.namespace.as_str()).filter(|name| !name.is_empty()),
        }
    }

    /// Its service account.
    pub fn service_account(&self) -> Option<&str> {
        match self {
            Self::Pod { service_account, .. } => Some(service_account),
            Self::Host(_) | Self::Set(_) => None,
        }
    }
}

/// A protocol and a port of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Traffic {
    /// The IP protocol's number.
    pub protocol: IpProtocol,
    /// The port; `None` for a client's random one, and for protocols without ports.
    pub port: Option<u16>,
}

/// A condition of a peer that holds of an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// All these terms hold of an endpoint.
    Endpoint {
        /// The endpoint.
        who: EndpointRef,
        /// The terms.
        terms: Vec<Term>,
    },
    /// The address is in it.
    Net(IpNet),
    /// The address is that of a node with such labels.
    Node {
        /// The node's name.
        node: String,
        /// What it is selected by.
        selector: Selector,
    },
    /// The address is an endpoint of the service.
    Service {
        /// The service's namespace.
        namespace: String,
        /// The service's name.
        name: String,
    },
    /// The peer is of a kind that is not known here, in a rule that fails closed.
    Unknown,
}

/// A part of a peer or of a policy's selector that does not hold of an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// Where the part stands.
    pub cite: Cite,
    /// What it asks, and what there is instead.
    pub unmet: Unmet,
}

/// What does not hold of an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// A term does not hold of the endpoint that comes nearest to matching.
    Term {
        /// The endpoint.
        who: EndpointRef,
        /// How the policy's language sees it.
        view: View,
        /// What it asks.
        requires: Requirement,
        /// Of a selector, what of it does not hold.
        labels: Option<SelectorMiss>,
    },
    /// Nothing that could be selected has the address.
    NoEndpoint {
        /// How the policy's language sees endpoints.
        view: View,
        /// All that is asked.
        requires: Vec<Requirement>,
    },
    /// All these terms hold of an endpoint, and such are excluded.
    Excluded {
        /// The endpoint.
        who: EndpointRef,
        /// The terms.
        terms: Vec<Term>,
    },
    /// The address is in none of them.
    Nets(Vec<IpNet>),
    /// The address is in none of them, each of which is a peer of its own.
    Blocks(Vec<IpNet>),
    /// The address is in it, and it is excepted.
    Except(IpNet),
    /// The address is no node's with such labels.
    Node {
        /// The node whose address it is.
        node: Option<String>,
        /// What of the selector does not hold of the node.
        labels: Option<SelectorMiss>,
    },
    /// The address is no endpoint of the service.
    Service {
        /// The service's namespace.
        namespace: String,
        /// The service's name.
        name: String,
        /// The port must be the endpoint's too.
        with_port: bool,
    },
    /// The peer is of a kind that is not known here.
    Unknown,
    /// Which addresses these names have is not in the text.
    DomainNames(Vec<String>),
}

/// Why a rule's protocol or ports do not match a packet's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrafficMiss {
    /// It must be of this IP version.
    IpVersion(u8),
    /// It is of another protocol.
    Protocol {
        /// The packet's.
        found: IpProtocol,
        /// The rule's.
        wanted: IpProtocol,
    },
    /// It must not be of this protocol.
    NotProtocol(IpProtocol),
    /// The port is none of those that the rule names.
    Port {
        /// Which port.
        side: PortOf,
        /// The packet's.
        found: Traffic,
        /// The rule's.
        wanted: Vec<Port>,
        /// The end whose port it is.
        end: Seen,
        /// The number that the end gives to the port's name, if it is one port with a name.
        named: Option<u16>,
    },
    /// The port must not be this one.
    NotPort {
        /// Which port.
        side: PortOf,
        /// The packet's.
        found: Traffic,
        /// The rule's.
        unwanted: Port,
    },
}

/// Which of a packet's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortOf {
    /// The source's.
    Source,
    /// The destination's.
    Destination,
}

/// What the text does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Which addresses a domain name has.
    Name,
    /// From which port a client sends.
    SourcePort,
}
