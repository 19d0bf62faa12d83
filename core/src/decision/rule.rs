//! Does a rule match a packet, and why not?

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::Evidence;
use super::end::{End, Role};
use crate::cluster::Node;
use crate::net::IpProtocol;
use crate::policy::form::{Action, Peer, Port, PortNumber, Rule, Side, Test};
use crate::text::Cite;

/// A packet, as a rule sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) source: End<'a>,
    pub(crate) destination: End<'a>,
    pub(crate) protocol: IpProtocol,
    pub(crate) source_port: Option<u16>,
    pub(crate) destination_port: Option<u16>,
}

/// The protocol and the port at one side.
pub(crate) type Traffic = (IpProtocol, Option<u16>);

impl Question<'_> {
    pub(super) fn source_traffic(&self) -> Traffic {
        (self.protocol, self.source_port)
    }

    pub(super) fn destination_traffic(&self) -> Traffic {
        (self.protocol, self.destination_port)
    }

    /// 4 or 6, where an address is known.
    pub(super) fn ip_version(&self) -> Option<u8> {
        let ip = self.source.address.or(self.destination.address)?;
        Some(if ip.is_ipv4() { 4 } else { 6 })
    }
}

/// Something that was looked at. `()` is for those who want only the answer: the same computation
/// then says nothing and stops at the first miss.
pub(crate) trait Note: Sized {
    /// Whether anything is kept.
    const KEPT: bool;
    /// The rule would match, and do this, if what nobody can tell from the text were so.
    fn unsure(self, action: Action, doubt: Doubt) -> Self;
    fn new(
        matched: bool,
        distance: Distance,
        cite: &Cite,
        finding: impl FnOnce() -> String,
    ) -> Self;
}

/// What the text does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Which addresses a domain name has.
    Name,
    /// From which port a client sends.
    SourcePort,
}

/// How far a miss was from matching; the nearest are told first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Distance {
    /// It matched.
    None,
    /// The peer matches, the port or protocol does not.
    Port,
    /// The peer matches in part.
    Part,
    /// The peer does not match.
    Peer,
    /// Neither peer nor port match.
    Both,
    /// The peer is of another sort than what was asked about: a block, and it is a pod; a
    /// selector, and it is no endpoint.
    Sort,
    /// The rule would not have let it pass in any case.
    Moot,
    /// The policy has no rule at all.
    NoRule,
    /// The policy does not select the endpoint.
    NotSelected,
}

impl Note for () {
    const KEPT: bool = false;
    fn unsure(self, _: Action, _: Doubt) -> Self {}
    fn new(_: bool, _: Distance, _: &Cite, _: impl FnOnce() -> String) -> Self {}
}

/// A note that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) distance: Distance,
    pub(crate) evidence: Evidence,
    /// What the rule would do if it matched, which nobody can tell from the text, and why not.
    pub(crate) unsure: Option<(Action, Doubt)>,
}

impl Note for Found {
    const KEPT: bool = true;
    fn unsure(self, action: Action, doubt: Doubt) -> Self {
        Self { unsure: Some((action, doubt)), ..self }
    }
    fn new(
        matched: bool,
        distance: Distance,
        cite: &Cite,
        finding: impl FnOnce() -> String,
    ) -> Self {
        let evidence = Evidence { cite: cite.clone(), matched, finding: finding() };
        Self { distance, evidence, unsure: None }
    }
}

impl Rule {
    /// Does it match? Tells the place that did, and notes everything that was looked at.
    pub(crate) fn matches<N: Note>(&self, q: &Question<'_>, notes: &mut Vec<N>) -> Option<&Cite> {
        let traffic = self.traffic_matches(q);
        if !traffic && !N::KEPT {
            return None;
        }
        let source = self.source.peer(&q.source, q.source_traffic());
        let destination = self.destination.peer(&q.destination, q.destination_traffic());
        if traffic && source.matches() && destination.matches() {
            let peers = [(source, &q.source), (destination, &q.destination)];
            let mut place = None;
            for (peer, end) in peers.into_iter().filter_map(|(m, end)| Some((m.peer()?, end))) {
                place.get_or_insert(&peer.cite);
                notes.push(N::new(true, Distance::None, &peer.cite, || {
                    format!("{}{}", peer.hit(end), self.onwards())
                }));
            }
            if place.is_none() {
                notes.push(N::new(true, Distance::None, &self.cite, || {
                    format!("the rule names no peer, so any matches{}", self.onwards())
                }));
            }
            let ports = self.destination.ports.iter();
            if let Some(port) =
                ports.clone().find(|p| p.holds(q.protocol, q.destination_port, &q.destination))
            {
                notes.push(N::new(true, Distance::None, &port.cite, || match &port.number {
                    PortNumber::Range(first, last) if first == last => {
                        format!("the port is {port}")
                    }
                    PortNumber::Any => format!("the protocol is {}", q.protocol),
                    PortNumber::Named(name) => format!("{} is its port {name}", traffic_name(q)),
                    PortNumber::Range(..) => format!("{} is within {port}", traffic_name(q)),
                }));
            }
            return Some(place.unwrap_or(&self.cite));
        }
        if N::KEPT {
            self.note_misses(q, traffic, notes);
        }
        None
    }

    /// What follows, where that is no decision.
    fn onwards(&self) -> &'static str {
        match self.action {
            Action::Allow | Action::Deny => "",
            Action::Pass => ": the rule passes it on to the next tier",
            Action::Log => ": the rule logs it, and the next one is asked",
        }
    }

    pub(super) fn traffic_matches(&self, q: &Question<'_>) -> bool {
        self.ip_version.is_none_or(|v| q.ip_version().is_none_or(|found| found == v))
            && self.protocol.is_none_or(|p| p == q.protocol)
            && self.not_protocol.is_none_or(|p| p != q.protocol)
            && self.source.ports_match(q.protocol, q.source_port, &q.source)
            && self.destination.ports_match(q.protocol, q.destination_port, &q.destination)
    }
}

/// How a side's peers answered.
pub(super) enum PeerMatch<'a> {
    /// The rule names none, so anything matches.
    Any,
    /// This one matches.
    Peer(&'a Peer),
    /// None does.
    None,
}

impl<'a> PeerMatch<'a> {
    pub(super) fn matches(&self) -> bool {
        !matches!(self, Self::None)
    }

    fn peer(&self) -> Option<&'a Peer> {
        match self {
            Self::Peer(peer) => Some(peer),
            Self::Any | Self::None => None,
        }
    }
}

impl Side {
    pub(super) fn peer(&self, end: &End<'_>, traffic: Traffic) -> PeerMatch<'_> {
        if self.peers.is_empty() {
            return PeerMatch::Any;
        }
        self.peers.iter().find(|p| p.matches(end, traffic)).map_or(PeerMatch::None, PeerMatch::Peer)
    }

    pub(crate) fn ports_match(
        &self,
        protocol: IpProtocol,
        number: Option<u16>,
        end: &End<'_>,
    ) -> bool {
        let holds = |p: &Port| p.holds(protocol, number, end);
        (self.ports.is_empty() || self.ports.iter().any(holds)) && !self.not_ports.iter().any(holds)
    }
}

impl Peer {
    fn matches(&self, end: &End<'_>, traffic: Traffic) -> bool {
        self.conditions.iter().all(|c| c.test.holds(end, traffic))
    }

    fn hit(&self, end: &End<'_>) -> String {
        let hits: Vec<_> = self.conditions.iter().map(|c| c.test.hit(end)).collect();
        let hits: Vec<_> = hits.into_iter().filter(|h| !h.is_empty()).collect();
        if hits.is_empty() {
            return format!("{} is none of those that it excludes", address(end));
        }
        hits.join(" and ")
    }
}

impl Test {
    pub(crate) fn holds(&self, end: &End<'_>, traffic: Traffic) -> bool {
        match self {
            Self::Endpoints(endpoints) => end.is_one_of(endpoints, Role::Peer),
            Self::NotEndpoints(endpoints) => !end.is_one_of(endpoints, Role::Peer),
            Self::Nets(nets) => end.is_in(nets),
            Self::NotNets(nets) => !end.is_in(nets),
            Self::Nodes(selector) => node(end).is_some_and(|node| selector.matches(&node.labels)),
            Self::Service { namespace, name, with_port } => {
                let services = end.cluster.services.iter();
                let mut services =
                    services.filter(|s| s.namespace == *namespace && s.name == *name);
                services.any(|service| {
                    service.ports.iter().any(|port| {
                        port.endpoints.iter().any(|endpoint| {
                            end.address == Some(endpoint.ip)
                                && (!with_port
                                    || (traffic == (port.protocol.number(), Some(endpoint.port))))
                        })
                    })
                })
            }
            Self::Always(_) => true,
            Self::Never(_) | Self::DomainNames(_) => false,
        }
    }

    fn hit(&self, end: &End<'_>) -> String {
        match self {
            Self::Endpoints(endpoints) => end.hit(endpoints),
            Self::Nets(nets) => match end.address.and_then(|ip| containing(nets, ip)) {
                Some(net) => format!("{} is in {net}", address(end)),
                None => String::new(),
            },
            Self::Nodes(selector) => match node(end) {
                Some(node) if selector.is_everything() => format!("{end} is {}'s", node.name),
                Some(node) => format!("{end} is {}'s, which has {selector}", node.name),
                None => String::new(),
            },
            Self::Service { namespace, name, .. } => {
                format!("{end} is an endpoint of service/{namespace}/{name}")
            }
            Self::Always(reason) => (*reason).to_owned(),
            Self::NotEndpoints(_) | Self::NotNets(_) | Self::Never(_) | Self::DomainNames(_) => {
                String::new()
            }
        }
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

/// The address, with the endpoint that has it.
pub(super) fn address(end: &End<'_>) -> String {
    match (end.endpoint, end.address) {
        (Some(_), Some(ip)) => format!("{ip} ({end})"),
        _ => end.to_string(),
    }
}

impl Port {
    pub(crate) fn holds(&self, protocol: IpProtocol, number: Option<u16>, end: &End<'_>) -> bool {
        self.protocol.is_none_or(|p| p == protocol)
            && match (&self.number, number) {
                (PortNumber::Any, _) => true,
                (PortNumber::Range(first, last), Some(n)) => (*first..=*last).contains(&n),
                (PortNumber::Named(name), Some(n)) => {
                    end.named_ports(name, protocol).any(|p| p == n)
                }
                // A port that is not told is a client's own: some unprivileged one.
                (PortNumber::Range(first, last), None) => {
                    *first <= *UNPRIVILEGED.start() && last == UNPRIVILEGED.end()
                }
                (PortNumber::Named(_), None) => false,
            }
    }

    /// Whether it has some of the ports that a client may use, but not all.
    pub(super) fn has_some_of_a_clients(&self) -> bool {
        matches!(&self.number, PortNumber::Range(first, last)
            if UNPRIVILEGED.contains(last)
                && !(first <= UNPRIVILEGED.start() && last == UNPRIVILEGED.end()))
    }
}

/// The ports that clients send from.
const UNPRIVILEGED: RangeInclusive<u16> = 1024..=u16::MAX;

/// As explanations call it: `TCP 80`.
impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.protocol {
            Some(protocol) => write!(f, "{protocol} ")?,
            None => f.write_str("port ")?,
        }
        match &self.number {
            PortNumber::Any => f.write_str("any port"),
            PortNumber::Range(first, last) if first == last => write!(f, "{first}"),
            PortNumber::Range(first, last) => write!(f, "{first}-{last}"),
            PortNumber::Named(name) => f.write_str(name),
        }
    }
}

/// `TCP 9097`.
pub(crate) fn traffic_name(q: &Question<'_>) -> String {
    let name = q.protocol;
    q.destination_port.map_or_else(|| name.to_string(), |port| format!("{name} {port}"))
}
