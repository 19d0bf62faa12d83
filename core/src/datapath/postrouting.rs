//! nat POSTROUTING: who changes a packet's source, and to what.

use std::net::IpAddr;

use super::dnat::HAIRPIN;
use super::evidence::Evidence;
use super::leave::WIREGUARD_SOURCE;
use super::node::Passage;
use super::route::{Device, Route, is_local_address, masquerade_source};
use super::step::{Hook, Rule};
use super::walk::{End, Walk};
use crate::cluster::{NodeId, Pool, ProxyMode};
use crate::net::{Encapsulation, InFamily, Packet};
use crate::text::{ObjectRef, Origin};

/// IPv4's choice is measured, IPv6's is `ipv6_dev_get_saddr`'s.
const IPV6_SOURCE: &str = "IPv6's masquerade chooses its source by the rules of RFC 6724, over all of the node's addresses; this is the likely one";

/// A rule of nat POSTROUTING that changes the source.
struct SourceRule {
    rule: Rule,
    evidence: Vec<Evidence>,
    /// As the tool prints it.
    line: String,
    why: &'static str,
    /// The command that shows it.
    see: String,
}

impl<'a> Walk<'a> {
    /// nat POSTROUTING, then out.
    pub(super) fn postrouting(
        &mut self,
        passage: &Passage<'a>,
        packet: Packet,
        found: Route,
    ) -> End {
        let node = passage.node;
        let packet = self.masquerade(passage, packet, &found);
        self.track(self.node_machine(node), &passage.original, &packet);
        self.leave(node, packet, found)
    }

    /// Changes the source, if a rule says so.
    pub(super) fn masquerade(
        &mut self,
        passage: &Passage<'_>,
        packet: Packet,
        found: &Route,
    ) -> Packet {
        let node = passage.node;
        let Some(SourceRule { rule, evidence, line, why, see }) =
            self.source_rule(passage, &packet, found)
        else {
            return packet;
        };
        let fixed = self.cluster.felix.nat_outgoing_address.as_ref();
        let fixed = fixed.filter(|address| {
            rule == Rule::NatOutgoing && address.value.family() == packet.source.family()
        });
        let source = match fixed {
            Some(address) => Some(address.value),
            None => masquerade_source(self.cluster, node, found, packet.destination),
        };
        let Some(source) = source.filter(|source| *source != packet.source) else {
            return packet;
        };
        let after = packet.with_source(source);
        let on = self.node_name(node);
        let device = found.device();
        let (owner, out) = match device {
            _ if fixed.is_some() => {
                ("natOutgoingAddress".to_owned(), "Felix is told to use that address")
            }
            Device::Tunnel(encapsulation) => (
                format!("{on}'s {}", encapsulation.device(packet.family())),
                "it leaves by the tunnel",
            ),
            Device::Pod(_) => {
                (on.clone(), "the pod's veth has no address of its own, so the node's is taken")
            }
            Device::Loopback => (
                on.clone(),
                "it leaves by lo, which has no address to give, so the node's is taken",
            ),
            Device::Ethernet => (on.clone(), "it leaves by eth0"),
        };
        let summary =
            format!("{why}: source {} becomes {source} ({owner}), because {out}", packet.source);
        let name = self.device(device, &packet);
        let said = fixed.map(|address| {
            Evidence::of_felix(
                address,
                "spec.natOutgoingAddress",
                "it is the source for natOutgoing",
            )
        });
        let line = match fixed {
            Some(_) => line.replace(
                "MASQUERADE --random-fully",
                &format!("SNAT --to-source {source} --random-fully"),
            ),
            None => line,
        };
        let uncertain = self.assumed_address(node, source).or_else(|| {
            (device == Device::Tunnel(Encapsulation::Wireguard))
                .then(|| WIREGUARD_SOURCE.to_owned())
        });
        let uncertain = uncertain.or_else(|| {
            let by_rule = !source.is_ipv4() && !matches!(device, Device::Tunnel(_));
            (by_rule && fixed.is_none()).then(|| IPV6_SOURCE.to_owned())
        });
        self.step((self.node_machine(node), Hook::Postrouting), rule, &packet, &after, summary)
            .by(name)
            .because(evidence.into_iter().chain(said))
            .with_rules([line])
            .see(&on, see)
            .uncertain = uncertain;
        after
    }

    /// Why an address of a node is not certain, if it was assumed.
    fn assumed_address(&self, node: NodeId, address: IpAddr) -> Option<String> {
        let node = self.cluster.node(node)?;
        let tunnels = node.ipip.iter().chain(&node.vxlan).chain(&node.wireguard);
        tunnels.filter(|tunnel| tunnel.value == address).find_map(|tunnel| match &tunnel.origin {
            Origin::Assumed(why) => Some(format!("{address} is assumed: {why}")),
            _ => None,
        })
    }

    /// The first rule of nat POSTROUTING that changes the source: kube-proxy's mark, Calico's
    /// natOutgoing, Calico's rule for local sources that leave by a tunnel.
    fn source_rule(
        &self,
        passage: &Passage<'_>,
        packet: &Packet,
        found: &Route,
    ) -> Option<SourceRule> {
        let cluster = self.cluster;
        let marked = match cluster.proxy.mode.value {
            ProxyMode::Nftables if packet.source.is_ipv4() => {
                "nft list chain ip kube-proxy masquerading".to_owned()
            }
            ProxyMode::Nftables => "nft list chain ip6 kube-proxy masquerading".to_owned(),
            _ => tables(packet, "iptables -t nat -vnL KUBE-POSTROUTING"),
        };
        // KUBE-POSTROUTING asks this set before the mark.
        if let Some(service) = self.proxy().loops_back(self.place(passage), packet) {
            return Some(SourceRule {
                rule: Rule::Masquerade,
                evidence: vec![Evidence::of(service.cite.clone(), HAIRPIN)],
                line: "-A KUBE-POSTROUTING -m comment --comment \"Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose\" -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE"
                    .replace("KUBE-LOOP", if packet.source.is_ipv4() { "KUBE-LOOP" } else { "KUBE-6-LOOP" }),
                why: "kube-proxy masquerades an endpoint's packet to itself",
                see: marked,
            });
        }
        if let Some(mark) = &passage.mark {
            return Some(SourceRule {
                rule: Rule::Masquerade,
                evidence: vec![mark.clone()],
                line: self.proxy().masquerade_rule().to_owned(),
                why: "kube-proxy masquerades the marked packet",
                see: marked,
            });
        }
        if let Some(pool) = self.translating_pool(packet) {
            return Some(SourceRule {
                rule: Rule::NatOutgoing,
                evidence: vec![Evidence::of_setting(
                    &pool.nat_outgoing,
                    &ObjectRef::new("IPPool", "", &pool.name),
                    "spec.natOutgoing",
                    "natOutgoing translates what leaves the pools",
                )],
                line: "-A cali-nat-outgoing -m set --match-set cali40masq-ipam-pools src -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE --random-fully"
                    .replace("cali40", if packet.source.is_ipv4() { "cali40" } else { "cali60" }),
                why: "Calico's natOutgoing masquerades what pods send out of the pools",
                see: tables(packet, "iptables -t nat -vnL cali-nat-outgoing"),
            });
        }
        let Device::Tunnel(encapsulation) = found.device() else { return None };
        let own = cluster
            .node(passage.node)
            .and_then(|node| node.tunnel_address(encapsulation, packet.family()));
        let wrong =
            is_local_address(cluster, passage.node, packet.source) && own != Some(packet.source);
        wrong.then(|| SourceRule {
            rule: Rule::TunnelSource,
            evidence: Vec::new(),
            line: format!("-A cali-POSTROUTING -o {} -m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL -j MASQUERADE --random-fully", encapsulation.device(packet.family())),
            why: "Calico gives what the node itself sends into the tunnel the tunnel's address",
            see: tables(packet, "iptables -t nat -vnL cali-POSTROUTING"),
        })
    }

    /// The pool whose natOutgoing applies: the source is from it, the destination from none.
    pub(super) fn translating_pool(&self, packet: &Packet) -> Option<&Pool> {
        let cluster = self.cluster;
        let pool = cluster.pool_of(packet.source).filter(|pool| pool.nat_outgoing.value)?;
        let inside =
            |pool: &Pool| !pool.load_balancer_only && pool.cidr.contains(&packet.destination);
        let excluded = cluster.felix.nat_excludes_hosts.value
            && cluster.node_by_address.contains_key(&packet.destination);
        (!excluded && !cluster.pools.iter().any(inside)).then_some(pool)
    }
}

/// The command for the packet's family.
pub(super) fn tables(packet: &Packet, command: &str) -> String {
    if packet.source.is_ipv4() {
        command.to_owned()
    } else {
        command.replacen("iptables", "ip6tables", 1)
    }
}
