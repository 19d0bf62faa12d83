//! What happened at a step, why, and how to see it on a real cluster.

use hopwise::cluster::Cluster;
use hopwise::datapath::{Inspect, Step};
use hopwise::decision::Decision;
use hopwise::net::Packet;
use hopwise::text::Span;
use hopwise::words::{names as words, policy};
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use super::{StepAt, place};
use crate::browser;
use crate::engine::{Answer, Shared};

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
    pub(super) on_focus: Callback<StepAt>,
    pub(super) on_cite: Callback<Span>,
}

#[component]
pub(super) fn Card(props: &CardProps) -> Html {
    let CardProps { asked, step, at, count, answer, on_focus, on_cite } = props;
    let cluster = &asked.reading.cluster;
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
    let stops = words::mark(step) == words::Mark::Stops;
    html! {
        <section class={classes!("card", stops.then_some("stops"))} aria-label="Step">
            <header>
                <h2>
                    { title(step) }
                    if *answer { <span class="tag">{ "reply" }</span> }
                </h2>
                <span class="card-place quiet">
                    { format!("step {} of {count} · {} · {}", at + 1, words::machine(&step.machine), step.hook) }
                </span>
                <span class="card-turn">
                    { turn(at.checked_sub(1), "←", "previous step") }
                    { turn(Some(at + 1), "→", "next step") }
                </span>
            </header>
            <p class="card-summary">{ sentence(&policy::summary(cluster, step)) }</p>
            if let Some(why) = policy::uncertain(cluster, step) {
                <p class="card-uncertain"><strong>{ "Not certain: " }</strong>{ why }</p>
            }
            { packets(step) }
            { reasons(cluster, step, on_cite) }
            if !step.rules.is_empty() {
                <h3>{ "The rule" }</h3>
                <pre class="card-rules" tabindex="0">{ step.rules.join("\n") }</pre>
            }
            if let Some(inspect) = &step.inspect {
                <Look inspect={inspect.clone()} />
            }
        </section>
    }
}

fn title(step: &Step) -> String {
    match &step.device {
        Some(device) if !device.starts_with("pod/") => {
            format!("{}: {}", words::rule(step.rule), device)
        }
        _ => words::rule(step.rule).to_owned(),
    }
}

/// With a large first letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase).into_iter().flatten();
    let named = text.starts_with("kube-") || text.starts_with("pod/");
    let text: String = if named { text.to_owned() } else { first.chain(chars).collect() };
    if text.ends_with('.') { text } else { format!("{text}.") }
}

/// The packet before and after.
fn packets(step: &Step) -> Html {
    let outer =
        |packet: &Packet| packet.outer.as_ref().map_or_else(|| "none".to_owned(), words::outer);
    let rows = [
        ("source", words::source(&step.before), words::source(&step.after)),
        ("destination", words::destination(&step.before), words::destination(&step.after)),
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
fn reasons(cluster: &Cluster, step: &Step, on_cite: &Callback<Span>) -> Html {
    let gate = step.gate.as_ref().map(|gate| &gate.decision);
    let looked_at = gate.iter().flat_map(|decision| &decision.evidence);
    let looked_at = looked_at.map(|it| (it.matched, policy::finding(cluster, it), &it.cite));
    let own = step.evidence.iter().map(|it| (true, it.finding.clone(), &it.cite));
    let all: Vec<_> = looked_at.chain(own).collect();
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
                            { policy::reason(cluster, decision) }
                            if let Some(cite) = &decision.cite {
                                { " " }
                                { place(cite, on_cite) }
                            }
                        </span>
                    </li>
                }
                { for all.into_iter().map(|(matched, finding, cite)| html! {
                    <li>
                        <span class="sign" aria-hidden="true">{ if matched { "·" } else { "≠" } }</span>
                        <span>
                            if !matched { <span class="unseen">{ "no match: " }</span> }
                            { finding }{ " " }{ place(cite, on_cite) }
                        </span>
                    </li>
                }) }
            </ul>
            { for gate.map(in_order) }
            { for gate.map(|decision| staged(cluster, decision, on_cite)) }
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
fn staged(cluster: &Cluster, decision: &Decision, on_cite: &Callback<Span>) -> Html {
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
                        <span>{ sentence(&policy::staged(cluster, staged)) }{ " " }{ place(&staged.cite, on_cite) }</span>
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
