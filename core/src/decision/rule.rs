//! Does a rule match a packet, and what of it does?

use super::end::End;
use super::finding::{Finding, Held, RuleRef};
use super::holds::{Question, containing, node, peer_match, port_holds, traffic_matches};
use super::miss::note_misses;
use super::note::{Distance, Note};
use crate::policy::form::{Peer, Rule, Test};
use crate::text::Cite;

/// Does it match? Tells the place that did, and notes everything that was looked at.
pub(super) fn matching<'a, N: Note>(
    rule: &'a Rule,
    q: &Question<'_>,
    notes: &mut Vec<N>,
) -> Option<&'a Cite> {
    let traffic = traffic_matches(rule, q);
    if !traffic && !N::KEPT {
        return None;
    }
    let source = peer_match(&rule.source, &q.source, q.source_traffic());
    let destination = peer_match(&rule.destination, &q.destination, q.destination_traffic());
    if !(traffic && source.matches() && destination.matches()) {
        if N::KEPT {
            note_misses(rule, q, traffic, notes);
        }
        return None;
    }
    let named = || RuleRef { cite: rule.cite.clone(), action: rule.action };
    let peers = [(source, &q.source), (destination, &q.destination)];
    let mut place = None;
    for (peer, end) in peers.into_iter().filter_map(|(m, end)| Some((m.peer()?, end))) {
        place.get_or_insert(&peer.cite);
        notes.push(N::new(true, Distance::None, &peer.cite, || Finding::Peer {
            rule: named(),
            end: end.seen(),
            holds: held(peer, end),
        }));
    }
    if place.is_none() {
        let finding = || Finding::AnyPeer { rule: named() };
        notes.push(N::new(true, Distance::None, &rule.cite, finding));
    }
    let traffic = q.destination_traffic();
    let mut ports = rule.destination.ports.iter();
    if let Some(port) = ports.find(|port| port_holds(port, traffic, &q.destination)) {
        let finding = || Finding::Port { rule: named(), port: port.clone(), traffic };
        notes.push(N::new(true, Distance::None, &port.cite, finding));
    }
    Some(place.unwrap_or(&rule.cite))
}

/// What of a peer that matches holds.
fn held(peer: &Peer, end: &End<'_>) -> Vec<Held> {
    let held = |test: &Test| match test {
        Test::Endpoints(endpoints) => {
            let (who, terms) = end.held(endpoints)?;
            Some(Held::Endpoint { who, terms })
        }
        Test::Nets(nets) => end.address.and_then(|ip| containing(nets, ip)).copied().map(Held::Net),
        Test::Nodes(selector) => {
            let node = node(end)?.name.clone();
            Some(Held::Node { node, selector: selector.clone() })
        }
        Test::Service { namespace, name, .. } => {
            Some(Held::Service { namespace: namespace.clone(), name: name.clone() })
        }
        Test::Always => Some(Held::Unknown),
        Test::NotEndpoints(_) | Test::NotNets(_) | Test::Never | Test::DomainNames(_) => None,
    };
    peer.conditions.iter().filter_map(|condition| held(&condition.test)).collect()
}
