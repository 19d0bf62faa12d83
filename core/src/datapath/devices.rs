//! How a packet enters a node and leaves it: by which device, through which tunnel, to whom.

use ipnet::IpNet;

use super::distribution::known;
use super::evidence::Evidence;
use super::fact::{Device, Doubt, Fact, Known, NoRoute, Out, Untold, Wrap};
use super::route::{Route, is_local_address, same_subnet};
use super::step::{Because, CauseKind, Hook, Machine};
use super::walk::{End, Walk};
use crate::cluster::{EncapMode, NodeId, PodId};
use crate::net::{Encapsulation, Family, Outer, Packet, Verdict};

impl Walk<'_> {
    /// The device, and the tunnel's end.
    pub(super) fn come_in(
        &mut self,
        node: NodeId,
        packet: Packet,
        from: Device,
        doubt: Option<Doubt>,
    ) -> Packet {
        let at = (Machine::Node(node), Hook::Device);
        if from == Device::Loopback {
            return packet;
        }
        let (fact, inner) = match (from, packet.outer) {
            (Device::Tunnel(_), Some(_)) => (Fact::Decapsulate, packet.wrapped(None)),
            _ => (Fact::DeviceIn, packet),
        };
        self.step(at, fact, &packet, &inner).by(from).doubtful(doubt);
        inner
    }

    /// A reply without the header of the tunnel that it came by.
    pub(super) fn unwrapped(
        &mut self,
        node: NodeId,
        packet: Packet,
        from: Option<Device>,
    ) -> Packet {
        match from {
            Some(device @ Device::Tunnel(_)) if packet.outer.is_some() => {
                self.come_in(node, packet, device, None)
            }
            _ => packet,
        }
    }

    /// Out by a device, to the next machine. Replies come here too.
    pub(super) fn leave(&mut self, node: NodeId, packet: Packet, found: Route) -> End {
        match found {
            Route::Pod(pod) if self.replying => End::Pod(pod, packet),
            Route::Pod(pod) => self.enter_pod(node, pod, packet),
            Route::Tunnel(encapsulation, to, block) => {
                self.wrap(node, &packet, encapsulation, to, block)
            }
            Route::Node(to, block) => self.bare(node, packet, to, block),
            Route::Untold(to, block, why) => self.untold(node, packet, to, block, why),
            Route::OnLink => {
                self.out(node, &packet, Out::OnLink);
                self.on_link(packet)
            }
            Route::Gateway => {
                self.out(node, &packet, Out::Gateway);
                self.hand_to_routers(packet)
            }
            Route::Local => End::Host(node, packet),
            Route::Blackhole(block) => self.blackhole(node, &packet, block),
        }
    }

    fn enter_pod(&mut self, node: NodeId, pod: PodId, packet: Packet) -> End {
        self.source_at_pod = Some(packet.source);
        let at = (Machine::Node(node), Hook::Device);
        self.step(at, Fact::DeliverToPod { own: false }, &packet, &packet).by(Device::Pod(pod));
        End::Pod(pod, packet)
    }

    /// What a tunnel between two nodes adds; `None` if one has no address of the family.
    pub(super) fn outer(
        &self,
        encapsulation: Encapsulation,
        from: NodeId,
        to: NodeId,
        family: Family,
    ) -> Option<Outer> {
        let source = self.cluster.node(from)?.address(family)?;
        let destination = self.cluster.node(to)?.address(family)?;
        Some(Outer { encapsulation, source, destination })
    }

    /// Into a tunnel, to the node that has the block.
    fn wrap(
        &mut self,
        node: NodeId,
        packet: &Packet,
        encapsulation: Encapsulation,
        to: NodeId,
        block: IpNet,
    ) -> End {
        let Some(outer) = self.outer(encapsulation, node, to, packet.family()) else {
            return self.no_route(node, packet, NoRoute::NoTunnelAddress);
        };
        let wrapped = packet.wrapped(Some(outer));
        let known = known(self.cluster, node, to, Some(encapsulation)).ok();
        let evidence = self.wrapped_by(packet, encapsulation);
        let evidence = evidence
            .into_iter()
            .chain(known.as_ref().and_then(|known| known.evidence(self.cluster)));
        let evidence: Vec<Evidence> = evidence.collect();
        let own = is_local_address(self.cluster, node, packet.source);
        let doubt = known.as_ref().and_then(Known::doubt).or_else(|| {
            (encapsulation == Encapsulation::Wireguard && own).then_some(Doubt::WireguardSource)
        });
        let fact = Fact::Encapsulate(Wrap::Tunnel { encapsulation, to, block, known });
        let device = Device::Tunnel(encapsulation);
        self.step((Machine::Node(node), Hook::Device), fact, packet, &wrapped)
            .by(device)
            .because(evidence)
            .doubtful(doubt);
        self.arrive(to, wrapped, device)
    }

    /// Unwrapped, to the node that has the block.
    fn bare(&mut self, node: NodeId, packet: Packet, to: NodeId, block: IpNet) -> End {
        let Ok(known) = known(self.cluster, node, to, None) else {
            return self.no_route(node, &packet, NoRoute::Unknown);
        };
        let beyond = !same_subnet(self.cluster, node, to, packet.family());
        if beyond && known == Known::Felix {
            let evidence = known.evidence(self.cluster);
            let end = self.no_route(node, &packet, NoRoute::OnLink { to, block });
            if let Some(step) = self.steps.last_mut() {
                step.because(evidence);
            }
            return end;
        }
        let evidence = known.evidence(self.cluster).into_iter().chain(self.not_wrapped(&packet));
        let evidence: Vec<Evidence> = evidence.collect();
        let doubt = known.doubt();
        self.out(node, &packet, Out::Node { to, block, known, beyond });
        if let Some(step) = self.steps.last_mut() {
            step.because(evidence).doubtful(doubt);
        }
        if beyond {
            self.hand_to_routers(packet)
        } else {
            self.arrive(to, packet, Device::Ethernet)
        }
    }

    /// To the default gateway, for want of a route.
    fn untold(
        &mut self,
        node: NodeId,
        packet: Packet,
        to: NodeId,
        block: IpNet,
        why: Untold,
    ) -> End {
        let evidence = Evidence::Mesh(Some(why));
        self.out(node, &packet, Out::Untold { to, block, why });
        if let Some(step) = self.steps.last_mut() {
            step.because([evidence]);
        }
        let at = self.steps.len().saturating_sub(1);
        match self.hand_to_routers(packet) {
            End::Failed(mut failure) if failure.cause.kind == CauseKind::NoRoute => {
                failure.cause.because = Because::Step { reply: self.replying, at };
                failure.cause.cite = Some(evidence.cite(self.cluster));
                End::Failed(failure)
            }
            end => end,
        }
    }

    /// Out by the network card.
    fn out(&mut self, node: NodeId, packet: &Packet, out: Out) {
        let at = (Machine::Node(node), Hook::Device);
        self.step(at, Fact::DeviceOut(out), packet, packet).by(Device::Ethernet);
    }

    /// Why the pool's packets are not wrapped.
    fn not_wrapped(&self, packet: &Packet) -> Option<Evidence> {
        let id = self.cluster.network.pool_of(packet.destination)?;
        let pool = self.cluster.network.pool(id)?;
        let ipip = pool.ipip.value != EncapMode::Never || pool.vxlan.value == EncapMode::Never;
        let by = if ipip { Encapsulation::Ipip } else { Encapsulation::Vxlan };
        Some(Evidence::NotWrapped(id, by))
    }

    /// Why the pool's packets are wrapped.
    fn wrapped_by(&self, packet: &Packet, encapsulation: Encapsulation) -> Option<Evidence> {
        if encapsulation == Encapsulation::Wireguard {
            return Some(Evidence::Wireguard(packet.family()));
        }
        let pool = self.cluster.network.pool_of(packet.destination)?;
        Some(Evidence::Wrapped(pool, encapsulation))
    }

    /// The node's own block, where no pod has the address.
    pub(super) fn blackhole(&mut self, node: NodeId, packet: &Packet, block: IpNet) -> End {
        self.no_route(node, packet, NoRoute::Blackhole(block))
    }

    /// The node has no way for it.
    pub(super) fn no_route(&mut self, node: NodeId, packet: &Packet, why: NoRoute) -> End {
        let at = (Machine::Node(node), Hook::Routing);
        self.step(at, Fact::NoRoute(why), packet, packet);
        self.fail(Verdict::Unroutable, CauseKind::NoRoute, None)
    }
}
