//! Felix' settings, with their defaults.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::source::{CLUSTER, Found, Source, written};
use crate::manifest::calico::{FelixConfiguration, FelixConfigurationSpec, ProtoPort};
use crate::manifest::{Kind, Object};
use crate::net::{Family, IpProtocol, Protocol};
use crate::text::Setting;

/// Felix' settings.
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

impl Default for Felix {
    fn default() -> Self {
        Self::read(None)
    }
}

/// The cluster's own Felix configuration; those of single nodes are not looked at.
pub(super) fn object(objects: &[Object]) -> Option<(&Object, &FelixConfiguration)> {
    objects.iter().find_map(|object| match &object.kind {
        Kind::FelixConfiguration(felix) if object.reference.name == CLUSTER => {
            Some((object, felix.as_ref()))
        }
        _ => None,
    })
}

impl Felix {
    /// What the text says of it.
    pub(super) fn of(objects: &[Object]) -> Self {
        Self::read(object(objects))
    }

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
