//! Host endpoints' policies, each where it sits (Felix `rules/static.go`): doNotTrack in raw, preDNAT
//! in mangle PREROUTING, applyOnForward in filter FORWARD, the others in filter INPUT and OUTPUT, or
//! mangle POSTROUTING for what the node itself sends to a service.

use super::passage::{Accepted, Passage};
use crate::cluster::{HostEndpointId, NodeId};
use crate::datapath::fact::{Device, Doubt, Fact, Gate, Lost, Subject};
use crate::datapath::interfaces::{headers, outer_headers};
use crate::datapath::route::{Route, route};
use crate::datapath::step::{CauseKind, Hook, Machine};
use crate::datapath::walk::{End, Walk};
use crate::decision::{By, HostChain, HostPacket, decide_host};
use crate::net::{Direction, Encapsulation, InFamily, Packet, Verdict};
use crate::policy::form::HostEndpoint;

/// Where a host endpoint's chain is asked.
struct At<'h> {
    node: NodeId,
    hook: Hook,
    device: Device,
    id: HostEndpointId,
    host: &'h HostEndpoint,
}

impl Walk<'_> {
    /// raw and mangle PREROUTING of a tunnel's packet, which the network card sees.
    pub(super) fn host_outer(&mut self, node: NodeId, packet: &Packet) -> Result<(), Box<End>> {
        let Some(outer) = outer_headers(packet) else { return Ok(()) };
        let family = outer.source.family();
        let Some((id, host)) = self.host_endpoint(node, Device::Ethernet, family) else {
            return Ok(());
        };
        let at = At { node, hook: Hook::Prerouting, device: Device::Ethernet, id, host };
        let untracked =
            self.ask_host(&at, Direction::Ingress, HostChain::Untracked, packet, outer)?;
        if !untracked {
            self.ask_host(&at, Direction::Ingress, HostChain::PreDnat, packet, outer)?;
        }
        Ok(())
    }

    /// raw and mangle PREROUTING of what comes in by a device, unwrapped.
    pub(super) fn host_prerouting(
        &mut self,
        node: NodeId,
        packet: &Packet,
        from: Device,
    ) -> Result<Accepted, Box<End>> {
        let Some((id, host)) = self.host_endpoint(node, from, packet.family()) else {
            return Ok(Accepted::default());
        };
        let at = At { node, hook: Hook::Prerouting, device: from, id, host };
        let headers = headers(packet);
        // raw leaves pods' interfaces out, mangle does not.
        if !matches!(from, Device::Pod(_))
            && self.ask_host(&at, Direction::Ingress, HostChain::Untracked, packet, headers)?
        {
            self.untracked_on.push(node);
            return Ok(Accepted { at_all: true, untracked: true });
        }
        let at_all = self.ask_host(&at, Direction::Ingress, HostChain::PreDnat, packet, headers)?;
        Ok(Accepted { at_all, untracked: false })
    }

    /// filter FORWARD, before (`Ingress`, of the interface that it came by) or after (`Egress`, of
    /// the one that it leaves by) the pods' own policies.
    pub(super) fn host_forward(
        &mut self,
        passage: &Passage<'_>,
        direction: Direction,
        device: Device,
        packet: &Packet,
    ) -> Result<(), Box<End>> {
        if direction == Direction::Ingress && passage.accepted.at_all {
            return Ok(());
        }
        let node = passage.node;
        let Some((id, host)) = self.host_endpoint(node, device, packet.family()) else {
            return Ok(());
        };
        let at = At { node, hook: Hook::Forward, device, id, host };
        self.ask_host(&at, direction, HostChain::Forward, packet, headers(packet)).map(|_| ())
    }

    /// filter INPUT, of what is for the node itself. `Ok(true)` if it is accepted for good.
    pub(super) fn host_input(
        &mut self,
        passage: &Passage<'_>,
        packet: &Packet,
    ) -> Result<bool, Box<End>> {
        if passage.accepted.at_all {
            return Ok(true);
        }
        let (node, family) = (passage.node, packet.family());
        let Some(device) = passage.from else { return Ok(false) };
        let Some((id, host)) = self.host_endpoint(node, device, family) else { return Ok(false) };
        let at = At { node, hook: Hook::Input, device, id, host };
        self.ask_host(&at, Direction::Ingress, HostChain::Normal, packet, headers(packet))?;
        Ok(true)
    }

    /// raw OUTPUT, of what the node itself sends. `Ok(true)` if conntrack does not know it.
    pub(super) fn host_raw_output(
        &mut self,
        node: NodeId,
        packet: &Packet,
    ) -> Result<bool, Box<End>> {
        let device = route(self.cluster, node, packet.destination).device();
        let Some((id, host)) = self.host_endpoint(node, device, packet.family()) else {
            return Ok(false);
        };
        let at = At { node, hook: Hook::Output, device, id, host };
        let untracked =
            self.ask_host(&at, Direction::Egress, HostChain::Untracked, packet, headers(packet))?;
        if untracked {
            self.untracked_on.push(node);
        }
        Ok(untracked)
    }

    /// filter OUTPUT, or mangle POSTROUTING once the destination was translated: of what the node
    /// itself sends to others than its own pods.
    pub(super) fn host_output(
        &mut self,
        node: NodeId,
        hook: Hook,
        packet: &Packet,
        found: &Route,
    ) -> Result<(), Box<End>> {
        let device = found.device();
        if matches!(device, Device::Pod(_)) {
            return Ok(());
        }
        let Some((id, host)) = self.host_endpoint(node, device, packet.family()) else {
            return Ok(());
        };
        let at = At { node, hook, device, id, host };
        self.ask_host(&at, Direction::Egress, HostChain::Normal, packet, headers(packet))
            .map(|_| ())
    }

    /// A reply whose request no conntrack knows on this node needs a doNotTrack policy of its own:
    /// to everything else it is no part of a connection (`ctstate INVALID`).
    pub(super) fn host_untracked_reply(
        &mut self,
        node: NodeId,
        packet: &Packet,
        from: Option<Device>,
    ) -> Result<(), Box<End>> {
        if !self.untracked_on.contains(&node) {
            return Ok(());
        }
        let (hook, direction, device) = if let Some(device) = from {
            (Hook::Prerouting, Direction::Ingress, device)
        } else {
            let device = route(self.cluster, node, packet.destination).device();
            (Hook::Output, Direction::Egress, device)
        };
        let host = self.host_endpoint(node, device, packet.family());
        let host = host.filter(|_| !matches!(device, Device::Pod(_)));
        if let Some((id, host)) = host {
            let at = At { node, hook, device, id, host };
            if self.ask_host(&at, direction, HostChain::Untracked, packet, headers(packet))? {
                return Ok(());
            }
        }
        let at = (Machine::Node(node), hook);
        self.step(at, Fact::ReplyLost(Lost::Untracked), packet, packet);
        Err(Box::new(self.fail(Verdict::Dropped, CauseKind::ReplyLost, None)))
    }

    /// Asks one chain. `Ok(true)` if a rule accepts the packet.
    fn ask_host(
        &mut self,
        at: &At<'_>,
        direction: Direction,
        chain: HostChain,
        packet: &Packet,
        headers: HostPacket,
    ) -> Result<bool, Box<End>> {
        let Some(ruling) = decide_host(self.cluster, direction, at.host, chain, &headers) else {
            return Ok(false);
        };
        let decided = ruling.by != By::NoPolicy;
        if packet.outer.is_some() && !decided {
            return Ok(false);
        }
        let denied = (!ruling.allow).then(|| ruling.cite.clone());
        let tunnel = packet.outer.filter(|outer| outer.encapsulation != Encapsulation::Vxlan);
        let doubt = tunnel.filter(|_| denied.is_some()).map(|_| Doubt::TunnelTracked);
        let fact = Fact::Gate(Gate { who: Subject::Host(at.id, chain), direction, ruling });
        self.step((Machine::Node(at.node), at.hook), fact, packet, packet)
            .by(at.device)
            .doubtful(doubt);
        match denied {
            Some(cite) => Err(Box::new(self.fail(Verdict::Dropped, CauseKind::PolicyDenied, cite))),
            None => Ok(decided),
        }
    }
}
