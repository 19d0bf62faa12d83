//! The maps of Calico's eBPF dataplane, as `calico-node -bpf` prints them.

use super::{ProxyWords, Rewrite, RuleLine};
use crate::cluster::{Cluster, Endpoint};
use crate::datapath::ebpf::{Balanced, balance_from_inside, balance_from_outside};
use crate::datapath::{Device, Refused};
use crate::net::{Packet, address_and_port};
use crate::words::Phrase;
use crate::words::commands::tool;

pub(super) struct Ebpf;

impl ProxyWords for Ebpf {
    fn rewriter(&self) -> &'static str {
        "eBPF"
    }

    fn who(&self) -> &'static str {
        "Calico's eBPF dataplane"
    }

    fn brand(&self) -> &'static str {
        "eBPF"
    }

    fn no_loopback(&self) -> Phrase {
        "which the eBPF dataplane does not answer on loopback addresses".into()
    }

    /// The entry that `calico-node -bpf nat dump` prints (`felix/cmd/calico-bpf/commands/nat.go`);
    /// its id is another on every node.
    fn rewrites(&self, rewrite: &Rewrite<'_>) -> Vec<RuleLine> {
        let Rewrite { place, packet, dnat, .. } = rewrite;
        let inside = matches!(dnat.from, None | Some(Device::Pod(_)));
        let balanced = if inside {
            balance_from_inside(place.cluster, place.node, packet)
        } else {
            balance_from_outside(place.cluster, place.node, dnat.forwarded, packet)
        };
        let Balanced::To(_, endpoints) = balanced else { return Vec::new() };
        let here = |endpoint: &&&Endpoint| endpoint.node == Some(place.node);
        let local = endpoints.iter().filter(here).count();
        let entry = format!(
            "{} port {} proto {} id N count {} local {local}",
            packet.destination,
            packet.destination_port.unwrap_or(0),
            packet.protocol.number().0,
            endpoints.len()
        );
        let backends = endpoints.iter().enumerate().map(|(index, endpoint)| {
            format!("\tN:{index}\t {}", address_and_port(endpoint.ip, Some(endpoint.port)))
        });
        std::iter::once(entry).chain(backends).map(RuleLine::shared).collect()
    }

    fn see_rewrite(&self, packet: &Packet, _: &[RuleLine]) -> String {
        tool("nat dump", packet)
    }

    fn refuses(&self, _: &Cluster, _: &Packet, _: &Refused) -> Vec<String> {
        Vec::new()
    }

    fn see_refusal(&self, packet: &Packet, _: &Refused) -> String {
        tool("nat dump", packet)
    }
}
