//! The service proxy: who turns service addresses into endpoints.
//!
//! What all modes share is here: which address leads to which service, which endpoints are usable
//! (`pkg/proxy/topology.go CategorizeEndpoints`), and which sources count as local pods
//! (`pkg/proxy/util/localdetector.go`). A mode is one file that implements [`ServiceProxy`].

mod iptables;
mod ipvs;
mod names;
mod nftables;

use std::net::IpAddr;

use ipnet::IpNet;

use super::evidence::Evidence;
use super::route::{Device, is_host_address};
use super::step::{Cause, Hook, Rule};
use crate::cluster::{
    Cluster, Endpoint, LocalDetector, NodeId, NodePortAddresses, ProxyMode, Service, ServiceField,
    ServiceId, ServicePort, TrafficPolicy,
};
use crate::net::{Family, InFamily, Packet};

/// The proxy of the cluster's mode.
pub(super) fn of(mode: ProxyMode) -> &'static dyn ServiceProxy {
    match mode {
        // The eBPF dataplane has none of these hooks: no walk asks.
        ProxyMode::Iptables | ProxyMode::Ebpf => &iptables::Iptables,
        ProxyMode::Ipvs => &ipvs::Ipvs,
        ProxyMode::Nftables => &nftables::Nftables,
    }
}

/// Where a node is while its rules are asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) node: NodeId,
    /// `None` for the node's own packets.
    pub(super) from: Option<Device>,
}

/// A mode's rules, hook by hook.
pub(super) trait ServiceProxy: Sync {
    /// nat PREROUTING and OUTPUT: rewrite, mark, both or neither.
    fn nat<'a>(&self, place: Place<'a>, packet: &Packet) -> Nat<'a>;

    /// filter: what it does to a packet that it did not rewrite, in INPUT, FORWARD or OUTPUT.
    fn filter(&self, place: Place<'_>, hook: Hook, packet: &Packet) -> Option<Refusal>;

    /// filter PREROUTING, before nat: what it drops there.
    fn prerouting(&self, _: Place<'_>, _: &Packet) -> Option<Refusal> {
        None
    }

    /// Whether its filter rules stand before Calico's gates whatever `chainInsertMode` says.
    fn filters_before_calico(&self) -> bool {
        false
    }

    /// Whether the packet is taken in INPUT instead of PREROUTING, so that Calico's gates are
    /// asked in OUTPUT.
    fn takes_in_input(&self) -> bool {
        false
    }

    /// nat POSTROUTING: the service whose endpoint sends to itself, where a rule of its own
    /// masquerades that. The other modes mark such a packet as they rewrite it.
    fn loops_back<'a>(&self, _: Place<'a>, _: &Packet) -> Option<&'a Service> {
        None
    }

    /// The rules of the endpoint that was picked, as the mode's tool prints them.
    fn endpoint_rules(&self, picked: &Picked<'_>) -> Vec<String>;

    /// The rule that masquerades marked packets, as the mode's tool prints it.
    fn masquerade_rule(&self) -> &'static str;
}

/// One endpoint of several, picked.
#[derive(Debug)]
pub(super) struct Picked<'a> {
    pub(super) frontend: &'a Frontend<'a>,
    pub(super) endpoints: &'a [&'a Endpoint],
    pub(super) chosen: usize,
    /// Whether only those of the node were asked.
    pub(super) local: bool,
    /// Whether the endpoint is the sender itself.
    pub(super) hairpin: bool,
}

impl<'a> Picked<'a> {
    pub(super) fn endpoint(&self) -> Option<&'a Endpoint> {
        self.endpoints.get(self.chosen).copied()
    }
}

/// What nat did.
#[derive(Debug, Default)]
pub(super) struct Nat<'a> {
    /// The endpoints of which one is picked, each as likely as the others; empty if the packet is
    /// not rewritten.
    pub(super) endpoints: Vec<&'a Endpoint>,
    /// Whether only those of the node were asked.
    pub(super) local: bool,
    /// The address that led to them.
    pub(super) frontend: Option<Frontend<'a>>,
    /// Marked for masquerade, and why.
    pub(super) mark: Option<Evidence>,
    /// What else was looked at.
    pub(super) evidence: Vec<Evidence>,
    /// The rules that were hit, without those of the endpoint.
    pub(super) rules: Vec<String>,
    /// Why it is not certain, where it is not.
    pub(super) uncertain: Option<&'static str>,
}

/// A refusal by the proxy.
#[derive(Debug)]
pub(super) struct Refusal {
    /// [`Rule::NoEndpoints`] rejects, the others drop.
    pub(super) rule: Rule,
    pub(super) cause: Cause,
    pub(super) evidence: Vec<Evidence>,
    pub(super) rules: Vec<String>,
    /// Why it is not certain, where it is not.
    pub(super) uncertain: Option<&'static str>,
}

/// An address that leads to a service's port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frontend<'a> {
    pub(super) service: &'a Service,
    pub(super) port: &'a ServicePort,
    pub(super) kind: FrontendKind,
}

/// Which of a service's addresses it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrontendKind {
    ClusterIp,
    ExternalIp,
    LoadBalancerIp,
    NodePort,
}

impl FrontendKind {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::ClusterIp => "ClusterIP",
            Self::ExternalIp => "external IP",
            Self::LoadBalancerIp => "load balancer IP",
            Self::NodePort => "node port",
        }
    }

    /// With its article.
    pub(super) fn a_label(self) -> &'static str {
        match self {
            Self::ClusterIp => "a ClusterIP",
            Self::ExternalIp => "an external IP",
            Self::LoadBalancerIp => "a load balancer IP",
            Self::NodePort => "a node port",
        }
    }
}

impl Frontend<'_> {
    /// Whether the traffic policy that rules this address is `Local`.
    pub(super) fn local(&self) -> bool {
        let policy = match self.kind {
            FrontendKind::ClusterIp => &self.service.internal_traffic_policy,
            _ => &self.service.external_traffic_policy,
        };
        policy.value == TrafficPolicy::Local
    }

    /// The traffic policy that rules this address, as evidence.
    pub(super) fn policy_evidence(&self, finding: &str) -> Evidence {
        let (setting, field) = match self.kind {
            FrontendKind::ClusterIp => {
                (&self.service.internal_traffic_policy, "spec.internalTrafficPolicy")
            }
            _ => (&self.service.external_traffic_policy, "spec.externalTrafficPolicy"),
        };
        Evidence::of_setting(setting, &self.service.cite.object, field, finding)
    }
}

/// Which address leads where: service addresses first, node ports last, as in `KUBE-SERVICES`.
pub(super) fn frontend<'a>(
    cluster: &'a Cluster,
    node: NodeId,
    packet: &Packet,
) -> Option<Frontend<'a>> {
    let node_ports = answers_node_ports(cluster, node, packet.destination);
    frontend_where(cluster, packet, node_ports)
}

/// The same, with node ports on this address or not.
pub(super) fn frontend_where<'a>(
    cluster: &'a Cluster,
    packet: &Packet,
    node_ports: bool,
) -> Option<Frontend<'a>> {
    let to = packet.destination;
    let number = packet.destination_port?;
    let services = |ids: Option<&'a Vec<ServiceId>>| {
        ids.into_iter().flatten().filter_map(|id| cluster.service(*id))
    };
    let ports =
        |service: &'a Service| service.ports.iter().filter(|port| port.protocol == packet.protocol);
    for service in services(cluster.service_by_address.get(&to)) {
        let Some(port) = ports(service).find(|port| port.port == number) else { continue };
        let kind = if service.cluster_ips.contains(&to) {
            FrontendKind::ClusterIp
        } else if service.external_ips.contains(&to) {
            FrontendKind::ExternalIp
        } else {
            FrontendKind::LoadBalancerIp
        };
        return Some(Frontend { service, port, kind });
    }
    if !node_ports {
        return None;
    }
    services(cluster.service_by_node_port.get(&(packet.protocol, number)))
        .filter(|service| service.cluster_ips.iter().any(|ip| ip.family() == to.family()))
        .find_map(|service| {
            let port = ports(service).find(|port| port.node_port == Some(number))?;
            Some(Frontend { service, port, kind: FrontendKind::NodePort })
        })
}

/// Whether kube-proxy answers node ports on this address of the node.
fn answers_node_ports(cluster: &Cluster, node: NodeId, address: IpAddr) -> bool {
    if address.is_loopback() {
        // Only iptables mode has rules that make it work, and only for IPv4.
        return cluster.proxy.mode.value == ProxyMode::Iptables
            && cluster.proxy.localhost_node_ports.value
            && address.is_ipv4()
            && match &cluster.proxy.node_port_addresses.value {
                NodePortAddresses::All => true,
                NodePortAddresses::Primary => false,
                NodePortAddresses::In(ranges) => {
                    ranges.iter().any(|range| range.contains(&address))
                }
            };
    }
    is_host_address(cluster, node, address)
        && match &cluster.proxy.node_port_addresses.value {
            NodePortAddresses::All => true,
            NodePortAddresses::Primary => cluster
                .node(node)
                .is_some_and(|node| node.address(address.family()) == Some(address)),
            NodePortAddresses::In(ranges) => ranges.iter().any(|range| range.contains(&address)),
        }
}

/// Why kube-proxy leaves a node port to the node itself.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// Which service's it is, and why its rules did not take the packet.
    pub(super) why: String,
    /// What says so, the deciding one first.
    pub(super) evidence: Vec<Evidence>,
    /// Why it is not certain, where it is not.
    pub(super) uncertain: Option<&'static str>,
}

/// Whether the packet was for some service's node port, and why that did not answer.
pub(super) fn unanswered(place: Place<'_>, packet: &Packet) -> Option<Unanswered> {
    let Place { cluster, node, .. } = place;
    let to = packet.destination;
    let own = is_host_address(cluster, node, to);
    let frontend = frontend_where(cluster, packet, own)
        .filter(|frontend| frontend.kind == FrontendKind::NodePort)?;
    let service = &frontend.service.cite.object;
    let port = packet.destination_port.unwrap_or_default();
    let said = |why: String, evidence, uncertain| {
        Some(Unanswered {
            why: format!("{port} is a node port of {service}, {why}"),
            evidence,
            uncertain,
        })
    };
    if !answers_node_ports(cluster, node, to) {
        let (why, setting, uncertain) = unanswered_address(cluster, to);
        let own = frontend.service.field(ServiceField::Ports);
        let own = Evidence::of(own, &format!("{port} is its node port"));
        return said(why, vec![own, setting], uncertain);
    }
    let usable = usable(cluster, node, frontend.port, to.family());
    if !usable.any {
        let cite = frontend.service.field(ServiceField::Selector);
        let evidence = vec![Evidence::of(cite, &format!("{service} has no endpoints"))];
        return said("which has no endpoints".to_owned(), evidence, None);
    }
    if !frontend.local() || !usable.local.is_empty() {
        return None;
    }
    let mut evidence =
        vec![frontend.policy_evidence("only endpoints on this node are used, and there is none")];
    if matches!(place.from, Some(Device::Pod(_))) {
        let source = packet.source;
        evidence.push(Evidence::of_proxy(
            &cluster.proxy.detect_local,
            "clusterCIDR",
            &format!("kube-proxy does not take {source} for a pod's address, which could use the endpoints of other nodes"),
        ));
    }
    let name = cluster.node(node).map_or("this node", |node| node.name.as_str());
    said(
        format!("which has no endpoint on {name}, and its externalTrafficPolicy is Local"),
        evidence,
        None,
    )
}

/// Why no node port is answered on an address of the node.
fn unanswered_address(cluster: &Cluster, to: IpAddr) -> (String, Evidence, Option<&'static str>) {
    let proxy = &cluster.proxy;
    let mode = |finding: &str| Evidence::of_proxy(&proxy.mode, "mode", finding);
    match proxy.mode.value {
        ProxyMode::Ipvs if to.is_loopback() => {
            let why =
                "for which IPVS mode is taken to have no virtual server on loopback addresses";
            let doubt = "whether IPVS mode has a virtual server for node ports on loopback addresses is not known for certain";
            return (why.to_owned(), mode("the mode is ipvs"), Some(doubt));
        }
        ProxyMode::Nftables if to.is_loopback() => {
            let why =
                "which nftables mode does not answer on loopback addresses (127.0.0.0/8, ::1)";
            return (why.to_owned(), mode("the mode is nftables"), None);
        }
        _ if to.is_loopback() && !to.is_ipv4() => {
            let why = "which iptables mode answers on loopback for IPv4 only";
            return (why.to_owned(), mode("the mode is iptables"), None);
        }
        _ if to.is_loopback() && !proxy.localhost_node_ports.value => {
            let field = "iptables.localhostNodePorts";
            let evidence = Evidence::of_proxy(&proxy.localhost_node_ports, field, "it is false");
            let why =
                format!("which kube-proxy does not answer on loopback addresses: {field} is false");
            return (why, evidence, None);
        }
        _ => {}
    }
    let what = match &proxy.node_port_addresses.value {
        NodePortAddresses::All => "all addresses".to_owned(),
        NodePortAddresses::Primary => "the node's primary addresses".to_owned(),
        NodePortAddresses::In(ranges) => {
            ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
    };
    let evidence = Evidence::of_proxy(
        &proxy.node_port_addresses,
        "nodePortAddresses",
        &format!("node ports answer on {what} only"),
    );
    let why =
        format!("which kube-proxy does not answer on {to}: nodePortAddresses leaves only {what}");
    (why, evidence, None)
}

/// The usable endpoints of a service port on a node (`CategorizeEndpoints`).
#[derive(Debug, Default)]
pub(super) struct Usable<'a> {
    /// For policy `Cluster`.
    pub(super) cluster: Vec<&'a Endpoint>,
    /// For policy `Local`.
    pub(super) local: Vec<&'a Endpoint>,
    /// Any ready or serving one anywhere: decides between reject and drop.
    pub(super) any: bool,
    /// What their hints say, if that leaves some of the endpoints out.
    pub(super) hint: Option<String>,
}

pub(super) fn usable<'a>(
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
) -> (Vec<&'a Endpoint>, Option<String>) {
    let meant =
        |hints: fn(&Endpoint) -> &Vec<String>, name: &String| -> Option<Vec<&'a Endpoint>> {
            let fits: Vec<_> = ready.iter().copied().filter(|e| hints(e).contains(name)).collect();
            let all = ready.iter().all(|endpoint| !hints(endpoint).is_empty());
            (all && !fits.is_empty()).then_some(fits)
        };
    let here = cluster.node(node);
    let zone = here.and_then(|node| node.labels.get("topology.kubernetes.io/zone"));
    let host = here.map(|node| &node.name);
    let by_node = host.and_then(|name| Some((meant(|e| &e.nodes, name)?, format!("node {name}"))));
    let found = by_node.or_else(|| {
        zone.and_then(|zone| Some((meant(|e| &e.zones, zone)?, format!("zone {zone}"))))
    });
    match found {
        Some((fits, whom)) if fits.len() < ready.len() => {
            let hint = format!(
                "{} of {} ready endpoints are meant for {whom}, as their hints say",
                fits.len(),
                ready.len()
            );
            (fits, Some(hint))
        }
        _ => (ready.to_vec(), None),
    }
}

/// What kube-proxy's local detector says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detected {
    /// It has no way to tell.
    Unable,
    /// A pod's packet.
    Pod,
    /// Not a pod's packet.
    Other,
}

/// Whether a packet's sender counts as a pod (`getLocalDetectors`).
pub(super) fn detect(place: Place<'_>, source: IpAddr) -> Detected {
    let from_device = |matches: &dyn Fn(&str) -> bool| match place.from {
        Some(Device::Pod(pod)) => {
            place.cluster.pod(pod).is_some() && matches(&place.cluster.veth(pod))
        }
        Some(device) => matches(&device.name(place.cluster, source.family())),
        None => false,
    };
    let is_pod = match &place.cluster.proxy.detect_local.value {
        LocalDetector::NoOp => return Detected::Unable,
        LocalDetector::ClusterCidr(ranges) => {
            if !ranges.iter().any(|range| range.family() == source.family()) {
                return Detected::Unable;
            }
            ranges.iter().any(|range| range.contains(&source))
        }
        LocalDetector::NodeCidr => match place.cluster.node(place.node) {
            Some(node) if !node.pod_cidrs.is_empty() => {
                node.pod_cidrs.iter().any(|range| range.contains(&source))
            }
            _ => return Detected::Unable,
        },
        LocalDetector::BridgeInterface(bridge) => from_device(&|name| name == bridge),
        LocalDetector::InterfaceNamePrefix(prefix) => from_device(&|name| name.starts_with(prefix)),
    };
    if is_pod { Detected::Pod } else { Detected::Other }
}

/// What the local detector compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LocalMatch<'a> {
    /// The source with a range.
    Source(IpNet),
    /// The device with a name.
    Device(&'a str),
    /// The device with the beginning of names.
    Devices(&'a str),
}

/// The local detector's condition in a packet's family; none if it can't tell.
pub(super) fn local_match(place: Place<'_>, source: IpAddr) -> Option<LocalMatch<'_>> {
    // The range that holds the source, if it is not the family's first.
    let of = |ranges: &[IpNet]| {
        let holding = ranges.iter().find(|range| range.contains(&source));
        let first = || ranges.iter().find(|range| range.family() == source.family());
        holding.or_else(first).copied().map(LocalMatch::Source)
    };
    match &place.cluster.proxy.detect_local.value {
        LocalDetector::NoOp => None,
        LocalDetector::ClusterCidr(ranges) => of(ranges),
        LocalDetector::NodeCidr => of(&place.cluster.node(place.node)?.pod_cidrs),
        LocalDetector::BridgeInterface(bridge) => Some(LocalMatch::Device(bridge)),
        LocalDetector::InterfaceNamePrefix(prefix) => Some(LocalMatch::Devices(prefix)),
    }
}

/// `masqueradeAll`, or a source that is no pod: the first rule of `KUBE-SVC-…` and
/// `KUBE-SVL-…`, and `KUBE-CLUSTER-IP` of IPVS mode. Only for the ClusterIP.
pub(super) fn cluster_ip_mark(place: Place<'_>, source: IpAddr) -> Option<Evidence> {
    let proxy = &place.cluster.proxy;
    if proxy.masquerade_all.value {
        let nftables = proxy.mode.value == ProxyMode::Nftables;
        return Some(Evidence::of_proxy(
            &proxy.masquerade_all,
            if nftables { "nftables.masqueradeAll" } else { "iptables.masqueradeAll" },
            "masqueradeAll masquerades everything that goes to a ClusterIP",
        ));
    }
    (detect(place, source) == Detected::Other).then(|| {
        Evidence::of_proxy(
            &proxy.detect_local,
            "clusterCIDR",
            &format!("{source} is no pod's address by kube-proxy's local detector, and what goes to a ClusterIP from elsewhere is masqueraded"),
        )
    })
}
