//! A trace as a person reads it in a terminal: the verdict, then hop by hop what happens to the
//! packet, which line made it so, and the way back.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::cluster::{Cluster, Pod};
use crate::datapath::{Machine, Outcome, Step, Trace};
use crate::decision::{Decision, Evaluation, Reason};
use crate::escape;
use crate::net::{Flow, InFamily, Party, Target, Verdict};
use crate::text::{Cite, ObjectRef, Origin};
use crate::words::names::{self, Mark};
use crate::words::verdict::{Sentence, Way, of_outcome, verdict};
use crate::words::{Inspect, Line, doubt, evidence, policy, rules, summary, unresolved};

/// How a report looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// With ANSI colours.
    pub colour: bool,
    /// With the rules as the machine prints them, and the commands that show them.
    pub rules: bool,
}

/// The trace as text, ending in a line's end.
pub fn path(cluster: &Cluster, trace: &Trace, look: Look) -> String {
    let mut out = Out { cluster, text: String::new(), look };
    out.line(&[(BOLD, &trace.flow.to_string())]);
    if trace.outcomes.len() > 1 {
        let Sentence { headline, ways, .. } = verdict(cluster, trace, 0);
        out.line(&[(YELLOW, &format!("≈ {headline}"))]);
        for Way { share, name, end, .. } in ways {
            out.line(&[("", &format!("  {share} {name}: {end}"))]);
        }
    }
    for (i, outcome) in trace.outcomes.iter().enumerate() {
        if trace.outcomes.len() > 1 {
            out.line(&[]);
            let endpoint = endpoint(cluster, outcome);
            let n = trace.outcomes.len();
            let share = names::share(outcome.share);
            let told = format!("outcome {} of {n}: {share} new connections, to {endpoint}", i + 1);
            out.line(&[("", &told)]);
        }
        out.outcome(outcome);
    }
    let mut met: BTreeSet<ObjectRef> = named(&trace.flow).collect();
    for outcome in &trace.outcomes {
        met.extend(outcome.endpoint.and_then(|it| cluster.pod(it.pod?)).map(Pod::reference));
        let steps = outcome.steps.iter().chain(&outcome.reply);
        met.extend(steps.filter_map(|step| match step.machine {
            Machine::Node(id) => Some(ObjectRef::new("Node", "", &cluster.node(id)?.name)),
            _ => None,
        }));
    }
    out.assumed(&met);
    out.text
}

/// An evaluation of the policies alone, as text ending in a line's end.
pub fn evaluation(cluster: &Cluster, evaluation: &Evaluation, look: Look) -> String {
    let mut out = Out { cluster, text: String::new(), look };
    let (sign, code) = if evaluation.allowed { ("✓", GREEN) } else { ("✗", RED) };
    out.line(&[(code, &format!("{sign} {}", evaluation.flow))]);
    if let Some(problem) = &evaluation.problem {
        out.line(&[("", &format!("  {}", unresolved(cluster, problem)))]);
        return out.text;
    }
    for (name, decision) in [("egress", &evaluation.egress), ("ingress", &evaluation.ingress)] {
        let reason = policy::reason(cluster, decision);
        let told = format!("{name}: {}, {reason}", policy::decision(decision));
        out.below("", &with_place(&told, decision.cite.as_ref()), "");
        out.looked_at("", decision);
        if let Some(why) = &decision.uncertain {
            let why = policy::doubt(cluster, why);
            out.below("", &format!("not certain: {why}"), YELLOW);
        }
    }
    out.assumed(&named(&evaluation.flow).collect());
    out.text
}

/// What an outcome leads to.
pub(super) fn endpoint(cluster: &Cluster, outcome: &Outcome) -> String {
    let endpoint = outcome.endpoint.map(|endpoint| names::backend(cluster, endpoint));
    endpoint.unwrap_or_else(|| "no endpoint".to_owned())
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

/// Where explanations are broken.
const WIDTH: usize = 110;
/// How many things that were looked at are told.
const SHOWN: usize = 6;
/// Where what stands under a step begins.
const INDENT: usize = 6;

struct Out<'a> {
    cluster: &'a Cluster,
    text: String,
    look: Look,
}

impl Out<'_> {
    /// A line of its pieces, each in its colour: all that is written comes through here.
    fn line(&mut self, pieces: &[(&str, &str)]) {
        for (code, text) in pieces {
            let text = escape::line(text);
            if self.look.colour && !code.is_empty() && !text.is_empty() {
                let _ = write!(self.text, "\x1b[{code}m{text}\x1b[0m");
            } else {
                self.text.push_str(&text);
            }
        }
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    fn outcome(&mut self, outcome: &Outcome) {
        let told = of_outcome(self.cluster, outcome).to_string();
        let (sign, code) = match outcome.verdict {
            Verdict::Delivered => ("✓", GREEN),
            Verdict::Mixed => ("≈", YELLOW),
            Verdict::Dropped | Verdict::Rejected | Verdict::Unroutable => ("✗", RED),
        };
        for (i, line) in wrap(&told, WIDTH - 2).iter().enumerate() {
            let lead = if i == 0 { sign } else { " " };
            self.line(&[(code, &format!("{lead} {line}"))]);
        }
        let cite = outcome.cause.as_ref().and_then(|cause| cause.cite.as_ref());
        if let Some(cite) = cite.filter(|cite| cite.span.is_some()) {
            self.line(&[(DIM, &format!("  {}", names::cite(cite)))]);
        }
        self.way("", &outcome.steps);
        if !outcome.reply.is_empty() {
            self.way("the way back", &outcome.reply);
        }
    }

    fn way(&mut self, title: &str, steps: &[Step]) {
        let columns = Columns::of(self.cluster, steps);
        if !title.is_empty() {
            self.line(&[]);
            self.line(&[(DIM, &format!("  ── {title}"))]);
        }
        let mut lane: Option<Machine> = None;
        for step in steps {
            if lane != Some(step.machine) {
                self.line(&[]);
                let name = names::machine(self.cluster, step.machine).to_string();
                self.line(&[("", "  "), (BOLD, &name)]);
                lane = Some(step.machine);
            }
            self.step(step, &columns);
        }
    }

    fn step(&mut self, step: &Step, columns: &Columns) {
        let (sign, code) = match names::mark(step) {
            Mark::Passes => ("│", DIM),
            Mark::Rewrites => ("●", YELLOW),
            Mark::Opens | Mark::Arrives => ("✓", GREEN),
            Mark::Stops => ("✗", RED),
        };
        let hook = step.hook.to_string();
        let what = what(self.cluster, step);
        let source = change(&names::source(&step.before), &names::source(&step.after));
        let destination =
            change(&names::destination(&step.before), &names::destination(&step.after));
        let outer = step.after.outer.as_ref();
        let outer = outer.map_or_else(String::new, |outer| format!("in {}", names::outer(outer)));
        let changed = |text: &str| if text.contains('⇒') { YELLOW } else { "" };
        let row = [
            ("", "  "),
            (code, sign),
            ("", "   "),
            (DIM, &pad(&hook, columns.hook)),
            ("", "  "),
            (code, &pad(&what, columns.what)),
            ("", "  "),
            (changed(&source), &pad(&source, columns.source)),
            ("", " → "),
            (changed(&destination), &destination),
            ("", "   "),
            (CYAN, &outer),
        ];
        self.line(&row);
        let thread = if names::mark(step) == Mark::Stops { " " } else { "│" };
        if let Some(gate) = step.gate() {
            let decision = policy::explain(self.cluster, step, gate);
            let by = policy::decided(&decision);
            self.below(thread, &with_place(&by, decision.cite.as_ref()), code);
            self.below(thread, &policy::reason(self.cluster, &decision).to_string(), "");
            self.looked_at(thread, &decision);
        } else {
            self.below(thread, &summary(self.cluster, step).to_string(), "");
            let all = evidence(self.cluster, step);
            self.evidence(thread, &all.iter().map(line).collect::<Vec<_>>());
        }
        if let Some(why) = doubt(self.cluster, step) {
            self.below(thread, &format!("not certain: {why}"), YELLOW);
        }
        if self.look.rules {
            let (rules, inspect) = rules(self.cluster, step);
            for rule in rules {
                self.below(thread, &rule, CYAN);
            }
            if let Some(Inspect { on, command }) = inspect {
                self.below(thread, &format!("{on}$ {command}"), CYAN);
            }
        }
    }

    /// What stands behind a decision.
    fn looked_at(&mut self, thread: &str, decision: &Decision) {
        // What the reason says already is not said again.
        let said = match &decision.reason {
            Reason::Rule { because, .. } => because.as_deref(),
            _ => None,
        };
        let rest = decision.evidence.iter().filter(|it| said != Some(&it.finding));
        let rest = rest.map(|it| line(&policy::line(self.cluster, it)));
        self.evidence(thread, &rest.collect::<Vec<_>>());
        let asked = policy::asked(decision);
        if !asked.is_empty() {
            self.below(thread, "asked in this order:", DIM);
        }
        for (number, asked) in asked.iter().enumerate() {
            self.below(thread, &format!("  {}. {asked}", number + 1), DIM);
        }
        for staged in &decision.staged {
            let line = format!("~ {}", policy::staged(self.cluster, staged));
            self.below(thread, &with_place(&line, Some(&staged.cite)), YELLOW);
        }
    }

    /// The nearest first, as they come; a policy of many rules has many misses.
    fn evidence(&mut self, thread: &str, evidence: &[String]) {
        for line in evidence.iter().take(SHOWN) {
            self.below(thread, line, DIM);
        }
        if let more @ 1.. = evidence.len().saturating_sub(SHOWN) {
            self.below(thread, &format!("  and {more} more"), DIM);
        }
    }

    /// What of the flow's ends, and of what else was met, the text does not have.
    fn assumed(&mut self, met: &BTreeSet<ObjectRef>) {
        let objects = self.cluster.assumed.iter().filter(|found| met.contains(&found.object));
        let mut lines: Vec<_> =
            objects.map(|found| format!("{}: {}", found.object, found.reason)).collect();
        for pod in &self.cluster.pods {
            if let (Origin::Written(_), Origin::Assumed(reason), Some(ip), true) = (
                &pod.origin,
                &pod.address_origin,
                pod.addresses.first(),
                met.contains(&pod.reference()),
            ) {
                lines.push(format!("{ip} of pod/{}/{}: {reason}", pod.namespace, pod.name));
            }
        }
        if lines.is_empty() {
            return;
        }
        self.line(&[]);
        self.line(&[("", "  ── not in the text, and assumed")]);
        self.line(&[]);
        for line in lines {
            self.below("", &line, "");
        }
    }

    fn below(&mut self, thread: &str, text: &str, code: &str) {
        if text.is_empty() {
            return;
        }
        let hang = if text.starts_with(['+', '-', '~', ' ']) { "  " } else { "" };
        for (i, line) in wrap(text, WIDTH - INDENT - hang.len()).iter().enumerate() {
            let lead = if i > 0 || text.starts_with(' ') { hang } else { "" };
            let line = format!("{lead}{line}");
            self.line(&[("", "  "), (DIM, thread), ("", "   "), (code, &line)]);
        }
    }
}

/// The widths that all of a way's rows share.
struct Columns {
    hook: usize,
    what: usize,
    source: usize,
}

impl Columns {
    fn of(cluster: &Cluster, steps: &[Step]) -> Self {
        let widest = |text: &dyn Fn(&Step) -> String| {
            steps.iter().map(|s| text(s).chars().count()).max().unwrap_or(0)
        };
        Self {
            hook: widest(&|s| s.hook.to_string()),
            what: widest(&|s| what(cluster, s)),
            source: widest(&|s| change(&names::source(&s.before), &names::source(&s.after))),
        }
    }
}

fn what(cluster: &Cluster, step: &Step) -> String {
    let rule = names::rule(step.rule());
    match step.device.filter(|_| step.pod().is_none() && step.gate().is_none()) {
        Some(device) => {
            let device = names::device(cluster, device, step.before.source.family());
            format!("{rule}, {device}")
        }
        None => rule.to_owned(),
    }
}

/// The objects that a flow names.
fn named(flow: &Flow) -> impl Iterator<Item = ObjectRef> {
    let node = |name: &str| Some(ObjectRef::new("Node", "", name));
    let from = match &flow.from {
        Party::Client(name) => Some(ObjectRef::new("Client", "", name)),
        Party::Pod(namespace, name) => Some(ObjectRef::new("Pod", namespace, name)),
        Party::Node(name) => node(name),
        _ => None,
    };
    let to = match &flow.to {
        Target::Pod(namespace, name, _) => Some(ObjectRef::new("Pod", namespace, name)),
        Target::Node(name, _) => node(name),
        _ => None,
    };
    from.into_iter().chain(to)
}

/// `+ the mode is ipvs (mode, line 4)`.
fn line(line: &Line) -> String {
    let sign = if line.matched { "+" } else { "-" };
    with_place(&format!("{sign} {}", line.finding), Some(&line.cite))
}

fn change(before: &str, after: &str) -> String {
    if before == after { before.to_owned() } else { format!("{before} ⇒ {after}") }
}

fn with_place(text: &str, cite: Option<&Cite>) -> String {
    match cite.and_then(|c| c.span.map(|s| (c, s))) {
        Some((cite, span)) if cite.field.is_empty() => format!("{text} (line {})", span.line),
        Some((cite, span)) => format!("{text} ({}, line {})", cite.field, span.line),
        None => text.to_owned(),
    }
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:width$}")
}

/// Breaks at blanks; a word longer than `width` stays whole, so that it can be copied.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
