//! A flow's answer: the verdict, and what explains it. They point at the same outcome, step and
//! address.

use std::net::IpAddr;
use std::rc::Rc;

use hopwise::datapath::Trace;
use hopwise::text::Span;
use yew::prelude::*;

use crate::engine::{Answer, Shared};
use crate::findings;
use crate::matrix::Matrix;
use crate::path::{Path, StepAt};
use crate::state::{Action, Tab};
use crate::tabs::Tabs;
use crate::verdict::VerdictBox;

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct ExplainedProps {
    /// Where the trace's objects are.
    pub(crate) answer: Shared<Answer>,
    pub(crate) trace: Rc<Trace>,
    /// The open tab.
    pub(crate) tab: Tab,
    pub(crate) act: Callback<Action>,
}

/// What was chosen of a trace; of another one it means nothing.
#[derive(Clone, PartialEq)]
struct Aim {
    trace: Rc<Trace>,
    outcome: usize,
    focus: Option<StepAt>,
}

#[component]
pub(crate) fn Explained(props: &ExplainedProps) -> Html {
    let ExplainedProps { answer, trace, tab, act } = props;
    let aim = use_state_eq(|| None::<Aim>);
    let lit = use_state_eq(|| None::<IpAddr>);
    let chosen = aim.as_ref().filter(|aim| aim.trace == *trace);
    let outcome = chosen.map_or(0, |aim| aim.outcome);
    let focus = chosen.and_then(|aim| aim.focus);
    let take = {
        let (aim, trace) = (aim.setter(), Rc::clone(trace));
        Callback::from(move |(outcome, focus)| {
            aim.set(Some(Aim { trace: Rc::clone(&trace), outcome, focus }));
        })
    };
    let on_outcome = take.reform(|outcome| (outcome, None));
    let on_focus = take.reform(move |step| (outcome, Some(step)));
    let on_light = {
        let lit = lit.setter();
        Callback::from(move |ip| lit.set(ip))
    };
    let found = findings::use_findings(answer);
    let on_cite = act.reform(|span: Span| Action::Visit(span));
    let panel = match tab {
        Tab::Path => html! {
            <Path
                answer={answer.clone()}
                trace={Rc::clone(trace)}
                {outcome}
                {focus}
                lit={*lit}
                {on_focus}
                on_light={on_light.clone()}
                on_cite={on_cite.clone()}
            />
        },
        Tab::Matrix => html! { <Matrix answer={answer.clone()} act={act.clone()} /> },
        Tab::Findings => findings::show(&found, act),
    };
    html! {
        <>
            <VerdictBox
                answer={answer.clone()}
                trace={Rc::clone(trace)}
                {outcome}
                lit={*lit}
                {on_outcome}
                {on_light}
                {on_cite}
            />
            <Tabs tab={*tab} findings={findings::pressing(&found)} act={act.clone()}>{ panel }</Tabs>
        </>
    }
}
