//! The pods that the text needs, but does not contain: those behind a service, and somebody who asks.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::endpoints::{Slices, selects};
use crate::cluster::pods::{Draft, draft};
use crate::cluster::{Namespace, services};
use crate::manifest::kubernetes::{ObjectMeta, PodSpec};
use crate::manifest::{Kind, Object};
use crate::net::{ContainerPort, Labels};
use crate::text::Origin;

/// The label that kube-apiserver gives every namespace.
pub(crate) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// A pod behind each service whose selector finds none, unless the namespace has pods: then the
/// service really has no endpoints.
pub(crate) fn service_pods(
    drafts: &mut Vec<Draft>,
    services: &[services::Draft],
    slices: &Slices<'_>,
    objects: &[Object],
) {
    let populated: BTreeSet<String> = drafts.iter().map(|d| d.pod.namespace.clone()).collect();
    for service in services {
        let (namespace, name) = (&service.service.namespace, &service.service.name);
        let selected = |draft: &Draft| {
            draft.pod.namespace == *namespace && selects(&service.selector, &draft.pod.labels)
        };
        if service.selector.is_empty()
            || is_scaled(objects, namespace, &service.selector)
            || populated.contains(namespace)
            || slices.has(namespace, name)
            || drafts.iter().any(selected)
        {
            continue;
        }
        let ports = service.service.ports.iter().map(|port| {
            let number = port.target_port.parse();
            ContainerPort {
                name: if number.is_ok() { port.name.clone() } else { port.target_port.clone() },
                port: number.unwrap_or(port.port),
                protocol: port.protocol,
            }
        });
        drafts.push(assumed(
            namespace,
            &format!("{name}-1"),
            service.selector.clone(),
            ports.collect(),
            &format!(
                "Service {namespace}/{name} selects a pod, and the text has none in {namespace}"
            ),
        ));
    }
}

/// Whether a workload makes such pods; it may have been scaled to none.
pub(crate) fn is_scaled(objects: &[Object], namespace: &str, selector: &Labels) -> bool {
    objects.iter().any(|object| {
        let Kind::Workload(workload) = &object.kind else { return false };
        let labels = &workload.template.metadata.labels;
        object.reference.namespace == namespace && selects(selector, labels)
    })
}

/// Somebody who asks, where the text asks nothing, and all its pods are of one kind: of one
/// workload, or behind one service.
pub(crate) fn neighbour(drafts: &mut Vec<Draft>, services: &[services::Draft], objects: &[Object]) {
    let asks = |object: &Object| matches!(&object.kind, Kind::Scenario(scenario) if !scenario.spec.flows.is_empty());
    let Some(first) = drafts.first().map(|draft| &draft.pod) else { return };
    let of_one_kind = |draft: &Draft| {
        draft.pod.namespace == first.namespace
            && draft.pod.owner == first.owner
            && draft.pod.labels == first.labels
    };
    let behind_one = |service: &services::Draft| {
        let is_behind = |draft: &Draft| {
            draft.pod.namespace == service.service.namespace
                && selects(&service.selector, &draft.pod.labels)
        };
        !service.selector.is_empty() && drafts.iter().all(is_behind)
    };
    let alone = drafts.iter().all(of_one_kind) || services.iter().any(behind_one);
    if !alone || objects.iter().any(asks) {
        return;
    }
    let reason = format!("somebody who asks {}/{}", first.namespace, first.name);
    let namespace = first.namespace.clone();
    let name = free_name(drafts, &namespace, "client");
    drafts.push(assumed(&namespace, &name, Labels::new(), Vec::new(), &reason));
}

/// A namespace, with the label that kube-apiserver gives it.
pub(crate) fn namespace(name: &str, mut labels: Labels, origin: Origin) -> Namespace {
    labels.insert(NAMESPACE_NAME.to_owned(), name.to_owned());
    Namespace { labels, origin }
}

/// The namespaces that the text has, and those that its objects live in.
pub(crate) fn namespaces(objects: &[Object]) -> BTreeMap<String, Namespace> {
    let mut found = BTreeMap::new();
    for object in objects {
        if let Kind::Namespace = object.kind {
            let (name, labels) = (&object.reference.name, object.metadata.labels.clone());
            let origin = Origin::Written(object.cite(""));
            found.insert(name.clone(), namespace(name, labels, origin));
        }
    }
    for object in objects {
        let name = &object.reference.namespace;
        if !name.is_empty() && !found.contains_key(name) {
            let reason = format!("{} is in it", object.reference);
            let origin = Origin::Assumed(reason);
            found.insert(name.clone(), namespace(name, Labels::new(), origin));
        }
    }
    found
}

/// A pod that the text does not have.
pub(crate) fn assumed(
    namespace: &str,
    name: &str,
    labels: Labels,
    ports: Vec<ContainerPort>,
    reason: &str,
) -> Draft {
    let meta = ObjectMeta { name: Some(name.to_owned()), labels, ..ObjectMeta::default() };
    let origin = Origin::Assumed(reason.to_owned());
    let mut found = draft(namespace, &meta, &PodSpec::default(), origin);
    found.pod.ports = ports;
    found.pod.address_origin = Origin::Assumed(reason.to_owned());
    found
}

/// This name, or else with a number, for another pod of the namespace.
pub(crate) fn free_name(drafts: &[Draft], namespace: &str, name: &str) -> String {
    let taken = |name: &String| {
        drafts.iter().any(|draft| draft.pod.namespace == namespace && draft.pod.name == *name)
    };
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or_default()
}
