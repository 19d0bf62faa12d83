//! kube-proxy's rules in nftables mode, as `nft list` prints them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use super::{ProxyWords, Rewrite, RuleLine, names};
use crate::cluster::{Backend, Cluster};
use crate::datapath::frontend::Frontend;
use crate::datapath::netfilter::proxy::{LocalMatch, Place, local_match};
use crate::datapath::{FrontendKind, FrontendRef, Refused};
use crate::net::{Family, InFamily, Packet, address_and_port};
use crate::words::Phrase;
use crate::words::phrase::phrase;

const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

pub(super) struct Nftables;

impl ProxyWords for Nftables {
    fn no_loopback(&self) -> Phrase {
        phrase![
            "which nftables mode does not answer on loopback addresses (",
            IpNet::V4(LOOPBACK),
            ", ",
            IpAddr::V6(Ipv6Addr::LOCALHOST),
            ")"
        ]
    }

    fn rewrites(&self, rewrite: &Rewrite<'_>) -> Vec<RuleLine> {
        let mut rules = to_endpoints(rewrite);
        rules.extend(to_endpoint(rewrite));
        rules
    }

    fn see_rewrite(&self, packet: &Packet, rules: &[RuleLine]) -> String {
        let ip = family(packet.destination);
        let mut chains: Vec<&str> = rules.iter().filter_map(|rule| rule.chain.as_deref()).collect();
        chains.dedup();
        let lists: Vec<String> = chains
            .iter()
            .map(|chain| format!("nft list chain {ip} kube-proxy '{chain}'"))
            .collect();
        if lists.is_empty() { table(packet) } else { lists.join("; ") }
    }

    fn refuses(&self, cluster: &Cluster, packet: &Packet, refused: &Refused) -> Vec<String> {
        let of = |at: &FrontendRef| Frontend::of(cluster, *at);
        match refused {
            Refused::SourceRange(at) => of(at).map(|frontend| firewall(&frontend, packet)),
            Refused::NoEndpoints(at) => {
                of(at).map(|frontend| vec![no_endpoint(&frontend, packet, "goto reject-chain")])
            }
            Refused::NoLocalEndpoints(at) => {
                of(at).map(|frontend| vec![no_endpoint(&frontend, packet, "drop")])
            }
            Refused::NoSuchPort(_) => Some(vec![format!(
                "chain cluster-ips-check {{ {} daddr @cluster-ips reject comment \"Reject traffic to invalid ports of ClusterIPs\" }}",
                family(packet.destination)
            )]),
            Refused::Unallocated(range) => {
                let range = range.and_then(|index| cluster.service_ranges.get(index));
                let range =
                    range.map_or_else(|| "…".to_owned(), |(range, _)| range.to_string());
                Some(vec![format!(
                    "chain cluster-ips-check {{ {} daddr {{ {range} }} drop comment \"Drop traffic to unallocated ClusterIPs\" }}",
                    family(packet.destination)
                )])
            }
            Refused::EmptyServer { .. } | Refused::NoBackend { .. } => None,
        }
        .unwrap_or_default()
    }

    fn see_refusal(&self, packet: &Packet, _: &Refused) -> String {
        table(packet)
    }

    fn masquerades(&self) -> &'static str {
        "chain masquerading { masquerade fully-random }"
    }

    fn see_masquerade(&self, packet: &Packet) -> String {
        format!("nft list chain {} kube-proxy masquerading", family(packet.source))
    }
}

fn family(address: IpAddr) -> &'static str {
    match address.family() {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

fn table(packet: &Packet) -> String {
    format!("nft list table {} kube-proxy", family(packet.destination))
}

/// The key of a service's address in the maps.
fn key(frontend: &Frontend<'_>, packet: &Packet) -> String {
    let protocol = names::protocol(packet.protocol);
    match frontend.kind() {
        FrontendKind::NodePort => {
            format!("{protocol} . {}", frontend.port.node_port.unwrap_or_default())
        }
        _ => format!("{} . {protocol} . {}", packet.destination, frontend.port.port),
    }
}

/// A rule of one of the service's chains.
fn in_chain(chain: &str, rule: &str) -> RuleLine {
    RuleLine::of(chain, format!("chain {chain} {{ {rule} }}"))
}

/// The rules that a packet hit on its way to the endpoints.
fn to_endpoints(rewrite: &Rewrite<'_>) -> Vec<RuleLine> {
    let Rewrite { place, packet, frontend, nat, .. } = rewrite;
    let ip = family(packet.destination);
    let external = names::nft_service_chain("external-", frontend);
    let policy = if nat.local { "local-" } else { "service-" };
    let policy = names::nft_service_chain(policy, frontend);
    let (map, first) = match frontend.kind() {
        FrontendKind::NodePort => ("service-nodeports", &external),
        FrontendKind::ClusterIp => ("service-ips", &policy),
        FrontendKind::ExternalIp | FrontendKind::LoadBalancerIp => ("service-ips", &external),
    };
    let entry = format!("map {map} {{ {} : goto {first} }}", key(frontend, packet));
    let mut rules = vec![RuleLine::shared(entry)];
    if frontend.kind() == FrontendKind::ClusterIp {
        if nat.mark.is_some() {
            let all = place.cluster.proxy.masquerade_all.value;
            let unless = local_condition(*place, packet, " !=").filter(|_| !all);
            let unless = unless.map_or_else(String::new, |local| format!("{local} "));
            let rule = format!(
                "{ip} daddr {} {} dport {} {unless}jump mark-for-masquerade",
                packet.destination,
                names::protocol(packet.protocol),
                frontend.port.port
            );
            rules.push(in_chain(first, &rule));
        }
        return rules;
    }
    if !frontend.local() {
        rules.push(in_chain(&external, "jump mark-for-masquerade"));
    } else if nat.mark.is_some() {
        rules.push(in_chain(
            &external,
            "fib saddr type local jump mark-for-masquerade comment \"masquerade local traffic\"",
        ));
        rules.push(in_chain(
            &external,
            &format!("fib saddr type local goto {policy} comment \"short-circuit local traffic\""),
        ));
        return rules;
    }
    if nat.endpoints.is_empty() {
        return rules;
    }
    let short = local_condition(*place, packet, "").filter(|_| frontend.local() && !nat.local);
    let rule = match short {
        Some(local) => format!("{local} goto {policy} comment \"short-circuit pod traffic\""),
        None => format!("goto {policy}"),
    };
    rules.push(in_chain(&external, &rule));
    rules
}

/// The local detector's condition as `nft list` prints it, or with ` !=` its opposite.
fn local_condition(place: Place<'_>, packet: &Packet, is: &str) -> Option<String> {
    Some(match local_match(place, packet.source)? {
        LocalMatch::Source(range) => format!("{} saddr{is} {range}", family(packet.source)),
        LocalMatch::Device(name) => format!("iif{is} \"{name}\""),
        LocalMatch::Devices(prefix) => format!("iif{is} \"{prefix}*\""),
    })
}

/// The rules of the endpoint that was picked.
fn to_endpoint(rewrite: &Rewrite<'_>) -> Vec<RuleLine> {
    let Rewrite { dnat, frontend, nat, .. } = rewrite;
    let endpoint = dnat.endpoint;
    let ip = family(endpoint.ip);
    let chain = if dnat.local { "local-" } else { "service-" };
    let chain = names::nft_service_chain(chain, frontend);
    let own = names::nft_endpoint_chain(frontend, endpoint);
    let affine = frontend.service.session_affinity.is_some();
    let affinity = own.replacen("endpoint-", "affinity-", 1);
    let mut rules = Vec::new();
    if affine {
        rules.push(in_chain(&chain, &format!("{ip} saddr @{affinity} goto {own}")));
    }
    let ways: Vec<String> = nat
        .endpoints
        .iter()
        .enumerate()
        .map(|(at, other)| {
            format!("{at} : goto {}", names::nft_endpoint_chain(frontend, Backend::of(other)))
        })
        .collect();
    let random = format!("numgen random mod {} vmap {{ {} }}", ways.len(), ways.join(", "));
    rules.push(in_chain(&chain, &random));
    if dnat.hairpin {
        rules.push(in_chain(&own, &format!("{ip} saddr {} jump mark-for-masquerade", endpoint.ip)));
    }
    if affine {
        rules.push(in_chain(&own, &format!("update @{affinity} {{ {ip} saddr }}")));
    }
    let rewrite = format!(
        "meta l4proto {} dnat to {}",
        names::protocol(frontend.port.protocol),
        address_and_port(endpoint.ip, Some(endpoint.port))
    );
    rules.push(in_chain(&own, &rewrite));
    rules
}

/// The rules of `firewall-…`.
fn firewall(frontend: &Frontend<'_>, packet: &Packet) -> Vec<String> {
    let chain = names::nft_service_chain("firewall-", frontend);
    let ranges: Vec<String> =
        frontend.service.source_ranges.iter().map(ToString::to_string).collect();
    vec![
        format!(
            "map firewall-ips {{ {} comment \"{}\" : goto {chain} }}",
            key(frontend, packet),
            names::service_port(frontend)
        ),
        format!(
            "chain {chain} {{ {} saddr != {{ {} }} drop }}",
            family(packet.source),
            ranges.join(", ")
        ),
    ]
}

/// The entry of a service without endpoints.
fn no_endpoint(frontend: &Frontend<'_>, packet: &Packet, verdict: &str) -> String {
    let map = match frontend.kind() {
        FrontendKind::NodePort => "no-endpoint-nodeports",
        _ => "no-endpoint-services",
    };
    let name = names::service_port(frontend);
    format!("map {map} {{ {} comment \"{name}\" : {verdict} }}", key(frontend, packet))
}
