//! A picture in somebody's page: no editor, no storage, as high as its content.

use std::rc::Rc;

use gloo::utils::document;
use hopwise::Span;
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

#[derive(PartialEq, Properties)]
pub(crate) struct ExcerptProps {
    /// The scenario.
    pub(crate) text: Rc<str>,
    /// The place that was asked for.
    pub(crate) span: Span,
}

/// The lines around a place of the text, where there is no editor to show them in.
#[component]
pub(crate) fn Excerpt(props: &ExcerptProps) -> Html {
    /// Lines before and behind the place.
    const AROUND: u32 = 4;
    let node = use_node_ref();
    use_effect_with((props.span, node.clone()), |(_, node)| {
        if let Some(element) = node.cast::<web_sys::Element>() {
            element.scroll_into_view();
        }
    });
    let at = props.span.line;
    let lines =
        props.text.lines().zip(1_u32..).filter(|(_, number)| number.abs_diff(at) <= AROUND).map(
            |(line, number)| {
                let marked = (number == at).then_some("marked");
                html! {
                    <li value={number.to_string()} class={classes!(marked)}>
                        <code>{ line.to_owned() }</code>
                    </li>
                }
            },
        );
    html! {
        <figure class="excerpt" ref={node}>
            <figcaption>{ format!("Line {at} of the scenario") }</figcaption>
            <ol tabindex="0" aria-label="Lines of the scenario">{ for lines }</ol>
        </figure>
    }
}
