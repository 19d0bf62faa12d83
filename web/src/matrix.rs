//! Who may reach whom, as a table. A cell leads to its path.

use hopwise::analysis::{Cell, Column, Group, matrix};
use hopwise::net::{Flow, Party, PortRef, Target};
use web_sys::HtmlSelectElement;
use yew::prelude::*;

use crate::engine::{Answer, Shared};
use crate::state::{Action, Selected, Tab};

/// More than this is no table that one could read, nor one that a browser draws at once.
const MOST: usize = 60;

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct MatrixProps {
    pub(crate) answer: Shared<Answer>,
    pub(crate) act: Callback<Action>,
}

#[component]
pub(crate) fn Matrix(props: &MatrixProps) -> Html {
    let reach = use_memo(props.answer.clone(), |answer| matrix(&answer.reading.cluster));
    let from = use_state_eq(String::new);
    let to = use_state_eq(String::new);
    if reach.columns.is_empty() {
        return html! { <p class="quiet">{ "There is no pod to reach." }</p> };
    }
    let fits = |chosen: &str, group: &Group| chosen.is_empty() || group.namespace == chosen;
    let rows: Vec<usize> = indices(&reach.rows, |row| fits(&from, row));
    let columns: Vec<usize> = indices(&reach.columns, |column| fits(&to, &column.group));
    let cut = rows.len() > MOST || columns.len() > MOST;
    let (rows, columns) = (rows.iter().take(MOST), columns.iter().take(MOST));

    let heads = columns.clone().filter_map(|at| reach.columns.get(*at)).map(|column| {
        html! { <th scope="col"><span>{ group_name(&column.group) }</span></th> }
    });
    let body = rows.filter_map(|at| Some((*at, reach.rows.get(*at)?))).map(|(at, row)| {
        let cells = columns.clone().filter_map(|column| {
            let cell = reach.cell(at, *column)?;
            Some(show(row, reach.columns.get(*column)?, cell, &props.act))
        });
        html! { <tr><th scope="row">{ group_name(row) }</th>{ for cells }</tr> }
    });
    html! {
        <div class="matrix">
            <div class="matrix-filters">
                { filter("matrix-from", "From", reach.rows.iter(), &from) }
                { filter("matrix-to", "To", reach.columns.iter().map(|it| &it.group), &to) }
                <p class="quiet">
                    { "By the policies alone, from pod address to pod address. Choose a cell for its path." }
                    if cut {
                        { format!(" The first {MOST} are shown: choose a namespace.") }
                    }
                </p>
            </div>
            <div class="matrix-scroll" tabindex="0" role="region" aria-label="Matrix">
                <table>
                    <caption class="unseen">{ "Who may reach whom" }</caption>
                    <thead><tr><td class="corner"><span class="unseen">{ "from" }</span></td>{ for heads }</tr></thead>
                    <tbody>{ for body }</tbody>
                </table>
            </div>
        </div>
    }
}

fn indices<T>(items: &[T], keep: impl Fn(&T) -> bool) -> Vec<usize> {
    items.iter().enumerate().filter(|(_, item)| keep(item)).map(|(at, _)| at).collect()
}

/// The group's name, and how many pods it stands for.
fn group_name(group: &Group) -> String {
    let short = match &group.party {
        Party::Client(name) => name.clone(),
        Party::Pod(namespace, name) => format!("{namespace}/{name}"),
        other => other.to_string(),
    };
    if group.pods > 1 { format!("{short} ×{}", group.pods) } else { short }
}

fn show(row: &Group, column: &Column, cell: Cell<'_>, act: &Callback<Action>) -> Html {
    let Cell::Ports(ports) = cell else {
        return html! { <td class="itself"><span aria-label="itself">{ "–" }</span></td> };
    };
    let (open, all) = cell.count();
    let (class, sign) = match open {
        0 => ("bad", "✗".to_owned()),
        n if n == all => ("good", "✓".to_owned()),
        n => ("warn", format!("{n}/{all}")),
    };
    let words = format!("{} to {}: {open} of {all} ports", row.party, column.group.party);
    // The first port that is shut, if any: that is the path to look at.
    let shut = ports.iter().position(|open| !open).unwrap_or_default();
    let flow = column.ports.get(shut).and_then(|port| {
        let to = target(&column.group.party, PortRef::Number(port.port?))?;
        let from = row.party.clone();
        Some(Flow { from, to, protocol: port.protocol, explicit_tcp: false })
    });
    let Some(flow) = flow else {
        return html! { <td {class}><span role="img" aria-label={words}>{ sign }</span></td> };
    };
    let ask = {
        let act = act.clone();
        move |_: MouseEvent| {
            act.emit(Action::Ask(Selected { flow: flow.clone(), chip: None }));
            act.emit(Action::Show(Tab::Path));
        }
    };
    html! {
        <td {class}>
            <button type="button" aria-label={words.clone()} title={words} onclick={ask}>{ sign }</button>
        </td>
    }
}

/// A port of what a column asks for.
fn target(party: &Party, port: PortRef) -> Option<Target> {
    match party.clone() {
        Party::Pod(namespace, name) => Some(Target::Pod(namespace, name, port)),
        Party::Workload(kind, namespace, name) => {
            Some(Target::Workload(kind, namespace, name, port))
        }
        _ => None,
    }
}

fn filter<'a>(
    id: &'static str,
    label: &'static str,
    groups: impl Iterator<Item = &'a Group>,
    state: &UseStateHandle<String>,
) -> Html {
    let mut namespaces: Vec<&str> =
        groups.map(|group| group.namespace.as_str()).filter(|name| !name.is_empty()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let options = namespaces.into_iter().map(|name| {
        html! { <option value={name.to_owned()} selected={name == state.as_str()}>{ name }</option> }
    });
    let onchange = {
        let state = state.setter();
        move |event: Event| {
            if let Some(select) = event.target_dyn_into::<HtmlSelectElement>() {
                state.set(select.value());
            }
        }
    };
    html! {
        <>
            <label for={id}>{ label }</label>
            <select {id} {onchange}>
                <option value="" selected={state.is_empty()}>{ "every namespace" }</option>
                { for options }
            </select>
        </>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_shortly_and_what_can_be_asked_is_a_target() {
        let client = Party::Client("user".to_owned());
        let pod = Party::Pod("shop".to_owned(), "db".to_owned());
        let web = Party::Workload("deployment".to_owned(), "shop".to_owned(), "web".to_owned());
        for (party, pods, named, asked) in [
            (client, 1, "user", None),
            (pod, 1, "shop/db", Some("pod/shop/db:80")),
            (web, 3, "deployment/shop/web ×3", Some("deployment/shop/web:80")),
        ] {
            let to = target(&party, PortRef::Number(80)).map(|to| to.to_string());
            assert_eq!(to.as_deref(), asked);
            assert_eq!(group_name(&Group { namespace: String::new(), party, pods }), named);
        }
    }
}
