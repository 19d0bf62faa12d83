//! What happens to a packet: a node's hooks in the kernel's order, the service proxy, Calico's
//! gates, routes and tunnels, forward and back.

mod ask;
mod dnat;
mod ebpf;

mod evidence;
mod flow;
mod gate;
mod host;
#[cfg(test)]
mod laws;
mod leave;
mod network;
mod node;
mod postrouting;
mod proxy;
mod route;
mod step;
mod told;
mod walk;

pub(crate) use ask::is_outside;
pub use ask::trace;
pub(crate) use flow::address_and_port;
pub use flow::{Flow, Party, PortRef, Protocol, Target, WORKLOAD_KINDS};
pub use step::{
    Cause, CauseKind, Encapsulation, Gate, Hook, Inspect, Machine, Outcome, Outer, Packet, Rule,
    Step, Trace, Verdict,
};
