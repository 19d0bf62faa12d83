//! What happens to a packet: a node's hooks in the kernel's order, the service proxy, Calico's
//! gates, routes and tunnels, forward and back.

mod ask;
mod dnat;
mod ebpf;

mod evidence;
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

pub use ask::trace;
pub use evidence::Evidence;
pub use step::{Cause, CauseKind, Gate, Hook, Inspect, Machine, Outcome, Rule, Step, Trace};
