//! A trace as a Mermaid sequence diagram, which GitHub and GitLab draw.

use std::fmt::Write as _;

use super::text::endpoint;
use crate::cluster::{Cluster, PodId};
use crate::datapath::{Hook, Machine, Outcome, Rule, Step, Trace};
use crate::escape::mermaid as escape;
use crate::words::names::{self, Mark};
use crate::words::{policy, summary};

/// The trace as one diagram; several outcomes stand in it one after the other.
pub fn path(cluster: &Cluster, trace: &Trace) -> String {
    let mut out = String::from("sequenceDiagram\n");
    let mut lanes: Vec<Lane> = Vec::new();
    for outcome in &trace.outcomes {
        for step in outcome.steps.iter().chain(&outcome.reply) {
            for lane in lanes_of(step) {
                if !lanes.contains(&lane) {
                    lanes.push(lane);
                }
            }
        }
    }
    for (i, lane) in lanes.iter().enumerate() {
        let _ = writeln!(out, "    participant p{i} as {}", escape(&lane.label(cluster)));
    }
    let chart = Chart { cluster, lanes: &lanes };
    for outcome in &trace.outcomes {
        chart.outcome(&mut out, outcome, trace.outcomes.len() > 1);
    }
    out
}

/// A column of the diagram.
#[derive(Clone, Copy, PartialEq)]
enum Lane {
    Machine(Machine),
    Pod(PodId),
}

impl Lane {
    fn label(self, cluster: &Cluster) -> String {
        match self {
            Self::Machine(machine) => names::machine(cluster, machine).to_string(),
            Self::Pod(pod) => names::pod(cluster, pod),
        }
    }
}

/// The columns that a step takes part in: its machine, and the pod that it starts from or ends at.
fn lanes_of(step: &Step) -> Vec<Lane> {
    let machine = Lane::Machine(step.machine);
    match at_pod(step) {
        Some(pod) if step.rule() == Rule::Send => vec![Lane::Pod(pod), machine],
        Some(pod) => vec![machine, Lane::Pod(pod)],
        None => vec![machine],
    }
}

/// The pod that the step happens in.
fn at_pod(step: &Step) -> Option<PodId> {
    let inside = step.hook == Hook::Socket || step.rule() == Rule::DeliverToPod;
    step.pod().filter(|_| inside)
}

struct Chart<'a> {
    cluster: &'a Cluster,
    lanes: &'a [Lane],
}

impl Chart<'_> {
    fn outcome(&self, out: &mut String, outcome: &Outcome, several: bool) {
        if several {
            let endpoint = endpoint(self.cluster, outcome);
            let told = format!("{} to {endpoint}", names::share(outcome.share));
            let _ = writeln!(out, "    rect rgba(128, 128, 128, 0.1)");
            let _ = writeln!(out, "    Note over p0: {}", escape(&told));
        }
        self.way(out, &outcome.steps, "->>");
        self.way(out, &outcome.reply, "-->>");
        if several {
            out.push_str("    end\n");
        }
    }

    fn way(&self, out: &mut String, steps: &[Step], arrow: &str) {
        let mut here: Option<usize> = None;
        for step in steps {
            let lane = at_pod(step).map_or(Lane::Machine(step.machine), Lane::Pod);
            let there = self.lanes.iter().position(|l| *l == lane).unwrap_or(0);
            if let Some(here) = here.filter(|here| *here != there) {
                let packet = &step.before;
                let outer =
                    packet.outer.map(|o| format!(" in {}", names::outer(&o))).unwrap_or_default();
                let told =
                    format!("{} → {}{outer}", names::source(packet), names::destination(packet));
                let _ = writeln!(out, "    p{here}{arrow}p{there}: {}", escape(&told));
            }
            here = Some(there);
            let note = match names::mark(step) {
                Mark::Passes | Mark::Arrives => continue,
                Mark::Rewrites => rewrite(step).join("<br/>"),
                Mark::Opens | Mark::Stops => {
                    if let Some(gate) = step.gate() {
                        escape(&format!(
                            "{} {}: {}, sees {}",
                            if gate.ruling.allow { "✓" } else { "✗" },
                            names::rule(step.rule()),
                            policy::decided(&policy::explain(self.cluster, step, gate)),
                            names::source(&step.before),
                        ))
                    } else {
                        let summary = summary(self.cluster, step);
                        escape(&format!("✗ {}: {summary}", names::rule(step.rule())))
                    }
                }
            };
            let _ = writeln!(out, "    Note over p{there}: {note}");
        }
    }
}

fn rewrite(step: &Step) -> Vec<String> {
    let rule = names::rule(step.rule());
    let mut told = vec![escape(&format!("{} {rule}", step.hook))];
    let pairs = [
        (names::source(&step.before), names::source(&step.after)),
        (names::destination(&step.before), names::destination(&step.after)),
    ];
    for (before, after) in pairs {
        if before != after {
            told.push(escape(&format!("{before} ⇒ {after}")));
        }
    }
    told
}
