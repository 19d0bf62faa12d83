//! kube-proxy in IPVS mode (`pkg/proxy/ipvs/proxier.go`).
//!
//! nat only marks. Every service address is local, so packets go to INPUT, where IPVS takes
//! them, rewrites them and sends them out again through OUTPUT.

use super::super::evidence::Evidence;
use super::super::step::{Cause, CauseKind, Hook, Rule};
use super::{
    Frontend, FrontendKind, Nat, Picked, Place, Refusal, ServiceProxy, cluster_ip_mark, frontend,
    names, usable,
};
use crate::cluster::{LocalDetector, Service, ServiceField};
use crate::datapath::route::is_local_address;
use crate::net::{Packet, address_and_port};

/// Since when is not settled to the release.
const UNTOLD: &str = "kube-proxy before about v1.24 does not do so, and refuses the connection; the text tells no version (Node.status.nodeInfo)";
const FIRST: &str = "the release that began to use other nodes' endpoints here is not known for certain, about v1.24: before it the virtual server is empty, and refuses the connection";

/// Whether an exposed service without local endpoints gets the other nodes' under `Local`
/// (`syncEndpoint` since kubernetes/kubernetes#97081), and why that is not certain.
fn falls_back(place: Place<'_>) -> (bool, Option<&'static str>) {
    match place.cluster.node(place.node).and_then(|node| node.kube_proxy) {
        None => (true, Some(UNTOLD)),
        Some(version) => {
            let around = (1, 23)..=(1, 25);
            (version >= (1, 24), around.contains(&version).then_some(FIRST))
        }
    }
}

pub(super) struct Ipvs;

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
        let exposed = !frontend.service.external_ips.is_empty()
            || !frontend.service.ingress_ips.is_empty()
            || frontend.port.node_port.is_some();
        let (falls_back, since) = falls_back(place);
        let hint = usable.hint.map(|hint| Evidence::of(frontend.service.cite.clone(), &hint));
        nat.endpoints = if !frontend.local() {
            nat.evidence.extend(hint);
            usable.cluster
        } else if !usable.local.is_empty() {
            nat.evidence.push(frontend.policy_evidence("endpoints on this node are used"));
            usable.local
        } else if exposed && falls_back {
            nat.uncertain = since;
            // syncEndpoint falls back to all endpoints, so that pods of this node get through.
            nat.evidence.push(frontend.policy_evidence(
                "no endpoint is on this node; IPVS mode then uses those of other nodes, without masquerade",
            ));
            usable.cluster
        } else {
            Vec::new()
        };
        nat.rules = virtual_server(place, &frontend, packet, &nat);
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
                let message = format!(
                    "{} is a service's address without this port, so kube-proxy rejects it",
                    address_and_port(packet.destination, packet.destination_port)
                );
                Some(Refusal {
                    uncertain: Some(
                        "older releases have no KUBE-IPVS-FILTER: there the packet reaches the node itself",
                    ),
                    rule: Rule::NoEndpoints,
                    cause: Cause { kind: CauseKind::NoSuchPort, cite: None, message },
                    evidence: Vec::new(),
                    rules: vec![
                        "-A KUBE-IPVS-FILTER -m set --match-set KUBE-IPVS-IPS dst -m conntrack --ctstate NEW -j REJECT".to_owned(),
                    ],
                })
            }
            None => None,
        }
    }

    fn takes_in_input(&self) -> bool {
        true
    }

    /// `KUBE-LOOP-BACK` holds the endpoints of this node only (`if !ep.IsLocal() { continue }`): a
    /// packet that another node sends back to its sender keeps its source.
    fn loops_back<'a>(&self, place: Place<'a>, packet: &Packet) -> Option<&'a Service> {
        let (ip, port) = (packet.destination, packet.destination_port?);
        if packet.source != ip {
            return None;
        }
        place.cluster.services.iter().find(|service| {
            let ports = service.ports.iter().filter(|known| known.protocol == packet.protocol);
            ports.flat_map(|known| &known.endpoints).any(|endpoint| {
                endpoint.node == Some(place.node) && endpoint.ip == ip && endpoint.port == port
            })
        })
    }

    /// The virtual server lists them all.
    fn endpoint_rules(&self, _: &Picked<'_>) -> Vec<String> {
        Vec::new()
    }

    fn masquerade_rule(&self) -> &'static str {
        "-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully"
    }
}

/// The ipsets of `KUBE-SERVICES`, in order.
fn mark(place: Place<'_>, packet: &Packet) -> Option<Evidence> {
    let cluster = place.cluster;
    if packet.source.is_loopback() {
        return None;
    }
    let frontend = frontend(cluster, place.node, packet);
    if let Some(frontend) = &frontend {
        match frontend.kind {
            FrontendKind::LoadBalancerIp | FrontendKind::ExternalIp if !frontend.local() => {
                return Some(frontend.policy_evidence(
                    "externalTrafficPolicy Cluster masquerades everything that comes in by an external address, so that replies come back through this node",
                ));
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
                    return Some(Evidence::of_proxy(
                        &cluster.proxy.detect_local,
                        "clusterCIDR",
                        "the source is the ClusterIP itself",
                    ));
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
    let at = (packet.protocol, port);
    let service = cluster.service(*cluster.service_by_node_port.get(&at)?.first()?)?;
    if service.external_traffic_policy.value == crate::cluster::TrafficPolicy::Local {
        return None;
    }
    let finding = match frontend {
        Some(Frontend { kind: FrontendKind::NodePort, .. }) => {
            "externalTrafficPolicy Cluster masquerades everything that comes in by a node port, so that replies come back through this node".to_owned()
        }
        _ => format!("port {port} is some service's node port, and IPVS mode's set of node ports holds no addresses: it matches here too"),
    };
    Some(Evidence::of_setting(
        &service.external_traffic_policy,
        &service.cite.object,
        "spec.externalTrafficPolicy",
        &finding,
    ))
}

fn refuse(place: Place<'_>, frontend: &Frontend<'_>, packet: &Packet) -> Option<Refusal> {
    let service = &frontend.service.cite.object;
    let ranges = &frontend.service.source_ranges;
    if frontend.kind == FrontendKind::LoadBalancerIp
        && !ranges.is_empty()
        && !ranges.iter().any(|range| range.contains(&packet.source))
    {
        let cite = frontend.service.field(ServiceField::SourceRanges);
        let message =
            format!("{} is in none of the loadBalancerSourceRanges of {service}", packet.source);
        return Some(Refusal {
            uncertain: None,
            rule: Rule::SourceRange,
            evidence: vec![Evidence::of(cite.clone(), &message)],
            cause: Cause { kind: CauseKind::SourceRange, cite: Some(cite), message },
            rules: vec![
                "-A KUBE-PROXY-FIREWALL -m comment --comment \"Kubernetes service load balancer ip + port for load balancer with sourceRange\" -m set --match-set KUBE-LOAD-BALANCER-FW dst,dst -j KUBE-SOURCE-RANGES-FIREWALL".to_owned(),
                "-A KUBE-SOURCE-RANGES-FIREWALL -j DROP".to_owned(),
            ],
        });
    }
    let usable = usable(place.cluster, place.node, frontend.port, packet.family());
    let exposed = !frontend.service.external_ips.is_empty()
        || !frontend.service.ingress_ips.is_empty()
        || frontend.port.node_port.is_some();
    let (falls_back, since) = falls_back(place);
    let empty = if frontend.local() && !(exposed && falls_back) {
        usable.local.is_empty()
    } else {
        usable.cluster.is_empty() && usable.local.is_empty()
    };
    empty.then(|| {
        let address = address_and_port(packet.destination, packet.destination_port);
        let (kind, cite, why) = if usable.any {
            let evidence = frontend.policy_evidence("no endpoint is on this node");
            (CauseKind::NoLocalEndpoints, evidence.cite, "no endpoint on this node")
        } else {
            (CauseKind::NoEndpoints, frontend.service.field(ServiceField::Selector), "no endpoints")
        };
        let message = format!("{service} has {why}: the virtual server {address} is empty, and ip_vs answers with an ICMP port unreachable");
        Refusal {
            // With endpoints elsewhere it is the release that decides.
            uncertain: since.filter(|_| usable.any && exposed),
            rule: Rule::NoEndpoints,
            evidence: vec![Evidence::of(cite.clone(), &message)],
            cause: Cause { kind, cite: Some(cite), message },
            rules: virtual_server(place, frontend, packet, &Nat::default()),
        }
    })
}

/// The virtual server as `ipvsadm -Ln` prints it.
fn virtual_server(
    place: Place<'_>,
    frontend: &Frontend<'_>,
    packet: &Packet,
    nat: &Nat<'_>,
) -> Vec<String> {
    let scheduler = &place.cluster.proxy.ipvs_scheduler.value;
    let persistent = match frontend.service.session_affinity {
        Some(seconds) => format!(" persistent {seconds}"),
        None => String::new(),
    };
    let mut lines = vec![format!(
        "{}  {} {scheduler}{persistent}",
        names::protocol(frontend.port.protocol).to_uppercase(),
        address_and_port(packet.destination, packet.destination_port)
    )];
    lines.extend(nat.endpoints.iter().map(|endpoint| {
        format!("  -> {}            Masq    1", address_and_port(endpoint.ip, Some(endpoint.port)))
    }));
    lines
}
