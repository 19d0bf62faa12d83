//! The tabs under the verdict.

use gloo::utils::document;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;
use yew::prelude::*;

use crate::state::{Action, Tab};

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct TabsProps {
    /// The open tab.
    pub(crate) tab: Tab,
    /// How many findings there are that matter.
    pub(crate) findings: usize,
    pub(crate) act: Callback<Action>,
    /// What the open tab shows.
    pub(crate) children: Html,
}

#[component]
pub(crate) fn Tabs(props: &TabsProps) -> Html {
    let open = props.tab;
    let tabs = Tab::ALL.into_iter().map(|tab| {
        let onclick = props.act.reform(move |_: MouseEvent| Action::Show(tab));
        html! {
            <button
                type="button"
                role="tab"
                id={format!("tab-{}", tab.name())}
                aria-selected={(tab == open).to_string()}
                aria-controls="tab-panel"
                tabindex={if tab == open { "0" } else { "-1" }}
                {onclick}
            >
                { tab.label() }
                if tab == Tab::Findings && props.findings > 0 {
                    <span class="tab-count">{ props.findings }</span>
                }
            </button>
        }
    });
    let onkeydown = {
        let act = props.act.clone();
        move |event: KeyboardEvent| {
            let count = Tab::ALL.len();
            let at = Tab::ALL.iter().position(|tab| *tab == open).unwrap_or_default();
            let to = match event.key().as_str() {
                "ArrowLeft" => (at + count - 1) % count,
                "ArrowRight" => (at + 1) % count,
                "Home" => 0,
                "End" => count - 1,
                _ => return,
            };
            event.prevent_default();
            if let Some(tab) = Tab::ALL.get(to) {
                act.emit(Action::Show(*tab));
                focus(&format!("tab-{}", tab.name()));
            }
        }
    };
    html! {
        <section class="tabbed" aria-label="What explains it">
            <div class="tabs" role="tablist" {onkeydown}>{ for tabs }</div>
            <div
                id="tab-panel"
                class="tab-panel"
                role="tabpanel"
                aria-labelledby={format!("tab-{}", open.name())}
            >
                { props.children.clone() }
            </div>
        </section>
    }
}

fn focus(id: &str) {
    let found = document().get_element_by_id(id).and_then(|it| it.dyn_into::<HtmlElement>().ok());
    if let Some(element) = found {
        let _ = element.focus();
    }
}
