//! The record of a packet's path. Plain data, the only source of diagram, text, JSON and tests.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::evidence::Evidence;
use crate::decision::Decision;
use crate::net::{Direction, Flow, Packet, Verdict};
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
    /// The pod (`pod/NAMESPACE/NAME`) or address that kube-proxy picked.
    pub endpoint: Option<String>,
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
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cause {
    /// The class.
    pub kind: CauseKind,
    /// What in the text decided, if anything did.
    pub cite: Option<Cite>,
    /// One sentence for a person. Of a policy's verdict it leaves out the decision's reason.
    pub message: String,
}

/// The ways to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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

/// A machine that the packet passes: a lane of the diagram. Pods live in their node's lane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Machine {
    /// Outside the cluster, by name or address.
    Client(String),
    /// A balancer, by name.
    Balancer(String),
    /// The routers between the machines.
    Router,
    /// A node, by name.
    Node(String),
}

/// Where on its machine a step happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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
    /// The device that it came in by, goes out by, or whose pod is asked; pods' devices are
    /// named after the pod: `pod/NAMESPACE/NAME`.
    pub device: Option<String>,
    /// What kind of thing.
    pub rule: Rule,
    /// The packet before.
    pub before: Packet,
    /// The packet after; equal unless the step rewrites or wraps it.
    pub after: Packet,
    /// One sentence for a person: what happened and why. Of a policy evaluation it leaves out the
    /// decision's reason.
    pub summary: String,
    /// What in the text, or which default, made it happen.
    pub evidence: Vec<Evidence>,
    /// The rules, as the machine's own tools print them, one a line.
    pub rules: Vec<String>,
    /// How to see it on a real machine.
    pub inspect: Option<Inspect>,
    /// The policy evaluation, if it is one.
    pub gate: Option<Gate>,
    /// Why this is not certain, where it is not for a doubt about a policy's decision.
    pub uncertain: Option<String>,
}

/// A command that shows a step on a real machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspect {
    /// The machine to run it on; empty for wherever kubectl works.
    pub on: String,
    /// The command line.
    pub command: String,
}

/// A policy evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Which question.
    pub direction: Direction,
    /// Whose policies: `pod/NAMESPACE/NAME`, or `hostEndpoint/NAME`.
    pub pod: String,
    /// The answer.
    pub decision: Decision,
}

/// The rules of the datapath.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Rule {
    /// The sender makes the packet.
    Send,
    /// In by a device.
    DeviceIn,
    /// Out by a device.
    DeviceOut,
    /// kube-proxy rewrites a service address into an endpoint.
    Dnat,
    /// kube-proxy finds no endpoint and rejects.
    NoEndpoints,
    /// kube-proxy finds no local endpoint and drops.
    NoLocalEndpoints,
    /// kube-proxy drops a source outside `loadBalancerSourceRanges`.
    SourceRange,
    /// No route, or a blackhole.
    NoRoute,
    /// A node's own address as source from outside.
    Martian,
    /// The strict reverse path filter drops.
    RpFilter,
    /// A pod's egress policy is asked.
    EgressGate,
    /// A pod's ingress policy is asked.
    IngressGate,
    /// A pod's policy is not asked, and why.
    GateSkipped,
    /// A host endpoint's policy is asked.
    HostGate,
    /// `defaultEndpointToHostAction`.
    EndpointToHost,
    /// `MASQUERADE` by kube-proxy's mark.
    Masquerade,
    /// `MASQUERADE` by Calico's natOutgoing.
    NatOutgoing,
    /// `MASQUERADE` by Calico's rule for local sources that leave by a tunnel.
    TunnelSource,
    /// Wrapped for a tunnel.
    Encapsulate,
    /// Unwrapped.
    Decapsulate,
    /// A balancer passes it on with its source.
    BalancerForward,
    /// A balancer opens its own connection.
    BalancerConnect,
    /// A router passes it on.
    RouterForward,
    /// Calico's service loop prevention.
    ServiceLoop,
    /// It arrives at the pod.
    DeliverToPod,
    /// It arrives at a process of the machine.
    DeliverToHost,
    /// Nothing listens there.
    NoListener,
    /// The reply is translated back.
    UnNat,
    /// The reply reaches its asker.
    ReplyDelivered,
    /// The reply is not what its asker waits for.
    ReplyLost,
}

impl Step {
    /// Whether it may go otherwise.
    pub fn is_uncertain(&self) -> bool {
        let doubt = self.gate.as_ref().and_then(|gate| gate.decision.uncertain.as_ref());
        doubt.is_some() || self.uncertain.is_some()
    }

    /// The headers that a policy is asked about: of a tunnel's packet that a host endpoint sees, the
    /// outer ones.
    pub fn asked(&self) -> Packet {
        match self.before.outer.filter(|_| self.rule == Rule::HostGate) {
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
}

impl Rule {
    /// All of them, in the order in which a packet may meet them.
    pub const ALL: [Self; 30] = [
        Self::Send,
        Self::DeviceIn,
        Self::DeviceOut,
        Self::Dnat,
        Self::NoEndpoints,
        Self::NoLocalEndpoints,
        Self::SourceRange,
        Self::NoRoute,
        Self::Martian,
        Self::RpFilter,
        Self::EgressGate,
        Self::IngressGate,
        Self::GateSkipped,
        Self::HostGate,
        Self::EndpointToHost,
        Self::Masquerade,
        Self::NatOutgoing,
        Self::TunnelSource,
        Self::Encapsulate,
        Self::Decapsulate,
        Self::BalancerForward,
        Self::BalancerConnect,
        Self::RouterForward,
        Self::ServiceLoop,
        Self::DeliverToPod,
        Self::DeliverToHost,
        Self::NoListener,
        Self::UnNat,
        Self::ReplyDelivered,
        Self::ReplyLost,
    ];
}
