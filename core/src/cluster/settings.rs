//! kube-proxy's, Felix' and the pools' settings, with their defaults.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::{EncapMode, Pool};
use crate::manifest::calico::{FelixConfiguration, FelixConfigurationSpec, ProtoPort};
use crate::manifest::kube_proxy::KubeProxyConfiguration;
use crate::manifest::{Kind, Object};
use crate::net::Protocol;
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
    pub fn wireguard_of(&self, v4: bool) -> &Setting<bool> {
        if v4 { &self.wireguard } else { &self.wireguard_v6 }
    }
}

/// A port that Felix keeps open on every host endpoint, before any policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failsafe {
    /// TCP or UDP, as the IP header has it.
    pub protocol: u8,
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
        Self {
            mode: default(ProxyMode::Iptables, "kube-proxy's default"),
            detect_local: default(LocalDetector::NoOp, "kube-proxy without clusterCIDR"),
            masquerade_all: default(false, "kube-proxy's default"),
            node_port_addresses: default(NodePortAddresses::All, "kube-proxy's default"),
            localhost_node_ports: default(true, "kube-proxy's default"),
            ipvs_scheduler: default("rr".to_owned(), "kube-proxy's default"),
        }
    }
}

impl Default for Felix {
    fn default() -> Self {
        Self {
            append_chains: default(false, "Felix's default (Insert)"),
            endpoint_to_host: default(
                EndpointToHost::Accept,
                "what Calico's manifests and operator set",
            ),
            service_loop_prevention: default(ServiceLoopPrevention::Drop, "Felix's default"),
            nat_excludes_hosts: default(false, "Felix's default (IPPoolsOnly)"),
            dsr: default(false, "Felix's default (Tunnel)"),
            connect_time: default(ConnectTime::Tcp, "Felix's default (TCP)"),
            node_port_ranges: default(vec![30000..=32767], "Felix's default (30000:32767)"),
            nat_outgoing_address: None,
            cluster_routes: default(ClusterRoutes::Disabled, "Felix's default before v3.33"),
            wireguard: default(false, "Felix's default"),
            wireguard_v6: default(false, "Felix's default"),
            failsafe_inbound: default(
                Failsafe::list(&[22, 179, 2379, 2380, 5473, 6443, 6666, 6667], &[68]),
                "Felix's default",
            ),
            failsafe_outbound: default(
                Failsafe::list(&[179, 2379, 2380, 5473, 6443, 6666, 6667], &[53, 67]),
                "Felix's default",
            ),
            strict_rp_filter: Setting {
                value: true,
                origin: Origin::Assumed(
                    "net.ipv4.conf.*.rp_filter is not in any object".to_owned(),
                ),
            },
        }
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

/// A value that the text writes, or its reader's default.
pub(crate) fn either<T>(
    found: Option<T>,
    object: &Object,
    path: &str,
    otherwise: Setting<T>,
) -> Setting<T> {
    match found {
        Some(value) => written(value, object.cite(path)),
        None => otherwise,
    }
}

/// Which mode, and all its settings. `bpfEnabled` replaces kube-proxy.
pub(crate) fn proxy(objects: &[Object], pools: &[Pool]) -> Proxy {
    let mut proxy = Proxy::default();
    let found = objects.iter().find_map(|object| match &object.kind {
        Kind::KubeProxyConfiguration(config) => Some((object, config)),
        _ => None,
    });
    if let Some((object, config)) = found {
        configure(&mut proxy, object, config);
    } else {
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

fn configure(proxy: &mut Proxy, object: &Object, config: &KubeProxyConfiguration) {
    let mode = config.mode.as_deref().filter(|mode| !mode.is_empty()).map(|mode| match mode {
        "ipvs" => ProxyMode::Ipvs,
        "nftables" => ProxyMode::Nftables,
        _ => ProxyMode::Iptables,
    });
    proxy.mode = either(mode, object, "mode", proxy.mode.clone());
    let nftables = proxy.mode.value == ProxyMode::Nftables;
    let ranges: Vec<IpNet> = config
        .cluster_cidr
        .iter()
        .flat_map(|text| text.split(','))
        .filter_map(|range| range.trim().parse().ok())
        .collect();
    let detect = &config.detect_local;
    proxy.detect_local = match config.detect_local_mode.as_deref().unwrap_or("ClusterCIDR") {
        "NodeCIDR" => written(LocalDetector::NodeCidr, object.cite("detectLocalMode")),
        "BridgeInterface" => {
            let name = detect.bridge_interface.clone().unwrap_or_default();
            written(
                LocalDetector::BridgeInterface(name),
                object.cite("detectLocal.bridgeInterface"),
            )
        }
        "InterfaceNamePrefix" => {
            let prefix = detect.interface_name_prefix.clone().unwrap_or_default();
            let cite = object.cite("detectLocal.interfaceNamePrefix");
            written(LocalDetector::InterfaceNamePrefix(prefix), cite)
        }
        _ if ranges.is_empty() => default(
            LocalDetector::NoOp,
            "without clusterCIDR kube-proxy can't tell a pod's packet from others",
        ),
        _ => written(LocalDetector::ClusterCidr(ranges), object.cite("clusterCIDR")),
    };
    let (all, path) = if nftables {
        (config.nftables.masquerade_all, "nftables.masqueradeAll")
    } else {
        (config.iptables.masquerade_all, "iptables.masqueradeAll")
    };
    proxy.masquerade_all = either(all, object, path, proxy.masquerade_all.clone());
    proxy.localhost_node_ports = either(
        config.iptables.localhost_node_ports,
        object,
        "iptables.localhostNodePorts",
        proxy.localhost_node_ports.clone(),
    );
    let scheduler = config.ipvs.scheduler.clone().filter(|name| !name.is_empty());
    proxy.ipvs_scheduler =
        either(scheduler, object, "ipvs.scheduler", proxy.ipvs_scheduler.clone());
    let addresses = &config.node_port_addresses;
    proxy.node_port_addresses = if addresses.is_empty() {
        if nftables {
            default(NodePortAddresses::Primary, "kube-proxy's default in nftables mode")
        } else {
            default(NodePortAddresses::All, "kube-proxy's default")
        }
    } else {
        let value = if addresses.iter().any(|address| address == "primary") {
            NodePortAddresses::Primary
        } else {
            NodePortAddresses::In(addresses.iter().filter_map(|a| a.parse().ok()).collect())
        };
        written(value, object.cite("nodePortAddresses"))
    };
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
    let mut felix = Felix::default();
    if let Some((object, found)) = felix_object(objects) {
        let spec = &found.spec;
        felix.append_chains = either(
            spec.chain_insert_mode.as_deref().map(|mode| mode.eq_ignore_ascii_case("append")),
            object,
            "spec.chainInsertMode",
            felix.append_chains,
        );
        let action = spec.default_endpoint_to_host_action.as_deref().map(|action| {
            match action.to_ascii_lowercase().as_str() {
                "drop" => EndpointToHost::Drop,
                "return" => EndpointToHost::Return,
                _ => EndpointToHost::Accept,
            }
        });
        felix.endpoint_to_host =
            either(action, object, "spec.defaultEndpointToHostAction", felix.endpoint_to_host);
        let prevention = spec.service_loop_prevention.as_deref().map(|mode| {
            match mode.to_ascii_lowercase().as_str() {
                "reject" => ServiceLoopPrevention::Reject,
                "disabled" => ServiceLoopPrevention::Disabled,
                _ => ServiceLoopPrevention::Drop,
            }
        });
        felix.service_loop_prevention =
            either(prevention, object, "spec.serviceLoopPrevention", felix.service_loop_prevention);
        felix.nat_excludes_hosts = either(
            spec.nat_outgoing_exclusions.as_deref().map(|mode| mode == "IPPoolsAndHostIPs"),
            object,
            "spec.natOutgoingExclusions",
            felix.nat_excludes_hosts,
        );
        felix.dsr = either(
            spec.bpf_external_service_mode.as_deref().map(|mode| mode.eq_ignore_ascii_case("DSR")),
            object,
            "spec.bpfExternalServiceMode",
            felix.dsr,
        );
        if let Some(setting) = connect_time(object, spec) {
            felix.connect_time = setting;
        }
        let ranges: Vec<_> = spec.kube_node_port_ranges.iter().filter_map(port_range).collect();
        if !ranges.is_empty() {
            felix.node_port_ranges = written(ranges, object.cite("spec.kubeNodePortRanges"));
        }
        felix.nat_outgoing_address = spec
            .nat_outgoing_address
            .as_deref()
            .and_then(crate::manifest::ip)
            .map(|address| written(address, object.cite("spec.natOutgoingAddress")));
        let routes = spec.program_cluster_routes.as_deref().map(|routes| match routes {
            "Enabled" => ClusterRoutes::Enabled,
            "EnabledIPIPOnly" => ClusterRoutes::Ipip,
            _ => ClusterRoutes::Disabled,
        });
        felix.cluster_routes =
            either(routes, object, "spec.programClusterRoutes", felix.cluster_routes);
        let failsafe = |ports: &Vec<ProtoPort>| ports.iter().filter_map(Failsafe::read).collect();
        felix.failsafe_inbound = either(
            spec.failsafe_inbound_host_ports.as_ref().map(failsafe),
            object,
            "spec.failsafeInboundHostPorts",
            felix.failsafe_inbound,
        );
        felix.failsafe_outbound = either(
            spec.failsafe_outbound_host_ports.as_ref().map(failsafe),
            object,
            "spec.failsafeOutboundHostPorts",
            felix.failsafe_outbound,
        );
        felix.wireguard =
            either(spec.wireguard_enabled, object, "spec.wireguardEnabled", felix.wireguard);
        felix.wireguard_v6 = either(
            spec.wireguard_enabled_v6,
            object,
            "spec.wireguardEnabledV6",
            felix.wireguard_v6,
        );
    }
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

/// `bpfConnectTimeLoadBalancing`, or its older form, which counts where it is there.
fn connect_time(object: &Object, spec: &FelixConfigurationSpec) -> Option<Setting<ConnectTime>> {
    let (value, suffix) = match (
        spec.bpf_connect_time_load_balancing.as_deref(),
        spec.bpf_connect_time_load_balancing_enabled,
    ) {
        (_, Some(true)) => (ConnectTime::Enabled, "Enabled"),
        (_, Some(false)) => (ConnectTime::Disabled, "Enabled"),
        (Some("Enabled"), None) => (ConnectTime::Enabled, ""),
        (Some("Disabled"), None) => (ConnectTime::Disabled, ""),
        (Some(_), None) => (ConnectTime::Tcp, ""),
        (None, None) => return None,
    };
    let path = format!("spec.bpfConnectTimeLoadBalancing{suffix}");
    Some(written(value, object.cite(&path)))
}

/// `30000:32767`, or one port.
fn port_range(text: &crate::manifest::kubernetes::IntOrString) -> Option<RangeInclusive<u16>> {
    let text = text.to_string();
    let (first, last) = text.split_once(':').unwrap_or((&text, &text));
    Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
}

/// The address pools that the text has.
pub(crate) fn pools(objects: &[Object]) -> Vec<Pool> {
    let mode = |found: Option<&str>, object: &Object, path: &str| {
        let found = found.map(|mode| match mode {
            "Always" => EncapMode::Always,
            "CrossSubnet" => EncapMode::CrossSubnet,
            _ => EncapMode::Never,
        });
        either(found, object, path, default(EncapMode::Never, "IPPool's default"))
    };
    objects
        .iter()
        .filter_map(|object| {
            let Kind::IpPool(pool) = &object.kind else { return None };
            let spec = &pool.spec;
            let cidr: IpNet = spec.cidr.parse().ok()?;
            let block_size = if cidr.addr().is_ipv4() { 26 } else { 122 };
            let size = spec.block_size.and_then(|size| u8::try_from(size).ok());
            Some(Pool {
                name: object.reference.name.clone(),
                cidr: cidr.trunc(),
                block_size: size.unwrap_or(block_size),
                ipip: mode(spec.ipip_mode.as_deref(), object, "spec.ipipMode"),
                vxlan: mode(spec.vxlan_mode.as_deref(), object, "spec.vxlanMode"),
                nat_outgoing: either(
                    spec.nat_outgoing,
                    object,
                    "spec.natOutgoing",
                    default(false, "IPPool's default"),
                ),
                load_balancer_only: !spec.allowed_uses.is_empty()
                    && spec.allowed_uses.iter().all(|used| used == "LoadBalancer"),
                origin: Origin::Written(object.cite("")),
            })
        })
        .collect()
}
