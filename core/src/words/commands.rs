//! How the commands begin that show a machine's rules and maps.

use crate::cluster::{Cluster, ProxyMode};
use crate::net::{Family, InFamily, Packet};

/// Whether the eBPF dataplane stands in for Calico's chains.
pub(super) fn is_ebpf(cluster: &Cluster) -> bool {
    cluster.proxy.mode.value == ProxyMode::Ebpf
}

/// A command of the tool that reads Calico's BPF maps (`felix/cmd/calico-bpf/commands`).
pub(super) fn tool(command: &str, packet: &Packet) -> String {
    let six = if packet.destination.family() == Family::V4 { "" } else { " --ipv6" };
    format!("calico-node -bpf {command}{six}")
}

/// An iptables command, for the packet's family.
pub(super) fn tables(packet: &Packet, command: &str) -> String {
    match packet.source.family() {
        Family::V4 => command.to_owned(),
        Family::V6 => command.replacen("iptables", "ip6tables", 1),
    }
}

/// The command that prints kube-proxy's rules of a table.
pub(super) fn save(packet: &Packet, table: &str, pattern: &str) -> String {
    let six = if packet.destination.family() == Family::V4 { "" } else { "6" };
    format!("ip{six}tables-save -t {table} | grep {pattern}")
}
