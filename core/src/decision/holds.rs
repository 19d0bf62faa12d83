//! Does a part of a rule hold of a packet?

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::end::{End, Role};
use super::finding::Traffic;
use crate::cluster::Node;
use crate::net::IpProtocol;
use crate::policy::form::{Peer, Port, PortNumber, Rule, Side, Test};

/// A packet, as a rule sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) source: End<'a>,
    pub(crate) destination: End<'a>,
    /// The IP protocol's number.
    pub(crate) protocol: IpProtocol,
    pub(crate) source_port: Option<u16>,
    pub(crate) destination_port: Option<u16>,
}

impl Question<'_> {
    pub(super) fn source_traffic(&self) -> Traffic {
        Traffic { protocol: self.protocol, port: self.source_port }
    }

    pub(super) fn destination_traffic(&self) -> Traffic {
        Traffic { protocol: self.protocol, port: self.destination_port }
    }

    /// 4 or 6, where an address is known.
    pub(super) fn ip_version(&self) -> Option<u8> {
        let ip = self.source.address.or(self.destination.address)?;
        Some(if ip.is_ipv4() { 4 } else { 6 })
    }
}

/// Whether protocol and ports are the rule's.
pub(super) fn traffic_matches(rule: &Rule, q: &Question<'_>) -> bool {
    protocol_matches(rule, q)
        && ports_match(&rule.source, q.source_traffic(), &q.source)
        && ports_match(&rule.destination, q.destination_traffic(), &q.destination)
}

/// Whether the protocols are the rule's, whatever the ports.
pub(super) fn protocol_matches(rule: &Rule, q: &Question<'_>) -> bool {
    rule.ip_version.is_none_or(|v| q.ip_version().is_none_or(|found| found == v))
        && rule.protocol.is_none_or(|p| p == q.protocol)
        && rule.not_protocol.is_none_or(|p| p != q.protocol)
}

/// How a side's peers answered.
#[derive(Clone, Copy)]
pub(super) enum PeerMatch<'a> {
    /// The rule names none, so anything matches.
    Any,
    /// This one matches.
    Peer(&'a Peer),
    /// None does.
    None,
}

impl<'a> PeerMatch<'a> {
    pub(super) fn matches(self) -> bool {
        !matches!(self, Self::None)
    }

    pub(super) fn peer(self) -> Option<&'a Peer> {
        match self {
            Self::Peer(peer) => Some(peer),
            Self::Any | Self::None => None,
        }
    }
}

/// Which of the side's peers the end is.
pub(super) fn peer_match<'a>(side: &'a Side, end: &End<'_>, traffic: Traffic) -> PeerMatch<'a> {
    if side.peers.is_empty() {
        return PeerMatch::Any;
    }
    let matches = |peer: &&Peer| peer.conditions.iter().all(|c| test_holds(&c.test, end, traffic));
    side.peers.iter().find(matches).map_or(PeerMatch::None, PeerMatch::Peer)
}

/// Whether the port is one of the side's.
pub(super) fn ports_match(side: &Side, traffic: Traffic, end: &End<'_>) -> bool {
    let holds = |port: &Port| port_holds(port, traffic, end);
    (side.ports.is_empty() || side.ports.iter().any(holds)) && !side.not_ports.iter().any(holds)
}

/// Whether a condition's test holds of an end.
pub(super) fn test_holds(test: &Test, end: &End<'_>, traffic: Traffic) -> bool {
    match test {
        Test::Endpoints(endpoints) => end.is_one_of(endpoints, Role::Peer),
        Test::NotEndpoints(endpoints) => !end.is_one_of(endpoints, Role::Peer),
        Test::Nets(nets) => end.is_in(nets),
        Test::NotNets(nets) => !end.is_in(nets),
        Test::Nodes(selector) => node(end).is_some_and(|node| selector.matches(&node.labels)),
        Test::Service { namespace, name, with_port } => {
            let services = end.cluster.services.iter();
            let mut services = services.filter(|s| s.namespace == *namespace && s.name == *name);
            services.any(|service| {
                service.ports.iter().any(|port| {
                    port.endpoints.iter().any(|endpoint| {
                        let its =
                            Traffic { protocol: port.protocol.number(), port: Some(endpoint.port) };
                        end.address == Some(endpoint.ip) && (!with_port || traffic == its)
                    })
                })
            })
        }
        Test::Always => true,
        Test::Never | Test::DomainNames(_) => false,
    }
}

/// The node whose address it is.
pub(super) fn node<'a>(end: &End<'a>) -> Option<&'a Node> {
    let cluster = end.cluster;
    let id = end.address.and_then(|ip| cluster.node_by_address.get(&ip))?;
    let node = cluster.nodes.get(id.0)?;
    // Its tunnels' addresses are not in its status.
    node.addresses.iter().any(|net| Some(net.addr()) == end.address).then_some(node)
}

pub(super) fn containing(nets: &[ipnet::IpNet], ip: IpAddr) -> Option<&ipnet::IpNet> {
    nets.iter().find(|net| net.contains(&ip))
}

/// Whether the port is this one.
pub(super) fn port_holds(port: &Port, traffic: Traffic, end: &End<'_>) -> bool {
    port.protocol.is_none_or(|p| p == traffic.protocol) && number_holds(port, traffic, end)
}

/// Whether the port's number is this one's, whatever the protocol.
pub(super) fn number_holds(port: &Port, traffic: Traffic, end: &End<'_>) -> bool {
    match (&port.number, traffic.port) {
        (PortNumber::Any, _) => true,
        (PortNumber::Range(first, last), Some(n)) => (*first..=*last).contains(&n),
        (PortNumber::Named(name), Some(n)) => {
            end.named_ports(name, traffic.protocol).any(|p| p == n)
        }
        // A port that is not told is a client's own: some unprivileged one.
        (PortNumber::Range(first, last), None) => {
            *first <= *UNPRIVILEGED.start() && last == UNPRIVILEGED.end()
        }
        (PortNumber::Named(_), None) => false,
    }
}

/// Whether it has some of the ports that a client may use, but not all.
pub(super) fn has_some_of_a_clients(port: &Port) -> bool {
    matches!(&port.number, PortNumber::Range(first, last)
        if UNPRIVILEGED.contains(last)
            && !(first <= UNPRIVILEGED.start() && last == UNPRIVILEGED.end()))
}

/// The ports that clients send from.
const UNPRIVILEGED: RangeInclusive<u16> = 1024..=u16::MAX;
