//! Everybody asked about everybody: who may reach which ports.
//!
//! The same tiers, policies and rules as in [`super::evaluate`], with sets for single answers: what
//! a clause of a selector says of every end is found once, and then a pod's policies are asked
//! about all other ends at the same time. Where an answer depends on more than the two ends, one
//! by one they are asked by the evaluator itself.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Direction;
use super::end::{End, has_own_network};
use super::evaluate::allows;
use super::form::{
    Action, Endpoints, Of, Policy, Port, PortNumber, Rule, Side, Stage, Test, TierDefault, View,
};
use super::rule::{Question, Traffic};
use crate::cluster::{Cluster, Pod, PodId};
use crate::datapath::Protocol;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A pod.
    Pod(PodId),
    /// Whatever has the address.
    Address(IpAddr),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Whose port.
    pub pod: PodId,
    /// Over which protocol.
    pub protocol: Protocol,
    /// Which; without one it is asked about a port that no rule names.
    pub port: Option<u16>,
}

/// Who may reach what, by the policies alone.
#[derive(Clone, Debug)]
pub struct Reach {
    /// For each asker the points that it may reach.
    allowed: Vec<Set>,
}

impl Reach {
    /// Asks for every one of `from` whether it may reach each of `to`.
    pub fn new(cluster: &Cluster, from: &[Peer], to: &[Point]) -> Self {
        let sources: Vec<_> = from.iter().map(|peer| source(cluster, *peer)).collect();
        let points: Vec<_> = to.iter().map(|point| target(cluster, point)).collect();
        // What these ask is more than the tiers know.
        let plain = cluster.policies.profiles.is_empty()
            && sources.iter().all(|source| source.as_host().is_none());
        let mut allowed = if plain && one_family(&sources, &points) {
            at_once(cluster, &sources, &points)
        } else {
            one_by_one(cluster, from, to)
        };
        for (asker, reached) in from.iter().zip(&mut allowed) {
            for (i, point) in to.iter().enumerate() {
                if *asker == Peer::Pod(point.pod) {
                    reached.insert(i);
                }
            }
        }
        Self { allowed }
    }

    /// May the asker at this position reach the point at that one?
    pub fn allows(&self, from: usize, to: usize) -> bool {
        self.allowed.get(from).is_some_and(|reached| reached.has(to))
    }
}

/// Do policies know the pod? Those on the host's network and finished ones they do not.
pub fn polices(pod: &Pod) -> bool {
    has_own_network(pod)
}

/// A point as rules see it.
#[derive(Clone, Copy)]
struct Place<'a> {
    end: End<'a>,
    traffic: Traffic,
}

fn source(cluster: &Cluster, peer: Peer) -> End<'_> {
    match peer {
        Peer::Pod(id) => End::pod(cluster, id, addresses(cluster, id).first().copied()),
        Peer::Address(ip) => End::at(cluster, ip),
    }
}

fn target<'a>(cluster: &'a Cluster, point: &Point) -> Place<'a> {
    let address = addresses(cluster, point.pod).first().copied();
    let traffic = (point.protocol.number(), point.port);
    Place { end: End::pod(cluster, point.pod, address), traffic }
}

fn addresses(cluster: &Cluster, pod: PodId) -> &[IpAddr] {
    cluster.pods.get(pod.0).map_or(&[], |pod| &pod.addresses)
}

/// Do all ends speak one IP version with their first addresses? Otherwise the address that an end
/// uses depends on the other.
fn one_family(sources: &[End<'_>], points: &[Place<'_>]) -> bool {
    let ends = sources.iter().chain(points.iter().map(|p| &p.end));
    let mut families = ends.map(|end| end.address.map(|ip| ip.is_ipv4()));
    let first = families.next().flatten();
    families.all(|family| family == first)
}

fn one_by_one(cluster: &Cluster, from: &[Peer], to: &[Point]) -> Vec<Set> {
    let answer = |peer: &Peer, point: &Point| {
        let theirs = addresses(cluster, point.pod);
        let own: &[IpAddr] = match peer {
            Peer::Pod(id) => addresses(cluster, *id),
            Peer::Address(ip) => std::slice::from_ref(ip),
        };
        let pairs = own.iter().flat_map(|o| theirs.iter().map(move |t| (*o, *t)));
        let (own, address) = match pairs.into_iter().find(|(o, t)| o.is_ipv4() == t.is_ipv4()) {
            Some((own, address)) => (Some(own), Some(address)),
            None => (own.first().copied(), theirs.first().copied()),
        };
        let question = Question {
            source: match peer {
                Peer::Pod(id) => End::pod(cluster, *id, own),
                Peer::Address(ip) => End::at(cluster, *ip),
            },
            destination: End::pod(cluster, point.pod, address),
            protocol: point.protocol.number(),
            source_port: None,
            destination_port: point.port,
        };
        allows(cluster, Direction::Egress, &question)
            && allows(cluster, Direction::Ingress, &question)
    };
    let row = |peer| Set::of(to.iter().map(|point| answer(peer, point)));
    from.iter().map(row).collect()
}

fn at_once(cluster: &Cluster, sources: &[End<'_>], points: &[Place<'_>]) -> Vec<Set> {
    let mut asked_of =
        Sets { cluster, sources, points, clauses: HashMap::new(), ports: HashMap::new() };
    let tiers: Vec<(TierDefault, Vec<Compiled>)> = cluster
        .policies
        .tiers
        .iter()
        .map(|tier| {
            let policies = tier.policies.iter();
            let policies = policies.filter(|p| !p.staged && p.stage == Stage::Normal);
            (tier.default, policies.map(|p| asked_of.policy(p)).collect())
        })
        .collect();
    // What every source may send to, and whom every point lets in.
    let sends: Vec<_> = (0..sources.len())
        .map(|i| {
            walk(&tiers, points.len(), |policy| {
                let rules = policy.egress.as_ref().filter(|_| policy.sources.has(i))?;
                Some((rules, Box::new(move |rule: &Sides| rule.source.has(i)), false))
            })
        })
        .collect();
    let mut allowed = sends;
    for (i, _) in points.iter().enumerate() {
        let lets_in = walk(&tiers, sources.len(), |policy| {
            let rules = policy.ingress.as_ref().filter(|_| policy.points.has(i))?;
            Some((rules, Box::new(move |rule: &Sides| rule.point.has(i)), true))
        });
        if let Some(lets_in) = lets_in {
            for (source, reached) in allowed.iter_mut().enumerate() {
                if !lets_in.has(source) {
                    reached.get_or_insert_with(|| Set::full(points.len())).remove(i);
                }
            }
        }
    }
    allowed.into_iter().map(|set| set.unwrap_or_else(|| Set::full(points.len()))).collect()
}

type Asked<'a> = (&'a Vec<Sides>, Box<dyn Fn(&Sides) -> bool>, bool);

/// The others that one end's policies allow; `None` if nobody restricts it.
fn walk<'a>(
    tiers: &'a [(TierDefault, Vec<Compiled>)],
    others: usize,
    asked: impl Fn(&'a Compiled) -> Option<Asked<'a>>,
) -> Option<Set> {
    let mut answer: Option<(Set, Set)> = None;
    for (default, policies) in tiers {
        let mut in_tier: Option<Set> = None;
        for (rules, applies, ingress) in policies.iter().filter_map(&asked) {
            let (undecided, allowed) =
                answer.get_or_insert_with(|| (Set::full(others), Set::empty(others)));
            let in_tier = in_tier.get_or_insert_with(|| undecided.clone());
            for rule in rules.iter().filter(|rule| applies(rule)) {
                let matched = if ingress { &rule.source } else { &rule.point };
                match rule.action {
                    Action::Allow => {
                        allowed.add(matched, in_tier);
                        undecided.subtract(matched, in_tier);
                    }
                    Action::Deny => undecided.subtract(matched, in_tier),
                    Action::Pass => {}
                    Action::Log => continue,
                }
                in_tier.subtract_all(matched);
            }
        }
        if let (TierDefault::Deny, Some((undecided, _)), Some(left)) =
            (default, &mut answer, in_tier)
        {
            undecided.subtract_all(&left);
        }
    }
    answer.map(|(undecided, mut allowed)| {
        let all = undecided.clone();
        allowed.add(&undecided, &all);
        allowed
    })
}

/// A policy with sets for its selectors.
struct Compiled {
    /// The sources that it selects.
    sources: Set,
    /// The points of pods that it selects.
    points: Set,
    ingress: Option<Vec<Sides>>,
    egress: Option<Vec<Sides>>,
}

/// A rule with sets for its two sides; it matches where both do.
struct Sides {
    action: Action,
    source: Set,
    point: Set,
}

/// Finds the sets, each but once.
struct Sets<'a> {
    cluster: &'a Cluster,
    sources: &'a [End<'a>],
    points: &'a [Place<'a>],
    clauses: HashMap<(View, &'a Of), (Set, Set)>,
    ports: HashMap<(Option<u8>, &'a PortNumber), Set>,
}

impl<'a> Sets<'a> {
    fn policy(&mut self, policy: &'a Policy) -> Compiled {
        let (sources, points) = self.endpoints(&policy.subject);
        let mut rules = |rules: Option<&'a super::form::Rules>| {
            rules.map(|rules| rules.rules.iter().map(|rule| self.rule(rule)).collect())
        };
        let ingress = rules(policy.ingress.as_ref());
        let egress = rules(policy.egress.as_ref());
        Compiled { sources, points, ingress, egress }
    }

    fn rule(&mut self, rule: &'a Rule) -> Sides {
        let mut source = self.side(&rule.source).0;
        if !rule.source.ports.is_empty() {
            // The askers' own ports are random: only a rule for all of them matches.
            let any = |port: &Port| port.number == PortNumber::Any;
            if !rule.source.ports.iter().any(any) {
                source = Set::empty(self.sources.len());
            }
        }
        let mut point = self.side(&rule.destination).1;
        if !rule.destination.ports.is_empty() {
            let mut matched = Set::empty(self.points.len());
            for port in &rule.destination.ports {
                matched.add_all(self.port(port));
            }
            point.intersect(&matched);
        }
        for port in &rule.destination.not_ports {
            let excluded = self.port(port).clone();
            point.subtract_all(&excluded);
        }
        let protocols = self.points.iter().map(|p| {
            rule.protocol.is_none_or(|wanted| wanted == p.traffic.0)
                && rule.not_protocol.is_none_or(|unwanted| unwanted != p.traffic.0)
                && rule.ip_version.is_none_or(|version| {
                    p.end.address.is_none_or(|ip| ip.is_ipv4() == (version == 4))
                })
        });
        if rule.protocol.is_some() || rule.not_protocol.is_some() || rule.ip_version.is_some() {
            point.intersect(&Set::of(protocols));
        }
        Sides { action: rule.action, source, point }
    }

    /// The sources and the points that a side's peers match.
    fn side(&mut self, side: &'a Side) -> (Set, Set) {
        if side.peers.is_empty() {
            return (Set::full(self.sources.len()), Set::full(self.points.len()));
        }
        let mut matched = (Set::empty(self.sources.len()), Set::empty(self.points.len()));
        for peer in &side.peers {
            let mut all = (Set::full(self.sources.len()), Set::full(self.points.len()));
            for condition in &peer.conditions {
                let holds = self.test(&condition.test);
                all.0.intersect(&holds.0);
                all.1.intersect(&holds.1);
            }
            matched.0.add_all(&all.0);
            matched.1.add_all(&all.1);
        }
        matched
    }

    fn test(&mut self, test: &'a Test) -> (Set, Set) {
        // Several things can have an address where there are network sets.
        let alone = |e: &Endpoints| {
            e.view == View::Kubernetes || self.cluster.policies.network_sets.is_empty()
        };
        if let Test::Endpoints(endpoints) = test
            && alone(endpoints)
        {
            return self.endpoints(endpoints);
        }
        (
            Set::of(self.sources.iter().map(|end| test.holds(end, (0, None)))),
            Set::of(self.points.iter().map(|place| test.holds(&place.end, place.traffic))),
        )
    }

    /// The ends that all clauses hold of.
    fn endpoints(&mut self, endpoints: &'a Endpoints) -> (Set, Set) {
        let known = |end: &End<'_>| end.is_endpoint_of(endpoints.view);
        let mut all = (
            Set::of(self.sources.iter().map(known)),
            Set::of(self.points.iter().map(|place| known(&place.end))),
        );
        for clause in &endpoints.clauses {
            let holds = |end: &End<'_>| end.is_endpoint_with(endpoints.view, clause);
            let found = self.clauses.entry((endpoints.view, &clause.of)).or_insert_with(|| {
                (
                    Set::of(self.sources.iter().map(holds)),
                    Set::of(self.points.iter().map(|place| holds(&place.end))),
                )
            });
            all.0.intersect(&found.0);
            all.1.intersect(&found.1);
        }
        all
    }

    fn port(&mut self, port: &'a Port) -> &Set {
        self.ports.entry((port.protocol, &port.number)).or_insert_with(|| {
            let holds =
                |place: &Place<'_>| port.holds(place.traffic.0, place.traffic.1, &place.end);
            Set::of(self.points.iter().map(holds))
        })
    }
}

/// A set of small numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Set(Vec<u64>);

impl Set {
    fn empty(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)])
    }

    /// All numbers below `size`, and what fills its last word: never asked for.
    fn full(size: usize) -> Self {
        Self(vec![u64::MAX; size.div_ceil(64)])
    }

    fn of(members: impl ExactSizeIterator<Item = bool>) -> Self {
        let mut set = Self::empty(members.len());
        for (i, _) in members.enumerate().filter(|(_, member)| *member) {
            set.insert(i);
        }
        set
    }

    fn has(&self, i: usize) -> bool {
        self.0.get(i / 64).is_some_and(|word| word >> (i % 64) & 1 == 1)
    }

    fn insert(&mut self, i: usize) {
        if let Some(word) = self.0.get_mut(i / 64) {
            *word |= 1 << (i % 64);
        }
    }

    fn remove(&mut self, i: usize) {
        if let Some(word) = self.0.get_mut(i / 64) {
            *word &= !(1 << (i % 64));
        }
    }

    fn intersect(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
    }

    fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    fn subtract_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= !b);
    }

    /// Adds what is in both.
    fn add(&mut self, one: &Self, other: &Self) {
        let words = self.0.iter_mut().zip(one.0.iter().zip(&other.0));
        words.for_each(|(a, (b, c))| *a |= b & c);
    }

    /// Removes what is in both.
    fn subtract(&mut self, one: &Self, other: &Self) {
        let words = self.0.iter_mut().zip(one.0.iter().zip(&other.0));
        words.for_each(|(a, (b, c))| *a &= !(b & c));
    }
}
