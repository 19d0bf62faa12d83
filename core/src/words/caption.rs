//! What a picture writes beside a step: a title, and a note of two or three words.

use super::owner::{Owner, owner_of};
use super::{names, proxy};
use crate::cluster::Cluster;
use crate::datapath::{Device, Dnat, Fact, FrontendKind, Gate, Masquerades, Rule, Step, Subject};
use crate::decision::By;
use crate::net::{Direction, Packet};
use crate::text::ObjectRef;

/// Title and note of a step; `ends` if the path ends with it.
pub fn caption(cluster: &Cluster, step: &Step, ends: bool) -> (String, String) {
    let proxy = || proxy::brand(cluster);
    let tunnel = |packet: &Packet| {
        packet.outer.map_or("a tunnel", |outer| names::encapsulation(outer.encapsulation))
    };
    let title = names::rule(step.rule()).to_owned();
    match &step.fact {
        Fact::DeviceIn => (device(cluster, step), "in".to_owned()),
        Fact::DeviceOut(_) => (device(cluster, step), "out".to_owned()),
        Fact::Dnat(dnat) => (title, rewrite(cluster, step, dnat)),
        Fact::Refused(refused) => match refused.rule() {
            Rule::NoEndpoints => (title, format!("{} rejects", proxy())),
            Rule::NoRoute => (title, step.after.destination.to_string()),
            _ => (title, format!("{} drops", proxy())),
        },
        Fact::NoRoute(_) => (title, step.after.destination.to_string()),
        Fact::Martian => (title, "the node’s own address".to_owned()),
        Fact::RpFilter { .. } => (title, "wrong device: drops".to_owned()),
        Fact::Gate(found) => gate(found),
        Fact::GateSkipped(_) => ("not policed".to_owned(), String::new()),
        Fact::EndpointToHost => (title, if ends { "drops" } else { "accepts" }.to_owned()),
        Fact::Masquerade(found) => {
            let how = match found.why {
                Masquerades::NatOutgoing => "natOutgoing",
                Masquerades::TunnelSource => "tunnel source",
                _ => "masquerade",
            };
            ("SNAT".to_owned(), how.to_owned())
        }
        Fact::Encapsulate(_) => (device(cluster, step), format!("wrap in {}", tunnel(&step.after))),
        Fact::Decapsulate => (device(cluster, step), format!("unwrap {}", tunnel(&step.before))),
        Fact::BalancerForward(_) => (title, "keeps the source".to_owned()),
        Fact::BalancerConnect(_) => (title, "own source".to_owned()),
        Fact::RouterForward(_) => ("route".to_owned(), "pass on".to_owned()),
        Fact::ServiceLoop { .. } => (title, if ends { "stopped" } else { "passes" }.to_owned()),
        Fact::NoListener(_) => (title, format!("on {}", port(&step.after))),
        Fact::DeliverToPod { .. } | Fact::DeliverToHost(_) => {
            ("delivered".to_owned(), String::new())
        }
        Fact::ReplyDelivered { .. } => ("answered".to_owned(), String::new()),
        Fact::Send(_) | Fact::UnNat(_) | Fact::ReplyLost(_) => (title, String::new()),
    }
}

/// How a source address came about.
pub fn rewriting(step: &Step) -> Option<&'static str> {
    match &step.fact {
        Fact::Masquerade(found) => Some(match found.why {
            Masquerades::NatOutgoing => "natOutgoing",
            Masquerades::TunnelSource => "by Calico",
            _ => "masqueraded",
        }),
        Fact::BalancerConnect(_) => Some("own connection"),
        _ => None,
    }
}

fn device(cluster: &Cluster, step: &Step) -> String {
    match step.device {
        Some(Device::Pod(_)) => "cali…".to_owned(),
        Some(_) => names::step_device(cluster, step).unwrap_or_default(),
        None => "device".to_owned(),
    }
}

fn port(packet: &Packet) -> String {
    packet.destination_port.map_or_else(
        || packet.protocol.to_string(),
        |port| format!("port {port}/{}", packet.protocol),
    )
}

fn rewrite(cluster: &Cluster, step: &Step, dnat: &Dnat) -> String {
    let from = match dnat.frontend.kind {
        FrontendKind::NodePort => "node port",
        FrontendKind::ClusterIp => "cluster IP",
        FrontendKind::ExternalIp => "external IP",
        FrontendKind::LoadBalancerIp => "LB IP",
    };
    let to = match owner_of(cluster, step.after.destination).owner {
        Owner::Pod => "pod",
        Owner::Node => "host",
        _ => "endpoint",
    };
    format!("{from} → {to}")
}

fn gate(gate: &Gate) -> (String, String) {
    let question = match (gate.who, gate.direction) {
        (Subject::Host(..), _) => "host policy",
        (Subject::Pod(_), Direction::Egress) => "egress policy",
        (Subject::Pod(_), Direction::Ingress) => "ingress policy",
    };
    let name = |policy: &ObjectRef| policy.name.clone();
    let by = match &gate.ruling.by {
        By::NoPolicy => return (format!("no {question}"), String::new()),
        By::Policy(policy) => name(policy),
        By::Isolation(policies) => match policies.as_slice() {
            [policy] => name(policy),
            policies => format!("{} policies", policies.len()),
        },
    };
    let answer = if gate.ruling.allow { "allows" } else { "denies" };
    (format!("{question} {answer}"), by)
}
