//! The diagram's textual twin: every step, in order.

use std::net::IpAddr;
use std::rc::Rc;

use hopwise::cluster::Cluster;
use hopwise::datapath::{Step, Trace};
use hopwise::text::{Cite, Span};
use hopwise::words::names::{self, Mark};
use hopwise::words::{Piece, summary};
use yew::prelude::*;

use super::card::sentence;
use super::{StepAt, place};
use crate::engine::{Answer, Shared};
use crate::links::Links;

#[derive(Debug, PartialEq, Properties)]
pub(super) struct TableProps {
    /// Where the trace's objects are.
    pub(super) asked: Shared<Answer>,
    pub(super) trace: Rc<Trace>,
    pub(super) outcome: usize,
    pub(super) focus: StepAt,
    /// The address that is pointed at, here or elsewhere.
    pub(super) lit: Option<IpAddr>,
    pub(super) on_focus: Callback<StepAt>,
    pub(super) on_light: Callback<Option<IpAddr>>,
    pub(super) on_cite: Callback<Span>,
}

#[component]
pub(super) fn Table(props: &TableProps) -> Html {
    let TableProps { asked, trace, outcome, .. } = props;
    // Not again for each step or address that is pointed at: for a policy's reasons it is asked again.
    let told = use_memo((asked.clone(), Rc::clone(trace), *outcome), |(asked, trace, outcome)| {
        let outcome = trace.outcomes.get(*outcome)?;
        let steps = outcome.steps.iter().chain(&outcome.reply);
        Some(steps.map(|step| tell(&asked.reading.cluster, step)).collect::<Vec<_>>())
    });
    let (Some(outcome), Some(told)) = (trace.outcomes.get(*outcome), &*told) else {
        return html! {};
    };
    if outcome.steps.is_empty() {
        return html! {};
    }
    let steps = outcome.steps.iter().chain(&outcome.reply);
    let mut rows = steps.zip(told).enumerate().map(|(at, (step, told))| row(props, step, told, at));
    let request: Vec<Html> = rows.by_ref().take(outcome.steps.len()).collect();
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
                <tbody>{ for request }</tbody>
                if !outcome.reply.is_empty() {
                    <tbody class="steps-reply">
                        <tr><th scope="rowgroup" colspan="6">{ "The reply" }</th></tr>
                        { for rows }
                    </tbody>
                }
            </table>
        </div>
    }
}

/// What is said of a step.
#[derive(PartialEq)]
struct Told {
    what: Vec<Piece>,
    why: Vec<Cite>,
}

fn tell(cluster: &Cluster, step: &Step) -> Told {
    Told { what: sentence(cluster, summary(cluster, step)), why: reasons(cluster, step) }
}

fn row(props: &TableProps, step: &Step, told: &Told, at: StepAt) -> Html {
    let TableProps { asked, focus, lit, on_focus, on_light, on_cite, .. } = props;
    let links = Links { lit: *lit, on_light, on_cite };
    let (class, sign) = match names::mark(step) {
        Mark::Stops => ("stops", "✕ "),
        Mark::Opens => ("opens", "✓ "),
        Mark::Rewrites => ("rewrites", "● "),
        Mark::Arrives => ("arrives", "✓ "),
        Mark::Passes => ("passes", ""),
    };
    let here = *focus == at;
    let packet = &step.after;
    let changed = |before: String, after: &str| (before != after).then_some("changed");
    let (source, destination) = (names::source(packet), names::destination(packet));
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
                { names::machine(&asked.reading.cluster, step.machine).to_string() }
                <span class="quiet hook">{ step.hook.to_string() }</span>
            </td>
            <td>
                <strong><span aria-hidden="true">{ sign }</span>{ names::rule(step.rule()) }</strong>
                { " " }
                { links.show(&told.what) }
            </td>
            <td class={classes!(changed(names::source(&step.before), &source))}>
                <code>{ source }</code>
            </td>
            <td class={classes!(changed(names::destination(&step.before), &destination))}>
                <code>{ destination }</code>
                if let Some(outer) = &packet.outer {
                    <span class="quiet outer">{ format!("in {}", names::outer(outer)) }</span>
                }
            </td>
            <td>{ for told.why.iter().map(|cite| html! { <>{ place(cite, on_cite) }{ " " }</> }) }</td>
        </tr>
    }
}

/// The places of the text that decided, each once.
fn reasons(cluster: &Cluster, step: &Step) -> Vec<Cite> {
    let gate = step.gate().and_then(|gate| gate.ruling.cite.clone());
    let evidence = step.evidence.iter().map(|it| it.cite(cluster));
    let mut cites: Vec<Cite> = Vec::new();
    for cite in gate.into_iter().chain(evidence) {
        if cite.span.is_some() && cites.iter().all(|it| it.span != cite.span) {
            cites.push(cite);
        }
    }
    cites
}
