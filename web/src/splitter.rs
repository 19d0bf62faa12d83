//! The bar between text and answer: dragged, or moved by the arrow keys.

use gloo::utils::window;
use web_sys::Element;
use yew::prelude::*;

use crate::browser;

/// The text's share of the width, in percent: smallest, at first, largest.
const RANGE: (f64, f64, f64) = (18.0, 32.5, 70.0);
/// What an arrow key moves it by.
const STEP: f64 = 2.0;

#[component]
pub(crate) fn Splitter() -> Html {
    let (least, first, most) = RANGE;
    let share = use_state_eq(|| first);
    let dragged = use_state_eq(|| false);
    use_effect_with(*share, |share| browser::set_property("--split", &format!("{share}%")));

    let onpointerdown = {
        let dragged = dragged.setter();
        move |event: PointerEvent| {
            if let Some(bar) = event.target_dyn_into::<Element>() {
                let _ = bar.set_pointer_capture(event.pointer_id());
                dragged.set(true);
            }
        }
    };
    let onpointermove = {
        let (share, dragged) = (share.setter(), *dragged);
        move |event: PointerEvent| {
            let width = window().inner_width().ok().and_then(|width| width.as_f64());
            if let (true, Some(width)) = (dragged, width) {
                share.set((f64::from(event.client_x()) * 100.0 / width).clamp(least, most));
            }
        }
    };
    let release = {
        let dragged = dragged.setter();
        Callback::from(move |_: PointerEvent| dragged.set(false))
    };
    let onkeydown = {
        let share = share.clone();
        move |event: KeyboardEvent| {
            let to = match event.key().as_str() {
                "ArrowLeft" => *share - STEP,
                "ArrowRight" => *share + STEP,
                "Home" => least,
                "End" => most,
                "Enter" => first,
                _ => return,
            };
            event.prevent_default();
            share.set(to.clamp(least, most));
        }
    };
    let ondblclick = {
        let share = share.setter();
        move |_| share.set(first)
    };
    html! {
        <div
            class="splitter"
            role="separator"
            tabindex="0"
            aria-label="Width of the text"
            aria-orientation="vertical"
            aria-controls="pane-text"
            aria-valuenow={format!("{:.0}", *share)}
            aria-valuemin={least.to_string()}
            aria-valuemax={most.to_string()}
            {onpointerdown}
            {onpointermove}
            onpointerup={release.clone()}
            onpointercancel={release}
            {onkeydown}
            {ondblclick}
        />
    }
}
