//! If Hopwise panics, its user keeps the text.

use std::cell::RefCell;
use std::rc::Rc;

use gloo::utils::{document, document_element};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlTextAreaElement};

thread_local! {
    static TEXT: RefCell<Rc<str>> = RefCell::new("".into());
}

/// Remembers the text, for the notice.
pub(crate) fn remember(text: &Rc<str>) {
    TEXT.with_borrow_mut(|kept| *kept = Rc::clone(text));
}

/// Replaces the page by a notice when Hopwise panics.
pub(crate) fn watch() {
    std::panic::set_hook(Box::new(|info| {
        gloo::console::error!(info.to_string());
        let _ = notice(&info.to_string());
    }));
}

/// Built by hand: after a panic, nothing of the page can be relied upon.
fn notice(what: &str) -> Option<()> {
    let text = TEXT.with(|text| text.try_borrow().map(|text| Rc::clone(&text)).unwrap_or_default());
    let body = document().body()?;
    body.set_inner_html("");
    let main = add(&body, "main", "")?;
    main.set_class_name("crash");
    add(&main, "h1", "Hopwise stopped")?;
    add(
        &main,
        "p",
        "This is a mistake in Hopwise, not in your text. Your text is below, whole: copy it, then \
         reload the page. Please report it, with the text if you may share it.",
    )?;
    let label = add(&main, "label", "Your text")?;
    label.set_attribute("for", "crash-text").ok()?;
    let kept = add(&main, "textarea", "")?.dyn_into::<HtmlTextAreaElement>().ok()?;
    kept.set_id("crash-text");
    kept.set_read_only(true);
    kept.set_value(&text);
    add(&main, "p", "What happened, for the report:")?;
    add(&main, "pre", what)?;
    document_element().remove_attribute("data-embed").ok()?;
    kept.select();
    Some(())
}

fn add(parent: &Element, tag: &str, text: &str) -> Option<Element> {
    let child = document().create_element(tag).ok()?;
    child.set_text_content(Some(text));
    parent.append_child(&child).ok()?;
    Some(child)
}
