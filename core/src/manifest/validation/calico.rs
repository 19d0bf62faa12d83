//! Calico's settings: what its definitions and its API server ask of more than one field
//! (calico `api/config/crd`, `libcalico-go/lib/validator/v3`).

use std::net::IpAddr;

use ipnet::IpNet;

use super::calico_rule::expression;
use super::{address, block, network};
use crate::manifest::calico::{
    AdvertisedBlock, BgpConfiguration, BgpPeer, FelixConfiguration, IpPool,
};
use crate::manifest::calico_policy::Expression;
use crate::manifest::fault::Faults;
use crate::manifest::kubernetes::IntOrString;
use crate::net::{Family, InFamily};

pub(super) fn validate_pool(faults: &mut Faults, pool: &IpPool) {
    let spec = &pool.spec;
    let on = |mode: &Option<String>| matches!(mode.as_deref(), Some("Always" | "CrossSubnet"));
    let (ipip, vxlan) = (on(&spec.ipip_mode), on(&spec.vxlan_mode));
    if ipip && vxlan {
        let detail = "ipipMode and vxlanMode cannot both be enabled";
        faults.forbidden_at("spec", "spec.vxlanMode", detail);
    }
    let uses = |word: &str| spec.allowed_uses.iter().any(|u| u == word);
    if uses("LoadBalancer") {
        if ipip || vxlan {
            let at = if ipip { "spec.ipipMode" } else { "spec.vxlanMode" };
            let detail = "LoadBalancer IP pool cannot have IPIP or VXLAN enabled";
            faults.forbidden_at("spec", at, detail);
        }
        if uses("Workload") || uses("Tunnel") {
            let detail = "LoadBalancer cannot be combined with Workload or Tunnel allowed uses";
            faults.forbidden_at("spec", "spec.allowedUses", detail);
        }
        if spec.disable_bgp_export == Some(true) {
            let detail = "LoadBalancer IP pools cannot disable BGP export";
            faults.forbidden_at("spec", "spec.disableBGPExport", detail);
        }
        if spec.node_selector.as_ref().is_some_and(|selector| selector.text != "all()") {
            let detail = "IP Pool with AllowedUse LoadBalancer must have nodeSelector set to all()";
            faults.invalid_at("spec", "spec.nodeSelector", detail);
        }
    }
    let namespaces = spec.namespace_selector.as_ref().filter(|found| !found.text.is_empty());
    if uses("Tunnel") && namespaces.is_some() {
        let detail = "IP Pool with AllowedUse Tunnel cannot have namespaceSelector";
        faults.forbidden_at("spec", "spec.namespaceSelector", detail);
    }
    for (field, selector) in
        [("nodeSelector", &spec.node_selector), ("namespaceSelector", &spec.namespace_selector)]
    {
        let path = format!("spec.{field}");
        expression(faults, &path, selector.as_ref());
        if selector.as_ref().is_some_and(|selector| selector.text.contains("global(")) {
            let detail = format!("global() selector is not valid for IPPool {field}");
            faults.invalid_at("spec", &path, &detail);
        }
    }
    if spec.cidr.is_empty() {
        return;
    }
    block(faults, "spec.cidr", &spec.cidr);
    if let Some((net, _)) = network::parse_cidr(&spec.cidr) {
        self::net(faults, pool, net);
    }
}

fn net(faults: &mut Faults, pool: &IpPool, net: IpNet) {
    let spec = &pool.spec;
    let family = net.family();
    let mut wrong = |at: &str, detail: &str| faults.invalid_at("spec", at, detail);
    if net != net.trunc() {
        wrong("spec.cidr", "IPPool CIDR must be strictly masked");
    }
    let local: [(IpAddr, u8, &str); 2] = [
        ([169, 254, 0, 0].into(), 16, "IPv4 link local range 169.254.0.0/16"),
        ([0xfe80, 0, 0, 0, 0, 0, 0, 0].into(), 10, "IPv6 link local range fe80::/10"),
    ];
    for (start, prefix, name) in local {
        let range = IpNet::new(start, prefix).ok();
        if range.is_some_and(|range| range.contains(&net.addr()) || net.contains(&start)) {
            wrong("spec.cidr", &format!("IPPool CIDR overlaps with {name}"));
        }
    }
    let size = spec.block_size.filter(|size| *size != 0);
    let (least, most, usual) = if family == Family::V4 { (20, 32, 26) } else { (116, 128, 122) };
    if size.is_some_and(|size| !(least..=most).contains(&size)) {
        wrong(
            "spec.blockSize",
            "blockSize must be between 20 and 32 for IPv4 pools, and between 116 and 128 for IPv6 \
             pools",
        );
    } else if spec.disabled != Some(true) && i32::from(net.prefix_len()) > size.unwrap_or(usual) {
        wrong(
            if size.is_some() { "spec.blockSize" } else { "spec.cidr" },
            "IP pool size is too small for use with Calico IPAM. It must be equal to or greater \
             than the block size.",
        );
    }
    if family == Family::V6 && matches!(spec.ipip_mode.as_deref(), Some("Always" | "CrossSubnet")) {
        faults.forbidden_at("spec", "spec.ipipMode", "IPIP is not supported on IPv6 pools");
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
}

pub(super) fn validate_peer(faults: &mut Faults, peer: &BgpPeer) {
    let spec = &peer.spec;
    if let Some(ip) = spec.peer_ip.as_deref().filter(|ip| !ip.is_empty()) {
        // an address may have a port behind it: `10.0.0.1:179`, `[2001:db8::1]:179`
        let bare = match ip.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(rest),
            None if ip.matches(':').count() == 1 => ip.split(':').next().unwrap_or(ip),
            None => ip,
        };
        address(faults, "spec.peerIP", bare);
    }
    let text = |found: &Option<String>| found.as_ref().is_some_and(|found| !found.is_empty());
    let filled = |found: &Option<Expression>| found.as_ref().is_some_and(|s| !s.text.is_empty());
    if text(&spec.node) && filled(&spec.node_selector) {
        let detail = "node and nodeSelector cannot both be set";
        faults.forbidden_at("spec", "spec.nodeSelector", detail);
    }
    if filled(&spec.peer_selector) {
        if text(&spec.peer_ip) {
            let detail = "peerIP and peerSelector cannot both be set";
            faults.forbidden_at("spec", "spec.peerSelector", detail);
        }
        if spec.as_number.is_some() {
            let detail = "asNumber must be empty when peerSelector is set";
            faults.forbidden_at("spec", "spec.asNumber", detail);
        }
    }
    expression(faults, "spec.nodeSelector", spec.node_selector.as_ref());
    expression(faults, "spec.peerSelector", spec.peer_selector.as_ref());
}

pub(super) fn validate_felix(faults: &mut Faults, felix: &FelixConfiguration) {
    let spec = &felix.spec;
    if let Some(text) = spec.nat_outgoing_address.as_deref().filter(|text| !text.is_empty())
        && !text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4())
    {
        let detail = "natOutgoingAddress must be a valid IPv4 address";
        faults.invalid_at("spec", "spec.natOutgoingAddress", detail);
    }
    for (index, ports) in spec.kube_node_port_ranges.iter().enumerate() {
        if let IntOrString::String(text) = ports
            && !text.bytes().all(|b| b.is_ascii_digit() || b == b':')
        {
            let path = format!("spec.kubeNodePortRanges[{index}]");
            faults.invalid_text(&path, text, "node port ranges should not contain named ports");
        }
    }
}
