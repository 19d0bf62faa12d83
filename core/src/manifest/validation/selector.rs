//! Labels and selectors over them (k8s.io/apimachinery `apis/meta/v1/validation`).

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap};

use super::names;
use crate::manifest::fault::Faults;
use crate::manifest::kubernetes::LabelSelector;
use crate::text::Node;

/// Labels; kube-apiserver names the mapping as a whole, the label itself is underlined.
pub(super) fn labels(
    faults: &mut Faults,
    node: &Node,
    path: &str,
    labels: &BTreeMap<String, String>,
) {
    let entries = LazyCell::new(|| node.at(path).map_or_else(HashMap::new, Node::entries_by_key));
    for (key, value) in labels {
        let span = || entries.get(key.as_str()).map(|entry| entry.key_span.to(entry.value.span));
        faults.underlined(span, |faults| {
            label_key(faults, path, key);
            for detail in names::label_value(value) {
                faults.invalid_text(path, value, &detail);
            }
        });
    }
}

/// A label's key, alone.
pub(super) fn label_key(faults: &mut Faults, path: &str, key: &str) {
    for detail in names::label_key(key) {
        faults.invalid_text(path, key, &detail);
    }
}

/// A selector.
pub(super) fn selector(faults: &mut Faults, node: &Node, path: &str, selector: &LabelSelector) {
    labels(faults, node, &format!("{path}.matchLabels"), &selector.match_labels);
    for (index, requirement) in selector.match_expressions.iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let values = format!("{path}.values");
        match requirement.operator.as_str() {
            "In" | "NotIn" if requirement.values.is_empty() => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                faults.required(&values, detail);
            }
            "Exists" | "DoesNotExist" if !requirement.values.is_empty() => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                faults.forbidden(&values, detail);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let detail = "not a valid selector operator";
                faults.invalid_text(&format!("{path}.operator"), other, detail);
            }
        }
        label_key(faults, &format!("{path}.key"), &requirement.key);
        for (index, value) in requirement.values.iter().enumerate() {
            for detail in names::label_value(value) {
                faults.invalid_text(&format!("{values}[{index}]"), value, &detail);
            }
        }
    }
}
