//! kube-proxy in iptables mode (`pkg/proxy/iptables/proxier.go syncProxyRules`).

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::evidence::Evidence;
use super::super::step::{Cause, CauseKind, Hook, Rule};
use super::{
    Detected, Frontend, FrontendKind, LocalMatch, Nat, Picked, Place, Refusal, ServiceProxy,
    cluster_ip_mark, detect, frontend, frontend_where, local_match, names, usable,
};
use crate::cluster::ServiceField;
use crate::datapath::route::is_local_address;
use crate::net::{Packet, address_and_port};

pub(super) struct Iptables;

impl ServiceProxy for Iptables {
    fn nat<'a>(&self, place: Place<'a>, packet: &Packet) -> Nat<'a> {
        let mut nat = choose(place, packet);
        if let Some(frontend) = &nat.frontend {
            nat.rules = rules(place, frontend, packet, &nat);
        }
        nat
    }

    fn filter(&self, place: Place<'_>, hook: Hook, packet: &Packet) -> Option<Refusal> {
        // `nodePortAddresses` restricts nat; the filter rules match every local address.
        let local = is_local_address(place.cluster, place.node, packet.destination);
        let frontend = frontend_where(place.cluster, packet, local)?;
        let refusal = refuse(place, &frontend, packet)?;
        // KUBE-EXTERNAL-SERVICES is not hooked into OUTPUT, KUBE-SERVICES not into INPUT.
        let hooked = match (refusal.1, refusal.0.rule) {
            (_, Rule::SourceRange) => true,
            (FrontendKind::ClusterIp, _) => hook != Hook::Input,
            (_, _) => hook != Hook::Output,
        };
        hooked.then_some(refusal.0)
    }

    fn endpoint_rules(&self, picked: &Picked<'_>) -> Vec<String> {
        endpoint_rules(picked)
    }

    fn masquerade_rule(&self) -> &'static str {
        "-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully"
    }
}

/// `KUBE-SERVICES` and the chains below it; nftables mode decides the same.
pub(super) fn choose<'a>(place: Place<'a>, packet: &Packet) -> Nat<'a> {
    let mut nat = Nat::default();
    let Some(frontend) = frontend(place.cluster, place.node, packet) else { return nat };
    nat.frontend = Some(frontend);
    let usable = usable(place.cluster, place.node, frontend.port, packet.family());
    let hint = usable.hint.map(|hint| Evidence::of(frontend.service.cite.clone(), &hint));
    if source_refused(place, &frontend, packet) {
        return nat;
    }
    if frontend.kind == FrontendKind::ClusterIp {
        nat.local = frontend.local();
        nat.endpoints = if nat.local { usable.local } else { usable.cluster };
        nat.evidence.extend(hint.filter(|_| !nat.local));
        if !nat.endpoints.is_empty() {
            nat.mark = cluster_ip_mark(place, packet.source);
        }
        return nat;
    }
    if !frontend.local() {
        nat.evidence.extend(hint);
        nat.endpoints = usable.cluster;
        if !nat.endpoints.is_empty() {
            nat.mark = Some(frontend.policy_evidence(
                "externalTrafficPolicy Cluster masquerades everything that comes in by an external address, so that replies come back through this node",
            ));
        }
        return nat;
    }
    // KUBE-EXT- of a service with externalTrafficPolicy Local.
    if detect(place, packet.source) == Detected::Pod {
        nat.evidence.push(frontend.policy_evidence(
            "under Local, a pod's own traffic is short-circuited to all endpoints, with its source kept",
        ));
        nat.endpoints = usable.cluster;
    } else if is_local_address(place.cluster, place.node, packet.source) {
        nat.endpoints = usable.cluster;
        if !nat.endpoints.is_empty() {
            nat.mark = Some(frontend.policy_evidence(
                "under Local, the node's own traffic goes to all endpoints, masqueraded",
            ));
        }
    } else {
        nat.evidence.push(frontend.policy_evidence(
            "under Local, only endpoints on this node are used, and the source is kept",
        ));
        nat.local = true;
        nat.endpoints = usable.local;
    }
    nat
}

/// `KUBE-FW-…`: a source outside the ranges falls through to `KUBE-PROXY-FIREWALL`.
fn source_refused(place: Place<'_>, frontend: &Frontend<'_>, packet: &Packet) -> bool {
    let ranges = &frontend.service.source_ranges;
    let node_in_range = || {
        place.cluster.node(place.node).is_some_and(|node| {
            node.addresses.iter().any(|own| ranges.iter().any(|range| range.contains(&own.addr())))
        })
    };
    if frontend.kind != FrontendKind::LoadBalancerIp || ranges.is_empty() {
        return false;
    }
    // A host that calls the address it has itself uses that address as source.
    let itself = packet.source == packet.destination && node_in_range();
    !itself && !ranges.iter().any(|range| range.contains(&packet.source))
}

/// What the filter table does to a service packet that nat left alone.
pub(super) fn refuse(
    place: Place<'_>,
    frontend: &Frontend<'_>,
    packet: &Packet,
) -> Option<(Refusal, FrontendKind)> {
    let usable = usable(place.cluster, place.node, frontend.port, packet.family());
    let service = &frontend.service.cite.object;
    let kind = frontend.kind;
    let address = address_and_port(packet.destination, packet.destination_port);
    if source_refused(place, frontend, packet) {
        let cite = frontend.service.field(ServiceField::SourceRanges);
        let message = format!(
            "{} is in none of the loadBalancerSourceRanges of {service}, so kube-proxy drops what it sends to {address}",
            packet.source
        );
        return Some((
            Refusal {
                uncertain: None,
                rule: Rule::SourceRange,
                evidence: vec![Evidence::of(cite.clone(), &message)],
                cause: Cause { kind: CauseKind::SourceRange, cite: Some(cite), message },
                rules: vec![format!(
                    "-A KUBE-PROXY-FIREWALL -d {} -p {} -m comment --comment \"{} traffic not accepted by {}\" -m tcp --dport {} -j DROP",
                    host(packet.destination),
                    names::protocol(packet.protocol),
                    names::service_port(frontend),
                    names::service_chain("KUBE-FW-", frontend),
                    frontend.port.port,
                )],
            },
            kind,
        ));
    }
    if !usable.any {
        let cite = frontend.service.field(ServiceField::Selector);
        let message = format!("{service} has no endpoints, so kube-proxy rejects {address}");
        return Some((
            Refusal {
                uncertain: None,
                rule: Rule::NoEndpoints,
                evidence: vec![Evidence::of(cite.clone(), &message)],
                cause: Cause { kind: CauseKind::NoEndpoints, cite: Some(cite), message },
                rules: vec![refusal_rule(
                    frontend,
                    packet,
                    "has no endpoints",
                    if packet.destination.is_ipv4() {
                        "REJECT --reject-with icmp-port-unreachable"
                    } else {
                        "REJECT --reject-with icmp6-port-unreachable"
                    },
                )],
            },
            kind,
        ));
    }
    if frontend.local() && usable.local.is_empty() {
        let evidence =
            frontend.policy_evidence("only endpoints on this node are used, and there is none");
        let field = if kind == FrontendKind::ClusterIp { "internal" } else { "external" };
        return Some((
            Refusal {
                uncertain: None,
                rule: Rule::NoLocalEndpoints,
                cause: Cause {
                    kind: CauseKind::NoLocalEndpoints,
                    cite: Some(evidence.cite.clone()),
                    message: format!(
                        "{service} has endpoints, but none on this node, and its {field}TrafficPolicy is Local, so kube-proxy drops {address}"
                    ),
                },
                evidence: vec![evidence],
                rules: vec![refusal_rule(frontend, packet, "has no local endpoints", "DROP")],
            },
            kind,
        ));
    }
    None
}

fn refusal_rule(frontend: &Frontend<'_>, packet: &Packet, why: &str, target: &str) -> String {
    let protocol = names::protocol(packet.protocol);
    let name = names::service_port(frontend);
    match frontend.kind {
        FrontendKind::NodePort => format!(
            "-A KUBE-EXTERNAL-SERVICES -p {protocol} -m comment --comment \"{name} {why}\" -m addrtype --dst-type LOCAL -m {protocol} --dport {} -j {target}",
            frontend.port.node_port.unwrap_or_default()
        ),
        kind => format!(
            "-A {} -d {} -p {protocol} -m comment --comment \"{name} {why}\" -m {protocol} --dport {} -j {target}",
            if kind == FrontendKind::ClusterIp {
                "KUBE-SERVICES"
            } else {
                "KUBE-EXTERNAL-SERVICES"
            },
            host(packet.destination),
            frontend.port.port
        ),
    }
}

/// The rules that a packet hit on its way to the endpoints, as `iptables-save -t nat` prints them.
fn rules(place: Place<'_>, frontend: &Frontend<'_>, packet: &Packet, nat: &Nat<'_>) -> Vec<String> {
    let protocol = names::protocol(packet.protocol);
    let name = names::service_port(frontend);
    let comment = |text: &str| format!("-m comment --comment \"{text}\"");
    let svc = names::service_chain("KUBE-SVC-", frontend);
    let ext = names::service_chain("KUBE-EXT-", frontend);
    let to_address = |label: &str, chain: &str| {
        format!(
            "-A KUBE-SERVICES -d {} -p {protocol} {} -m {protocol} --dport {} -j {chain}",
            host(packet.destination),
            comment(&format!("{name} {label}")),
            frontend.port.port
        )
    };
    let mut rules = Vec::new();
    match frontend.kind {
        FrontendKind::ClusterIp => {
            let svl = names::service_chain("KUBE-SVL-", frontend);
            let chain = if frontend.local() { svl } else { svc };
            rules.push(to_address("cluster IP", &chain));
            if nat.mark.is_some() {
                let all = place.cluster.proxy.masquerade_all.value;
                let address = host(packet.destination);
                // Addresses are printed before devices.
                let to = match local_match(place, packet.source).filter(|_| !all) {
                    Some(local @ LocalMatch::Source(_)) => {
                        format!("! {} -d {address}", condition(&local))
                    }
                    Some(local) => format!("-d {address} ! {}", condition(&local)),
                    None => format!("-d {address}"),
                };
                rules.push(format!(
                    "-A {chain} {to} -p {protocol} {} -m {protocol} --dport {} -j KUBE-MARK-MASQ",
                    comment(&format!("{name} cluster IP")),
                    frontend.port.port
                ));
            }
            return rules;
        }
        FrontendKind::NodePort => rules.push(format!(
            "-A KUBE-NODEPORTS -p {protocol} {} -m {protocol} --dport {} -j {ext}",
            comment(&name),
            frontend.port.node_port.unwrap_or_default()
        )),
        FrontendKind::ExternalIp => rules.push(to_address("external IP", &ext)),
        FrontendKind::LoadBalancerIp if frontend.service.source_ranges.is_empty() => {
            rules.push(to_address("loadbalancer IP", &ext));
        }
        FrontendKind::LoadBalancerIp => {
            let firewall = names::service_chain("KUBE-FW-", frontend);
            let label = "loadbalancer IP";
            rules.push(to_address(label, &firewall));
            let ranges = &frontend.service.source_ranges;
            // The node that calls the address it has itself is let in by that address.
            let range = ranges.iter().find(|range| range.contains(&packet.source)).copied();
            if !source_refused(place, frontend, packet) {
                rules.push(format!(
                    "-A {firewall} -s {} {} -j {ext}",
                    range.unwrap_or_else(|| host(packet.source)),
                    comment(&format!("{name} {label}"))
                ));
            }
        }
    }
    if !nat.endpoints.is_empty() {
        rules.extend(external_rules(place, frontend, packet, nat));
    }
    rules
}

/// The rules of `KUBE-EXT-…` that a packet hit.
fn external_rules(
    place: Place<'_>,
    frontend: &Frontend<'_>,
    packet: &Packet,
    nat: &Nat<'_>,
) -> Vec<String> {
    let name = names::service_port(frontend);
    let svc = names::service_chain("KUBE-SVC-", frontend);
    let ext = names::service_chain("KUBE-EXT-", frontend);
    let comment =
        |text: &str| format!("-m comment --comment \"{text} for {name} external destinations\"");
    if !frontend.local() {
        return vec![
            format!("-A {ext} {} -j KUBE-MARK-MASQ", comment("masquerade traffic")),
            format!("-A {ext} -j {svc}"),
        ];
    }
    if nat.local {
        return vec![format!("-A {ext} -j {}", names::service_chain("KUBE-SVL-", frontend))];
    }
    if nat.mark.is_some() {
        let local = "-m addrtype --src-type LOCAL";
        return vec![
            format!("-A {ext} {} {local} -j KUBE-MARK-MASQ", comment("masquerade LOCAL traffic")),
            format!("-A {ext} {} {local} -j {svc}", comment("route LOCAL traffic")),
        ];
    }
    let local = local_match(place, packet.source);
    let local = local.as_ref().map(condition).unwrap_or_default();
    vec![format!("-A {ext} {local} {} -j {svc}", comment("pod traffic"))]
}

/// The local detector's condition as `iptables-save` prints it.
fn condition(local: &LocalMatch<'_>) -> String {
    match local {
        LocalMatch::Source(range) => format!("-s {range}"),
        LocalMatch::Device(name) => format!("-i {name}"),
        LocalMatch::Devices(prefix) => format!("-i {prefix}+"),
    }
}

/// An address as `iptables-save` prints it.
fn host(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

/// The rules of the endpoint that was picked (`writeServiceToEndpointRules`).
fn endpoint_rules(picked: &Picked<'_>) -> Vec<String> {
    let Some(endpoint) = picked.endpoint() else { return Vec::new() };
    let frontend = picked.frontend;
    let protocol = names::protocol(frontend.port.protocol);
    let name = names::service_port(frontend);
    let to = address_and_port(endpoint.ip, Some(endpoint.port));
    let sep = names::endpoint_chain(frontend, endpoint);
    let chain = if picked.local { "KUBE-SVL-" } else { "KUBE-SVC-" };
    let svc = names::service_chain(chain, frontend);
    let comment = format!("-m comment --comment \"{name} -> {to}\"");
    let mask = if endpoint.ip.is_ipv4() {
        "255.255.255.255"
    } else {
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    };
    let mut rules = Vec::new();
    if let Some(seconds) = frontend.service.session_affinity {
        rules.push(format!(
            "-A {svc} {comment} -m recent --rcheck --seconds {seconds} --reap --name {sep} --mask {mask} --rsource -j {sep}"
        ));
    }
    let left = picked.endpoints.len() - picked.chosen;
    let random = if left > 1 {
        format!(" -m statistic --mode random --probability {:.11}", probability(left))
    } else {
        String::new()
    };
    rules.push(format!("-A {svc} {comment}{random} -j {sep}"));
    if picked.hairpin {
        rules.push(format!(
            "-A {sep} -s {} -m comment --comment \"{name}\" -j KUBE-MARK-MASQ",
            host(endpoint.ip)
        ));
    }
    let recent = match frontend.service.session_affinity {
        Some(_) => format!(" -m recent --set --name {sep} --mask {mask} --rsource"),
        None => String::new(),
    };
    rules.push(format!(
        "-A {sep} -p {protocol} -m comment --comment \"{name}\"{recent} -m {protocol} -j DNAT --to-destination {to}"
    ));
    rules
}

/// One of so many, as the kernel keeps it and `iptables-save` prints it: in 31 bits
/// (`libxt_statistic.c`).
fn probability(of: usize) -> f64 {
    const UNIT: f64 = 2_147_483_648.0;
    #[expect(clippy::cast_precision_loss, reason = "endpoints are not that many")]
    let exact = 1.0 / of as f64;
    // kube-proxy writes ten digits.
    let written = (exact * 1e10).round() / 1e10;
    (written * UNIT).round() / UNIT
}
