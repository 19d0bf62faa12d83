//! kube-proxy's and the hosts' settings, with their defaults.

use ipnet::IpNet;

use super::source::{Found, Source, written};
use super::{Pool, felix};
use crate::manifest::kube_proxy::KubeProxyConfiguration;
use crate::manifest::{Kind, Object};
use crate::text::{Origin, Setting};

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

impl ProxyMode {
    /// kube-proxy's.
    pub const KUBE_PROXY: [Self; 3] = [Self::Iptables, Self::Ipvs, Self::Nftables];

    /// As kube-proxy's configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Ipvs => "ipvs",
            Self::Nftables => "nftables",
            Self::Ebpf => "ebpf",
        }
    }
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

/// The settings of the nodes' kernels.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// `spec.hosts.rpFilter: Strict` of the scenario.
    pub strict_rp_filter: Setting<bool>,
}

impl Default for Proxy {
    fn default() -> Self {
        Self::read(None)
    }
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            strict_rp_filter: Setting {
                value: true,
                origin: Origin::Assumed(
                    "net.ipv4.conf.*.rp_filter is not in any object".to_owned(),
                ),
            },
        }
    }
}

impl Hosts {
    /// What the scenario says of them.
    pub(crate) fn written(objects: &[Object]) -> Self {
        let strict = objects.iter().find_map(|object| match &object.kind {
            Kind::Scenario(scenario) => {
                let mode = scenario.spec.hosts.rp_filter.as_deref()?;
                Some(written(mode != "Loose", object.cite("spec.hosts.rpFilter")))
            }
            _ => None,
        });
        strict.map_or_else(Self::default, |strict_rp_filter| Self { strict_rp_filter })
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
    let bpf = felix::object(objects).filter(|(_, felix)| felix.spec.bpf_enabled == Some(true));
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
        let modes = ProxyMode::KUBE_PROXY.map(|mode| (mode.name(), mode));
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
