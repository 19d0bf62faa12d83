//! The Hopwise page: a thin skin over the core. It holds what its user did and shows what follows.

mod address;
mod answers;
mod app;
mod browser;
mod crash;
mod dialog;
mod drop;
mod editor;
mod embed;
mod engine;
mod examples;
mod explained;
mod export;
mod findings;
mod flows;
mod header;
mod help;
mod inventory;
mod links;
mod matrix;
mod path;
mod pickers;
mod problems;
mod share;
mod splitter;
mod state;
mod story;
mod tabs;
mod verdict;

fn main() {
    crash::watch();
    // The placeholder says "loading" until this replaces it.
    match gloo::utils::document().get_element_by_id("app") {
        Some(root) => yew::Renderer::<app::App>::with_root(root).render(),
        None => yew::Renderer::<app::App>::new().render(),
    };
}
