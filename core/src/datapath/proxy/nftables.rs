//! kube-proxy in nftables mode (`pkg/proxy/nftables/proxier.go`): the decisions of iptables mode,
//! with its filter chains before Calico's.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::evidence::Evidence;
use super::super::step::{Cause, CauseKind, Hook, Rule};
use super::iptables::{choose, refuse};
use super::{
    Frontend, FrontendKind, LocalMatch, Nat, Picked, Place, Refusal, ServiceProxy, frontend,
    local_match, names,
};
use crate::cluster::{Cluster, ServiceField};
use crate::datapath::route::Device;
use crate::net::{Family, InFamily, Packet, address_and_port};

/// The first releases registered these chains at Calico's own priority.
const OLD_PRIORITY: &str = "kube-proxy's chains come before Calico's in current releases; in the first ones with nftables a pod's egress policy may be asked, and drop the packet, before";

/// Only the API server's `ServiceCIDR` tells kube-proxy.
const GUESSED_RANGE: &str = "the text has no ServiceCIDR: that the address is a service's is a guess by the ClusterIPs around it; where kube-proxy knows no such range, the packet goes on to the default gateway";

pub(super) struct Nftables;

impl ServiceProxy for Nftables {
    fn nat<'a>(&self, place: Place<'a>, packet: &Packet) -> Nat<'a> {
        let mut nat = choose(place, packet);
        if let Some(frontend) = &nat.frontend {
            nat.rules = rules(place, frontend, packet, &nat);
        }
        nat
    }

    fn filter(&self, place: Place<'_>, hook: Hook, packet: &Packet) -> Option<Refusal> {
        let Some(frontend) = frontend(place.cluster, place.node, packet) else {
            // cluster-ips-check is in filter-forward and filter-output-post-dnat.
            let asked = hook != Hook::Input;
            return asked
                .then(|| no_such_port(place, packet).or_else(|| unallocated(place, packet)))
                .flatten();
        };
        let (mut refusal, kind) = refuse(place, &frontend, packet)?;
        // firewall-check is in filter-prerouting and filter-output only.
        if refusal.rule == Rule::SourceRange && hook != Hook::Output {
            return None;
        }
        refusal.rules = refusal_rules(&frontend, packet, &refusal);
        if matches!(place.from, Some(Device::Pod(_))) {
            refusal.uncertain = Some(OLD_PRIORITY);
        }
        // no-endpoint-nodeports is in filter-input only, no-endpoint-services everywhere.
        (kind != FrontendKind::NodePort || hook == Hook::Input).then_some(refusal)
    }

    /// firewall-check, whose hook comes before all of Calico's policies for pods.
    fn prerouting(&self, place: Place<'_>, packet: &Packet) -> Option<Refusal> {
        let frontend = frontend(place.cluster, place.node, packet)?;
        let (mut refusal, _) = refuse(place, &frontend, packet)?;
        refusal.rules = refusal_rules(&frontend, packet, &refusal);
        (refusal.rule == Rule::SourceRange).then_some(refusal)
    }

    fn filters_before_calico(&self) -> bool {
        true
    }

    fn endpoint_rules(&self, picked: &Picked<'_>) -> Vec<String> {
        let Some(endpoint) = picked.endpoint() else { return Vec::new() };
        let frontend = picked.frontend;
        let ip = family(endpoint.ip);
        let chain = if picked.local { "local-" } else { "service-" };
        let chain = names::nft_service_chain(chain, frontend);
        let own = names::nft_endpoint_chain(frontend, endpoint);
        let mut rules = Vec::new();
        let affinity = own.replacen("endpoint-", "affinity-", 1);
        if frontend.service.session_affinity.is_some() {
            rules.push(format!("chain {chain} {{ {ip} saddr @{affinity} goto {own} }}"));
        }
        let ways: Vec<String> = picked
            .endpoints
            .iter()
            .enumerate()
            .map(|(at, other)| {
                format!("{at} : goto {}", names::nft_endpoint_chain(frontend, other))
            })
            .collect();
        rules.push(format!(
            "chain {chain} {{ numgen random mod {} vmap {{ {} }} }}",
            ways.len(),
            ways.join(", ")
        ));
        if picked.hairpin {
            rules.push(format!(
                "chain {own} {{ {ip} saddr {} jump mark-for-masquerade }}",
                endpoint.ip
            ));
        }
        if frontend.service.session_affinity.is_some() {
            rules.push(format!("chain {own} {{ update @{affinity} {{ {ip} saddr }} }}"));
        }
        rules.push(format!(
            "chain {own} {{ meta l4proto {} dnat to {} }}",
            names::protocol(frontend.port.protocol),
            address_and_port(endpoint.ip, Some(endpoint.port))
        ));
        rules
    }

    fn masquerade_rule(&self) -> &'static str {
        "chain masquerading { masquerade fully-random }"
    }
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ip" } else { "ip6" }
}

/// The key of a service's address in the maps.
fn key(frontend: &Frontend<'_>, packet: &Packet) -> String {
    let protocol = names::protocol(packet.protocol);
    match frontend.kind {
        FrontendKind::NodePort => {
            format!("{protocol} . {}", frontend.port.node_port.unwrap_or_default())
        }
        _ => format!("{} . {protocol} . {}", packet.destination, frontend.port.port),
    }
}

/// The rules that a packet hit on its way to the endpoints, as `nft list` prints them.
fn rules(place: Place<'_>, frontend: &Frontend<'_>, packet: &Packet, nat: &Nat<'_>) -> Vec<String> {
    let ip = family(packet.destination);
    let external = names::nft_service_chain("external-", frontend);
    let policy = if nat.local { "local-" } else { "service-" };
    let policy = names::nft_service_chain(policy, frontend);
    let (map, first) = match frontend.kind {
        FrontendKind::NodePort => ("service-nodeports", &external),
        FrontendKind::ClusterIp => ("service-ips", &policy),
        FrontendKind::ExternalIp | FrontendKind::LoadBalancerIp => ("service-ips", &external),
    };
    let mut rules = vec![format!("map {map} {{ {} : goto {first} }}", key(frontend, packet))];
    if frontend.kind == FrontendKind::ClusterIp {
        if nat.mark.is_some() {
            let all = place.cluster.proxy.masquerade_all.value;
            let unless = local_condition(place, packet, " !=").filter(|_| !all);
            let unless = unless.map_or_else(String::new, |local| format!("{local} "));
            rules.push(format!(
                "chain {first} {{ {ip} daddr {} {} dport {} {unless}jump mark-for-masquerade }}",
                packet.destination,
                names::protocol(packet.protocol),
                frontend.port.port
            ));
        }
        return rules;
    }
    if !frontend.local() {
        rules.push(format!("chain {external} {{ jump mark-for-masquerade }}"));
    } else if nat.mark.is_some() {
        rules.push(format!(
            "chain {external} {{ fib saddr type local jump mark-for-masquerade comment \"masquerade local traffic\" }}"
        ));
        rules.push(format!(
            "chain {external} {{ fib saddr type local goto {policy} comment \"short-circuit local traffic\" }}"
        ));
        return rules;
    }
    if nat.endpoints.is_empty() {
        return rules;
    }
    let short = local_condition(place, packet, "").filter(|_| frontend.local() && !nat.local);
    rules.push(match short {
        Some(local) => format!(
            "chain {external} {{ {local} goto {policy} comment \"short-circuit pod traffic\" }}"
        ),
        None => format!("chain {external} {{ goto {policy} }}"),
    });
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

fn refusal_rules(frontend: &Frontend<'_>, packet: &Packet, refusal: &Refusal) -> Vec<String> {
    let key = key(frontend, packet);
    let name = names::service_port(frontend);
    if refusal.rule == Rule::SourceRange {
        let chain = names::nft_service_chain("firewall-", frontend);
        let ranges: Vec<String> =
            frontend.service.source_ranges.iter().map(ToString::to_string).collect();
        return vec![
            format!("map firewall-ips {{ {key} comment \"{name}\" : goto {chain} }}"),
            format!(
                "chain {chain} {{ {} saddr != {{ {} }} drop }}",
                family(packet.source),
                ranges.join(", ")
            ),
        ];
    }
    let map = match frontend.kind {
        FrontendKind::NodePort => "no-endpoint-nodeports",
        _ => "no-endpoint-services",
    };
    let verdict = if refusal.rule == Rule::NoEndpoints { "goto reject-chain" } else { "drop" };
    vec![format!("map {map} {{ {key} comment \"{name}\" : {verdict} }}")]
}

/// `cluster-ips-check`: a ClusterIP, but no port of it.
fn no_such_port(place: Place<'_>, packet: &Packet) -> Option<Refusal> {
    let services = place.cluster.service_by_address.get(&packet.destination)?;
    let service = services
        .iter()
        .filter_map(|id| place.cluster.service(*id))
        .find(|service| service.cluster_ips.contains(&packet.destination))?;
    let message = format!(
        "{} is the ClusterIP of {}, which has no port {}: kube-proxy rejects it",
        packet.destination,
        service.cite.object,
        packet.destination_port.unwrap_or_default()
    );
    let cite = service.field(ServiceField::Ports);
    Some(Refusal {
        uncertain: None,
        rule: Rule::NoEndpoints,
        evidence: vec![Evidence::of(cite.clone(), &message)],
        cause: Cause { kind: CauseKind::NoSuchPort, cite: Some(cite), message },
        rules: vec![format!(
            "chain cluster-ips-check {{ {} daddr @cluster-ips reject comment \"Reject traffic to invalid ports of ClusterIPs\" }}",
            family(packet.destination)
        )],
    })
}

/// The end of `cluster-ips-check`: an address of the service CIDR that no service has.
fn unallocated(place: Place<'_>, packet: &Packet) -> Option<Refusal> {
    let (cluster, to) = (place.cluster, packet.destination);
    if cluster.is_service_address(to) {
        return None;
    }
    let known = cluster.service_ranges.iter().find(|(range, _)| range.contains(&to));
    if known.is_none() && !is_near_services(cluster, to) {
        return None;
    }
    let cite = known.map(|(_, cite)| cite.clone());
    let message = match known {
        Some((range, _)) => {
            format!(
                "{to} is in the service CIDR {range}, and no service has it: kube-proxy drops it"
            )
        }
        None => format!(
            "{to} is near the services' addresses, and no service has it: it is taken for a free ClusterIP, which kube-proxy drops"
        ),
    };
    let range = known.map_or_else(|| "…".to_owned(), |(range, _)| range.to_string());
    Some(Refusal {
        uncertain: known.is_none().then_some(GUESSED_RANGE),
        rule: Rule::NoRoute,
        evidence: cite
            .iter()
            .map(|cite| Evidence::of(cite.clone(), "ClusterIPs are taken from it"))
            .collect(),
        cause: Cause { kind: CauseKind::NoRoute, cite, message },
        rules: vec![format!(
            "chain cluster-ips-check {{ {} daddr {{ {range} }} drop comment \"Drop traffic to unallocated ClusterIPs\" }}",
            family(to)
        )],
    })
}

/// Without a `ServiceCIDR` of its family: whether `to` is in the neighbourhood of `ClusterIP`s, as
/// far as nobody else is known to be there.
fn is_near_services(cluster: &Cluster, to: IpAddr) -> bool {
    let family = to.family();
    let told = cluster.service_ranges.iter().any(|(range, _)| range.family() == family);
    let taken = cluster.pool_of(to).is_some()
        || cluster.node_by_address.contains_key(&to)
        || cluster.pod_by_address.contains_key(&to)
        || cluster.clients.iter().any(|client| client.ip == to)
        || cluster.balancers.iter().any(|balancer| balancer.ip == to)
        || cluster.routes.longest(to).is_some()
        || cluster.subnets.iter().any(|subnet| subnet.contains(&to));
    // Common ranges are this large or larger.
    let length = if family == Family::V4 { 16 } else { 112 };
    let near = |ip: &IpAddr| IpNet::new(*ip, length).is_ok_and(|range| range.contains(&to));
    !told && !taken && cluster.services.iter().any(|service| service.cluster_ips.iter().any(near))
}
