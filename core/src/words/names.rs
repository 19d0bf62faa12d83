//! The names that every view uses: one for each thing.

use super::phrase::{Phrase, name, phrase};
use crate::cluster::{Backend, Cluster, HostEndpointId, NodeId, Outside, PodId};
use crate::datapath::{Device, Fact, FrontendKind, Machine, Rule, Step, Subject};
use crate::net::{Encapsulation, Family, InFamily, Outer, Packet, address_and_port};
use crate::text::Cite;

/// A machine: `client user`, `balancer lb`, `the routers`, `node1`.
pub fn machine(cluster: &Cluster, machine: Machine) -> Phrase {
    match machine {
        Machine::Client(Outside::Named(id)) => {
            let client = cluster.clients.get(id.0).map_or("", |client| client.name.as_str());
            if client == "client" { "client".into() } else { phrase!["client ", name(client)] }
        }
        Machine::Client(Outside::At(ip)) => phrase!["client ", ip],
        Machine::Balancer(id) => {
            let balancer = cluster.balancers.get(id.0).map_or("", |known| known.name.as_str());
            if balancer.contains("balancer") {
                phrase![name(balancer)]
            } else {
                phrase!["balancer ", name(balancer)]
            }
        }
        Machine::Router => "the routers".into(),
        Machine::Node(id) => phrase![name(node(cluster, id))],
    }
}

/// A machine as flows and JSON spell it: `client/user`, `loadBalancer/lb`, `router`, `node/node1`.
pub fn machine_notation(cluster: &Cluster, machine: Machine) -> String {
    let own = own_name(cluster, machine);
    match machine {
        Machine::Client(_) => format!("client/{own}"),
        Machine::Balancer(_) => format!("loadBalancer/{own}"),
        Machine::Router => own,
        Machine::Node(_) => format!("node/{own}"),
    }
}

/// A machine's own name, without its kind: `user`.
pub fn own_name(cluster: &Cluster, machine: Machine) -> String {
    match machine {
        Machine::Client(Outside::Named(id)) => {
            cluster.clients.get(id.0).map_or_else(String::new, |client| client.name.clone())
        }
        Machine::Client(Outside::At(ip)) => ip.to_string(),
        Machine::Balancer(id) => {
            cluster.balancers.get(id.0).map_or_else(String::new, |known| known.name.clone())
        }
        Machine::Router => "router".to_owned(),
        Machine::Node(id) => node(cluster, id).to_owned(),
    }
}

/// A node's name.
pub fn node(cluster: &Cluster, id: NodeId) -> &str {
    cluster.node(id).map_or("", |node| node.name.as_str())
}

/// A pod as flows spell it: `pod/NAMESPACE/NAME`.
pub fn pod(cluster: &Cluster, id: PodId) -> String {
    cluster.pod(id).map_or_else(String::new, |pod| format!("pod/{}/{}", pod.namespace, pod.name))
}

/// A host endpoint's name.
pub fn host_endpoint(cluster: &Cluster, id: HostEndpointId) -> &str {
    let endpoint = cluster.policies.host_endpoints.get(id.0);
    endpoint.map_or("", |endpoint| endpoint.object.name.as_str())
}

/// Whose policies are asked: `pod/NAMESPACE/NAME` or `hostEndpoint/NAME`.
pub fn subject(cluster: &Cluster, subject: Subject) -> String {
    match subject {
        Subject::Pod(id) => pod(cluster, id),
        Subject::Host(id, _) => format!("hostEndpoint/{}", host_endpoint(cluster, id)),
    }
}

/// What kube-proxy picked: a pod, or an address with its port.
pub fn backend(cluster: &Cluster, backend: Backend) -> String {
    match backend.pod {
        Some(id) => pod(cluster, id),
        None => address_and_port(backend.ip, Some(backend.port)),
    }
}

/// A device, as `ip link` names it; the pod behind a veth.
pub fn device(cluster: &Cluster, device: Device, family: Family) -> String {
    match device {
        Device::Pod(id) => pod(cluster, id),
        _ => device.interface(family).unwrap_or_default().to_owned(),
    }
}

/// The device of a step.
pub fn step_device(cluster: &Cluster, step: &Step) -> Option<String> {
    step.device.map(|found| device(cluster, found, step.before.source.family()))
}

/// A tunnel's usual name.
pub fn encapsulation(encapsulation: Encapsulation) -> &'static str {
    match encapsulation {
        Encapsulation::Ipip => "IPIP",
        Encapsulation::Vxlan => "VXLAN",
        Encapsulation::Wireguard => "WireGuard",
    }
}

/// Which of a service's addresses it is.
pub fn frontend(kind: FrontendKind) -> &'static str {
    match kind {
        FrontendKind::ClusterIp => "ClusterIP",
        FrontendKind::ExternalIp => "external IP",
        FrontendKind::LoadBalancerIp => "load balancer IP",
        FrontendKind::NodePort => "node port",
    }
}

/// The field that rules an address.
pub(super) fn traffic_policy(kind: FrontendKind) -> &'static str {
    match kind {
        FrontendKind::ClusterIp => "internalTrafficPolicy",
        _ => "externalTrafficPolicy",
    }
}

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
    match &step.fact {
        Fact::Gate(gate) if gate.ruling.allow => Mark::Opens,
        Fact::Gate(_)
        | Fact::Refused(_)
        | Fact::NoRoute(_)
        | Fact::Martian
        | Fact::RpFilter { .. }
        | Fact::ServiceLoop { .. }
        | Fact::NoListener(_)
        | Fact::ReplyLost(_) => Mark::Stops,
        Fact::DeliverToPod { .. } | Fact::DeliverToHost(_) | Fact::ReplyDelivered { .. } => {
            Mark::Arrives
        }
        _ if step.rewrites() => Mark::Rewrites,
        _ => Mark::Passes,
    }
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
