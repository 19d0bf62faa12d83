//! The policy API's kinds (policy.networking.k8s.io): the rules of their definitions that are
//! more than a field's own (network-policy-api `config/crd/experimental`).

use std::collections::HashSet;
use std::net::Ipv6Addr;

use ipnet::IpNet;

use super::selector;
use crate::manifest::Object;
use crate::manifest::fault::Faults;
use crate::manifest::kubernetes::LabelSelector;
use crate::manifest::policy_api::{
    AdminPeer, AdminPolicy, AdminPort, AdminPortRange, AdminProtocol, AdminRule,
};

pub(super) fn validate(faults: &mut Faults, object: &Object, policy: &AdminPolicy) {
    let kind = object.reference.kind.as_str();
    if kind == "BaselineAdminNetworkPolicy" && object.reference.name != "default" {
        let detail = "Only one baseline admin network policy with metadata.name=\"default\" can be \
                      created in the cluster";
        faults.invalid_text("metadata.name", &object.reference.name, detail);
    }
    let spec = &policy.spec;
    selectors(faults, object, "spec.subject", &spec.subject);
    for (list, peers, rules) in [("ingress", "from", &spec.ingress), ("egress", "to", &spec.egress)]
    {
        for (index, rule) in rules.iter().enumerate() {
            let path = format!("spec.{list}[{index}]");
            let found = if list == "ingress" { &rule.from } else { &rule.to };
            for (index, peer) in found.iter().enumerate() {
                let path = format!("{path}.{peers}[{index}]");
                selectors(faults, object, &path, peer);
                addresses(faults, &path, peer);
            }
            names_and_addresses(faults, kind, &path, rule);
            for (index, port) in rule.ports.iter().enumerate() {
                self::port(faults, &format!("{path}.ports[{index}]"), port);
            }
            for (index, protocol) in rule.protocols.iter().enumerate() {
                self::protocol(faults, &format!("{path}.protocols[{index}]"), protocol);
            }
        }
    }
}

fn selectors(faults: &mut Faults, object: &Object, path: &str, peer: &AdminPeer) {
    let mut check = |field: &str, found: &LabelSelector| {
        selector::selector(faults, &object.node, &format!("{path}.{field}"), found);
    };
    for (field, found) in [("namespaces", &peer.namespaces), ("nodes", &peer.nodes)] {
        if let Some(found) = found {
            check(field, found);
        }
    }
    if let Some(pods) = &peer.pods {
        check("pods.namespaceSelector", &pods.namespace_selector);
        check("pods.podSelector", &pods.pod_selector);
    }
}

fn addresses(faults: &mut Faults, path: &str, peer: &AdminPeer) {
    let mut seen = HashSet::new();
    for (index, text) in peer.networks.iter().flatten().enumerate() {
        if !is_cidr(text) {
            let path = format!("{path}.networks[{index}]");
            faults.invalid_text(&path, text, "Invalid CIDR format provided");
        } else if !seen.insert(text) {
            faults.duplicate(&format!("{path}.networks[{index}]"), text);
        }
    }
    for (index, name) in peer.domain_names.iter().flatten().enumerate() {
        if !is_domain(name) {
            let path = format!("{path}.domainNames[{index}]");
            faults.invalid_text(&path, name, &format!("{path} in body should match '{DOMAIN}'"));
        }
    }
}

/// Ports have names on pods only.
fn names_and_addresses(faults: &mut Faults, kind: &str, path: &str, rule: &AdminRule) {
    let outside = |peer: &AdminPeer| {
        peer.networks.is_some() || peer.nodes.is_some() || peer.domain_names.is_some()
    };
    let port = rule.ports.iter().position(|port| port.named_port.is_some());
    let protocol = rule.protocols.iter().position(|p| p.destination_named_port.is_some());
    let named = port
        .map(|index| format!("{path}.ports[{index}]"))
        .or_else(|| protocol.map(|index| format!("{path}.protocols[{index}]")));
    if let Some(at) = named.filter(|_| rule.to.iter().any(outside)) {
        let peers = if kind == "BaselineAdminNetworkPolicy" {
            "networks/nodes"
        } else {
            "networks/nodes/domainNames"
        };
        let detail = format!(
            "{peers} peer cannot be set with namedPorts since there are no namedPorts for {peers}"
        );
        faults.invalid_at(path, &at, &detail);
    }
}

/// v1alpha1 leaves a protocol's name and a range's direction open; nothing then matches.
fn port(faults: &mut Faults, path: &str, port: &AdminPort) {
    let number = port.port_number.as_ref().map(|found| ("portNumber", &found.protocol));
    let range = port.port_range.as_ref().map(|found| ("portRange", &found.protocol));
    for (field, protocol) in number.into_iter().chain(range) {
        if let Some(name) =
            protocol.as_deref().filter(|name| !matches!(*name, "TCP" | "UDP" | "SCTP"))
        {
            let detail = format!("`{name}` is none of TCP, UDP and SCTP, so that nothing matches");
            faults.warning(&format!("{path}.{field}.protocol"), &detail);
        }
    }
    if let Some(AdminPortRange { start, end, .. }) = &port.port_range
        && start > end
        && *end > 0
    {
        let detail = format!("{start} is more than {end}, so that nothing matches");
        faults.warning(&format!("{path}.portRange.start"), &detail);
    }
}

fn protocol(faults: &mut Faults, path: &str, protocol: &AdminProtocol) {
    for (name, found) in [("tcp", &protocol.tcp), ("udp", &protocol.udp), ("sctp", &protocol.sctp)]
    {
        let port = found.as_ref().and_then(|found| found.destination_port.as_ref());
        if let Some(AdminPortRange { start, end, .. }) = port.and_then(|port| port.range.as_ref())
            && start >= end
        {
            let path = format!("{path}.{name}.destinationPort.range");
            faults.invalid_at(&path, &path, "Start port must be less than End port");
        }
    }
}

/// CEL's `isCIDR`: no leading zeros, no IPv4 within IPv6; bits beyond the prefix are fine.
fn is_cidr(text: &str) -> bool {
    let Ok(net) = text.parse::<IpNet>() else { return false };
    let prefix = text.rsplit('/').next().unwrap_or_default();
    let mapped = match net {
        IpNet::V4(_) => false,
        IpNet::V6(net) => Ipv6Addr::to_ipv4_mapped(&net.addr()).is_some(),
    };
    !mapped && prefix == net.prefix_len().to_string()
}

const DOMAIN: &str = r"^(\*\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$";

fn is_domain(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    // `A-z` is the definition's own
    let first =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'[' | b'\\' | b']' | b'^' | b'_' | b'`');
    let label = |label: &str| {
        let (Some(start), Some(end)) = (label.bytes().next(), label.bytes().last()) else {
            return false;
        };
        first(start)
            && (label.len() == 1 || end.is_ascii_alphanumeric())
            && label.bytes().skip(1).all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.contains('.') && name.split('.').all(label)
}
