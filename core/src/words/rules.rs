//! The rules that a step followed, as the machine's own tools print them, and the command that shows
//! them there.

use std::net::IpAddr;

use serde::Serialize;

use super::commands::{is_ebpf, tables, tool};
use super::{calico, names, proxy};
use crate::cluster::{Cluster, NodeId, ServiceLoopPrevention};
use crate::datapath::{
    Device, Fact, Known, Listener, Machine, NoRoute, Out, Routed, Step, Subject, Translator, Wrap,
};
use crate::net::InFamily;

/// A command that shows a step on a real machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspect {
    /// The machine to run it on; empty for wherever kubectl works.
    pub on: String,
    /// The command line.
    pub command: String,
}

/// The rules, one a line, and how to see them.
pub fn rules(cluster: &Cluster, step: &Step) -> (Vec<String>, Option<Inspect>) {
    let Machine::Node(node) = step.machine else {
        return (of_routers(cluster, step), None);
    };
    let (rules, command) = of_node(cluster, node, step);
    let on = names::node(cluster, node).to_owned();
    (rules, command.map(|command| Inspect { on, command }))
}

fn of_routers(cluster: &Cluster, step: &Step) -> Vec<String> {
    let route = match step.fact {
        Fact::RouterForward(Routed::Route { to, via, .. }) => Some((to, via)),
        Fact::RouterForward(Routed::Block { owner, block }) => Some((block, owner)),
        _ => None,
    };
    let line = |(to, via)| format!("{to} via {}", names::node(cluster, via));
    route.map(line).into_iter().collect()
}

fn of_node(cluster: &Cluster, node: NodeId, step: &Step) -> (Vec<String>, Option<String>) {
    let packet = &step.before;
    let see = |command: String| (Vec::new(), Some(command));
    let both = |rule: String, command: String| (vec![rule], Some(command));
    let listening = || see(format!("ss -lnp 'sport = {}'", packet.destination_port.unwrap_or(0)));
    match &step.fact {
        Fact::DeviceIn | Fact::DeliverToPod { own: false } => see(dump(cluster, step)),
        Fact::Decapsulate => match (step.device, packet.outer) {
            (Some(Device::Ethernet), Some(outer)) => (Vec::new(), Some(dump_vxlan(outer.source))),
            _ => (calico::tunnel_in(cluster, step).into_iter().collect(), Some(dump(cluster, step))),
        },
        Fact::Dnat(dnat) => {
            let (rules, command) = proxy::rewrite(cluster, node, packet, dnat);
            (rules, Some(command))
        }
        Fact::Refused(refused) => {
            let (rules, command) = proxy::refusal(cluster, packet, refused);
            (rules, Some(command))
        }
        Fact::Martian => see(
            "nstat -az IPReversePathFilter TcpExtIPReversePathFilter; dmesg | grep martian".into(),
        ),
        Fact::RpFilter { .. } => {
            let came = names::step_device(cluster, step).unwrap_or_default();
            see(format!(
                "sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.{came}.rp_filter; nstat -az TcpExtIPReversePathFilter"
            ))
        }
        Fact::Gate(gate) => {
            let found = match gate.who {
                Subject::Pod(_) => calico::pod_gate(cluster, step, gate),
                Subject::Host(..) => calico::host_gate(cluster, step, gate),
            };
            found.map_or_else(Default::default, |(rule, command)| both(rule, command))
        }
        Fact::GateSkipped(why) => {
            let (rule, command) = calico::skipped(cluster, step, *why);
            (rule.into_iter().collect(), command)
        }
        Fact::EndpointToHost if is_ebpf(cluster) => {
            see("calico-node -bpf counters dump".to_owned())
        }
        Fact::EndpointToHost => both(
            "-A cali-wl-to-host -m comment --comment \"Configured DefaultEndpointToHostAction\" -j DROP".to_owned(),
            tables(packet, "iptables -vnL cali-wl-to-host"),
        ),
        Fact::ServiceLoop { range } if is_ebpf(cluster) => {
            let entry = match cluster.network.felix.service_loop_prevention.value {
                ServiceLoopPrevention::Reject => "blackhole-reject",
                _ => "blackhole-drop",
            };
            both(format!("{range}: {entry}"), tool("routes dump", packet))
        }
        Fact::ServiceLoop { .. } => see(tables(packet, "iptables -vnL cali-cidr-block")),
        Fact::Masquerade(masquerade) => {
            let (rule, command) = calico::masquerade(cluster, step, masquerade);
            (rule.into_iter().collect(), Some(command))
        }
        Fact::Encapsulate(_) | Fact::DeviceOut(_) | Fact::NoRoute(_) => onwards(cluster, step),
        Fact::DeliverToHost(Listener::Outside) => Default::default(),
        Fact::DeliverToHost(_) | Fact::NoListener(_) => listening(),
        Fact::UnNat(Translator::Conntrack) => {
            see(format!("conntrack -L -d {}", step.after.source))
        }
        Fact::UnNat(Translator::EbpfConntrack) => see(tool("conntrack dump", packet)),
        Fact::UnNat(_)
        | Fact::Send(_)
        | Fact::DeliverToPod { own: true }
        | Fact::BalancerForward(_)
        | Fact::BalancerConnect(_)
        | Fact::RouterForward(_)
        | Fact::ReplyDelivered { .. }
        | Fact::ReplyLost(_) => Default::default(),
    }
}

/// By which route a packet leaves a node, or does not.
fn onwards(cluster: &Cluster, step: &Step) -> (Vec<String>, Option<String>) {
    let packet = &step.before;
    let both = |rule: String, command: String| (vec![rule], Some(command));
    let get = || format!("ip route get {}", packet.destination);
    // The node's own address of the packet's family.
    let hop = |node: NodeId| {
        let hop = cluster.node(node).and_then(|node| node.address(packet.destination.family()));
        hop.map_or_else(String::new, |hop| hop.to_string())
    };
    match &step.fact {
        Fact::Encapsulate(Wrap::Tunnel { encapsulation, to, block, known }) => {
            let known = known.as_ref();
            let route = calico::tunnel_route(cluster, step, *encapsulation, *to, *block, known);
            both(route, get())
        }
        Fact::Encapsulate(Wrap::Forward { .. } | Wrap::Return(_)) => match step.after.outer {
            Some(outer) => (Vec::new(), Some(dump_vxlan(outer.destination))),
            None => Default::default(),
        },
        Fact::DeviceOut(Out::Untold { .. }) => {
            (Vec::new(), Some("birdcl show protocols; ip route".to_owned()))
        }
        Fact::DeviceOut(Out::Node { to, block, known, .. }) => {
            let route = match known {
                Known::Felix => format!("{block} via {} dev eth0 proto 80 onlink", hop(*to)),
                _ => format!("{block} via {} dev eth0 proto bird", hop(*to)),
            };
            both(route, get())
        }
        Fact::DeviceOut(Out::OnLink | Out::Gateway) => (Vec::new(), Some(get())),
        Fact::NoRoute(NoRoute::OnLink { to, block }) => both(
            format!("{block} via {} dev eth0 proto 80 onlink", hop(*to)),
            format!("{}; ip neigh show {}", get(), hop(*to)),
        ),
        Fact::NoRoute(NoRoute::Blackhole(block)) => {
            both(format!("blackhole {block} proto bird"), get())
        }
        _ => Default::default(),
    }
}

fn dump_vxlan(end: IpAddr) -> String {
    format!("tcpdump -ni eth0 'udp port 4789 and host {end}'")
}

/// The command that shows a packet on the step's device.
fn dump(cluster: &Cluster, step: &Step) -> String {
    let packet = &step.before;
    let device = match step.device {
        Some(Device::Pod(pod)) => cluster.veth(pod),
        _ => names::step_device(cluster, step).unwrap_or_default(),
    };
    let port = packet.destination_port.or(packet.source_port);
    let port = port.map_or_else(String::new, |port| format!(" and port {port}"));
    format!("tcpdump -ni {device} 'host {}{port}'", packet.source)
}
