//! A picture in somebody's page: no editor, no storage, as high as its content.

use gloo::utils::document;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::ResizeObserver;
use yew::prelude::*;

use crate::browser;

/// Tells the page around it how high this one is, now and whenever that changes.
#[hook]
pub(crate) fn use_posted_height(embedded: bool) {
    use_effect_with(embedded, |embedded| {
        let watch = embedded.then(|| {
            browser::mark_embedded();
            let call = Closure::<dyn FnMut()>::new(browser::post_height);
            let observer = ResizeObserver::new(call.as_ref().unchecked_ref()).ok();
            if let (Some(observer), Some(body)) = (&observer, document().body()) {
                observer.observe(&body);
            }
            (observer, call)
        });
        move || {
            if let Some((Some(observer), _)) = watch {
                observer.disconnect();
            }
        }
    });
}

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct OpenLinkProps {
    /// The page's address with what is shown, changes included.
    pub(crate) address: AttrValue,
    /// The scenario's title.
    pub(crate) title: AttrValue,
}

/// What stands above an embedded picture.
#[component]
pub(crate) fn EmbedHeader(props: &OpenLinkProps) -> Html {
    html! {
        <header class="embed-header">
            <h1 class="scenario-title">{ if props.title.is_empty() { "Hopwise" } else { &*props.title } }</h1>
            <a class="open-link" href={&props.address} target="_blank" rel="noopener">
                { "open in Hopwise" }<span aria-hidden="true">{ " ↗" }</span>
            </a>
        </header>
    }
}
