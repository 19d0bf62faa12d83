//! kube-proxy in nftables mode (`pkg/proxy/nftables/proxier.go`): the decisions of iptables mode,
//! with its filter chains before Calico's.

use std::net::IpAddr;

use ipnet::IpNet;

use super::iptables::{choose, refuse};
use super::{Nat, Place, Refusal, ServiceProxy, frontend};
use crate::cluster::{Cluster, ServiceId};
use crate::datapath::evidence::Evidence;
use crate::datapath::fact::{Device, Doubt, FrontendKind, Refused, Rule};
use crate::datapath::step::Hook;
use crate::net::{Family, InFamily, Packet};

pub(crate) struct Nftables;

impl ServiceProxy for Nftables {
    fn nat<'a>(&self, place: Place<'a>, packet: &Packet) -> Nat<'a> {
        choose(place, packet)
    }

    fn filter(&self, place: Place<'_>, hook: Hook, packet: &Packet) -> Option<Refusal> {
        let Some(frontend) = frontend(place.cluster, place.node, packet) else {
            // cluster-ips-check is in filter-forward and filter-output-post-dnat.
            let asked = hook != Hook::Input;
            return asked
                .then(|| no_such_port(place, packet).or_else(|| unallocated(place, packet)))
                .flatten();
        };
        let mut refusal = refuse(place, &frontend, packet)?;
        // firewall-check is in filter-prerouting and filter-output only.
        if refusal.refused.rule() == Rule::SourceRange && hook != Hook::Output {
            return None;
        }
        if matches!(place.from, Some(Device::Pod(_))) {
            refusal.doubt = Some(Doubt::NftablesPriority);
        }
        // no-endpoint-nodeports is in filter-input only, no-endpoint-services everywhere.
        (frontend.kind() != FrontendKind::NodePort || hook == Hook::Input).then_some(refusal)
    }

    /// firewall-check, whose hook comes before all of Calico's policies for pods.
    fn prerouting(&self, place: Place<'_>, packet: &Packet) -> Option<Refusal> {
        let frontend = frontend(place.cluster, place.node, packet)?;
        let refusal = refuse(place, &frontend, packet)?;
        (refusal.refused.rule() == Rule::SourceRange).then_some(refusal)
    }

    fn filters_before_calico(&self) -> bool {
        true
    }
}

/// `cluster-ips-check`: a ClusterIP, but no port of it.
fn no_such_port(place: Place<'_>, packet: &Packet) -> Option<Refusal> {
    let services = place.cluster.service_by_address.get(&packet.destination)?;
    let has_it = |id: &ServiceId| {
        let service = place.cluster.service(*id);
        service.is_some_and(|service| service.cluster_ips.contains(&packet.destination))
    };
    let service = services.iter().copied().find(has_it)?;
    let evidence = Some(Evidence::NoSuchPort(service));
    Some(Refusal { refused: Refused::NoSuchPort(Some(service)), evidence, doubt: None })
}

/// The end of `cluster-ips-check`: an address of the service CIDR that no service has.
fn unallocated(place: Place<'_>, packet: &Packet) -> Option<Refusal> {
    let (cluster, to) = (place.cluster, packet.destination);
    if cluster.is_service_address(to) {
        return None;
    }
    let known = cluster.service_ranges.iter().position(|(range, _)| range.contains(&to));
    if known.is_none() && !is_near_services(cluster, to) {
        return None;
    }
    Some(Refusal {
        refused: Refused::Unallocated(known),
        evidence: known.map(Evidence::ServiceRange),
        doubt: known.is_none().then_some(Doubt::GuessedRange),
    })
}

/// Without a `ServiceCIDR` of its family: whether `to` is in the neighbourhood of `ClusterIP`s, as
/// far as nobody else is known to be there.
fn is_near_services(cluster: &Cluster, to: IpAddr) -> bool {
    let family = to.family();
    let told = cluster.service_ranges.iter().any(|(range, _)| range.family() == family);
    let taken = cluster.is_pod_range(to)
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
