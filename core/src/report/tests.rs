//! What the reports look like.

use super::text::Look;
use super::{json, markdown, mermaid, text};
use crate::cluster::Cluster;
use crate::datapath::Trace;
use crate::picture::fixture::TEXT;
use crate::{read, trace};

fn ask(flow: &str) -> (Cluster, Trace) {
    let cluster = read(TEXT).cluster;
    let trace = trace(&cluster, &flow.parse().unwrap());
    (cluster, trace)
}

/// Masqueraded and wrapped by node1, and then denied.
fn denied() -> (Cluster, Trace) {
    ask("client/user -> nodePort/node1:31602")
}

/// By the node that has the endpoint.
fn delivered() -> (Cluster, Trace) {
    ask("client/user -> nodePort/node2:31602")
}

/// The balancer picks one node or the other.
fn mixed() -> (Cluster, Trace) {
    ask("client/user -> loadBalancer/tekton/dashboard:9097@lb")
}

#[test]
fn a_denied_path_as_text() {
    let (cluster, trace) = denied();
    insta::assert_snapshot!(text::path(&cluster, &trace, Look::default()));
}

#[test]
fn a_delivered_path_as_text_with_the_rules() {
    let (cluster, trace) = delivered();
    insta::assert_snapshot!(text::path(&cluster, &trace, Look { rules: true, ..Look::default() }));
}

#[test]
fn colours_change_nothing_but_the_colour() {
    let (cluster, trace) = mixed();
    let plain = text::path(&cluster, &trace, Look::default());
    let coloured = text::path(&cluster, &trace, Look { colour: true, ..Look::default() });
    let mut stripped = String::new();
    for (i, part) in coloured.split("\u{1b}[").enumerate() {
        stripped.push_str(if i == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_ne!(coloured, plain);
    assert_eq!(stripped, plain);
}

#[test]
fn several_outcomes_as_markdown() {
    let (cluster, trace) = mixed();
    insta::assert_snapshot!(markdown::path(&cluster, &trace));
}

#[test]
fn a_denied_path_as_mermaid() {
    let (cluster, trace) = denied();
    insta::assert_snapshot!(mermaid::path(&cluster, &trace));
}

#[test]
fn several_outcomes_as_mermaid() {
    let (cluster, trace) = mixed();
    insta::assert_snapshot!(mermaid::path(&cluster, &trace));
}

#[test]
fn a_delivered_path_as_json() {
    let (cluster, trace) = delivered();
    let answer = json::answer(&cluster, &trace);
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap());
    assert!(!json::trace_line(&cluster, &trace).contains('\n'));
}
