//! A packet on its way through one node.

use super::proxy::{Nat, Place};
use crate::cluster::{Cluster, NodeId, PodId};
use crate::datapath::evidence::Evidence;
use crate::datapath::fact::Device;
use crate::datapath::route::Route;
use crate::net::{Direction, Packet};

/// What the hooks of one node leave to each other.
pub(super) struct Passage<'a> {
    pub(super) node: NodeId,
    /// `None` for the node's own packets.
    pub(super) from: Option<Device>,
    /// As it came.
    pub(super) original: Packet,
    /// The masquerade mark (0x4000), and why it was set.
    pub(super) mark: Option<Evidence>,
    /// What the proxy wants, as long as it is not done.
    pub(super) nat: Nat<'a>,
    /// What host endpoints accepted before.
    pub(super) accepted: Accepted,
}

impl<'a> Passage<'a> {
    pub(super) fn place(&self, cluster: &'a Cluster) -> Place<'a> {
        Place { cluster, node: self.node, from: self.from }
    }

    /// The pods whose policies it must pass on its way to a device, in order.
    pub(super) fn gates(&self, to: &Route) -> impl Iterator<Item = (Direction, PodId)> + use<> {
        let leaves = match self.from {
            Some(Device::Pod(pod)) => Some((Direction::Egress, pod)),
            _ => None,
        };
        let enters = match to {
            Route::Pod(pod) => Some((Direction::Ingress, *pod)),
            _ => None,
        };
        leaves.into_iter().chain(enters)
    }
}

/// What host endpoints accepted before the packet was routed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Accepted {
    /// By a rule, for good: later chains of the incoming interface are not asked.
    pub(super) at_all: bool,
    /// By a doNotTrack policy: conntrack does not know it, so nothing is translated.
    pub(super) untracked: bool,
}
