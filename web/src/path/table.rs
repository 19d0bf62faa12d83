//! The diagram's textual twin: every step, in order.

use std::rc::Rc;

use hopwise::datapath::{Outcome, Step, Trace};
use hopwise::text::{Cite, Span};
use hopwise::words::names::{self as words, Mark};
use hopwise::words::policy::summary;
use yew::prelude::*;

use super::card::sentence;
use super::{StepAt, place};
use crate::engine::{Answer, Shared};

#[derive(Debug, PartialEq, Properties)]
pub(super) struct TableProps {
    /// Where the trace's objects are.
    pub(super) asked: Shared<Answer>,
    pub(super) trace: Rc<Trace>,
    pub(super) outcome: usize,
    pub(super) focus: StepAt,
    pub(super) on_focus: Callback<StepAt>,
    pub(super) on_cite: Callback<Span>,
}

#[component]
pub(super) fn Table(props: &TableProps) -> Html {
    let TableProps { trace, outcome, .. } = props;
    let Some(outcome) = trace.outcomes.get(*outcome) else { return html! {} };
    if outcome.steps.is_empty() {
        return html! {};
    }
    html! {
        <div class="steps" role="region" aria-label="Steps" tabindex="0">
            <table>
                <caption>{ "The same, step by step" }</caption>
                <thead>
                    <tr>
                        <th scope="col">{ "Step" }</th>
                        <th scope="col">{ "Where" }</th>
                        <th scope="col">{ "What happens" }</th>
                        <th scope="col">{ "Source" }</th>
                        <th scope="col">{ "Destination" }</th>
                        <th scope="col">{ "Why" }</th>
                    </tr>
                </thead>
                <tbody>{ for rows(props, &outcome.steps, 0) }</tbody>
                if !outcome.reply.is_empty() {
                    <tbody class="steps-reply">
                        <tr><th scope="rowgroup" colspan="6">{ "The reply" }</th></tr>
                        { for rows(props, &outcome.reply, reply_from(outcome)) }
                    </tbody>
                }
            </table>
        </div>
    }
}

fn reply_from(outcome: &Outcome) -> usize {
    outcome.steps.len()
}

fn rows(props: &TableProps, steps: &[Step], from: usize) -> Vec<Html> {
    steps.iter().enumerate().map(|(index, step)| row(props, step, from + index)).collect()
}

fn row(props: &TableProps, step: &Step, at: StepAt) -> Html {
    let TableProps { asked, focus, on_focus, on_cite, .. } = props;
    let (class, sign) = match words::mark(step) {
        Mark::Stops => ("stops", "✕ "),
        Mark::Opens => ("opens", "✓ "),
        Mark::Rewrites => ("rewrites", "● "),
        Mark::Arrives => ("arrives", "✓ "),
        Mark::Passes => ("passes", ""),
    };
    let here = *focus == at;
    let packet = &step.after;
    let changed = |before: String, after: &str| (before != after).then_some("changed");
    let (source, destination) = (words::source(packet), words::destination(packet));
    html! {
        <tr
            class={classes!(class, here.then_some("chosen"))}
            aria-current={here.then_some("step")}
        >
            <td>
                <button
                    type="button"
                    class="link"
                    aria-label={format!("step {}", at + 1)}
                    onclick={on_focus.reform(move |_: MouseEvent| at)}
                >
                    { at + 1 }
                </button>
            </td>
            <td>
                { words::machine(&step.machine) }
                <span class="quiet hook">{ step.hook.to_string() }</span>
            </td>
            <td>
                <strong><span aria-hidden="true">{ sign }</span>{ words::rule(step.rule) }</strong>
                { " " }
                { sentence(&summary(&asked.reading.cluster, step)) }
            </td>
            <td class={classes!(changed(words::source(&step.before), &source))}>
                <code>{ source }</code>
            </td>
            <td class={classes!(changed(words::destination(&step.before), &destination))}>
                <code>{ destination }</code>
                if let Some(outer) = &packet.outer {
                    <span class="quiet outer">{ format!("in {}", words::outer(outer)) }</span>
                }
            </td>
            <td>{ for reasons(step).into_iter().map(|cite| html! { <>{ place(cite, on_cite) }{ " " }</> }) }</td>
        </tr>
    }
}

/// The places of the text that decided, each once.
fn reasons(step: &Step) -> Vec<&Cite> {
    let gate = step.gate.iter().filter_map(|gate| gate.decision.cite.as_ref());
    let evidence = step.evidence.iter().map(|it| &it.cite);
    let mut cites: Vec<&Cite> = Vec::new();
    for cite in gate.chain(evidence) {
        if cite.span.is_some() && cites.iter().all(|it| it.span != cite.span) {
            cites.push(cite);
        }
    }
    cites
}
