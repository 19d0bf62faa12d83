//! kube-proxy's settings (kubernetes `pkg/proxy/apis/config/validation`).

use super::{network, word};
use crate::manifest::fault::Faults;
use crate::manifest::kube_proxy::KubeProxyConfiguration;

pub(super) fn validate(faults: &mut Faults, proxy: &KubeProxyConfiguration) {
    let known = |mode: &&str| matches!(*mode, "" | "iptables" | "ipvs" | "nftables");
    if let Some(mode) = proxy.mode.as_deref().filter(|mode| !known(mode)) {
        let detail = "must be iptables,ipvs,nftables or blank (blank means the best-available \
                      proxy [currently iptables])";
        faults.invalid_text("mode", mode, detail);
    }
    if let Some(nets) = proxy.cluster_cidr.as_deref().filter(|nets| !nets.is_empty()) {
        let parsed: Vec<_> = nets.split(',').map(|net| network::cidr(net.trim())).collect();
        if parsed.contains(&None) {
            let detail = "must be a valid CIDR block (e.g. 10.100.0.0/16 or \
                          fde4:8dba:82e1::/48)";
            faults.invalid_text("clusterCIDR", nets, detail);
        } else if parsed.len() > 2 {
            let detail = "only one CIDR allowed or a valid DualStack CIDR (e.g. \
                          10.100.0.0/16,fde4:8dba:82e1::/48)";
            faults.invalid_text("clusterCIDR", nets, detail);
        }
    }
    let modes = ["BridgeInterface", "ClusterCIDR", "InterfaceNamePrefix", "NodeCIDR"];
    let mode = proxy.detect_local_mode.as_ref().filter(|mode| !mode.is_empty());
    word(faults, "detectLocalMode", mode, &modes);
    let detect = &proxy.detect_local;
    for (needed, field, value) in [
        ("InterfaceNamePrefix", "interfaceNamePrefix", &detect.interface_name_prefix),
        ("BridgeInterface", "bridgeInterface", &detect.bridge_interface),
    ] {
        if mode.is_some_and(|mode| mode == needed) && value.as_deref().is_none_or(str::is_empty) {
            let detail = format!("must be set when `detectLocalMode` is '{needed}'");
            faults.required(&format!("detectLocal.{field}"), &detail);
        }
    }
    for (index, net) in proxy.node_port_addresses.iter().enumerate() {
        let path = format!("nodePortAddresses[{index}]");
        if net == "primary" {
            if proxy.node_port_addresses.len() > 1 {
                faults.invalid_text(&path, net, "can't use both 'primary' and CIDRs");
            }
        } else if network::cidr(net).is_none() {
            faults.invalid_text(&path, net, "must be a valid CIDR or 'primary'");
        }
    }
}
