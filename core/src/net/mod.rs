//! The words of the trade, which every other room speaks: who opens a connection to what, packets
//! and their headers, labels and selectors over them.

mod family;
mod flow;
mod ip_protocol;
mod labels;
mod packet;
mod selector;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

pub use family::{Family, InFamily};
pub(crate) use flow::address_and_port;
pub use flow::{Flow, Party, PortRef, Protocol, Target, WORKLOAD_KINDS};
pub use ip_protocol::IpProtocol;
pub(crate) use labels::{CALICO_NAME, Lookup};
pub use labels::{Selector, SelectorMiss};
pub use packet::{Encapsulation, Outer, Packet};
pub use selector::SelectorError;

/// Labels, sorted by key.
pub type Labels = BTreeMap<String, String>;

/// A container's declared port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPort {
    /// Empty if it has none.
    pub name: String,
    /// `containerPort`.
    pub port: u16,
    /// `protocol`.
    pub protocol: Protocol,
}

/// What the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Verdict {
    /// A connection.
    Delivered,
    /// Silence until it times out.
    Dropped,
    /// An immediate error: a TCP reset or an ICMP unreachable.
    Rejected,
    /// No route, or no such destination.
    Unroutable,
    /// It differs by the endpoint that is picked.
    Mixed,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Delivered, Self::Dropped, Self::Rejected, Self::Unroutable, Self::Mixed];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "Delivered",
            Self::Dropped => "Dropped",
            Self::Rejected => "Rejected",
            Self::Unroutable => "Unroutable",
            Self::Mixed => "Mixed",
        }
    }

    /// The verdict of this word.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which of a pod's two questions is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Direction {
    /// May the packet leave this pod?
    Egress,
    /// May the packet enter this pod?
    Ingress,
}

/// As sentences spell it.
impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        })
    }
}
