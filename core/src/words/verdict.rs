//! The verdict in a sentence or two: what happens, and why, with what it speaks of as links.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::names::machine_name;
use super::{Named, Owner, owner_of, policy};
use crate::cluster::{Cluster, ProxyMode, TrafficPolicy};
use crate::datapath::{CauseKind, Machine, Outcome, Rule, Step, Trace};
use crate::decision::{By, Decision, Reason, Staged};
use crate::net::{Direction, Verdict, address_and_port};
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

/// A piece of a sentence.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Plain words.
    Text(String),
    /// A value or a field, and where it stands.
    Code(String, Option<Cite>),
    /// An address.
    Address {
        /// The address itself.
        ip: IpAddr,
        /// With its port, where the sentence says it.
        text: String,
        /// Whose it is.
        owner: Owner,
    },
    /// An object, or a part of it.
    Object(Cite),
}

impl Piece {
    /// What is read.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Code(text, _) | Self::Address { text, .. } => text.clone(),
            Self::Object(cite) if cite.object.namespace.is_empty() => cite.object.name.clone(),
            Self::Object(cite) => format!("{}/{}", cite.object.namespace, cite.object.name),
        }
    }
}

impl Piece {
    fn is(&self, address: IpAddr) -> bool {
        matches!(self, Self::Address { ip, .. } if *ip == address)
    }
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
    let mut words = Words { cluster, pieces: Vec::new() };
    words.explain(chosen);
    let mut sentence = Sentence {
        verdict: trace.verdict,
        headline: headline(chosen),
        pieces: words.pieces,
        ways: Vec::new(),
    };
    if trace.outcomes.len() > 1 {
        sentence.ways = ways(trace);
    }
    if trace.verdict == Verdict::Mixed {
        let this = sentence
            .ways
            .iter()
            .find(|way| way.outcome == outcome)
            .map_or_else(String::new, |way| format!("{}: ", capital(&way.name)));
        let lead = format!("{this}{} ", uncapital(&sentence.headline));
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

/// What happens, and where.
fn headline(outcome: &Outcome) -> String {
    let kind = outcome.cause.as_ref().map(|cause| cause.kind);
    let place = |steps: &[Step]| steps.last().map(|step| step.machine.clone());
    let on = |machine: Option<Machine>| match machine {
        Some(Machine::Node(name)) => format!(" on {name}"),
        Some(Machine::Router) => " outside the nodes".to_owned(),
        Some(machine) => format!(" at {}", machine_name(&machine)),
        None => String::new(),
    };
    let arrived = arrived(outcome);
    match (outcome.verdict, kind) {
        (_, Some(CauseKind::NoSuchDestination)) => "Nothing to reach.".to_owned(),
        (Verdict::Delivered, _) => "Delivered.".to_owned(),
        (Verdict::Dropped, Some(CauseKind::ReplyLost)) => {
            "No connection: the reply is lost.".to_owned()
        }
        (Verdict::Dropped, _) if arrived => {
            format!("No connection: the reply is dropped{}.", on(place(&outcome.reply)))
        }
        (Verdict::Dropped, _) => format!("Dropped{}.", on(place(&outcome.steps))),
        (Verdict::Rejected, _) => format!("Rejected{}.", on(place(&outcome.steps))),
        (Verdict::Unroutable, _) => format!("No route{}.", on(place(&outcome.steps))),
        (Verdict::Mixed, _) => "It depends.".to_owned(),
    }
}

/// Whether the request reached its end.
fn arrived(outcome: &Outcome) -> bool {
    let end = outcome.steps.last().map(|step| step.rule);
    matches!(end, Some(Rule::DeliverToPod | Rule::DeliverToHost))
}

/// A sentence under construction.
struct Words<'a> {
    cluster: &'a Cluster,
    pieces: Vec<Piece>,
}

impl Words<'_> {
    fn explain(&mut self, outcome: &Outcome) {
        let gate = outcome.steps.iter().rev().find(|step| step.gate.is_some());
        match (&outcome.cause, gate) {
            (None, _) => {
                self.delivered(outcome);
                let gates = outcome.steps.iter().filter_map(|step| step.gate.as_ref());
                gates.for_each(|gate| self.aside(&gate.decision));
            }
            (Some(cause), Some(step)) if cause.kind == CauseKind::PolicyDenied => {
                self.denied(outcome, step);
                step.gate.iter().for_each(|gate| self.aside(&gate.decision));
            }
            (Some(cause), _) => {
                let message = policy::message(self.cluster, outcome).unwrap_or_default();
                self.prose(&capital(&message), cause.cite.as_ref());
                self.text(".");
                if cause.cite.as_ref().is_some_and(|cite| cite.span.is_some())
                    && !self.pieces.iter().any(|piece| matches!(piece, Piece::Object(_)))
                {
                    self.text(" See ");
                    self.field(cause.cite.as_ref());
                    self.text(".");
                }
            }
        }
    }

    /// Who lets it through, and whom the application sees.
    fn delivered(&mut self, outcome: &Outcome) {
        let asked = |direction| {
            outcome.steps.iter().rev().find(move |step| {
                step.gate.as_ref().is_some_and(|gate| gate.direction == direction)
                    && !matches!(step.rule, Rule::GateSkipped | Rule::HostGate)
            })
        };
        let host = outcome.steps.iter().find(|step| {
            let by = step.gate.as_ref().map(|gate| &gate.decision.by);
            step.rule == Rule::HostGate && matches!(by, Some(By::Policy(_)))
        });
        if let Some(step) = host {
            self.allowed(outcome, step);
        }
        let skipped = outcome.steps.iter().rev().find(|step| step.rule == Rule::GateSkipped);
        let ingress = asked(Direction::Ingress);
        let mut seen = None;
        match (ingress, asked(Direction::Egress)) {
            (Some(step), _) => {
                seen = Some(step.before.source);
                self.allowed(outcome, step);
            }
            (None, Some(step)) => self.allowed(outcome, step),
            (None, None) if skipped.is_none() && host.is_none() => {
                self.text("No pod’s policy is asked on this way. ");
            }
            (None, None) => {}
        }
        if let Some(step) = skipped.filter(|_| ingress.is_none()) {
            self.prose(&capital(&step.summary), None);
            self.text(". ");
        }
        let Some(app) = outcome.source_seen_by_app else { return self.trim() };
        self.text("The application sees ");
        match seen {
            Some(seen) if seen == app && self.pieces.iter().any(|piece| piece.is(app)) => {
                self.text("the same address.");
                return;
            }
            Some(seen) if seen != app => {
                self.owned(app);
                self.text(" instead");
            }
            _ => self.owned(app),
        }
        match rewritten(outcome, app) {
            Some(step) => {
                let late = if seen.is_some_and(|seen| seen != app) {
                    "after the policy was asked, "
                } else {
                    ""
                };
                self.text(&format!(": {late}"));
                self.rewriter(step);
                self.text(".");
            }
            None => self.text("."),
        }
    }

    /// A policy let it pass.
    fn allowed(&mut self, outcome: &Outcome, step: &Step) {
        let Some(gate) = &step.gate else { return };
        let source = step.asked().source;
        let first = outcome.steps.first().map_or(source, |step| step.before.source);
        match (&gate.decision.by, gate.direction) {
            // Some are asked, and leave it to those after them.
            (By::NoPolicy, _) if !gate.decision.asked.is_empty() => {
                self.reason(&gate.decision);
                self.text(". ");
            }
            (By::NoPolicy, direction) => {
                let what = match direction {
                    Direction::Ingress => "No policy restricts who may reach ",
                    Direction::Egress => "No policy restricts the way out of ",
                };
                self.text(what);
                self.pod(&gate.pod);
                self.text(". ");
            }
            (By::Policy(policy), Direction::Ingress) => {
                self.text("The policy ");
                self.policy(policy, gate.decision.cite.as_ref());
                self.text(" allows ");
                self.owned(source);
                if source == first {
                    self.text(". ");
                    return;
                }
                self.text(", which is what it sees instead of ");
                self.address(first);
                self.text(": ");
                if let Some(rewrite) = rewritten(outcome, source) {
                    self.rewriter(rewrite);
                }
                self.text(". ");
            }
            (By::Policy(policy), Direction::Egress) => {
                self.text("The policy ");
                self.policy(policy, gate.decision.cite.as_ref());
                self.text(" allows what ");
                self.pod(&gate.pod);
                self.text(" sends to ");
                self.destination(step);
                self.text(". ");
            }
            (By::Isolation(_), _) => {
                self.reason(&gate.decision);
                self.text(". ");
            }
        }
    }

    /// A policy did not.
    fn denied(&mut self, outcome: &Outcome, step: &Step) {
        let Some(gate) = &step.gate else { return };
        let source = step.asked().source;
        let first = outcome.steps.first().unwrap_or(step);
        let cite = gate.decision.cite.as_ref();
        if matches!(gate.decision.reason, Reason::Closed { .. }) {
            self.reason(&gate.decision);
            self.text(".");
            return;
        }
        let rewrite = rewritten(outcome, source)
            .filter(|_| source != first.before.source && gate.direction == Direction::Ingress);
        if let Some(rewrite) = rewrite {
            let many = self.policies(&gate.decision.by, cite);
            self.text(if many { " see " } else { " sees " });
            self.owned(source);
            self.text(", not ");
            self.address(first.before.source);
            self.text(": ");
            self.rewriter(rewrite);
            self.text(".");
            return;
        }
        if let By::Policy(_) = &gate.decision.by {
            self.text("A rule of ");
            self.policies(&gate.decision.by, cite);
            self.text(" denies ");
        } else {
            let many = self.policies(&gate.decision.by, cite);
            self.text(match (many, gate.direction) {
                (true, Direction::Ingress) => " do not allow ",
                (false, Direction::Ingress) => " does not allow ",
                (true, Direction::Egress) => " do not let ",
                (false, Direction::Egress) => " does not let ",
            });
        }
        match gate.direction {
            Direction::Ingress => {
                self.owned(source);
                self.text(" into ");
                self.pod(&gate.pod);
            }
            Direction::Egress => {
                self.pod(&gate.pod);
                let denies = matches!(gate.decision.by, By::Policy(_));
                self.text(if denies { " the way to " } else { " talk to " });
                self.destination(step);
            }
        }
        let was = (first.before.destination, first.before.destination_port);
        let is = (step.before.destination, step.before.destination_port);
        if gate.direction == Direction::Egress && was != is {
            let who = self.proxy();
            self.text(&format!(", which {who} put in the place of "));
            self.address_and_port(was.0, was.1);
            self.text(" before the policy was asked");
        }
        self.why(&gate.decision);
        self.text(".");
        let end = gate.decision.asked.last().filter(|asked| asked.policy.is_none());
        if let Some(end) = end.filter(|end| end.tier != "default") {
            self.text(&format!(" Tier {} denies what its policies do not decide.", end.tier));
        }
    }

    fn reason(&mut self, decision: &Decision) {
        self.prose(&capital(&policy::reason(self.cluster, decision)), None);
    }

    /// What is not certain, and what staged policies would do.
    fn aside(&mut self, decision: &Decision) {
        if let Some(why) = &decision.uncertain {
            self.text(" Not certain: ");
            self.prose(&policy::doubt(self.cluster, why), None);
            self.text(".");
        }
        // All of them together say more than each alone.
        let together = decision.staged.iter().find(|staged| staged.policies.len() > 1);
        let other = |staged: &&Staged| staged.allow != decision.allow;
        let staged = together.or_else(|| decision.staged.iter().find(other)).filter(other);
        if let Some(staged) = staged {
            self.text(" ");
            self.prose(&capital(&policy::staged_briefly(staged)), Some(&staged.cite));
            self.text(".");
        }
    }

    /// What of the rule that denies matched, or else the nearest misses.
    fn why(&mut self, decision: &Decision) {
        let by_rule = matches!(decision.by, By::Policy(_));
        let mut told = BTreeSet::new();
        let near = decision.evidence.iter().filter(|evidence| evidence.matched == by_rule);
        for evidence in near {
            let finding = policy::finding(self.cluster, evidence);
            if told.len() == 3 || !told.insert(finding.clone()) {
                continue;
            }
            self.text(if told.len() == 1 { ": " } else { "; " });
            self.prose(&finding, Some(&evidence.cite));
        }
    }

    /// The policies that decide, as a sentence's beginning; whether there are several.
    fn policies(&mut self, by: &By, cite: Option<&Cite>) -> bool {
        let objects: Vec<&ObjectRef> = match by {
            By::NoPolicy => Vec::new(),
            By::Policy(policy) => vec![policy],
            By::Isolation(policies) => policies.iter().collect(),
        };
        let beginning = self.pieces.is_empty();
        let many = objects.len() > 1;
        self.text(match (beginning, many) {
            (true, true) => "The policies ",
            (true, false) => "The policy ",
            (false, true) => "the policies ",
            (false, false) => "the policy ",
        });
        let last = objects.len().saturating_sub(1);
        for (index, object) in objects.iter().enumerate() {
            if index > 0 {
                self.text(if index == last { " and " } else { ", " });
            }
            self.policy(object, cite);
        }
        many
    }

    /// Who turns service addresses into endpoints.
    fn proxy(&self) -> &'static str {
        match self.cluster.proxy.mode.value {
            ProxyMode::Ebpf => "Calico’s eBPF dataplane",
            _ => "kube-proxy",
        }
    }

    /// Who rewrote the source, and why.
    fn rewriter(&mut self, step: &Step) {
        let machine = machine_name(&step.machine);
        match step.rule {
            Rule::Masquerade => {
                let who = self.proxy();
                self.text(&format!("{who} on {machine} masqueraded the packet"));
                self.because(step);
            }
            Rule::NatOutgoing => {
                self.text(&format!("Calico on {machine} masqueraded the packet"));
                self.because(step);
            }
            Rule::TunnelSource => self.text(&format!(
                "Calico on {machine} gives what the node itself sends into a tunnel the tunnel’s address"
            )),
            Rule::BalancerConnect => {
                self.text(&format!("{machine} opened a connection of its own"));
            }
            _ => self.text(&format!("{machine} rewrote it")),
        }
    }

    fn because(&mut self, step: &Step) {
        let Some(evidence) = step.evidence.first() else { return };
        let cite = &evidence.cite;
        let field = cite.field.rsplit('.').next().unwrap_or_default();
        let value = match field {
            "externalTrafficPolicy" => self
                .cluster
                .services
                .iter()
                .find(|service| service.cite.object == cite.object)
                .filter(|service| service.external_traffic_policy.value == TrafficPolicy::Cluster)
                .map(|_| "Cluster"),
            "masqueradeAll" | "natOutgoing" => Some("true"),
            _ => None,
        };
        let Some(value) = value else {
            self.text(", for ");
            self.prose(&evidence.finding, Some(cite));
            return;
        };
        self.text(" because ");
        self.pieces.push(Piece::Code(field.to_owned(), Some(cite.clone())));
        if field == "natOutgoing" {
            self.text(" of the pool ");
            self.pieces.push(Piece::Object(Cite { field: String::new(), ..cite.clone() }));
        }
        self.text(" is ");
        self.pieces.push(Piece::Code(value.to_owned(), Some(cite.clone())));
        if cite.span.is_none() {
            self.text(", its default");
        }
    }

    fn text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(before)) => before.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    /// No space at the end.
    fn trim(&mut self) {
        if let Some(Piece::Text(text)) = self.pieces.last_mut() {
            text.truncate(text.trim_end().len());
        }
    }

    fn address(&mut self, ip: IpAddr) {
        self.address_and_port(ip, None);
    }

    fn address_and_port(&mut self, ip: IpAddr, port: Option<u16>) {
        let owner = owner_of(self.cluster, ip).owner;
        self.pieces.push(Piece::Address { ip, text: address_and_port(ip, port), owner });
    }

    /// An address and whose it is.
    fn owned(&mut self, ip: IpAddr) {
        let Named { owner, name } = owner_of(self.cluster, ip);
        self.address(ip);
        if owner != Owner::Outside {
            self.text(&format!(" ({name})"));
        }
    }

    fn destination(&mut self, step: &Step) {
        let packet = &step.before;
        self.address_and_port(packet.destination, packet.destination_port);
        let Named { owner, name } = owner_of(self.cluster, packet.destination);
        if owner != Owner::Outside {
            self.text(&format!(" ({name})"));
        }
    }

    /// A pod by its `pod/NAMESPACE/NAME`.
    fn pod(&mut self, name: &str) {
        if let Some(host) = name.strip_prefix("hostEndpoint/") {
            self.text("host endpoint ");
            self.pieces.push(Piece::Code(host.to_owned(), None));
            return;
        }
        self.text("pod ");
        let name = name.strip_prefix("pod/").unwrap_or(name);
        let object = name.split_once('/').map(|(ns, name)| ObjectRef::new("Pod", ns, name));
        match object {
            Some(object) => {
                self.pieces.push(Piece::Object(Cite { object, field: String::new(), span: None }));
            }
            None => self.pieces.push(Piece::Code(name.to_owned(), None)),
        }
    }

    /// A policy, at the place that decided if it is that one's.
    fn policy(&mut self, object: &ObjectRef, cite: Option<&Cite>) {
        let cite = match cite {
            Some(cite) if cite.object == *object => cite.clone(),
            _ => Cite { object: object.clone(), field: String::new(), span: None },
        };
        self.pieces.push(Piece::Object(cite));
    }

    fn field(&mut self, cite: Option<&Cite>) {
        let Some(cite) = cite else { return };
        if !cite.field.is_empty() {
            self.pieces.push(Piece::Code(cite.field.clone(), Some(cite.clone())));
            self.text(" of ");
        }
        self.pieces.push(Piece::Object(cite.clone()));
    }

    /// A message of the datapath's: its addresses, values and the cited object become links.
    fn prose(&mut self, message: &str, cite: Option<&Cite>) {
        let object = cite.map(|cite| cite.object.to_string()).filter(|object| !object.is_empty());
        if let (Some(object), Some(cite)) = (object, cite)
            && let Some((before, after)) = message.split_once(&object)
        {
            self.prose(before, None);
            self.text(&format!("{} ", cite.object.kind));
            self.pieces.push(Piece::Object(cite.clone()));
            self.prose(after, Some(cite));
            return;
        }
        for (index, part) in message.split('`').enumerate() {
            if index % 2 == 1 {
                self.pieces.push(Piece::Code(part.to_owned(), cite.cloned()));
                continue;
            }
            for word in part.split_inclusive(' ') {
                self.word(word, cite);
            }
        }
    }

    fn word(&mut self, word: &str, cite: Option<&Cite>) {
        let core = word.trim_matches(|c: char| " ,;.()'’".contains(c)).trim_end_matches(':');
        let Some(start) = word.find(core).filter(|_| !core.is_empty()) else {
            return self.text(word);
        };
        let (before, rest) = word.split_at(start);
        let after = rest.get(core.len()..).unwrap_or_default();
        let socket = core.parse::<SocketAddr>().map(|socket| (socket.ip(), Some(socket.port())));
        let address = socket.or_else(|_| core.parse::<IpAddr>().map(|ip| (ip, None)));
        let piece = if let Ok((ip, port)) = address {
            let owner = owner_of(self.cluster, ip).owner;
            Some(Piece::Address { ip, text: address_and_port(ip, port), owner })
        } else if core.parse::<ipnet::IpNet>().is_ok() {
            Some(Piece::Code(core.to_owned(), cite.cloned()))
        } else if core.starts_with("pod/") && core.matches('/').count() == 2 {
            self.text(before);
            self.pod(core);
            return self.text(after);
        } else {
            None
        };
        match piece {
            Some(piece) => {
                if !before.is_empty() {
                    self.text(before);
                }
                self.pieces.push(piece);
                if !after.is_empty() {
                    self.text(after);
                }
            }
            None => self.text(word),
        }
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
fn ways(trace: &Trace) -> Vec<Way> {
    let endpoints: BTreeSet<_> = trace.outcomes.iter().map(|o| o.endpoint.as_deref()).collect();
    let entries: BTreeSet<_> = trace.outcomes.iter().map(entry).collect();
    let ways = trace.outcomes.iter().enumerate().map(|(index, outcome)| {
        let mut name = Vec::new();
        if let Some(node) = entry(outcome).filter(|_| entries.len() > 1) {
            name.push(format!("through {node}"));
        }
        if let Some(endpoint) = outcome.endpoint.as_deref().filter(|_| endpoints.len() > 1) {
            let endpoint = endpoint.strip_prefix("pod/").unwrap_or(endpoint);
            name.push(format!("to {endpoint}"));
        }
        if name.is_empty() {
            name.push(format!("on way {}", index + 1));
        }
        Way {
            outcome: index,
            verdict: outcome.verdict,
            share: times(outcome.share),
            name: name.join(" "),
            end: uncapital(headline(outcome).trim_end_matches('.')),
        }
    });
    ways.collect()
}

/// The node by which a packet from outside enters.
fn entry(outcome: &Outcome) -> Option<&str> {
    outcome.steps.iter().find_map(|step| match &step.machine {
        Machine::Node(name) => Some(name.as_str()),
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

/// With its first letter large, where it is a word's.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = text.split(' ').next().unwrap_or_default();
    // Names keep their spelling.
    if first.contains(['/', '.', ':', '`']) || first.starts_with("kube-") {
        return text.to_owned();
    }
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn uncapital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests;
