//! The verdict in a sentence or two: what happens, and why, with what it speaks of as links.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use super::phrase::{Part, Phrase, name, phrase, to};
use super::{Named, Owner, Piece, evidence, names, owner_of, policy, proxy, step};
use crate::cluster::{Cluster, NodeId, ProxyMode, TrafficPolicy};
use crate::datapath::{
    CauseKind, Evidence, Fact, FrontendRef, Gate, Machine, Masquerades, Outcome, PolicyEffect,
    Step, Subject, Trace,
};
use crate::decision::{By, Decision, Reason, Staged};
use crate::net::{Direction, Verdict};
use crate::text::{Cite, ObjectRef};

/// A verdict for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// Its kind, for its colour and its sign.
    pub verdict: Verdict,
    /// What happens: `Dropped on node2.`
    pub headline: String,
    /// Why.
    pub pieces: Vec<Piece>,
    /// Every way that new connections can go, where there are several.
    pub ways: Vec<Way>,
}

/// One way that new connections can go.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// Index into the trace's outcomes.
    pub outcome: usize,
    /// Its kind.
    pub verdict: Verdict,
    /// How often: `1 time in 3`.
    pub share: String,
    /// Which: `through node1`.
    pub name: String,
    /// What happens: `dropped on node2`.
    pub end: String,
}

impl fmt::Display for Sentence {
    /// For a terminal: code in backticks, each way on its own line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)?;
        if !self.pieces.is_empty() {
            f.write_str(" ")?;
        }
        for piece in &self.pieces {
            match piece {
                Piece::Code(..) | Piece::Object(_) => write!(f, "`{}`", piece.text())?,
                Piece::Text(_) | Piece::Address { .. } => f.write_str(&piece.text())?,
            }
        }
        for way in &self.ways {
            write!(f, "\n- {} {}: {}", way.share, way.name, way.end)?;
        }
        Ok(())
    }
}

/// The verdict on a flow; of several outcomes, with the one at index `outcome` explained.
pub fn verdict(cluster: &Cluster, trace: &Trace, outcome: usize) -> Sentence {
    let Some(chosen) = trace.outcomes.get(outcome).or(trace.outcomes.first()) else {
        let headline = "Nothing to say.".to_owned();
        return Sentence { verdict: trace.verdict, headline, pieces: vec![], ways: vec![] };
    };
    let mut sentence = Sentence { verdict: trace.verdict, ..of_outcome(cluster, chosen) };
    if trace.outcomes.len() > 1 {
        sentence.ways = ways(cluster, trace);
    }
    if trace.verdict == Verdict::Mixed {
        let mut lead = sentence
            .ways
            .iter()
            .find(|way| way.outcome == outcome)
            .map_or_else(String::new, |way| {
                format!("{}: ", Phrase::from(way.name.clone()).capital())
            });
        lead.push_str(&happens(cluster, chosen));
        lead.push_str(". ");
        sentence.pieces.insert(0, Piece::Text(lead));
        let delivered = trace.outcomes.iter().filter(|o| o.verdict == Verdict::Delivered);
        let share: f64 = delivered.map(|o| o.share).sum();
        sentence.headline = if share > 0.0 {
            format!("Delivered {}.", times(share))
        } else {
            "Never delivered.".to_owned()
        };
    }
    sentence
}

/// The verdict on one outcome, as if it were the only one.
pub fn of_outcome(cluster: &Cluster, outcome: &Outcome) -> Sentence {
    let mut words = Words { cluster, says: Phrase::default() };
    words.explain(outcome);
    Sentence {
        verdict: outcome.verdict,
        headline: format!("{}.", Phrase::from(happens(cluster, outcome)).capital()),
        pieces: words.says.pieces(cluster),
        ways: Vec::new(),
    }
}

/// What happens, and where: `dropped on node2`.
fn happens(cluster: &Cluster, outcome: &Outcome) -> String {
    let kind = outcome.cause.as_ref().map(|cause| cause.kind);
    let on = |steps: &[Step]| match steps.last().map(|step| step.machine) {
        Some(Machine::Node(id)) => format!(" on {}", names::node(cluster, id)),
        Some(Machine::Router) => " outside the nodes".to_owned(),
        Some(machine) => format!(" at {}", names::machine(cluster, machine)),
        None => String::new(),
    };
    let arrived = arrived(outcome);
    match (outcome.verdict, kind) {
        (_, Some(CauseKind::NoSuchDestination)) => "nothing to reach".to_owned(),
        (Verdict::Delivered, _) => "delivered".to_owned(),
        (Verdict::Dropped, Some(CauseKind::ReplyLost)) => {
            "no connection: the reply is lost".to_owned()
        }
        (Verdict::Dropped, _) if arrived => {
            format!("no connection: the reply is dropped{}", on(&outcome.reply))
        }
        (Verdict::Dropped, _) => format!("dropped{}", on(&outcome.steps)),
        (Verdict::Rejected, _) => format!("rejected{}", on(&outcome.steps)),
        (Verdict::Unroutable, _) => format!("no route{}", on(&outcome.steps)),
        (Verdict::Mixed, _) => "it depends".to_owned(),
    }
}

/// Whether the request reached its end.
fn arrived(outcome: &Outcome) -> bool {
    let end = outcome.steps.last().map(|step| &step.fact);
    matches!(end, Some(Fact::DeliverToPod { .. } | Fact::DeliverToHost(_)))
}

/// A sentence under construction.
struct Words<'a> {
    cluster: &'a Cluster,
    says: Phrase,
}

impl Words<'_> {
    fn explain(&mut self, outcome: &Outcome) {
        let gates = || outcome.steps.iter().filter_map(|step| Some((step, step.gate()?)));
        match (&outcome.cause, gates().next_back()) {
            (None, _) => {
                self.delivered(outcome);
                for (step, gate) in gates() {
                    self.aside(&policy::explain(self.cluster, step, gate));
                }
            }
            (Some(cause), Some((step, gate))) if cause.kind == CauseKind::PolicyDenied => {
                let decision = policy::explain(self.cluster, step, gate);
                self.denied(outcome, step, gate, &decision);
                self.aside(&decision);
            }
            (Some(cause), _) => {
                let cite = cause.cite.as_ref();
                let mut says = super::cause(self.cluster, outcome).unwrap_or_default().capital();
                if let Some(cite) = cite {
                    says.stands_at(cite);
                }
                let named = says.names_object();
                self.say(phrase![says, "."]);
                if let Some(cite) = cite.filter(|cite| cite.span.is_some() && !named) {
                    self.say(" See ");
                    self.field(cite);
                    self.say(".");
                }
            }
        }
    }

    /// Who lets it through, and whom the application sees.
    fn delivered(&mut self, outcome: &Outcome) {
        let asked = |direction| {
            let mut gates =
                outcome.steps.iter().rev().filter_map(|step| Some((step, step.gate()?)));
            gates.find(move |(_, gate)| {
                gate.direction == direction && matches!(gate.who, Subject::Pod(_))
            })
        };
        let mut gates = outcome.steps.iter().filter_map(|step| Some((step, step.gate()?)));
        let host = gates.find(|(_, gate)| {
            matches!(gate.who, Subject::Host(..)) && matches!(gate.ruling.by, By::Policy(_))
        });
        if let Some((step, gate)) = host {
            self.allowed(outcome, step, gate);
        }
        let skipped =
            outcome.steps.iter().rev().find(|step| matches!(step.fact, Fact::GateSkipped(_)));
        let ingress = asked(Direction::Ingress);
        let mut seen = None;
        match (ingress, asked(Direction::Egress)) {
            (Some((step, gate)), _) => {
                seen = Some(step.before.source);
                self.allowed(outcome, step, gate);
            }
            (None, Some((step, gate))) => self.allowed(outcome, step, gate),
            (None, None) if skipped.is_none() && host.is_none() => {
                self.say("No pod’s policy is asked on this way. ");
            }
            (None, None) => {}
        }
        if let Some(found) = skipped.filter(|_| ingress.is_none()) {
            self.say(phrase![step::summary(self.cluster, found).capital(), ". "]);
        }
        let Some(app) = outcome.source_seen_by_app else { return self.says.trim() };
        self.say("The application sees ");
        match seen {
            Some(seen) if seen == app && self.says.speaks_of(app) => {
                self.say("the same address.");
                return;
            }
            Some(seen) if seen != app => {
                self.owned(app);
                self.say(" instead");
            }
            _ => self.owned(app),
        }
        match rewritten(outcome, app) {
            Some(step) => {
                self.say(": ");
                if seen.is_some_and(|seen| seen != app) {
                    self.say("after the policy was asked, ");
                }
                self.rewriter(step);
                self.say(".");
            }
            None => self.say("."),
        }
    }

    /// A policy let it pass.
    fn allowed(&mut self, outcome: &Outcome, step: &Step, gate: &Gate) {
        let source = step.asked().source;
        let first = outcome.steps.first().map_or(source, |step| step.before.source);
        match (&gate.ruling.by, gate.direction) {
            (By::NoPolicy, direction) => {
                // Some are asked, and leave it to those after them.
                let decision = policy::explain(self.cluster, step, gate);
                if !decision.asked.is_empty() {
                    return self.reason(&decision, ". ");
                }
                self.say(match direction {
                    Direction::Ingress => "No policy restricts who may reach ",
                    Direction::Egress => "No policy restricts the way out of ",
                });
                self.subject(gate.who);
                self.say(". ");
            }
            (By::Policy(policy), Direction::Ingress) => {
                self.say("The policy ");
                self.policy(policy, gate.ruling.cite.as_ref());
                self.say(" allows ");
                self.owned(source);
                if source == first {
                    self.say(". ");
                    return;
                }
                self.say(", which is what it sees instead of ");
                self.say(first);
                self.say(": ");
                if let Some(rewrite) = rewritten(outcome, source) {
                    self.rewriter(rewrite);
                }
                self.say(". ");
            }
            (By::Policy(policy), Direction::Egress) => {
                self.say("The policy ");
                self.policy(policy, gate.ruling.cite.as_ref());
                self.say(" allows what ");
                self.subject(gate.who);
                self.say(" sends to ");
                self.destination(step);
                self.say(". ");
            }
            (By::Isolation(_), _) => {
                self.reason(&policy::explain(self.cluster, step, gate), ". ");
            }
        }
    }

    /// A policy did not.
    fn denied(&mut self, outcome: &Outcome, step: &Step, gate: &Gate, decision: &Decision) {
        let source = step.asked().source;
        let first = outcome.steps.first().unwrap_or(step);
        let cite = decision.cite.as_ref();
        // A host endpoint that nothing opens.
        if matches!(decision.reason, Reason::Closed { .. }) {
            return self.reason(decision, ".");
        }
        let rewrite = rewritten(outcome, source)
            .filter(|_| source != first.before.source && gate.direction == Direction::Ingress);
        if let Some(rewrite) = rewrite {
            let many = self.policies(&decision.by, cite);
            self.say(if many { " see " } else { " sees " });
            self.owned(source);
            self.say(", not ");
            self.say(first.before.source);
            self.say(": ");
            self.rewriter(rewrite);
            self.say(".");
            return;
        }
        if let By::Policy(_) = &decision.by {
            self.say("A rule of ");
            self.policies(&decision.by, cite);
            self.say(" denies ");
        } else {
            let many = self.policies(&decision.by, cite);
            self.say(match (many, gate.direction) {
                (true, Direction::Ingress) => " do not allow ",
                (false, Direction::Ingress) => " does not allow ",
                (true, Direction::Egress) => " do not let ",
                (false, Direction::Egress) => " does not let ",
            });
        }
        match gate.direction {
            Direction::Ingress => {
                self.owned(source);
                self.say(" into ");
                self.subject(gate.who);
            }
            Direction::Egress => {
                self.subject(gate.who);
                let denies = matches!(decision.by, By::Policy(_));
                self.say(if denies { " the way to " } else { " talk to " });
                self.destination(step);
            }
        }
        let was = (first.before.destination, first.before.destination_port);
        let is = (step.before.destination, step.before.destination_port);
        if gate.direction == Direction::Egress && was != is {
            let who = self.proxy();
            self.say(phrase![
                ", which ",
                name(who),
                " put in the place of ",
                was,
                " before the policy was asked"
            ]);
        }
        self.why(decision);
        self.say(".");
        let end = decision.asked.last().filter(|asked| asked.policy.is_none());
        if let Some(end) = end.filter(|end| end.tier != "default") {
            self.say(format!(" Tier {} denies what its policies do not decide.", end.tier));
        }
    }

    fn reason(&mut self, decision: &Decision, end: &str) {
        self.say(phrase![policy::reason(self.cluster, decision).capital(), end]);
    }

    /// What is not certain, and what staged policies would do.
    fn aside(&mut self, decision: &Decision) {
        if let Some(why) = &decision.uncertain {
            self.say(phrase![" Not certain: ", policy::doubt(self.cluster, why), "."]);
        }
        // All of them together say more than each alone.
        let together = decision.staged.iter().find(|staged| staged.policies.len() > 1);
        let other = |staged: &&Staged| staged.allow != decision.allow;
        let staged = together.or_else(|| decision.staged.iter().find(other)).filter(other);
        if let Some(staged) = staged {
            let mut says = policy::staged_briefly(staged).capital();
            says.stands_at(&staged.cite);
            self.say(phrase![" ", says, "."]);
        }
    }

    /// What of the rule that denies matched, or else the nearest misses.
    fn why(&mut self, decision: &Decision) {
        let by_rule = matches!(decision.by, By::Policy(_));
        let mut told: Vec<Phrase> = Vec::new();
        for evidence in decision.evidence.iter().filter(|it| it.matched == by_rule) {
            let mut finding = policy::finding(self.cluster, evidence);
            finding.stands_at(&evidence.cite);
            // Two places where the same is written are one reason.
            if told.len() == 3 || told.iter().any(|it| it.to_string() == finding.to_string()) {
                continue;
            }
            self.say(if told.is_empty() { ": " } else { "; " });
            self.say(finding.clone());
            told.push(finding);
        }
    }

    /// The policies that decide, as a sentence's beginning; whether there are several.
    fn policies(&mut self, by: &By, cite: Option<&Cite>) -> bool {
        let objects: Vec<&ObjectRef> = match by {
            By::NoPolicy => Vec::new(),
            By::Policy(policy) => vec![policy],
            By::Isolation(policies) => policies.iter().collect(),
        };
        let beginning = self.says.is_empty();
        let many = objects.len() > 1;
        self.say(match (beginning, many) {
            (true, true) => "The policies ",
            (true, false) => "The policy ",
            (false, true) => "the policies ",
            (false, false) => "the policy ",
        });
        let last = objects.len().saturating_sub(1);
        for (index, object) in objects.iter().enumerate() {
            if index > 0 {
                self.say(if index == last { " and " } else { ", " });
            }
            self.policy(object, cite);
        }
        many
    }

    /// Who turns service addresses into endpoints.
    fn proxy(&self) -> &'static str {
        match self.cluster.proxy.mode.value {
            // As the other words of a verdict are set.
            ProxyMode::Ebpf => "Calico’s eBPF dataplane",
            _ => proxy::who(self.cluster),
        }
    }

    /// Who rewrote the source, and why.
    fn rewriter(&mut self, step: &Step) {
        let machine = names::machine(self.cluster, step.machine);
        let why = match &step.fact {
            Fact::Masquerade(masquerade) => masquerade.why,
            Fact::BalancerConnect(_) => {
                return self.say(phrase![machine, " opened a connection of its own"]);
            }
            _ => return self.say(phrase![machine, " rewrote it"]),
        };
        let who = match why {
            Masquerades::TunnelSource => {
                return self.say(phrase![
                    "Calico on ",
                    machine,
                    " gives what the node itself sends into a tunnel the tunnel’s address"
                ]);
            }
            Masquerades::NatOutgoing => "Calico",
            Masquerades::Marked | Masquerades::LoopBack | Masquerades::Hairpin => self.proxy(),
        };
        self.say(phrase![name(who), " on ", machine, " masqueraded the packet"]);
        self.because(step);
    }

    fn because(&mut self, step: &Step) {
        let Some(evidence) = step.evidence.first() else { return };
        let cite = evidence.cite(self.cluster);
        let is_cluster = |id| {
            let service = self.cluster.service(id);
            service.is_some_and(|of| of.external_traffic_policy.value == TrafficPolicy::Cluster)
        };
        let (field, value) = match evidence {
            Evidence::Policy(
                FrontendRef { service, .. },
                PolicyEffect::MasqueradesExternal | PolicyEffect::MasqueradesNodePort,
            )
            | Evidence::AnyNodePort(service, _)
                if is_cluster(*service) =>
            {
                ("externalTrafficPolicy", "Cluster")
            }
            Evidence::MasqueradeAll => ("masqueradeAll", "true"),
            Evidence::NatOutgoing(_) => ("natOutgoing", "true"),
            _ => {
                let mut finding = evidence::finding(self.cluster, step, evidence);
                finding.stands_at(&cite);
                return self.say(phrase![", for ", finding]);
            }
        };
        let code = |text: &str| Part::Code(text.to_owned(), Some(cite.clone()));
        self.say(phrase![" because ", code(field)]);
        if field == "natOutgoing" {
            let pool = Cite { field: String::new(), ..cite.clone() };
            self.say(phrase![" of the pool ", Part::ObjectName(pool)]);
        }
        self.say(phrase![" is ", code(value)]);
        if cite.span.is_none() {
            self.say(", its default");
        }
    }

    fn say(&mut self, what: impl Into<Phrase>) {
        self.says.add(what);
    }

    /// An address and whose it is.
    fn owned(&mut self, ip: IpAddr) {
        self.say(ip);
        self.owner(ip);
    }

    fn owner(&mut self, ip: IpAddr) {
        let Named { owner, name } = owner_of(self.cluster, ip);
        if owner != Owner::Outside {
            self.say(format!(" ({name})"));
        }
    }

    fn destination(&mut self, step: &Step) {
        self.say(to(&step.before));
        self.owner(step.before.destination);
    }

    /// Whose policies they are.
    fn subject(&mut self, who: Subject) {
        match who {
            Subject::Pod(id) => self.say(super::phrase::pod(self.cluster, id)),
            Subject::Host(id, _) => {
                let host = names::host_endpoint(self.cluster, id);
                self.say(phrase!["host endpoint ", super::phrase::code(host)]);
            }
        }
    }

    /// A policy, at the place that decided if it is that one's.
    fn policy(&mut self, object: &ObjectRef, cite: Option<&Cite>) {
        let cite = match cite {
            Some(cite) if cite.object == *object => cite.clone(),
            _ => Cite { object: object.clone(), field: String::new(), span: None },
        };
        self.say(Part::ObjectName(cite));
    }

    fn field(&mut self, cite: &Cite) {
        if !cite.field.is_empty() {
            self.say(Part::Code(cite.field.clone(), Some(cite.clone())));
            self.say(" of ");
        }
        self.say(Part::ObjectName(cite.clone()));
    }
}

/// The last step that made this the source.
fn rewritten(outcome: &Outcome, source: IpAddr) -> Option<&Step> {
    outcome
        .steps
        .iter()
        .rev()
        .find(|step| step.after.source == source && step.before.source != source)
}

/// Every outcome in a line.
fn ways(cluster: &Cluster, trace: &Trace) -> Vec<Way> {
    let endpoints: BTreeSet<_> = trace.outcomes.iter().map(|outcome| outcome.endpoint).collect();
    let entries: BTreeSet<_> = trace.outcomes.iter().map(entry).collect();
    let ways = trace.outcomes.iter().enumerate().map(|(index, outcome)| {
        let mut name = Vec::new();
        if let Some(node) = entry(outcome).filter(|_| entries.len() > 1) {
            name.push(format!("through {}", names::node(cluster, node)));
        }
        if let Some(endpoint) = outcome.endpoint.filter(|_| endpoints.len() > 1) {
            let pod = endpoint.pod.and_then(|id| cluster.pod(id));
            name.push(match pod {
                Some(pod) => format!("to {}/{}", pod.namespace, pod.name),
                None => format!("to {}", names::backend(cluster, endpoint)),
            });
        }
        if name.is_empty() {
            name.push(format!("on way {}", index + 1));
        }
        Way {
            outcome: index,
            verdict: outcome.verdict,
            share: times(outcome.share),
            name: name.join(" "),
            end: happens(cluster, outcome),
        }
    });
    ways.collect()
}

/// The node by which a packet from outside enters.
fn entry(outcome: &Outcome) -> Option<NodeId> {
    outcome.steps.iter().find_map(|step| match step.machine {
        Machine::Node(id) => Some(id),
        _ => None,
    })
}

/// A share in words: `2 times in 3`.
fn times(share: f64) -> String {
    for of in 1..=24_u32 {
        for n in 1..=of {
            if (share - f64::from(n) / f64::from(of)).abs() < 1e-6 {
                let word = if n == 1 { "time" } else { "times" };
                return if n == of { "always".to_owned() } else { format!("{n} {word} in {of}") };
            }
        }
    }
    format!("in {:.1} % of connections", share * 100.0)
}

#[cfg(test)]
mod tests;
