//! kube-proxy in IPVS mode (`pkg/proxy/ipvs/proxier.go`).
//!
//! nat only marks. Every service address is local, so packets go to INPUT, where IPVS takes
//! them, rewrites them and sends them out again through OUTPUT.

use super::{Nat, Place, Refusal, ServiceProxy, cluster_ip_mark, frontend};
use crate::cluster::{LocalDetector, ServiceId, TrafficPolicy};
use crate::datapath::evidence::{Evidence, PolicyEffect};
use crate::datapath::fact::{Doubt, FrontendKind, FrontendRef, Refused};
use crate::datapath::frontend::{Frontend, usable};
use crate::datapath::route::is_local_address;
use crate::datapath::step::Hook;
use crate::net::Packet;

/// Whether an exposed service without local endpoints gets the other nodes' under `Local`
/// (`syncEndpoint` since kubernetes/kubernetes#97081), and why that is not certain.
fn falls_back(place: Place<'_>) -> (bool, Option<Doubt>) {
    match place.cluster.node(place.node).and_then(|node| node.kube_proxy) {
        None => (true, Some(Doubt::FallbackUntold)),
        Some(version) => {
            let around = (1, 23)..=(1, 25);
            (version >= (1, 24), around.contains(&version).then_some(Doubt::FallbackRelease))
        }
    }
}

pub(crate) struct Ipvs;

impl ServiceProxy for Ipvs {
    fn nat<'a>(&self, place: Place<'a>, packet: &Packet) -> Nat<'a> {
        let mut nat = Nat { mark: mark(place, packet), ..Nat::default() };
        // ip_vs has no virtual server on loopback addresses.
        let Some(frontend) = frontend(place.cluster, place.node, packet)
            .filter(|_| !packet.destination.is_loopback())
        else {
            return nat;
        };
        let usable = usable(place.cluster, place.node, frontend.port, packet.family());
        let (falls_back, since) = falls_back(place);
        let hint = usable.hint.map(|hint| Evidence::Hinted(frontend.at.service, hint));
        nat.endpoints = if !frontend.local() {
            nat.evidence = hint;
            usable.cluster
        } else if !usable.local.is_empty() {
            nat.evidence = Some(frontend.policy(PolicyEffect::UsesLocal));
            usable.local
        } else if is_exposed(&frontend) && falls_back {
            nat.doubt = since;
            // syncEndpoint falls back to all endpoints, so that pods of this node get through.
            nat.evidence = Some(frontend.policy(PolicyEffect::FallsBack));
            usable.cluster
        } else {
            Vec::new()
        };
        nat.frontend = Some(frontend);
        nat
    }

    fn filter(&self, place: Place<'_>, hook: Hook, packet: &Packet) -> Option<Refusal> {
        if hook == Hook::Forward {
            return None;
        }
        match frontend(place.cluster, place.node, packet) {
            Some(frontend) => refuse(place, &frontend, packet),
            // KUBE-IPVS-FILTER: a service address, but no port of it.
            None if hook == Hook::Input && place.cluster.is_service_address(packet.destination) => {
                let (refused, doubt) = (Refused::NoSuchPort(None), Some(Doubt::NoIpvsFilter));
                Some(Refusal { refused, evidence: None, doubt })
            }
            None => None,
        }
    }

    fn takes_in_input(&self) -> bool {
        true
    }

    /// `KUBE-LOOP-BACK` holds the endpoints of this node only (`if !ep.IsLocal() { continue }`): a
    /// packet that another node sends back to its sender keeps its source.
    fn loops_back(&self, place: Place<'_>, packet: &Packet) -> Option<ServiceId> {
        let (ip, port) = (packet.destination, packet.destination_port?);
        if packet.source != ip {
            return None;
        }
        let own = place.cluster.services.iter().position(|service| {
            let ports = service.ports.iter().filter(|known| known.protocol == packet.protocol);
            ports.flat_map(|known| &known.endpoints).any(|endpoint| {
                endpoint.node == Some(place.node) && endpoint.ip == ip && endpoint.port == port
            })
        });
        own.map(ServiceId)
    }

    fn loopback(&self) -> Result<(), Option<Doubt>> {
        Err(Some(Doubt::IpvsLoopback))
    }
}

fn is_exposed(frontend: &Frontend<'_>) -> bool {
    !frontend.service.external_ips.is_empty()
        || !frontend.service.ingress_ips.is_empty()
        || frontend.port.node_port.is_some()
}

/// The ipsets of `KUBE-SERVICES`, in order.
fn mark(place: Place<'_>, packet: &Packet) -> Option<Evidence> {
    let cluster = place.cluster;
    if packet.source.is_loopback() {
        return None;
    }
    let frontend = frontend(cluster, place.node, packet);
    if let Some(frontend) = &frontend {
        match frontend.kind() {
            FrontendKind::LoadBalancerIp | FrontendKind::ExternalIp if !frontend.local() => {
                return Some(frontend.policy(PolicyEffect::MasqueradesExternal));
            }
            FrontendKind::ClusterIp => {
                if let Some(evidence) = cluster_ip_mark(place, packet.source) {
                    return Some(evidence);
                }
                // Without a detector the set is matched on the source: a host process that was
                // given the service's own address.
                if cluster.proxy.detect_local.value == LocalDetector::NoOp
                    && packet.source == packet.destination
                {
                    return Some(Evidence::OwnClusterIp);
                }
            }
            _ => {}
        }
    }
    // KUBE-NODE-PORT is reached for every local destination, kube-ipvs0's addresses included, and
    // its sets hold ports only.
    if !is_local_address(cluster, place.node, packet.destination) {
        return None;
    }
    let port = packet.destination_port?;
    let service = *cluster.service_by_node_port.get(&(packet.protocol, port))?.first()?;
    if cluster.service(service)?.external_traffic_policy.value == TrafficPolicy::Local {
        return None;
    }
    Some(match frontend {
        Some(Frontend { at: at @ FrontendRef { kind: FrontendKind::NodePort, .. }, .. }) => {
            let at = FrontendRef { service, ..at };
            Evidence::Policy(at, PolicyEffect::MasqueradesNodePort)
        }
        _ => Evidence::AnyNodePort(service, port),
    })
}

fn refuse(place: Place<'_>, frontend: &Frontend<'_>, packet: &Packet) -> Option<Refusal> {
    let (at, service) = (frontend.at, frontend.at.service);
    if frontend.leaves_out(packet) {
        let evidence = Some(Evidence::SourceRanges(service));
        return Some(Refusal { refused: Refused::SourceRange(at), evidence, doubt: None });
    }
    let usable = usable(place.cluster, place.node, frontend.port, packet.family());
    let exposed = is_exposed(frontend);
    let (falls_back, since) = falls_back(place);
    let empty = if frontend.local() && !(exposed && falls_back) {
        usable.local.is_empty()
    } else {
        usable.cluster.is_empty() && usable.local.is_empty()
    };
    empty.then(|| Refusal {
        refused: Refused::EmptyServer { frontend: at, elsewhere: usable.any },
        evidence: Some(if usable.any {
            frontend.policy(PolicyEffect::NoneInServer)
        } else {
            Evidence::NoEndpoints(service)
        }),
        // With endpoints elsewhere it is the release that decides.
        doubt: since.filter(|_| usable.any && exposed),
    })
}
