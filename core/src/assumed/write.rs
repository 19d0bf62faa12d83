//! What was assumed, each with the YAML document that writes it into the text.

use crate::cluster::{Assumption, Client, Cluster, EncapMode, Node, Pod, Pool};
use crate::manifest::calico::annotation;
use crate::manifest::{Kind, Object};
use crate::net::{Encapsulation, Family, InFamily};
use crate::text::{ObjectRef, Origin};

/// The list of what was assumed, each with the YAML that writes it into the text.
pub(crate) fn assumptions(cluster: &Cluster, objects: &[Object]) -> Vec<Assumption> {
    let mut found = Vec::new();
    let mut add = |object: ObjectRef, reason: &str, yaml: &serde_json::Value| {
        let yaml = serde_yaml::to_string(yaml).unwrap_or_default();
        found.push(Assumption { object, reason: reason.to_owned(), yaml });
    };
    for (name, namespace) in &cluster.namespaces {
        if let Origin::Assumed(reason) = &namespace.origin {
            let yaml = serde_json::json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": { "name": name, "labels": namespace.labels },
            });
            add(ObjectRef::new("Namespace", "", name), reason, &yaml);
        }
    }
    for node in &cluster.nodes {
        if let Origin::Assumed(reason) = &node.origin {
            add(ObjectRef::new("Node", "", &node.name), reason, &node_yaml(node));
        }
    }
    for pool in &cluster.network.pools {
        if let Origin::Assumed(reason) = &pool.origin {
            add(ObjectRef::new("IPPool", "", &pool.name), reason, &pool_yaml(pool));
        }
    }
    for pod in &cluster.pods {
        if let Origin::Assumed(reason) = &pod.origin {
            let node = cluster.node(pod.node).map_or("", |node| node.name.as_str());
            let object = ObjectRef::new("Pod", &pod.namespace, &pod.name);
            add(object, reason, &pod_yaml(pod, node));
        }
    }
    let assumed: Vec<&Client> = cluster
        .clients
        .iter()
        .filter(|client| matches!(client.origin, Origin::Assumed(_)))
        .collect();
    // Clients stand in the Scenario document: only a text without one can get one.
    let has_scenario = objects.iter().any(|object| matches!(object.kind, Kind::Scenario(_)));
    let clients: Vec<_> = assumed
        .iter()
        .map(|client| serde_json::json!({ "name": client.name, "ip": client.ip.to_string() }))
        .collect();
    for (index, client) in assumed.iter().enumerate() {
        let Origin::Assumed(reason) = &client.origin else { continue };
        let yaml = if index == 0 && !has_scenario {
            let scenario = serde_json::json!({
                "apiVersion": "hopwise.dev/v1",
                "kind": "Scenario",
                "metadata": { "name": "scenario" },
                "spec": { "clients": clients },
            });
            serde_yaml::to_string(&scenario).unwrap_or_default()
        } else {
            String::new()
        };
        let object = ObjectRef::new("Client", "", &client.name);
        found.push(Assumption { object, reason: reason.clone(), yaml });
    }
    found
}

/// What writes a pod into the text.
fn pod_yaml(pod: &Pod, node: &str) -> serde_json::Value {
    let ports: Vec<_> = pod
        .ports
        .iter()
        .map(|port| {
            let mut value = serde_json::json!({
                "containerPort": port.port,
                "protocol": port.protocol.to_string(),
            });
            if let (Some(map), false) = (value.as_object_mut(), port.name.is_empty()) {
                map.insert("name".to_owned(), port.name.clone().into());
            }
            value
        })
        .collect();
    let ips: Vec<_> =
        pod.addresses.iter().map(|ip| serde_json::json!({ "ip": ip.to_string() })).collect();
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": pod.name, "namespace": pod.namespace, "labels": pod.labels },
        "spec": {
            "nodeName": node,
            "containers": [{ "name": "main", "image": "example.org/main", "ports": ports }],
        },
        "status": { "podIPs": ips },
    })
}
/// What writes a node into the text.
fn node_yaml(node: &Node) -> serde_json::Value {
    let mut annotations = serde_json::Map::new();
    let mut annotate = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            annotations.insert(key.to_owned(), value.into());
        }
    };
    let host = |family: Family| node.addresses.iter().find(|own| own.family() == family);
    annotate(annotation::IPV4_ADDRESS, host(Family::V4).map(ToString::to_string));
    annotate(annotation::IPV6_ADDRESS, host(Family::V6).map(ToString::to_string));
    for (tunnel, own) in node.network.tunnels() {
        let key = match (tunnel, own.value.family()) {
            (Encapsulation::Ipip, _) => annotation::IPV4_IPIP_TUNNEL,
            (Encapsulation::Vxlan, Family::V4) => annotation::IPV4_VXLAN_TUNNEL,
            (Encapsulation::Vxlan, Family::V6) => annotation::IPV6_VXLAN_TUNNEL,
            (Encapsulation::Wireguard, Family::V4) => annotation::IPV4_WIREGUARD,
            (Encapsulation::Wireguard, Family::V6) => annotation::IPV6_WIREGUARD,
        };
        annotate(key, Some(own.value.to_string()));
    }
    let addresses: Vec<_> = node
        .addresses
        .iter()
        .map(|own| serde_json::json!({ "type": "InternalIP", "address": own.addr().to_string() }))
        .collect();
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": node.name, "annotations": annotations },
        "status": { "addresses": addresses },
    })
}

/// What writes a pool into the text.
fn pool_yaml(pool: &Pool) -> serde_json::Value {
    let mode = |mode: EncapMode| match mode {
        EncapMode::Never => "Never",
        EncapMode::Always => "Always",
        EncapMode::CrossSubnet => "CrossSubnet",
    };
    serde_json::json!({
        "apiVersion": "projectcalico.org/v3",
        "kind": "IPPool",
        "metadata": { "name": pool.name },
        "spec": {
            "cidr": pool.cidr.to_string(),
            "blockSize": pool.block_size,
            "ipipMode": mode(pool.ipip.value),
            "vxlanMode": mode(pool.vxlan.value),
            "natOutgoing": pool.nat_outgoing.value,
        },
    })
}
