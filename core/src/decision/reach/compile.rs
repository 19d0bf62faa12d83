//! The policies with sets in place of selectors, nets and ports: what each says of every end.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::ops::Range;

use ipnet::IpNet;

use super::super::end::{End, Endpoint, Role, own_profiles, profiles};
use super::super::finding::Traffic;
use super::super::holds::{port_holds, ports_match, test_holds};
use super::super::set::Set;
use super::ends::{Peer, Point};
use crate::cluster::{Cluster, Pod};
use crate::net::{Direction, IpProtocol, Selector};
use crate::policy::form::{
    self, Action, Endpoints, NetworkSet, PortNumber, Requirement, Stage, Test, TierDefault, View,
};

/// A rule; it matches where both its sides do.
pub(super) struct Rule {
    pub(super) action: Action,
    pub(super) ends: Both,
}

/// What an end is asked, one after another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ask {
    /// A tier that ends so; its rules follow.
    Tier(TierDefault),
    /// The rule at this position, which speaks of the end.
    Rule(usize),
}

impl Ask {
    pub(super) fn rule<'r>(&self, rules: &'r [Rule]) -> Option<&'r Rule> {
        match self {
            Self::Rule(at) => rules.get(*at),
            Self::Tier(_) => None,
        }
    }
}

/// Every policy and profile that decides the traffic of pods.
pub(super) struct Compiled {
    pub(super) rules: Vec<Rule>,
    /// In the order in which they are asked.
    policies: Vec<Policy>,
}

/// A policy, or a profile: it is one of a last tier.
struct Policy {
    /// The position of its tier.
    tier: usize,
    default: TierDefault,
    subjects: Both,
    /// Positions of its rules; `None` for a direction of which it does not speak.
    egress: Option<Range<usize>>,
    ingress: Option<Range<usize>>,
}

impl Policy {
    fn rules(&self, direction: Direction) -> Option<Range<usize>> {
        match direction {
            Direction::Egress => self.egress.clone(),
            Direction::Ingress => self.ingress.clone(),
        }
    }
}

/// Some of those who ask (sources) and some of what is asked for (points).
#[derive(Clone)]
pub(super) struct Both {
    sources: Set,
    points: Set,
}

impl Both {
    /// Those whose policies are asked.
    fn asked(&self, direction: Direction) -> &Set {
        match direction {
            Direction::Egress => &self.sources,
            Direction::Ingress => &self.points,
        }
    }

    /// Those at the other side.
    pub(super) fn others(&self, direction: Direction) -> &Set {
        match direction {
            Direction::Egress => &self.points,
            Direction::Ingress => &self.sources,
        }
    }

    fn intersect(&mut self, other: &Self) {
        self.sources.intersect(&other.sources);
        self.points.intersect(&other.points);
    }

    fn add(&mut self, other: &Self) {
        self.sources.add(&other.sources);
        self.points.add(&other.points);
    }

    fn remove(&mut self, other: &Self) {
        self.sources.remove(&other.sources);
        self.points.remove(&other.points);
    }
}

impl Compiled {
    /// What the policies say of these; `end` is what a peer is.
    pub(super) fn new<'a>(
        cluster: &'a Cluster,
        from: &[Peer],
        to: &[Point],
        end: impl Fn(Peer) -> End<'a>,
    ) -> Self {
        let mut compiler = Compiler::new(cluster, from, to, end);
        let mut policies = Vec::new();
        let tiers = &cluster.policies.tiers;
        for (tier, form::Tier { default, policies: found, .. }) in tiers.iter().enumerate() {
            for policy in found.iter().filter(|p| p.staged.is_none() && p.stage == Stage::Normal) {
                policies.push(Policy {
                    tier,
                    default: *default,
                    subjects: compiler.endpoints(&policy.subject, Role::Subject),
                    egress: policy.egress.as_ref().map(|rules| compiler.rules(rules)),
                    ingress: policy.ingress.as_ref().map(|rules| compiler.rules(rules)),
                });
            }
        }
        policies.extend(compiler.profiles(tiers.len()));
        Self { rules: compiler.rules, policies }
    }

    /// What each of the sources (egress) or of the points (ingress) is asked, of which there are
    /// `ends`. One that nobody asks may do everything.
    pub(super) fn asks(&self, direction: Direction, ends: usize) -> impl Iterator<Item = Vec<Ask>> {
        let mut asked: Vec<Vec<&Policy>> = vec![Vec::new(); ends];
        for policy in self.policies.iter().filter(|p| p.rules(direction).is_some()) {
            for at in policy.subjects.asked(direction).members() {
                if let Some(asked) = asked.get_mut(at) {
                    asked.push(policy);
                }
            }
        }
        asked.into_iter().enumerate().map(move |(end, policies)| {
            let speaks = |at: &usize| {
                self.rules.get(*at).is_some_and(|rule| rule.ends.asked(direction).has(end))
            };
            let mut asks = Vec::new();
            for tier in policies.chunk_by(|a, b| a.tier == b.tier) {
                asks.extend(tier.first().map(|policy| Ask::Tier(policy.default)));
                let rules = tier.iter().filter_map(|policy| policy.rules(direction)).flatten();
                asks.extend(rules.filter(speaks).map(Ask::Rule));
            }
            asks
        })
    }
}

/// Ends that a question can't tell apart: one of them, and the places of all.
struct Class<'a> {
    end: End<'a>,
    sources: Vec<usize>,
    points: Vec<usize>,
}

/// Every end once.
fn classes<'a>(from: &[Peer], to: &[Point], end: impl Fn(Peer) -> End<'a>) -> Vec<Class<'a>> {
    let mut found: HashMap<Peer, usize> = HashMap::new();
    let mut classes: Vec<Class<'a>> = Vec::new();
    let points = to.iter().map(|point| Peer::Pod(point.pod));
    let sources = from.iter().copied().enumerate().map(|(at, peer)| (peer, Some(at), None));
    let places = sources.chain(points.enumerate().map(|(at, peer)| (peer, None, Some(at))));
    for (peer, source, point) in places {
        let at = *found.entry(peer).or_insert(classes.len());
        if at == classes.len() {
            classes.push(Class { end: end(peer), sources: Vec::new(), points: Vec::new() });
        }
        if let Some(class) = classes.get_mut(at) {
            class.sources.extend(source);
            class.points.extend(point);
        }
    }
    classes
}

/// The pods among `classes`, those together that have the same key.
fn merged<'a, K: Eq + Hash>(classes: &[Class<'a>], key: impl Fn(&'a Pod) -> K) -> Vec<Class<'a>> {
    let mut found: HashMap<K, usize> = HashMap::new();
    let mut merged: Vec<Class<'a>> = Vec::new();
    for class in classes {
        let Some(pod) = class.end.as_pod() else { continue };
        let at = *found.entry(key(pod)).or_insert(merged.len());
        match merged.get_mut(at) {
            Some(known) => {
                known.sources.extend(&class.sources);
                known.points.extend(&class.points);
            }
            None => merged.push(Class {
                end: class.end,
                sources: class.sources.clone(),
                points: class.points.clone(),
            }),
        }
    }
    merged
}

/// The members of the classes of which something holds; `size` is how many sources and points
/// there are.
fn members<'a>(
    size: (usize, usize),
    classes: &[Class<'a>],
    holds: impl Fn(&End<'a>) -> bool,
) -> Both {
    let mut found = Both { sources: Set::empty(size.0), points: Set::empty(size.1) };
    for class in classes.iter().filter(|class| holds(&class.end)) {
        class.sources.iter().for_each(|at| found.sources.insert(*at));
        class.points.iter().for_each(|at| found.points.insert(*at));
    }
    found
}

/// Finds what tests say of all ends, each test but once.
struct Compiler<'a> {
    cluster: &'a Cluster,
    rules: Vec<Rule>,
    /// How many sources and points there are.
    size: (usize, usize),
    /// What is asked of each point.
    traffic: Vec<Traffic>,
    /// The points of each protocol.
    protocols: BTreeMap<IpProtocol, Set>,
    ends: Vec<Class<'a>>,
    pods: Both,
    /// Pods by what a term can ask of them: where they are, their own labels, or anything.
    namespaces: Vec<Class<'a>>,
    labels: Vec<Class<'a>>,
    identities: Vec<Class<'a>>,
    /// The ends in each of the cluster's network sets.
    network_sets: Vec<Both>,
    terms: HashMap<(View, &'a Requirement), Both>,
    tests: HashMap<Asked<'a>, Both>,
    ports: HashMap<(Option<IpProtocol>, &'a PortNumber), Set>,
}

/// A test of an end's address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Asked<'a> {
    Nets(&'a [IpNet]),
    Nodes(&'a Selector),
    Service(&'a str, &'a str, bool),
}

impl<'a> Compiler<'a> {
    fn new(
        cluster: &'a Cluster,
        from: &[Peer],
        to: &[Point],
        end: impl Fn(Peer) -> End<'a>,
    ) -> Self {
        let ends = classes(from, to, end);
        let size = (from.len(), to.len());
        let mut protocols = BTreeMap::new();
        for (at, point) in to.iter().enumerate() {
            let of = protocols.entry(point.protocol.number());
            of.or_insert_with(|| Set::empty(to.len())).insert(at);
        }
        let mut compiler = Self {
            cluster,
            rules: Vec::new(),
            size,
            traffic: to
                .iter()
                .map(|point| Traffic { protocol: point.protocol.number(), port: point.port })
                .collect(),
            protocols,
            namespaces: merged(&ends, |pod| &pod.namespace),
            labels: merged(&ends, |pod| &pod.labels),
            identities: merged(&ends, |pod| {
                (&pod.namespace, &pod.service_account, &pod.labels, own_profiles(cluster, pod))
            }),
            pods: members(size, &ends, |end| end.as_pod().is_some()),
            ends,
            network_sets: Vec::new(),
            terms: HashMap::new(),
            tests: HashMap::new(),
            ports: HashMap::new(),
        };
        let sets = cluster.policies.network_sets.iter();
        let within =
            |set: &NetworkSet| members(compiler.size, &compiler.ends, |end| end.is_in(&set.nets));
        compiler.network_sets = sets.map(within).collect();
        compiler
    }

    fn none(&self) -> Both {
        Both { sources: Set::empty(self.size.0), points: Set::empty(self.size.1) }
    }

    fn all(&self) -> Both {
        Both { sources: Set::full(self.size.0), points: Set::full(self.size.1) }
    }

    /// The rules, put behind those that were there before.
    fn rules(&mut self, rules: &'a form::Rules) -> Range<usize> {
        let start = self.rules.len();
        for rule in &rules.rules {
            let ends = self.ends_of(rule);
            self.rules.push(Rule { action: rule.action, ends });
        }
        start..self.rules.len()
    }

    /// What comes after the tiers: a pod's profiles deny what they do not allow, but for the
    /// profile of its namespace: where the text does not have that, it allows everything.
    fn profiles(&mut self, tier: usize) -> Vec<Policy> {
        let known = &self.cluster.policies.profiles;
        if known.is_empty() {
            return Vec::new();
        }
        let mut rules: BTreeMap<&str, [Range<usize>; 2]> = BTreeMap::new();
        let sorted: BTreeMap<_, _> = known.iter().collect();
        for (name, profile) in sorted {
            let both = [&profile.egress, &profile.ingress].map(|side| {
                let side = self.rules(side);
                // Whatever else a profile's rule does, it does not allow.
                for rule in self.rules.get_mut(side.clone()).into_iter().flatten() {
                    if rule.action == Action::Pass {
                        rule.action = Action::Deny;
                    }
                }
                side
            });
            rules.insert(name, both);
        }
        let names = |class: &Class<'a>| class.end.as_pod().map(|pod| profiles(self.cluster, pod));
        let mut policies = Vec::new();
        for class in &self.identities {
            let names = names(class).unwrap_or_default();
            let open = |name: &String| name.starts_with("kns.") && !known.contains_key(name);
            let open = names.iter().position(open);
            let default = if open.is_some() { TierDefault::Pass } else { TierDefault::Deny };
            let asked = names.iter().take(open.unwrap_or(names.len()));
            let asked = asked.filter_map(|name| rules.get(name.as_str()));
            // One without rules, so that somebody is asked.
            for [egress, ingress] in std::iter::once(&[0..0, 0..0]).chain(asked) {
                policies.push(Policy {
                    tier,
                    default,
                    subjects: members(self.size, std::slice::from_ref(class), |_| true),
                    egress: Some(egress.clone()),
                    ingress: Some(ingress.clone()),
                });
            }
        }
        policies
    }

    /// The ends at a rule's sides.
    fn ends_of(&mut self, rule: &'a form::Rule) -> Both {
        let Both { mut sources, .. } = self.peers(&rule.source);
        let Both { mut points, .. } = self.peers(&rule.destination);
        if let Some(version) = rule.ip_version {
            let speaks =
                |end: &End<'_>| end.address.is_some_and(|ip| ip.is_ipv4() == (version == 4));
            sources.intersect(&members(self.size, &self.ends, speaks).sources);
        }
        // Askers' own ports are random: what a rule asks of them depends on the protocol alone.
        let nowhere = End::nowhere(self.cluster);
        let speaks = |protocol: IpProtocol| {
            rule.protocol.is_none_or(|wanted| wanted == protocol)
                && rule.not_protocol.is_none_or(|unwanted| unwanted != protocol)
                && ports_match(&rule.source, Traffic { protocol, port: None }, &nowhere)
        };
        for (_, silent) in self.protocols.iter().filter(|(protocol, _)| !speaks(**protocol)) {
            points.remove(silent);
        }
        if !rule.destination.ports.is_empty() {
            let mut matched = Set::empty(self.traffic.len());
            for port in &rule.destination.ports {
                matched.add(self.port(port));
            }
            points.intersect(&matched);
        }
        for port in &rule.destination.not_ports {
            points.remove(self.port(port));
        }
        Both { sources, points }
    }

    /// The ends that a side's peers match.
    fn peers(&mut self, side: &'a form::Side) -> Both {
        if side.peers.is_empty() {
            return self.all();
        }
        let mut matched = self.none();
        for peer in &side.peers {
            let mut all = self.all();
            for condition in &peer.conditions {
                self.narrow(&mut all, &condition.test);
            }
            matched.add(&all);
        }
        matched
    }

    /// Keeps the ends of which a test holds.
    fn narrow(&mut self, ends: &mut Both, test: &'a Test) {
        match test {
            Test::Endpoints(endpoints) => ends.intersect(&self.endpoints(endpoints, Role::Peer)),
            Test::NotEndpoints(endpoints) => ends.remove(&self.endpoints(endpoints, Role::Peer)),
            Test::Nets(nets) => ends.intersect(self.in_nets(nets)),
            Test::NotNets(nets) => ends.remove(self.in_nets(nets)),
            Test::Nodes(selector) => ends.intersect(self.tested(Asked::Nodes(selector), test)),
            Test::Service { namespace, name, with_port } => {
                ends.intersect(self.tested(Asked::Service(namespace, name, *with_port), test));
            }
            Test::Always => {}
            Test::Never | Test::DomainNames(_) => *ends = self.none(),
        }
    }

    fn in_nets(&mut self, nets: &'a [IpNet]) -> &Both {
        let (size, ends) = (self.size, &self.ends);
        let found = self.tests.entry(Asked::Nets(nets));
        found.or_insert_with(|| members(size, ends, |end| end.is_in(nets)))
    }

    /// The ends of which a test holds with what is asked of them.
    fn tested(&mut self, asked: Asked<'a>, test: &Test) -> &Both {
        let (size, ends, traffic) = (self.size, &self.ends, &self.traffic);
        self.tests.entry(asked).or_insert_with(|| {
            let nothing = Traffic { protocol: IpProtocol::RESERVED, port: None };
            let mut found = members(size, ends, |end| test_holds(test, end, nothing));
            for (class, at) in ends.iter().flat_map(|c| c.points.iter().map(move |at| (c, *at))) {
                if traffic.get(at).is_some_and(|traffic| test_holds(test, &class.end, *traffic)) {
                    found.points.insert(at);
                }
            }
            found
        })
    }

    /// The ends that all terms hold of.
    fn endpoints(&mut self, endpoints: &'a Endpoints, role: Role) -> Both {
        let mut found = self.pods.clone();
        for term in &endpoints.terms {
            found.intersect(self.term(endpoints.view, term));
        }
        if (endpoints.view, role) == (View::Calico, Role::Peer) {
            let sets = self.cluster.policies.network_sets.iter().zip(&self.network_sets);
            for (_, within) in sets.filter(|(set, _)| self.is_one_of(set, endpoints)) {
                found.add(within);
            }
        }
        found
    }

    fn is_one_of(&self, set: &'a NetworkSet, endpoints: &Endpoints) -> bool {
        let end = End { endpoint: Some(Endpoint::Set(set)), ..End::nowhere(self.cluster) };
        end.is_one_of(endpoints, Role::Subject)
    }

    /// The pods that a term holds of.
    fn term(&mut self, view: View, term: &'a form::Term) -> &Both {
        let classes = match (&term.requires, view) {
            (Requirement::Namespace(_) | Requirement::Namespaces(_), _) => &self.namespaces,
            (Requirement::Labels(_), View::Kubernetes) => &self.labels,
            _ => &self.identities,
        };
        let holds = |end: &End<'_>| end.is_endpoint_with(view, term);
        let found = self.terms.entry((view, &term.requires));
        found.or_insert_with(|| members(self.size, classes, holds))
    }

    fn port(&mut self, port: &'a form::Port) -> &Set {
        let (ends, traffic) = (&self.ends, &self.traffic);
        self.ports.entry((port.protocol, &port.number)).or_insert_with(|| {
            let mut found = Set::empty(traffic.len());
            for (class, at) in ends.iter().flat_map(|c| c.points.iter().map(move |at| (c, *at))) {
                let holds = |traffic: &Traffic| port_holds(port, *traffic, &class.end);
                if traffic.get(at).is_some_and(holds) {
                    found.insert(at);
                }
            }
            found
        })
    }
}
