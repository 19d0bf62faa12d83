//! Everything that touches the window: address, title, theme, clipboard, downloads, the host page.

use gloo::events::EventListener;
use gloo::utils::{document, document_element, window};
use hopwise::link::{Link, LinkError};
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, HtmlElement, Url, UrlSearchParams};

use crate::state::Theme;

/// What the query says. It never holds the scenario: servers see queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// `embed`: a picture in somebody's page.
    pub(crate) embed: bool,
    /// `theme=light` or `theme=dark`: what the host page has.
    pub(crate) theme: Option<Theme>,
}

/// Reads the query.
pub(crate) fn query() -> Query {
    let search = window().location().search().unwrap_or_default();
    let Ok(parameters) = UrlSearchParams::new_with_str(&search) else { return Query::default() };
    Query {
        embed: parameters.has("embed"),
        theme: parameters.get("theme").as_deref().and_then(Theme::named),
    }
}

/// The scenario in the address; `None` if there is none.
pub(crate) fn linked() -> Option<Result<Link, LinkError>> {
    let fragment = window().location().hash().unwrap_or_default();
    (fragment.len() > 1).then(|| fragment.parse())
}

/// Puts the scenario into the address without a new entry in the history. A browser that refuses,
/// because the address is too long or changes too often, keeps the old one.
pub(crate) fn write_link(link: &Link) {
    if let Ok(history) = window().history() {
        let fragment = format!("#{link}");
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&fragment));
    }
}

/// The page's address with this scenario, without the query.
pub(crate) fn share_address(link: &Link) -> String {
    format!("{}#{link}", base())
}

/// The page's address with this scenario, as an embedded picture.
pub(crate) fn embed_address(link: &Link, theme: Option<Theme>) -> String {
    let theme = theme.map(|theme| format!("&theme={}", theme.name())).unwrap_or_default();
    format!("{}?embed{theme}#{link}", base())
}

fn base() -> String {
    let location = window().location();
    let origin = location.origin().unwrap_or_default();
    let path = location.pathname().unwrap_or_default();
    format!("{origin}{path}")
}

/// Calls back when somebody changes the address's fragment.
pub(crate) fn on_hash_change(mut call: impl FnMut() + 'static) -> EventListener {
    EventListener::new(&window(), "hashchange", move |_| call())
}

/// Calls back when the page is left or hidden.
pub(crate) fn on_leave(mut call: impl FnMut() + 'static) -> EventListener {
    EventListener::new(&window(), "pagehide", move |_| call())
}

/// Fixes the colours, or leaves them to the system.
pub(crate) fn set_theme(theme: Option<Theme>) {
    let root = document_element();
    let _ = match theme {
        Some(theme) => root.set_attribute("data-theme", theme.name()),
        None => root.remove_attribute("data-theme"),
    };
}

/// Whether the page is dark now, chosen or not.
pub(crate) fn is_dark(theme: Option<Theme>) -> bool {
    theme.map_or_else(
        || {
            let query = window().match_media("(prefers-color-scheme: dark)");
            query.ok().flatten().is_some_and(|query| query.matches())
        },
        |theme| theme == Theme::Dark,
    )
}

/// Marks the root element, so that style sheets can tell an embedded page.
pub(crate) fn mark_embedded() {
    let _ = document_element().set_attribute("data-embed", "");
}

/// Sets the window's title.
pub(crate) fn set_title(title: &str) {
    let name = if title.is_empty() { "Hopwise".to_owned() } else { format!("{title} · Hopwise") };
    document().set_title(&name);
}

/// Tells the page around an embedded one how high it is, in CSS pixels.
pub(crate) fn post_height() {
    let Ok(Some(parent)) = window().parent() else { return };
    let height = document_element().get_bounding_client_rect().height().ceil();
    let message = Object::new();
    let _ = Reflect::set(&message, &"type".into(), &"hopwise:height".into());
    let _ = Reflect::set(&message, &"height".into(), &height.into());
    // A height is no secret, and the host is not known.
    let _ = parent.post_message(&message, "*");
}

/// Copies `text`. False if the browser does not allow it.
pub(crate) async fn copy(text: String) -> bool {
    // Absent where the page is not served securely.
    let clipboard = Reflect::get(&window().navigator(), &"clipboard".into());
    let Some(clipboard) = clipboard.ok().and_then(|it| it.dyn_into::<web_sys::Clipboard>().ok())
    else {
        return false;
    };
    wasm_bindgen_futures::JsFuture::from(clipboard.write_text(&text)).await.is_ok()
}

/// Offers `content` as a file.
pub(crate) fn download(name: &str, kind: &str, content: &str) {
    let options = BlobPropertyBag::new();
    options.set_type(kind);
    let parts = Array::of1(&content.into());
    let Ok(blob) = Blob::new_with_str_sequence_and_options(&parts, &options) else { return };
    let Ok(address) = Url::create_object_url_with_blob(&blob) else { return };
    if let Ok(anchor) = document().create_element("a")
        && let Ok(anchor) = anchor.dyn_into::<HtmlAnchorElement>()
    {
        anchor.set_href(&address);
        anchor.set_download(name);
        anchor.click();
    }
    let _ = Url::revoke_object_url(&address);
}

/// Sets a CSS custom property on the root element.
pub(crate) fn set_property(name: &str, value: &str) {
    if let Ok(root) = document_element().dyn_into::<HtmlElement>() {
        let _ = root.style().set_property(name, value);
    }
}
