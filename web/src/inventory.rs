//! What the text holds, and what had to be assumed.

use std::collections::BTreeMap;

use hopwise::text::Origin;
use yew::prelude::*;

use crate::engine::{Answer, Shared};
use crate::problems::counted;
use crate::state::Action;

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct InventoryProps {
    pub(crate) answer: Shared<Answer>,
    pub(crate) act: Callback<Action>,
}

#[component]
pub(crate) fn Inventory(props: &InventoryProps) -> Html {
    let assumed = &props.answer.reading.cluster.assumed;
    let items = assumed.iter().map(|assumption| {
        html! {
            <li class="assumed">
                <span class="mono">{ assumption.object.to_string() }</span>
                <span class="quiet">{ format!(": {}", assumption.reason) }</span>
            </li>
        }
    });
    // All or nothing: with one node written down, the others would no longer be assumed.
    let every: Vec<_> =
        assumed.iter().filter(|it| !it.yaml.is_empty()).map(|it| it.yaml.trim_end()).collect();
    let every = format!("{}\n", every.join("\n---\n"));
    let write_every = props.act.reform(move |_: MouseEvent| Action::Append(every.clone()));
    let (present, missing) = summary(&props.answer);
    html! {
        <details class="inventory">
            <summary>
                <span>{ format!("objects: {present}") }</span>
                if !missing.is_empty() {
                    <span class="assumed-count">{ format!("{missing} assumed") }</span>
                }
            </summary>
            if assumed.is_empty() {
                <p class="quiet">{ "Nothing had to be assumed." }</p>
            } else {
                <p class="inventory-lead">
                    <span class="quiet">{ "What the text does not contain, and why it is taken to be there." }</span>
                    <button type="button" class="button small" onclick={write_every}>{ "Write them into the text" }</button>
                </p>
                <ul tabindex="0" aria-label="Assumed objects">{ for items }</ul>
            }
        </details>
    }
}

/// `1 policy, 1 service` and `3 nodes, 1 pod`.
fn summary(answer: &Answer) -> (String, String) {
    let cluster = &answer.reading.cluster;
    let written = |origin: &Origin| matches!(origin, Origin::Written(_));
    let policies = cluster.policies.all().count();
    let present = [
        counted(policies, "policy"),
        counted(cluster.services.len(), "service"),
        counted(cluster.nodes.iter().filter(|it| written(&it.origin)).count(), "node"),
        counted(cluster.pods.iter().filter(|it| written(&it.origin)).count(), "pod"),
        counted(cluster.network.pools.iter().filter(|it| written(&it.origin)).count(), "pool"),
    ];
    let present: Vec<_> = present.into_iter().flatten().collect();
    let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for assumption in &cluster.assumed {
        *kinds.entry(&assumption.object.kind).or_default() += 1;
    }
    let missing: Vec<_> =
        kinds.into_iter().filter_map(|(kind, count)| counted(count, &noun(kind))).collect();
    (present, missing.join(", "))
}

/// A kind as prose writes it: `Node` is a node, `IPPool` stays.
fn noun(kind: &str) -> String {
    let mut letters = kind.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            format!("{}{}", first.to_lowercase(), kind.get(first.len_utf8()..).unwrap_or_default())
        }
        _ => kind.to_owned(),
    }
}
