//! `Node` (kubernetes `pkg/apis/core/validation`), with the annotations that calico-node keeps.

use super::{address, block, network};
use crate::manifest::Object;
use crate::manifest::calico::annotation;
use crate::manifest::fault::Faults;
use crate::manifest::kubernetes::Node;

pub(super) fn validate(faults: &mut Faults, object: &Object, node: &Node) {
    if let Some(net) = node.spec.pod_cidr.as_deref().filter(|net| !net.is_empty()) {
        block(faults, "spec.podCIDR", net);
    }
    for (index, net) in node.spec.pod_cidrs.iter().enumerate() {
        block(faults, &format!("spec.podCIDRs[{index}]"), net);
    }
    for (index, entry) in node.status.addresses.iter().enumerate() {
        if matches!(entry.kind.as_str(), "InternalIP" | "ExternalIP") {
            address(faults, &format!("status.addresses[{index}].address"), &entry.address);
        }
    }
    for (name, with_prefix) in [
        (annotation::IPV4_ADDRESS, true),
        (annotation::IPV4_IPIP_TUNNEL, false),
        (annotation::IPV4_VXLAN_TUNNEL, false),
        (annotation::IPV4_WIREGUARD, false),
        (annotation::IPV6_ADDRESS, true),
        (annotation::IPV6_VXLAN_TUNNEL, false),
        (annotation::IPV6_WIREGUARD, false),
    ] {
        let Some(value) = object.metadata.annotations.get(name).filter(|v| !v.is_empty()) else {
            continue;
        };
        if network::ip(value).is_none() && (!with_prefix || network::cidr(value).is_none()) {
            let detail = if with_prefix {
                "must be an IP address with the prefix length of its subnet, (e.g. 10.9.8.7/24)"
            } else {
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            };
            faults.invalid_text(&format!("metadata.annotations[{name}]"), value, detail);
        }
    }
}
