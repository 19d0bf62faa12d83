//! `metadata` (k8s.io/apimachinery `api/validation/objectmeta.go`).

use super::{names, selector};
use crate::manifest::fault::Faults;
use crate::manifest::{Kind, Object};

pub(super) fn validate(faults: &mut Faults, object: &Object) {
    let metadata = &object.metadata;
    // neither is stored by the API server
    let own_file = matches!(object.kind, Kind::KubeProxyConfiguration(_) | Kind::Scenario(_));
    let name = |prefix: bool, name: &str| {
        // what is generated goes on after a prefix, so that it may end in a hyphen
        let masked = name.strip_suffix('-').filter(|rest| prefix && !rest.is_empty());
        let name = masked.map_or_else(|| name.to_owned(), |rest| format!("{rest}a"));
        match object.kind {
            Kind::Namespace => names::dns_label(&name),
            _ => names::subdomain(&name),
        }
    };
    let own = metadata.name.as_deref().filter(|name| !name.is_empty());
    let generated = metadata.generate_name.as_deref().filter(|name| !name.is_empty());
    if own.is_none() && generated.is_none() && !own_file {
        faults.required("metadata.name", "name or generateName is required");
    }
    let shapes = faults.0.len();
    if let Some(prefix) = generated {
        for detail in name(true, prefix) {
            faults.invalid_text("metadata.generateName", prefix, &detail);
        }
    }
    if let Some(own) = own {
        for detail in name(false, own) {
            faults.invalid_text("metadata.name", own, &detail);
        }
    }
    if let Some(namespace) = metadata.namespace.as_deref().filter(|name| !name.is_empty()) {
        if object.is_namespaced() {
            for detail in names::dns_label(namespace) {
                faults.invalid_text("metadata.namespace", namespace, &detail);
            }
        } else {
            faults.forbidden("metadata.namespace", "not allowed on this type");
        }
    }
    selector::labels(faults, &object.node, "metadata.labels", &metadata.labels);
    for key in metadata.annotations.keys() {
        let from = faults.0.len();
        for detail in names::label_key(&key.to_lowercase()) {
            faults.invalid_text("metadata.annotations", key, &detail);
        }
        if faults.0.len() > from {
            let annotations = object.node.at("metadata.annotations");
            let entry = annotations.and_then(|annotations| annotations.entry(key));
            faults.underline(entry.map(|entry| entry.key_span), from);
        }
    }
    owners(faults, object);
    for (index, finalizer) in metadata.finalizers.iter().enumerate() {
        let from = faults.0.len();
        selector::label_key(faults, "metadata.finalizers", finalizer);
        let item = format!("metadata.finalizers[{index}]");
        faults.underline(Some(object.node.span_at(&item)), from);
    }
    if !matches!(object.kind, Kind::NetworkPolicy(_)) {
        faults.tolerate(shapes);
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
