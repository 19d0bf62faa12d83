//! The short names that every report uses for machines, rules and packets.

use std::net::IpAddr;

use crate::datapath::{Machine, Rule, Step};
use crate::decision::{Asked, By, Decision, Says};
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

/// The deciding policy: `NetworkPolicy foo/test`, or `no policy`.
pub fn by(decision: &Decision) -> String {
    match &decision.by {
        By::NoPolicy => "no policy".to_owned(),
        By::Policy(object) => object.to_string(),
        By::Isolation(objects) => {
            objects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
    }
}

/// What was decided and by whom: `Deny by NetworkPolicy foo/test`, `Allow: no policy`.
pub fn decided(decided: &Decision) -> String {
    let joint = if decided.by == By::NoPolicy { ":" } else { " by" };
    format!("{}{joint} {}", decision(decided), by(decided))
}

/// Who was asked in which order, where that is worth saying: of Kubernetes' policies among
/// themselves it does not matter. Each with its answer: `AdminNetworkPolicy a (tier kube-admin):
/// passes on`.
pub fn asked(decision: &Decision) -> Vec<String> {
    let kubernetes = |asked: &Asked| match &asked.policy {
        Some(policy) => policy.kind == "NetworkPolicy" && asked.order == Some(1000.0),
        None => asked.tier == "default",
    };
    let policies = decision.asked.iter().filter(|asked| asked.policy.is_some()).count();
    if policies < 2 || decision.asked.iter().all(kubernetes) {
        return Vec::new();
    }
    let told = decision.asked.iter().map(|asked| {
        let says = match (&asked.policy, asked.says) {
            (_, Says::Allow) => "allows it",
            (_, Says::Deny) => "denies it",
            (_, Says::Pass) => "passes on",
            (_, Says::Nothing) => "no rule matches",
        };
        match &asked.policy {
            Some(policy) => format!("{policy} (tier {}): {says}", asked.tier),
            None if asked.says == Says::Deny => {
                format!("end of tier {}: denies what its policies do not decide", asked.tier)
            }
            None => format!("end of tier {}: {says}", asked.tier),
        }
    });
    told.collect()
}

/// `Allow` or `Deny`.
pub fn decision(decision: &Decision) -> &'static str {
    if decision.allow { "Allow" } else { "Deny" }
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
