//! What is between the nodes: their subnets, the routers, balancers and machines outside.

use std::net::IpAddr;

use ipnet::IpNet;

use super::evidence::Evidence;
use super::route::{Device, Route, block_of, route};
use super::step::{CauseKind, Hook, Machine, Rule};
use super::walk::{End, Front, Walk};
use crate::cluster::{Balancer, NodeId, TrafficPolicy};
use crate::net::{Packet, Verdict};

impl Walk<'_> {
    /// A packet reaches a node.
    pub(super) fn arrive(&mut self, node: NodeId, packet: Packet, from: Device) -> End {
        if self.replying {
            self.pass_reply(node, packet, Some(from))
        } else {
            self.receive(node, packet, from)
        }
    }

    /// A machine outside the nodes sends a packet: to a machine of its own subnet, or to the
    /// routers.
    pub(super) fn send_from_outside(&mut self, from: IpAddr, packet: Packet) -> End {
        let shares_subnet =
            |subnet: &IpNet| subnet.contains(&from) && subnet.contains(&packet.destination);
        let shares_subnet = self.cluster.subnets.iter().any(shares_subnet);
        if shares_subnet { self.on_link(packet) } else { self.hand_to_routers(packet) }
    }

    /// To a machine of the sender's own subnet.
    pub(super) fn on_link(&mut self, packet: Packet) -> End {
        // A balancer that keeps the source sits on the gateway, whatever its address.
        let gateway = self.cluster.balancers.iter().any(|balancer| {
            balancer.preserve && balancer.ip == packet.destination && !self.replying
        });
        if gateway {
            return self.hand_to_routers(packet);
        }
        match self.machine_at(packet.destination) {
            Some(at) => self.reach(at, packet),
            None => self.nobody(&packet, "no machine of the subnet has this address"),
        }
    }

    /// To the routers, which know nodes, clients, balancers, and what the scenario tells them.
    pub(super) fn hand_to_routers(&mut self, packet: Packet) -> End {
        // A router sends all of a connection the same way: what comes back to it comes back again.
        if self.routed.contains(&packet) {
            return End::circles();
        }
        self.routed.push(packet);
        let balancers = &self.cluster.balancers;
        let packet = if self.replying {
            self.through_balancers(packet)
        } else if let Some(balancer) =
            balancers.iter().find(|known| known.preserve && known.ip == packet.destination)
        {
            match self.balance(balancer, &packet) {
                Ok(packet) => packet,
                Err(end) => return *end,
            }
        } else {
            packet
        };
        if let Some(at) = self.machine_at(packet.destination) {
            return self.reach(at, packet);
        }
        let best = self.cluster.routes.longest(packet.destination);
        let best = best.map_or(&[][..], |(_, routes)| routes);
        let Some(first) = best.first() else { return self.by_blocks(packet) };
        let mut nodes: Vec<NodeId> =
            best.iter().flat_map(|known| known.via.iter().copied()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let service = self.cluster.service_by_address.get(&packet.destination);
        let service = service.and_then(|ids| self.cluster.service(*ids.first()?));
        let Some((via, others)) = self.fork_nodes(&nodes, service, &packet) else {
            return self.by_blocks(packet);
        };
        let name = self.node_name(via);
        let alike = also(others);
        let summary = format!("the network routes {} to {name}{alike}", packet.destination);
        let said = best.iter().find(|known| known.via.contains(&via)).unwrap_or(first);
        let evidence = Evidence::of(said.cite.clone(), &format!("{} is behind {name}", said.to));
        let rule = format!("{} via {name}", said.to);
        let uncertain = said.assumed.map(str::to_owned);
        self.step(
            (Machine::Router, Hook::Routing),
            Rule::RouterForward,
            &packet,
            &packet,
            summary,
        )
        .because([evidence])
        .with_rules([rule])
        .uncertain = uncertain;
        self.arrive(via, packet, Device::Ethernet)
    }

    /// The routers know the blocks of nodes that speak BGP with them.
    fn by_blocks(&mut self, packet: Packet) -> End {
        let block = block_of(self.cluster, packet.destination);
        let Some((owner, block)) = block else {
            return self.nobody(
                &packet,
                "the network outside the nodes has no route to it and drops it without a word",
            );
        };
        let name = self.node_name(owner);
        let Some(peer) = self.cluster.bgp.with_router(owner) else {
            let why = format!(
                "the network outside the nodes has no route to pods, and {name} tells its block {block} to no router (that takes a BGPPeer with a peerIP)"
            );
            return self.nobody(&packet, &why);
        };
        let summary = format!("the network routes {block} to {name}, which told it over BGP");
        let evidence =
            Evidence::of(peer.cite.clone(), &format!("{name} tells the routers its blocks"));
        self.step((Machine::Router, Hook::Routing), Rule::RouterForward, &packet, &packet, summary)
            .because([evidence])
            .with_rules([format!("{block} via {name}")]);
        self.arrive(owner, packet, Device::Ethernet)
    }

    fn machine_at(&self, address: IpAddr) -> Option<Reached> {
        let node = self.cluster.node_by_address.get(&address).copied().filter(|node| {
            self.cluster
                .node(*node)
                .is_some_and(|node| node.addresses.iter().any(|own| own.addr() == address))
        });
        if let Some(node) = node {
            return Some(Reached::Node(node));
        }
        let balancer = self.cluster.balancers.iter().position(|known| known.ip == address);
        if let Some(index) = balancer {
            return Some(Reached::Balancer(index));
        }
        let client = self.cluster.clients.iter().find(|known| known.ip == address);
        if let Some(client) = client {
            return Some(Reached::Client(client.name.clone()));
        }
        let named = self.outside.contains(&address) || self.is_endpoint_outside(address);
        named.then(|| Reached::Client(address.to_string()))
    }

    /// Whether an `EndpointSlice` has a machine outside the cluster at this address.
    fn is_endpoint_outside(&self, address: IpAddr) -> bool {
        self.cluster.endpoints_of_no_pod.contains(&address) && self.cluster.is_outside(address)
    }

    fn reach(&mut self, at: Reached, packet: Packet) -> End {
        match at {
            Reached::Node(node) => self.arrive(node, packet, Device::Ethernet),
            Reached::Balancer(index) => self.connect(index, packet),
            Reached::Client(name) => {
                let machine = Machine::Client(name);
                if !self.replying {
                    let summary = format!("{} answers on {}", machine.label(), packet.to());
                    let at = (machine.clone(), Hook::Socket);
                    self.step(at, Rule::DeliverToHost, &packet, &packet, summary);
                }
                End::Outside(machine, packet)
            }
        }
    }

    fn nobody(&mut self, packet: &Packet, why: &str) -> End {
        let message = format!("{} is not reachable: {why}", packet.destination);
        let at = (Machine::Router, Hook::Routing);
        self.step(at, Rule::NoRoute, packet, packet, message.clone());
        End::failed(Verdict::Unroutable, CauseKind::NoRoute, message)
    }

    /// A balancer that keeps the source rewrites the destination to a node's node port.
    fn balance(&mut self, balancer: &Balancer, packet: &Packet) -> Result<Packet, Box<End>> {
        let (node, others, address, port) = self.pick_node(balancer, packet)?;
        let after = packet.with_destination(address, port);
        let machine = Machine::Balancer(balancer.name.clone());
        self.track(machine.clone(), packet, &after);
        let summary = format!(
            "the balancer sends it to {}:{port}{} and keeps the source {}",
            self.node_name(node),
            also(others),
            packet.source
        );
        let own = self.cluster.node_by_address.contains_key(&packet.source)
            || self.cluster.pod_by_address.contains_key(&packet.source);
        let uncertain = own.then(|| {
            "what a balancer that keeps the source does for the machines behind itself depends on its make"
                .to_owned()
        });
        self.step((machine, Hook::Inside), Rule::BalancerForward, packet, &after, summary)
            .uncertain = uncertain;
        Ok(after)
    }

    /// A balancer that replaces the source opens a connection of its own, or relays an answer.
    fn connect(&mut self, index: usize, packet: Packet) -> End {
        let Some(balancer) = self.cluster.balancers.get(index) else {
            return self.nobody(&packet, "there is no such balancer");
        };
        let machine = Machine::Balancer(balancer.name.clone());
        if self.replying {
            let Some(known) = self.recall(&machine, &packet).cloned() else {
                return End::Outside(machine, packet);
            };
            let after = known.original.answered();
            let summary =
                "the balancer relays the answer on the client's own connection".to_owned();
            self.step((machine, Hook::Inside), Rule::UnNat, &packet, &after, summary);
            return self.send_from_outside(balancer.ip, after);
        }
        let (node, others, address, port) = match self.pick_node(balancer, &packet) {
            Ok(picked) => picked,
            Err(end) => return *end,
        };
        let after = packet.with_source(balancer.ip).with_destination(address, port);
        self.track(machine.clone(), &packet, &after);
        let summary = format!(
            "the balancer opens its own connection to {}:{port}{}: the source is now {}",
            self.node_name(node),
            also(others),
            balancer.ip
        );
        self.step((machine, Hook::Inside), Rule::BalancerConnect, &packet, &after, summary);
        self.send_from_outside(balancer.ip, after)
    }

    /// Balancers on the gateway translate back what passes them.
    fn through_balancers(&mut self, packet: Packet) -> Packet {
        let on_way = self
            .cluster
            .balancers
            .iter()
            .filter(|balancer| balancer.preserve)
            .map(|balancer| Machine::Balancer(balancer.name.clone()))
            .find_map(|machine| {
                let known = self.recall(&machine, &packet)?;
                Some((machine, known.original.answered()))
            });
        let Some((machine, after)) = on_way else { return packet };
        let summary = format!("the balancer translates the source back to {}", after.from());
        self.step((machine, Hook::Inside), Rule::UnNat, &packet, &after, summary);
        after
    }

    /// The node that a balancer picks, how many others are like it, and the address and node port
    /// there.
    fn pick_node(
        &mut self,
        balancer: &Balancer,
        packet: &Packet,
    ) -> Result<(NodeId, usize, IpAddr, u16), Box<End>> {
        let port = packet.destination_port.unwrap_or(0);
        let front = self.front.filter(|front| front.balancer.ip == balancer.ip).or_else(|| {
            self.cluster.services.iter().find_map(|service| {
                let served = |known: &&crate::cluster::ServicePort| {
                    known.protocol == packet.protocol
                        && known.node_port.is_some()
                        && (known.port == port || known.node_port == Some(port))
                };
                let port = service.ports.iter().find(served)?;
                let balancer = self.cluster.balancers.iter().find(|b| b.ip == balancer.ip)?;
                Some(Front { balancer, service, port, node: None })
            })
        });
        let nowhere = |message: String| {
            Box::new(End::failed(Verdict::Rejected, CauseKind::NoSuchDestination, message))
        };
        if let Some(found) = front.filter(|front| front.port.node_port.is_none()) {
            let service = &found.service.cite.object;
            return Err(nowhere(format!(
                "{service} has no node port that the balancer {} could send to",
                balancer.name
            )));
        }
        let Some((front, node_port)) = front.and_then(|f| Some((f, f.port.node_port?))) else {
            return Err(nowhere(format!(
                "the balancer {} has no service with a node port behind {}",
                balancer.name,
                packet.to()
            )));
        };
        let local = front.service.external_traffic_policy.value == TrafficPolicy::Local;
        let healthy = |node: NodeId| {
            !(balancer.health_check && local)
                || front.port.endpoints.iter().any(|e| e.ready && e.node == Some(node))
        };
        let nodes: Vec<NodeId> = match front.node {
            Some(node) => vec![node],
            None => (0..self.cluster.nodes.len()).map(NodeId).filter(|n| healthy(*n)).collect(),
        };
        let found =
            self.fork_nodes(&nodes, Some(front.service), packet).and_then(|(node, others)| {
                let address = self.cluster.node(node)?.address(packet.family())?;
                Some((node, others, address, node_port))
            });
        found.ok_or_else(|| {
            nowhere(format!(
                "the balancer {} finds no healthy node: no node has a ready endpoint of {}",
                balancer.name, front.service.cite.object
            ))
        })
    }
}

/// How many nodes one stands for.
fn also(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => " (or to another node like it)".to_owned(),
        _ => format!(" (or to one of {others} others like it)"),
    }
}

/// A machine that has an address.
enum Reached {
    Node(NodeId),
    Balancer(usize),
    Client(String),
}

impl Walk<'_> {
    /// The answer to a packet that arrived, all the way back.
    pub(super) fn answer(&mut self, end: &End) -> End {
        match end {
            End::Pod(pod, packet) => {
                let reply = packet.answered();
                let Some(node) = self.cluster.pod(*pod).map(|pod| pod.node) else {
                    return self.nobody(&reply, "its sender is gone");
                };
                let name = self.cluster.pod_name(*pod);
                let at = (self.node_machine(node), Hook::Socket);
                let summary = format!("{name} answers {}", reply.to());
                self.step(at, Rule::Send, &reply, &reply, summary).by(name);
                self.pass_reply(node, reply, Some(Device::Pod(*pod)))
            }
            End::Host(node, packet) => self.answer_from_host(*node, packet),
            End::Outside(machine, packet) => {
                let reply = packet.answered();
                let at = (machine.clone(), Hook::Socket);
                let summary = format!("{} answers", machine.label());
                self.step(at, Rule::Send, &reply, &reply, summary);
                self.send_from_outside(packet.destination, reply)
            }
            End::Failed(_) => end.clone(),
        }
    }

    /// A node answers a packet that reached or was refused by the node itself.
    pub(super) fn answer_from_host(&mut self, node: NodeId, packet: &Packet) -> End {
        let reply = packet.answered();
        let at = (self.node_machine(node), Hook::Socket);
        let summary = format!("{} answers", self.node_name(node));
        self.step(at, Rule::Send, &reply, &reply, summary);
        self.pass_reply(node, reply, None)
    }

    /// A reply passes a node: conntrack translates it back, no rule and no policy is asked.
    pub(super) fn pass_reply(&mut self, node: NodeId, packet: Packet, from: Option<Device>) -> End {
        if let Err(end) = self.enter() {
            return *end;
        }
        let packet = match from {
            Some(Device::Tunnel(_)) => self.unwrap_reply(node, &packet),
            Some(Device::Ethernet) if packet.outer.is_some() => self.ebpf_unwrap(node, &packet),
            _ => packet,
        };
        // The eBPF dataplane turns rp_filter off and moves replies past the kernel's routing.
        let ebpf = self.ebpf();
        if let Some(device @ (Device::Ethernet | Device::Tunnel(_))) = from
            && !ebpf
            && let Err(end) = self.check_source(node, &packet, device)
        {
            return *end;
        }
        if !ebpf && let Err(end) = self.host_untracked_reply(node, &packet, from) {
            return *end;
        }
        let machine = self.node_machine(node);
        let known = self.recall(&machine, &packet).cloned();
        let after = known.as_ref().map_or(packet, |known| known.original.answered());
        if after != packet {
            let on = self.node_name(node);
            let uncertain = self.unmeasured();
            // A destination that eBPF rewrote is in its own map. A source is the kernel's to undo.
            let (hook, who, see) = if ebpf && packet.from() != after.from() {
                let see = super::ebpf::tool("conntrack dump", &packet);
                (Hook::Device, "eBPF's conntrack", see)
            } else {
                (Hook::Prerouting, "conntrack", format!("conntrack -L -d {}", after.source))
            };
            let summary = un_nat_summary(who, &packet, &after);
            self.step((machine.clone(), hook), Rule::UnNat, &packet, &after, summary)
                .see(&on, see)
                .uncertain = uncertain;
        }
        let entry = known.as_ref().and_then(|known| known.forwarded_by);
        if let Some(entry) = entry
            && let Some(end) = self.ebpf_return(node, entry, &after)
        {
            return end;
        }
        let found = route(self.cluster, node, after.destination);
        if known.is_none() && matches!(found, Route::Local | Route::Pod(_)) {
            let message = format!(
                "{} knows no connection from {} to {}: it drops the answer",
                self.node_name(node),
                packet.from(),
                packet.destination
            );
            self.step(
                (machine, Hook::Prerouting),
                Rule::ReplyLost,
                &packet,
                &packet,
                message.clone(),
            );
            return End::failed(Verdict::Dropped, CauseKind::ReplyLost, message);
        }
        let here = matches!(found, Route::Local | Route::Pod(_));
        let after = if here { self.ebpf_socket_reply(node, after, &found) } else { after };
        self.leave(node, after, found)
    }

    fn unwrap_reply(&mut self, node: NodeId, packet: &Packet) -> Packet {
        let inner = packet.wrapped(None);
        if let Some(outer) = packet.outer {
            let device = outer.encapsulation.device(packet.family()).to_owned();
            let at = (self.node_machine(node), Hook::Device);
            let summary = format!("{device} takes the {} header off", outer.encapsulation.label());
            self.step(at, Rule::Decapsulate, packet, &inner, summary).by(device);
        }
        inner
    }
}

fn un_nat_summary(who: &str, before: &Packet, after: &Packet) -> String {
    let mut parts = Vec::new();
    if before.source != after.source || before.source_port != after.source_port {
        parts.push(format!("the source back to {}", after.from()));
    }
    if before.destination != after.destination {
        parts.push(format!("the destination back to {}", after.destination));
    }
    format!("{who} translates {}", parts.join(" and "))
}
