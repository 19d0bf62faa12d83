//! How a packet leaves a node: by which route, through which tunnel, to whom.

use ipnet::IpNet;

use super::evidence::Evidence;
use super::node::dump;
use super::route::{Device, Route, is_local_address, same_subnet};
use super::step::{CauseKind, Hook, Rule};
use super::told::{Told, told, untold};
use super::walk::{End, Walk};
use crate::cluster::{EncapMode, NodeId, PodId};
use crate::net::{Encapsulation, Family, InFamily, Outer, Packet, Verdict};
use crate::text::ObjectRef;

/// Spec and source leave open which address the routing table of `WireGuard` gives.
pub(super) const WIREGUARD_SOURCE: &str = "which source WireGuard's routes give to what a node itself sends or masquerades was read in Calico's source, and not measured";

impl Walk<'_> {
    /// Out by a device, to the next machine. Replies come here too.
    pub(super) fn leave(&mut self, node: NodeId, packet: Packet, found: Route) -> End {
        match found {
            Route::Pod(pod) if self.replying => End::Pod(pod, packet),
            Route::Pod(pod) => self.enter_pod(node, pod, packet),
            Route::Tunnel(encapsulation, to, block) => {
                self.wrap(node, &packet, encapsulation, to, block)
            }
            Route::Node(to, block) => self.unwrapped(node, packet, to, block),
            Route::Untold(to, block) => self.untold(node, packet, to, block),
            Route::OnLink | Route::Gateway => self.out(node, packet, found),
            Route::Local => End::Host(node, packet),
            Route::Blackhole(block) => {
                let block = block.to_string();
                self.blackhole(node, &packet, &block)
            }
        }
    }

    fn enter_pod(&mut self, node: NodeId, pod: PodId, packet: Packet) -> End {
        let (machine, on) = (self.node_machine(node), self.node_name(node));
        let name = self.cluster.pod_name(pod);
        self.source_at_pod = Some(packet.source);
        let summary = format!("the packet enters {name} by its veth {}", self.cluster.veth(pod));
        let see = dump(&self.cluster.veth(pod), &packet);
        self.step((machine, Hook::Device), Rule::DeliverToPod, &packet, &packet, summary)
            .by(name)
            .see(&on, see);
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
        let (machine, on) = (self.node_machine(node), self.node_name(node));
        let family = packet.family();
        let Some(outer) = self.outer(encapsulation, node, to, family) else {
            return self.no_route(node, packet, "the node has no address for the tunnel");
        };
        let Outer { source, destination, .. } = outer;
        let wrapped = packet.wrapped(Some(outer));
        let device = encapsulation.device(packet.family());
        let peer = self.node_name(to);
        let told = told(self.cluster, node, to, Some(encapsulation));
        let how = told.as_ref().map_or_else(String::new, |t| t.phrase(self.cluster, to));
        let summary = format!(
            "{block} is behind {peer}, {how}: {device} wraps the packet in {}, from {source} to {destination}",
            encapsulation.label()
        );
        let line = if encapsulation == Encapsulation::Ipip {
            let writer = if told == Some(Told::Felix) { "80" } else { "bird" };
            format!("{block} via {destination} dev {device} proto {writer} onlink")
        } else if encapsulation == Encapsulation::Wireguard {
            format!("{block} dev {device} table 1 proto 80 scope link")
        } else {
            let gateway = self
                .cluster
                .node(to)
                .and_then(|node| node.tunnel_address(encapsulation, family))
                .map_or_else(String::new, |ip| format!(" via {ip}"));
            format!("{block}{gateway} dev {device} proto 80 onlink")
        };
        let evidence = self.pool_evidence(packet.destination, encapsulation);
        let evidence: Vec<Evidence> = evidence
            .into_iter()
            .chain(told.as_ref().and_then(|told| told.evidence(self.cluster)))
            .collect();
        let uncertain = told.as_ref().and_then(Told::uncertain).or_else(|| {
            let own = is_local_address(self.cluster, node, packet.source);
            (encapsulation == Encapsulation::Wireguard && own).then(|| WIREGUARD_SOURCE.to_owned())
        });
        self.step((machine, Hook::Device), Rule::Encapsulate, packet, &wrapped, summary)
            .by(device.to_owned())
            .because(evidence)
            .with_rules([line])
            .see(&on, format!("ip route get {}", packet.destination))
            .uncertain = uncertain;
        self.arrive(to, wrapped, Device::Tunnel(encapsulation))
    }

    /// Unwrapped, to the node that has the block.
    fn unwrapped(&mut self, node: NodeId, packet: Packet, to: NodeId, block: IpNet) -> End {
        let (machine, on) = (self.node_machine(node), self.node_name(node));
        let told = told(self.cluster, node, to, None);
        let how = told.as_ref().map_or_else(String::new, |t| t.phrase(self.cluster, to));
        let beyond = !same_subnet(self.cluster, node, to, packet.family());
        let hop = self.cluster.node(to).and_then(|node| node.address(packet.family()));
        let hop = hop.map_or_else(String::new, |hop| hop.to_string());
        if beyond && told == Some(Told::Felix) {
            let why = format!(
                "Felix' route to {block} is onlink, so {on} looks for {hop} on its own link; {hop} is in another subnet, and nobody answers"
            );
            let evidence = told.as_ref().and_then(|told| told.evidence(self.cluster));
            self.step((machine, Hook::Routing), Rule::NoRoute, &packet, &packet, why.clone())
                .because(evidence)
                .with_rules([format!("{block} via {hop} dev eth0 proto 80 onlink")])
                .see(&on, format!("ip route get {}; ip neigh show {hop}", packet.destination));
            return End::failed(Verdict::Unroutable, CauseKind::NoRoute, why);
        }
        let way = if beyond {
            format!(", by way of the default gateway, for {hop} is in another subnet")
        } else {
            String::new()
        };
        let summary = format!(
            "{block} is behind {}, {how}: out by eth0, not wrapped{way}",
            self.node_name(to)
        );
        let evidence = told.as_ref().and_then(|told| told.evidence(self.cluster));
        let evidence = evidence.into_iter().chain(self.unwrapped_evidence(&packet));
        let evidence: Vec<Evidence> = evidence.collect();
        self.step((machine, Hook::Device), Rule::DeviceOut, &packet, &packet, summary)
            .by("eth0".to_owned())
            .because(evidence)
            .with_rules([match &told {
                Some(Told::Felix) => format!("{block} via {hop} dev eth0 proto 80 onlink"),
                _ => format!("{block} via {hop} dev eth0 proto bird"),
            }])
            .see(&on, format!("ip route get {}", packet.destination))
            .uncertain = told.as_ref().and_then(Told::uncertain);
        if beyond {
            self.hand_to_routers(packet)
        } else {
            self.arrive(to, packet, Device::Ethernet)
        }
    }

    /// To the default gateway, for want of a route.
    fn untold(&mut self, node: NodeId, packet: Packet, to: NodeId, block: IpNet) -> End {
        let (machine, on) = (self.node_machine(node), self.node_name(node));
        let (why, evidence) = untold(self.cluster, node, to);
        let summary = format!(
            "{block} is behind {}, but {on} has no route to it, so the packet goes to the default gateway: {why}",
            self.node_name(to)
        );
        self.step((machine, Hook::Device), Rule::DeviceOut, &packet, &packet, summary)
            .by("eth0".to_owned())
            .because([evidence.clone()])
            .see(&on, "birdcl show protocols; ip route".to_owned());
        match self.hand_to_routers(packet) {
            End::Failed(mut failure) if failure.cause.kind == CauseKind::NoRoute => {
                failure.cause.message = why;
                failure.cause.cite = Some(evidence.cite);
                End::Failed(failure)
            }
            end => end,
        }
    }

    /// To a machine outside, or the default gateway.
    fn out(&mut self, node: NodeId, packet: Packet, found: Route) -> End {
        let (machine, on) = (self.node_machine(node), self.node_name(node));
        let way = match found {
            Route::OnLink => "to a machine of its own subnet",
            _ => "to the default gateway",
        };
        let summary = format!("{} goes out by eth0, {way}", packet.destination);
        self.step((machine, Hook::Device), Rule::DeviceOut, &packet, &packet, summary)
            .by("eth0".to_owned())
            .see(&on, format!("ip route get {}", packet.destination));
        match found {
            Route::OnLink => self.on_link(packet),
            _ => self.hand_to_routers(packet),
        }
    }

    /// Why the pool's packets are not wrapped.
    fn unwrapped_evidence(&self, packet: &Packet) -> Option<Evidence> {
        let pool = self.cluster.pool_of(packet.destination)?;
        let ipip = pool.ipip.value != EncapMode::Never;
        let (setting, field) = if ipip || pool.vxlan.value == EncapMode::Never {
            (&pool.ipip, "spec.ipipMode")
        } else {
            (&pool.vxlan, "spec.vxlanMode")
        };
        let finding = match setting.value {
            EncapMode::CrossSubnet => format!("pool {} is wrapped between subnets only", pool.cidr),
            _ => format!("pool {} is not wrapped", pool.cidr),
        };
        Some(Evidence::of_setting(
            setting,
            &ObjectRef::new("IPPool", "", &pool.name),
            field,
            &finding,
        ))
    }

    /// Why the pool's packets are wrapped.
    pub(super) fn pool_evidence(
        &self,
        to: std::net::IpAddr,
        encapsulation: Encapsulation,
    ) -> Option<Evidence> {
        if encapsulation == Encapsulation::Wireguard {
            let family = to.family();
            let field = match family {
                Family::V4 => "spec.wireguardEnabled",
                Family::V6 => "spec.wireguardEnabledV6",
            };
            let setting = self.cluster.felix.wireguard_of(family);
            return Some(Evidence::of_felix(
                setting,
                field,
                "WireGuard wraps what goes between nodes",
            ));
        }
        let pool = self.cluster.pool_of(to)?;
        let object = ObjectRef::new("IPPool", "", &pool.name);
        let (setting, field) = match encapsulation {
            Encapsulation::Ipip => (&pool.ipip, "spec.ipipMode"),
            _ => (&pool.vxlan, "spec.vxlanMode"),
        };
        let finding = format!("pool {} is wrapped in {}", pool.cidr, encapsulation.label());
        Some(Evidence::of_setting(setting, &object, field, &finding))
    }

    pub(super) fn blackhole(&mut self, node: NodeId, packet: &Packet, block: &str) -> End {
        let name = self.node_name(node);
        let message = format!(
            "{} is in {name}'s block {block}, but no pod has it: {name} drops it",
            packet.destination
        );
        let at = (self.node_machine(node), Hook::Routing);
        self.step(at, Rule::NoRoute, packet, packet, message.clone())
            .with_rules([format!("blackhole {block} proto bird")])
            .see(&name, format!("ip route get {}", packet.destination));
        End::failed(Verdict::Unroutable, CauseKind::NoRoute, message)
    }

    pub(super) fn no_route(&mut self, node: NodeId, packet: &Packet, why: &str) -> End {
        let at = (self.node_machine(node), Hook::Routing);
        self.step(at, Rule::NoRoute, packet, packet, why.to_owned());
        End::failed(Verdict::Unroutable, CauseKind::NoRoute, why.to_owned())
    }
}
