//! The packet's path: the diagram, a card for the step in focus, and the same steps as a table.

mod card;
mod diagram;
mod table;

use std::net::IpAddr;
use std::rc::Rc;

use hopwise::datapath::{Outcome, Step, Trace};
use hopwise::picture::{Layout, draw};
use hopwise::text::{Cite, Span};
use yew::prelude::*;

use crate::engine::{Answer, Shared};
use card::Card;
use diagram::Diagram;
use table::Table;

/// A step of an outcome, by index into its steps followed by its reply.
pub(crate) type StepAt = usize;

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct PathProps {
    /// Where the trace's objects are.
    pub(crate) answer: Shared<Answer>,
    pub(crate) trace: Rc<Trace>,
    /// Which of the trace's outcomes is shown.
    pub(crate) outcome: usize,
    /// The step whose card is open; the one that decides if none was chosen.
    pub(crate) focus: Option<StepAt>,
    /// The address that is pointed at, here or elsewhere.
    pub(crate) lit: Option<IpAddr>,
    pub(crate) on_focus: Callback<StepAt>,
    pub(crate) on_light: Callback<Option<IpAddr>>,
    /// A place of the text is asked for.
    pub(crate) on_cite: Callback<Span>,
}

#[component]
pub(crate) fn Path(props: &PathProps) -> Html {
    let PathProps { answer, trace, outcome, on_focus, on_light, on_cite, lit, .. } = props;
    let at = *outcome;
    let pictures = use_memo((answer.clone(), Rc::clone(trace), at), |(answer, trace, at)| {
        let outcome = trace.outcomes.get(*at)?;
        let cluster = &answer.reading.cluster;
        Some([Layout::Wide, Layout::Narrow].map(|layout| draw(cluster, outcome, layout)))
    });
    let Some(outcome) = trace.outcomes.get(at) else { return html! {} };
    let focus = props.focus.unwrap_or_else(|| deciding(outcome));
    // A new trip of the packet for each new path, and for nothing else.
    let trip = use_trip(trace, at);
    let step = step(outcome, focus);
    html! {
        <section class="path" aria-label="Packet path">
            if let Some(pictures) = &*pictures {
                <div class="path-diagrams">
                    { for pictures.iter().map(|picture| html! {
                        <Diagram
                            picture={picture.clone()}
                            {trip}
                            {focus}
                            lit={*lit}
                            on_focus={on_focus.clone()}
                            on_light={on_light.clone()}
                        />
                    }) }
                </div>
            }
            if let Some(step) = step {
                <Card
                    asked={answer.clone()}
                    step={step.clone()}
                    at={focus}
                    count={outcome.steps.len() + outcome.reply.len()}
                    answer={focus >= outcome.steps.len()}
                    lit={*lit}
                    on_focus={on_focus.clone()}
                    on_light={on_light.clone()}
                    on_cite={on_cite.clone()}
                />
            }
            <Table
                asked={answer.clone()}
                trace={Rc::clone(trace)}
                outcome={at}
                {focus}
                lit={*lit}
                on_focus={on_focus.clone()}
                on_light={on_light.clone()}
                on_cite={on_cite.clone()}
            />
        </section>
    }
}

/// A number that changes with the path.
#[hook]
fn use_trip(trace: &Rc<Trace>, outcome: usize) -> u32 {
    let seen = use_mut_ref(|| (Rc::clone(trace), outcome, 0_u32));
    let mut seen = seen.borrow_mut();
    if seen.1 != outcome || (!Rc::ptr_eq(&seen.0, trace) && seen.0 != *trace) {
        *seen = (Rc::clone(trace), outcome, seen.2.wrapping_add(1));
    }
    seen.2
}

/// A step of the request or of the reply.
fn step(outcome: &Outcome, at: StepAt) -> Option<&Step> {
    outcome.steps.iter().chain(&outcome.reply).nth(at)
}

/// The step that explains the end: the last of the request, or of the reply where that is lost.
fn deciding(outcome: &Outcome) -> StepAt {
    let lost = outcome.cause.is_some() && !outcome.reply.is_empty();
    let steps = if lost { outcome.steps.len() + outcome.reply.len() } else { outcome.steps.len() };
    steps.saturating_sub(1)
}

/// A link to a place of the text, or its name where the text does not have it.
fn place(cite: &Cite, on_cite: &Callback<Span>) -> Html {
    let mut name = cite.object.to_string();
    if !cite.field.is_empty() {
        name = format!("{name}, {}", cite.field);
    }
    match cite.span {
        Some(span) => html! {
            <button
                type="button"
                class="link"
                title={name}
                onclick={on_cite.reform(move |_: MouseEvent| span)}
            >
                { format!("line {}", span.line) }
            </button>
        },
        None => html! { <span class="quiet">{ name }</span> },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples;

    /// The panel for a flow of the first example.
    async fn shown(flow: &str, focus: Option<StepAt>) -> String {
        let answer = Shared::new(Answer::to(examples::first().into()));
        let flow = flow.parse().unwrap();
        let trace = Rc::new(hopwise::trace(&answer.reading.cluster, &flow));
        let props = PathProps {
            answer,
            trace,
            outcome: 0,
            focus,
            lit: None,
            on_focus: Callback::noop(),
            on_light: Callback::noop(),
            on_cite: Callback::noop(),
        };
        yew::LocalServerRenderer::<Path>::with_props(props).hydratable(false).render().await
    }

    const DENIED: &str = "client/user -> nodePort/node1:31602";
    const DELIVERED: &str = "client/user -> nodePort/node2:31602";

    /// The part of the panel from `start` on, up to `end`.
    fn part<'a>(html: &'a str, start: &str, end: &str) -> &'a str {
        let from = html.find(start).map(|at| &html[at..]).unwrap_or_default();
        from.find(end).map_or(from, |at| &from[..at])
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_deciding_step_is_open_until_another_is_chosen() {
        let open = shown(DENIED, None).await;
        let card = part(&open, "class=\"card", "class=\"steps");
        assert!(
            card.contains("ingress policy")
                && card.contains("owner-tunnel\">10.233.90.0</span> is not in"),
            "{card}"
        );
        assert!(card.contains("line 14") && card.contains("iptables -vnL"), "{card}");
        let other = shown(DENIED, Some(3)).await;
        let card = part(&other, "class=\"card", "class=\"steps");
        assert!(card.contains("<del>10.2.3.4</del>"), "{card}");
        assert!(card.contains("<ins>10.233.90.0</ins>"), "{card}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn every_station_can_be_reached_and_says_what_it_is() {
        let html = shown(DENIED, None).await;
        let wide = part(&html, "path-diagram wide", "path-diagram narrow");
        let stations = wide.matches("class=\"station").count();
        assert_eq!(stations, 7, "{wide}");
        assert_eq!(wide.matches("tabindex=\"0\" role=\"button\"").count(), stations);
        assert_eq!(wide.matches("aria-pressed=\"true\"").count(), 1);
        assert!(wide.contains("node2: the ingress policy of pod/"), "{wide}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_table_tells_the_steps_and_the_reply() {
        let html = shown(DELIVERED, None).await;
        let table = part(&html, "<table>", "</table>");
        let count = table.matches("aria-label=\"step ").count();
        assert!(table.contains("The reply") && count > 8, "{table}");
        for text in [
            "10.102.123.104:31602",
            "10.233.96.32:9097",
            "reply arrives",
            "line 30",
            // A name keeps its spelling where a sentence begins with it.
            " kube-proxy masquerades the marked packet",
            ">tekton-pipelines/tekton-dashboard</button>",
        ] {
            assert!(table.contains(text), "no {text} in {table}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn nothing_is_drawn_with_styles_of_its_own() {
        let html = shown(DELIVERED, None).await;
        assert!(!html.contains("style="), "a strict CSP forbids style attributes");
    }
}
