//! The record of a packet's path. Plain data, the only source of diagram, text, JSON and tests.

use std::fmt;
use std::net::IpAddr;

use super::evidence::Evidence;
use super::fact::{Device, Doubt, Fact, Gate, Left, Refused, Rule, Subject};
use crate::cluster::{Backend, BalancerId, NodeId, Outside, ServiceId, Unresolved};
use crate::decision::HostChain;
use crate::net::{Flow, Packet, Verdict};
use crate::text::Cite;

/// What happens to a flow, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The question.
    pub flow: Flow,
    /// All outcomes in one word.
    pub verdict: Verdict,
    /// One for each way that new connections can go; their shares sum to one.
    pub outcomes: Vec<Outcome>,
}

/// One way that a new connection can go.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Of the new connections, from 0 to 1.
    pub share: f64,
    /// What kube-proxy picked.
    pub endpoint: Option<Backend>,
    /// What the client sees.
    pub verdict: Verdict,
    /// Why it was not delivered.
    pub cause: Option<Cause>,
    /// The request's way, from its sender on.
    pub steps: Vec<Step>,
    /// The answer's way back; empty if the request did not arrive.
    pub reply: Vec<Step>,
    /// The request's source where it reached the pod.
    pub source_at_pod: Option<IpAddr>,
    /// The peer address that the application got, once delivered.
    pub source_seen_by_app: Option<IpAddr>,
}

/// Why a connection did not come about.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// The class.
    pub kind: CauseKind,
    /// What in the text decided, if anything did.
    pub cite: Option<Cite>,
    /// What tells it.
    pub because: Because,
    /// It is a refusal whose answer does not find the way back: the sender only times out.
    pub unheard: bool,
}

/// What tells why a connection did not come about.
#[derive(Clone, Debug, PartialEq)]
pub enum Because {
    /// This step of the request, or of the reply: what came of it shows only later.
    Step {
        /// Of the reply.
        reply: bool,
        /// Its index.
        at: usize,
    },
    /// An end of the flow is nothing that can be asked.
    Unresolved(Unresolved),
    /// The packet comes back where it was, as it was.
    Circles,
    /// The balancer has no node to send it to.
    NoTarget(BalancerId, NoTarget),
}

/// Why a balancer has no node to send a packet to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTarget {
    /// The service has no node port.
    NoNodePort(ServiceId),
    /// No service with a node port is behind the address that was asked.
    NoService(IpAddr, Option<u16>),
    /// No node has a ready endpoint of the service.
    NoHealthyNode(ServiceId),
}

/// The ways to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum CauseKind {
    /// A policy's verdict.
    PolicyDenied,
    /// Nothing behind the service: kube-proxy rejects.
    NoEndpoints,
    /// Endpoints, but none on this node, and the traffic policy is `Local`.
    NoLocalEndpoints,
    /// `loadBalancerSourceRanges`.
    SourceRange,
    /// Calico's `defaultEndpointToHostAction: Drop`.
    EndpointToHostAction,
    /// It reached a host where nothing listens on the port.
    NoListener,
    /// No route.
    NoRoute,
    /// It came in with the receiving node's own address as its source.
    Martian,
    /// The strict reverse path filter.
    RpFilter,
    /// The request arrived, the answer took a way past the machine that must translate it back.
    ReplyLost,
    /// Calico's service loop prevention.
    ServiceLoop,
    /// The flow names something that does not exist, or cannot be asked of it.
    NoSuchDestination,
    /// kube-proxy's rules know the address, but not this port of it.
    NoSuchPort,
}

impl CauseKind {
    /// The class of a proxy's refusal.
    pub(super) fn of_refusal(refused: &Refused) -> Self {
        match refused {
            Refused::SourceRange(_) => Self::SourceRange,
            Refused::NoEndpoints(_)
            | Refused::EmptyServer { elsewhere: false, .. }
            | Refused::NoBackend { left: Left::None, .. } => Self::NoEndpoints,
            Refused::NoLocalEndpoints(_)
            | Refused::EmptyServer { .. }
            | Refused::NoBackend { .. } => Self::NoLocalEndpoints,
            Refused::NoSuchPort(_) => Self::NoSuchPort,
            Refused::Unallocated(_) => Self::NoRoute,
        }
    }
}

/// A machine that the packet passes: a lane of the diagram. Pods live in their node's lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Machine {
    /// Outside the cluster.
    Client(Outside),
    /// A balancer outside.
    Balancer(BalancerId),
    /// The routers between the machines.
    Router,
    /// A node.
    Node(NodeId),
}

/// Where on its machine a step happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// The application's end.
    Socket,
    /// A network device.
    Device,
    /// Before routing.
    Prerouting,
    /// The routing decision.
    Routing,
    /// To the machine itself.
    Input,
    /// Through the machine.
    Forward,
    /// From the machine itself.
    Output,
    /// After routing.
    Postrouting,
    /// A machine that is no node: its inside is not modelled.
    Inside,
}

/// As netfilter spells them.
impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "SOCKET",
            Self::Device => "DEVICE",
            Self::Prerouting => "PREROUTING",
            Self::Routing => "ROUTING",
            Self::Input => "INPUT",
            Self::Forward => "FORWARD",
            Self::Output => "OUTPUT",
            Self::Postrouting => "POSTROUTING",
            Self::Inside => "INSIDE",
        })
    }
}

/// One thing that happened to the packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where.
    pub machine: Machine,
    /// Where on the machine.
    pub hook: Hook,
    /// The device that it came in by, goes out by, or whose pod is asked.
    pub device: Option<Device>,
    /// The packet before.
    pub before: Packet,
    /// The packet after; equal unless the step rewrites or wraps it.
    pub after: Packet,
    /// What happened.
    pub fact: Fact,
    /// What in the text, or which default, made it happen.
    pub evidence: Vec<Evidence>,
    /// Why this is not certain, where it is not.
    pub doubt: Option<Doubt>,
}

impl Step {
    /// What kind of thing.
    pub fn rule(&self) -> Rule {
        self.fact.rule()
    }

    /// The policy evaluation, if it is one.
    pub fn gate(&self) -> Option<&Gate> {
        match &self.fact {
            Fact::Gate(gate) => Some(gate),
            _ => None,
        }
    }

    /// The pod that lives behind the step's device.
    pub fn pod(&self) -> Option<crate::cluster::PodId> {
        match self.device {
            Some(Device::Pod(pod)) => Some(pod),
            _ => None,
        }
    }

    /// The chain of a host endpoint that is asked.
    pub fn host_chain(&self) -> Option<HostChain> {
        match self.gate()?.who {
            Subject::Host(_, chain) => Some(chain),
            Subject::Pod(_) => None,
        }
    }

    /// The headers that a policy is asked about: of a tunnel's packet that a host endpoint sees, the
    /// outer ones.
    pub fn asked(&self) -> Packet {
        match self.before.outer.filter(|_| self.host_chain().is_some()) {
            Some(outer) => Packet {
                protocol: self.before.protocol,
                source: outer.source,
                source_port: None,
                destination: outer.destination,
                destination_port: None,
                outer: None,
            },
            None => self.before,
        }
    }

    /// Does it change the packet's own addresses or ports?
    pub fn rewrites(&self) -> bool {
        Packet { outer: None, ..self.before } != Packet { outer: None, ..self.after }
    }
}
