//! Host endpoints' policies, each where it sits (Felix `rules/static.go`): doNotTrack in raw, preDNAT
//! in mangle PREROUTING, applyOnForward in filter FORWARD, the others in filter INPUT and OUTPUT, or
//! mangle POSTROUTING for what the node itself sends to a service.

use super::node::Passage;
use super::route::{Device, Route, route};
use super::step::{Cause, CauseKind, Gate, Hook, Rule};
use super::walk::{End, Walk};
use crate::cluster::NodeId;
use crate::decision::{By, HostChain, HostPacket, explain_host};
use crate::net::{Direction, Encapsulation, Family, InFamily, IpProtocol, Packet, Verdict};
use crate::policy::form::HostEndpoint;

/// How Felix calls the chains of an endpoint for all interfaces.
const ANY_INTERFACE: &str = "any-interface-at-all";
/// iptables' longest chain name (`rules.EndpointChainName`).
const LONGEST_CHAIN: usize = 28;

/// What host endpoints accepted before the packet was routed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Accepted {
    /// By a rule, for good: later chains of the incoming interface are not asked.
    pub(super) at_all: bool,
    /// By a doNotTrack policy: conntrack does not know it, so nothing is translated.
    pub(super) untracked: bool,
}

/// Where a host endpoint's chain is asked.
struct At<'h> {
    node: NodeId,
    hook: Hook,
    device: Device,
    host: &'h HostEndpoint,
}

impl<'a> Walk<'a> {
    /// The host endpoint that a device belongs to: by its name, by its addresses, or the one for
    /// all interfaces, which takes in pods' (`endpoint_mgr.go resolveHostEndpoints`). A network card
    /// has any name that is no tunnel's and no pod's; loopback is left alone.
    fn host_endpoint(
        &self,
        node: NodeId,
        device: Device,
        family: Family,
    ) -> Option<&'a HostEndpoint> {
        let all = &self.cluster.policies.host_endpoints;
        if all.is_empty() || device == Device::Loopback {
            return None;
        }
        let here = self.cluster.node(node)?;
        let own = || all.iter().filter(|host| host.node == here.name);
        let virtual_names = ["cali", "tunl", "vxlan", "wireguard", "wg-", "lo", "kube-", "docker"];
        let named = |host: &&HostEndpoint| match host.interface.as_deref().filter(|i| !i.is_empty())
        {
            Some("*") => false,
            Some(name) => match device {
                Device::Ethernet => !virtual_names.iter().any(|prefix| name.starts_with(prefix)),
                Device::Pod(_) => false,
                _ => name == device.name(self.cluster, family),
            },
            None => match device {
                Device::Ethernet => {
                    here.addresses.iter().any(|own| host.addresses.contains(&own.addr()))
                }
                Device::Tunnel(encapsulation) => here
                    .tunnel_address(encapsulation, family)
                    .is_some_and(|own| host.addresses.contains(&own)),
                _ => false,
            },
        };
        own().find(named).or_else(|| own().find(|host| host.interface.as_deref() == Some("*")))
    }

    /// raw and mangle PREROUTING of a tunnel's packet, which the network card sees.
    pub(super) fn host_outer(&mut self, node: NodeId, packet: &Packet) -> Result<(), Box<End>> {
        let Some(outer) = outer_headers(packet) else { return Ok(()) };
        let family = outer.source.family();
        let Some(host) = self.host_endpoint(node, Device::Ethernet, family) else { return Ok(()) };
        let at = At { node, hook: Hook::Prerouting, device: Device::Ethernet, host };
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
        let Some(host) = self.host_endpoint(node, from, packet.family()) else {
            return Ok(Accepted::default());
        };
        let at = At { node, hook: Hook::Prerouting, device: from, host };
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
        let Some(host) = self.host_endpoint(node, device, packet.family()) else {
            return Ok(());
        };
        let at = At { node, hook: Hook::Forward, device, host };
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
        let Some(host) = self.host_endpoint(node, device, family) else { return Ok(false) };
        let at = At { node, hook: Hook::Input, device, host };
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
        let Some(host) = self.host_endpoint(node, device, packet.family()) else {
            return Ok(false);
        };
        let at = At { node, hook: Hook::Output, device, host };
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
        let Some(host) = self.host_endpoint(node, device, packet.family()) else {
            return Ok(());
        };
        let at = At { node, hook, device, host };
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
        if let Some(host) = host {
            let at = At { node, hook, device, host };
            if self.ask_host(&at, direction, HostChain::Untracked, packet, headers(packet))? {
                return Ok(());
            }
        }
        let message = format!(
            "{} does not track the connection, so the answer is no known one's, and no doNotTrack policy lets it through: Calico drops it",
            self.node_name(node)
        );
        let at = (self.node_machine(node), hook);
        self.step(at, Rule::ReplyLost, packet, packet, message.clone());
        Err(Box::new(End::failed(Verdict::Dropped, CauseKind::ReplyLost, message)))
    }

    /// The eBPF dataplane has these policies too, at its own hooks.
    pub(super) fn host_unwalked(&mut self, node: NodeId, packet: &Packet, device: Device) {
        let Some(host) = self.host_endpoint(node, device, packet.family()) else { return };
        let message = format!(
            "the policies of host endpoint {} are not asked here: where the eBPF dataplane asks them is not known for certain",
            host.object.name
        );
        let name = self.device(device, packet);
        let at = (self.node_machine(node), Hook::Device);
        let uncertain = Some(message.clone());
        self.step(at, Rule::GateSkipped, packet, packet, message).by(name).uncertain = uncertain;
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
        let Some(decision) = explain_host(self.cluster, direction, at.host, chain, &headers) else {
            return Ok(false);
        };
        let decided = decision.by != By::NoPolicy;
        if packet.outer.is_some() && !decided {
            return Ok(false);
        }
        let name = &at.host.object.name;
        let kind = match chain {
            HostChain::Untracked => "doNotTrack policy, before connections are tracked,",
            HostChain::PreDnat => "preDNAT policy, before any translation,",
            HostChain::Normal => "policy",
            HostChain::Forward => "applyOnForward policy",
        };
        let verb = match (decision.allow, decided) {
            (false, _) => "denies it",
            (true, true) => "allows it",
            (true, false) => "lets it go on",
        };
        let seen = match packet.outer {
            Some(_) => {
                format!("the tunnel's packet from {} to {}", headers.source, headers.destination)
            }
            None => format!("{} to {}", headers.source, packet.to()),
        };
        let summary = format!("host endpoint {name}'s {kind} sees {seen} and {verb}");
        let failed = (!decision.allow).then(|| {
            let message =
                format!("the {direction} policy of host endpoint {name} is asked about {seen}");
            let cause =
                Cause { kind: CauseKind::PolicyDenied, cite: decision.cite.clone(), message };
            End::caused(Verdict::Dropped, cause)
        });
        let (table, dispatch, own) = self.host_chains(at, direction, chain, packet);
        let device = self.device(at.device, packet);
        let on = self.node_name(at.node);
        let tool = if packet.family() == Family::V4 { "iptables" } else { "ip6tables" };
        let see = if own.len() <= LONGEST_CHAIN { &own } else { dispatch };
        let see = format!("{tool} -t {table} -vnL {see}");
        let flag = if direction == Direction::Ingress { "-i" } else { "-o" };
        let line = match at.host.interface.as_deref() {
            Some("*") => format!("-A {dispatch} -g {own}"),
            _ => format!("-A {dispatch} {flag} {device} -g {own}"),
        };
        let place = (self.node_machine(at.node), at.hook);
        let step = self.step(place, Rule::HostGate, packet, packet, summary);
        step.by(device).with_rules([line]).see(&on, see);
        if packet.outer.is_some_and(|outer| outer.encapsulation != Encapsulation::Vxlan)
            && !decision.allow
        {
            step.uncertain = Some(
                "where conntrack already knows the tunnel between the two nodes, its packets pass"
                    .to_owned(),
            );
        }
        step.gate = Some(Gate { direction, pod: format!("hostEndpoint/{name}"), decision });
        match failed {
            Some(end) => Err(Box::new(end)),
            None => Ok(decided),
        }
    }

    /// The table, the dispatch chain and the endpoint's own (`rule_defs.go`).
    fn host_chains(
        &self,
        at: &At<'_>,
        direction: Direction,
        chain: HostChain,
        packet: &Packet,
    ) -> (&'static str, &'static str, String) {
        let table = match chain {
            HostChain::Untracked => "raw",
            HostChain::PreDnat => "mangle",
            HostChain::Normal if at.hook == Hook::Postrouting => "mangle",
            HostChain::Normal | HostChain::Forward => "filter",
        };
        let (dispatch, prefix) = match (chain, direction) {
            (HostChain::Forward, Direction::Ingress) => ("cali-from-hep-forward", "cali-fhfw-"),
            (HostChain::Forward, Direction::Egress) => ("cali-to-hep-forward", "cali-thfw-"),
            (_, Direction::Ingress) => ("cali-from-host-endpoint", "cali-fh-"),
            (_, Direction::Egress) => ("cali-to-host-endpoint", "cali-th-"),
        };
        let name = match at.host.interface.as_deref() {
            Some("*") => ANY_INTERFACE.to_owned(),
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => self.device(at.device, packet),
        };
        (table, dispatch, format!("{prefix}{name}"))
    }
}

fn headers(packet: &Packet) -> HostPacket {
    HostPacket {
        source: packet.source,
        destination: packet.destination,
        protocol: packet.protocol.number(),
        source_port: packet.source_port,
        destination_port: packet.destination_port,
    }
}

/// What the network card sees of a packet in a tunnel.
fn outer_headers(packet: &Packet) -> Option<HostPacket> {
    let outer = packet.outer?;
    let (protocol, port) = match outer.encapsulation {
        Encapsulation::Ipip => (IpProtocol::IPIP, None),
        Encapsulation::Vxlan => (IpProtocol::UDP, Some(4789)),
        Encapsulation::Wireguard => (IpProtocol::UDP, Some(51820)),
    };
    Some(HostPacket {
        source: outer.source,
        destination: outer.destination,
        protocol,
        source_port: None,
        destination_port: port,
    })
}
