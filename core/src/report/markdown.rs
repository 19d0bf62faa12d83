//! A trace as Markdown, for an issue, a runbook or a pull request.

use std::fmt::Write as _;

use super::text::endpoint;
use crate::cluster::Cluster;
use crate::datapath::{Outcome, Step, Trace};
use crate::escape;
use crate::words::verdict::of_outcome;
use crate::words::{Piece, names, policy, summary};

/// The trace as a section: the verdict, then a table of the hops.
pub fn path(cluster: &Cluster, trace: &Trace) -> String {
    let mut out = format!("### {}\n", escape::code(&trace.flow.to_string()));
    for outcome in &trace.outcomes {
        if trace.outcomes.len() > 1 {
            let endpoint = escape::code(&endpoint(cluster, outcome));
            let share = names::share(outcome.share);
            let _ = write!(out, "\n#### {share} new connections, to {endpoint}\n");
        }
        section(&mut out, cluster, outcome);
    }
    out
}

fn section(out: &mut String, cluster: &Cluster, outcome: &Outcome) {
    let told = of_outcome(cluster, outcome);
    let _ = write!(out, "\n{}", escape::markdown(&told.headline));
    for (i, piece) in told.pieces.iter().enumerate() {
        out.push_str(if i == 0 { " " } else { "" });
        out.push_str(&match piece {
            Piece::Code(..) | Piece::Object(_) => escape::code(&piece.text()),
            Piece::Text(_) | Piece::Address { .. } => escape::markdown(&piece.text()),
        });
    }
    out.push('\n');
    let cite = outcome.cause.as_ref().and_then(|cause| cause.cite.as_ref());
    if let Some(cite) = cite.filter(|cite| cite.span.is_some()) {
        let _ = write!(out, "\n{}\n", escape::markdown(&names::cite(cite)));
    }
    table(out, cluster, "What happens", &outcome.steps);
    if !outcome.reply.is_empty() {
        table(out, cluster, "The way back", &outcome.reply);
    }
}

fn table(out: &mut String, cluster: &Cluster, title: &str, steps: &[Step]) {
    let _ = write!(
        out,
        "\n| Machine | Hook | {title} | Source | Destination |\n| --- | --- | --- | --- | --- |\n"
    );
    for step in steps {
        let mut told = escape::markdown(names::rule(step.rule()));
        let summary = summary(cluster, step).told(escape::markdown, escape::code);
        if !summary.is_empty() {
            let _ = write!(told, ". {}", summary.trim_end_matches('.'));
        }
        if let Some(gate) = step.gate() {
            let decision = &policy::explain(cluster, step, gate);
            let _ = write!(told, ". {}", escape::markdown(&policy::decided(decision)));
            if let Some(span) = decision.cite.as_ref().and_then(|c| c.span) {
                let _ = write!(told, ", line {}", span.line);
            }
        }
        if let Some(outer) = &step.after.outer {
            let _ = write!(told, ". In {}", names::outer(outer));
        }
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            escape::cell(&escape::markdown(&names::machine(cluster, step.machine).to_string())),
            step.hook,
            escape::cell(&told),
            change(&names::source(&step.before), &names::source(&step.after)),
            change(&names::destination(&step.before), &names::destination(&step.after)),
        );
    }
}

fn change(before: &str, after: &str) -> String {
    if before == after { format!("`{before}`") } else { format!("`{before}` ⇒ **`{after}`**") }
}
