//! A packet's headers, as far as anything on its way looks at them.

use std::net::IpAddr;

use serde::Serialize;

use super::family::{Family, InFamily};
use super::flow::{Protocol, address_and_port};

/// A packet's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Packet {
    /// The transport protocol.
    pub protocol: Protocol,
    /// Source address.
    pub source: IpAddr,
    /// Source port; `None` for a client's random one.
    pub source_port: Option<u16>,
    /// Destination address.
    pub destination: IpAddr,
    /// Destination port; `None` for a client's random one.
    pub destination_port: Option<u16>,
    /// The header around it while it travels through a tunnel.
    pub outer: Option<Outer>,
}

/// The header that a tunnel puts around a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Outer {
    /// Which tunnel.
    pub encapsulation: Encapsulation,
    /// The sending node.
    pub source: IpAddr,
    /// The receiving node.
    pub destination: IpAddr,
}

/// A kind of tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Encapsulation {
    /// IP protocol 4, device tunl0.
    Ipip,
    /// UDP 4789, device vxlan.calico.
    Vxlan,
    /// UDP 51820, device wireguard.cali.
    Wireguard,
}

impl Encapsulation {
    /// The device that wraps and unwraps packets of a family.
    pub fn device(self, family: Family) -> &'static str {
        match (self, family) {
            (Self::Ipip, _) => "tunl0",
            (Self::Vxlan, Family::V4) => "vxlan.calico",
            (Self::Vxlan, Family::V6) => "vxlan-v6.calico",
            (Self::Wireguard, Family::V4) => "wireguard.cali",
            (Self::Wireguard, Family::V6) => "wg-v6.cali",
        }
    }

    /// As people say it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ipip => "IPIP",
            Self::Vxlan => "VXLAN",
            Self::Wireguard => "WireGuard",
        }
    }
}

impl Packet {
    /// Its addresses' family.
    pub(crate) fn family(&self) -> Family {
        self.destination.family()
    }

    /// The packet that answers this one.
    pub(crate) fn answered(&self) -> Self {
        Self {
            protocol: self.protocol,
            source: self.destination,
            source_port: self.destination_port,
            destination: self.source,
            destination_port: self.source_port,
            outer: None,
        }
    }

    /// Same addresses and ports.
    pub(crate) fn same_connection(&self, other: &Self) -> bool {
        self.wrapped(None) == other.wrapped(None)
    }

    pub(crate) fn with_source(&self, source: IpAddr) -> Self {
        Self { source, ..*self }
    }

    pub(crate) fn with_destination(&self, destination: IpAddr, port: u16) -> Self {
        Self { destination, destination_port: Some(port), ..*self }
    }

    pub(crate) fn wrapped(&self, outer: Option<Outer>) -> Self {
        Self { outer, ..*self }
    }

    /// Destination with its port.
    pub fn to(&self) -> String {
        address_and_port(self.destination, self.destination_port)
    }

    /// Source, with its port where it is known.
    pub fn from(&self) -> String {
        address_and_port(self.source, self.source_port)
    }
}
