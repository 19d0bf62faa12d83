//! What happens to a packet: a node's hooks in the kernel's order, the service proxy, Calico's
//! gates, routes and tunnels, forward and back.

mod flow;
mod step;

pub(crate) use flow::address_and_port;
pub use flow::{Flow, Party, PortRef, Protocol, Target, WORKLOAD_KINDS};
pub use step::{
    Cause, CauseKind, Encapsulation, Gate, Hook, Inspect, Machine, Outcome, Outer, Packet, Rule,
    Step, Trace, Verdict,
};

use crate::cluster::Cluster;

/// What happens to `flow` in `cluster`, and why.
pub fn trace(cluster: &Cluster, flow: &Flow) -> Trace {
    let _ = cluster;
    Trace { flow: flow.clone(), verdict: Verdict::Unroutable, outcomes: Vec::new() }
}
