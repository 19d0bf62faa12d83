//! A trace as a Mermaid sequence diagram, which GitHub and GitLab draw.

use std::fmt::Write as _;

use crate::datapath::{Hook, Machine, Outcome, Rule, Step, Trace};
use crate::words::names::{self as words, Mark};
use crate::words::policy;

/// The trace as one diagram; several outcomes stand in it one after the other.
pub fn path(trace: &Trace) -> String {
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
        let _ = writeln!(out, "    participant p{i} as {}", escape(&lane.label()));
    }
    let chart = Chart { lanes: &lanes };
    for outcome in &trace.outcomes {
        chart.outcome(&mut out, outcome, trace.outcomes.len() > 1);
    }
    out
}

/// A column of the diagram.
#[derive(PartialEq)]
enum Lane {
    Machine(Machine),
    Pod(String),
}

impl Lane {
    fn label(&self) -> String {
        match self {
            Self::Machine(machine) => words::machine(machine),
            Self::Pod(pod) => pod.clone(),
        }
    }
}

/// The columns that a step takes part in: its machine, and the pod that it starts from or ends at.
fn lanes_of(step: &Step) -> Vec<Lane> {
    let machine = Lane::Machine(step.machine.clone());
    match at_pod(step) {
        Some(pod) if step.rule == Rule::Send => vec![Lane::Pod(pod), machine],
        Some(pod) => vec![machine, Lane::Pod(pod)],
        None => vec![machine],
    }
}

/// The pod that the step happens in.
fn at_pod(step: &Step) -> Option<String> {
    let inside = step.hook == Hook::Socket || step.rule == Rule::DeliverToPod;
    step.device.as_ref().filter(|device| inside && device.starts_with("pod/")).cloned()
}

struct Chart<'a> {
    lanes: &'a [Lane],
}

impl Chart<'_> {
    fn outcome(&self, out: &mut String, outcome: &Outcome, several: bool) {
        if several {
            let endpoint = outcome.endpoint.as_deref().unwrap_or("no endpoint");
            let told = format!("{} to {endpoint}", words::share(outcome.share));
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
            let lane = at_pod(step).map_or(Lane::Machine(step.machine.clone()), Lane::Pod);
            let there = self.lanes.iter().position(|l| *l == lane).unwrap_or(0);
            if let Some(here) = here.filter(|here| *here != there) {
                let packet = &step.before;
                let outer =
                    packet.outer.map(|o| format!(" in {}", words::outer(&o))).unwrap_or_default();
                let told =
                    format!("{} → {}{outer}", words::source(packet), words::destination(packet));
                let _ = writeln!(out, "    p{here}{arrow}p{there}: {}", escape(&told));
            }
            here = Some(there);
            let note = match words::mark(step) {
                Mark::Passes | Mark::Arrives => continue,
                Mark::Rewrites => rewrite(step),
                Mark::Opens | Mark::Stops => match &step.gate {
                    Some(gate) => format!(
                        "{} {}: {}, sees {}",
                        if gate.decision.allow { "✓" } else { "✗" },
                        words::rule(step.rule),
                        policy::decided(&gate.decision),
                        words::source(&step.before),
                    ),
                    None => format!("✗ {}: {}", words::rule(step.rule), step.summary),
                },
            };
            let _ = writeln!(out, "    Note over p{there}: {}", escape(&note));
        }
    }
}

fn rewrite(step: &Step) -> String {
    let rule = words::rule(step.rule);
    let mut told = format!("{} {rule}", step.hook);
    let pairs = [
        (words::source(&step.before), words::source(&step.after)),
        (words::destination(&step.before), words::destination(&step.after)),
    ];
    for (before, after) in pairs {
        if before != after {
            let _ = write!(told, "\n{before} ⇒ {after}");
        }
    }
    told
}

/// Mermaid takes `;` for a line's end, `#` for an entity, and has no other way to break a line.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '#' => out.push_str("#35;"),
            ';' => out.push_str("#59;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '\n' => out.push_str("<br/>"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_mermaid_would_take_amiss_is_escaped() {
        assert_eq!(super::escape("a;b#c<d\ne"), "a#59;b#35;c#lt;d<br/>e");
    }
}
