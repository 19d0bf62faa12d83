//! The services, before their endpoints are known.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::pods::protocol;
use super::source::{default, written};
use super::{IngressIp, Service, ServiceField, ServiceKind, ServicePort, TrafficPolicy};
use crate::manifest::kubernetes::ServiceSpec;
use crate::manifest::{Kind, Object};
use crate::net::{Family, Labels};
use crate::text::{Cite, Origin, Setting};

/// Cluster IPs that are not written are taken from here: kubeadm's and Kubespray's range.
const ASSUMED_CLUSTER_IPS: [u8; 4] = [10, 233, 5, 155];
const ASSUMED_CLUSTER_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 0x233, 0x5, 0, 0, 0, 0x155);
/// The first of kube-apiserver's node ports.
const FIRST_NODE_PORT: u16 = 30080;

/// Kubernetes' default of `sessionAffinityConfig.clientIP.timeoutSeconds`.
const AFFINITY_SECONDS: u32 = 10_800;

/// A service and what makes its endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) service: Service,
    pub(crate) selector: Labels,
    /// The families of its cluster IPs, where it tells none.
    families: Vec<Family>,
    pub(crate) publish_not_ready: bool,
    /// `allocateLoadBalancerNodePorts: false`.
    no_node_ports: bool,
}

/// The services of the text.
pub(crate) fn written_services(objects: &[Object]) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = objects
        .iter()
        .filter_map(|object| match &object.kind {
            Kind::Service(service) => Some(read(object, service)),
            _ => None,
        })
        .collect();
    assume_addresses(&mut drafts);
    drafts
}

/// The ranges of the `ServiceCIDR`s.
pub(crate) fn ranges(objects: &[Object]) -> Vec<(IpNet, Cite)> {
    let mut found = Vec::new();
    for object in objects {
        let Kind::ServiceCidr(written) = &object.kind else { continue };
        for (index, range) in written.spec.cidrs.iter().enumerate() {
            let Ok(range) = range.parse::<IpNet>() else { continue };
            found.push((range.trunc(), object.cite(&format!("spec.cidrs[{index}]"))));
        }
    }
    found
}

fn read(object: &Object, service: &crate::manifest::kubernetes::Service) -> Draft {
    let spec = &service.spec;
    let kind = match spec.kind.as_deref() {
        Some("NodePort") => ServiceKind::NodePort,
        Some("LoadBalancer") => ServiceKind::LoadBalancer,
        Some("ExternalName") => ServiceKind::ExternalName,
        _ => ServiceKind::ClusterIp,
    };
    let headless = spec.cluster_ip.as_deref() == Some("None")
        || spec.cluster_ips.first().map(String::as_str) == Some("None");
    let mut cluster_ips: Vec<IpAddr> = Vec::new();
    for ip in spec.cluster_ip.iter().chain(&spec.cluster_ips).filter_map(|ip| ip.parse().ok()) {
        if !cluster_ips.contains(&ip) {
            cluster_ips.push(ip);
        }
    }
    let path = if spec.cluster_ips.is_empty() { "spec.clusterIP" } else { "spec.clusterIPs" };
    let policy = |found: Option<&str>, path: &str| -> Setting<TrafficPolicy> {
        match found {
            Some("Local") => written(TrafficPolicy::Local, object.cite(path)),
            Some(_) => written(TrafficPolicy::Cluster, object.cite(path)),
            None => default(TrafficPolicy::Cluster, "Kubernetes' default"),
        }
    };
    let ports = spec
        .ports
        .iter()
        .filter_map(|port| {
            let number = u16::try_from(port.port).ok()?;
            Some(ServicePort {
                name: port.name.clone().unwrap_or_default(),
                protocol: protocol(port.protocol.as_deref()),
                port: number,
                node_port: port
                    .node_port
                    .and_then(|number| u16::try_from(number).ok())
                    .filter(|number| *number != 0),
                target_port: port
                    .target_port
                    .as_ref()
                    .map_or_else(|| number.to_string(), ToString::to_string),
                endpoints: Vec::new(),
            })
        })
        .collect();
    let ingress_ips = service
        .status
        .load_balancer
        .ingress
        .iter()
        .filter_map(|ingress| {
            let ip = ingress.ip.as_deref()?.parse().ok()?;
            Some(IngressIp { ip, proxy: ingress.ip_mode.as_deref() == Some("Proxy") })
        })
        .collect();
    Draft {
        selector: spec.selector.clone(),
        publish_not_ready: spec.publish_not_ready_addresses == Some(true),
        no_node_ports: kind == ServiceKind::LoadBalancer
            && spec.allocate_load_balancer_node_ports == Some(false),
        families: families(spec),
        service: Service {
            namespace: object.reference.namespace.clone(),
            name: object.reference.name.clone(),
            cite: object.cite(""),
            fields: ServiceField::ALL.map(|field| (field, object.cite(field.path()))).into(),
            kind,
            cluster_ip_origin: Origin::Written(object.cite(path)),
            cluster_ips,
            headless,
            external_name: spec.external_name.clone().filter(|_| kind == ServiceKind::ExternalName),
            ports,
            external_ips: spec.external_ips.iter().filter_map(|ip| ip.parse().ok()).collect(),
            ingress_ips,
            external_traffic_policy: policy(
                spec.external_traffic_policy.as_deref(),
                "spec.externalTrafficPolicy",
            ),
            internal_traffic_policy: policy(
                spec.internal_traffic_policy.as_deref(),
                "spec.internalTrafficPolicy",
            ),
            source_ranges: spec
                .load_balancer_source_ranges
                .iter()
                .filter_map(|range| range.trim().parse::<IpNet>().ok())
                .collect(),
            session_affinity: (spec.session_affinity.as_deref() == Some("ClientIP")).then(|| {
                let config = spec.session_affinity_config.as_ref();
                let seconds = config.and_then(|config| config.client_ip.timeout_seconds);
                seconds.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(AFFINITY_SECONDS)
            }),
            // Only a balancer asks, and only under Local (`NeedsHealthCheck`).
            health_check_node_port: spec
                .health_check_node_port
                .filter(|_| kind == ServiceKind::LoadBalancer)
                .filter(|_| spec.external_traffic_policy.as_deref() == Some("Local"))
                .and_then(|port| u16::try_from(port).ok())
                .filter(|port| *port != 0),
        },
    }
}

/// The families that kube-apiserver gives cluster IPs of, in order.
fn families(spec: &ServiceSpec) -> Vec<Family> {
    let family = |name: &String| if name == "IPv6" { Family::V6 } else { Family::V4 };
    let mut found: Vec<Family> = spec.ip_families.iter().map(family).collect();
    if found.is_empty() {
        found.push(Family::V4);
    }
    let both = spec.ip_family_policy.as_deref() == Some("RequireDualStack");
    if let ([one], true) = (found.as_slice(), both) {
        found.push(one.other());
    }
    found
}

/// Cluster IPs and node ports that kube-apiserver would choose.
fn assume_addresses(drafts: &mut [Draft]) {
    let mut ips: std::collections::HashSet<IpAddr> =
        drafts.iter().flat_map(|draft| draft.service.cluster_ips.clone()).collect();
    let mut node_ports: std::collections::HashSet<u16> = drafts
        .iter()
        .flat_map(|draft| draft.service.ports.iter().filter_map(|port| port.node_port))
        .collect();
    let mut next_ip = u32::from_be_bytes(ASSUMED_CLUSTER_IPS);
    let mut next_ipv6 = u128::from(ASSUMED_CLUSTER_IPV6);
    let mut next_port = FIRST_NODE_PORT;
    for draft in drafts {
        let service = &mut draft.service;
        if service.headless || service.kind == ServiceKind::ExternalName {
            service.cluster_ips.clear();
            continue;
        }
        if service.cluster_ips.is_empty() {
            for family in &draft.families {
                let ip = loop {
                    let ip = match family {
                        Family::V4 => {
                            next_ip = next_ip.wrapping_add(1);
                            IpAddr::V4(next_ip.wrapping_sub(1).into())
                        }
                        Family::V6 => {
                            next_ipv6 = next_ipv6.wrapping_add(1);
                            IpAddr::V6(next_ipv6.wrapping_sub(1).into())
                        }
                    };
                    if ips.insert(ip) {
                        break ip;
                    }
                };
                service.cluster_ips.push(ip);
            }
            service.cluster_ip_origin = Origin::Assumed(
                "the Service tells no clusterIP; kube-apiserver picks one".to_owned(),
            );
        }
        // `allocateLoadBalancerNodePorts: false` takes none that the text does not write.
        if matches!(service.kind, ServiceKind::ClusterIp) || draft.no_node_ports {
            continue;
        }
        for port in service.ports.iter_mut().filter(|port| port.node_port.is_none()) {
            while !node_ports.insert(next_port) && next_port < u16::MAX {
                next_port += 1;
            }
            port.node_port = Some(next_port);
        }
    }
}
