//! What is between the nodes: their subnets, the routers, balancers and machines outside.

use std::net::IpAddr;

use ipnet::IpNet;

use super::evidence::Evidence;
use super::fact::{Device, Doubt, Fact, Listener, NoRoute, Picked, Routed, Sent, Translator};
use super::frontend::frontend_where;
use super::route::block_of;
use super::step::{CauseKind, Hook, Machine, NoTarget};
use super::walk::{End, Walk};
use crate::cluster::{
    Balancer, BalancerId, Front, NodeId, Outside, Service, ServiceId, ServicePort, TrafficPolicy,
};
use crate::net::{InFamily, Packet, Verdict};

/// A balancer's choice of a node, and the address and node port there.
struct Target {
    picked: Picked,
    ip: IpAddr,
    port: u16,
}

impl Walk<'_> {
    /// A packet reaches a node.
    pub(super) fn arrive(&mut self, node: NodeId, packet: Packet, from: Device) -> End {
        if let Err(end) = self.enter() {
            return *end;
        }
        if self.replying {
            self.dataplane.pass_reply(self, node, packet, Some(from))
        } else {
            self.dataplane.receive(self, node, packet, from)
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
            None => self.nobody(&packet, NoRoute::NotInSubnet),
        }
    }

    /// To the routers, which know nodes, clients, balancers, and what the scenario tells them.
    pub(super) fn hand_to_routers(&mut self, packet: Packet) -> End {
        // A router sends all of a connection the same way: what comes back to it comes back again.
        if self.routed.contains(&packet) {
            return End::circles();
        }
        self.routed.push(packet);
        let at_balancer = |known: &Balancer| known.preserve && known.ip == packet.destination;
        let packet = if self.replying {
            self.through_balancers(packet)
        } else if let Some(index) = self.cluster.balancers.iter().position(at_balancer) {
            match self.balance(BalancerId(index), &packet) {
                Ok(packet) => packet,
                Err(end) => return *end,
            }
        } else {
            packet
        };
        if let Some(at) = self.machine_at(packet.destination) {
            return self.reach(at, packet);
        }
        let Some((to, best)) = self.cluster.routes.longest(packet.destination) else {
            return self.by_blocks(packet);
        };
        let mut nodes: Vec<NodeId> =
            best.iter().flat_map(|known| known.via.iter().copied()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let service = frontend_where(self.cluster, &packet, false).map(|found| found.service);
        let Some((via, others)) = self.fork_nodes(&nodes, service, &packet) else {
            return self.by_blocks(packet);
        };
        let said = best.iter().position(|known| known.via.contains(&via)).unwrap_or(0);
        let assumed = best.get(said).and_then(|route| route.assumed);
        let fact = Fact::RouterForward(Routed::Route { to, via, others });
        self.step((Machine::Router, Hook::Routing), fact, &packet, &packet)
            .because([Evidence::Route(to, said)])
            .doubtful(assumed.map(Doubt::Route));
        self.arrive(via, packet, Device::Ethernet)
    }

    /// The routers know the blocks of nodes that speak BGP with them.
    fn by_blocks(&mut self, packet: Packet) -> End {
        let block = block_of(self.cluster, packet.destination);
        let Some((owner, block)) = block else {
            return self.nobody(&packet, NoRoute::Unknown);
        };
        let Some(peer) = self.cluster.network.bgp.with_router(owner) else {
            return self.nobody(&packet, NoRoute::Unannounced { owner, block });
        };
        let fact = Fact::RouterForward(Routed::Block { owner, block });
        self.step((Machine::Router, Hook::Routing), fact, &packet, &packet)
            .because([Evidence::Announces(peer, owner)]);
        self.arrive(owner, packet, Device::Ethernet)
    }

    fn machine_at(&self, address: IpAddr) -> Option<Machine> {
        let node = self.cluster.node_by_address.get(&address).copied().filter(|node| {
            self.cluster
                .node(*node)
                .is_some_and(|node| node.addresses.iter().any(|own| own.addr() == address))
        });
        if let Some(node) = node {
            return Some(Machine::Node(node));
        }
        let balancer = self.cluster.balancers.iter().position(|known| known.ip == address);
        if let Some(index) = balancer {
            return Some(Machine::Balancer(BalancerId(index)));
        }
        let outside = self.cluster.outside_at(address);
        let named = matches!(outside, Outside::Named(_))
            || self.outside.contains(&address)
            || self.is_endpoint_outside(address);
        named.then_some(Machine::Client(outside))
    }

    /// Whether an `EndpointSlice` has a machine outside the cluster at this address.
    fn is_endpoint_outside(&self, address: IpAddr) -> bool {
        self.cluster.endpoints_of_no_pod.contains(&address) && self.cluster.is_outside(address)
    }

    fn reach(&mut self, at: Machine, packet: Packet) -> End {
        match at {
            Machine::Node(node) => self.arrive(node, packet, Device::Ethernet),
            Machine::Balancer(id) => self.connect(id, packet),
            Machine::Client(_) | Machine::Router => {
                if !self.replying {
                    let fact = Fact::DeliverToHost(Listener::Outside);
                    self.step((at, Hook::Socket), fact, &packet, &packet);
                }
                End::Outside(at, packet)
            }
        }
    }

    fn nobody(&mut self, packet: &Packet, why: NoRoute) -> End {
        let at = (Machine::Router, Hook::Routing);
        self.step(at, Fact::NoRoute(why), packet, packet);
        self.fail(Verdict::Unroutable, CauseKind::NoRoute, None)
    }

    /// A balancer that keeps the source rewrites the destination to a node's node port.
    fn balance(&mut self, id: BalancerId, packet: &Packet) -> Result<Packet, Box<End>> {
        let Target { picked, ip, port } = self.pick_node(id, packet)?;
        let after = packet.with_destination(ip, port);
        let machine = Machine::Balancer(id);
        self.track(machine, packet, &after);
        let own = self.cluster.node_by_address.contains_key(&packet.source)
            || self.cluster.pod_by_address.contains_key(&packet.source);
        self.step((machine, Hook::Inside), Fact::BalancerForward(picked), packet, &after)
            .doubtful(own.then_some(Doubt::BehindBalancer));
        Ok(after)
    }

    /// A balancer that replaces the source opens a connection of its own, or relays an answer.
    fn connect(&mut self, id: BalancerId, packet: Packet) -> End {
        let Some(balancer) = self.cluster.balancers.get(id.0) else {
            return self.nobody(&packet, NoRoute::NoBalancer);
        };
        let machine = Machine::Balancer(id);
        if self.replying {
            let Some(known) = self.recall(machine, &packet) else {
                return End::Outside(machine, packet);
            };
            let after = known.original.answered();
            let fact = Fact::UnNat(Translator::Relay);
            self.step((machine, Hook::Inside), fact, &packet, &after);
            return self.send_from_outside(balancer.ip, after);
        }
        let Target { picked, ip, port } = match self.pick_node(id, &packet) {
            Ok(target) => target,
            Err(end) => return *end,
        };
        let after = packet.with_source(balancer.ip).with_destination(ip, port);
        self.track(machine, &packet, &after);
        self.step((machine, Hook::Inside), Fact::BalancerConnect(picked), &packet, &after);
        self.send_from_outside(balancer.ip, after)
    }

    /// Balancers on the gateway translate back what passes them.
    fn through_balancers(&mut self, packet: Packet) -> Packet {
        let balancers = self.cluster.balancers.iter().enumerate();
        let on_way = balancers.filter(|(_, balancer)| balancer.preserve).find_map(|(index, _)| {
            let machine = Machine::Balancer(BalancerId(index));
            Some((machine, self.recall(machine, &packet)?.original.answered()))
        });
        let Some((machine, after)) = on_way else { return packet };
        let fact = Fact::UnNat(Translator::Balancer);
        self.step((machine, Hook::Inside), fact, &packet, &after);
        after
    }

    /// The node that a balancer picks.
    fn pick_node(&mut self, id: BalancerId, packet: &Packet) -> Result<Target, Box<End>> {
        let nowhere = |why| Box::new(End::no_target(id, why));
        let asked = NoTarget::NoService(packet.destination, packet.destination_port);
        let Some(balancer) = self.cluster.balancers.get(id.0) else { return Err(nowhere(asked)) };
        let port = packet.destination_port.unwrap_or(0);
        let front = self.front.filter(|front| front.balancer.ip == balancer.ip).or_else(|| {
            self.cluster.services.iter().find_map(|service| {
                let served = |known: &&ServicePort| {
                    known.protocol == packet.protocol
                        && known.node_port.is_some()
                        && (known.port == port || known.node_port == Some(port))
                };
                let port = service.ports.iter().find(served)?;
                Some(Front { balancer, service, port, node: None })
            })
        });
        let Some(front) = front else { return Err(nowhere(asked)) };
        let is_it = |service: &Service| std::ptr::eq(service, front.service);
        let Some(service) = self.cluster.services.iter().position(is_it).map(ServiceId) else {
            return Err(nowhere(asked));
        };
        let Some(node_port) = front.port.node_port else {
            return Err(nowhere(NoTarget::NoNodePort(service)));
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
                let ip = self.cluster.node(node)?.address(packet.destination.family())?;
                Some(Target { picked: Picked { node, others }, ip, port: node_port })
            });
        found.ok_or_else(|| nowhere(NoTarget::NoHealthyNode(service)))
    }

    /// The answer to a packet that arrived, all the way back.
    pub(super) fn answer(&mut self, end: &End) -> End {
        match end {
            End::Pod(pod, packet) => {
                let reply = packet.answered();
                let Some(node) = self.cluster.pod(*pod).map(|pod| pod.node) else {
                    return self.nobody(&reply, NoRoute::NoSender);
                };
                let (at, device) = ((Machine::Node(node), Hook::Socket), Device::Pod(*pod));
                self.step(at, Fact::Send(Sent::Answer), &reply, &reply).by(device);
                self.arrive(node, reply, device)
            }
            End::Host(node, packet) => self.answer_from_host(*node, packet),
            End::Outside(machine, packet) => {
                let reply = packet.answered();
                let at = (*machine, Hook::Socket);
                self.step(at, Fact::Send(Sent::Answer), &reply, &reply);
                self.send_from_outside(packet.destination, reply)
            }
            End::Failed(_) => end.clone(),
        }
    }

    /// A node answers a packet that reached or was refused by the node itself.
    pub(super) fn answer_from_host(&mut self, node: NodeId, packet: &Packet) -> End {
        let reply = packet.answered();
        let at = (Machine::Node(node), Hook::Socket);
        self.step(at, Fact::Send(Sent::Answer), &reply, &reply);
        if let Err(end) = self.enter() {
            return *end;
        }
        self.dataplane.pass_reply(self, node, reply, None)
    }
}
