//! kube-proxy in iptables mode (`pkg/proxy/iptables/proxier.go syncProxyRules`).

use super::{Detected, Nat, Place, Refusal, ServiceProxy, cluster_ip_mark, detect, frontend};
use crate::datapath::evidence::{Evidence, PolicyEffect};
use crate::datapath::fact::{Doubt, FrontendKind, Refused, Rule};
use crate::datapath::frontend::{Frontend, frontend_where, usable};
use crate::datapath::route::is_local_address;
use crate::datapath::step::Hook;
use crate::net::Packet;

pub(crate) struct Iptables;

impl ServiceProxy for Iptables {
    fn nat<'a>(&self, place: Place<'a>, packet: &Packet) -> Nat<'a> {
        choose(place, packet)
    }

    fn filter(&self, place: Place<'_>, hook: Hook, packet: &Packet) -> Option<Refusal> {
        // `nodePortAddresses` restricts nat; the filter rules match every local address.
        let local = is_local_address(place.cluster, place.node, packet.destination);
        let frontend = frontend_where(place.cluster, packet, local)?;
        let refusal = refuse(place, &frontend, packet)?;
        // KUBE-EXTERNAL-SERVICES is not hooked into OUTPUT, KUBE-SERVICES not into INPUT.
        let hooked = match (frontend.kind(), refusal.refused.rule()) {
            (_, Rule::SourceRange) => true,
            (FrontendKind::ClusterIp, _) => hook != Hook::Input,
            (_, _) => hook != Hook::Output,
        };
        hooked.then_some(refusal)
    }

    fn forwards_marked(&self) -> bool {
        true
    }

    fn loopback(&self) -> Result<(), Option<Doubt>> {
        Ok(())
    }
}

/// `KUBE-SERVICES` and the chains below it; nftables mode decides the same.
pub(crate) fn choose<'a>(place: Place<'a>, packet: &Packet) -> Nat<'a> {
    let mut nat = Nat::default();
    let Some(frontend) = frontend(place.cluster, place.node, packet) else { return nat };
    nat.frontend = Some(frontend);
    let usable = usable(place.cluster, place.node, frontend.port, packet.family());
    let hint = usable.hint.map(|hint| Evidence::Hinted(frontend.at.service, hint));
    if source_refused(place, &frontend, packet) {
        return nat;
    }
    if frontend.kind() == FrontendKind::ClusterIp {
        nat.local = frontend.local();
        nat.endpoints = if nat.local { usable.local } else { usable.cluster };
        nat.evidence = hint.filter(|_| !nat.local);
        if !nat.endpoints.is_empty() {
            nat.mark = cluster_ip_mark(place, packet.source);
        }
        return nat;
    }
    if !frontend.local() {
        nat.evidence = hint;
        nat.endpoints = usable.cluster;
        if !nat.endpoints.is_empty() {
            nat.mark = Some(frontend.policy(PolicyEffect::MasqueradesExternal));
        }
        return nat;
    }
    // KUBE-EXT- of a service with externalTrafficPolicy Local.
    if detect(place, packet.source) == Detected::Pod {
        nat.evidence = Some(frontend.policy(PolicyEffect::ShortCircuit));
        nat.endpoints = usable.cluster;
    } else if is_local_address(place.cluster, place.node, packet.source) {
        nat.endpoints = usable.cluster;
        if !nat.endpoints.is_empty() {
            nat.mark = Some(frontend.policy(PolicyEffect::OwnNode));
        }
    } else {
        nat.evidence = Some(frontend.policy(PolicyEffect::OnlyLocal));
        nat.local = true;
        nat.endpoints = usable.local;
    }
    nat
}

/// `KUBE-FW-…`: a source outside the ranges falls through to `KUBE-PROXY-FIREWALL`.
pub(crate) fn source_refused(place: Place<'_>, frontend: &Frontend<'_>, packet: &Packet) -> bool {
    let ranges = &frontend.service.source_ranges;
    let node_in_range = || {
        place.cluster.node(place.node).is_some_and(|node| {
            node.addresses.iter().any(|own| ranges.iter().any(|range| range.contains(&own.addr())))
        })
    };
    // A host that calls the address it has itself uses that address as source.
    let itself = packet.source == packet.destination && node_in_range();
    !itself && frontend.leaves_out(packet)
}

/// What the filter table does to a service packet that nat left alone.
pub(crate) fn refuse(
    place: Place<'_>,
    frontend: &Frontend<'_>,
    packet: &Packet,
) -> Option<Refusal> {
    let usable = usable(place.cluster, place.node, frontend.port, packet.family());
    let (at, service) = (frontend.at, frontend.at.service);
    let (refused, evidence) = if source_refused(place, frontend, packet) {
        (Refused::SourceRange(at), Evidence::SourceRanges(service))
    } else if !usable.any {
        (Refused::NoEndpoints(at), Evidence::NoEndpoints(service))
    } else if frontend.local() && usable.local.is_empty() {
        (Refused::NoLocalEndpoints(at), frontend.policy(PolicyEffect::NoneLocal))
    } else {
        return None;
    };
    Some(Refusal { refused, evidence: Some(evidence), doubt: None })
}
