//! The right half: modes, flows, verdict and what explains it.

use std::rc::Rc;

use hopwise::Severity;
use hopwise::text::Span;
use yew::prelude::*;

use crate::engine::{Answer, Asked, Shared};
use crate::explained::Explained;
use crate::findings::Findings;
use crate::flows::Flows;
use crate::header::Opened;
use crate::help::{EXPORT_CALICO, EXPORT_COMMAND};
use crate::pickers::Pickers;
use crate::state::{Action, Tab};
use crate::story::Story;

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct AnswersProps {
    /// What follows from the text as it stands.
    pub(crate) answer: Shared<Answer>,
    /// What is shown: of an earlier text while this one is broken.
    pub(crate) shown: Shared<Answer>,
    /// The selected flow's place in the text.
    pub(crate) at: Option<usize>,
    /// The selected flow.
    pub(crate) asked: Option<Asked>,
    /// The open tab.
    pub(crate) tab: Tab,
    pub(crate) act: Callback<Action>,
    /// Opens a dialog.
    pub(crate) open: Callback<Opened>,
}

#[component]
pub(crate) fn Answers(props: &AnswersProps) -> Html {
    let AnswersProps { answer, shown, at, asked, act, .. } = props;
    if answer.is_empty() {
        return html! { <Empty open={props.open.clone()} /> };
    }
    let current = answer == shown;
    html! {
        <>
            if let Some(broken) = answer.broken().filter(|_| !current) {
                { stale(broken, act) }
            }
            <div class={classes!("answers", (!current).then_some("stale"))}>
                <Pickers answer={shown.clone()} asked={asked.clone()} {current} act={act.clone()} />
                <Flows answer={shown.clone()} at={*at} asked={asked.clone()} {current} act={act.clone()} />
                if let Some(asked) = asked {
                    <Explained
                        answer={shown.clone()}
                        trace={Rc::clone(&asked.trace)}
                        tab={props.tab}
                        act={act.clone()}
                    />
                } else {
                    <p class="no-flow">
                        if shown.reading.problems.iter().any(|it| it.severity == Severity::Error) {
                            { "There is nothing to follow as long as objects with errors are left \
                               out. Mend those first, or ask for a flow of your own with " }
                        } else {
                            { "There is nothing to follow yet. Add a Service or a policy, or ask \
                               for a flow of your own with " }
                        }
                        <strong>{ "+ flow" }</strong>{ "." }
                    </p>
                    <Findings answer={shown.clone()} act={act.clone()} />
                }
                <Story
                    title={shown.reading.scenario.title.clone()}
                    text={shown.reading.scenario.description.clone()}
                />
            </div>
        </>
    }
}

/// What is shown is of an earlier text.
fn stale(broken: Span, act: &Callback<Action>) -> Html {
    let visit = act.reform(move |_: MouseEvent| Action::Visit(broken));
    html! {
        <div class="stale-note" role="status">
            { "The YAML is broken at " }
            <button type="button" class="link" onclick={visit}>{ format!("line {}", broken.line) }</button>
            { ". Below is the last text that could be read." }
        </div>
    }
}

#[derive(Debug, PartialEq, Properties)]
struct EmptyProps {
    open: Callback<Opened>,
}

/// Nothing in the text: what to put there.
#[component]
fn Empty(props: &EmptyProps) -> Html {
    let examples = props.open.reform(|_: MouseEvent| Opened::Examples);
    html! {
        <section class="empty" aria-label="How to start">
            <h2>{ "Which connection puzzles you?" }</h2>
            <p>
                { "Paste a NetworkPolicy and a Service into the text; that is enough to start. \
                   Nodes, pods and clients that are missing are assumed, and said to be. Or take \
                   everything from your cluster:" }
            </p>
            <pre class="command" tabindex="0">{ EXPORT_COMMAND }</pre>
            <pre class="command" tabindex="0">{ EXPORT_CALICO }</pre>
            <p>
                { "Paste the output as it is, or drop files onto this page. Nothing leaves your \
                   browser." }
            </p>
            <p><button type="button" class="button primary" onclick={examples}>{ "See the examples" }</button></p>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples;

    /// What is shown for `text`, where `earlier` was the last whole one.
    async fn shown(text: &str, earlier: &str) -> String {
        let answer = Shared::new(Answer::to(text.into()));
        let earlier = Shared::new(Answer::to(earlier.into()));
        let shown = if answer.lost(&earlier) { earlier } else { answer.clone() };
        let selected = shown.selected(None);
        let props = AnswersProps {
            answer,
            at: selected.as_ref().and_then(|(at, _)| *at),
            asked: selected.map(|(_, asked)| asked),
            shown,
            tab: Tab::Path,
            act: Callback::noop(),
            open: Callback::noop(),
        };
        yew::LocalServerRenderer::<Answers>::with_props(props).hydratable(false).render().await
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_first_example_is_solved() {
        let html = shown(examples::first(), "").await;
        for part in ["Dropped", "user through node1", "IPPool default-ipv4-ippool", "line 136"] {
            assert!(html.contains(part), "no {part} in {html}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_empty_text_says_how_to_start() {
        assert!(shown(" \n", "").await.contains("kubectl get"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_policy_that_is_left_out_is_not_asked_for_again() {
        let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
                      metadata: {name: x, namespace: shop}\n\
                      spec: {podSelector: {}, ingress: [{ports: [{protocol: tcp}]}]}\n";
        let html = shown(policy, "").await;
        assert!(html.contains("objects with errors are left out"), "{html}");
        assert!(!html.contains("Add a Service or a policy"), "{html}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn findings_need_no_flow() {
        let text = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
                    mode: ipvs\nipvs: {strictARP: true}\n";
        assert!(shown(text, "").await.contains("strictARP changes no address"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn findings_are_counted_by_their_tab() {
        let html = shown(examples::first(), "").await;
        assert!(html.contains("Findings<span class=\"tab-count\">1</span>"), "{html}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_broken_text_keeps_the_last_picture() {
        let broken = examples::first().replace("kind: Service\n", "kind: Service\n}\n");
        let html = shown(&broken, examples::first()).await;
        assert!(html.contains("The YAML is broken at "), "{html}");
        assert!(html.contains("user through node1"), "{html}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_new_document_that_is_half_typed_takes_nothing_away() {
        let text = format!("{}---\napiVersion: v1\n", examples::first());
        let html = shown(&text, examples::first()).await;
        assert!(!html.contains("broken"), "{html}");
    }

    #[test]
    fn the_selection_follows_a_flow_that_is_edited() {
        use crate::state::Selected;
        let before = Answer::to(examples::first().into());
        let (at, asked) = before.selected(None).unwrap();
        let chosen = Selected { flow: asked.trace.flow.clone(), chip: at };
        let edited = examples::first().replace("nodePort/node1:31602", "nodePort/node2:31602");
        let after = Answer::to(edited.into());
        let (at, asked) = after.selected(Some(&chosen)).unwrap();
        assert_eq!((at, asked.trace.flow.to_string().ends_with("node2:31602")), (Some(0), true));
        let other = Selected { flow: "node/node3 -> node/node1:22".parse().unwrap(), chip: None };
        assert_eq!(after.selected(Some(&other)).map(|(at, _)| at), Some(None));
    }
}
