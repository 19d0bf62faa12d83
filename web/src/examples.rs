//! The gallery: one question each, grouped by theme.

use hopwise::link::Link;
use hopwise::read;
use yew::prelude::*;

use crate::dialog::Dialog;
use crate::state::Action;

/// A scenario that comes with the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Example {
    /// The theme that it belongs to.
    pub(crate) group: &'static str,
    /// Its file's name.
    pub(crate) name: &'static str,
    /// Its text.
    pub(crate) text: &'static str,
}

/// Every example, in the gallery's order.
pub(crate) const EXAMPLES: &[Example] = include!(concat!(env!("OUT_DIR"), "/gallery.rs"));

/// What a first visit opens on.
pub(crate) fn first() -> &'static str {
    EXAMPLES.first().map_or("", |example| example.text)
}

/// Whether the text is an example as it came.
pub(crate) fn is_example(text: &str) -> bool {
    EXAMPLES.iter().any(|example| example.text == text)
}

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct GalleryProps {
    pub(crate) onclose: Callback<()>,
    pub(crate) act: Callback<Action>,
}

#[component]
pub(crate) fn Gallery(props: &GalleryProps) -> Html {
    let open = |text: &'static str| {
        let (act, onclose) = (props.act.clone(), props.onclose.clone());
        move |_: MouseEvent| {
            act.emit(Action::Open(Link { text: text.to_owned(), ..Link::default() }));
            onclose.emit(());
        }
    };
    let groups = EXAMPLES.chunk_by(|one, next| one.group == next.group).map(|group| {
        let items = group.iter().map(|example| {
            html! {
                <li key={example.name}>
                    <button type="button" class="example" data-example={example.name} onclick={open(example.text)}>
                        { question(example) }
                    </button>
                </li>
            }
        });
        html! {
            <section class="gallery-group">
                <h3>{ group.first().map(|example| example.group) }</h3>
                <ul>{ for items }</ul>
            </section>
        }
    });
    html! {
        <Dialog title="Examples" class="wide" onclose={props.onclose.clone()}>
            <div class="gallery">{ for groups }</div>
            <p class="gallery-end">
                <button type="button" class="button" onclick={open("")}>{ "Start with an empty text" }</button>
                <span class="quiet">{ "Your own text comes back with undo in the editor." }</span>
            </p>
        </Dialog>
    }
}

/// The example's title, which is a question.
fn question(example: &Example) -> String {
    let title = read(example.text).scenario.title;
    if title.is_empty() { example.name.replace('-', " ") } else { title }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn the_gallery_shows_every_example_and_each_asks_a_question() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
        let files: BTreeSet<String> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
            .collect();
        let shown = EXAMPLES.iter().map(|example| example.name.to_owned()).collect();
        assert_eq!(files, shown, "examples/gallery.txt lists what is in examples/");
        for example in EXAMPLES {
            assert!(question(example).ends_with('?'), "{}: {}", example.name, question(example));
        }
    }
}
