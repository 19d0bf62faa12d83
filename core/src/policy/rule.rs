//! Does a rule match a packet, and why not?

use std::net::IpAddr;

use super::Evidence;
use super::end::{End, Role};
use super::form::{Peer, Port, PortNumber, Rule, Side, Test};
use crate::cluster::Node;
use crate::text::Cite;

/// A packet, as a rule sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) source: End<'a>,
    pub(crate) destination: End<'a>,
    /// The IP protocol's number.
    pub(crate) protocol: u8,
    pub(crate) source_port: Option<u16>,
    pub(crate) destination_port: Option<u16>,
}

/// The protocol's number and the port at one side.
pub(crate) type Traffic = (u8, Option<u16>);

impl Question<'_> {
    fn source_traffic(&self) -> Traffic {
        (self.protocol, self.source_port)
    }

    fn destination_traffic(&self) -> Traffic {
        (self.protocol, self.destination_port)
    }

    /// 4 or 6, where an address is known.
    fn ip_version(&self) -> Option<u8> {
        let ip = self.source.address.or(self.destination.address)?;
        Some(if ip.is_ipv4() { 4 } else { 6 })
    }
}

/// Something that was looked at. `()` is for those who want only the answer: the same computation
/// then says nothing and stops at the first miss.
pub(crate) trait Note: Sized {
    /// Whether anything is kept.
    const KEPT: bool;
    fn new(
        matched: bool,
        distance: Distance,
        cite: &Cite,
        finding: impl FnOnce() -> String,
    ) -> Self;
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
    /// The policy has no rule at all.
    NoRule,
    /// The policy does not select the endpoint.
    NotSelected,
}

impl Note for () {
    const KEPT: bool = false;
    fn new(_: bool, _: Distance, _: &Cite, _: impl FnOnce() -> String) -> Self {}
}

/// A note that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) distance: Distance,
    pub(crate) evidence: Evidence,
}

impl Note for Found {
    const KEPT: bool = true;
    fn new(
        matched: bool,
        distance: Distance,
        cite: &Cite,
        finding: impl FnOnce() -> String,
    ) -> Self {
        Self { distance, evidence: Evidence { cite: cite.clone(), matched, finding: finding() } }
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
                notes.push(N::new(true, Distance::None, &peer.cite, || peer.hit(end)));
            }
            if place.is_none() {
                notes.push(N::new(true, Distance::None, &self.cite, || {
                    "the rule names no peer, so any matches".to_owned()
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
                    PortNumber::Any => format!("the protocol is {}", protocol_name(q.protocol)),
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

    fn traffic_matches(&self, q: &Question<'_>) -> bool {
        self.ip_version.is_none_or(|v| q.ip_version().is_none_or(|found| found == v))
            && self.protocol.is_none_or(|p| p == q.protocol)
            && self.not_protocol.is_none_or(|p| p != q.protocol)
            && self.source.ports_match(q.protocol, q.source_port, &q.source)
            && self.destination.ports_match(q.protocol, q.destination_port, &q.destination)
    }

    fn note_misses<N: Note>(&self, q: &Question<'_>, traffic: bool, notes: &mut Vec<N>) {
        let traffic_miss = (!traffic).then(|| self.traffic_miss(q));
        let mut peers_match = true;
        let mut named = false;
        for (side, end, at) in [
            (&self.source, &q.source, q.source_traffic()),
            (&self.destination, &q.destination, q.destination_traffic()),
        ] {
            named |= !side.peers.is_empty();
            if side.peer(end, at).matches() {
                continue;
            }
            peers_match = false;
            for peer in &side.peers {
                let (cite, partly, mut finding) = peer.miss(end, at);
                let distance = match (&traffic_miss, partly) {
                    (Some(_), _) => Distance::Both,
                    (None, true) => Distance::Part,
                    (None, false) => Distance::Peer,
                };
                if let Some((_, traffic)) = &traffic_miss {
                    finding = format!("{finding}; besides, {traffic}");
                }
                notes.push(N::new(false, distance, cite, || finding));
            }
        }
        if let (true, Some((cite, miss))) = (peers_match, traffic_miss) {
            let who = if named { "the peer would match" } else { "any peer would match" };
            notes.push(N::new(false, Distance::Port, cite, || format!("{who}, but {miss}")));
        }
    }

    /// Why protocol and ports do not match, and where that stands.
    fn traffic_miss(&self, q: &Question<'_>) -> (&Cite, String) {
        let name = protocol_name(q.protocol);
        if let Some(wanted) = self.ip_version.filter(|v| q.ip_version() != Some(*v)) {
            return (&self.cite, format!("the packet is not IPv{wanted}"));
        }
        if let Some(wanted) = self.protocol.filter(|p| *p != q.protocol) {
            return (&self.cite, format!("the protocol is {name}, not {}", protocol_name(wanted)));
        }
        if self.not_protocol == Some(q.protocol) {
            return (&self.cite, format!("the protocol must not be {name}"));
        }
        let sides = [
            (&self.destination, q.destination_port, &q.destination, "port"),
            (&self.source, q.source_port, &q.source, "source port"),
        ];
        for (side, number, end, what) in sides {
            let number_name = number.map_or_else(|| "random".to_owned(), |n| n.to_string());
            let excluded = side.not_ports.iter().find(|p| p.holds(q.protocol, number, end));
            if let Some(port) = excluded {
                return (&port.cite, format!("the {what} must not be {number_name}"));
            }
            if side.ports_match(q.protocol, number, end) {
                continue;
            }
            let text = match side.ports.as_slice() {
                [port] => port.miss(q.protocol, number, end, what, &number_name),
                ports => {
                    let wanted: Vec<_> = ports.iter().map(ToString::to_string).collect();
                    format!(
                        "the {what} is {name} {number_name}, which is none of {}",
                        wanted.join(", ")
                    )
                }
            };
            return (side.ports.first().map_or(&self.cite, |p| &p.cite), text);
        }
        (&self.cite, "protocol and ports do not match".to_owned())
    }
}

/// How a side's peers answered.
enum PeerMatch<'a> {
    /// The rule names none, so anything matches.
    Any,
    /// This one matches.
    Peer(&'a Peer),
    /// None does.
    None,
}

impl<'a> PeerMatch<'a> {
    fn matches(&self) -> bool {
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
    fn peer(&self, end: &End<'_>, traffic: Traffic) -> PeerMatch<'_> {
        if self.peers.is_empty() {
            return PeerMatch::Any;
        }
        self.peers.iter().find(|p| p.matches(end, traffic)).map_or(PeerMatch::None, PeerMatch::Peer)
    }

    pub(crate) fn ports_match(&self, protocol: u8, number: Option<u16>, end: &End<'_>) -> bool {
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
        hits.into_iter().filter(|h| !h.is_empty()).collect::<Vec<_>>().join(" and ")
    }

    /// Where the miss stands, whether another part matched, and what to say.
    fn miss(&self, end: &End<'_>, traffic: Traffic) -> (&Cite, bool, String) {
        let mut cite = &self.cite;
        let mut found = Vec::new();
        let mut partly = false;
        for condition in &self.conditions {
            if condition.test.holds(end, traffic) {
                partly = true;
                continue;
            }
            match &condition.test {
                Test::Endpoints(endpoints) => {
                    let misses = end.misses(endpoints, Role::Peer);
                    partly |= end.is_known(endpoints) && misses.len() < endpoints.clauses.len();
                    for (clause, text) in misses {
                        if found.is_empty() {
                            cite = &clause.cite;
                        }
                        found.push(text);
                    }
                }
                test => {
                    if found.is_empty() {
                        cite = &condition.cite;
                    }
                    found.push(test.miss(end));
                }
            }
        }
        (cite, partly, found.join(", and "))
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
            Self::Never(_) => false,
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
                Some(node) => format!("{end} is {}'s, which has {selector}", node.name),
                None => String::new(),
            },
            Self::Service { namespace, name, .. } => {
                format!("{end} is an endpoint of service/{namespace}/{name}")
            }
            Self::NotEndpoints(_) | Self::NotNets(_) | Self::Never(_) => String::new(),
        }
    }

    fn miss(&self, end: &End<'_>) -> String {
        let listed = |nets: &[ipnet::IpNet]| {
            nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Endpoints(endpoints) => end
                .misses(endpoints, Role::Peer)
                .into_iter()
                .map(|(_, text)| text)
                .collect::<Vec<_>>()
                .join(", and "),
            Self::NotEndpoints(endpoints) => format!("{}, which is excluded", end.hit(endpoints)),
            Self::Nets(nets) => format!("{} is not in {}", address(end), listed(nets)),
            Self::NotNets(nets) => {
                let net = end.address.and_then(|ip| containing(nets, ip));
                let net = net.map_or_else(|| listed(nets), ToString::to_string);
                format!("{} is in {net}, which is excepted", address(end))
            }
            Self::Nodes(selector) => match node(end) {
                Some(node) => {
                    format!("{end} is {}'s, which {}", node.name, selector.miss(&node.labels))
                }
                None => format!("{end} is no node's address"),
            },
            Self::Service { namespace, name, with_port } => {
                let what = if *with_port { "with this port, is" } else { "is" };
                format!("{end} {what} no endpoint of service/{namespace}/{name}")
            }
            Self::Never(reason) => reason.clone(),
        }
    }
}

/// The node whose address it is.
fn node<'a>(end: &End<'a>) -> Option<&'a Node> {
    let cluster = end.cluster;
    let id = end.address.and_then(|ip| cluster.node_by_address.get(&ip))?;
    let node = cluster.nodes.get(id.0)?;
    // Its tunnels' addresses are not in its status.
    node.addresses.iter().any(|net| Some(net.addr()) == end.address).then_some(node)
}

fn containing(nets: &[ipnet::IpNet], ip: IpAddr) -> Option<&ipnet::IpNet> {
    nets.iter().find(|net| net.contains(&ip))
}

/// The address, with the endpoint that has it.
fn address(end: &End<'_>) -> String {
    match (end.endpoint, end.address) {
        (Some(_), Some(ip)) => format!("{ip} ({end})"),
        _ => end.to_string(),
    }
}

impl Port {
    pub(crate) fn holds(&self, protocol: u8, number: Option<u16>, end: &End<'_>) -> bool {
        self.protocol.is_none_or(|p| p == protocol)
            && match (&self.number, number) {
                (PortNumber::Any, _) => true,
                (PortNumber::Range(first, last), Some(n)) => (*first..=*last).contains(&n),
                (PortNumber::Named(name), Some(n)) => {
                    end.named_ports(name, protocol).any(|p| p == n)
                }
                (_, None) => false,
            }
    }

    fn miss(
        &self,
        protocol: u8,
        number: Option<u16>,
        end: &End<'_>,
        what: &str,
        number_name: &str,
    ) -> String {
        let protocol_name = protocol_name(protocol);
        if let Some(wanted) = self.protocol.filter(|p| *p != protocol) {
            let wanted_name = self::protocol_name(wanted);
            let same = Self { protocol: None, ..self.clone() };
            return if same.holds(protocol, number, end) {
                format!("the protocol is {protocol_name}, not {wanted_name}")
            } else {
                format!("the {what} is {protocol_name} {number_name}, not {self}")
            };
        }
        match &self.number {
            PortNumber::Named(name) => match end.named_ports(name, protocol).next() {
                Some(port) => format!("the {what} is {number_name}, and {name} of {end} is {port}"),
                None => format!("{end} has no {protocol_name} port named {name}"),
            },
            PortNumber::Range(first, last) if first == last => {
                format!("the {what} is {number_name}, not {first}")
            }
            PortNumber::Range(first, last) => {
                format!("the {what} is {number_name}, not within {first}-{last}")
            }
            PortNumber::Any => format!("the {what} is {number_name}"),
        }
    }
}

/// As explanations call it: `TCP 80`.
impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.protocol {
            Some(protocol) => write!(f, "{} ", protocol_name(protocol))?,
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
    let name = protocol_name(q.protocol);
    q.destination_port.map_or_else(|| name.clone(), |port| format!("{name} {port}"))
}

/// The name of an IP protocol, as policies write it.
pub(crate) fn protocol_name(number: u8) -> String {
    match number {
        1 => "ICMP".to_owned(),
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        58 => "ICMPv6".to_owned(),
        132 => "SCTP".to_owned(),
        136 => "UDPLite".to_owned(),
        other => format!("IP protocol {other}"),
    }
}
