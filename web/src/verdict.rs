//! The verdict: what happens and why, in words whose parts are links.

use std::net::IpAddr;
use std::rc::Rc;

use hopwise::datapath::Trace;
use hopwise::text::Span;
use hopwise::words::verdict::{Way, verdict};
use yew::prelude::*;

use crate::engine::{Answer, Shared};
use crate::flows::look;
use crate::links::Links;

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct VerdictBoxProps {
    /// Where the trace's objects are.
    pub(crate) answer: Shared<Answer>,
    pub(crate) trace: Rc<Trace>,
    /// Which of the trace's outcomes is explained.
    pub(crate) outcome: usize,
    /// The address that is pointed at, here or elsewhere.
    pub(crate) lit: Option<IpAddr>,
    pub(crate) on_outcome: Callback<usize>,
    pub(crate) on_light: Callback<Option<IpAddr>>,
    /// A place of the text is asked for.
    pub(crate) on_cite: Callback<Span>,
    /// What else can be done about it.
    #[prop_or_default]
    pub(crate) children: Html,
}

#[component]
pub(crate) fn VerdictBox(props: &VerdictBoxProps) -> Html {
    let VerdictBoxProps { answer, trace, outcome, lit, on_light, on_cite, .. } = props;
    let links = Links { lit: *lit, on_light, on_cite };
    let sentence = verdict(&answer.reading.cluster, trace, *outcome);
    let (sign, class) = look(sentence.verdict);
    let cause = trace
        .outcomes
        .get(*outcome)
        .and_then(|outcome| outcome.cause.as_ref()?.cite.as_ref()?.span);
    html! {
        <section class={classes!("verdict", class)} aria-label="Verdict">
            <p class="verdict-line">
                <strong class="verdict-head" aria-live="polite">
                    <span aria-hidden="true">{ format!("{sign} ") }</span>
                    { &sentence.headline }
                </strong>
                { " " }
                { links.show(&sentence.pieces) }
            </p>
            if !sentence.ways.is_empty() {
                <ul class="verdict-ways" aria-label="Ways">
                    { for sentence.ways.iter().map(|it| way(props, it)) }
                </ul>
            }
            <p class="verdict-actions">
                if let Some(span) = cause {
                    <button
                        type="button"
                        class="link"
                        onclick={on_cite.reform(move |_: MouseEvent| span)}
                    >
                        { format!("Show the rule (line {})", span.line) }
                    </button>
                }
                { props.children.clone() }
            </p>
        </section>
    }
}

fn way(props: &VerdictBoxProps, way: &Way) -> Html {
    let VerdictBoxProps { outcome, on_outcome, .. } = props;
    let at = way.outcome;
    let (sign, class) = look(way.verdict);
    html! {
        <li>
            <button
                type="button"
                class={classes!("way", class)}
                aria-pressed={(at == *outcome).to_string()}
                onclick={on_outcome.reform(move |_: MouseEvent| at)}
            >
                <span class="way-sign" aria-hidden="true">{ sign }</span>
                <span>{ format!("{} {}: ", way.share, way.name) }</span>
                <span class="way-end">{ &way.end }</span>
            </button>
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples;

    async fn shown(flow: &str, outcome: usize) -> String {
        let answer = Shared::new(Answer::to(examples::first().into()));
        let flow = flow.parse().unwrap();
        let trace = Rc::new(hopwise::trace(&answer.reading.cluster, &flow));
        let props = VerdictBoxProps {
            answer,
            trace,
            outcome,
            lit: None,
            on_outcome: Callback::noop(),
            on_light: Callback::noop(),
            on_cite: Callback::noop(),
            children: Html::default(),
        };
        yew::LocalServerRenderer::<VerdictBox>::with_props(props).hydratable(false).render().await
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_cause_is_a_link_and_addresses_show_their_owner() {
        let html = shown("client/user -> nodePort/node1:31602", 0).await;
        assert!(html.contains("aria-live=\"polite\" class=\"verdict-head\""), "{html}");
        for text in [
            "Dropped on node2.",
            "class=\"address owner-tunnel\">10.233.90.0</span>",
            "title=\"line 30\"",
            ">externalTrafficPolicy</button>",
            "Show the rule (line 11)",
        ] {
            assert!(html.contains(text), "no {text} in {html}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn several_ways_can_be_chosen_from() {
        let flow = "client/user -> loadBalancer/tekton-pipelines/tekton-dashboard:9097@lb";
        let html = shown(flow, 1).await;
        assert!(html.contains("Delivered 1 time in 3."), "{html}");
        assert_eq!(html.matches("class=\"way ").count(), 3, "{html}");
        assert!(html.contains("Through node2: delivered."), "{html}");
    }
}
