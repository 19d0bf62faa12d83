//! Which host endpoint a device of a node belongs to.

use super::fact::Device;
use super::step::Step;
use super::walk::Walk;
use crate::cluster::{HostEndpointId, NodeId};
use crate::decision::HostPacket;
use crate::net::{Encapsulation, Family, IpProtocol, Packet};
use crate::policy::form::HostEndpoint;

/// Prefixes of the names of devices that are no network card.
const VIRTUAL: [&str; 8] = ["cali", "tunl", "vxlan", "wireguard", "wg-", "lo", "kube-", "docker"];

impl<'a> Walk<'a> {
    /// The host endpoint that a device belongs to: by its name, by its addresses, or the one for
    /// all interfaces, which takes in pods' (`endpoint_mgr.go resolveHostEndpoints`). A network card
    /// has any name that is no tunnel's and no pod's; loopback is left alone.
    pub(super) fn host_endpoint(
        &self,
        node: NodeId,
        device: Device,
        family: Family,
    ) -> Option<(HostEndpointId, &'a HostEndpoint)> {
        let all = &self.cluster.policies.host_endpoints;
        if all.is_empty() || device == Device::Loopback {
            return None;
        }
        let here = self.cluster.node(node)?;
        let own = || all.iter().enumerate().filter(|(_, host)| host.node == here.name);
        let named = |(_, host): &(usize, &HostEndpoint)| match host
            .interface
            .as_deref()
            .filter(|interface| !interface.is_empty())
        {
            Some("*") => false,
            Some(name) => match device {
                Device::Ethernet => !VIRTUAL.iter().any(|prefix| name.starts_with(prefix)),
                _ => device.interface(family) == Some(name),
            },
            None => match device {
                Device::Ethernet => {
                    here.addresses.iter().any(|own| host.addresses.contains(&own.addr()))
                }
                Device::Tunnel(encapsulation) => here
                    .network
                    .tunnel_address(encapsulation, family)
                    .is_some_and(|own| host.addresses.contains(&own)),
                _ => false,
            },
        };
        let every = |(_, host): &(usize, &HostEndpoint)| host.interface.as_deref() == Some("*");
        let (id, host) = own().find(named).or_else(|| own().find(every))?;
        Some((HostEndpointId(id), host))
    }
}

/// What a host endpoint's policies are asked about at a step.
pub(crate) fn host_packet(step: &Step) -> HostPacket {
    outer_headers(&step.before).unwrap_or_else(|| headers(&step.before))
}

/// A packet's own headers.
pub(super) fn headers(packet: &Packet) -> HostPacket {
    HostPacket {
        source: packet.source,
        destination: packet.destination,
        protocol: packet.protocol.number(),
        source_port: packet.source_port,
        destination_port: packet.destination_port,
    }
}

/// What the network card sees of a packet in a tunnel.
pub(super) fn outer_headers(packet: &Packet) -> Option<HostPacket> {
    let outer = packet.outer?;
    let (protocol, port) = match outer.encapsulation {
        Encapsulation::Ipip => (IpProtocol::IPIP, None),
        Encapsulation::Vxlan => (IpProtocol::UDP, Some(4789)),
        Encapsulation::Wireguard => (IpProtocol::UDP, Some(51820)),
    };
    Some(HostPacket {
        source: outer.source,
        destination: outer.destination,
        protocol,
        source_port: None,
        destination_port: port,
    })
}
