//! nat POSTROUTING: who changes a packet's source, and to what.

use super::passage::Passage;
use crate::cluster::NodeId;
use crate::datapath::evidence::Evidence;
use crate::datapath::fact::{Device, Doubt, Fact, Masquerade, Masquerades};
use crate::datapath::route::{Route, is_local_address, masquerade_source};
use crate::datapath::step::{Hook, Machine};
use crate::datapath::walk::{End, Walk};
use crate::net::{Encapsulation, Family, InFamily, Packet};
use crate::text::Origin;

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
        self.track(Machine::Node(node), &passage.original, &packet);
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
        let Some((why, evidence)) = self.source_rule(passage, &packet, found) else {
            return packet;
        };
        let fixed = self.cluster.network.felix.nat_outgoing_address.as_ref();
        let fixed = fixed.map(|address| address.value).filter(|address| {
            why == Masquerades::NatOutgoing && address.family() == packet.family()
        });
        let source =
            fixed.or_else(|| masquerade_source(self.cluster, node, found, packet.destination));
        let Some(source) = source.filter(|source| *source != packet.source) else {
            return packet;
        };
        let after = packet.with_source(source);
        let out = found.device();
        let fact = Fact::Masquerade(Masquerade { why, out, fixed: fixed.is_some() });
        let said = fixed.map(|_| Evidence::NatOutgoingAddress);
        let by_rule = source.family() == Family::V6 && !matches!(out, Device::Tunnel(_));
        let doubt = if self.is_assumed(node, &after) {
            Some(Doubt::TunnelAddress(source))
        } else if out == Device::Tunnel(Encapsulation::Wireguard) {
            Some(Doubt::WireguardSource)
        } else {
            by_rule.then_some(Doubt::Ipv6Source)
        };
        self.step((Machine::Node(node), Hook::Postrouting), fact, &packet, &after)
            .by(out)
            .because(evidence.into_iter().chain(said))
            .doubtful(doubt);
        after
    }

    /// Whether the packet's source is a tunnel's address that was assumed.
    fn is_assumed(&self, node: NodeId, packet: &Packet) -> bool {
        let origin =
            self.cluster.node(node).and_then(|node| node.network.tunnel_origin(packet.source));
        matches!(origin, Some(Origin::Assumed(_)))
    }

    /// The first rule of nat POSTROUTING that changes the source: kube-proxy's mark, Calico's
    /// natOutgoing, Calico's rule for local sources that leave by a tunnel.
    fn source_rule(
        &self,
        passage: &Passage<'_>,
        packet: &Packet,
        found: &Route,
    ) -> Option<(Masquerades, Option<Evidence>)> {
        let cluster = self.cluster;
        // KUBE-POSTROUTING asks this set before the mark.
        if let Some(service) = self.proxy().loops_back(passage.place(cluster), packet) {
            return Some((Masquerades::LoopBack, Some(Evidence::Hairpin(service))));
        }
        if let Some(mark) = passage.mark {
            return Some((Masquerades::Marked, Some(mark)));
        }
        if let Some(pool) = cluster.translating_pool(packet) {
            return Some((Masquerades::NatOutgoing, Some(Evidence::NatOutgoing(pool))));
        }
        let Device::Tunnel(encapsulation) = found.device() else { return None };
        let own = cluster
            .node(passage.node)
            .and_then(|node| node.network.tunnel_address(encapsulation, packet.family()));
        let wrong =
            is_local_address(cluster, passage.node, packet.source) && own != Some(packet.source);
        wrong.then_some((Masquerades::TunnelSource, None))
    }
}
