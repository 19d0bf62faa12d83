//! The pods: those of the text, and those that workloads make from their templates.

use std::net::IpAddr;

use super::{NodeId, Pod, Workload};
use crate::manifest::calico_policy::WorkloadEndpointSpec;
use crate::manifest::kubernetes::{ObjectMeta, PodSpec, PodStatus};
use crate::manifest::{Kind, Object};
use crate::net::{ContainerPort, Protocol};
use crate::policy::endpoint_port;
use crate::text::{Cite, Origin};

/// More replicas than this show nothing new.
const MAX_REPLICAS: i32 = 3;

/// A pod before it has a node and addresses.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) pod: Pod,
    /// `spec.nodeName`, or the node that it must be on.
    pub(crate) node: Option<String>,
    /// Where the text says its addresses.
    pub(crate) addresses_at: Option<Cite>,
}

/// The pods of the text, and those of its workloads; a daemon set has one on each of `nodes`.
pub(crate) fn written(objects: &[Object], nodes: &[String]) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for object in objects {
        match &object.kind {
            Kind::Pod(pod) => {
                let origin = Origin::Written(object.cite(""));
                let mut found =
                    draft(&object.reference.namespace, &object.metadata, &pod.spec, origin);
                status(&mut found, &pod.status, object);
                drafts.push(found);
            }
            Kind::Workload(workload) => {
                let kind = workload.kind.to_lowercase();
                let owned =
                    Some(Workload { kind: kind.clone(), name: object.reference.name.clone() });
                let places: Vec<Option<String>> = if kind == "daemonset" {
                    nodes.iter().cloned().map(Some).collect()
                } else {
                    (0..workload.replicas.unwrap_or(1).clamp(0, MAX_REPLICAS))
                        .map(|_| None)
                        .collect()
                };
                let mut meta = workload.template.metadata.clone();
                for (index, place) in places.into_iter().enumerate() {
                    meta.name = Some(format!("{}-{}", object.reference.name, index + 1));
                    let origin = Origin::Written(object.cite(workload.template_path));
                    let spec = &workload.template.spec;
                    let mut found = draft(&object.reference.namespace, &meta, spec, origin);
                    found.pod.owner.clone_from(&owned);
                    found.node = place.or(found.node);
                    drafts.push(found);
                }
            }
            Kind::WorkloadEndpoint(endpoint) => {
                let namespace = &object.reference.namespace;
                let pod = endpoint.spec.pod.as_ref();
                let is_written = |name: &String| {
                    objects.iter().any(|o| {
                        matches!(o.kind, Kind::Pod(_))
                            && o.reference.namespace == *namespace
                            && o.reference.name == *name
                    })
                };
                if let Some(name) = pod.filter(|name| !is_written(name)) {
                    drafts.push(of_endpoint(object, &endpoint.spec, name));
                }
            }
            _ => {}
        }
    }
    drafts
}

/// The pod that Calico made a workload endpoint of, where the text has only the endpoint.
fn of_endpoint(object: &Object, spec: &WorkloadEndpointSpec, name: &str) -> Draft {
    let account = object.metadata.labels.get("projectcalico.org/serviceaccount").cloned();
    let meta = ObjectMeta {
        name: Some(name.to_owned()),
        labels: object.metadata.labels.clone(),
        ..ObjectMeta::default()
    };
    let pod = PodSpec {
        node_name: spec.node.clone(),
        service_account_name: account,
        ..PodSpec::default()
    };
    let origin = Origin::Written(object.cite(""));
    let mut found = draft(&object.reference.namespace, &meta, &pod, origin);
    found.pod.ports = spec.ports.iter().filter_map(endpoint_port).collect();
    let networks = spec.ip_networks.iter().filter_map(|network| network.split('/').next());
    found.pod.addresses = networks.filter_map(|ip| ip.parse().ok()).collect();
    if !found.pod.addresses.is_empty() {
        let cite = object.cite("spec.ipNetworks");
        found.addresses_at = Some(cite.clone());
        found.pod.address_origin = Origin::Written(cite);
    }
    found
}

/// A pod from its metadata and specification.
pub(crate) fn draft(namespace: &str, meta: &ObjectMeta, spec: &PodSpec, origin: Origin) -> Draft {
    let sidecars =
        spec.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
    let owner = meta
        .owner_references
        .iter()
        .find(|owner| owner.controller != Some(false))
        .map(|owner| workload_of(&owner.kind, &owner.name));
    Draft {
        node: spec.node_name.clone().filter(|name| !name.is_empty()),
        addresses_at: None,
        pod: Pod {
            namespace: namespace.to_owned(),
            name: meta.name.clone().unwrap_or_default(),
            labels: meta.labels.clone(),
            origin,
            address_origin: Origin::Assumed("the text tells no address".to_owned()),
            owner,
            node: NodeId(0),
            addresses: Vec::new(),
            host_network: spec.host_network == Some(true),
            finished: false,
            ready: true,
            terminating: meta.deletion_timestamp.is_some(),
            ports: ports
                .filter_map(|port| {
                    Some(ContainerPort {
                        name: port.name.clone().unwrap_or_default(),
                        port: u16::try_from(port.container_port).ok()?,
                        protocol: protocol(port.protocol.as_deref()),
                    })
                })
                .collect(),
            service_account: spec
                .service_account_name
                .clone()
                .unwrap_or_else(|| "default".to_owned()),
        },
    }
}

/// A replica set of a deployment is named after it, with one more part.
fn workload_of(kind: &str, name: &str) -> Workload {
    let (kind, name) = match (kind, name.rsplit_once('-')) {
        ("ReplicaSet", Some((deployment, hash)))
            if hash.len() >= 8 && hash.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            ("deployment".to_owned(), deployment)
        }
        _ => (kind.to_lowercase(), name),
    };
    Workload { kind, name: name.to_owned() }
}

fn status(draft: &mut Draft, status: &PodStatus, object: &Object) {
    let pod = &mut draft.pod;
    pod.finished = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    if let Some(ready) = status.conditions.iter().find(|condition| condition.kind == "Ready") {
        pod.ready = ready.status == "True";
    }
    let all = status.pod_ips.iter().map(|ip| ip.ip.as_str()).chain(status.pod_ip.as_deref());
    for ip in all.filter_map(|ip| ip.parse::<IpAddr>().ok()) {
        if !pod.addresses.contains(&ip) {
            pod.addresses.push(ip);
        }
    }
    if status.phase.as_deref() == Some("Pending") {
        let reason = "it is Pending and has no address yet, so this is for when it runs";
        pod.address_origin = Origin::Assumed(reason.to_owned());
    }
    if !pod.addresses.is_empty() {
        let path = if status.pod_ips.is_empty() { "status.podIP" } else { "status.podIPs" };
        draft.addresses_at = Some(object.cite(path));
        pod.address_origin = Origin::Written(object.cite(path));
    }
}

/// `protocol`, TCP if left out.
pub(crate) fn protocol(name: Option<&str>) -> Protocol {
    name.and_then(Protocol::of_name).unwrap_or_default()
}
