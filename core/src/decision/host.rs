//! Host endpoints: what each of their chains says of a packet, where it sits on the packet's way
//! (Felix `rules/static.go`, `rules/endpoints.go`).

use std::net::IpAddr;

use super::Decision;
use super::end::End;
use super::evaluate::{Asking, Chain, Say};
use super::explain::explain_chain;
use super::rule::Question;
use crate::cluster::Cluster;
use crate::net::{Direction, IpProtocol};
use crate::policy::form::{HostEndpoint, Stage};

/// A chain of a host endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostChain {
    /// `doNotTrack` policies, in raw.
    Untracked,
    /// `preDNAT` policies, in mangle PREROUTING.
    PreDnat,
    /// Policies for what comes to or from the host itself, in filter.
    Normal,
    /// Policies with `applyOnForward`, in filter FORWARD.
    Forward,
}

/// The headers that a host endpoint's policies look at; of a tunnel, the outer ones.
#[derive(Clone, Copy, Debug)]
pub struct HostPacket {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IP protocol.
    pub protocol: IpProtocol,
    /// Source port.
    pub source_port: Option<u16>,
    /// Destination port.
    pub destination_port: Option<u16>,
}

/// What a chain says.
#[derive(Clone, Debug, PartialEq)]
pub struct HostDecision {
    /// The decision; a chain that does not decide allows.
    pub decision: Decision,
    /// Whether a rule decided: what it allows is accepted for good.
    pub decided: bool,
}

/// What a chain of `host` says of a packet that comes in (ingress) or goes out (egress) by it.
/// `None` if no policy is in the chain, and it is not the one that is always there: the normal one.
pub fn decide_host(
    cluster: &Cluster,
    direction: Direction,
    host: &HostEndpoint,
    chain: HostChain,
    packet: &HostPacket,
) -> Option<HostDecision> {
    let q = &Question {
        source: End::at(cluster, packet.source),
        destination: End::at(cluster, packet.destination),
        protocol: packet.protocol,
        source_port: packet.source_port,
        destination_port: packet.destination_port,
    };
    let chain = match chain {
        HostChain::Untracked => Chain::Only(Stage::Untracked),
        HostChain::PreDnat => Chain::Only(Stage::PreDnat),
        HostChain::Normal => Chain::Only(Stage::Normal),
        HostChain::Forward => Chain::Forward,
    };
    let subject = End::host(cluster, host, None);
    let asking = Asking { cluster, direction, q, chain, subject };
    if chain != Chain::Only(Stage::Normal) && Say::of(&asking, &[]).is_empty() {
        return None;
    }
    let (decision, decided) = explain_chain(&asking);
    Some(HostDecision { decision, decided })
}
