//! What happened at a step, why, and how to see it on a real cluster.

use std::net::IpAddr;

use hopwise::cluster::Cluster;
use hopwise::datapath::Step;
use hopwise::decision::Decision;
use hopwise::net::Packet;
use hopwise::text::Span;
use hopwise::words::{
    Inspect, Line, Phrase, Piece, doubt, evidence, names, policy, rules, summary,
};
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use super::{StepAt, place};
use crate::browser;
use crate::engine::{Answer, Shared};
use crate::links::Links;

#[derive(Debug, PartialEq, Properties)]
pub(super) struct CardProps {
    /// Where the step's objects are.
    pub(super) asked: Shared<Answer>,
    pub(super) step: Step,
    pub(super) at: StepAt,
    /// How many steps there are, the answer's included.
    pub(super) count: usize,
    /// Whether it is one of the answer's.
    pub(super) answer: bool,
    /// The address that is pointed at, here or elsewhere.
    pub(super) lit: Option<IpAddr>,
    pub(super) on_focus: Callback<StepAt>,
    pub(super) on_light: Callback<Option<IpAddr>>,
    pub(super) on_cite: Callback<Span>,
}

#[component]
pub(super) fn Card(props: &CardProps) -> Html {
    let CardProps { asked, step, at, count, answer, lit, on_focus, on_light, on_cite } = props;
    let cluster = &asked.reading.cluster;
    let links = Links { lit: *lit, on_light, on_cite };
    let (rules, inspect) = rules(cluster, step);
    let machine = names::machine(cluster, step.machine);
    let turn = |to: Option<usize>, sign: &'static str, label: &'static str| {
        let to = to.filter(|to| to < count);
        html! {
            <button
                type="button"
                class="button small square"
                aria-label={label}
                disabled={to.is_none()}
                onclick={to.map(|to| on_focus.reform(move |_: MouseEvent| to))}
            >
                <span aria-hidden="true">{ sign }</span>
            </button>
        }
    };
    let stops = names::mark(step) == names::Mark::Stops;
    html! {
        <section class={classes!("card", stops.then_some("stops"))} aria-label="Step">
            <header>
                <h2>
                    { title(cluster, step) }
                    if *answer { <span class="tag">{ "reply" }</span> }
                </h2>
                <span class="card-place quiet">
                    { format!("step {} of {count} · {} · {}", at + 1, machine, step.hook) }
                </span>
                <span class="card-turn">
                    { turn(at.checked_sub(1), "←", "previous step") }
                    { turn(Some(at + 1), "→", "next step") }
                </span>
            </header>
            <p class="card-summary">{ links.show(&sentence(cluster, summary(cluster, step))) }</p>
            if let Some(why) = doubt(cluster, step) {
                <p class="card-uncertain"><strong>{ "Not certain: " }</strong>{ links.show(&why.pieces(cluster)) }</p>
            }
            { packets(step) }
            { reasons(cluster, step, links) }
            if !rules.is_empty() {
                <h3>{ "The rule" }</h3>
                <pre class="card-rules" tabindex="0">{ rules.join("\n") }</pre>
            }
            if let Some(inspect) = inspect {
                <Look {inspect} />
            }
        </section>
    }
}

fn title(cluster: &Cluster, step: &Step) -> String {
    let rule = names::rule(step.rule());
    // The sentence names the pod.
    match names::step_device(cluster, step).filter(|_| step.pod().is_none()) {
        Some(device) => format!("{rule}: {device}"),
        None => rule.to_owned(),
    }
}

/// With a capital letter, unless a name begins it, and a full stop.
pub(super) fn sentence(cluster: &Cluster, says: Phrase) -> Vec<Piece> {
    let mut pieces = says.capital().pieces(cluster);
    pieces.push(Piece::Text(".".to_owned()));
    pieces
}

/// The packet before and after.
fn packets(step: &Step) -> Html {
    let outer =
        |packet: &Packet| packet.outer.as_ref().map_or_else(|| "none".to_owned(), names::outer);
    let rows = [
        ("source", names::source(&step.before), names::source(&step.after)),
        ("destination", names::destination(&step.before), names::destination(&step.after)),
        ("outer header", outer(&step.before), outer(&step.after)),
    ];
    let rows = rows.into_iter().filter_map(|(name, before, after)| {
        if name == "outer header" && before == "none" && after == "none" {
            return None;
        }
        Some(if before == after {
            html! { <><dt>{ name }</dt><dd><code>{ after }</code></dd></> }
        } else {
            html! {
                <>
                    <dt>{ name }</dt>
                    <dd class="changed">
                        <code><del>{ before }</del></code>
                        <span>{ " becomes " }</span>
                        <code><ins>{ after }</ins></code>
                    </dd>
                </>
            }
        })
    });
    html! { <dl class="card-packet">{ for rows }</dl> }
}

/// What in the text made it happen.
fn reasons(cluster: &Cluster, step: &Step, links: Links<'_>) -> Html {
    let decision = step.gate().map(|gate| policy::explain(cluster, step, gate));
    let gate = decision.as_ref();
    let looked_at = gate.iter().flat_map(|decision| &decision.evidence);
    let mut all: Vec<Line> = looked_at.map(|it| policy::line(cluster, it)).collect();
    all.extend(evidence(cluster, step));
    if all.is_empty() && gate.is_none() {
        return html! {};
    }
    html! {
        <>
            <h3>{ "Because" }</h3>
            <ul class="card-because">
                if let Some(decision) = gate {
                    <li class={if decision.allow { "hit" } else { "miss" }}>
                        <span class="sign" aria-hidden="true">{ if decision.allow { "✓" } else { "✕" } }</span>
                        <span>
                            { links.show(&policy::reason(cluster, decision).pieces(cluster)) }
                            if let Some(cite) = &decision.cite {
                                { " " }
                                { place(cite, links.on_cite) }
                            }
                        </span>
                    </li>
                }
                { for all.into_iter().map(|Line { cite, matched, finding }| html! {
                    <li>
                        <span class="sign" aria-hidden="true">{ if matched { "·" } else { "≠" } }</span>
                        <span>
                            if !matched { <span class="unseen">{ "no match: " }</span> }
                            { links.show(&finding.pieces(cluster)) }{ " " }{ place(&cite, links.on_cite) }
                        </span>
                    </li>
                }) }
            </ul>
            { for gate.map(in_order) }
            { for gate.map(|decision| staged(cluster, decision, links)) }
        </>
    }
}

/// Who was asked, in which order.
fn in_order(decision: &Decision) -> Html {
    let asked = policy::asked(decision);
    if asked.is_empty() {
        return html! {};
    }
    html! {
        <>
            <h3>{ "Asked in this order" }</h3>
            <ol class="card-asked">{ for asked.iter().map(|line| html! { <li>{ line }</li> }) }</ol>
        </>
    }
}

/// What staged policies would do.
fn staged(cluster: &Cluster, decision: &Decision, links: Links<'_>) -> Html {
    if decision.staged.is_empty() {
        return html! {};
    }
    html! {
        <>
            <h3>{ "What is staged" }</h3>
            <ul class="card-because">
                { for decision.staged.iter().map(|staged| html! {
                    <li>
                        <span class="sign" aria-hidden="true">{ "~" }</span>
                        <span>
                            { links.show(&sentence(cluster, policy::staged(cluster, staged))) }
                            { " " }
                            { place(&staged.cite, links.on_cite) }
                        </span>
                    </li>
                }) }
            </ul>
        </>
    }
}

#[derive(Debug, PartialEq, Properties)]
struct LookProps {
    inspect: Inspect,
}

/// The command that shows it on a real cluster.
#[component]
fn Look(props: &LookProps) -> Html {
    let Inspect { on, command } = &props.inspect;
    let copied = use_state_eq(|| None::<(String, bool)>);
    let word = match &*copied {
        Some((what, true)) if what == command => "Copied",
        Some((what, false)) if what == command => "Not allowed",
        _ => "Copy",
    };
    let copy = {
        let (copied, command) = (copied.setter(), command.clone());
        move |_: MouseEvent| {
            let (copied, command) = (copied.clone(), command.clone());
            spawn_local(async move {
                let done = browser::copy(command.clone()).await;
                copied.set(Some((command, done)));
            });
        }
    };
    let place = if on.is_empty() { "where kubectl works".to_owned() } else { format!("on {on}") };
    html! {
        <>
            <h3>{ format!("See it, {place}") }</h3>
            <div class="card-look">
                <pre tabindex="0">{ command }</pre>
                <button type="button" class="button small" onclick={copy}>
                    { word }
                </button>
            </div>
        </>
    }
}
