//! A trace as Markdown, for an issue, a runbook or a pull request.

use std::fmt::Write as _;

use super::text::endpoint;
use crate::cluster::Cluster;
use crate::datapath::{Outcome, Step, Trace};
use crate::words::verdict::of_outcome;
use crate::words::{names, policy, summary};

/// The trace as a section: the verdict, then a table of the hops.
pub fn path(cluster: &Cluster, trace: &Trace) -> String {
    let mut out = format!("### `{}`\n", trace.flow);
    for outcome in &trace.outcomes {
        if trace.outcomes.len() > 1 {
            let endpoint = endpoint(cluster, outcome);
            let share = names::share(outcome.share);
            let _ = write!(out, "\n#### {share} new connections, to `{endpoint}`\n");
        }
        section(&mut out, cluster, outcome);
    }
    out
}

fn section(out: &mut String, cluster: &Cluster, outcome: &Outcome) {
    let told = of_outcome(cluster, outcome).to_string();
    let _ = write!(out, "\n{}\n", escape(&told));
    let cite = outcome.cause.as_ref().and_then(|cause| cause.cite.as_ref());
    if let Some(cite) = cite.filter(|cite| cite.span.is_some()) {
        let _ = write!(out, "\n{}\n", escape(&names::cite(cite)));
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
        let mut told = names::rule(step.rule()).to_owned();
        let summary = summary(cluster, step).to_string();
        if !summary.is_empty() {
            let _ = write!(told, ". {}", summary.trim_end_matches('.'));
        }
        if let Some(gate) = step.gate() {
            let decision = &policy::explain(cluster, step, gate);
            let _ = write!(told, ". {}", policy::decided(decision));
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
            escape(&names::machine(cluster, step.machine).to_string()),
            step.hook,
            escape(&told),
            change(&names::source(&step.before), &names::source(&step.after)),
            change(&names::destination(&step.before), &names::destination(&step.after)),
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
