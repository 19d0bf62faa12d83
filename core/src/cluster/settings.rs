//! kube-proxy's, Felix', BGP's and the pools' settings, with their defaults.

use ipnet::IpNet;

use super::{
    Bgp, EncapMode, EndpointToHost, Felix, LocalDetector, NodePortAddresses, Peering, Pool, Proxy,
    ProxyMode, ServiceLoopPrevention,
};
use crate::manifest::calico::{AdvertisedBlock, FelixConfiguration};
use crate::manifest::kube_proxy::KubeProxyConfiguration;
use crate::manifest::{Kind, Object};
use crate::text::{Cite, Origin, Setting};

/// A value that the text writes.
pub(super) fn written<T>(value: T, cite: Cite) -> Setting<T> {
    Setting { value, origin: Origin::Written(cite) }
}

/// A value that its reader defaults.
pub(super) fn default<T>(value: T, why: &str) -> Setting<T> {
    Setting { value, origin: Origin::Default(why.to_owned()) }
}

/// A value that the text writes, or its reader's default.
fn either<T>(found: Option<T>, object: &Object, path: &str, otherwise: Setting<T>) -> Setting<T> {
    match found {
        Some(value) => written(value, object.cite(path)),
        None => otherwise,
    }
}

/// Which mode, and all its settings. `bpfEnabled` replaces kube-proxy.
pub(super) fn proxy(objects: &[Object], pools: &[Pool]) -> Proxy {
    let mut proxy = Proxy::default();
    let found = objects.iter().find_map(|object| match &object.kind {
        Kind::KubeProxyConfiguration(config) => Some((object, config)),
        _ => None,
    });
    if let Some((object, config)) = found {
        configure(&mut proxy, object, config);
    } else {
        proxy.detect_local = Setting {
            value: LocalDetector::ClusterCidr(pools.iter().map(|pool| pool.cidr).collect()),
            origin: Origin::Assumed(
                "there is no KubeProxyConfiguration; installers set clusterCIDR to the pods' addresses"
                    .to_owned(),
            ),
        };
    }
    let bpf = felix_object(objects).filter(|(_, felix)| felix.spec.bpf_enabled == Some(true));
    if let Some((object, _)) = bpf {
        proxy.mode = written(ProxyMode::Ebpf, object.cite("spec.bpfEnabled"));
    }
    proxy
}

fn configure(proxy: &mut Proxy, object: &Object, config: &KubeProxyConfiguration) {
    let mode = config.mode.as_deref().filter(|mode| !mode.is_empty()).map(|mode| match mode {
        "ipvs" => ProxyMode::Ipvs,
        "nftables" => ProxyMode::Nftables,
        _ => ProxyMode::Iptables,
    });
    proxy.mode = either(mode, object, "mode", proxy.mode.clone());
    let nftables = proxy.mode.value == ProxyMode::Nftables;
    let ranges: Vec<IpNet> = config
        .cluster_cidr
        .iter()
        .flat_map(|text| text.split(','))
        .filter_map(|range| range.trim().parse().ok())
        .collect();
    let detect = &config.detect_local;
    proxy.detect_local = match config.detect_local_mode.as_deref().unwrap_or("ClusterCIDR") {
        "NodeCIDR" => written(LocalDetector::NodeCidr, object.cite("detectLocalMode")),
        "BridgeInterface" => {
            let name = detect.bridge_interface.clone().unwrap_or_default();
            written(
                LocalDetector::BridgeInterface(name),
                object.cite("detectLocal.bridgeInterface"),
            )
        }
        "InterfaceNamePrefix" => {
            let prefix = detect.interface_name_prefix.clone().unwrap_or_default();
            let cite = object.cite("detectLocal.interfaceNamePrefix");
            written(LocalDetector::InterfaceNamePrefix(prefix), cite)
        }
        _ if ranges.is_empty() => default(
            LocalDetector::NoOp,
            "without clusterCIDR kube-proxy can't tell a pod's packet from others",
        ),
        _ => written(LocalDetector::ClusterCidr(ranges), object.cite("clusterCIDR")),
    };
    let (all, path) = if nftables {
        (config.nftables.masquerade_all, "nftables.masqueradeAll")
    } else {
        (config.iptables.masquerade_all, "iptables.masqueradeAll")
    };
    proxy.masquerade_all = either(all, object, path, proxy.masquerade_all.clone());
    proxy.localhost_node_ports = either(
        config.iptables.localhost_node_ports,
        object,
        "iptables.localhostNodePorts",
        proxy.localhost_node_ports.clone(),
    );
    let addresses = &config.node_port_addresses;
    proxy.node_port_addresses = if addresses.is_empty() {
        if nftables {
            default(NodePortAddresses::Primary, "kube-proxy's default in nftables mode")
        } else {
            default(NodePortAddresses::All, "kube-proxy's default")
        }
    } else {
        let value = if addresses.iter().any(|address| address == "primary") {
            NodePortAddresses::Primary
        } else {
            NodePortAddresses::In(addresses.iter().filter_map(|a| a.parse().ok()).collect())
        };
        written(value, object.cite("nodePortAddresses"))
    };
}

/// The cluster's own Felix configuration; those of single nodes are not looked at.
fn felix_object(objects: &[Object]) -> Option<(&Object, &FelixConfiguration)> {
    objects.iter().find_map(|object| match &object.kind {
        Kind::FelixConfiguration(felix) if !object.reference.name.starts_with("node.") => {
            Some((object, felix.as_ref()))
        }
        _ => None,
    })
}

/// Felix' settings.
pub(super) fn felix(objects: &[Object]) -> Felix {
    let mut felix = Felix::default();
    if let Some((object, found)) = felix_object(objects) {
        let spec = &found.spec;
        felix.append_chains = either(
            spec.chain_insert_mode.as_deref().map(|mode| mode.eq_ignore_ascii_case("append")),
            object,
            "spec.chainInsertMode",
            felix.append_chains,
        );
        let action = spec.default_endpoint_to_host_action.as_deref().map(|action| {
            match action.to_ascii_lowercase().as_str() {
                "drop" => EndpointToHost::Drop,
                "return" => EndpointToHost::Return,
                _ => EndpointToHost::Accept,
            }
        });
        felix.endpoint_to_host =
            either(action, object, "spec.defaultEndpointToHostAction", felix.endpoint_to_host);
        let prevention = spec.service_loop_prevention.as_deref().map(|mode| match mode {
            "Reject" => ServiceLoopPrevention::Reject,
            "Disabled" => ServiceLoopPrevention::Disabled,
            _ => ServiceLoopPrevention::Drop,
        });
        felix.service_loop_prevention =
            either(prevention, object, "spec.serviceLoopPrevention", felix.service_loop_prevention);
        felix.nat_excludes_hosts = either(
            spec.nat_outgoing_exclusions.as_deref().map(|mode| mode == "IPPoolsAndHostIPs"),
            object,
            "spec.natOutgoingExclusions",
            felix.nat_excludes_hosts,
        );
        felix.dsr = either(
            spec.bpf_external_service_mode.as_deref().map(|mode| mode == "DSR"),
            object,
            "spec.bpfExternalServiceMode",
            felix.dsr,
        );
    }
    let strict = objects.iter().find_map(|object| match &object.kind {
        Kind::Scenario(scenario) => {
            let mode = scenario.spec.hosts.rp_filter.as_deref()?;
            Some(written(mode != "Loose", object.cite("spec.hosts.rpFilter")))
        }
        _ => None,
    });
    if let Some(strict) = strict {
        felix.strict_rp_filter = strict;
    }
    felix
}

/// How routes are distributed. Route reflectors are added once the nodes are known.
pub(super) fn bgp(objects: &[Object]) -> Bgp {
    let mut bgp = Bgp::default();
    for object in objects {
        let Kind::BgpConfiguration(found) = &object.kind else { continue };
        if object.reference.name != "default" {
            continue;
        }
        let spec = &found.spec;
        if let Some(mesh) = spec.node_to_node_mesh_enabled {
            let peering = if mesh { Peering::Mesh } else { Peering::RouteReflectors(Vec::new()) };
            bgp.peering = written(peering, object.cite("spec.nodeToNodeMeshEnabled"));
        }
        let blocks = [
            &spec.service_cluster_ips,
            &spec.service_external_ips,
            &spec.service_load_balancer_ips,
        ];
        let cidr = |block: &AdvertisedBlock| block.cidr.parse().ok();
        bgp.advertised = blocks.into_iter().flatten().filter_map(cidr).collect();
    }
    bgp
}

/// The address pools that the text has.
pub(super) fn pools(objects: &[Object]) -> Vec<Pool> {
    let mode = |found: Option<&str>, object: &Object, path: &str| {
        let found = found.map(|mode| match mode {
            "Always" => EncapMode::Always,
            "CrossSubnet" => EncapMode::CrossSubnet,
            _ => EncapMode::Never,
        });
        either(found, object, path, default(EncapMode::Never, "IPPool's default"))
    };
    objects
        .iter()
        .filter_map(|object| {
            let Kind::IpPool(pool) = &object.kind else { return None };
            let spec = &pool.spec;
            let cidr: IpNet = spec.cidr.parse().ok()?;
            let block_size = if cidr.addr().is_ipv4() { 26 } else { 122 };
            let size = spec.block_size.and_then(|size| u8::try_from(size).ok());
            Some(Pool {
                name: object.reference.name.clone(),
                cidr: cidr.trunc(),
                block_size: size.unwrap_or(block_size),
                ipip: mode(spec.ipip_mode.as_deref(), object, "spec.ipipMode"),
                vxlan: mode(spec.vxlan_mode.as_deref(), object, "spec.vxlanMode"),
                nat_outgoing: either(
                    spec.nat_outgoing,
                    object,
                    "spec.natOutgoing",
                    default(false, "IPPool's default"),
                ),
                load_balancer_only: !spec.allowed_uses.is_empty()
                    && spec.allowed_uses.iter().all(|used| used == "LoadBalancer"),
                origin: Origin::Written(object.cite("")),
            })
        })
        .collect()
}

/// What writes a pool into the text.
pub(super) fn pool_yaml(pool: &Pool) -> serde_json::Value {
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
