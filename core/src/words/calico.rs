//! Calico's chains, routes and maps, as their tools print them.

use ipnet::IpNet;

use super::commands::{is_ebpf, tables, tool};
use super::names;
use crate::cluster::Cluster;
use crate::datapath::{Device, Gate, Hook, Known, Masquerade, Masquerades, Skipped, Step, Subject};
use crate::decision::HostChain;
use crate::net::{Direction, Encapsulation, Family, InFamily, Outer};

/// How Felix calls the chains of an endpoint for all interfaces.
const ANY_INTERFACE: &str = "any-interface-at-all";
/// iptables' longest chain name (`rules.EndpointChainName`).
const LONGEST_CHAIN: usize = 28;

/// The rule that leads to a pod's policies, or the program that holds them; and the command that
/// shows them.
pub(super) fn pod_gate(cluster: &Cluster, step: &Step, gate: &Gate) -> Option<(String, String)> {
    let Subject::Pod(pod) = gate.who else { return None };
    let veth = cluster.veth(pod);
    if is_ebpf(cluster) {
        // The node's end of the veth sees the pod's traffic the other way round.
        let hook = if gate.direction == Direction::Egress { "ingress" } else { "egress" };
        let see = tool(&format!("policy dump {veth} {}", gate.direction), &step.before);
        return Some((format!("IfaceName: {veth}, Hook: tc {hook}"), see));
    }
    let (way, prefix) = match gate.direction {
        Direction::Egress => ("from", "cali-fw-"),
        Direction::Ingress => ("to", "cali-tw-"),
    };
    let chain = format!("{prefix}{veth}");
    let rule = format!("-A cali-{way}-wl-dispatch … -g {chain}");
    Some((rule, tables(&step.before, &format!("iptables -vnL {chain}"))))
}

/// The rule that leads to a host endpoint's chain, and the command that shows the chain
/// (`rule_defs.go`).
pub(super) fn host_gate(cluster: &Cluster, step: &Step, gate: &Gate) -> Option<(String, String)> {
    let Subject::Host(id, chain) = gate.who else { return None };
    let host = cluster.policies.host_endpoints.get(id.0)?;
    let table = match chain {
        HostChain::Untracked => "raw",
        HostChain::PreDnat => "mangle",
        HostChain::Normal if step.hook == Hook::Postrouting => "mangle",
        HostChain::Normal | HostChain::Forward => "filter",
    };
    let (dispatch, prefix) = match (chain, gate.direction) {
        (HostChain::Forward, Direction::Ingress) => ("cali-from-hep-forward", "cali-fhfw-"),
        (HostChain::Forward, Direction::Egress) => ("cali-to-hep-forward", "cali-thfw-"),
        (_, Direction::Ingress) => ("cali-from-host-endpoint", "cali-fh-"),
        (_, Direction::Egress) => ("cali-to-host-endpoint", "cali-th-"),
    };
    let device = names::step_device(cluster, step).unwrap_or_default();
    let every = host.interface.as_deref() == Some("*");
    let named = host.interface.as_deref().filter(|name| !name.is_empty());
    let own = match named {
        Some("*") => format!("{prefix}{ANY_INTERFACE}"),
        Some(name) => format!("{prefix}{name}"),
        None => format!("{prefix}{device}"),
    };
    let flag = if gate.direction == Direction::Ingress { "-i" } else { "-o" };
    let rule = if every {
        format!("-A {dispatch} -g {own}")
    } else {
        format!("-A {dispatch} {flag} {device} -g {own}")
    };
    let tool = match step.asked().source.family() {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    };
    let see = if own.len() <= LONGEST_CHAIN { &own } else { dispatch };
    Some((rule, format!("{tool} -t {table} -vnL {see}")))
}

/// The rule that lets a packet pass before a policy, and the command that shows it.
pub(super) fn skipped(
    cluster: &Cluster,
    step: &Step,
    why: Skipped,
) -> (Option<String>, Option<String>) {
    let rule = match why {
        Skipped::OwnProcess if is_ebpf(cluster) => "calico_to_workload_ep: from host, allowed",
        Skipped::OwnProcess | Skipped::OutsideNodePortRanges => "-A cali-OUTPUT -o cali+ -j RETURN",
        Skipped::Marked => "-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
        Skipped::HandedOn { node_port: true } => {
            "-A cali-forward-check -m comment --comment \"To kubernetes NodePort service\" -m set --match-set cali40this-host dst -j cali-set-endpoint-mark"
        }
        Skipped::HandedOn { node_port: false } => {
            "-A cali-forward-check -m comment --comment \"To kubernetes service\" -m set ! --match-set cali40this-host dst -j cali-set-endpoint-mark"
        }
        Skipped::HostEndpoint(_) => return (None, None),
    };
    let see = match step.pod() {
        Some(pod) if is_ebpf(cluster) => {
            let dump = format!("policy dump {} {}", cluster.veth(pod), Direction::Ingress);
            tool(&dump, &step.before)
        }
        _ => tables(&step.before, &format!("iptables -vnL cali-{}", step.hook)),
    };
    (Some(rule.to_owned()), Some(see))
}

/// The rule of nat POSTROUTING that changes the source, and the command that shows it.
pub(super) fn masquerade(
    cluster: &Cluster,
    step: &Step,
    masquerade: &Masquerade,
) -> (Option<String>, String) {
    let packet = &step.before;
    let four = packet.source.family() == Family::V4;
    let nat = |chain: &str| tables(packet, &format!("iptables -t nat -vnL {chain}"));
    if is_ebpf(cluster) {
        return (None, nat("cali-POSTROUTING"));
    }
    let target = if masquerade.fixed {
        format!("SNAT --to-source {} --random-fully", step.after.source)
    } else {
        "MASQUERADE --random-fully".to_owned()
    };
    match masquerade.why {
        Masquerades::Marked | Masquerades::Hairpin => (
            Some(super::proxy::masquerades(cluster).to_owned()),
            super::proxy::see_masquerade(cluster, packet),
        ),
        Masquerades::LoopBack => {
            let set = if four { "KUBE-LOOP-BACK" } else { "KUBE-6-LOOP-BACK" };
            let rule = format!(
                "-A KUBE-POSTROUTING -m comment --comment \"Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose\" -m set --match-set {set} dst,dst,src -j MASQUERADE"
            );
            (Some(rule), super::proxy::see_masquerade(cluster, packet))
        }
        Masquerades::NatOutgoing => {
            let set = if four { "cali40" } else { "cali60" };
            let rule = format!(
                "-A cali-nat-outgoing -m set --match-set {set}masq-ipam-pools src -m set ! --match-set {set}all-ipam-pools dst -j {target}"
            );
            (Some(rule), nat("cali-nat-outgoing"))
        }
        Masquerades::TunnelSource => {
            let device = masquerade.out.interface(packet.source.family()).unwrap_or_default();
            let rule = format!(
                "-A cali-POSTROUTING -o {device} -m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL -j {target}"
            );
            (Some(rule), nat("cali-POSTROUTING"))
        }
    }
}

/// The rule that lets a tunnel's packets in; eBPF's programs on the card do that by themselves.
pub(super) fn tunnel_in(cluster: &Cluster, step: &Step) -> Option<String> {
    let Outer { encapsulation, source, .. } = step.before.outer?;
    if is_ebpf(cluster) || !matches!(step.device, Some(Device::Tunnel(_))) {
        return None;
    }
    Some(match encapsulation {
        Encapsulation::Ipip => format!(
            "-A cali-INPUT -p ipencap -m comment --comment \"Allow IPIP packets from Calico hosts\" -m set --match-set cali40all-hosts-net src -j ACCEPT # {source}"
        ),
        Encapsulation::Vxlan => format!(
            "-A cali-INPUT -p udp -m comment --comment \"Allow VXLAN packets from allowed hosts\" -m multiport --dports 4789 -j ACCEPT # {source}"
        ),
        Encapsulation::Wireguard => {
            let (version, port) = match source.family() {
                Family::V4 => (4, 51820),
                Family::V6 => (6, 51821),
            };
            format!(
                "-A cali-INPUT -p udp -m comment --comment \"Allow incoming IPv{version} Wireguard packets\" -m multiport --dports {port} -m addrtype --dst-type LOCAL -j ACCEPT"
            )
        }
    })
}

/// The route into a tunnel.
pub(super) fn tunnel_route(
    cluster: &Cluster,
    step: &Step,
    encapsulation: Encapsulation,
    to: crate::cluster::NodeId,
    block: IpNet,
    known: Option<&Known>,
) -> String {
    let device = encapsulation.device(step.before.source.family());
    let outer = step.after.outer.map_or_else(String::new, |outer| outer.destination.to_string());
    match encapsulation {
        Encapsulation::Ipip => {
            let writer = if known == Some(&Known::Felix) { "80" } else { "bird" };
            format!("{block} via {outer} dev {device} proto {writer} onlink")
        }
        Encapsulation::Wireguard => format!("{block} dev {device} table 1 proto 80 scope link"),
        Encapsulation::Vxlan => {
            let family = step.before.destination.family();
            let gateway = cluster
                .node(to)
                .and_then(|node| node.network.tunnel_address(encapsulation, family));
            let gateway = gateway.map_or_else(String::new, |ip| format!(" via {ip}"));
            format!("{block}{gateway} dev {device} proto 80 onlink")
        }
    }
}
