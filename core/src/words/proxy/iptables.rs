//! kube-proxy's rules in iptables mode, as `iptables-save` prints them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{ProxyWords, Rewrite, RuleLine, names};
use crate::cluster::Cluster;
use crate::datapath::frontend::Frontend;
use crate::datapath::netfilter::proxy::iptables::source_refused;
use crate::datapath::netfilter::proxy::{LocalMatch, local_match};
use crate::datapath::{FrontendKind, FrontendRef, Refused};
use crate::net::{Family, InFamily, Packet, address_and_port};
use crate::words::Phrase;
use crate::words::commands::save;

pub(super) struct Iptables;

impl ProxyWords for Iptables {
    fn no_loopback(&self) -> Phrase {
        "which iptables mode answers on loopback for IPv4 only".into()
    }

    fn rewrites(&self, rewrite: &Rewrite<'_>) -> Vec<RuleLine> {
        let mut rules = to_endpoints(rewrite);
        rules.extend(to_endpoint(rewrite));
        rules
    }

    fn see_rewrite(&self, packet: &Packet, rules: &[RuleLine]) -> String {
        let mut chains: Vec<&str> = rules.iter().filter_map(|rule| rule.chain.as_deref()).collect();
        chains.dedup();
        if chains.is_empty() {
            save(packet, "nat", "KUBE-")
        } else {
            save(packet, "nat", &format!("-E '{}'", chains.join("|")))
        }
    }

    fn refuses(&self, cluster: &Cluster, packet: &Packet, refused: &Refused) -> Vec<String> {
        let of = |at: &FrontendRef| Frontend::of(cluster, *at);
        let rule = match refused {
            Refused::SourceRange(at) => of(at).map(|frontend| {
                format!(
                    "-A KUBE-PROXY-FIREWALL -d {} -p {} -m comment --comment \"{} traffic not accepted by {}\" -m tcp --dport {} -j DROP",
                    host(packet.destination),
                    names::protocol(packet.protocol),
                    names::service_port(&frontend),
                    names::service_chain("KUBE-FW-", &frontend),
                    frontend.port.port,
                )
            }),
            Refused::NoEndpoints(at) => {
                let reject = match packet.destination.family() {
                    Family::V4 => "REJECT --reject-with icmp-port-unreachable",
                    Family::V6 => "REJECT --reject-with icmp6-port-unreachable",
                };
                of(at).map(|frontend| refusal(&frontend, packet, "has no endpoints", reject))
            }
            Refused::NoLocalEndpoints(at) => {
                of(at).map(|frontend| refusal(&frontend, packet, "has no local endpoints", "DROP"))
            }
            _ => None,
        };
        rule.into_iter().collect()
    }

    fn see_refusal(&self, packet: &Packet, _: &Refused) -> String {
        save(packet, "filter", "KUBE-")
    }
}

fn refusal(frontend: &Frontend<'_>, packet: &Packet, why: &str, target: &str) -> String {
    let protocol = names::protocol(packet.protocol);
    let name = names::service_port(frontend);
    match frontend.kind() {
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

/// The rules that a packet hit on its way to the endpoints.
fn to_endpoints(rewrite: &Rewrite<'_>) -> Vec<RuleLine> {
    let Rewrite { place, packet, frontend, nat, .. } = rewrite;
    let protocol = names::protocol(packet.protocol);
    let name = names::service_port(frontend);
    let comment = |text: &str| format!("-m comment --comment \"{text}\"");
    let ext = names::service_chain("KUBE-EXT-", frontend);
    let to_address = |label: &str, chain: &str| {
        RuleLine::shared(format!(
            "-A KUBE-SERVICES -d {} -p {protocol} {} -m {protocol} --dport {} -j {chain}",
            host(packet.destination),
            comment(&format!("{name} {label}")),
            frontend.port.port
        ))
    };
    let mut rules = Vec::new();
    match frontend.kind() {
        FrontendKind::ClusterIp => {
            let prefix = if frontend.local() { "KUBE-SVL-" } else { "KUBE-SVC-" };
            let chain = names::service_chain(prefix, frontend);
            rules.push(to_address("cluster IP", &chain));
            if nat.mark.is_some() {
                let all = place.cluster.proxy.masquerade_all.value;
                let address = host(packet.destination);
                // Addresses are printed before devices.
                let to = match local_match(*place, packet.source).filter(|_| !all) {
                    Some(local @ LocalMatch::Source(_)) => {
                        format!("! {} -d {address}", condition(&local))
                    }
                    Some(local) => format!("-d {address} ! {}", condition(&local)),
                    None => format!("-d {address}"),
                };
                let text = format!(
                    "-A {chain} {to} -p {protocol} {} -m {protocol} --dport {} -j KUBE-MARK-MASQ",
                    comment(&format!("{name} cluster IP")),
                    frontend.port.port
                );
                rules.push(RuleLine::of(&chain, text));
            }
            return rules;
        }
        FrontendKind::NodePort => rules.push(RuleLine::shared(format!(
            "-A KUBE-NODEPORTS -p {protocol} {} -m {protocol} --dport {} -j {ext}",
            comment(&name),
            frontend.port.node_port.unwrap_or_default()
        ))),
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
            if !source_refused(*place, frontend, packet) {
                let text = format!(
                    "-A {firewall} -s {} {} -j {ext}",
                    range.unwrap_or_else(|| host(packet.source)),
                    comment(&format!("{name} {label}"))
                );
                rules.push(RuleLine::of(&firewall, text));
            }
        }
    }
    if !nat.endpoints.is_empty() {
        rules.extend(external(rewrite).into_iter().map(|text| RuleLine::of(&ext, text)));
    }
    rules
}

/// The rules of `KUBE-EXT-…` that a packet hit.
fn external(rewrite: &Rewrite<'_>) -> Vec<String> {
    let Rewrite { place, packet, frontend, nat, .. } = rewrite;
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
    let local = local_match(*place, packet.source);
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
fn to_endpoint(rewrite: &Rewrite<'_>) -> Vec<RuleLine> {
    let Rewrite { dnat, frontend, .. } = rewrite;
    let endpoint = dnat.endpoint;
    let protocol = names::protocol(frontend.port.protocol);
    let name = names::service_port(frontend);
    let to = address_and_port(endpoint.ip, Some(endpoint.port));
    let sep = names::endpoint_chain(frontend, endpoint);
    let chain = if dnat.local { "KUBE-SVL-" } else { "KUBE-SVC-" };
    let svc = names::service_chain(chain, frontend);
    let comment = format!("-m comment --comment \"{name} -> {to}\"");
    let mask = match endpoint.ip.family() {
        Family::V4 => "255.255.255.255",
        Family::V6 => "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    };
    let mut rules = Vec::new();
    if let Some(seconds) = frontend.service.session_affinity {
        let text = format!(
            "-A {svc} {comment} -m recent --rcheck --seconds {seconds} --reap --name {sep} --mask {mask} --rsource -j {sep}"
        );
        rules.push(RuleLine::of(&svc, text));
    }
    let left = dnat.of - dnat.chosen;
    let random = if left > 1 {
        format!(" -m statistic --mode random --probability {:.11}", probability(left))
    } else {
        String::new()
    };
    rules.push(RuleLine::of(&svc, format!("-A {svc} {comment}{random} -j {sep}")));
    if dnat.hairpin {
        let text = format!(
            "-A {sep} -s {} -m comment --comment \"{name}\" -j KUBE-MARK-MASQ",
            host(endpoint.ip)
        );
        rules.push(RuleLine::of(&sep, text));
    }
    let recent = match frontend.service.session_affinity {
        Some(_) => format!(" -m recent --set --name {sep} --mask {mask} --rsource"),
        None => String::new(),
    };
    let text = format!(
        "-A {sep} -p {protocol} -m comment --comment \"{name}\"{recent} -m {protocol} -j DNAT --to-destination {to}"
    );
    rules.push(RuleLine::of(&sep, text));
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
