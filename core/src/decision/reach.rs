//! Everybody asked about everybody: who may reach which ports.
//!
//! The same tiers, policies, rules and profiles as in [`super::evaluate`], with sets for single
//! answers: what a rule says of every end is found once, and then an end's policies are asked about
//! all other ends at the same time. Ends that are asked by the same rules are asked but once.

mod compile;
mod ends;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use self::compile::{Ask, Compiled, Rule};
pub use self::ends::{Peer, Point};
use super::end::{End, has_own_network};
use super::evaluate::allows;
use super::flows::exempt;
use super::holds::Question;
use super::set::{Set, intersect_transposed};
use crate::cluster::{Cluster, NodeId, Pod, PodId, Sender};
use crate::net::{Direction, Family, InFamily};
use crate::policy::form::{Action, TierDefault};

/// Who may reach what, by the policies alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// For each asker the points that it may reach.
    allowed: Vec<Set>,
}

impl Reach {
    /// Asks for every one of `from` whether it may reach each of `to`.
    pub fn new(cluster: &Cluster, from: &[Peer], to: &[Point]) -> Self {
        let mut allowed = vec![Set::empty(to.len()); from.len()];
        for (family, asked) in by_family(cluster, from, to) {
            let answers = at_once(cluster, from, to, family);
            for (askers, points) in asked {
                for i in askers {
                    if let (Some(allowed), Some(answers)) = (allowed.get_mut(i), answers.get(i)) {
                        allowed.add_common(answers, &points);
                    }
                }
            }
        }
        let mut own: HashMap<PodId, Vec<usize>> = HashMap::new();
        let mut local: HashMap<NodeId, Vec<usize>> = HashMap::new();
        for (i, point) in to.iter().enumerate() {
            own.entry(point.pod).or_default().push(i);
            if let Some(pod) = cluster.pod(point.pod) {
                local.entry(pod.node).or_default().push(i);
            }
        }
        for (asker, allowed) in from.iter().zip(&mut allowed) {
            let found = end(cluster, *asker, None);
            if found.address.is_none() || found.as_host().is_some() {
                *allowed = one_by_one(cluster, *asker, to);
            }
            let (pod, node) = match sender(cluster, *asker) {
                Sender::Pod(pod) => (Some(pod), None),
                Sender::Process(node, pod) => (pod, Some(node)),
                Sender::HostEndpoint(_) | Sender::Outside(_) => (None, None),
            };
            let itself = pod.and_then(|pod| own.get(&pod)).into_iter().flatten();
            let its_nodes = node.and_then(|node| local.get(&node)).into_iter().flatten();
            itself.chain(its_nodes).for_each(|point| allowed.insert(*point));
        }
        Self { allowed }
    }

    /// May the asker at this position reach the point at that one?
    pub fn allows(&self, from: usize, to: usize) -> bool {
        self.allowed.get(from).is_some_and(|reached| reached.has(to))
    }

    /// The points that the asker at this position may reach.
    pub(crate) fn of(&self, from: usize) -> Option<&Set> {
        self.allowed.get(from)
    }
}

/// Do policies know the pod? Those on the host's network and finished ones they do not.
pub fn polices(pod: &Pod) -> bool {
    has_own_network(pod)
}

fn sender(cluster: &Cluster, peer: Peer) -> Sender {
    match peer {
        Peer::Pod(id) => cluster.sending(id),
        Peer::Address(ip) => cluster.sender_at(ip),
    }
}

/// An end that uses its first address of a family, or its first one.
fn end(cluster: &Cluster, peer: Peer, family: Option<Family>) -> End<'_> {
    let own = addresses(cluster, &peer);
    let address = own.iter().find(|ip| family.is_none_or(|family| family == ip.family()));
    let address = address.or(own.first()).copied();
    match peer {
        Peer::Pod(id) => End::pod(cluster, id, address),
        Peer::Address(ip) => End::at(cluster, ip),
    }
}

fn addresses<'a>(cluster: &'a Cluster, peer: &'a Peer) -> &'a [IpAddr] {
    match peer {
        Peer::Pod(id) => cluster.pods.get(id.0).map_or(&[], |pod| &pod.addresses),
        Peer::Address(ip) => std::slice::from_ref(ip),
    }
}

/// Askers, and the points that they ask for with the same family of addresses.
type Asked = Vec<(Vec<usize>, Set)>;

/// Who asks whom over IPv4 and who over IPv6: the first of the point's families that both have.
/// `None` where they have none in common.
fn by_family(cluster: &Cluster, from: &[Peer], to: &[Point]) -> BTreeMap<Option<Family>, Asked> {
    let families = |peer: &Peer| {
        let mut families: Vec<Family> =
            addresses(cluster, peer).iter().map(InFamily::family).collect();
        families.dedup();
        families
    };
    let mut askers: BTreeMap<Vec<Family>, Vec<usize>> = BTreeMap::new();
    for (i, peer) in from.iter().enumerate() {
        askers.entry(families(peer)).or_default().push(i);
    }
    let mut points: BTreeMap<Vec<Family>, Set> = BTreeMap::new();
    for (i, point) in to.iter().enumerate() {
        let of = families(&Peer::Pod(point.pod));
        points.entry(of).or_insert_with(|| Set::empty(to.len())).insert(i);
    }
    let mut asked: BTreeMap<Option<Family>, Asked> = BTreeMap::new();
    for (own, askers) in &askers {
        for (theirs, points) in &points {
            let common = theirs.iter().copied().find(|family| own.contains(family));
            asked.entry(common).or_default().push((askers.clone(), points.clone()));
        }
    }
    asked
}

/// What one asker may reach, as the evaluator says.
fn one_by_one(cluster: &Cluster, from: Peer, to: &[Point]) -> Set {
    let mut reached = Set::empty(to.len());
    let sender = sender(cluster, from);
    for (i, point) in to.iter().enumerate() {
        let peer = Peer::Pod(point.pod);
        let own = addresses(cluster, &from);
        let mut families = addresses(cluster, &peer).iter().map(InFamily::family);
        let common = families.find(|family| own.iter().any(|ip| ip.family() == *family));
        let question = Question {
            source: end(cluster, from, common),
            destination: end(cluster, peer, common),
            protocol: point.protocol.number(),
            source_port: None,
            destination_port: point.port,
        };
        if exempt(cluster, &sender, point.pod).is_some()
            || (allows(cluster, Direction::Egress, &question)
                && allows(cluster, Direction::Ingress, &question))
        {
            reached.insert(i);
        }
    }
    reached
}

/// For each asker the points that it may reach, if all of them use addresses of one family. It is
/// no answer for askers that are host endpoints or have no address.
fn at_once(cluster: &Cluster, from: &[Peer], to: &[Point], family: Option<Family>) -> Vec<Set> {
    let compiled = Compiled::new(cluster, from, to, |peer| end(cluster, peer, family));
    let sends = answers(&compiled, Direction::Egress, from.len(), to.len());
    let lets_in = answers(&compiled, Direction::Ingress, to.len(), from.len());
    let everything = Set::full(to.len());
    let mut allowed: Vec<Set> =
        sends.iter().map(|reached| reached.unwrap_or(&everything).clone()).collect();
    intersect_transposed(&mut allowed, &lets_in.iter().collect::<Vec<_>>());
    allowed
}

/// For each end the others that its policies allow.
struct Answers {
    /// Positions in `sets`; `None` where nobody is asked.
    of: Vec<Option<usize>>,
    sets: Vec<Set>,
}

impl Answers {
    fn iter(&self) -> impl Iterator<Item = Option<&Set>> {
        self.of.iter().map(|at| at.and_then(|at| self.sets.get(at)))
    }
}

fn answers(compiled: &Compiled, direction: Direction, ends: usize, others: usize) -> Answers {
    let mut known: HashMap<Vec<Ask>, usize> = HashMap::new();
    let mut sets = Vec::new();
    let of = compiled
        .asks(direction, ends)
        .map(|asks| {
            let answer = |asks: &Vec<Ask>| {
                sets.push(decide(&compiled.rules, asks, direction, others));
                sets.len() - 1
            };
            (!asks.is_empty()).then(|| *known.entry(asks).or_insert_with_key(answer))
        })
        .collect();
    Answers { of, sets }
}

/// The others that are allowed, once an end's tiers are asked about all of them.
fn decide(rules: &[Rule], asks: &[Ask], direction: Direction, others: usize) -> Set {
    let mut undecided = Set::full(others);
    let mut allowed = Set::empty(others);
    for tier in asks.chunk_by(|_, next| matches!(next, Ask::Rule(_))) {
        let mut left = undecided.clone();
        for rule in tier.iter().filter_map(|ask| ask.rule(rules)) {
            let matched = rule.ends.others(direction);
            match rule.action {
                Action::Allow => {
                    allowed.add_common(matched, &left);
                    undecided.remove_common(matched, &left);
                }
                Action::Deny => undecided.remove_common(matched, &left),
                Action::Pass => {}
                Action::Log => continue,
            }
            left.remove(matched);
        }
        if let Some(Ask::Tier(TierDefault::Deny)) = tier.first() {
            undecided.remove(&left);
        }
    }
    allowed.add(&undecided);
    allowed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::allowed;
    use super::super::random::{ADDRESSES, PODS, PORTS, reading, texts};
    use super::*;
    use crate::Flow;
    use crate::net::Protocol;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn everybody_at_once_is_everybody_one_by_one(text in texts()) {
            let cluster = reading(&text).cluster;
            let pods = PODS.map(|name| {
                let (namespace, name) = name.split_once('/').unwrap();
                let named = |pod: &Pod| pod.namespace == namespace && pod.name == name;
                PodId(cluster.pods.iter().position(named).unwrap())
            });
            let addresses = ADDRESSES.map(|ip| Peer::Address(ip.parse().unwrap()));
            let from: Vec<_> = pods.map(Peer::Pod).into_iter().chain(addresses).collect();
            let names: Vec<_> = PODS.map(|pod| format!("pod/{pod}")).into_iter()
                .chain(ADDRESSES.map(|ip| format!("ip/{ip}"))).collect();
            let mut to = Vec::new();
            let mut targets = Vec::new();
            for (pod, name) in pods.into_iter().zip(PODS) {
                for port in PORTS {
                    let flow: Flow = format!("ip/1.1.1.1 -> pod/{name}:{port}").parse().unwrap();
                    let number = port.split('/').next().unwrap().parse().ok();
                    to.push(Point { pod, protocol: flow.protocol, port: number });
                    targets.push(format!("pod/{name}:{port}"));
                }
                to.push(Point { pod, protocol: Protocol::Tcp, port: None });
                targets.push(String::new());
            }
            let reach = Reach::new(&cluster, &from, &to);
            for (i, (peer, name)) in from.iter().zip(&names).enumerate() {
                let alone = one_by_one(&cluster, *peer, &to);
                for (j, (point, target)) in to.iter().zip(&targets).enumerate() {
                    let found = reach.allows(i, j);
                    prop_assert_eq!(found, alone.has(j), "{} -> {:?}\n{}", name, point, text);
                    if point.port.is_some() {
                        let flow: Flow = format!("{name} -> {target}").parse().unwrap();
                        // A flow to or from a finished pod is no question.
                        let gone = [name, target].iter().any(|end| end.starts_with("pod/one/gone"));
                        let found = (!gone).then_some(found);
                        prop_assert_eq!(found, allowed(&cluster, &flow), "{}\n{}", flow, text);
                    }
                }
            }
        }
    }
}
