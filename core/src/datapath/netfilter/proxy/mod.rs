//! The service proxy: who turns service addresses into endpoints.
//!
//! What all modes share is here: on which addresses node ports answer, and which sources count as
//! local pods (`pkg/proxy/util/localdetector.go`). A mode is one file that implements
//! [`ServiceProxy`].

pub(crate) mod iptables;
pub(crate) mod ipvs;
pub(crate) mod nftables;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::cluster::{
    Cluster, Endpoint, LocalDetector, NodeId, NodePortAddresses, ProxyMode, ServiceId,
};
use crate::datapath::evidence::{Evidence, PolicyEffect};
use crate::datapath::fact::{Device, Doubt, FrontendKind, NotTaken, Refused, Unanswered};
use crate::datapath::frontend::{Frontend, frontend_where, usable};
use crate::datapath::route::is_host_address;
use crate::datapath::step::Hook;
use crate::net::{InFamily, Packet};

/// The proxy of the cluster's mode.
pub(crate) fn of(mode: ProxyMode) -> &'static dyn ServiceProxy {
    match mode {
        // The eBPF dataplane has none of these hooks: no walk asks.
        ProxyMode::Iptables | ProxyMode::Ebpf => &iptables::Iptables,
        ProxyMode::Ipvs => &ipvs::Ipvs,
        ProxyMode::Nftables => &nftables::Nftables,
    }
}

/// Where a node is while its rules are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) node: NodeId,
    /// `None` for the node's own packets.
    pub(crate) from: Option<Device>,
}

/// A mode's rules, hook by hook.
pub(crate) trait ServiceProxy: Sync {
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

    /// Whether `KUBE-FORWARD` accepts what is marked for masquerade.
    fn forwards_marked(&self) -> bool {
        false
    }

    /// Whether node ports are answered on IPv4 loopback addresses, where `localhostNodePorts` lets
    /// them; if not, why that is not certain.
    fn loopback(&self) -> Result<(), Option<Doubt>> {
        Err(None)
    }

    /// nat POSTROUTING: the service whose endpoint sends to itself, where a rule of its own
    /// masquerades that. The other modes mark such a packet as they rewrite it.
    fn loops_back(&self, _: Place<'_>, _: &Packet) -> Option<ServiceId> {
        None
    }
}

/// What nat did.
#[derive(Debug, Default)]
pub(crate) struct Nat<'a> {
    /// The endpoints of which one is picked, each as likely as the others; empty if the packet is
    /// not rewritten.
    pub(crate) endpoints: Vec<&'a Endpoint>,
    /// Whether only those of the node were asked.
    pub(crate) local: bool,
    /// The address that led to them.
    pub(crate) frontend: Option<Frontend<'a>>,
    /// Marked for masquerade, and why.
    pub(crate) mark: Option<Evidence>,
    /// What else was looked at.
    pub(crate) evidence: Option<Evidence>,
    /// Why it is not certain, where it is not.
    pub(crate) doubt: Option<Doubt>,
}

/// A refusal by the proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) refused: Refused,
    /// What decided.
    pub(crate) evidence: Option<Evidence>,
    /// Why it is not certain, where it is not.
    pub(crate) doubt: Option<Doubt>,
}

/// The service that an address leads to on a node.
pub(crate) fn frontend<'a>(
    cluster: &'a Cluster,
    node: NodeId,
    packet: &Packet,
) -> Option<Frontend<'a>> {
    let node_ports = answers_node_ports(cluster, node, packet.destination);
    frontend_where(cluster, packet, node_ports)
}

/// Whether kube-proxy answers node ports on this address of the node.
fn answers_node_ports(cluster: &Cluster, node: NodeId, address: IpAddr) -> bool {
    if address.is_loopback() {
        return of(cluster.proxy.mode.value).loopback().is_ok()
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

/// Whether the packet was for some service's node port, and why that did not answer: with what says
/// so, the deciding one first.
pub(in crate::datapath) fn unanswered(
    place: Place<'_>,
    packet: &Packet,
) -> Option<(Unanswered, Vec<Evidence>, Option<Doubt>)> {
    let Place { cluster, node, .. } = place;
    let to = packet.destination;
    let own = is_host_address(cluster, node, to);
    let frontend = frontend_where(cluster, packet, own)
        .filter(|frontend| frontend.kind() == FrontendKind::NodePort)?;
    let service = frontend.at.service;
    let said =
        |why, evidence, doubt| Some((Unanswered { service, why, late: None }, evidence, doubt));
    if !answers_node_ports(cluster, node, to) {
        let (why, setting, doubt) = unanswered_address(cluster, to);
        return said(why, vec![Evidence::NodePort(service), setting], doubt);
    }
    let usable = usable(cluster, node, frontend.port, to.family());
    if !usable.any {
        return said(NotTaken::NoEndpoints, vec![Evidence::NoEndpoints(service)], None);
    }
    if !frontend.local() || !usable.local.is_empty() {
        return None;
    }
    let mut evidence = vec![frontend.policy(PolicyEffect::NoneLocal)];
    if matches!(place.from, Some(Device::Pod(_))) {
        evidence.push(Evidence::NotLocalHere(packet.source));
    }
    said(NotTaken::NoLocalEndpoints, evidence, None)
}

/// Why no node port is answered on an address of the node.
fn unanswered_address(cluster: &Cluster, to: IpAddr) -> (NotTaken, Evidence, Option<Doubt>) {
    let proxy = &cluster.proxy;
    match of(proxy.mode.value).loopback() {
        Err(doubt) if to.is_loopback() => (NotTaken::Loopback, Evidence::Mode, doubt),
        Ok(()) if to.is_loopback() && !to.is_ipv4() => (NotTaken::Loopback, Evidence::Mode, None),
        Ok(()) if to.is_loopback() && !proxy.localhost_node_ports.value => {
            (NotTaken::LocalhostNodePorts, Evidence::LocalhostNodePorts, None)
        }
        _ => (NotTaken::Address, Evidence::NodePortAddresses, None),
    }
}

/// What kube-proxy's local detector says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detected {
    /// It has no way to tell.
    Unable,
    /// A pod's packet.
    Pod,
    /// Not a pod's packet.
    Other,
}

/// Whether a packet's sender counts as a pod (`getLocalDetectors`).
pub(crate) fn detect(place: Place<'_>, source: IpAddr) -> Detected {
    let from_device = |matches: &dyn Fn(&str) -> bool| match place.from {
        Some(Device::Pod(pod)) => {
            place.cluster.pod(pod).is_some() && matches(&place.cluster.veth(pod))
        }
        Some(device) => device.interface(source.family()).is_some_and(matches),
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
pub(crate) enum LocalMatch<'a> {
    /// The source with a range.
    Source(IpNet),
    /// The device with a name.
    Device(&'a str),
    /// The device with the beginning of names.
    Devices(&'a str),
}

/// The local detector's condition in a packet's family; none if it can't tell.
pub(crate) fn local_match(place: Place<'_>, source: IpAddr) -> Option<LocalMatch<'_>> {
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
pub(crate) fn cluster_ip_mark(place: Place<'_>, source: IpAddr) -> Option<Evidence> {
    if place.cluster.proxy.masquerade_all.value {
        return Some(Evidence::MasqueradeAll);
    }
    (detect(place, source) == Detected::Other).then_some(Evidence::NotLocal(source))
}
