//! Calico's eBPF dataplane, which replaces kube-proxy (`felix/bpf-gpl`, `felix/bpf/proxy`).
//!
//! Service addresses are rewritten where the packet starts: in the socket call (connect-time load
//! balancing), or on the pod's veth. What comes from outside is never masqueraded: a node without
//! the endpoint forwards the packet as it is, in VXLAN, to the node that has it.
//!
//! Read in source, not measured on a kernel: every rewrite says so.

use super::evidence::{Evidence, PolicyEffect};
use super::fact::{
    Device, Dnat, Doubt, Fact, FrontendKind, Left, Masquerade, Masquerades, NoRoute, Refused,
    Skipped, Translator, Wrap,
};
use super::frontend::{Frontend, Usable, frontend_where, usable};
use super::route::{Route, is_host_address, masquerade_source, route};
use super::step::{CauseKind, Hook, Machine};
use super::walk::{Dataplane, End, Failure, Forwarded, Tracked, Walk};
use crate::cluster::{Backend, Cluster, ConnectTime, Endpoint, EndpointToHost, NodeId, PodId};
use crate::net::{Direction, Encapsulation, Family, InFamily, Outer, Packet, Protocol, Verdict};

/// Calico's programs on sockets and devices.
pub(super) struct Ebpf;

/// A packet on its way through one node.
#[derive(Clone, Copy)]
struct Passing {
    node: NodeId,
    /// `None` for the node's own packets.
    from: Option<Device>,
    /// As it came.
    original: Packet,
    /// The node that forwarded it here as it was.
    entry: Option<NodeId>,
}

impl Passing {
    /// The pod whose socket call it is.
    fn sender(&self, hook: Hook) -> Option<Device> {
        self.from.filter(|from| matches!(from, Device::Pod(_)) && hook == Hook::Socket)
    }
}

/// What the load balancer's maps say of a packet.
pub(crate) enum Balanced<'a> {
    /// Its destination is no service.
    Plain,
    /// One of these endpoints.
    To(Frontend<'a>, Vec<&'a Endpoint>),
    /// A service without a backend that it may use.
    Nowhere(Frontend<'a>),
}

impl<'a> Balanced<'a> {
    fn among(frontend: Frontend<'a>, endpoints: Vec<&'a Endpoint>) -> Self {
        if endpoints.is_empty() { Self::Nowhere(frontend) } else { Self::To(frontend, endpoints) }
    }
}

impl Dataplane for Ebpf {
    fn receive(&self, walk: &mut Walk<'_>, node: NodeId, packet: Packet, from: Device) -> End {
        if let Device::Pod(pod) = from {
            return walk.ebpf_from_pod(node, pod, &packet);
        }
        // It is said of this packet only, not of a later connection's.
        let forwarded = walk.forwarded.take();
        let packet = if forwarded.is_some() {
            walk.ebpf_unwrap(node, &packet)
        } else {
            let doubt = walk.unfiltered(node, &packet, from);
            walk.come_in(node, packet, from, doubt)
        };
        walk.ebpf_host(node, &packet, from);
        let entry = forwarded.map(|forwarded| forwarded.by);
        let at = Passing { node, from: Some(from), original: packet, entry };
        match balance_from_outside(walk.cluster, node, entry.is_some(), &packet) {
            Balanced::Nowhere(frontend) => walk.ebpf_refuse(&at, &packet, &frontend, Hook::Device),
            Balanced::Plain => walk.ebpf_route(&at, packet),
            Balanced::To(frontend, endpoints) => {
                if let Some(end) = walk.ebpf_source_range(node, &packet, &frontend) {
                    return end;
                }
                let picked = match forwarded {
                    Some(Forwarded { to, .. }) => walk.ebpf_picked(node, to, &endpoints),
                    None => walk.ebpf_pick(&endpoints),
                };
                let Some((chosen, endpoint)) = picked else {
                    return walk.ebpf_refuse(&at, &packet, &frontend, Hook::Device);
                };
                if let Some(to) = endpoint.node.filter(|to| *to != node && entry.is_none()) {
                    walk.forwarded = Some(Forwarded { by: node, to: endpoint });
                    return walk.ebpf_forward(node, to, &packet, &frontend, endpoint);
                }
                let of = endpoints.len();
                let after =
                    walk.ebpf_dnat(&at, Hook::Device, &packet, &frontend, endpoint, (chosen, of));
                walk.ebpf_route(&at, after)
            }
        }
    }

    fn send_from_host(&self, walk: &mut Walk<'_>, node: NodeId, packet: Packet) -> End {
        let at = Passing { node, from: None, original: packet, entry: None };
        let hook = walk.balances_at(&packet);
        let after = match walk.ebpf_balance(&at, &packet, hook) {
            Ok(None) => return walk.ebpf_route(&at, packet),
            Ok(Some(after)) => after,
            Err(end) => return *end,
        };
        // The route to the endpoint gives the source.
        let found = route(walk.cluster, node, after.destination);
        let source = masquerade_source(walk.cluster, node, &found, after.destination);
        let after = source.map_or(after, |ip| after.with_source(ip));
        if hook == Hook::Device {
            return walk.ebpf_route(&at, after);
        }
        walk.remember_socket(node, &packet, &after);
        walk.ebpf_route(&Passing { original: after, ..at }, after)
    }

    /// It turns `rp_filter` off and moves replies past the kernel's routing.
    fn pass_reply(
        &self,
        walk: &mut Walk<'_>,
        node: NodeId,
        packet: Packet,
        from: Option<Device>,
    ) -> End {
        let packet = match from {
            Some(Device::Ethernet) if packet.outer.is_some() => walk.ebpf_unwrap(node, &packet),
            _ => walk.unwrapped(node, packet, from),
        };
        let machine = Machine::Node(node);
        let known = walk.recall(machine, &packet);
        let after = known.map_or(packet, |known| known.original.answered());
        if after != packet {
            // A destination that eBPF rewrote is in its own map. A source is the kernel's to undo.
            let source = (packet.source, packet.source_port) != (after.source, after.source_port);
            let (hook, by) = if source {
                (Hook::Device, Translator::EbpfConntrack)
            } else {
                (Hook::Prerouting, Translator::Conntrack)
            };
            walk.step((machine, hook), Fact::UnNat(by), &packet, &after).doubtful(self.doubt());
        }
        if let Some(entry) = known.and_then(|known| known.forwarded_by)
            && let Some(end) = walk.ebpf_return(node, entry, &after)
        {
            return end;
        }
        let found = route(walk.cluster, node, after.destination);
        let here = matches!(found, Route::Local | Route::Pod(_));
        if known.is_none() && here {
            return walk.unknown_reply(node, &packet);
        }
        let after = if here { walk.ebpf_socket_reply(node, after, &found) } else { after };
        walk.leave(node, after, found)
    }

    fn doubt(&self) -> Option<Doubt> {
        Some(Doubt::Unmeasured)
    }
}

impl<'a> Walk<'a> {
    fn ebpf_from_pod(&mut self, node: NodeId, pod: PodId, packet: &Packet) -> End {
        let from = Device::Pod(pod);
        let at = Passing { node, from: Some(from), original: *packet, entry: None };
        let hook = self.balances_at(packet);
        if hook == Hook::Device {
            let packet = self.come_in(node, *packet, from, None);
            self.ebpf_host(node, &packet, from);
            return match self.ebpf_balance(&at, &packet, hook) {
                Ok(after) => self.ebpf_route(&at, after.unwrap_or(packet)),
                Err(end) => *end,
            };
        }
        // The socket call is rewritten before there is a packet.
        let sent = match self.ebpf_balance(&at, packet, hook) {
            Ok(after) => after.unwrap_or(*packet),
            Err(end) => return *end,
        };
        if sent.destination == sent.source {
            return self.ebpf_inside_pod(node, pod, sent);
        }
        self.remember_socket(node, packet, &sent);
        let sent = self.come_in(node, sent, from, None);
        self.ebpf_host(node, &sent, from);
        self.ebpf_route(&Passing { original: sent, ..at }, sent)
    }

    /// The socket call of a pod led to the pod itself.
    fn ebpf_inside_pod(&mut self, node: NodeId, pod: PodId, packet: Packet) -> End {
        self.source_at_pod = Some(packet.source);
        let at = (Machine::Node(node), Hook::Socket);
        self.step(at, Fact::DeliverToPod { own: true }, &packet, &packet)
            .by(Device::Pod(pod))
            .doubtful(Some(Doubt::Unmeasured));
        End::Pod(pod, packet)
    }

    /// What a packet from inside becomes: `None` if it goes to no service.
    fn ebpf_balance(
        &mut self,
        at: &Passing,
        packet: &Packet,
        hook: Hook,
    ) -> Result<Option<Packet>, Box<End>> {
        let (frontend, endpoints) = match balance_from_inside(self.cluster, at.node, packet) {
            Balanced::Plain => return Ok(None),
            Balanced::Nowhere(frontend) => {
                return Err(Box::new(self.ebpf_refuse(at, packet, &frontend, hook)));
            }
            Balanced::To(frontend, endpoints) => (frontend, endpoints),
        };
        let Some((chosen, endpoint)) = self.ebpf_pick(&endpoints) else {
            return Err(Box::new(self.ebpf_refuse(at, packet, &frontend, hook)));
        };
        let picked = (chosen, endpoints.len());
        Ok(Some(self.ebpf_dnat(at, hook, packet, &frontend, endpoint, picked)))
    }

    /// Where what is sent from inside is balanced: in the socket call, or where its packets pass.
    fn balances_at(&self, packet: &Packet) -> Hook {
        let in_call = match self.cluster.network.felix.connect_time.value {
            ConnectTime::Tcp => packet.protocol == Protocol::Tcp,
            ConnectTime::Enabled => true,
            ConnectTime::Disabled => false,
        };
        if in_call { Hook::Socket } else { Hook::Device }
    }

    fn remember_socket(&mut self, node: NodeId, asked: &Packet, sent: &Packet) {
        let (machine, original, rewritten) = (Machine::Node(node), *asked, *sent);
        self.socket = Some(Tracked { machine, original, rewritten, forwarded_by: None });
    }

    /// The socket whose call was rewritten takes the answer for one from the address that it
    /// asked.
    fn ebpf_socket_reply(&mut self, node: NodeId, reply: Packet, to: &Route) -> Packet {
        let machine = Machine::Node(node);
        let known = self.socket.filter(|known| {
            known.machine == machine && known.rewritten.answered().same_connection(&reply)
        });
        let asked = known.map(|known| known.original.answered());
        let Some(after) = asked.filter(|after| *after != reply) else { return reply };
        let fact = Fact::UnNat(Translator::EbpfSocket);
        let step = self.step((machine, Hook::Socket), fact, &reply, &after);
        step.doubtful(Some(Doubt::Unmeasured));
        if let Route::Pod(pod) = to {
            step.by(Device::Pod(*pod));
        }
        after
    }

    /// What another node forwarded as it was: the program on the network card takes the VXLAN
    /// header off.
    fn ebpf_unwrap(&mut self, node: NodeId, packet: &Packet) -> Packet {
        let inner = packet.wrapped(None);
        if packet.outer.is_some() {
            let at = (Machine::Node(node), Hook::Device);
            self.step(at, Fact::Decapsulate, packet, &inner)
                .by(Device::Ethernet)
                .doubtful(Some(Doubt::Unmeasured));
        }
        inner
    }

    /// Where a strict `rp_filter` would drop: the eBPF dataplane turns it off.
    fn unfiltered(&self, node: NodeId, packet: &Packet, from: Device) -> Option<Doubt> {
        let back = route(self.cluster, node, packet.source).device();
        // IPv6 has no rp_filter.
        let filtered = back != from && packet.source.family() == Family::V4;
        filtered.then_some(Doubt::EbpfRpFilter { back })
    }

    /// It has host endpoints' policies too, at its own hooks.
    fn ebpf_host(&mut self, node: NodeId, packet: &Packet, device: Device) {
        let Some((id, _)) = self.host_endpoint(node, device, packet.source.family()) else {
            return;
        };
        let at = (Machine::Node(node), Hook::Device);
        self.step(at, Fact::GateSkipped(Skipped::HostEndpoint(id)), packet, packet)
            .by(device)
            .doubtful(Some(Doubt::EbpfHostEndpoint));
    }

    fn ebpf_pick(&mut self, endpoints: &[&'a Endpoint]) -> Option<(usize, &'a Endpoint)> {
        let chosen = self.fork(endpoints.len());
        endpoints.get(chosen).map(|endpoint| (chosen, *endpoint))
    }

    /// The endpoint of this node that takes what another node forwarded for `to`. The two nodes'
    /// maps can differ: each holds the endpoints that topology hints leave to it.
    fn ebpf_picked(
        &mut self,
        node: NodeId,
        to: &Endpoint,
        endpoints: &[&'a Endpoint],
    ) -> Option<(usize, &'a Endpoint)> {
        let here: Vec<&Endpoint> =
            endpoints.iter().copied().filter(|endpoint| endpoint.node == Some(node)).collect();
        let same = here.iter().position(|own| own.ip == to.ip && own.port == to.port);
        match same {
            Some(index) => here.get(index).map(|endpoint| (index, *endpoint)),
            None => self.ebpf_pick(&here),
        }
    }

    fn ebpf_dnat(
        &mut self,
        at: &Passing,
        hook: Hook,
        packet: &Packet,
        frontend: &Frontend<'_>,
        endpoint: &Endpoint,
        (chosen, of): (usize, usize),
    ) -> Packet {
        let after = packet.with_destination(endpoint.ip, endpoint.port);
        let backend = Backend::of(endpoint);
        self.endpoint = Some(backend);
        let fact = Fact::Dnat(Dnat {
            frontend: frontend.at,
            endpoint: backend,
            chosen,
            of,
            local: false,
            marked: false,
            hairpin: false,
            unread: false,
            from: at.from,
            forwarded: at.entry.is_some(),
        });
        let evidence = replaced(frontend)
            .into_iter()
            .chain(frontend.of_endpoint(endpoint, of).into_iter().flatten());
        // That sources outside the ranges are dropped is known of traffic from outside only.
        let inside = matches!(at.from, None | Some(Device::Pod(_)));
        let doubt = if inside && frontend.leaves_out(packet) {
            Doubt::EbpfSourceRange(frontend.at.service)
        } else {
            Doubt::Unmeasured
        };
        let device = at.sender(hook);
        let step = self.step((Machine::Node(at.node), hook), fact, packet, &after);
        step.because(evidence).doubtful(Some(doubt));
        step.device = device;
        after
    }

    /// The endpoint is elsewhere: the packet goes there as it is, in VXLAN.
    fn ebpf_forward(
        &mut self,
        node: NodeId,
        to: NodeId,
        packet: &Packet,
        frontend: &Frontend<'_>,
        endpoint: &Endpoint,
    ) -> End {
        let Some(outer) = self.outer(Encapsulation::Vxlan, node, to, packet.family()) else {
            return self.no_route(node, packet, NoRoute::NoTunnelAddress);
        };
        let wrapped = packet.wrapped(Some(outer));
        let machine = Machine::Node(node);
        self.track(machine, packet, packet);
        let fact = Fact::Encapsulate(Wrap::Forward { endpoint: Backend::of(endpoint), to });
        self.step((machine, Hook::Device), fact, packet, &wrapped)
            .by(Device::Ethernet)
            .because(replaced(frontend))
            .doubtful(Some(Doubt::Unmeasured));
        self.arrive(to, wrapped, Device::Ethernet)
    }

    /// Gates and the way out.
    fn ebpf_route(&mut self, at: &Passing, packet: Packet) -> End {
        let node = at.node;
        let pod = match at.from {
            Some(Device::Pod(pod)) => Some(pod),
            _ => None,
        };
        let found = route(self.cluster, node, packet.destination);
        if let Route::Blackhole(block) = found {
            return self.blackhole(node, &packet, block);
        }
        if at.from.is_some()
            && matches!(found, Route::OnLink | Route::Gateway)
            && let Some(end) = self.prevent_service_loop(node, Hook::Device, &at.original, &packet)
        {
            return end;
        }
        if let Some(pod) = pod {
            if let Err(end) = self.gate(node, Hook::Device, Direction::Egress, pod, &packet) {
                return *end;
            }
            if found == Route::Local
                && self.cluster.network.felix.endpoint_to_host.value == EndpointToHost::Drop
                && let Err(end) = self.endpoint_to_host(node, Hook::Device, &packet)
            {
                return *end;
            }
        }
        let machine = Machine::Node(node);
        if found == Route::Local {
            self.track_forwarded(machine, &at.original, &packet, at.entry);
            return self.local_socket(node, packet);
        }
        if let Route::Pod(pod) = found {
            let own = is_host_address(self.cluster, node, packet.source);
            if own && at.from.is_none() {
                self.skip_gate(node, Hook::Device, pod, &packet, Skipped::OwnProcess);
            } else if let Err(end) = self.gate(node, Hook::Device, Direction::Ingress, pod, &packet)
            {
                return *end;
            }
        }
        let hairpin = pod.is_some() && packet.source == packet.destination;
        let packet = if hairpin {
            self.ebpf_snat(node, packet, &found, Masquerades::Hairpin)
        } else if pod.is_some() && self.cluster.translating_pool(&packet).is_some() {
            self.ebpf_snat(node, packet, &found, Masquerades::NatOutgoing)
        } else {
            packet
        };
        self.track_forwarded(machine, &at.original, &packet, at.entry);
        self.leave(node, packet, found)
    }

    /// eBPF only marks the packet: the kernel's own nat table does the rest
    /// (`felix/rules/nat.go makeNATOutgoingRuleBPF`).
    fn ebpf_snat(
        &mut self,
        node: NodeId,
        packet: Packet,
        found: &Route,
        why: Masquerades,
    ) -> Packet {
        let source = masquerade_source(self.cluster, node, found, packet.destination);
        let Some(source) = source.filter(|source| *source != packet.source) else { return packet };
        let after = packet.with_source(source);
        let out = found.device();
        let fact = Fact::Masquerade(Masquerade { why, out, fixed: false });
        self.step((Machine::Node(node), Hook::Postrouting), fact, &packet, &after)
            .by(out)
            .doubtful(Some(Doubt::Unmeasured));
        after
    }

    fn ebpf_source_range(
        &mut self,
        node: NodeId,
        packet: &Packet,
        frontend: &Frontend<'_>,
    ) -> Option<End> {
        if !frontend.leaves_out(packet) {
            return None;
        }
        let evidence = Evidence::SourceRanges(frontend.at.service);
        let fact = Fact::Refused(Refused::SourceRange(frontend.at));
        self.step((Machine::Node(node), Hook::Device), fact, packet, packet)
            .because([evidence])
            .doubtful(Some(Doubt::Unmeasured));
        Some(self.fail_for(Verdict::Dropped, CauseKind::SourceRange, evidence))
    }

    /// No backend: the socket call fails, or an ICMP unreachable answers.
    fn ebpf_refuse(
        &mut self,
        at: &Passing,
        packet: &Packet,
        frontend: &Frontend<'_>,
        hook: Hook,
    ) -> End {
        let node = at.node;
        let ready = ready(self.cluster, node, frontend, packet);
        let service = frontend.at.service;
        let (left, evidence) = match (ready.cluster.is_empty(), at.entry, ready.hint) {
            (false, Some(_), Some(hint)) => (Left::Hinted(hint), Evidence::Hinted(service, hint)),
            (false, ..) => (Left::Elsewhere, frontend.policy(PolicyEffect::OnlyReady)),
            (true, ..) => (Left::None, Evidence::NoEndpoints(service)),
        };
        let refused = Refused::NoBackend { frontend: frontend.at, left };
        let machine = Machine::Node(node);
        self.track_forwarded(machine, packet, packet, at.entry);
        let device = at.sender(hook);
        let step = self.step((machine, hook), Fact::Refused(refused), packet, packet);
        step.because([evidence]).doubtful(Some(Doubt::Unmeasured));
        step.device = device;
        match self.fail_for(Verdict::Rejected, CauseKind::of_refusal(&refused), evidence) {
            End::Failed(failure) => {
                let rejected_by = (hook != Hook::Socket).then_some((node, *packet));
                End::Failed(Box::new(Failure { rejected_by, ..*failure }))
            }
            end => end,
        }
    }

    /// The reply at the endpoint's node goes back through the node that forwarded the request,
    /// unless that is told not to insist (`bpfExternalServiceMode: DSR`).
    fn ebpf_return(&mut self, node: NodeId, entry: NodeId, packet: &Packet) -> Option<End> {
        if self.cluster.network.felix.dsr.value {
            return None;
        }
        let outer: Outer = self.outer(Encapsulation::Vxlan, node, entry, packet.family())?;
        let wrapped = packet.wrapped(Some(outer));
        let at = (Machine::Node(node), Hook::Device);
        self.step(at, Fact::Encapsulate(Wrap::Return(entry)), packet, &wrapped)
            .by(Device::Ethernet)
            .doubtful(Some(Doubt::Unmeasured));
        Some(self.arrive(entry, wrapped, Device::Ethernet))
    }
}

/// What stands for kube-proxy's rules.
fn replaced(frontend: &Frontend<'_>) -> [Evidence; 2] {
    [Evidence::BpfEnabled, Evidence::Service(frontend.at.service)]
}

/// What was sent from a pod or from the node itself: node ports of any node are service addresses,
/// and externalTrafficPolicy does not restrict them (`felix/bpf/proxy/syncer.go`).
pub(crate) fn balance_from_inside<'a>(
    cluster: &'a Cluster,
    node: NodeId,
    packet: &Packet,
) -> Balanced<'a> {
    let any_node = cluster.node_by_address.contains_key(&packet.destination);
    let Some(frontend) = frontend_where(cluster, packet, any_node) else {
        return Balanced::Plain;
    };
    let ready = ready(cluster, node, &frontend, packet);
    let restricted = frontend.kind() == FrontendKind::ClusterIp && frontend.local();
    Balanced::among(frontend, if restricted { ready.local } else { ready.cluster })
}

/// What came from outside; `forwarded` as it was, by another node.
pub(crate) fn balance_from_outside<'a>(
    cluster: &'a Cluster,
    node: NodeId,
    forwarded: bool,
    packet: &Packet,
) -> Balanced<'a> {
    let local = is_host_address(cluster, node, packet.destination) || forwarded;
    let Some(frontend) = frontend_where(cluster, packet, local) else {
        return Balanced::Plain;
    };
    let ready = ready(cluster, node, &frontend, packet);
    // externalIPs never carry the Local flag.
    let restricted = frontend.local() && frontend.kind() != FrontendKind::ExternalIp;
    Balanced::among(frontend, if restricted { ready.local } else { ready.cluster })
}

/// Only ready endpoints are in the maps.
fn ready<'a>(
    cluster: &Cluster,
    node: NodeId,
    frontend: &Frontend<'a>,
    packet: &Packet,
) -> Usable<'a> {
    let mut usable = usable(cluster, node, frontend.port, packet.family());
    usable.cluster.retain(|endpoint| endpoint.ready);
    usable.local.retain(|endpoint| endpoint.ready);
    usable
}
