//! The code editor's handle, as Rust calls it. Its other side is `web/editor/src/index.ts`.

use std::cell::RefCell;
use std::rc::Rc;

use gloo::utils::document;
use hopwise::text::{Edit, Problem, Severity};
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::*;
use web_sys::HtmlElement;
use yew::Callback;

use super::{Mark, Units};
use crate::state::Action;

// The import has to be JavaScript's own: Rust has no word for it.
#[wasm_bindgen(inline_js = "
export const load_module = (address) => import(new URL(address, document.baseURI).href);
export const painted = () => new Promise((done) => {
  // A hidden page paints nothing, and asks for no frame.
  const wait = setTimeout(done, 1000);
  requestAnimationFrame(() => requestAnimationFrame(() => { clearTimeout(wait); setTimeout(done); }));
});
")]
extern "C" {
    #[wasm_bindgen(catch)]
    async fn load_module(address: &str) -> Result<JsValue, JsValue>;
    async fn painted();
}

#[wasm_bindgen]
extern "C" {
    pub(crate) type Module;
    #[wasm_bindgen(method)]
    fn create(this: &Module, parent: &HtmlElement, options: &Object) -> Handle;

    type Handle;
    #[wasm_bindgen(method, js_name = setText)]
    fn set_text(this: &Handle, text: &str);
    #[wasm_bindgen(method, js_name = setDiagnostics)]
    fn set_diagnostics(this: &Handle, diagnostics: &Array);
    #[wasm_bindgen(method, js_name = setHighlights)]
    fn set_highlights(this: &Handle, highlights: &Array);
    #[wasm_bindgen(method, js_name = scrollTo)]
    fn scroll_to(this: &Handle, from: u32, to: u32);
    #[wasm_bindgen(method, js_name = setDark)]
    fn set_dark(this: &Handle, dark: bool);
    #[wasm_bindgen(method)]
    fn focus(this: &Handle);
    #[wasm_bindgen(method)]
    fn destroy(this: &Handle);
}

/// Loads the editor's module once the page is painted. `None` if it can't be had: the text area
/// stays.
pub(crate) async fn load() -> Option<Module> {
    let place = document().query_selector("meta[name=hopwise-editor]").ok()??;
    let address = place.get_attribute("content")?;
    painted().await;
    match load_module(&address).await {
        Ok(module) => Some(module.unchecked_into()),
        Err(error) => {
            gloo::console::warn!("the code editor cannot be loaded", error);
            None
        }
    }
}

/// A code editor on the page. It goes when this is dropped.
pub(crate) struct Live {
    handle: Handle,
    /// The last text that came from the editor: the page hands it back, and nothing is to be done.
    typed: Rc<RefCell<Rc<str>>>,
    /// Called by the editor as long as it lives.
    _on_change: Closure<dyn FnMut(String)>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.handle.destroy();
    }
}

impl Live {
    /// Makes an editor, the last child of `parent`.
    pub(crate) fn create(
        module: &Module,
        parent: &HtmlElement,
        text: &Rc<str>,
        dark: bool,
        act: Callback<Action>,
    ) -> Self {
        let typed = Rc::new(RefCell::new(Rc::clone(text)));
        let on_change = {
            let typed = Rc::clone(&typed);
            Closure::<dyn FnMut(String)>::new(move |text: String| {
                let text: Rc<str> = text.into();
                *typed.borrow_mut() = Rc::clone(&text);
                act.emit(Action::Edit(text));
            })
        };
        let options = object([
            ("doc", JsValue::from_str(text)),
            ("dark", dark.into()),
            ("onChange", on_change.as_ref().clone()),
        ]);
        let handle = module.create(parent, &options);
        Self { handle, typed, _on_change: on_change }
    }

    /// Follows the page's text, as one step of the editor's history.
    pub(crate) fn set_text(&self, text: &Rc<str>) {
        if !Rc::ptr_eq(&self.typed.borrow(), text) {
            *self.typed.borrow_mut() = Rc::clone(text);
            self.handle.set_text(text);
        }
    }

    /// Underlines what is wrong.
    pub(crate) fn set_problems(&self, problems: &[Problem], units: &Units) {
        let shown = problems.iter().map(|problem| {
            let severity = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "info",
            };
            let diagnostic = object([
                ("from", units.at(problem.span.start).into()),
                ("to", units.at(problem.span.end).into()),
                ("severity", severity.into()),
                ("message", problem.message.as_str().into()),
            ]);
            if let Some(fix) = &problem.fix {
                let edits = Array::of1(&edit(fix, units));
                let fix = object([("label", "Fix".into()), ("edits", edits.into())]);
                set(&diagnostic, "fix", &fix);
            }
            diagnostic
        });
        self.handle.set_diagnostics(&shown.collect());
    }

    /// Marks the lines that decided.
    pub(crate) fn set_marks(&self, marks: &[Mark], units: &Units) {
        let shown = marks.iter().map(|mark| {
            object([
                ("from", units.at(mark.span.start).into()),
                ("to", units.at(mark.span.end).into()),
                ("kind", if mark.denied { "denied" } else { "decided" }.into()),
            ])
        });
        self.handle.set_highlights(&shown.collect());
    }

    /// Selects a place and brings it into view.
    pub(crate) fn visit(&self, from: u32, to: u32) {
        self.handle.scroll_to(from, to);
    }

    /// Takes the keyboard.
    pub(crate) fn focus(&self) {
        self.handle.focus();
    }

    /// Follows the theme.
    pub(crate) fn set_dark(&self, dark: bool) {
        self.handle.set_dark(dark);
    }
}

fn edit(edit: &Edit, units: &Units) -> JsValue {
    object([
        ("start", units.at(edit.start).into()),
        ("end", units.at(edit.end).into()),
        ("insert", edit.insert.as_str().into()),
    ])
    .into()
}

fn object<const N: usize>(fields: [(&str, JsValue); N]) -> Object {
    let object = Object::new();
    for (name, value) in fields {
        set(&object, name, &value);
    }
    object
}

fn set(object: &Object, name: &str, value: &JsValue) {
    // A plain object takes every field.
    let _ = Reflect::set(object, &name.into(), value);
}
