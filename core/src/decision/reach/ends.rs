//! Who is asked about.

use std::net::IpAddr;

use crate::cluster::PodId;
use crate::net::Protocol;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A pod.
    Pod(PodId),
    /// Whatever has the address.
    Address(IpAddr),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Whose port.
    pub pod: PodId,
    /// Over which protocol.
    pub protocol: Protocol,
    /// Which; without one it is asked about a port that no rule names.
    pub port: Option<u16>,
}
