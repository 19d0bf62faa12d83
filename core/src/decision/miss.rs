//! Why a rule does not match a packet.

use std::net::IpAddr;

use ipnet::IpNet;

use super::end::{End, Role};
use super::finding::{Finding, Miss, PortOf, RuleRef, Traffic, TrafficMiss, Unknown, Unmet};
use super::holds::{
    Question, containing, has_some_of_a_clients, node, number_holds, peer_match, port_holds,
    ports_match, protocol_matches, test_holds, traffic_matches,
};
use super::note::{Distance, Note};
use crate::cluster::Cluster;
use crate::policy::form::{Action, Condition, Peer, PortNumber, Rule, Side, Test};
use crate::text::Cite;

/// Notes everything that does not match; `traffic`: whether protocol and ports do.
pub(super) fn note_misses<N: Note>(
    rule: &Rule,
    q: &Question<'_>,
    traffic: bool,
    notes: &mut Vec<N>,
) {
    let named = || RuleRef { cite: rule.cite.clone(), action: rule.action };
    let traffic_miss = (!traffic).then(|| traffic_miss(rule, q)).flatten();
    let mut peers_match = true;
    let mut peers = false;
    for (side, end, at) in [
        (&rule.source, &q.source, q.source_traffic()),
        (&rule.destination, &q.destination, q.destination_traffic()),
    ] {
        peers |= !side.peers.is_empty();
        if peer_match(side, end, at).matches() {
            continue;
        }
        peers_match = false;
        for miss in side_misses(side, end, at) {
            let distance = match (&traffic_miss, miss.partly) {
                _ if matches!(rule.action, Action::Deny | Action::Log) => Distance::Moot,
                _ if miss.of_another_sort => Distance::Sort,
                (Some(_), _) => Distance::Both,
                (None, true) => Distance::Part,
                (None, false) => Distance::Peer,
            };
            let note = N::new(false, distance, miss.cite, || Finding::NoPeer {
                rule: named(),
                end: end.seen(),
                misses: miss.misses,
                traffic: traffic_miss.as_ref().map(|(_, miss)| miss.clone()),
            });
            let unsure = miss.by_name && might_match(rule, q);
            notes.push(if unsure { note.unsure(rule.action, Unknown::Name) } else { note });
        }
    }
    if let (true, Some((cite, miss))) = (peers_match, traffic_miss) {
        let distance = match rule.action {
            Action::Deny | Action::Log => Distance::Moot,
            Action::Allow | Action::Pass => Distance::Port,
        };
        let finding = || Finding::NoPort { rule: named(), peers, miss };
        let note = N::new(false, distance, cite, finding);
        let unsure = depends_on_source_port(rule, q);
        notes.push(if unsure { note.unsure(rule.action, Unknown::SourcePort) } else { note });
    }
}

/// Would it match if the client sent from one of the ports that it speaks of?
fn depends_on_source_port(rule: &Rule, q: &Question<'_>) -> bool {
    let mut ports = rule.source.ports.iter().chain(&rule.source.not_ports);
    q.source_port.is_none()
        && ports.any(|port| {
            has_some_of_a_clients(port) && port.protocol.is_none_or(|p| p == q.protocol)
        })
        && protocol_matches(rule, q)
        && ports_match(&rule.destination, q.destination_traffic(), &q.destination)
}

/// Would it match if a domain name had the address?
fn might_match(rule: &Rule, q: &Question<'_>) -> bool {
    // Those of pods, services and nodes are not what such rules are for.
    let end = &q.destination;
    let outside =
        end.endpoint.is_none() && end.address.is_some_and(|ip| !is_inside(end.cluster, ip));
    outside
        && traffic_matches(rule, q)
        && peer_match(&rule.source, &q.source, q.source_traffic()).matches()
        && rule.destination.peers.iter().any(is_by_name)
}

/// Why protocol and ports do not match, and where that stands.
fn traffic_miss<'a>(rule: &'a Rule, q: &Question<'_>) -> Option<(&'a Cite, TrafficMiss)> {
    if let Some(wanted) = rule.ip_version.filter(|v| q.ip_version() != Some(*v)) {
        return Some((&rule.cite, TrafficMiss::IpVersion(wanted)));
    }
    if let Some(wanted) = rule.protocol.filter(|p| *p != q.protocol) {
        return Some((&rule.cite, TrafficMiss::Protocol { found: q.protocol, wanted }));
    }
    if rule.not_protocol == Some(q.protocol) {
        return Some((&rule.cite, TrafficMiss::NotProtocol(q.protocol)));
    }
    let sides = [
        (&rule.destination, q.destination_traffic(), &q.destination, PortOf::Destination),
        (&rule.source, q.source_traffic(), &q.source, PortOf::Source),
    ];
    sides.into_iter().find_map(|(side, found, end, of)| {
        if let Some(port) = side.not_ports.iter().find(|port| port_holds(port, found, end)) {
            let unwanted = port.clone();
            return Some((&port.cite, TrafficMiss::NotPort { side: of, found, unwanted }));
        }
        if ports_match(side, found, end) {
            return None;
        }
        let cite = side.ports.first().map_or(&rule.cite, |port| &port.cite);
        Some((cite, port_miss(side, found, end, of)))
    })
}

/// Why the port is none of the side's.
fn port_miss(side: &Side, found: Traffic, end: &End<'_>, of: PortOf) -> TrafficMiss {
    let mut named = None;
    if let [port] = side.ports.as_slice() {
        let other = port.protocol.filter(|wanted| *wanted != found.protocol);
        if let Some(wanted) = other.filter(|_| number_holds(port, found, end)) {
            return TrafficMiss::Protocol { found: found.protocol, wanted };
        }
        if let PortNumber::Named(name) = &port.number {
            named = end.named_ports(name, found.protocol).next();
        }
    }
    TrafficMiss::Port { side: of, found, wanted: side.ports.clone(), end: end.seen(), named }
}

/// Why a peer does not match.
struct PeerMiss<'a> {
    /// Where that stands.
    cite: &'a Cite,
    /// Whether another part of it matches.
    partly: bool,
    /// Whether it speaks of addresses and the end is an endpoint, or the other way round.
    of_another_sort: bool,
    /// Whether it speaks of domain names.
    by_name: bool,
    misses: Vec<Miss>,
}

/// Why none of the side's peers matches; of several blocks of addresses it is but one thing to say.
fn side_misses<'a>(side: &'a Side, end: &End<'_>, traffic: Traffic) -> Vec<PeerMiss<'a>> {
    let mut misses: Vec<PeerMiss<'_>> = Vec::new();
    let mut outside: Option<(usize, Vec<IpNet>)> = None;
    for peer in &side.peers {
        let miss = peer_miss(peer, end, traffic);
        match (block(peer, end), &mut outside) {
            (Some(block), Some((first, blocks))) => {
                blocks.push(block);
                if let Some(miss) = misses.get_mut(*first) {
                    let (cite, unmet) = (miss.cite.clone(), Unmet::Blocks(blocks.clone()));
                    miss.misses = vec![Miss { cite, unmet }];
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

fn peer_miss<'a>(peer: &'a Peer, end: &End<'_>, traffic: Traffic) -> PeerMiss<'a> {
    let mut cite = &peer.cite;
    let mut misses = Vec::new();
    let mut partly = false;
    for condition in &peer.conditions {
        if test_holds(&condition.test, end, traffic) {
            // That it is not excluded brings it no nearer.
            partly |= !matches!(condition.test, Test::NotNets(_) | Test::NotEndpoints(_));
            continue;
        }
        match &condition.test {
            Test::Endpoints(endpoints) => {
                let found = end.misses(endpoints, Role::Peer);
                partly |= end.is_known(endpoints) && found.len() < endpoints.terms.len();
                for (term, unmet) in found {
                    if misses.is_empty() {
                        cite = &term.cite;
                    }
                    misses.push(Miss { cite: term.cite.clone(), unmet });
                }
            }
            test => {
                if misses.is_empty() {
                    cite = &condition.cite;
                }
                let unmet = unmet(test, end);
                misses.extend(unmet.map(|unmet| Miss { cite: condition.cite.clone(), unmet }));
            }
        }
    }
    PeerMiss {
        cite,
        partly,
        of_another_sort: is_of_another_sort(peer, end),
        by_name: is_by_name(peer),
        misses,
    }
}

/// The block that the end is outside of, if that is all.
fn block(peer: &Peer, end: &End<'_>) -> Option<IpNet> {
    match peer.conditions.as_slice() {
        [Condition { test: Test::Nets(nets), .. }, ..] if !end.is_in(nets) => match nets.as_slice()
        {
            [net] => Some(*net),
            _ => None,
        },
        _ => None,
    }
}

fn is_by_name(peer: &Peer) -> bool {
    matches!(peer.conditions.as_slice(), [Condition { test: Test::DomainNames(_), .. }])
}

/// Whether it speaks of addresses and the end is an endpoint, or the other way round.
fn is_of_another_sort(peer: &Peer, end: &End<'_>) -> bool {
    let known = end.endpoint.is_some();
    peer.conditions.iter().all(|condition| match &condition.test {
        Test::Endpoints(endpoints) => !end.is_known(endpoints),
        Test::Nets(_) | Test::NotNets(_) | Test::Nodes(_) | Test::DomainNames(_) => known,
        Test::NotEndpoints(_) | Test::Service { .. } | Test::Never | Test::Always => false,
    })
}

/// What a test that does not hold asks, and what there is instead. Endpoints tell it themselves,
/// term by term.
fn unmet(test: &Test, end: &End<'_>) -> Option<Unmet> {
    Some(match test {
        Test::Endpoints(_) | Test::Always => return None,
        Test::NotEndpoints(endpoints) => {
            let (who, terms) = end.held(endpoints)?;
            Unmet::Excluded { who, terms }
        }
        Test::Nets(nets) => Unmet::Nets(nets.clone()),
        Test::NotNets(nets) => Unmet::Except(*containing(nets, end.address?)?),
        Test::Nodes(selector) => {
            let node = node(end);
            Unmet::Node {
                node: node.map(|node| node.name.clone()),
                labels: node.and_then(|node| selector.miss(&node.labels)),
            }
        }
        Test::Service { namespace, name, with_port } => Unmet::Service {
            namespace: namespace.clone(),
            name: name.clone(),
            with_port: *with_port,
        },
        Test::Never => Unmet::Unknown,
        Test::DomainNames(names) => Unmet::DomainNames(names.clone()),
    })
}

/// Whether the cluster has the address, so that it is no outside name's.
fn is_inside(cluster: &Cluster, ip: IpAddr) -> bool {
    cluster.node_by_address.contains_key(&ip)
        || cluster.is_pod_range(ip)
        || cluster.services.iter().any(|service| service.cluster_ips.contains(&ip))
}
