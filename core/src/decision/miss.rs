//! Why a rule does not match a packet.

use std::net::IpAddr;

use super::end::{End, Role};
use super::rule::{Distance, Doubt, Note, Question, Traffic, address, containing, node};
use crate::cluster::Cluster;
use crate::net::IpProtocol;
use crate::policy::form::{Action, Condition, Peer, Port, PortNumber, Rule, Side, Test};
use crate::text::Cite;

impl Rule {
    pub(super) fn note_misses<N: Note>(&self, q: &Question<'_>, traffic: bool, notes: &mut Vec<N>) {
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
            for miss in side.misses(end, at) {
                let distance = match (&traffic_miss, miss.partly) {
                    _ if matches!(self.action, Action::Deny | Action::Log) => Distance::Moot,
                    _ if miss.of_another_sort => Distance::Sort,
                    (Some(_), _) => Distance::Both,
                    (None, true) => Distance::Part,
                    (None, false) => Distance::Peer,
                };
                let mut finding = format!("{}{}", self.called(), miss.finding);
                if let Some((_, traffic)) = &traffic_miss {
                    finding = format!("{finding}; besides, {traffic}");
                }
                let note = N::new(false, distance, miss.cite, || finding);
                let unsure = miss.by_name && self.might_match(q);
                notes.push(if unsure { note.unsure(self.action, Doubt::Name) } else { note });
            }
        }
        if let (true, Some((cite, miss))) = (peers_match, traffic_miss) {
            let who = if named { "the peer would match" } else { "any peer would match" };
            let distance = match self.action {
                Action::Deny | Action::Log => Distance::Moot,
                Action::Allow | Action::Pass => Distance::Port,
            };
            let called = self.called();
            let note = N::new(false, distance, cite, || format!("{called}{who}, but {miss}"));
            let unsure = self.depends_on_source_port(q);
            notes.push(if unsure { note.unsure(self.action, Doubt::SourcePort) } else { note });
        }
    }

    /// Which rule it is, where it is not one that allows.
    fn called(&self) -> &'static str {
        match self.action {
            Action::Allow => "",
            Action::Deny => "the Deny rule does not match: ",
            Action::Pass => "the Pass rule does not match: ",
            Action::Log => "the Log rule does not match: ",
        }
    }

    /// Would it match if the client sent from one of the ports that it speaks of?
    fn depends_on_source_port(&self, q: &Question<'_>) -> bool {
        let ports = || self.source.ports.iter().chain(&self.source.not_ports);
        let any = Self { source: Side::default(), ..self.clone() };
        q.source_port.is_none()
            && ports().any(|port| {
                port.has_some_of_a_clients() && port.protocol.is_none_or(|p| p == q.protocol)
            })
            && any.traffic_matches(q)
    }

    /// Would it match if a domain name had the address?
    fn might_match(&self, q: &Question<'_>) -> bool {
        // Those of pods, services and nodes are not what such rules are for.
        let end = &q.destination;
        let outside =
            end.endpoint.is_none() && end.address.is_some_and(|ip| !is_inside(end.cluster, ip));
        outside
            && self.traffic_matches(q)
            && self.source.peer(&q.source, q.source_traffic()).matches()
            && self.destination.peers.iter().any(Peer::is_by_name)
    }

    /// Why protocol and ports do not match, and where that stands.
    fn traffic_miss(&self, q: &Question<'_>) -> (&Cite, String) {
        let name = q.protocol;
        if let Some(wanted) = self.ip_version.filter(|v| q.ip_version() != Some(*v)) {
            return (&self.cite, format!("the packet is not IPv{wanted}"));
        }
        if let Some(wanted) = self.protocol.filter(|p| *p != q.protocol) {
            return (&self.cite, format!("the protocol is {name}, not {wanted}"));
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

/// Why a peer does not match.
struct Miss<'a> {
    /// Where that stands.
    cite: &'a Cite,
    /// Whether another part of it matches.
    partly: bool,
    /// Whether it speaks of addresses and the end is an endpoint, or the other way round.
    of_another_sort: bool,
    /// Whether it speaks of domain names.
    by_name: bool,
    finding: String,
}

impl Side {
    /// Why none of its peers matches; of several blocks of addresses it is but one thing to say.
    fn misses(&self, end: &End<'_>, traffic: Traffic) -> Vec<Miss<'_>> {
        let mut misses: Vec<Miss<'_>> = Vec::new();
        let mut outside: Option<(usize, Vec<String>)> = None;
        for peer in &self.peers {
            let miss = peer.miss(end, traffic);
            match (peer.block(end), &mut outside) {
                (Some(block), Some((first, blocks))) => {
                    blocks.push(block);
                    if let Some(miss) = misses.get_mut(*first) {
                        miss.finding =
                            format!("{} is in none of {}", address(end), blocks.join(", "));
                    }
                    continue;
                }
                (Some(block), none) => *none = Some((misses.len(), vec![block])),
                (None, _) => {}
            }
            misses.push(miss);
        }
        misses
    }
}

impl Peer {
    fn miss(&self, end: &End<'_>, traffic: Traffic) -> Miss<'_> {
        let mut cite = &self.cite;
        let mut found = Vec::new();
        let mut partly = false;
        for condition in &self.conditions {
            if condition.test.holds(end, traffic) {
                // That it is not excluded brings it no nearer.
                partly |= !matches!(condition.test, Test::NotNets(_) | Test::NotEndpoints(_));
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
        Miss {
            cite,
            partly,
            of_another_sort: self.is_of_another_sort(end),
            by_name: self.is_by_name(),
            finding: joined(found),
        }
    }

    /// The block that the end is outside of, if that is all.
    fn block(&self, end: &End<'_>) -> Option<String> {
        match self.conditions.as_slice() {
            [Condition { test: Test::Nets(nets), .. }, ..] if !end.is_in(nets) => {
                match nets.as_slice() {
                    [net] => Some(net.to_string()),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn is_by_name(&self) -> bool {
        matches!(self.conditions.as_slice(), [Condition { test: Test::DomainNames(_), .. }])
    }

    /// Whether it speaks of addresses and the end is an endpoint, or the other way round.
    fn is_of_another_sort(&self, end: &End<'_>) -> bool {
        let known = end.endpoint.is_some();
        self.conditions.iter().all(|condition| match &condition.test {
            Test::Endpoints(endpoints) => !end.is_known(endpoints),
            Test::Nets(_) | Test::NotNets(_) | Test::Nodes(_) | Test::DomainNames(_) => known,
            Test::NotEndpoints(_) | Test::Service { .. } | Test::Never(_) | Test::Always(_) => {
                false
            }
        })
    }
}

impl Test {
    fn miss(&self, end: &End<'_>) -> String {
        let listed = |nets: &[ipnet::IpNet]| {
            nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Endpoints(endpoints) => {
                joined(end.misses(endpoints, Role::Peer).into_iter().map(|(_, text)| text))
            }
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
            Self::Never(reason) | Self::Always(reason) => (*reason).to_owned(),
            Self::DomainNames(names) => {
                format!("which addresses {} have is not in the text", names.join(", "))
            }
        }
    }
}

impl Port {
    fn miss(
        &self,
        protocol: IpProtocol,
        number: Option<u16>,
        end: &End<'_>,
        what: &str,
        number_name: &str,
    ) -> String {
        if let Some(wanted) = self.protocol.filter(|p| *p != protocol) {
            let same = Self { protocol: None, ..self.clone() };
            return if same.holds(protocol, number, end) {
                format!("the protocol is {protocol}, not {wanted}")
            } else {
                format!("the {what} is {protocol} {number_name}, not {self}")
            };
        }
        match &self.number {
            PortNumber::Named(name) => match end.named_ports(name, protocol).next() {
                Some(port) => format!("the {what} is {number_name}, and {name} of {end} is {port}"),
                None => format!("{end} has no {protocol} port named {name}"),
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

/// Whether the cluster has the address, so that it is no outside name's.
fn is_inside(cluster: &Cluster, ip: IpAddr) -> bool {
    cluster.node_by_address.contains_key(&ip)
        || cluster.pool_of(ip).is_some()
        || cluster.services.iter().any(|service| service.cluster_ips.contains(&ip))
}

/// Several things about an end: it is named but once.
pub(super) fn joined(texts: impl IntoIterator<Item = String>) -> String {
    let mut all = String::new();
    let mut last: Option<String> = None;
    for text in texts {
        let name = text.split(' ').next().filter(|name| name.contains('/')).map(str::to_owned);
        let known = name.is_some() && name == last;
        let rest = text.split_once(' ').map(|(_, rest)| rest).filter(|_| known);
        if !all.is_empty() {
            all.push_str(if known { " and " } else { ", and " });
        }
        all.push_str(rest.unwrap_or(&text));
        last = name;
    }
    all
}
