//! `Service` (kubernetes `pkg/apis/core/validation`), and what stands behind it: `EndpointSlice`
//! (`pkg/apis/discovery/validation`) and `Endpoints`.

use std::collections::HashSet;

use super::{address, block, network, port, port_name, range, selector, word};
use crate::manifest::Object;
use crate::manifest::fault::Faults;
use crate::manifest::kubernetes::{
    EndpointPort, EndpointSlice, Endpoints, IntOrString, Service, ServicePort, ServiceSpec,
};

const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const POLICIES: &[&str] = &["Cluster", "Local"];

pub(super) fn validate(faults: &mut Faults, object: &Object, service: &Service) {
    let spec = &service.spec;
    let kind = spec.kind.as_deref().unwrap_or("ClusterIP");
    word(faults, "spec.type", spec.kind.as_ref(), TYPES);
    let headless = spec.cluster_ip.as_deref() == Some("None");
    if spec.ports.is_empty() && !headless && kind != "ExternalName" {
        faults.required("spec.ports", "");
    }
    ports(faults, kind, &spec.ports);
    faults.tolerated(|faults| {
        selector::labels(faults, &object.node, "spec.selector", &spec.selector);
    });
    word(faults, "spec.sessionAffinity", spec.session_affinity.as_ref(), &["ClientIP", "None"]);
    if let Some(seconds) =
        spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.timeout_seconds)
    {
        let path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
        range(faults, path, seconds, 1, 86400);
    }
    cluster_ips(faults, kind, spec);
    for (index, ip) in spec.external_ips.iter().enumerate() {
        address(faults, &format!("spec.externalIPs[{index}]"), ip);
    }
    policies(faults, kind, spec);
    for (index, net) in spec.load_balancer_source_ranges.iter().enumerate() {
        block(faults, &format!("spec.loadBalancerSourceRanges[{index}]"), net.trim());
    }
    if !spec.load_balancer_source_ranges.is_empty() && kind != "LoadBalancer" {
        let detail = "may only be used when `type` is 'LoadBalancer'";
        faults.forbidden("spec.loadBalancerSourceRanges", detail);
    }
    for (index, ingress) in service.status.load_balancer.ingress.iter().enumerate() {
        let path = format!("status.loadBalancer.ingress[{index}]");
        if let Some(ip) = ingress.ip.as_deref().filter(|ip| !ip.is_empty()) {
            address(faults, &format!("{path}.ip"), ip);
        }
        word(faults, &format!("{path}.ipMode"), ingress.ip_mode.as_ref(), &["Proxy", "VIP"]);
    }
}

fn ports(faults: &mut Faults, kind: &str, ports: &[ServicePort]) {
    let mut seen = HashSet::new();
    for (index, entry) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let name = entry.name.as_deref().unwrap_or_default();
        let name_path = format!("{path}.name");
        if name.is_empty() {
            if ports.len() > 1 {
                faults.required(&name_path, "");
            }
        } else {
            faults.tolerated(|faults| {
                for detail in super::names::dns_label(name) {
                    faults.invalid_text(&name_path, name, &detail);
                }
            });
            if !seen.insert(name) {
                faults.duplicate(&name_path, name);
            }
        }
        port(faults, &format!("{path}.port"), entry.port);
        word(faults, &format!("{path}.protocol"), entry.protocol.as_ref(), PROTOCOLS);
        let target = format!("{path}.targetPort");
        match &entry.target_port {
            // 0 and the empty name are the port's own number
            Some(IntOrString::Int(0)) | None => {}
            Some(IntOrString::Int(number)) => port(faults, &target, *number),
            Some(IntOrString::String(name)) if name.is_empty() => {}
            Some(IntOrString::String(name)) => port_name(faults, &target, name),
        }
        let node_port = format!("{path}.nodePort");
        match entry.node_port.filter(|number| *number != 0) {
            Some(_) if kind == "ClusterIP" => {
                faults.forbidden(&node_port, "may not be used when `type` is 'ClusterIP'");
            }
            Some(number) => port(faults, &node_port, number),
            None => {}
        }
    }
}

fn cluster_ips(faults: &mut Faults, kind: &str, spec: &ServiceSpec) {
    let written = |ip: &&str| !ip.is_empty();
    if kind == "ExternalName" {
        if spec.external_name.as_deref().is_none_or(str::is_empty) {
            faults.required("spec.externalName", "");
        }
        if spec.cluster_ip.as_deref().is_some_and(|ip| !ip.is_empty()) {
            faults.forbidden("spec.clusterIPs", "may not be set for ExternalName services");
        }
        return;
    }
    let check = |faults: &mut Faults, path: &str, ip: &str| match ip {
        "None" if kind == "ClusterIP" || !TYPES.contains(&kind) => {}
        "None" => {
            let detail = format!("may not be set to 'None' for {kind} services");
            faults.invalid_text(path, ip, &detail);
        }
        ip => address(faults, path, ip),
    };
    if let Some(ip) = spec.cluster_ip.as_deref().filter(written) {
        check(faults, "spec.clusterIP", ip);
    }
    for (index, ip) in spec.cluster_ips.iter().enumerate() {
        let path = format!("spec.clusterIPs[{index}]");
        if index == 0 && spec.cluster_ip.as_ref() == Some(ip) {
            continue;
        }
        check(faults, &path, ip);
        if let Some(first) = spec.cluster_ip.as_deref().filter(|first| index == 0 && written(first))
        {
            let detail = format!("must match `clusterIP` ({first})");
            faults.invalid_text(&path, ip, &detail);
        }
    }
}

fn policies(faults: &mut Faults, kind: &str, spec: &ServiceSpec) {
    let path = "spec.externalTrafficPolicy";
    let outside = matches!(kind, "NodePort" | "LoadBalancer") || !spec.external_ips.is_empty();
    match spec.external_traffic_policy.as_ref().filter(|policy| !policy.is_empty()) {
        Some(policy) if !outside => {
            let detail = "may only be set for externally-accessible services";
            faults.invalid_text(path, policy, detail);
        }
        policy => word(faults, path, policy, POLICIES),
    }
    word(faults, "spec.internalTrafficPolicy", spec.internal_traffic_policy.as_ref(), POLICIES);
    let path = "spec.healthCheckNodePort";
    if let Some(number) = spec.health_check_node_port.filter(|number| *number != 0) {
        range(faults, path, number, 1, 65535);
        if kind != "LoadBalancer" || spec.external_traffic_policy.as_deref() != Some("Local") {
            let detail = "may only be set when `type` is 'LoadBalancer' and \
                          `externalTrafficPolicy` is 'Local'";
            faults.invalid(path, &number.to_string(), detail);
        }
    }
}

/// `EndpointSlice`.
pub(super) fn validate_slice(faults: &mut Faults, slice: &EndpointSlice) {
    let kinds = ["FQDN", "IPv4", "IPv6"];
    if slice.address_type.is_empty() {
        faults.required("addressType", "");
    } else {
        word(faults, "addressType", Some(&slice.address_type), &kinds);
    }
    for (index, endpoint) in slice.endpoints.iter().enumerate() {
        let path = format!("endpoints[{index}].addresses");
        if endpoint.addresses.is_empty() {
            faults.required(&path, "must contain at least 1 item");
        }
        for (index, text) in endpoint.addresses.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let family = match network::ip(text) {
                Some(ip) if ip.is_ipv4() => "IPv4",
                Some(_) => "IPv6",
                None => "FQDN",
            };
            if matches!(slice.address_type.as_str(), "IPv4" | "IPv6")
                && family != slice.address_type
            {
                let detail = format!("must be a valid {} address", slice.address_type);
                faults.invalid_text(&path, text, &detail);
            }
        }
    }
    endpoint_ports(faults, "ports", &slice.ports);
}

/// `Endpoints`.
pub(super) fn validate_endpoints(faults: &mut Faults, endpoints: &Endpoints) {
    for (index, subset) in endpoints.subsets.iter().enumerate() {
        let path = format!("subsets[{index}]");
        for (list, addresses) in
            [("addresses", &subset.addresses), ("notReadyAddresses", &subset.not_ready_addresses)]
        {
            for (index, entry) in addresses.iter().enumerate() {
                address(faults, &format!("{path}.{list}[{index}].ip"), &entry.ip);
            }
        }
        endpoint_ports(faults, &format!("{path}.ports"), &subset.ports);
    }
}

fn endpoint_ports(faults: &mut Faults, path: &str, ports: &[EndpointPort]) {
    for (index, entry) in ports.iter().enumerate() {
        if let Some(number) = entry.port {
            port(faults, &format!("{path}[{index}].port"), number);
        }
        word(faults, &format!("{path}[{index}].protocol"), entry.protocol.as_ref(), PROTOCOLS);
    }
}
