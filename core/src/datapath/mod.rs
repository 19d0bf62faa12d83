//! What happens to a packet: a node's hooks in the kernel's order, the service proxy, Calico's
//! gates, routes and tunnels, forward and back. It decides and records facts; words are made of them
//! elsewhere.

mod devices;
mod distribution;
pub(crate) mod ebpf;
mod evidence;
mod fact;
pub(crate) mod frontend;
mod gate;
mod interfaces;
#[cfg(test)]
mod laws;
pub(crate) mod netfilter;
mod network;
pub(crate) mod route;
mod send;
mod socket;
mod step;
mod walk;

pub use evidence::{Evidence, PolicyEffect};
pub use fact::{
    Device, Dnat, Doubt, Fact, FrontendKind, FrontendRef, Gate, Hint, HintedBy, Known, Late, Left,
    Listener, Lost, Masquerade, Masquerades, NoRoute, NotTaken, Out, Picked, Refused, Routed, Rule,
    Sent, Skipped, Subject, Translator, Unanswered, Untold, Wrap,
};
pub(crate) use interfaces::host_packet;
pub use send::trace;
pub use step::{Because, Cause, CauseKind, Hook, Machine, NoTarget, Outcome, Step, Trace};
