//! The kernel's netfilter: a node, hook by hook, as it asks the parts that sit there: kube-proxy's
//! rules, Calico's gates (Felix `rules/static.go`), routes, `MASQUERADE`.

mod dnat;
mod host;
mod input;
mod passage;
mod postrouting;
pub(crate) mod proxy;

use self::passage::{Accepted, Passage};
use self::proxy::{Nat, Place, ServiceProxy};
use super::evidence::Evidence;
use super::fact::{Device, Doubt, Fact, Lost, Skipped, Translator};
use super::route::{Route, is_local_address, route};
use super::step::{CauseKind, Hook, Machine};
use super::walk::{Dataplane, End, Walk};
use crate::cluster::NodeId;
use crate::net::{Direction, Family, InFamily, Packet, Verdict};
use crate::text::Origin;

/// kube-proxy in one of its modes, and Calico's chains.
pub(super) struct Netfilter;

impl Dataplane for Netfilter {
    fn receive(&self, walk: &mut Walk<'_>, node: NodeId, packet: Packet, from: Device) -> End {
        if let Err(end) = walk.host_outer(node, &packet) {
            return *end;
        }
        let packet = walk.come_in(node, packet, from, None);
        let accepted = match walk.host_prerouting(node, &packet, from) {
            Ok(accepted) => accepted,
            Err(end) => return *end,
        };
        let place = Place { cluster: walk.cluster, node, from: Some(from) };
        let nat = Nat::default();
        let mut passage =
            Passage { node, from: Some(from), original: packet, mark: None, nat, accepted };
        // Its rules are for new connections, which conntrack must know.
        if !accepted.untracked
            && let Some(refusal) = walk.proxy().prerouting(place, &packet)
        {
            return walk.refuse(&passage, Hook::Prerouting, &packet, refusal);
        }
        // A rewrite before the routing decision would change nothing about these sources.
        if let Err(end) = walk.check_source(node, &packet, from) {
            return *end;
        }
        if !accepted.untracked {
            passage.nat = walk.proxy().nat(place, &packet);
        }
        passage.mark = passage.nat.mark.take();
        let packet = if walk.proxy().takes_in_input() {
            packet
        } else {
            walk.dnat(&mut passage, Hook::Prerouting, packet)
        };
        match route(walk.cluster, node, packet.destination) {
            Route::Local => walk.input(passage, packet),
            Route::Blackhole(block) => walk.blackhole(node, &packet, block),
            found => walk.forward(&passage, packet, found),
        }
    }

    fn send_from_host(&self, walk: &mut Walk<'_>, node: NodeId, packet: Packet) -> End {
        let untracked = match walk.host_raw_output(node, &packet) {
            Ok(untracked) => untracked,
            Err(end) => return *end,
        };
        let accepted = Accepted { at_all: untracked, untracked };
        let place = Place { cluster: walk.cluster, node, from: None };
        let nat = if untracked { Nat::default() } else { walk.proxy().nat(place, &packet) };
        let mut passage = Passage { node, from: None, original: packet, mark: None, nat, accepted };
        passage.mark = passage.nat.mark.take();
        let taken = !passage.nat.endpoints.is_empty();
        let packet = walk.dnat(&mut passage, Hook::Output, packet);
        let refusal = if taken { None } else { walk.proxy().filter(place, Hook::Output, &packet) };
        let (mut first, mut last) = (None, refusal);
        if walk.proxy_first() {
            std::mem::swap(&mut first, &mut last);
        }
        if let Some(refusal) = first {
            return walk.refuse(&passage, Hook::Output, &packet, refusal);
        }
        let found = route(walk.cluster, node, packet.destination);
        if !untracked {
            let hook = if taken { Hook::Postrouting } else { Hook::Output };
            if let Err(end) = walk.host_output(node, hook, &packet, &found) {
                return *end;
            }
        }
        if let Some(refusal) = last {
            return walk.refuse(&passage, Hook::Output, &packet, refusal);
        }
        match found {
            Route::Local => {
                // Its way to itself is over lo, through POSTROUTING.
                let packet =
                    if taken { walk.masquerade(&passage, packet, &Route::Local) } else { packet };
                passage.from = Some(Device::Loopback);
                passage.nat = Nat::default();
                walk.input(passage, packet)
            }
            Route::Blackhole(block) => walk.blackhole(node, &packet, block),
            found => {
                if let Route::Pod(pod) = found {
                    walk.skip_gate(node, Hook::Output, pod, &packet, Skipped::OwnProcess);
                }
                walk.postrouting(&passage, packet, found)
            }
        }
    }

    /// conntrack translates it back, no rule and no policy is asked.
    fn pass_reply(
        &self,
        walk: &mut Walk<'_>,
        node: NodeId,
        packet: Packet,
        from: Option<Device>,
    ) -> End {
        let packet = walk.unwrapped(node, packet, from);
        if let Some(device @ (Device::Ethernet | Device::Tunnel(_))) = from
            && let Err(end) = walk.check_source(node, &packet, device)
        {
            return *end;
        }
        if let Err(end) = walk.host_untracked_reply(node, &packet, from) {
            return *end;
        }
        let machine = Machine::Node(node);
        let known = walk.recall(machine, &packet);
        let after = known.map_or(packet, |known| known.original.answered());
        if after != packet {
            let fact = Fact::UnNat(Translator::Conntrack);
            walk.step((machine, Hook::Prerouting), fact, &packet, &after);
        }
        let found = route(walk.cluster, node, after.destination);
        if known.is_none() && matches!(found, Route::Local | Route::Pod(_)) {
            return walk.unknown_reply(node, &packet);
        }
        walk.leave(node, after, found)
    }
}

impl<'a> Walk<'a> {
    pub(super) fn proxy(&self) -> &'static dyn ServiceProxy {
        proxy::of(self.cluster.proxy.mode.value)
    }

    /// Whether kube-proxy's filter chains are asked before Calico's.
    fn proxy_first(&self) -> bool {
        self.cluster.network.felix.append_chains.value || self.proxy().filters_before_calico()
    }

    /// Nobody here knows what the packet answers.
    pub(super) fn unknown_reply(&mut self, node: NodeId, packet: &Packet) -> End {
        let at = (Machine::Node(node), Hook::Prerouting);
        self.step(at, Fact::ReplyLost(Lost::Unknown), packet, packet);
        self.fail(Verdict::Dropped, CauseKind::ReplyLost, None)
    }

    /// Sources that the kernel does not believe, at the routing decision: the node's own address
    /// from outside (`ip_route_input`), and, under a strict `rp_filter`, one whose answer would
    /// leave by another device (`fib_validate_source`).
    fn check_source(
        &mut self,
        node: NodeId,
        packet: &Packet,
        from: Device,
    ) -> Result<(), Box<End>> {
        // IPv6 has neither check.
        if !matches!(from, Device::Ethernet | Device::Tunnel(_))
            || packet.source.family() == Family::V6
        {
            return Ok(());
        }
        let at = (Machine::Node(node), Hook::Routing);
        if is_local_address(self.cluster, node, packet.source) {
            self.step(at, Fact::Martian, packet, packet);
            return Err(Box::new(self.fail(Verdict::Dropped, CauseKind::Martian, None)));
        }
        let back = route(self.cluster, node, packet.source).device();
        let strict = &self.cluster.hosts.strict_rp_filter;
        if strict.value && back != from {
            let assumed = !matches!(strict.origin, Origin::Written(_));
            self.step(at, Fact::RpFilter { back }, packet, packet)
                .by(from)
                .because([Evidence::RpFilter])
                .doubtful(assumed.then_some(Doubt::RpFilterAssumed));
            let (verdict, kind) = (Verdict::Dropped, CauseKind::RpFilter);
            return Err(Box::new(self.fail_for(verdict, kind, Evidence::RpFilter)));
        }
        Ok(())
    }

    /// filter FORWARD.
    fn forward(&mut self, passage: &Passage<'a>, packet: Packet, found: Route) -> End {
        let append = self.cluster.network.felix.append_chains.value;
        let (node, place) = (passage.node, passage.place(self.cluster));
        let proxy_first = self.proxy_first();
        if proxy_first && let Some(refusal) = self.proxy().filter(place, Hook::Forward, &packet) {
            return self.refuse(passage, Hook::Forward, &packet, refusal);
        }
        let accepted_early = append && passage.mark.is_some() && self.proxy().forwards_marked();
        if let (Some(from), false) = (passage.from, accepted_early)
            && let Err(end) = self.host_forward(passage, Direction::Ingress, from, &packet)
        {
            return *end;
        }
        for (direction, pod) in passage.gates(&found) {
            if accepted_early {
                self.skip_gate(node, Hook::Forward, pod, &packet, Skipped::Marked);
            } else if let Err(end) = self.gate(node, Hook::Forward, direction, pod, &packet) {
                return *end;
            }
        }
        let out = found.device();
        if !accepted_early
            && let Err(end) = self.host_forward(passage, Direction::Egress, out, &packet)
        {
            return *end;
        }
        if let Some(end) =
            self.prevent_service_loop(node, Hook::Forward, &passage.original, &packet)
        {
            return end;
        }
        if !proxy_first && let Some(refusal) = self.proxy().filter(place, Hook::Forward, &packet) {
            return self.refuse(passage, Hook::Forward, &packet, refusal);
        }
        self.postrouting(passage, packet, found)
    }
}
