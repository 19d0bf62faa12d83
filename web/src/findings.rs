//! What in the text probably does something else than it seems to.

use std::rc::Rc;

use hopwise::analysis::{Finding, findings};
use hopwise::text::Severity;
use yew::prelude::*;

use crate::engine::{Answer, Shared};
use crate::problems::{severity_sign, with_code};
use crate::state::Action;

/// What there is to say about a text.
#[hook]
pub(crate) fn use_findings(answer: &Shared<Answer>) -> Rc<Vec<Finding>> {
    use_memo(answer.clone(), |answer| findings(&answer.text, &answer.reading.cluster))
}

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct FindingsProps {
    pub(crate) answer: Shared<Answer>,
    pub(crate) act: Callback<Action>,
}

/// The findings of a text that asks for no flow, and so has no tabs.
#[component]
pub(crate) fn Findings(props: &FindingsProps) -> Html {
    let found = use_findings(&props.answer);
    if found.is_empty() {
        return html! {};
    }
    html! { <section aria-label="Findings">{ show(&found, &props.act) }</section> }
}

/// How many findings are more than a note: what the tab's name is told with.
pub(crate) fn pressing(found: &[Finding]) -> usize {
    found.iter().filter(|finding| finding.severity > Severity::Note).count()
}

/// All of them, worst first.
pub(crate) fn show(found: &[Finding], act: &Callback<Action>) -> Html {
    if found.is_empty() {
        return html! { <p class="quiet">{ "Nothing here does something else than it seems to." }</p> };
    }
    html! { <ul class="findings">{ for found.iter().map(|finding| item(finding, act)) }</ul> }
}

fn item(finding: &Finding, act: &Callback<Action>) -> Html {
    let place = finding.cite.span.map(|span| {
        let visit = act.reform(move |_: MouseEvent| Action::Visit(span));
        html! { <button type="button" class="link" onclick={visit}>{ format!("line {}", span.line) }</button> }
    });
    html! {
        <li class="finding">
            { severity_sign(finding.severity) }
            <div>
                <p class="finding-title">{ with_code(&finding.title) }{ " " }{ place }</p>
                <p>{ with_code(&finding.why) }</p>
                if let Some(instead) = &finding.instead {
                    <p class="finding-instead"><span aria-hidden="true">{ "→ " }</span>{ with_code(instead) }</p>
                }
            </div>
        </li>
    }
}
