//! What is wrong with the text, each with its line and, where there is one, its fix.

use hopwise::text::{Problem, Severity};
use yew::prelude::*;

use crate::engine::{Answer, Shared};
use crate::state::Action;

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct ProblemsProps {
    pub(crate) answer: Shared<Answer>,
    pub(crate) act: Callback<Action>,
}

#[component]
pub(crate) fn Problems(props: &ProblemsProps) -> Html {
    let mut problems: Vec<&Problem> = props.answer.reading.problems.iter().collect();
    problems.sort_by_key(|problem| (std::cmp::Reverse(problem.severity), problem.span));
    let count = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let summary = [counted(errors, "error"), counted(warnings, "warning")];
    let summary: Vec<_> = summary.into_iter().flatten().collect();
    let summary = if summary.is_empty() { "notes".to_owned() } else { summary.join(", ") };
    let items = problems.iter().map(|problem| item(problem, &props.act));
    html! {
        <>
            // Always there, so that a screen reader hears what comes into it.
            <p class="unseen" role="status">
                { if problems.is_empty() { String::new() } else { format!("{summary} in the text") } }
            </p>
            if !problems.is_empty() {
                <details class={classes!("problems", (errors > 0).then_some("has-errors"))} open={errors > 0}>
                    <summary>{ summary }</summary>
                    <ul tabindex="0" aria-label="Problems in the text">{ for items }</ul>
                </details>
            }
        </>
    }
}

fn item(problem: &Problem, act: &Callback<Action>) -> Html {
    let span = problem.span;
    let visit = act.reform(move |_: MouseEvent| Action::Visit(span));
    let fix = problem.fix.clone().map(|fix| {
        let mend = act.reform(move |_: MouseEvent| Action::Apply(vec![fix.clone()]));
        html! { <button type="button" class="button small" onclick={mend}>{ "Fix" }</button> }
    });
    html! {
        <li class="problem">
            { severity_sign(problem.severity) }
            <button type="button" class="link mono" onclick={visit}>{ format!("{}:{}", span.line, span.column) }</button>
            <span class="problem-words">
                if let Some(object) = &problem.object {
                    <span class="quiet">{ format!("{object}: ") }</span>
                }
                { with_code(&problem.message) }
            </span>
            { fix }
        </li>
    }
}

/// How bad something is, as a sign.
pub(crate) fn severity_sign(severity: Severity) -> Html {
    let (word, sign) = match severity {
        Severity::Error => ("error", "✗"),
        Severity::Warning => ("warning", "▲"),
        Severity::Note => ("note", "i"),
    };
    html! { <span class={classes!("severity", word)} role="img" aria-label={word}>{ sign }</span> }
}

/// A message with what stands in backticks set as code.
pub(crate) fn with_code(message: &str) -> Html {
    let parts = message.split('`').enumerate().map(|(at, part)| {
        if at % 2 == 1 {
            html! { <code>{ part }</code> }
        } else {
            html! { { part } }
        }
    });
    html! { <>{ for parts }</> }
}

/// `1 error`, `2 errors`; nothing for none.
pub(crate) fn counted(count: usize, noun: &str) -> Option<String> {
    match (count, noun) {
        (0, _) => None,
        (1, _) => Some(format!("1 {noun}")),
        (n, "policy") => Some(format!("{n} policies")),
        (n, _) => Some(format!("{n} {noun}s")),
    }
}
