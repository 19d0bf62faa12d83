//! `NetworkPolicy` (kubernetes `pkg/apis/networking/validation`).

use super::{block, network, port, port_name, range, selector, word};
use crate::manifest::Object;
use crate::manifest::fault::{Faults, quoted};
use crate::manifest::kubernetes::{
    IntOrString, IpBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort,
};
use crate::text::Node;

pub(super) fn validate(faults: &mut Faults, object: &Object, policy: &NetworkPolicy) {
    let (node, spec) = (&object.node, &policy.spec);
    selector::selector(faults, node, "spec.podSelector", &spec.pod_selector);
    for (index, rule) in spec.ingress.iter().enumerate() {
        let path = format!("spec.ingress[{index}]");
        ports(faults, &path, &rule.ports);
        peers(faults, node, &format!("{path}.from"), &rule.from);
    }
    for (index, rule) in spec.egress.iter().enumerate() {
        let path = format!("spec.egress[{index}]");
        ports(faults, &path, &rule.ports);
        peers(faults, node, &format!("{path}.to"), &rule.to);
    }
    if spec.policy_types.len() > 2 {
        let types: Vec<_> = spec.policy_types.iter().map(|kind| quoted(kind)).collect();
        let detail = "may not specify more than two policyTypes";
        faults.invalid("spec.policyTypes", &format!("[{}]", types.join(",")), detail);
        return;
    }
    for (index, kind) in spec.policy_types.iter().enumerate() {
        let path = format!("spec.policyTypes[{index}]");
        word(faults, &path, Some(kind), &["Ingress", "Egress"]);
    }
}

fn ports(faults: &mut Faults, rule: &str, ports: &[NetworkPolicyPort]) {
    for (index, entry) in ports.iter().enumerate() {
        let path = format!("{rule}.ports[{index}]");
        word(faults, &format!("{path}.protocol"), entry.protocol.as_ref(), &["TCP", "UDP", "SCTP"]);
        let port_path = format!("{path}.port");
        let end_path = format!("{path}.endPort");
        let end = entry.end_port.map(|end| (end, end.to_string()));
        match (&entry.port, end) {
            (Some(IntOrString::Int(first)), end) => {
                port(faults, &port_path, *first);
                if let Some((end, _)) = end {
                    if end < *first {
                        // it prints the other field's value
                        let detail = "must be greater than or equal to `port`";
                        faults.invalid(&end_path, &first.to_string(), detail);
                    }
                    range(faults, &end_path, end, 1, 65535);
                }
            }
            (Some(IntOrString::String(name)), end) => {
                if let Some((_, text)) = end {
                    let detail = "may not be specified when `port` is non-numeric";
                    faults.invalid(&end_path, &text, detail);
                }
                port_name(faults, &port_path, name);
            }
            (None, Some((_, text))) => {
                let detail = "may not be specified when `port` is not specified";
                faults.invalid(&end_path, &text, detail);
            }
            (None, None) => {}
        }
    }
}

fn peers(faults: &mut Faults, node: &Node, list: &str, peers: &[NetworkPolicyPeer]) {
    for (index, peer) in peers.iter().enumerate() {
        let path = format!("{list}[{index}]");
        let selectors =
            [("podSelector", &peer.pod_selector), ("namespaceSelector", &peer.namespace_selector)];
        let mut given = 0;
        for (field, selected) in selectors {
            if let Some(selected) = selected {
                given += 1;
                selector::selector(faults, node, &format!("{path}.{field}"), selected);
            }
        }
        if let Some(block) = &peer.ip_block {
            ip_block(faults, &format!("{path}.ipBlock"), block);
            if given > 0 {
                faults.forbidden(&path, "may not specify both ipBlock and another peer");
            }
        } else if given == 0 {
            faults.required(&path, "must specify a peer");
        }
    }
}

fn ip_block(faults: &mut Faults, path: &str, found: &IpBlock) {
    let cidr_path = format!("{path}.cidr");
    if found.cidr.is_empty() {
        return faults.required(&cidr_path, "");
    }
    block(faults, &cidr_path, &found.cidr);
    if let Some(warning) = network::cidr_warning(&found.cidr) {
        faults.warning(&cidr_path, &warning);
    }
    let Some(outer) = network::parse_cidr(&found.cidr) else { return };
    for (index, except) in found.except.iter().enumerate() {
        let path = format!("{path}.except[{index}]");
        block(faults, &path, except);
        let Some(inner) = network::parse_cidr(except) else { continue };
        if !network::is_strict_subset(inner, outer) {
            faults.invalid_text(&path, except, "must be a strict subset of `cidr`");
        } else if let Some(warning) = network::cidr_warning(except) {
            faults.warning(&path, &warning);
        }
    }
}
