//! A trace as a person reads it in a terminal: the verdict, then hop by hop what happens to the
//! packet, which line made it so, and the way back.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::cluster::Cluster;
use crate::datapath::{Gate, Machine, Outcome, Step, Trace};
use crate::decision::{Decision, Evaluation, Reason};
use crate::net::{Flow, Verdict};
use crate::text::{Cite, Origin};
use crate::words::names::{self as words, Mark};
use crate::words::policy;
use crate::words::verdict::{self as sentence, Sentence, Way};

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
    out.line(&out.paint(BOLD, &trace.flow.to_string()));
    if trace.outcomes.len() > 1 {
        let Sentence { headline, ways, .. } = sentence::verdict(cluster, trace, 0);
        out.line(&out.paint(YELLOW, &format!("≈ {headline}")));
        for Way { share, name, end, .. } in ways {
            out.line(&format!("  {share} {name}: {end}"));
        }
    }
    for (i, outcome) in trace.outcomes.iter().enumerate() {
        if trace.outcomes.len() > 1 {
            out.line("");
            let endpoint = outcome.endpoint.as_deref().unwrap_or("no endpoint");
            let n = trace.outcomes.len();
            let share = words::share(outcome.share);
            out.line(&format!("outcome {} of {n}: {share} new connections, to {endpoint}", i + 1));
        }
        out.outcome(outcome, &told(cluster, trace, outcome));
    }
    let mut met: BTreeSet<String> = BTreeSet::new();
    for outcome in &trace.outcomes {
        met.extend(outcome.endpoint.clone());
        for step in outcome.steps.iter().chain(&outcome.reply) {
            met.insert(format!("node/{}", step.machine.label()));
        }
    }
    out.assumed(cluster, &trace.flow, met);
    out.text
}

/// An evaluation of the policies alone, as text ending in a line's end.
pub fn evaluation(cluster: &Cluster, evaluation: &Evaluation, look: Look) -> String {
    let mut out = Out { cluster, text: String::new(), look };
    let (sign, code) = if evaluation.allowed { ("✓", GREEN) } else { ("✗", RED) };
    out.line(&out.paint(code, &format!("{sign} {}", evaluation.flow)));
    if let Some(problem) = &evaluation.problem {
        out.line(&format!("  {problem}"));
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
    out.assumed(cluster, &evaluation.flow, BTreeSet::new());
    out.text
}

/// The verdict on one outcome, as if it were the only one.
pub(super) fn told(cluster: &Cluster, trace: &Trace, outcome: &Outcome) -> String {
    let (flow, verdict) = (trace.flow.clone(), outcome.verdict);
    let alone = Trace { flow, verdict, outcomes: vec![outcome.clone()] };
    sentence::verdict(cluster, &alone, 0).to_string()
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
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.look.colour && !code.is_empty() && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn outcome(&mut self, outcome: &Outcome, told: &str) {
        let (sign, code) = match outcome.verdict {
            Verdict::Delivered => ("✓", GREEN),
            Verdict::Mixed => ("≈", YELLOW),
            Verdict::Dropped | Verdict::Rejected | Verdict::Unroutable => ("✗", RED),
        };
        for (i, line) in wrap(told, WIDTH - 2).iter().enumerate() {
            let lead = if i == 0 { sign } else { " " };
            self.line(&self.paint(code, &format!("{lead} {line}")));
        }
        let cite = outcome.cause.as_ref().and_then(|cause| cause.cite.as_ref());
        if let Some(cite) = cite.filter(|cite| cite.span.is_some()) {
            self.line(&self.paint(DIM, &format!("  {}", words::cite(cite))));
        }
        self.way("", &outcome.steps);
        if !outcome.reply.is_empty() {
            self.way("the way back", &outcome.reply);
        }
    }

    fn way(&mut self, title: &str, steps: &[Step]) {
        let columns = Columns::of(steps);
        if !title.is_empty() {
            self.line("");
            self.line(&self.paint(DIM, &format!("  ── {title}")));
        }
        let mut lane: Option<&Machine> = None;
        for step in steps {
            if lane != Some(&step.machine) {
                self.line("");
                let name = words::machine(&step.machine);
                self.line(&format!("  {}", self.paint(BOLD, &name)));
                lane = Some(&step.machine);
            }
            self.step(step, &columns);
        }
    }

    fn step(&mut self, step: &Step, columns: &Columns) {
        let (sign, code) = match words::mark(step) {
            Mark::Passes => ("│", DIM),
            Mark::Rewrites => ("●", YELLOW),
            Mark::Opens | Mark::Arrives => ("✓", GREEN),
            Mark::Stops => ("✗", RED),
        };
        let hook = step.hook.to_string();
        let what = what(step);
        let source = change(&words::source(&step.before), &words::source(&step.after));
        let destination =
            change(&words::destination(&step.before), &words::destination(&step.after));
        let mut row = format!(
            "  {}   {}  {}  ",
            self.paint(code, sign),
            self.paint(DIM, &pad(&hook, columns.hook)),
            self.paint(code, &pad(&what, columns.what)),
        );
        let coloured = |text: String, changed: bool| {
            if changed { self.paint(YELLOW, &text) } else { text }
        };
        let _ = write!(
            row,
            "{} → {}",
            coloured(pad(&source, columns.source), source.contains('⇒')),
            coloured(destination.clone(), destination.contains('⇒')),
        );
        if let Some(outer) = step.after.outer.as_ref() {
            let _ = write!(row, "   {}", self.paint(CYAN, &format!("in {}", words::outer(outer))));
        }
        self.line(&row);
        let thread = if words::mark(step) == Mark::Stops { " " } else { "│" };
        if let Some(Gate { decision, .. }) = &step.gate {
            let by = policy::decided(decision);
            self.below(thread, &with_place(&by, decision.cite.as_ref()), code);
            self.below(thread, &policy::reason(self.cluster, decision), "");
            self.looked_at(thread, decision);
        } else {
            self.below(thread, &step.summary, "");
            let all = step.evidence.iter();
            let all = all.map(|it| with_place(&format!("+ {}", it.finding), Some(&it.cite)));
            self.evidence(thread, &all.collect::<Vec<_>>());
        }
        if let Some(why) = policy::uncertain(self.cluster, step) {
            self.below(thread, &format!("not certain: {why}"), YELLOW);
        }
        if self.look.rules {
            for rule in &step.rules {
                self.below(thread, rule, CYAN);
            }
            if let Some(inspect) = &step.inspect {
                let on = if inspect.on.is_empty() { "" } else { &inspect.on };
                self.below(thread, &format!("{on}$ {}", inspect.command), CYAN);
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
        let rest = rest.map(|it| {
            let sign = if it.matched { "+" } else { "-" };
            let finding = policy::finding(self.cluster, it);
            with_place(&format!("{sign} {finding}"), Some(&it.cite))
        });
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
    fn assumed(&mut self, cluster: &Cluster, flow: &Flow, mut met: BTreeSet<String>) {
        // `pod/foo/web:80` is `pod/foo/web`.
        for end in flow.to_string().split_whitespace() {
            met.insert(end.rsplit_once(':').map_or(end, |(name, _)| name).to_owned());
        }
        let objects = cluster.assumed.iter().filter(|assumption| {
            let object = &assumption.object;
            met.contains(&match object.kind.as_str() {
                "Pod" => format!("pod/{}/{}", object.namespace, object.name),
                kind => format!("{}/{}", kind.to_lowercase(), object.name),
            })
        });
        let mut lines: Vec<_> =
            objects.map(|found| format!("{}: {}", found.object, found.reason)).collect();
        for pod in &cluster.pods {
            let name = format!("pod/{}/{}", pod.namespace, pod.name);
            if let (Origin::Written(_), Origin::Assumed(reason), Some(ip), true) =
                (&pod.origin, &pod.address_origin, pod.addresses.first(), met.contains(&name))
            {
                lines.push(format!("{ip} of {name}: {reason}"));
            }
        }
        if lines.is_empty() {
            return;
        }
        self.line("");
        self.line("  ── not in the text, and assumed");
        self.line("");
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
            let line = self.paint(code, &format!("{lead}{line}"));
            self.line(&format!("  {}   {line}", self.paint(DIM, thread)));
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
    fn of(steps: &[Step]) -> Self {
        let widest = |text: &dyn Fn(&Step) -> String| {
            steps.iter().map(|s| text(s).chars().count()).max().unwrap_or(0)
        };
        Self {
            hook: widest(&|s| s.hook.to_string()),
            what: widest(&what),
            source: widest(&|s| change(&words::source(&s.before), &words::source(&s.after))),
        }
    }
}

fn what(step: &Step) -> String {
    let rule = words::rule(step.rule);
    match (&step.device, &step.gate) {
        (Some(device), None) if !device.contains('/') => format!("{rule}, {device}"),
        _ => rule.to_owned(),
    }
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
