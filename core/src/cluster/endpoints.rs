//! What is behind each service port: from the text's slices, or from the service's selector.

use std::collections::HashMap;
use std::net::IpAddr;

use super::pods::protocol;
use super::{Cluster, Endpoint, NodeId, Pod, PodId, ServicePort, services};
use crate::manifest::kubernetes::{EndpointHints, EndpointPort, EndpointSlice, Endpoints, Hint};
use crate::manifest::{Kind, Object};
use crate::net::Labels;

/// The label that names an `EndpointSlice`'s service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The text's own endpoints, by service.
pub(crate) struct Slices<'a> {
    slices: HashMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>,
    old: HashMap<(&'a str, &'a str), &'a Endpoints>,
}

impl<'a> Slices<'a> {
    pub(crate) fn of(objects: &'a [Object]) -> Self {
        let mut found = Self { slices: HashMap::new(), old: HashMap::new() };
        for object in objects {
            let namespace = object.reference.namespace.as_str();
            match &object.kind {
                Kind::EndpointSlice(slice) => {
                    if let Some(service) = object.metadata.labels.get(SERVICE_NAME) {
                        found.slices.entry((namespace, service)).or_default().push(slice);
                    }
                }
                Kind::Endpoints(endpoints) => {
                    found.old.insert((namespace, &object.reference.name), endpoints);
                }
                _ => {}
            }
        }
        found
    }

    /// Whether the text itself says what is behind this service.
    pub(crate) fn has(&self, namespace: &str, name: &str) -> bool {
        self.slices.contains_key(&(namespace, name)) || self.old.contains_key(&(namespace, name))
    }
}

/// Fills in the endpoints of every service.
pub(crate) fn fill(cluster: &mut Cluster, drafts: Vec<services::Draft>, slices: &Slices<'_>) {
    let mut by_namespace: HashMap<&str, Vec<PodId>> = HashMap::new();
    for (index, pod) in cluster.pods.iter().enumerate() {
        by_namespace.entry(pod.namespace.as_str()).or_default().push(PodId(index));
    }
    let nodes: HashMap<&str, NodeId> = cluster
        .nodes
        .iter()
        .enumerate()
        .map(|(index, node)| (node.name.as_str(), NodeId(index)))
        .collect();
    let mut filled = Vec::with_capacity(drafts.len());
    for mut draft in drafts {
        let key = (draft.service.namespace.as_str(), draft.service.name.as_str());
        let slice = slices.slices.get(&key).map(Vec::as_slice).unwrap_or_default();
        let old = slices.old.get(&key).copied();
        let selected: Vec<PodId> =
            if slice.is_empty() && old.is_none() && !draft.selector.is_empty() {
                let here = by_namespace.get(key.0).map(Vec::as_slice).unwrap_or_default();
                let is_selected = |id: &&PodId| {
                    cluster.pod(**id).is_some_and(|pod| selects(&draft.selector, &pod.labels))
                };
                here.iter().filter(is_selected).copied().collect()
            } else {
                Vec::new()
            };
        for port in &mut draft.service.ports {
            let mut endpoints = Vec::new();
            for slice in slice {
                from_slice(cluster, &nodes, slice, port, &mut endpoints);
            }
            if let (Some(old), true) = (old, slice.is_empty()) {
                from_endpoints(cluster, &nodes, old, port, &mut endpoints);
            }
            for id in &selected {
                from_pod(cluster, *id, port, draft.publish_not_ready, &mut endpoints);
            }
            port.endpoints = endpoints;
        }
        filled.push(draft.service);
    }
    cluster.services = filled;
}

/// Whether a service's selector selects these labels.
pub(crate) fn selects(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// What the endpoint slice controller makes of a pod.
fn from_pod(
    cluster: &Cluster,
    id: PodId,
    port: &ServicePort,
    publish_not_ready: bool,
    endpoints: &mut Vec<Endpoint>,
) {
    let Some(pod) = cluster.pod(id).filter(|pod| !pod.finished) else { return };
    let Some(number) = target(pod, port) else { return };
    for ip in &pod.addresses {
        endpoints.push(Endpoint {
            ip: *ip,
            port: number,
            pod: Some(id),
            node: Some(pod.node),
            ready: (pod.ready && !pod.terminating) || publish_not_ready,
            serving: pod.ready || publish_not_ready,
            terminating: pod.terminating,
            zones: Vec::new(),
            nodes: Vec::new(),
        });
    }
}

/// `targetPort` on a pod; a name is a container port's.
fn target(pod: &Pod, port: &ServicePort) -> Option<u16> {
    port.target_port.parse().ok().or_else(|| {
        pod.ports
            .iter()
            .find(|known| known.name == port.target_port && known.protocol == port.protocol)
            .map(|known| known.port)
    })
}

fn from_slice(
    cluster: &Cluster,
    nodes: &HashMap<&str, NodeId>,
    slice: &EndpointSlice,
    port: &ServicePort,
    endpoints: &mut Vec<Endpoint>,
) {
    let Some(number) = slice_port(&slice.ports, port) else { return };
    for endpoint in &slice.endpoints {
        let conditions = &endpoint.conditions;
        let ready = conditions.ready.unwrap_or(true);
        let node = endpoint.node_name.as_deref().and_then(|name| nodes.get(name).copied());
        let hints = |of: fn(&EndpointHints) -> &Vec<Hint>| -> Vec<String> {
            let hints = endpoint.hints.iter().flat_map(of);
            hints.map(|hint| hint.name.clone()).collect()
        };
        let (zones, hosts) = (hints(|hints| &hints.for_zones), hints(|hints| &hints.for_nodes));
        for ip in endpoint.addresses.iter().filter_map(|ip| ip.parse().ok()) {
            endpoints.push(Endpoint {
                node: node.or_else(|| node_of(cluster, ip)),
                ready,
                serving: conditions.serving.unwrap_or(ready),
                terminating: conditions.terminating.unwrap_or(false),
                zones: zones.clone(),
                nodes: hosts.clone(),
                ..at(cluster, ip, number)
            });
        }
    }
}

fn from_endpoints(
    cluster: &Cluster,
    nodes: &HashMap<&str, NodeId>,
    object: &Endpoints,
    port: &ServicePort,
    endpoints: &mut Vec<Endpoint>,
) {
    for subset in &object.subsets {
        let Some(number) = slice_port(&subset.ports, port) else { continue };
        let ready = subset.addresses.iter().map(|address| (address, true));
        let not_ready = subset.not_ready_addresses.iter().map(|address| (address, false));
        for (address, ready) in ready.chain(not_ready) {
            let Ok(ip) = address.ip.parse() else { continue };
            let node = address.node_name.as_deref().and_then(|name| nodes.get(name).copied());
            endpoints.push(Endpoint {
                node: node.or_else(|| node_of(cluster, ip)),
                ready,
                serving: ready,
                ..at(cluster, ip, number)
            });
        }
    }
}

/// The slice's port of the same name and protocol.
fn slice_port(ports: &[EndpointPort], port: &ServicePort) -> Option<u16> {
    let same = |known: &&EndpointPort| {
        known.name.as_deref().unwrap_or_default() == port.name
            && protocol(known.protocol.as_deref()) == port.protocol
    };
    ports.iter().find(same)?.port.and_then(|number| u16::try_from(number).ok())
}

fn node_of(cluster: &Cluster, ip: IpAddr) -> Option<NodeId> {
    cluster
        .pod_by_address
        .get(&ip)
        .and_then(|pod| cluster.pod(*pod))
        .map(|pod| pod.node)
        .or_else(|| cluster.node_by_address.get(&ip).copied())
}

fn at(cluster: &Cluster, ip: IpAddr, port: u16) -> Endpoint {
    Endpoint {
        ip,
        port,
        pod: cluster.pod_by_address.get(&ip).copied(),
        node: None,
        ready: true,
        serving: true,
        terminating: false,
        zones: Vec::new(),
        nodes: Vec::new(),
    }
}
