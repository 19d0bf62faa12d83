//! The questions: one chip a flow, and a form for another.

use hopwise::net::{Flow, Verdict};
use hopwise::picker::{self, Destination, Group};
use web_sys::{HtmlInputElement, HtmlSelectElement};
use yew::prelude::*;

use crate::engine::{Answer, Asked, Shared};
use crate::state::{Action, Selected};

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct FlowsProps {
    pub(crate) answer: Shared<Answer>,
    /// The selected flow's place in the text; `None` if the text does not have it.
    pub(crate) at: Option<usize>,
    /// The selected flow.
    pub(crate) asked: Option<Asked>,
    /// False while the text is broken.
    pub(crate) current: bool,
    pub(crate) act: Callback<Action>,
}

#[component]
pub(crate) fn Flows(props: &FlowsProps) -> Html {
    let open = use_state_eq(|| false);
    let chips = props.answer.asked.iter().enumerate().map(|(at, asked)| {
        let selected = Selected { flow: asked.trace.flow.clone(), chip: Some(at) };
        let ask = props.act.reform(move |_: MouseEvent| Action::Ask(selected.clone()));
        chip(asked, props.at == Some(at), false, ask)
    });
    let other = props
        .asked
        .as_ref()
        .filter(|_| props.at.is_none())
        .map(|asked| chip(asked, true, true, Callback::noop()));
    let toggle = {
        let open = open.clone();
        move |_: MouseEvent| open.set(!*open)
    };
    let close = {
        let open = open.setter();
        Callback::from(move |()| open.set(false))
    };
    html! {
        <section class="flows" aria-label="Flows">
            <div class="chips">
                { for chips }
                { other }
                <button
                    type="button"
                    class="chip new"
                    aria-expanded={open.to_string()}
                    onclick={toggle}
                >
                    <span aria-hidden="true">{ "+" }</span>{ "flow" }
                </button>
            </div>
            if *open {
                <NewFlow
                    answer={props.answer.clone()}
                    asked={props.asked.clone()}
                    kept={props.at.is_some()}
                    current={props.current}
                    act={props.act.clone()}
                    onclose={close}
                />
            }
        </section>
    }
}

/// A verdict's sign and its class. The sign says what the colour says.
pub(crate) fn look(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Delivered => ("✓", "good"),
        Verdict::Mixed => ("◐", "warn"),
        Verdict::Dropped => ("✗", "bad"),
        Verdict::Rejected => ("⊘", "bad"),
        Verdict::Unroutable => ("?", "bad"),
    }
}

fn chip(asked: &Asked, pressed: bool, unsaved: bool, onclick: Callback<MouseEvent>) -> Html {
    let verdict = asked.trace.verdict;
    let (sign, class) = look(verdict);
    let unmet = asked.expect.filter(|expect| *expect != verdict);
    html! {
        <button
            type="button"
            class={classes!("chip", unsaved.then_some("unsaved"))}
            aria-pressed={pressed.to_string()}
            title={asked.trace.flow.to_string()}
            {onclick}
        >
            <span class={classes!("chip-sign", class)} aria-hidden="true">{ sign }</span>
            <span class="unseen">{ format!("{verdict}: ") }</span>
            { &asked.name }
            if let Some(expect) = unmet {
                <span class="chip-unmet">{ format!("expected {expect}") }</span>
            }
        </button>
    }
}

#[derive(Debug, PartialEq, Properties)]
struct NewFlowProps {
    answer: Shared<Answer>,
    asked: Option<Asked>,
    /// Whether the text has the selected flow.
    kept: bool,
    current: bool,
    act: Callback<Action>,
    onclose: Callback<()>,
}

/// Who and whereto: asked as soon as chosen, written into the text on demand.
#[component]
fn NewFlow(props: &NewFlowProps) -> Html {
    let wrong = use_state_eq(|| None::<String>);
    let name = use_node_ref();
    let cluster = &props.answer.reading.cluster;
    let sources = picker::sources(cluster);
    let destinations = picker::destinations(cluster);
    let flow = props.asked.as_ref().map(|asked| asked.trace.flow.clone());
    let from = flow.as_ref().map(|flow| flow.from.clone());
    let to = flow.as_ref().map(Destination::of);

    let ask = {
        let (act, wrong) = (props.act.clone(), wrong.setter());
        Callback::from(move |flow: Flow| {
            wrong.set(None);
            act.emit(Action::Ask(Selected { flow, chip: None }));
        })
    };
    let on_from = {
        let (ask, sources) = (ask.clone(), sources.clone());
        let to = to.clone().or_else(|| first(&destinations));
        move |event: Event| {
            if let (Some(from), Some(to)) = (chosen(&event, &sources), &to) {
                ask.emit(to.asked_by(&from));
            }
        }
    };
    let on_to = {
        let (ask, destinations) = (ask.clone(), destinations.clone());
        let from = from.clone().or_else(|| first(&sources));
        move |event: Event| {
            if let (Some(to), Some(from)) = (chosen(&event, &destinations), &from) {
                ask.emit(to.asked_by(from));
            }
        }
    };
    let on_notation = {
        let wrong = wrong.setter();
        move |event: Event| {
            let Some(input) = event.target_dyn_into::<HtmlInputElement>() else { return };
            match input.value().parse::<Flow>() {
                Ok(flow) => ask.emit(flow),
                Err(message) => wrong.set(Some(message)),
            }
        }
    };
    let keep = {
        let (act, answer, flow, name) =
            (props.act.clone(), props.answer.clone(), flow.clone(), name.clone());
        let onclose = props.onclose.clone();
        move |event: SubmitEvent| {
            event.prevent_default();
            let Some(flow) = &flow else { return };
            let name = name.cast::<HtmlInputElement>().map(|it| it.value()).unwrap_or_default();
            act.emit(Action::Edit(picker::keep(&answer.text, flow, name.trim()).into()));
            onclose.emit(());
        }
    };
    let notation = flow.as_ref().map(ToString::to_string).unwrap_or_default();
    html! {
        <form class="new-flow" onsubmit={keep} aria-label="New flow">
            <label for="flow-from">{ "From" }</label>
            <select id="flow-from" onchange={on_from}>{ options(&sources, from.as_ref()) }</select>
            <label for="flow-to">{ "To" }</label>
            <select id="flow-to" onchange={on_to}>{ options(&destinations, to.as_ref()) }</select>
            <label for="flow-notation">{ "As text" }</label>
            <input
                id="flow-notation"
                class="mono"
                spellcheck="false"
                autocomplete="off"
                value={notation}
                aria-invalid={wrong.is_some().then_some("true")}
                aria-describedby="flow-wrong"
                onchange={on_notation}
            />
            <p id="flow-wrong" class="form-error" role="alert">
                { wrong.as_deref().map(crate::problems::with_code) }
            </p>
            <label for="flow-name">{ "Name" }</label>
            <input id="flow-name" ref={name} autocomplete="off" placeholder="optional" />
            <div class="form-end">
                <button type="submit" class="button" disabled={props.kept || flow.is_none() || !props.current}>
                    { "Write into the text" }
                </button>
                if props.kept && flow.is_some() {
                    <span class="quiet">{ "The text has this flow." }</span>
                }
            </div>
        </form>
    }
}

/// The options of a select: values are positions, and one that is in no group comes first.
fn options<T: PartialEq>(groups: &[Group<T>], selected: Option<&T>) -> Html {
    let known = groups.iter().flat_map(|group| &group.items).any(|it| Some(&it.value) == selected);
    let mut position = 0;
    let groups = groups.iter().map(|group| {
        let items: Vec<Html> = group
            .items
            .iter()
            .map(|item| {
                let value = position.to_string();
                position += 1;
                let selected = Some(&item.value) == selected;
                html! { <option {value} {selected}>{ &item.label }</option> }
            })
            .collect();
        html! { <optgroup label={group.label.clone()}>{ for items }</optgroup> }
    });
    let groups: Vec<Html> = groups.collect();
    html! {
        <>
            if !known { <option value="" selected=true>{ "as in the text below" }</option> }
            { for groups }
        </>
    }
}

fn first<T: Clone>(groups: &[Group<T>]) -> Option<T> {
    groups.first()?.items.first().map(|item| item.value.clone())
}

fn chosen<T: Clone>(event: &Event, groups: &[Group<T>]) -> Option<T> {
    let value = event.target_dyn_into::<HtmlSelectElement>()?.value();
    let position: usize = value.parse().ok()?;
    groups.iter().flat_map(|group| &group.items).nth(position).map(|item| item.value.clone())
}
