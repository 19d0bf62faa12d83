//! Calico's settings (calico `api/pkg/apis/projectcalico/v3`).

use super::{address, block, network, range, word};
use crate::manifest::calico::{
    AdvertisedBlock, BgpConfiguration, BgpPeer, FelixConfiguration, IpPool,
};
use crate::manifest::fault::Faults;

pub(super) fn validate_pool(faults: &mut Faults, pool: &IpPool) {
    let spec = &pool.spec;
    if spec.cidr.is_empty() {
        faults.required("spec.cidr", "");
    } else {
        block(faults, "spec.cidr", &spec.cidr);
    }
    let modes = ["Never", "Always", "CrossSubnet"];
    word(faults, "spec.ipipMode", spec.ipip_mode.as_ref().filter(|m| !m.is_empty()), &modes);
    word(faults, "spec.vxlanMode", spec.vxlan_mode.as_ref().filter(|m| !m.is_empty()), &modes);
    let on = |mode: &Option<String>| matches!(mode.as_deref(), Some("Always" | "CrossSubnet"));
    if on(&spec.ipip_mode) && on(&spec.vxlan_mode) {
        let detail = "ipipMode and vxlanMode cannot both be enabled on the same IP pool";
        faults.forbidden("spec.vxlanMode", detail);
    }
    if let (Some(size), Some(net)) = (spec.block_size, network::cidr(&spec.cidr)) {
        let (min, max) = if net.addr().is_ipv4() { (20, 32) } else { (116, 128) };
        range(faults, "spec.blockSize", size, min, max);
        if size < i32::from(net.prefix_len()) {
            let detail = "the pool is smaller than its blocks";
            faults.invalid("spec.blockSize", &size.to_string(), detail);
        }
    }
    for (index, using) in spec.allowed_uses.iter().enumerate() {
        let path = format!("spec.allowedUses[{index}]");
        word(faults, &path, Some(using), &["Workload", "Tunnel", "LoadBalancer"]);
    }
}

pub(super) fn validate_bgp(faults: &mut Faults, bgp: &BgpConfiguration) {
    let spec = &bgp.spec;
    let lists: [(&str, &[AdvertisedBlock]); 3] = [
        ("serviceClusterIPs", &spec.service_cluster_ips),
        ("serviceExternalIPs", &spec.service_external_ips),
        ("serviceLoadBalancerIPs", &spec.service_load_balancer_ips),
    ];
    for (list, blocks) in lists {
        for (index, entry) in blocks.iter().enumerate() {
            block(faults, &format!("spec.{list}[{index}].cidr"), &entry.cidr);
        }
    }
    let path = "spec.serviceLoadBalancerAggregation";
    let value = spec.service_load_balancer_aggregation.as_ref();
    word(faults, path, value, &["Enabled", "Disabled"]);
}

pub(super) fn validate_peer(faults: &mut Faults, peer: &BgpPeer) {
    if let Some(ip) = peer.spec.peer_ip.as_deref().filter(|ip| !ip.is_empty()) {
        // an address may have a port behind it: `10.0.0.1:179`, `[2001:db8::1]:179`
        let bare = match ip.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(rest),
            None if ip.matches(':').count() == 1 => ip.split(':').next().unwrap_or(ip),
            None => ip,
        };
        address(faults, "spec.peerIP", bare);
    }
}

pub(super) fn validate_felix(faults: &mut Faults, felix: &FelixConfiguration) {
    let spec = &felix.spec;
    let any_case: [(&str, &Option<String>, &[&str]); 4] = [
        (
            "defaultEndpointToHostAction",
            &spec.default_endpoint_to_host_action,
            &["Drop", "Return", "Accept"],
        ),
        ("chainInsertMode", &spec.chain_insert_mode, &["Insert", "Append"]),
        ("bpfExternalServiceMode", &spec.bpf_external_service_mode, &["Tunnel", "DSR"]),
        ("serviceLoopPrevention", &spec.service_loop_prevention, &["Drop", "Reject", "Disabled"]),
    ];
    for (field, value, supported) in any_case {
        let value = value.as_ref().filter(|value| {
            !value.is_empty() && !supported.iter().any(|word| word.eq_ignore_ascii_case(value))
        });
        word(faults, &format!("spec.{field}"), value, supported);
    }
    let exclusions = spec.nat_outgoing_exclusions.as_ref();
    let supported = ["IPPoolsOnly", "IPPoolsAndHostIPs"];
    word(faults, "spec.natOutgoingExclusions", exclusions, &supported);
    let balancing = spec.bpf_connect_time_load_balancing.as_ref();
    let supported = ["TCP", "Enabled", "Disabled"];
    word(faults, "spec.bpfConnectTimeLoadBalancing", balancing, &supported);
}
