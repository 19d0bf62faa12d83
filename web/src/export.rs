//! Files to keep.

use yew::prelude::*;

use crate::browser;
use crate::dialog::Dialog;
use crate::engine::{Answer, Asked, Shared};

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct ExportProps {
    /// What is shown.
    pub(crate) answer: Shared<Answer>,
    /// The selected flow.
    pub(crate) asked: Option<Asked>,
    /// Whether the picture is to be dark.
    pub(crate) dark: bool,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn Export(props: &ExportProps) -> Html {
    let name = file_name(&props.answer.reading.scenario.name);
    let save = |suffix: &str, kind: &'static str, content: String| {
        let name = format!("{name}.{suffix}");
        move |_: MouseEvent| browser::download(&name, kind, &content)
    };
    html! {
        <Dialog title="Export" onclose={props.onclose.clone()}>
            <ul class="exports">
                <li>
                    <button type="button" class="button" onclick={save("yaml", "application/yaml", props.answer.text.to_string())}>{ "YAML" }</button>
                    <span>{ "The scenario: for kubectl apply, and for hopwise check." }</span>
                </li>
            </ul>
        </Dialog>
    }
}

/// A name that every file system takes.
fn file_name(name: &str) -> String {
    let kept: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        .collect();
    let kept = kept.trim_matches('.');
    if kept.is_empty() { "hopwise".to_owned() } else { kept.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_tame() {
        assert_eq!(file_name("nodeport-through-ipip"), "nodeport-through-ipip");
        assert_eq!(file_name("../../etc/pass wd"), "etcpasswd");
        assert_eq!(file_name("…"), "hopwise");
    }
}
