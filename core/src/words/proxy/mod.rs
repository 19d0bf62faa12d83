//! What the service proxies call themselves, and the rules that they write, as their tools print them.
//! A mode is one file that implements [`ProxyWords`].

mod ebpf;
mod iptables;
mod ipvs;
mod names;
mod nftables;

use crate::cluster::{Cluster, NodeId, ProxyMode};
use crate::datapath::frontend::Frontend;
use crate::datapath::netfilter::proxy::{Nat, Place};
use crate::datapath::{Dnat, Refused};
use crate::net::Packet;
use crate::words::Phrase;
use crate::words::commands::tables;

/// A rule as a tool prints it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RuleLine {
    /// The chain that the service has for itself, if the rule stands in it.
    chain: Option<String>,
    /// The line.
    text: String,
}

impl RuleLine {
    fn shared(text: String) -> Self {
        Self { chain: None, text }
    }

    fn of(chain: &str, text: String) -> Self {
        Self { chain: Some(chain.to_owned()), text }
    }
}

/// A rewrite, with everything that its rules are written from.
pub(super) struct Rewrite<'a> {
    pub(super) place: Place<'a>,
    pub(super) packet: &'a Packet,
    pub(super) dnat: &'a Dnat,
    pub(super) frontend: Frontend<'a>,
    pub(super) nat: Nat<'a>,
}

/// What a mode calls itself, and its rules.
trait ProxyWords: Sync {
    /// What it is called where it rewrites.
    fn rewriter(&self) -> &'static str {
        "kube-proxy"
    }

    /// Who it is.
    fn who(&self) -> &'static str {
        "kube-proxy"
    }

    /// Who it is, where there is little room.
    fn brand(&self) -> &'static str {
        self.who()
    }

    /// Why it answers no node ports on loopback addresses.
    fn no_loopback(&self) -> Phrase;

    /// The rules of a rewrite.
    fn rewrites(&self, rewrite: &Rewrite<'_>) -> Vec<RuleLine>;

    /// The command that shows them.
    fn see_rewrite(&self, packet: &Packet, rules: &[RuleLine]) -> String;

    /// The rules of a refusal.
    fn refuses(&self, cluster: &Cluster, packet: &Packet, refused: &Refused) -> Vec<String>;

    /// The command that shows them.
    fn see_refusal(&self, packet: &Packet, refused: &Refused) -> String;

    /// The rule that masquerades marked packets.
    fn masquerades(&self) -> &'static str {
        "-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully"
    }

    /// The command that shows it.
    fn see_masquerade(&self, packet: &Packet) -> String {
        tables(packet, "iptables -t nat -vnL KUBE-POSTROUTING")
    }
}

fn of(cluster: &Cluster) -> &'static dyn ProxyWords {
    match cluster.proxy.mode.value {
        ProxyMode::Iptables => &iptables::Iptables,
        ProxyMode::Ipvs => &ipvs::Ipvs,
        ProxyMode::Nftables => &nftables::Nftables,
        ProxyMode::Ebpf => &ebpf::Ebpf,
    }
}

/// What rewrites destinations: `IPVS rewrites the destination …`.
pub(super) fn rewriter(cluster: &Cluster) -> super::phrase::Part {
    super::phrase::name(of(cluster).rewriter())
}

/// Who turns service addresses into endpoints.
pub(super) fn who(cluster: &Cluster) -> &'static str {
    of(cluster).who()
}

/// The same, where there is little room.
pub(super) fn brand(cluster: &Cluster) -> &'static str {
    of(cluster).brand()
}

/// Why no node port is answered on loopback addresses.
pub(super) fn no_loopback(cluster: &Cluster) -> Phrase {
    of(cluster).no_loopback()
}

/// The rules of a rewrite on a node, and the command that shows them.
pub(super) fn rewrite(
    cluster: &Cluster,
    node: NodeId,
    packet: &Packet,
    dnat: &Dnat,
) -> (Vec<String>, String) {
    let place = Place { cluster, node, from: dnat.from };
    let Some(frontend) = Frontend::of(cluster, dnat.frontend) else { return Default::default() };
    let nat = crate::datapath::netfilter::proxy::of(cluster.proxy.mode.value).nat(place, packet);
    let words = of(cluster);
    let rules = words.rewrites(&Rewrite { place, packet, dnat, frontend, nat });
    let see = words.see_rewrite(packet, &rules);
    (rules.into_iter().map(|rule| rule.text).collect(), see)
}

/// The rules of a refusal, and the command that shows them.
pub(super) fn refusal(
    cluster: &Cluster,
    packet: &Packet,
    refused: &Refused,
) -> (Vec<String>, String) {
    let words = of(cluster);
    (words.refuses(cluster, packet, refused), words.see_refusal(packet, refused))
}

/// The rule that masquerades marked packets.
pub(super) fn masquerades(cluster: &Cluster) -> &'static str {
    of(cluster).masquerades()
}

/// The command that shows kube-proxy's rules of nat POSTROUTING.
pub(super) fn see_masquerade(cluster: &Cluster, packet: &Packet) -> String {
    of(cluster).see_masquerade(packet)
}
