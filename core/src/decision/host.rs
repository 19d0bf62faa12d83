//! Host endpoints: what each of their chains says of a packet, where it sits on the packet's way
//! (Felix `rules/static.go`, `rules/endpoints.go`).

use std::net::IpAddr;

use super::end::End;
use super::evaluate::{Applying, Asking, Chain, rule};
use super::explain::explain_chain;
use super::holds::Question;
use super::{Decision, Ruling};
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

/// What a chain of `host` says of a packet that comes in (ingress) or goes out (egress) by it.
/// `None` if no policy is in the chain, and it is not the one that is always there: the normal one.
/// A chain that does not decide allows, [by no policy](super::By::NoPolicy); what one allows that
/// does is accepted for good.
pub fn decide_host(
    cluster: &Cluster,
    direction: Direction,
    host: &HostEndpoint,
    chain: HostChain,
    packet: &HostPacket,
) -> Option<Ruling> {
    let q = question(cluster, packet);
    asking(cluster, direction, host, chain, &q).as_ref().map(rule)
}

/// [`decide_host`] with its reasons.
pub fn explain_host(
    cluster: &Cluster,
    direction: Direction,
    host: &HostEndpoint,
    chain: HostChain,
    packet: &HostPacket,
) -> Option<Decision> {
    let q = question(cluster, packet);
    asking(cluster, direction, host, chain, &q).as_ref().map(explain_chain)
}

fn question<'a>(cluster: &'a Cluster, packet: &HostPacket) -> Question<'a> {
    Question {
        source: End::at(cluster, packet.source),
        destination: End::at(cluster, packet.destination),
        protocol: packet.protocol,
        source_port: packet.source_port,
        destination_port: packet.destination_port,
    }
}

fn asking<'q, 'a>(
    cluster: &'a Cluster,
    direction: Direction,
    host: &'a HostEndpoint,
    chain: HostChain,
    q: &'q Question<'a>,
) -> Option<Asking<'q, 'a>> {
    let chain = match chain {
        HostChain::Untracked => Chain::Only(Stage::Untracked),
        HostChain::PreDnat => Chain::Only(Stage::PreDnat),
        HostChain::Normal => Chain::Only(Stage::Normal),
        HostChain::Forward => Chain::Forward,
    };
    let asking = Asking { cluster, direction, q, chain, subject: End::host(cluster, host, None) };
    let there = chain == Chain::Only(Stage::Normal) || !Applying::of(&asking, &[]).is_empty();
    there.then_some(asking)
}
