//! kube-proxy's, Felix' and the pools' settings, with their defaults.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::{EncapMode, Pool};
use crate::manifest::calico::{FelixConfiguration, FelixConfigurationSpec, ProtoPort};
use crate::manifest::kube_proxy::KubeProxyConfiguration;
use crate::manifest::{Kind, Object};
use crate::net::{Family, IpProtocol, Protocol};
use crate::text::{Cite, Origin, Setting};

/// kube-proxy's settings.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// `mode`.
    pub mode: Setting<ProxyMode>,
    /// `detectLocalMode`, resolved.
    pub detect_local: Setting<LocalDetector>,
    /// `iptables.masqueradeAll`, or `nftables.masqueradeAll` in nftables mode.
    pub masquerade_all: Setting<bool>,
    /// `nodePortAddresses`.
    pub node_port_addresses: Setting<NodePortAddresses>,
    /// `iptables.localhostNodePorts`.
    pub localhost_node_ports: Setting<bool>,
    /// `ipvs.scheduler`.
    pub ipvs_scheduler: Setting<String>,
}

/// Who turns service addresses into endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyMode {
    /// kube-proxy with iptables.
    Iptables,
    /// kube-proxy with IPVS.
    Ipvs,
    /// kube-proxy with nftables.
    Nftables,
    /// Calico's eBPF dataplane, which replaces kube-proxy.
    Ebpf,
}

/// How kube-proxy tells a pod's packet from others (`getLocalDetectors`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalDetector {
    /// It can't tell: no `clusterCIDR`.
    NoOp,
    /// A source in one of these is a pod.
    ClusterCidr(Vec<IpNet>),
    /// A source in the node's `spec.podCIDR` is a pod.
    NodeCidr,
    /// What comes in from this bridge is a pod.
    BridgeInterface(String),
    /// What comes in from a device with this prefix is a pod.
    InterfaceNamePrefix(String),
}

/// Which of a node's addresses answer on node ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// Every local address.
    All,
    /// Only the node's own.
    Primary,
    /// Those in one of these.
    In(Vec<IpNet>),
}

/// Felix's settings, and the hosts'.
#[derive(Clone, Debug)]
pub struct Felix {
    /// `chainInsertMode: Append`.
    pub append_chains: Setting<bool>,
    /// `defaultEndpointToHostAction`.
    pub endpoint_to_host: Setting<EndpointToHost>,
    /// `serviceLoopPrevention`.
    pub service_loop_prevention: Setting<ServiceLoopPrevention>,
    /// `natOutgoingExclusions: IPPoolsAndHostIPs`.
    pub nat_excludes_hosts: Setting<bool>,
    /// `bpfExternalServiceMode: DSR`.
    pub dsr: Setting<bool>,
    /// `bpfConnectTimeLoadBalancing`, or the older `bpfConnectTimeLoadBalancingEnabled`.
    pub connect_time: Setting<ConnectTime>,
    /// `kubeNodePortRanges`: what is taken for a node port in IPVS mode.
    pub node_port_ranges: Setting<Vec<RangeInclusive<u16>>>,
    /// `natOutgoingAddress`: the source that natOutgoing gives, instead of the device's.
    pub nat_outgoing_address: Option<Setting<IpAddr>>,
    /// `programClusterRoutes`: which routes to other nodes' blocks Felix writes, instead of BIRD.
    pub cluster_routes: Setting<ClusterRoutes>,
    /// `wireguardEnabled`.
    pub wireguard: Setting<bool>,
    /// `wireguardEnabledV6`.
    pub wireguard_v6: Setting<bool>,
    /// `failsafeInboundHostPorts`.
    pub failsafe_inbound: Setting<Vec<Failsafe>>,
    /// `failsafeOutboundHostPorts`.
    pub failsafe_outbound: Setting<Vec<Failsafe>>,
    /// `spec.hosts.rpFilter: Strict` of the scenario.
    pub strict_rp_filter: Setting<bool>,
}

impl Felix {
    /// Whether `WireGuard` wraps what goes between nodes, for one family.
    pub fn wireguard_of(&self, family: Family) -> &Setting<bool> {
        match family {
            Family::V4 => &self.wireguard,
            Family::V6 => &self.wireguard_v6,
        }
    }
}

/// A port that Felix keeps open on every host endpoint, before any policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failsafe {
    /// TCP or UDP, as the IP header has it.
    pub protocol: IpProtocol,
    /// The destination port.
    pub port: u16,
    /// Only with this network at the other end.
    pub net: Option<IpNet>,
}

impl Failsafe {
    fn list(tcp: &[u16], udp: &[u16]) -> Vec<Self> {
        let of = |protocol: Protocol| {
            move |port: &u16| Self { protocol: protocol.number(), port: *port, net: None }
        };
        tcp.iter().map(of(Protocol::Tcp)).chain(udp.iter().map(of(Protocol::Udp))).collect()
    }

    /// `None` if its network is none.
    fn read(port: &ProtoPort) -> Option<Self> {
        let udp = port.protocol.eq_ignore_ascii_case("udp");
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp }.number();
        let net = match port.net.as_deref().filter(|net| !net.is_empty()) {
            Some(net) => Some(net.parse().ok()?),
            None => None,
        };
        Some(Self { protocol, port: port.port, net })
    }
}

/// `bpfConnectTimeLoadBalancing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectTime {
    /// Only TCP.
    Tcp,
    /// Every protocol.
    Enabled,
    /// None.
    Disabled,
}

/// `programClusterRoutes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterRoutes {
    /// None but VXLAN's: BIRD writes what it learns over BGP.
    Disabled,
    /// Those into IPIP tunnels, too.
    Ipip,
    /// All.
    Enabled,
}

/// `defaultEndpointToHostAction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointToHost {
    /// Drop.
    Drop,
    /// Go on to the rules after Calico's.
    Return,
    /// Accept at once.
    Accept,
}

/// `serviceLoopPrevention`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceLoopPrevention {
    /// Drop.
    Drop,
    /// Reject.
    Reject,
    /// Nothing.
    Disabled,
}

impl Default for Proxy {
    fn default() -> Self {
        Self::read(None)
    }
}

impl Default for Felix {
    fn default() -> Self {
        Self::read(None)
    }
}

/// A value that the text writes.
pub(crate) fn written<T>(value: T, cite: Cite) -> Setting<T> {
    Setting { value, origin: Origin::Written(cite) }
}

/// A value that its reader defaults.
pub(crate) fn default<T>(value: T, why: &str) -> Setting<T> {
    Setting { value, origin: Origin::Default(why.to_owned()) }
}

/// The object that writes settings, if there is one.
#[derive(Clone, Copy)]
struct Source<'a>(Option<&'a Object>);

/// What it writes at a path.
struct Found<T> {
    /// `None` if it writes nothing there.
    cite: Option<Cite>,
    /// `None` if that is no particular value.
    value: Option<T>,
}

impl Source<'_> {
    fn at<T>(self, path: &str, value: Option<T>) -> Found<T> {
        Found { cite: self.0.filter(|_| value.is_some()).map(|object| object.cite(path)), value }
    }

    /// A word that stands for a value.
    fn word<T: Copy>(self, path: &str, word: Option<&String>, values: &[(&str, T)]) -> Found<T> {
        let cite = self.0.filter(|_| word.is_some()).map(|object| object.cite(path));
        let is =
            |(known, _): &&(&str, T)| word.is_some_and(|word| word.eq_ignore_ascii_case(known));
        Found { cite, value: values.iter().find(is).map(|(_, value)| *value) }
    }
}

impl<T> Found<T> {
    /// The setting, with its reader's default and why that is.
    fn or(self, usual: T, why: &str) -> Setting<T> {
        match self.cite {
            Some(cite) => written(self.value.unwrap_or(usual), cite),
            None => default(usual, why),
        }
    }
}

/// Which mode, and all its settings. `bpfEnabled` replaces kube-proxy.
pub(crate) fn proxy(objects: &[Object], pools: &[Pool]) -> Proxy {
    let found = objects.iter().find_map(|object| match &object.kind {
        Kind::KubeProxyConfiguration(config) => Some((object, config.as_ref())),
        _ => None,
    });
    let mut proxy = Proxy::read(found);
    if found.is_none() {
        proxy.detect_local = Setting {
            value: LocalDetector::ClusterCidr(pools.iter().map(|pool| pool.cidr).collect()),
            origin: Origin::Assumed(
                "there is no KubeProxyConfiguration; installers set clusterCIDR to the pods' addresses"
                    .to_owned(),
            ),
        };
    }
    let bpf = felix_object(objects).filter(|(_, felix)| felix.spec.bpf_enabled == Some(true));
    if let Some((object, _)) = bpf {
        proxy.mode = written(ProxyMode::Ebpf, object.cite("spec.bpfEnabled"));
    }
    proxy
}

impl Proxy {
    /// What the configuration says, and kube-proxy's defaults.
    fn read(found: Option<(&Object, &KubeProxyConfiguration)>) -> Self {
        const DEFAULT: &str = "kube-proxy's default";
        let none = KubeProxyConfiguration::default();
        let (object, config) = found.unzip();
        let (from, config) = (Source(object), config.unwrap_or(&none));
        let filled = |word: &&String| !word.is_empty();
        let modes = [("ipvs", ProxyMode::Ipvs), ("nftables", ProxyMode::Nftables)];
        let mode = from
            .word("mode", config.mode.as_ref().filter(filled), &modes)
            .or(ProxyMode::Iptables, DEFAULT);
        let nftables = mode.value == ProxyMode::Nftables;
        let masquerade_all = if nftables {
            from.at("nftables.masqueradeAll", config.nftables.masquerade_all)
        } else {
            from.at("iptables.masqueradeAll", config.iptables.masquerade_all)
        };
        let (addresses, why) = if nftables {
            (NodePortAddresses::Primary, "kube-proxy's default in nftables mode")
        } else {
            (NodePortAddresses::All, DEFAULT)
        };
        Self {
            mode,
            detect_local: detect_local(from, config).or(
                LocalDetector::NoOp,
                "without clusterCIDR kube-proxy can't tell a pod's packet from others",
            ),
            masquerade_all: masquerade_all.or(false, DEFAULT),
            node_port_addresses: from
                .at("nodePortAddresses", NodePortAddresses::read(&config.node_port_addresses))
                .or(addresses, why),
            localhost_node_ports: from
                .at("iptables.localhostNodePorts", config.iptables.localhost_node_ports)
                .or(true, DEFAULT),
            ipvs_scheduler: from
                .at("ipvs.scheduler", config.ipvs.scheduler.as_ref().filter(filled).cloned())
                .or("rr".to_owned(), DEFAULT),
        }
    }
}

fn detect_local(from: Source<'_>, config: &KubeProxyConfiguration) -> Found<LocalDetector> {
    let detect = &config.detect_local;
    match config.detect_local_mode.as_deref() {
        Some("NodeCIDR") => from.at("detectLocalMode", Some(LocalDetector::NodeCidr)),
        Some("BridgeInterface") => {
            let name = detect.bridge_interface.clone().unwrap_or_default();
            from.at("detectLocal.bridgeInterface", Some(LocalDetector::BridgeInterface(name)))
        }
        Some("InterfaceNamePrefix") => {
            let prefix = detect.interface_name_prefix.clone().unwrap_or_default();
            let detector = LocalDetector::InterfaceNamePrefix(prefix);
            from.at("detectLocal.interfaceNamePrefix", Some(detector))
        }
        _ => {
            let ranges = config.cluster_cidr.as_deref().unwrap_or_default().split(',');
            let ranges: Vec<_> = ranges.filter_map(|range| range.trim().parse().ok()).collect();
            let detector = (!ranges.is_empty()).then_some(LocalDetector::ClusterCidr(ranges));
            from.at("clusterCIDR", detector)
        }
    }
}

impl NodePortAddresses {
    fn read(found: &[String]) -> Option<Self> {
        if found.iter().any(|address| address == "primary") {
            return Some(Self::Primary);
        }
        let ranges = || found.iter().filter_map(|range| range.parse().ok()).collect();
        (!found.is_empty()).then(|| Self::In(ranges()))
    }
}

/// The cluster's own Felix configuration; those of single nodes are not looked at.
fn felix_object(objects: &[Object]) -> Option<(&Object, &FelixConfiguration)> {
    objects.iter().find_map(|object| match &object.kind {
        Kind::FelixConfiguration(felix) if !object.reference.name.starts_with("node.") => {
            Some((object, felix.as_ref()))
        }
        _ => None,
    })
}

/// Felix' settings.
pub(crate) fn felix(objects: &[Object]) -> Felix {
    let mut felix = Felix::read(felix_object(objects));
    let strict = objects.iter().find_map(|object| match &object.kind {
        Kind::Scenario(scenario) => {
            let mode = scenario.spec.hosts.rp_filter.as_deref()?;
            Some(written(mode != "Loose", object.cite("spec.hosts.rpFilter")))
        }
        _ => None,
    });
    if let Some(strict) = strict {
        felix.strict_rp_filter = strict;
    }
    felix
}

impl Felix {
    /// What the configuration says, and Felix' defaults.
    fn read(found: Option<(&Object, &FelixConfiguration)>) -> Self {
        const DEFAULT: &str = "Felix's default";
        let none = FelixConfiguration::default();
        let (object, felix) = found.unzip();
        let (from, spec) = (Source(object), &felix.unwrap_or(&none).spec);
        let actions = [("Drop", EndpointToHost::Drop), ("Return", EndpointToHost::Return)];
        let preventions = [
            ("Reject", ServiceLoopPrevention::Reject),
            ("Disabled", ServiceLoopPrevention::Disabled),
        ];
        let routes =
            [("Enabled", ClusterRoutes::Enabled), ("EnabledIPIPOnly", ClusterRoutes::Ipip)];
        let ranges: Vec<_> = spec.kube_node_port_ranges.iter().filter_map(port_range).collect();
        let address = spec.nat_outgoing_address.as_deref().and_then(crate::manifest::ip);
        let failsafe = |ports: &Vec<ProtoPort>| ports.iter().filter_map(Failsafe::read).collect();
        let inbound = spec.failsafe_inbound_host_ports.as_ref().map(failsafe);
        let outbound = spec.failsafe_outbound_host_ports.as_ref().map(failsafe);
        Self {
            append_chains: from
                .word("spec.chainInsertMode", spec.chain_insert_mode.as_ref(), &[("Append", true)])
                .or(false, "Felix's default (Insert)"),
            endpoint_to_host: from
                .word(
                    "spec.defaultEndpointToHostAction",
                    spec.default_endpoint_to_host_action.as_ref(),
                    &actions,
                )
                .or(EndpointToHost::Accept, "what Calico's manifests and operator set"),
            service_loop_prevention: from
                .word(
                    "spec.serviceLoopPrevention",
                    spec.service_loop_prevention.as_ref(),
                    &preventions,
                )
                .or(ServiceLoopPrevention::Drop, DEFAULT),
            nat_excludes_hosts: from
                .word(
                    "spec.natOutgoingExclusions",
                    spec.nat_outgoing_exclusions.as_ref(),
                    &[("IPPoolsAndHostIPs", true)],
                )
                .or(false, "Felix's default (IPPoolsOnly)"),
            dsr: from
                .word(
                    "spec.bpfExternalServiceMode",
                    spec.bpf_external_service_mode.as_ref(),
                    &[("DSR", true)],
                )
                .or(false, "Felix's default (Tunnel)"),
            connect_time: connect_time(from, spec).or(ConnectTime::Tcp, "Felix's default (TCP)"),
            node_port_ranges: from
                .at("spec.kubeNodePortRanges", Some(ranges).filter(|found| !found.is_empty()))
                .or(vec![30000..=32767], "Felix's default (30000:32767)"),
            nat_outgoing_address: object
                .zip(address)
                .map(|(object, address)| written(address, object.cite("spec.natOutgoingAddress"))),
            cluster_routes: from
                .word("spec.programClusterRoutes", spec.program_cluster_routes.as_ref(), &routes)
                .or(ClusterRoutes::Disabled, "Felix's default before v3.33"),
            wireguard: from.at("spec.wireguardEnabled", spec.wireguard_enabled).or(false, DEFAULT),
            wireguard_v6: from
                .at("spec.wireguardEnabledV6", spec.wireguard_enabled_v6)
                .or(false, DEFAULT),
            failsafe_inbound: from
                .at("spec.failsafeInboundHostPorts", inbound)
                .or(Failsafe::list(&[22, 179, 2379, 2380, 5473, 6443, 6666, 6667], &[68]), DEFAULT),
            failsafe_outbound: from
                .at("spec.failsafeOutboundHostPorts", outbound)
                .or(Failsafe::list(&[179, 2379, 2380, 5473, 6443, 6666, 6667], &[53, 67]), DEFAULT),
            strict_rp_filter: Setting {
                value: true,
                origin: Origin::Assumed(
                    "net.ipv4.conf.*.rp_filter is not in any object".to_owned(),
                ),
            },
        }
    }
}

/// `bpfConnectTimeLoadBalancing`, or its older form, which counts where it is there.
fn connect_time(from: Source<'_>, spec: &FelixConfigurationSpec) -> Found<ConnectTime> {
    if let Some(all) = spec.bpf_connect_time_load_balancing_enabled {
        let value = if all { ConnectTime::Enabled } else { ConnectTime::Disabled };
        return from.at("spec.bpfConnectTimeLoadBalancingEnabled", Some(value));
    }
    let word = spec.bpf_connect_time_load_balancing.as_ref();
    let values = [("Enabled", ConnectTime::Enabled), ("Disabled", ConnectTime::Disabled)];
    from.word("spec.bpfConnectTimeLoadBalancing", word, &values)
}

/// `30000:32767`, or one port.
fn port_range(text: &crate::manifest::kubernetes::IntOrString) -> Option<RangeInclusive<u16>> {
    let text = text.to_string();
    let (first, last) = text.split_once(':').unwrap_or((&text, &text));
    Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
}

/// The address pools that the text has.
pub(crate) fn pools(objects: &[Object]) -> Vec<Pool> {
    const DEFAULT: &str = "IPPool's default";
    let modes = [("Always", EncapMode::Always), ("CrossSubnet", EncapMode::CrossSubnet)];
    objects
        .iter()
        .filter_map(|object| {
            let Kind::IpPool(pool) = &object.kind else { return None };
            let (from, spec) = (Source(Some(object)), &pool.spec);
            let cidr: IpNet = spec.cidr.parse().ok()?;
            let block_size = if cidr.addr().is_ipv4() { 26 } else { 122 };
            let size = spec.block_size.and_then(|size| u8::try_from(size).ok());
            Some(Pool {
                name: object.reference.name.clone(),
                cidr: cidr.trunc(),
                block_size: size.unwrap_or(block_size),
                ipip: from
                    .word("spec.ipipMode", spec.ipip_mode.as_ref(), &modes)
                    .or(EncapMode::Never, DEFAULT),
                vxlan: from
                    .word("spec.vxlanMode", spec.vxlan_mode.as_ref(), &modes)
                    .or(EncapMode::Never, DEFAULT),
                nat_outgoing: from.at("spec.natOutgoing", spec.nat_outgoing).or(false, DEFAULT),
                load_balancer_only: !spec.allowed_uses.is_empty()
                    && spec.allowed_uses.iter().all(|used| used == "LoadBalancer"),
                origin: Origin::Written(object.cite("")),
            })
        })
        .collect()
}
