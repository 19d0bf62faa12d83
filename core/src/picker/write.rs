//! The edits that the controls make.

use super::Dial;
use crate::cluster::Cluster;
use crate::datapath::Flow;
use crate::text::Edit;

/// The edits that set `dial` to `choice`.
pub fn pick(
    text: &str,
    cluster: &Cluster,
    flow: Option<&Flow>,
    dial: Dial,
    choice: &str,
) -> Vec<Edit> {
    let _ = (text, cluster, flow, dial, choice);
    Vec::new()
}

/// The edits that write `flow` into the `Scenario`.
pub fn keep(text: &str, flow: &Flow, name: &str) -> Vec<Edit> {
    let _ = (text, flow, name);
    Vec::new()
}
