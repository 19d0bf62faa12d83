//! Files to keep.

use hopwise::picture::{self, Layout};
use hopwise::report::{markdown, mermaid};
use hopwise::words::names;
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
    pub(crate) onclose: Callback<()>,
}

/// A file to save.
struct Offer {
    label: String,
    words: String,
    name: String,
    kind: &'static str,
    content: String,
}

#[component]
pub(crate) fn Export(props: &ExportProps) -> Html {
    let offers = offers(&props.answer, props.asked.as_ref());
    let items = offers.into_iter().map(|offer| {
        let Offer { label, words, name, kind, content } = offer;
        let save = move |_: MouseEvent| browser::download(&name, kind, &content);
        html! {
            <li>
                <button type="button" class="button" onclick={save}>{ label }</button>
                <span>{ words }</span>
            </li>
        }
    });
    html! {
        <Dialog title="Export" onclose={props.onclose.clone()}>
            <ul class="exports">{ for items }</ul>
        </Dialog>
    }
}

fn offers(answer: &Answer, asked: Option<&Asked>) -> Vec<Offer> {
    let name = file_name(&answer.reading.scenario.name);
    let mut offers = vec![Offer {
        label: "YAML".to_owned(),
        words: "The scenario: for kubectl apply, and for hopwise check.".to_owned(),
        name: format!("{name}.yaml"),
        kind: "application/yaml",
        content: answer.text.to_string(),
    }];
    let Some(asked) = asked else { return offers };
    let cluster = &answer.reading.cluster;
    let count = asked.trace.outcomes.len();
    for (at, outcome) in asked.trace.outcomes.iter().enumerate() {
        let (label, words, suffix) = if count == 1 {
            ("SVG".to_owned(), "The diagram.".to_owned(), String::new())
        } else {
            let endpoint = outcome.endpoint.map(|endpoint| names::backend(cluster, endpoint));
            let endpoint = endpoint.unwrap_or_else(|| "no endpoint".to_owned());
            let number = at + 1;
            (format!("SVG {number}"), format!("The diagram to {endpoint}."), format!("-{number}"))
        };
        let picture = picture::draw(cluster, outcome, Layout::Wide);
        offers.push(Offer {
            label,
            words,
            name: format!("{name}{suffix}.svg"),
            kind: "image/svg+xml",
            content: picture::svg(&picture),
        });
    }
    offers.push(Offer {
        label: "Markdown".to_owned(),
        words: "The selected flow's verdict and hops, for an issue or a runbook.".to_owned(),
        name: format!("{name}.md"),
        kind: "text/markdown",
        content: markdown::path(cluster, &asked.trace),
    });
    offers.push(Offer {
        label: "Mermaid".to_owned(),
        words: "The selected flow as a sequence diagram, for Markdown that draws it.".to_owned(),
        name: format!("{name}.mmd"),
        kind: "text/plain",
        content: mermaid::path(cluster, &asked.trace),
    });
    offers
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
