//! Links to hand on, and code for somebody's page.

use std::rc::Rc;

use hopwise::escape;
use web_sys::{HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement};
use yew::prelude::*;

use crate::browser;
use crate::dialog::Dialog;
use crate::state::{Session, Theme};

/// From here on browsers cut or refuse addresses.
const TOO_LONG: usize = 2_000_000;

/// What is honest to say about an address of this many characters.
fn reach(length: usize) -> String {
    let sized = |rest: &str| format!("{} characters: {rest}", thousands(length));
    match length {
        0..=2_000 => sized("short enough for every chat."),
        2_001..=8_000 => sized(
            "fine for mail, documents and issue trackers; some chats cut it off (Discord at 2,000).",
        ),
        8_001..=32_000 => sized("some mail and chat programs will cut it off."),
        32_001..=TOO_LONG => {
            sized("browsers open it, but few other programs carry it. Send the YAML file instead.")
        }
        _ => sized("no browser opens it. Send the YAML file instead."),
    }
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct ShareProps {
    /// What is shared.
    pub(crate) session: Rc<Session>,
    /// The scenario's title.
    pub(crate) title: AttrValue,
    pub(crate) onclose: Callback<()>,
}

/// Copies the link at once; shows it where that was not allowed.
#[component]
pub(crate) fn Share(props: &ShareProps) -> Html {
    let address = use_memo(Rc::clone(&props.session), |session| {
        AttrValue::from(browser::share_address(&session.link()))
    });
    let copied = use_state_eq(|| None);
    let input = use_node_ref();
    let copy = {
        let (copied, input, address) = (copied.setter(), input.clone(), (*address).clone());
        Callback::from(move |()| {
            let (copied, input, address) = (copied.clone(), input.clone(), address.clone());
            yew::platform::spawn_local(async move {
                let done = browser::copy(address.to_string()).await;
                if let (false, Some(input)) = (done, input.cast::<HtmlInputElement>()) {
                    input.select();
                }
                copied.set(Some(done));
            });
        })
    };
    let usable = address.len() <= TOO_LONG;
    {
        let copy = copy.clone();
        use_effect_with((), move |()| {
            if usable {
                copy.emit(());
            }
        });
    }
    let said = match *copied {
        None => "",
        Some(true) => "The link is copied.",
        Some(false) => "This browser does not allow copying: the link is selected, press Ctrl+C.",
    };
    let markdown = format!("[{}]({})", title_or(&props.title), *address);
    html! {
        <Dialog title="Share" onclose={props.onclose.clone()}>
            <p class="said" role="status">{ said }</p>
            if usable {
                <label class="field" for="share-link">{ "Link" }</label>
                <div class="copy-row">
                    <input ref={input} id="share-link" class="mono" readonly=true value={(*address).clone()} />
                    <button type="button" class="button primary" onclick={copy.reform(|_: MouseEvent| ())}>{ "Copy" }</button>
                </div>
                <label class="field" for="share-markdown">{ "Markdown" }</label>
                <input id="share-markdown" class="mono" readonly=true value={markdown} />
            }
            <p class="quiet">{ reach(address.len()) }</p>
            <p class="quiet">
                { "The link holds the whole scenario and what you see of it. It stands behind the #, \
                   which browsers do not send to any server." }
            </p>
        </Dialog>
    }
}

fn title_or(title: &str) -> &str {
    if title.is_empty() { "Hopwise" } else { title }
}

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct EmbedCodeProps {
    /// What is embedded.
    pub(crate) session: Rc<Session>,
    /// The scenario's title.
    pub(crate) title: AttrValue,
    pub(crate) onclose: Callback<()>,
}

/// The `iframe` for somebody's docs.
#[component]
pub(crate) fn EmbedCode(props: &EmbedCodeProps) -> Html {
    let theme = use_state_eq(|| None);
    let copied = use_state_eq(|| None);
    let area = use_node_ref();
    let code = embed_code(&browser::embed_address(&props.session.link(), *theme), &props.title);
    let on_theme = {
        let (theme, copied) = (theme.setter(), copied.setter());
        move |event: Event| {
            let chosen = event.target_dyn_into::<HtmlSelectElement>().map(|it| it.value());
            theme.set(chosen.as_deref().and_then(Theme::named));
            copied.set(None);
        }
    };
    let on_copy = {
        let (copied, area, code) = (copied.setter(), area.clone(), code.clone());
        move |_| {
            let (copied, area, code) = (copied.clone(), area.clone(), code.clone());
            yew::platform::spawn_local(async move {
                let done = browser::copy(code).await;
                if let (false, Some(area)) = (done, area.cast::<HtmlTextAreaElement>()) {
                    area.select();
                }
                copied.set(Some(done));
            });
        }
    };
    let said = match *copied {
        None => "",
        Some(true) => "The code is copied.",
        Some(false) => "This browser does not allow copying: the code is selected, press Ctrl+C.",
    };
    html! {
        <Dialog title="Embed" onclose={props.onclose.clone()}>
            <p>
                { "The verdict, the diagram, the flows and the pickers, without the editor. Nothing \
                   is stored and nothing is sent." }
            </p>
            <label class="field" for="embed-theme">{ "Theme" }</label>
            <select id="embed-theme" onchange={on_theme}>
                <option value="auto" selected={theme.is_none()}>{ "as the reader's system" }</option>
                <option value="light">{ "light" }</option>
                <option value="dark">{ "dark" }</option>
            </select>
            <label class="field" for="embed-code">{ "Code" }</label>
            <textarea ref={area} id="embed-code" class="mono" rows="7" readonly=true value={code} />
            <div class="copy-row">
                <button type="button" class="button primary" onclick={on_copy}>{ "Copy" }</button>
                <span class="said" role="status">{ said }</span>
            </div>
            <p class="quiet">{ "The script fits the frame to its content; leave it out for a fixed height." }</p>
        </Dialog>
    }
}

/// The code to paste: a frame, and a listener for the heights that it posts.
fn embed_code(address: &str, title: &str) -> String {
    let title = escape::xml(title_or(title));
    let address = escape::xml(address);
    format!(
        "<iframe src=\"{address}\" title=\"{title}\" width=\"100%\" height=\"640\" loading=\"lazy\" \
         style=\"border:0\"></iframe>\n\
         <script>\n\
         addEventListener(\"message\", ({{ data, source }}) => {{\n  \
         if (data?.type !== \"hopwise:height\") return;\n  \
         for (const frame of document.querySelectorAll(\"iframe\"))\n    \
         if (frame.contentWindow === source) frame.height = data.height;\n\
         }});\n\
         </script>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reach_of_a_link_is_said_with_its_length() {
        assert_eq!(reach(1_234), "1,234 characters: short enough for every chat.");
        assert!(reach(2_001).starts_with("2,001 characters: fine for mail"));
        assert!(reach(3_000_000).starts_with("3,000,000 characters: no browser opens it"));
    }

    #[test]
    fn a_title_cannot_break_out_of_the_code() {
        let code = embed_code("https://example.org/?embed&theme=dark#v1=x", "\"><script>");
        assert!(code.starts_with(
            "<iframe src=\"https://example.org/?embed&amp;theme=dark#v1=x\" \
             title=\"&quot;&gt;&lt;script&gt;\""
        ));
    }
}
