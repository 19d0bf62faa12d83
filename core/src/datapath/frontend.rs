//! What a service's address leads to, for kube-proxy and for the eBPF dataplane: which address is
//! which service's, and which of its endpoints a node may use
//! (`pkg/proxy/topology.go CategorizeEndpoints`).

use crate::cluster::{Cluster, Endpoint, NodeId, Service, ServiceId, ServicePort, TrafficPolicy};
use crate::net::{Family, InFamily, Packet};

use super::evidence::{Evidence, PolicyEffect};
use super::fact::{FrontendKind, FrontendRef, Hint, HintedBy};

/// An address that leads to a service's port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frontend<'a> {
    pub(crate) service: &'a Service,
    pub(crate) port: &'a ServicePort,
    pub(crate) at: FrontendRef,
}

impl<'a> Frontend<'a> {
    /// The address that a fact speaks of.
    pub(crate) fn of(cluster: &'a Cluster, at: FrontendRef) -> Option<Self> {
        let service = cluster.service(at.service)?;
        Some(Self { service, port: service.ports.get(at.port)?, at })
    }

    /// Which of the service's addresses it is.
    pub(crate) fn kind(&self) -> FrontendKind {
        self.at.kind
    }

    /// Whether the traffic policy that rules this address is `Local`.
    pub(crate) fn local(&self) -> bool {
        let policy = match self.kind() {
            FrontendKind::ClusterIp => &self.service.internal_traffic_policy,
            _ => &self.service.external_traffic_policy,
        };
        policy.value == TrafficPolicy::Local
    }

    /// What is special about how an endpoint was picked.
    pub(crate) fn of_endpoint(&self, endpoint: &Endpoint, of: usize) -> [Option<Evidence>; 2] {
        let service = self.at.service;
        let affine = of > 1 && self.service.session_affinity.is_some();
        [
            affine.then_some(Evidence::Affinity(service)),
            endpoint.terminating.then_some(Evidence::Terminating(service)),
        ]
    }

    /// Whether `loadBalancerSourceRanges` leave the packet's source out.
    pub(crate) fn leaves_out(&self, packet: &Packet) -> bool {
        let ranges = &self.service.source_ranges;
        self.kind() == FrontendKind::LoadBalancerIp
            && !ranges.is_empty()
            && !ranges.iter().any(|range| range.contains(&packet.source))
    }

    /// The traffic policy that rules this address, as evidence.
    pub(crate) fn policy(&self, effect: PolicyEffect) -> Evidence {
        Evidence::Policy(self.at, effect)
    }
}

/// Which address leads where, with node ports on the packet's destination or not: service addresses
/// first, node ports last, as in `KUBE-SERVICES`.
pub(crate) fn frontend_where<'a>(
    cluster: &'a Cluster,
    packet: &Packet,
    node_ports: bool,
) -> Option<Frontend<'a>> {
    let to = packet.destination;
    let number = packet.destination_port?;
    let services = |ids: Option<&'a Vec<ServiceId>>| {
        ids.into_iter().flatten().filter_map(|id| Some((*id, cluster.service(*id)?)))
    };
    let port = |service: &'a Service, has: &dyn Fn(&ServicePort) -> bool| {
        let mut ports = service.ports.iter().enumerate();
        ports.find(|(_, port)| port.protocol == packet.protocol && has(port))
    };
    for (id, service) in services(cluster.service_by_address.get(&to)) {
        let Some((index, port)) = port(service, &|port| port.port == number) else { continue };
        let kind = if service.cluster_ips.contains(&to) {
            FrontendKind::ClusterIp
        } else if service.external_ips.contains(&to) {
            FrontendKind::ExternalIp
        } else {
            FrontendKind::LoadBalancerIp
        };
        let at = FrontendRef { service: id, port: index, kind };
        return Some(Frontend { service, port, at });
    }
    if !node_ports {
        return None;
    }
    services(cluster.service_by_node_port.get(&(packet.protocol, number)))
        .filter(|(_, service)| service.cluster_ips.iter().any(|ip| ip.family() == to.family()))
        .find_map(|(id, service)| {
            let (index, port) = port(service, &|port| port.node_port == Some(number))?;
            let at = FrontendRef { service: id, port: index, kind: FrontendKind::NodePort };
            Some(Frontend { service, port, at })
        })
}

/// The usable endpoints of a service port on a node (`CategorizeEndpoints`).
#[derive(Debug, Default)]
pub(crate) struct Usable<'a> {
    /// For policy `Cluster`.
    pub(crate) cluster: Vec<&'a Endpoint>,
    /// For policy `Local`.
    pub(crate) local: Vec<&'a Endpoint>,
    /// Any ready or serving one anywhere: decides between reject and drop.
    pub(crate) any: bool,
    /// What their hints say, if that leaves some of the endpoints out.
    pub(crate) hint: Option<Hint>,
}

pub(crate) fn usable<'a>(
    cluster: &Cluster,
    node: NodeId,
    port: &'a ServicePort,
    family: Family,
) -> Usable<'a> {
    let of_family = || port.endpoints.iter().filter(move |endpoint| endpoint.ip.family() == family);
    let fallback = |endpoint: &&Endpoint| endpoint.serving && endpoint.terminating;
    let here = |endpoint: &&Endpoint| endpoint.node == Some(node);
    let ready: Vec<&Endpoint> = of_family().filter(|endpoint| endpoint.ready).collect();
    let (mut everywhere, hint) = hinted(cluster, node, &ready);
    if everywhere.is_empty() {
        everywhere = of_family().filter(fallback).collect();
    }
    let mut local: Vec<&Endpoint> = ready.iter().copied().filter(here).collect();
    if local.is_empty() {
        local = of_family().filter(here).filter(fallback).collect();
    }
    let any = of_family().any(|e| e.ready || fallback(&e));
    Usable { cluster: everywhere, local, any, hint }
}

/// The ready endpoints that are meant for the node, by its name or by its zone: hints count only
/// if every endpoint has one, and one of them fits (`topologyModeFromHints`).
fn hinted<'a>(
    cluster: &Cluster,
    node: NodeId,
    ready: &[&'a Endpoint],
) -> (Vec<&'a Endpoint>, Option<Hint>) {
    let meant = |hints: fn(&Endpoint) -> &Vec<String>, name: &str| -> Option<Vec<&'a Endpoint>> {
        let named = |endpoint: &&Endpoint| hints(endpoint).iter().any(|hint| hint == name);
        let fits: Vec<_> = ready.iter().copied().filter(named).collect();
        let all = ready.iter().all(|endpoint| !hints(endpoint).is_empty());
        (all && !fits.is_empty()).then_some(fits)
    };
    let here = cluster.node(node);
    let by_node = || meant(|endpoint| &endpoint.nodes, &here?.name);
    let by_zone = || meant(|endpoint| &endpoint.zones, here?.zone()?);
    let found = by_node()
        .map(|fits| (fits, HintedBy::Node))
        .or_else(|| by_zone().map(|fits| (fits, HintedBy::Zone)));
    match found {
        Some((fits, by)) if fits.len() < ready.len() => {
            let hint = Hint { meant: fits.len(), ready: ready.len(), by, node };
            (fits, Some(hint))
        }
        _ => (ready.to_vec(), None),
    }
}
