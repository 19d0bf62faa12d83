//! The rows of choices above the answer. Each edits the text.

use hopwise::picker::{self, Dial, Picker};
use hopwise::text::Origin;
use yew::prelude::*;

use crate::engine::{Answer, Asked, Shared};
use crate::state::Action;

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct PickersProps {
    pub(crate) answer: Shared<Answer>,
    /// The selected flow: whose traffic policy is shown.
    pub(crate) asked: Option<Asked>,
    /// False while the text is broken: what is shown is of an earlier one.
    pub(crate) current: bool,
    pub(crate) act: Callback<Action>,
}

#[component]
pub(crate) fn Pickers(props: &PickersProps) -> Html {
    let flow = props.asked.as_ref().map(|asked| &asked.trace.flow);
    let rows = picker::pickers(&props.answer.reading.cluster, flow);
    html! {
        <section class="pickers" aria-label="Modes">
            { for rows.iter().map(|row| show(row, props)) }
        </section>
    }
}

fn show(row: &Picker, props: &PickersProps) -> Html {
    let choices = row.choices.iter().map(|choice| {
        let pick = {
            let (answer, act, asked) =
                (props.answer.clone(), props.act.clone(), props.asked.clone());
            let (dial, value) = (row.dial, choice.value);
            move |_: MouseEvent| {
                let flow = asked.as_ref().map(|asked| &asked.trace.flow);
                let cluster = &answer.reading.cluster;
                act.emit(Action::Edit(
                    picker::pick(&answer.text, cluster, flow, dial, value).into(),
                ));
            }
        };
        // Choosing what is chosen would only restate the default in the text.
        let idle = choice.chosen || choice.unavailable.is_some() || !props.current;
        let onclick = (!idle).then(|| Callback::from(pick));
        html! {
            <button
                type="button"
                class={classes!("choice", choice.unavailable.is_some().then_some("unavailable"))}
                data-value={choice.value}
                aria-pressed={choice.chosen.to_string()}
                aria-disabled={choice.unavailable.is_some().then_some("true")}
                title={choice.unavailable.as_deref().map(str::to_owned)}
                {onclick}
            >
                { choice.label }
            </button>
        }
    });
    let name = match row.dial {
        Dial::Calico => "calico",
        Dial::KubeProxy => "kube-proxy",
        Dial::TrafficPolicy => "traffic-policy",
    };
    html! {
        <div class="picker" data-picker={name}>
            <div class="choices" role="group" aria-label={row.label}>
                <span class="choices-label" aria-hidden="true">{ row.label }</span>
                { for choices }
            </div>
            <p class="origin">{ origin(&row.origin, props) }</p>
            if let Some(note) = &row.note {
                <p class="origin warn">{ note }</p>
            }
        </div>
    }
}

/// Where a value comes from, in a few words.
fn origin(origin: &Origin, props: &PickersProps) -> Html {
    match origin {
        Origin::Written(cite) => match cite.span.filter(|_| props.current) {
            Some(span) => {
                let visit = props.act.reform(move |_: MouseEvent| Action::Visit(span));
                html! {
                    <>
                        { format!("{} ", cite.object) }
                        <button type="button" class="link" onclick={visit}>{ format!("line {}", span.line) }</button>
                    </>
                }
            }
            None => html! { { cite.object.to_string() } },
        },
        Origin::Default(whose) => html! { { whose } },
        Origin::Assumed(reason) => html! { { format!("assumed: {reason}") } },
    }
}
