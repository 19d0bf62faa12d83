//! `metadata` (k8s.io/apimachinery `api/validation/objectmeta.go`).

use std::cell::LazyCell;
use std::collections::HashMap;

use super::{names, selector};
use crate::manifest::fault::Faults;
use crate::manifest::{Kind, Object};
use crate::text::Node;

pub(super) fn validate(faults: &mut Faults, object: &Object) {
    let metadata = &object.metadata;
    // neither is stored by the API server
    let own_file = matches!(object.kind, Kind::KubeProxyConfiguration(_) | Kind::Scenario(_));
    let named = written(metadata.name.as_ref()).or(written(metadata.generate_name.as_ref()));
    if named.is_none() && !own_file {
        faults.required("metadata.name", "name or generateName is required");
    }
    if matches!(object.kind, Kind::NetworkPolicy(_)) {
        shapes(faults, object);
    } else {
        faults.tolerated(|faults| shapes(faults, object));
    }
}

fn written(name: Option<&String>) -> Option<&str> {
    name.map(String::as_str).filter(|name| !name.is_empty())
}

/// The shapes of names, labels and what else is there.
fn shapes(faults: &mut Faults, object: &Object) {
    let metadata = &object.metadata;
    let name = |prefix: bool, name: &str| {
        // what is generated goes on after a prefix, so that it may end in a hyphen
        let masked = name.strip_suffix('-').filter(|rest| prefix && !rest.is_empty());
        let name = masked.map_or_else(|| name.to_owned(), |rest| format!("{rest}a"));
        match object.kind {
            Kind::Namespace => names::dns_label(&name),
            _ => names::subdomain(&name),
        }
    };
    if let Some(prefix) = written(metadata.generate_name.as_ref()) {
        for detail in name(true, prefix) {
            faults.invalid_text("metadata.generateName", prefix, &detail);
        }
    }
    if let Some(own) = written(metadata.name.as_ref()) {
        for detail in name(false, own) {
            faults.invalid_text("metadata.name", own, &detail);
        }
    }
    if let Some(namespace) = written(metadata.namespace.as_ref()) {
        if object.is_namespaced() {
            for detail in names::dns_label(namespace) {
                faults.invalid_text("metadata.namespace", namespace, &detail);
            }
        } else {
            faults.forbidden("metadata.namespace", "not allowed on this type");
        }
    }
    selector::labels(faults, &object.node, "metadata.labels", &metadata.labels);
    let annotations = object.node.at("metadata.annotations");
    let entries = LazyCell::new(|| annotations.map_or_else(HashMap::new, Node::entries_by_key));
    for key in metadata.annotations.keys() {
        let span = || entries.get(key.as_str()).map(|entry| entry.key_span);
        faults.underlined(span, |faults| {
            for detail in names::label_key(&key.to_lowercase()) {
                faults.invalid_text("metadata.annotations", key, &detail);
            }
        });
    }
    owners(faults, object);
    for (index, finalizer) in metadata.finalizers.iter().enumerate() {
        let span = || Some(object.node.span_at(&format!("metadata.finalizers[{index}]")));
        faults.underlined(span, |faults| {
            selector::label_key(faults, "metadata.finalizers", finalizer);
        });
    }
}

fn owners(faults: &mut Faults, object: &Object) {
    for (index, owner) in object.metadata.owner_references.iter().enumerate() {
        let path = format!("metadata.ownerReferences[{index}]");
        let fields = [
            ("apiVersion", &owner.api_version),
            ("kind", &owner.kind),
            ("name", &owner.name),
            ("uid", &owner.uid),
        ];
        for (field, _) in fields.into_iter().filter(|(_, value)| value.is_empty()) {
            faults.required(&format!("{path}.{field}"), "must not be empty");
        }
    }
}
