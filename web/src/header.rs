//! The bar on top.

use yew::prelude::*;

use crate::state::{Action, Theme};

/// The dialogs that the bar opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// The gallery of examples.
    Examples,
    /// A link to this.
    Share,
    /// Code for somebody's page.
    Embed,
    /// Files to keep.
    Export,
    /// How it works.
    Help,
}

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct HeaderProps {
    /// The scenario's title.
    pub(crate) title: AttrValue,
    /// The chosen theme.
    pub(crate) theme: Option<Theme>,
    /// Opens a dialog.
    pub(crate) open: Callback<Opened>,
    pub(crate) act: Callback<Action>,
}

#[component]
pub(crate) fn Header(props: &HeaderProps) -> Html {
    let open = |what: Opened| props.open.reform(move |_: MouseEvent| what);
    let (sign, now, next) = match props.theme {
        None => ("◐", "as the system", Some(Theme::Light)),
        Some(Theme::Light) => ("○", "light", Some(Theme::Dark)),
        Some(Theme::Dark) => ("●", "dark", None),
    };
    let theme_label = format!("Theme: {now}. Change it");
    html! {
        <header class="header">
            <h1 class="brand">
                <svg class="brand-mark" viewBox="0 0 24 24" aria-hidden="true">
                    <path d="M3 6h7q3 0 3 3v6q0 3 3 3h5" />
                    <circle cx="5" cy="6" r="2.4" />
                    <circle cx="13" cy="12" r="2.4" />
                    <circle cx="19" cy="18" r="2.4" />
                </svg>
                { "Hopwise" }
            </h1>
            <p class="scenario-title" title={props.title.clone()}>{ &props.title }</p>
            <button type="button" class="button" aria-haspopup="dialog" onclick={open(Opened::Examples)}>
                { "Examples" }<span class="caret" aria-hidden="true">{ "▾" }</span>
            </button>
            <div class="header-actions">
                <button type="button" class="button primary" aria-haspopup="dialog" onclick={open(Opened::Share)}>{ "Share" }</button>
                <button type="button" class="button wide-only" aria-haspopup="dialog" onclick={open(Opened::Embed)}>{ "Embed" }</button>
                <button type="button" class="button" aria-haspopup="dialog" onclick={open(Opened::Export)}>{ "Export" }</button>
                <button type="button" class="button square" aria-haspopup="dialog" aria-label="Help" onclick={open(Opened::Help)}>
                    <span aria-hidden="true">{ "?" }</span>
                </button>
                <button
                    type="button"
                    class="button square"
                    aria-label={theme_label.clone()}
                    title={theme_label}
                    onclick={props.act.reform(move |_: MouseEvent| Action::Colour(next))}
                >
                    <span aria-hidden="true">{ sign }</span>
                </button>
            </div>
        </header>
    }
}
