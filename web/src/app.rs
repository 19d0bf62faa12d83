//! The page as a whole: what the user did, what follows from it, and where it is shown.

use std::rc::Rc;

use hopwise::datapath::Trace;
use hopwise::net::Verdict;
use hopwise::text::{Cite, Span};
use yew::prelude::*;

use crate::address::{start, use_address};
use crate::answers::Answers;
use crate::browser::{self, Query};
use crate::crash;
use crate::drop::use_dropped_files;
use crate::editor::{Editor, Mark};
use crate::embed::{EmbedHeader, Excerpt, use_posted_height};
use crate::engine::{Answer, Shared};
use crate::examples::Gallery;
use crate::export::Export;
use crate::header::{Header, Opened};
use crate::help::Help;
use crate::inventory::Inventory;
use crate::problems::Problems;
use crate::share::{EmbedCode, Share};
use crate::splitter::Splitter;
use crate::state::{Action, Pane};

#[component]
pub(crate) fn App() -> Html {
    let Query { embed, .. } = *use_memo((), |()| browser::query());
    let session = use_reducer_eq(start);
    let act = {
        let dispatcher = session.dispatcher();
        use_callback((), move |action: Action, ()| dispatcher.dispatch(action))
    };
    let opened = use_state_eq(|| None::<Opened>);

    let answer =
        use_memo(Rc::clone(&session.text), |text| Shared::new(Answer::to(Rc::clone(text))));
    let answer = (*answer).clone();
    // While something is half typed, the last whole picture stays: the rest explains nothing.
    let whole = use_mut_ref(|| answer.clone());
    let lost = answer.lost(&whole.borrow());
    if !lost {
        *whole.borrow_mut() = answer.clone();
    }
    let shown = whole.borrow().clone();
    let current = shown == answer;

    let selected = use_memo((shown.clone(), session.flow.clone()), |(shown, flow)| {
        shown.selected(flow.as_ref())
    });
    let (at, asked) = match &*selected {
        Some((at, asked)) => (*at, Some(asked.clone())),
        None => (None, None),
    };
    let marks = use_memo((asked.clone(), answer.clone(), current), |(asked, answer, current)| {
        let trace = asked.as_ref().filter(|_| *current).map(|asked| &asked.trace);
        trace.map_or_else(|| Rc::from([]), |trace| marks(trace, answer))
    });
    let title = AttrValue::from(shown.reading.scenario.title.clone());

    use_address(&session, embed, &act);
    use_dropped_files(&session.text, &act);
    use_posted_height(embed);
    use_effect_with(session.theme, |theme| browser::set_theme(*theme));
    use_effect_with(title.clone(), |title| browser::set_title(title));
    crash::remember(&session.text);

    let open = {
        let opened = opened.setter();
        Callback::from(move |what| opened.set(Some(what)))
    };
    let answers = html! {
        <Answers
            answer={answer.clone()}
            shown={shown.clone()}
            {at}
            asked={asked.clone()}
            tab={session.tab}
            act={act.clone()}
            open={open.clone()}
        />
    };
    let notice = session.notice.as_ref().map(|message| notice(message, &act));

    if embed {
        let address = browser::share_address(&session.link());
        return html! {
            <div class="embed">
                <EmbedHeader {address} {title} />
                { notice }
                <main>
                    { answers }
                    if let Some(place) = session.place {
                        <Excerpt text={session.text.clone()} span={place.span} />
                    }
                </main>
            </div>
        };
    }

    let onclose = {
        let opened = opened.setter();
        Callback::from(move |()| opened.set(None))
    };
    let kept = Rc::new((*session).clone());
    let dark = browser::is_dark(session.theme);
    let dialog = match *opened {
        None => html! {},
        Some(Opened::Examples) => html! { <Gallery {onclose} act={act.clone()} /> },
        Some(Opened::Share) => html! { <Share session={kept} title={title.clone()} {onclose} /> },
        Some(Opened::Embed) => {
            html! { <EmbedCode session={kept} title={title.clone()} {onclose} /> }
        }
        Some(Opened::Export) => {
            html! { <Export answer={shown.clone()} asked={asked.clone()} {onclose} /> }
        }
        Some(Opened::Help) => html! { <Help {onclose} /> },
    };
    let pane = |pane: Pane, label: &'static str| {
        html! {
            <button
                type="button"
                aria-pressed={(session.pane == pane).to_string()}
                onclick={act.reform(move |_: MouseEvent| Action::Turn(pane))}
            >
                { label }
            </button>
        }
    };
    let half = match session.pane {
        Pane::Text => "show-text",
        Pane::Path => "show-path",
    };
    html! {
        <div class={classes!("page", half)}>
            <Header title={title.clone()} theme={session.theme} {open} act={act.clone()} />
            { notice }
            <nav class="halves" aria-label="Halves of the page">
                { pane(Pane::Text, "Text") }
                { pane(Pane::Path, "Path") }
            </nav>
            <main class="panes">
                <section id="pane-text" class="pane-text" aria-label="Text">
                    <Editor
                        answer={answer.clone()}
                        marks={(*marks).clone()}
                        place={session.place}
                        {dark}
                        act={act.clone()}
                    />
                    <Problems answer={answer.clone()} act={act.clone()} />
                    <Inventory {answer} act={act.clone()} />
                    <Splitter />
                </section>
                <section id="pane-path" class="pane-path" aria-label="Answer">{ answers }</section>
            </main>
            { dialog }
        </div>
    }
}

fn notice(message: &str, act: &Callback<Action>) -> Html {
    let dismiss = act.reform(|_: MouseEvent| Action::Dismiss);
    html! {
        <div class="notice" role="alert">
            <p>{ message }</p>
            <button type="button" class="button small" onclick={dismiss}>{ "Dismiss" }</button>
        </div>
    }
}

/// The lines that had a say in a flow: what the evidence of its steps matched, and the cause of
/// its end. Of what spans lines, the first; whole objects are too much to be a sign.
fn marks(trace: &Trace, answer: &Answer) -> Rc<[Mark]> {
    let Answer { text, reading, .. } = answer;
    let place = |cite: &Cite| {
        let span = cite.span.filter(|_| !cite.field.is_empty())?;
        let line = text.get(span.start..span.end)?.lines().next()?;
        Some(Span { end: span.start + line.len(), ..span })
    };
    let ends = trace.outcomes.iter().filter(|it| it.verdict != Verdict::Delivered);
    let denied = ends.filter_map(|it| place(it.cause.as_ref()?.cite.as_ref()?));
    let mut marks: Vec<Mark> = denied.map(|span| Mark { span, denied: true }).collect();
    let steps = trace.outcomes.iter().flat_map(|it| it.steps.iter().chain(&it.reply));
    let gates = steps.clone().filter_map(|step| place(step.gate()?.ruling.cite.as_ref()?));
    let evidence = steps.flat_map(|step| &step.evidence);
    for span in gates.chain(evidence.filter_map(|it| place(&it.cite(&reading.cluster)))) {
        if marks.iter().all(|mark| mark.span.line != span.line) {
            marks.push(Mark { span, denied: false });
        }
    }
    marks.sort_by_key(|mark| mark.span);
    marks.dedup_by_key(|mark| mark.span.line);
    marks.into()
}
