//! The short names that every report uses for machines, rules and packets.

use std::net::IpAddr;

use crate::datapath::{Machine, Rule, Step};
use crate::net::{Encapsulation, Outer, Packet, address_and_port};
use crate::text::Cite;

/// A step's name, in two or three words.
pub fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Send => "sends",
        Rule::DeviceIn => "in",
        Rule::DeviceOut => "out",
        Rule::Dnat => "DNAT",
        Rule::NoEndpoints => "no endpoints",
        Rule::NoLocalEndpoints => "no local endpoints",
        Rule::SourceRange => "source ranges",
        Rule::NoRoute => "no route",
        Rule::Martian => "martian source",
        Rule::RpFilter => "rp_filter",
        Rule::EgressGate => "egress policy",
        Rule::IngressGate => "ingress policy",
        Rule::HostGate => "host policy",
        Rule::GateSkipped => "policy not asked",
        Rule::EndpointToHost => "endpoint to host",
        Rule::Masquerade => "SNAT, masquerade",
        Rule::NatOutgoing => "SNAT, natOutgoing",
        Rule::TunnelSource => "SNAT, tunnel source",
        Rule::Encapsulate => "wrap",
        Rule::Decapsulate => "unwrap",
        Rule::BalancerForward | Rule::RouterForward => "forward",
        Rule::BalancerConnect => "new connection",
        Rule::ServiceLoop => "service loop",
        Rule::DeliverToPod | Rule::DeliverToHost => "arrives",
        Rule::NoListener => "no listener",
        Rule::UnNat => "un-NAT",
        Rule::ReplyDelivered => "reply arrives",
        Rule::ReplyLost => "reply lost",
    }
}

/// How a step stands out: where the eye must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing changes.
    Passes,
    /// An address or port is rewritten.
    Rewrites,
    /// A policy lets it through.
    Opens,
    /// The path ends here.
    Stops,
    /// It is where it should be.
    Arrives,
}

/// How a step stands out.
pub fn mark(step: &Step) -> Mark {
    match step.rule {
        Rule::EgressGate | Rule::IngressGate | Rule::HostGate => {
            let allowed = step.gate.as_ref().is_none_or(|gate| gate.decision.allow);
            if allowed { Mark::Opens } else { Mark::Stops }
        }
        Rule::NoEndpoints
        | Rule::NoLocalEndpoints
        | Rule::SourceRange
        | Rule::NoRoute
        | Rule::Martian
        | Rule::RpFilter
        | Rule::ServiceLoop
        | Rule::NoListener
        | Rule::ReplyLost => Mark::Stops,
        Rule::DeliverToPod | Rule::DeliverToHost | Rule::ReplyDelivered => Mark::Arrives,
        _ if rewritten(step) => Mark::Rewrites,
        _ => Mark::Passes,
    }
}

/// Does the step change the packet's own addresses or ports?
pub fn rewritten(step: &Step) -> bool {
    source(&step.before) != source(&step.after)
        || destination(&step.before) != destination(&step.after)
}

/// Where the packet says it comes from.
pub fn source(packet: &Packet) -> String {
    address_and_port(packet.source, packet.source_port)
}

/// Where the packet goes.
pub fn destination(packet: &Packet) -> String {
    address_and_port(packet.destination, packet.destination_port)
}

/// The header around a packet in a tunnel: `IPIP 192.168.1.11 → 192.168.1.12`.
pub fn outer(outer: &Outer) -> String {
    format!("{} {} → {}", encapsulation(outer.encapsulation), outer.source, outer.destination)
}

/// A tunnel's usual name.
pub fn encapsulation(encapsulation: Encapsulation) -> &'static str {
    match encapsulation {
        Encapsulation::Ipip => "IPIP",
        Encapsulation::Vxlan => "VXLAN",
        Encapsulation::Wireguard => "WireGuard",
    }
}

/// A machine's own name.
pub fn name(machine: &Machine) -> &str {
    match machine {
        Machine::Client(name) | Machine::Balancer(name) | Machine::Node(name) => name,
        Machine::Router => "router",
    }
}

/// A machine with its kind where its name does not tell it: `client user`.
pub fn machine(machine: &Machine) -> String {
    match machine {
        Machine::Client(name) => format!("client {name}"),
        Machine::Balancer(name) => format!("load balancer {name}"),
        Machine::Router | Machine::Node(_) => name(machine).to_owned(),
    }
}

/// A machine's name for a person.
pub(crate) fn machine_name(machine: &Machine) -> String {
    match machine {
        Machine::Client(name) if name == "client" || name.parse::<IpAddr>().is_ok() => {
            "client".to_owned()
        }
        Machine::Client(name) => format!("client {name}"),
        Machine::Balancer(name) if name.contains("balancer") => name.clone(),
        Machine::Balancer(name) => format!("balancer {name}"),
        Machine::Router => "the routers".to_owned(),
        Machine::Node(name) => name.clone(),
    }
}

/// A place in the text: `NetworkPolicy foo/test, spec.ingress, line 12`.
pub fn cite(cite: &Cite) -> String {
    let mut place = cite.object.to_string();
    if !cite.field.is_empty() {
        place = format!("{place}, {}", cite.field);
    }
    match cite.span {
        Some(span) => format!("{place}, line {}", span.line),
        None => place,
    }
}

/// A share of the new connections, as a person says it: `1 in 3`.
pub fn share(share: f64) -> String {
    for n in 1..=64_u32 {
        let per = share * f64::from(n);
        if (per - per.round()).abs() < 1e-6 && per.round() >= 1.0 {
            return format!("{} in {n}", per.round());
        }
    }
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_as_fractions() {
        for (value, told) in [
            (1.0, "1 in 1"),
            (0.5, "1 in 2"),
            (1.0 / 3.0, "1 in 3"),
            (0.75, "3 in 4"),
            (0.123_45, "12.3 %"),
        ] {
            assert_eq!(share(value), told);
        }
    }
}
