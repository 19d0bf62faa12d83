//! A trace as Markdown, for an issue, a runbook or a pull request.

use std::fmt::Write as _;

use super::text;
use crate::cluster::Cluster;
use crate::datapath::{Outcome, Step, Trace};
use crate::words::{names as words, policy};

/// The trace as a section: the verdict, then a table of the hops.
pub fn path(cluster: &Cluster, trace: &Trace) -> String {
    let mut out = format!("### `{}`\n", trace.flow);
    for outcome in &trace.outcomes {
        if trace.outcomes.len() > 1 {
            let endpoint = outcome.endpoint.as_deref().unwrap_or("no endpoint");
            let share = words::share(outcome.share);
            let _ = write!(out, "\n#### {share} new connections, to `{endpoint}`\n");
        }
        section(&mut out, cluster, outcome, &text::told(cluster, trace, outcome));
    }
    out
}

fn section(out: &mut String, cluster: &Cluster, outcome: &Outcome, told: &str) {
    let _ = write!(out, "\n{}\n", escape(told));
    let cite = outcome.cause.as_ref().and_then(|cause| cause.cite.as_ref());
    if let Some(cite) = cite.filter(|cite| cite.span.is_some()) {
        let _ = write!(out, "\n{}\n", escape(&words::cite(cite)));
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
        let mut told = words::rule(step.rule).to_owned();
        let summary = policy::summary(cluster, step);
        if !summary.is_empty() {
            let _ = write!(told, ". {}", summary.trim_end_matches('.'));
        }
        if let Some(gate) = &step.gate {
            let decision = &gate.decision;
            let _ = write!(told, ". {}", policy::decided(decision));
            if let Some(span) = decision.cite.as_ref().and_then(|c| c.span) {
                let _ = write!(told, ", line {}", span.line);
            }
        }
        if let Some(outer) = &step.after.outer {
            let _ = write!(told, ". In {}", words::outer(outer));
        }
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            escape(&words::machine(&step.machine)),
            step.hook,
            escape(&told),
            change(&words::source(&step.before), &words::source(&step.after)),
            change(&words::destination(&step.before), &words::destination(&step.after)),
        );
    }
}

fn change(before: &str, after: &str) -> String {
    if before == after { format!("`{before}`") } else { format!("`{before}` ⇒ **`{after}`**") }
}

/// Markdown's own characters as themselves, also inside a table. Code spans stay: names and
/// addresses in messages stand in backticks.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut code = false;
    for c in text.chars() {
        match c {
            '`' => code = !code,
            '|' => out.push('\\'),
            '*' | '_' | '<' | '>' | '[' | ']' | '\\' if !code => out.push('\\'),
            '\n' => {
                out.push(' ');
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_table_would_take_amiss_is_escaped() {
        assert_eq!(super::escape("a|b *c* `d_e|f`\ng"), r"a\|b \*c\* `d_e\|f` g");
    }
}
