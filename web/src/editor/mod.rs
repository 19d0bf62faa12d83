//! The text's editor: a plain text area until the code editor is there, and if it never comes.

mod live;
mod units;

use std::rc::Rc;

use hopwise::text::Span;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, HtmlTextAreaElement};
use yew::prelude::*;

use crate::engine::{Answer, Shared};
use crate::state::{Action, Place};

use live::Live;
use units::Units;

/// A line that had a say in the selected flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mark {
    /// Where.
    pub(crate) span: Span,
    /// Whether it ended the flow.
    pub(crate) denied: bool,
}

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct EditorProps {
    /// What follows from the text; its problems are underlined.
    pub(crate) answer: Shared<Answer>,
    /// The lines that decided.
    pub(crate) marks: Rc<[Mark]>,
    /// A place to bring into view.
    pub(crate) place: Option<Place>,
    /// Whether the page is dark.
    pub(crate) dark: bool,
    pub(crate) act: Callback<Action>,
}

#[component]
pub(crate) fn Editor(props: &EditorProps) -> Html {
    let host = use_node_ref();
    let plain = use_node_ref();
    let live = use_state(|| None::<Rc<Live>>);
    let text = &props.answer.text;

    use_live(&live, &host, &plain, props);
    // In this order: places refer to the text.
    use_effect_with((live.is_some(), Rc::clone(text)), {
        let live = live.clone();
        move |(_, text)| {
            if let Some(live) = &*live {
                live.set_text(text);
            }
        }
    });
    use_effect_with((live.is_some(), props.answer.clone()), {
        let live = live.clone();
        move |(_, answer)| {
            if let Some(live) = &*live {
                live.set_problems(&answer.reading.problems, &Units::of(&answer.text));
            }
        }
    });
    use_effect_with((live.is_some(), Rc::clone(&props.marks), props.answer.clone()), {
        let live = live.clone();
        move |(_, marks, answer)| {
            if let Some(live) = &*live {
                live.set_marks(marks, &Units::of(&answer.text));
            }
        }
    });
    use_effect_with((live.is_some(), props.dark), {
        let live = live.clone();
        move |(_, dark)| {
            if let Some(live) = &*live {
                live.set_dark(*dark);
            }
        }
    });
    use_effect_with(props.place, {
        let (live, plain, text) = (live.clone(), plain.clone(), Rc::clone(text));
        move |place| {
            let Some(place) = place else { return };
            let units = Units::of(&text);
            let (from, to) = (units.at(place.span.start), units.at(place.span.end));
            if let Some(live) = &*live {
                live.visit(from, to);
            } else if let Some(area) = plain.cast::<HtmlTextAreaElement>() {
                visit_plain(&area, from, to, place.span.line);
            }
        }
    });

    let oninput = {
        let act = props.act.clone();
        move |event: InputEvent| {
            if let Some(area) = event.target_dyn_into::<HtmlTextAreaElement>() {
                act.emit(Action::Edit(area.value().into()));
            }
        }
    };
    html! {
        <div class="editor" ref={host}>
            if live.is_none() {
                <textarea
                    ref={plain}
                    class="plain-editor"
                    aria-label="Scenario as YAML"
                    placeholder="Paste Kubernetes objects here, or drop files onto the page"
                    spellcheck="false"
                    autocapitalize="off"
                    autocomplete="off"
                    wrap="off"
                    value={text.to_string()}
                    {oninput}
                />
            }
        </div>
    }
}

/// Loads the code editor once the first picture is painted, and puts it in the text area's place,
/// the cursor where it was.
#[hook]
fn use_live(
    live: &UseStateHandle<Option<Rc<Live>>>,
    host: &NodeRef,
    plain: &NodeRef,
    props: &EditorProps,
) {
    let newest = use_mut_ref(|| Rc::clone(&props.answer.text));
    *newest.borrow_mut() = Rc::clone(&props.answer.text);
    let (setter, host, plain) = (live.setter(), host.clone(), plain.clone());
    let (act, dark) = (props.act.clone(), props.dark);
    use_effect_with((), move |()| {
        yew::platform::spawn_local(async move {
            let Some(module) = live::load().await else { return };
            let Some(host) = host.cast::<HtmlElement>() else { return };
            // Read at the last moment: somebody may have typed while it loaded.
            let text = Rc::clone(&newest.borrow());
            let cursor = plain.cast::<HtmlTextAreaElement>().and_then(|area| focused_at(&area));
            let editor = Live::create(&module, &host, &text, dark, act);
            if let Some(cursor) = cursor {
                editor.visit(cursor, cursor);
                editor.focus();
            }
            setter.set(Some(Rc::new(editor)));
        });
    });
}

/// The cursor's place, if the area has the focus.
fn focused_at(area: &HtmlTextAreaElement) -> Option<u32> {
    let focused = gloo::utils::document().active_element()?;
    if &focused != area.unchecked_ref::<web_sys::Element>() {
        return None;
    }
    area.selection_start().ok()?
}

fn visit_plain(area: &HtmlTextAreaElement, from: u32, to: u32, line: u32) {
    let _ = area.set_selection_range(from, to);
    let lines = i32::try_from(area.value().lines().count().max(1)).unwrap_or(i32::MAX);
    let line = i32::try_from(line).unwrap_or_default();
    // All lines are equally high, since none wraps.
    let top = area.scroll_height() / lines * (line - 1) - area.client_height() / 2;
    area.set_scroll_top(top.max(0));
}
