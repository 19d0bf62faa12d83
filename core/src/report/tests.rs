//! What the reports look like.

use super::sample::{mixed, trace};
use super::text::Look;
use super::{json, markdown, mermaid, text};
use crate::cluster::Cluster;

#[test]
fn a_denied_path_as_text() {
    insta::assert_snapshot!(text::path(&Cluster::default(), &trace(false), Look::default()));
}

#[test]
fn a_delivered_path_as_text_with_the_rules() {
    let look = Look { rules: true, ..Look::default() };
    insta::assert_snapshot!(text::path(&Cluster::default(), &trace(true), look));
}

#[test]
fn colours_change_nothing_but_the_colour() {
    let plain = text::path(&Cluster::default(), &mixed(), Look::default());
    let coloured =
        text::path(&Cluster::default(), &mixed(), Look { colour: true, ..Look::default() });
    let mut stripped = String::new();
    for (i, part) in coloured.split("\u{1b}[").enumerate() {
        stripped.push_str(if i == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_ne!(coloured, plain);
    assert_eq!(stripped, plain);
}

#[test]
fn several_outcomes_as_markdown() {
    insta::assert_snapshot!(markdown::path(&Cluster::default(), &mixed()));
}

#[test]
fn a_denied_path_as_mermaid() {
    insta::assert_snapshot!(mermaid::path(&trace(false)));
}

#[test]
fn several_outcomes_as_mermaid() {
    insta::assert_snapshot!(mermaid::path(&mixed()));
}

#[test]
fn a_delivered_path_as_json() {
    let (cluster, trace) = (Cluster::default(), trace(true));
    let answer = json::answer(&cluster, &trace);
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap());
    assert!(!json::trace_line(&cluster, &trace).contains('\n'));
}
