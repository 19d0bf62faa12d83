//! A modal dialog: the browser's own, which traps the focus and gives it back.

use wasm_bindgen::JsCast;
use web_sys::HtmlDialogElement;
use yew::prelude::*;

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct DialogProps {
    /// The heading.
    pub(crate) title: AttrValue,
    /// Class of the dialog, for its width.
    #[prop_or_default]
    pub(crate) class: Classes,
    /// Called when it was closed, by whatever means.
    pub(crate) onclose: Callback<()>,
    pub(crate) children: Html,
}

#[component]
pub(crate) fn Dialog(props: &DialogProps) -> Html {
    let node = use_node_ref();
    use_effect_with(node.clone(), |node| {
        if let Some(dialog) = node.cast::<HtmlDialogElement>()
            && !dialog.open()
        {
            let _ = dialog.show_modal();
        }
    });
    let close = {
        let node = node.clone();
        move || {
            if let Some(dialog) = node.cast::<HtmlDialogElement>() {
                dialog.close();
            }
        }
    };
    let on_button = {
        let close = close.clone();
        move |_| close()
    };
    // The content fills the dialog, so a click on the dialog itself is one beside it.
    let on_backdrop = move |event: MouseEvent| {
        if event.target().is_some_and(|target| target.has_type::<HtmlDialogElement>()) {
            close();
        }
    };
    let onclose = props.onclose.reform(|_: Event| ());
    html! {
        <dialog
            ref={node}
            class={classes!("dialog", props.class.clone())}
            aria-labelledby="dialog-title"
            {onclose}
            onclick={on_backdrop}
        >
            <div class="dialog-inner">
                <div class="dialog-head">
                    <h2 id="dialog-title">{ &props.title }</h2>
                    <button type="button" class="button quiet" aria-label="Close" onclick={on_button}>
                        <span aria-hidden="true">{ "✕" }</span>
                    </button>
                </div>
                { props.children.clone() }
            </div>
        </dialog>
    }
}
