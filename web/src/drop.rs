//! Files dropped onto the page.

use std::rc::Rc;

use gloo::events::{EventListener, EventListenerOptions};
use gloo::file::File;
use gloo::file::futures::read_as_bytes;
use gloo::utils::document;
use hopwise::link::Link;
use hopwise::text::edit;
use wasm_bindgen::JsCast;
use web_sys::{DragEvent, FileList};
use yew::prelude::*;

use crate::examples;
use crate::state::Action;

/// Adds the documents of dropped files. An example that nobody has changed makes room for them.
#[hook]
pub(crate) fn use_dropped_files(text: &Rc<str>, act: &Callback<Action>) {
    let newest = use_mut_ref(|| Rc::clone(text));
    *newest.borrow_mut() = Rc::clone(text);
    let act = act.clone();
    use_effect_with((), move |()| {
        let options = EventListenerOptions::enable_prevent_default();
        let over = EventListener::new_with_options(&document(), "dragover", options, |event| {
            if files(event).is_some() {
                event.prevent_default();
            }
        });
        let dropped = EventListener::new_with_options(&document(), "drop", options, move |event| {
            let Some(files) = files(event) else { return };
            event.prevent_default();
            let (newest, act) = (Rc::clone(&newest), act.clone());
            yew::platform::spawn_local(async move {
                let added = read_all(files).await;
                let text = Rc::clone(&newest.borrow());
                act.emit(match added {
                    Err(message) => Action::Refuse(message.into()),
                    Ok(added) if examples::is_example(&text) => {
                        Action::Open(Link { text: added, ..Link::default() })
                    }
                    Ok(added) => Action::Append(added),
                });
            });
        });
        move || drop((over, dropped))
    });
}

/// The files that are dragged; `None` if it is something else.
fn files(event: &Event) -> Option<FileList> {
    let transfer = event.dyn_ref::<DragEvent>()?.data_transfer()?;
    // While they are dragged over the page, only their kind is known.
    transfer.types().includes(&"Files".into(), 0).then(|| transfer.files())?
}

async fn read_all(files: FileList) -> Result<String, String> {
    let files: Vec<File> = gloo::file::FileList::from(files).to_vec();
    let mut all = String::new();
    for file in files {
        let name = file.name();
        let bytes = read_as_bytes(&file).await.map_err(|_| format!("`{name}` cannot be read"))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| format!("`{name}` is no text: drop YAML or JSON files"))?;
        all = edit::apply(&all, &[edit::append(&all, &text)]);
    }
    Ok(all)
}
