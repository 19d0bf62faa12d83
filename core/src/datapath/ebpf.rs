//! Calico's eBPF dataplane, which replaces kube-proxy (`felix/bpf-gpl`, `felix/bpf/proxy`).
//!
//! Service addresses are rewritten where the packet starts: in the socket call (connect-time load
//! balancing), or on the pod's veth. What comes from outside is never masqueraded: a node without
//! the endpoint forwards the packet as it is, in VXLAN, to the node that has it.
//!
//! Read in source, not measured on a kernel: every rewrite says so.

use super::evidence::Evidence;
use super::proxy::{Frontend, FrontendKind, Usable, frontend_where, usable};
use super::route::{Device, Route, is_host_address, masquerade_source, route};
use super::step::{Cause, CauseKind, Hook, Rule};
use super::walk::{End, Failure, Forwarded, Tracked, Walk};
use crate::cluster::{
    ConnectTime, Endpoint, EndpointToHost, NodeId, PodId, ProxyMode, ServiceField,
};
use crate::net::{Direction, Encapsulation, Outer, Packet, Protocol, Verdict, address_and_port};

/// Why nothing here is certain.
const UNMEASURED: &str =
    "read in the source of Calico's eBPF dataplane, and not compared with a running one";

/// A packet on its way through one node.
struct Passing {
    node: NodeId,
    /// `None` for the node's own packets.
    from: Option<Device>,
    /// As it came.
    original: Packet,
    /// The node that forwarded it here as it was.
    entry: Option<NodeId>,
}

/// What the load balancer's maps say of a packet.
enum Balanced<'a> {
    /// Its destination is no service.
    Plain,
    /// One of these endpoints.
    To(Frontend<'a>, Vec<&'a Endpoint>),
    /// A service without a backend that it may use.
    Nowhere(Frontend<'a>),
}

impl<'a> Walk<'a> {
    /// Whether the eBPF dataplane stands in for kube-proxy and Calico's chains.
    pub(super) fn ebpf(&self) -> bool {
        self.cluster.proxy.mode.value == ProxyMode::Ebpf
    }

    /// Why a step that both dataplanes have is not certain in this one.
    pub(super) fn unmeasured(&self) -> Option<String> {
        self.ebpf().then(|| UNMEASURED.to_owned())
    }

    /// A packet comes in by a device.
    pub(super) fn ebpf_receive(&mut self, node: NodeId, packet: Packet, from: Device) -> End {
        if let Device::Pod(pod) = from {
            return self.ebpf_from_pod(node, pod, &packet);
        }
        // It is said of this packet only, not of a later connection's.
        let forwarded = self.forwarded.take();
        let packet = if forwarded.is_some() {
            self.ebpf_unwrap(node, &packet)
        } else {
            let packet = self.come_in(node, packet, from);
            self.unfiltered(node, &packet, from);
            packet
        };
        self.host_unwalked(node, &packet, from);
        let entry = forwarded.map(|forwarded| forwarded.by);
        let at = Passing { node, from: Some(from), original: packet, entry };
        match self.balance_from_outside(&at, &packet) {
            Balanced::Nowhere(frontend) => self.ebpf_refuse(&at, &packet, &frontend, Hook::Device),
            Balanced::Plain => self.ebpf_route(&at, packet),
            Balanced::To(frontend, endpoints) => {
                if let Some(end) = self.ebpf_source_range(node, &packet, &frontend) {
                    return end;
                }
                let picked = match forwarded {
                    Some(Forwarded { to, .. }) => self.ebpf_picked(node, to, &endpoints),
                    None => self.ebpf_pick(&endpoints),
                };
                let Some(endpoint) = picked else {
                    return self.ebpf_refuse(&at, &packet, &frontend, Hook::Device);
                };
                if let Some(to) = endpoint.node.filter(|to| *to != node && entry.is_none()) {
                    self.forwarded = Some(Forwarded { by: node, to: endpoint });
                    return self.ebpf_forward(node, to, &packet, &frontend, endpoint);
                }
                let after =
                    self.ebpf_dnat(&at, Hook::Device, &packet, &frontend, endpoint, &endpoints);
                self.ebpf_route(&at, after)
            }
        }
    }

    /// A process of the node sends a packet.
    pub(super) fn ebpf_from_host(&mut self, node: NodeId, packet: Packet) -> End {
        let at = Passing { node, from: None, original: packet, entry: None };
        let hook = self.balances_at(&packet);
        let after = match self.ebpf_balance(&at, &packet, hook) {
            Ok(None) => return self.ebpf_route(&at, packet),
            Ok(Some(after)) => after,
            Err(end) => return *end,
        };
        // The route to the endpoint gives the source.
        let found = route(self.cluster, node, after.destination);
        let source = masquerade_source(self.cluster, node, &found, after.destination);
        let after = source.map_or(after, |ip| after.with_source(ip));
        if hook == Hook::Device {
            return self.ebpf_route(&at, after);
        }
        self.remember_socket(node, &packet, &after);
        self.ebpf_route(&Passing { original: after, ..at }, after)
    }

    fn ebpf_from_pod(&mut self, node: NodeId, pod: PodId, packet: &Packet) -> End {
        let from = Device::Pod(pod);
        let at = Passing { node, from: Some(from), original: *packet, entry: None };
        let hook = self.balances_at(packet);
        if hook == Hook::Device {
            let packet = self.come_in(node, *packet, from);
            self.host_unwalked(node, &packet, from);
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
        let sent = self.come_in(node, sent, from);
        self.host_unwalked(node, &sent, from);
        self.ebpf_route(&Passing { original: sent, ..at }, sent)
    }

    /// The socket call of a pod led to the pod itself.
    fn ebpf_inside_pod(&mut self, node: NodeId, pod: PodId, packet: Packet) -> End {
        let name = self.cluster.pod_name(pod);
        self.source_at_pod = Some(packet.source);
        let summary = format!(
            "{name} talks to itself: the packet never leaves the pod, and no policy is asked"
        );
        let at = (self.node_machine(node), Hook::Socket);
        self.step(at, Rule::DeliverToPod, &packet, &packet, summary).by(name).uncertain =
            Some(UNMEASURED.to_owned());
        End::Pod(pod, packet)
    }

    /// What a packet from inside becomes: `None` if it goes to no service.
    fn ebpf_balance(
        &mut self,
        at: &Passing,
        packet: &Packet,
        hook: Hook,
    ) -> Result<Option<Packet>, Box<End>> {
        let (frontend, endpoints) = match self.balance_from_inside(at.node, packet) {
            Balanced::Plain => return Ok(None),
            Balanced::Nowhere(frontend) => {
                return Err(Box::new(self.ebpf_refuse(at, packet, &frontend, hook)));
            }
            Balanced::To(frontend, endpoints) => (frontend, endpoints),
        };
        let Some(endpoint) = self.ebpf_pick(&endpoints) else {
            return Err(Box::new(self.ebpf_refuse(at, packet, &frontend, hook)));
        };
        Ok(Some(self.ebpf_dnat(at, hook, packet, &frontend, endpoint, &endpoints)))
    }

    /// Where what is sent from inside is balanced: in the socket call, or where its packets pass.
    fn balances_at(&self, packet: &Packet) -> Hook {
        if self.connect_time(packet) { Hook::Socket } else { Hook::Device }
    }

    fn remember_socket(&mut self, node: NodeId, asked: &Packet, sent: &Packet) {
        let machine = self.node_machine(node);
        self.socket =
            Some(Tracked { machine, original: *asked, rewritten: *sent, forwarded_by: None });
    }

    /// The socket whose call was rewritten takes the answer for one from the address that it
    /// asked.
    pub(super) fn ebpf_socket_reply(&mut self, node: NodeId, reply: Packet, to: &Route) -> Packet {
        let machine = self.node_machine(node);
        let known = self.socket.as_ref().filter(|known| {
            known.machine == machine && known.rewritten.answered().same_connection(&reply)
        });
        let asked = known.map(|known| known.original.answered());
        let Some(after) = asked.filter(|after| *after != reply) else { return reply };
        let summary = format!(
            "the socket was connected to {} by eBPF, and the application sees the answer of {}, which it asked",
            reply.from(),
            after.from()
        );
        let device = match to {
            Route::Pod(pod) => Some(self.cluster.pod_name(*pod)),
            _ => None,
        };
        let step = self.step((machine, Hook::Socket), Rule::UnNat, &reply, &after, summary);
        step.device = device;
        step.uncertain = Some(UNMEASURED.to_owned());
        after
    }

    /// What another node forwarded as it was: the program on the network card takes the VXLAN
    /// header off.
    pub(super) fn ebpf_unwrap(&mut self, node: NodeId, packet: &Packet) -> Packet {
        let inner = packet.wrapped(None);
        let Some(outer) = packet.outer else { return inner };
        let summary =
            "eBPF takes the VXLAN header off; the packet inside is as it was sent".to_owned();
        let on = self.node_name(node);
        let at = (self.node_machine(node), Hook::Device);
        self.step(at, Rule::Decapsulate, packet, &inner, summary)
            .by("eth0".to_owned())
            .see(&on, format!("tcpdump -ni eth0 'udp port 4789 and host {}'", outer.source))
            .uncertain = Some(UNMEASURED.to_owned());
        inner
    }

    /// Where a strict `rp_filter` would drop: the eBPF dataplane turns it off.
    fn unfiltered(&mut self, node: NodeId, packet: &Packet, from: Device) {
        let back = route(self.cluster, node, packet.source).device();
        // IPv6 has no rp_filter.
        if back == from || !packet.source.is_ipv4() {
            return;
        }
        let (came, back) = (self.device(from, packet), self.device(back, packet));
        let why = format!(
            "{} came in by {came}, and would be answered by {back}: that the eBPF dataplane turns rp_filter off, and that its own check lets this pass, is {UNMEASURED}",
            packet.source
        );
        if let Some(step) = self.steps.last_mut() {
            step.uncertain = Some(why);
        }
    }

    /// Whether the socket call is rewritten, rather than the packet.
    fn connect_time(&self, packet: &Packet) -> bool {
        match self.cluster.felix.connect_time.value {
            ConnectTime::Tcp => packet.protocol == Protocol::Tcp,
            ConnectTime::Enabled => true,
            ConnectTime::Disabled => false,
        }
    }

    fn ebpf_pick(&mut self, endpoints: &[&'a Endpoint]) -> Option<&'a Endpoint> {
        let chosen = if endpoints.len() > 1 { self.fork(endpoints.len()) } else { 0 };
        endpoints.get(chosen).copied()
    }

    /// The endpoint of this node that takes what another node forwarded for `to`. The two nodes'
    /// maps can differ: each holds the endpoints that topology hints leave to it.
    fn ebpf_picked(
        &mut self,
        node: NodeId,
        to: &Endpoint,
        endpoints: &[&'a Endpoint],
    ) -> Option<&'a Endpoint> {
        let here: Vec<&Endpoint> =
            endpoints.iter().copied().filter(|endpoint| endpoint.node == Some(node)).collect();
        let same = here.iter().copied().find(|own| own.ip == to.ip && own.port == to.port);
        same.or_else(|| self.ebpf_pick(&here))
    }

    /// From pods and the node's own processes: node ports of any node are service addresses, and
    /// externalTrafficPolicy does not restrict them (`felix/bpf/proxy/syncer.go`).
    fn balance_from_inside(&self, node: NodeId, packet: &Packet) -> Balanced<'a> {
        let any_node = self.cluster.node_by_address.contains_key(&packet.destination);
        let Some(frontend) = frontend_where(self.cluster, packet, any_node) else {
            return Balanced::Plain;
        };
        let ready = self.ready(node, &frontend, packet);
        let endpoints = if frontend.kind == FrontendKind::ClusterIp && frontend.local() {
            ready.local
        } else {
            ready.cluster
        };
        if endpoints.is_empty() {
            Balanced::Nowhere(frontend)
        } else {
            Balanced::To(frontend, endpoints)
        }
    }

    fn balance_from_outside(&self, at: &Passing, packet: &Packet) -> Balanced<'a> {
        let node = at.node;
        let local = is_host_address(self.cluster, node, packet.destination) || at.entry.is_some();
        let Some(frontend) = frontend_where(self.cluster, packet, local) else {
            return Balanced::Plain;
        };
        let ready = self.ready(node, &frontend, packet);
        // externalIPs never carry the Local flag.
        let restricted = frontend.local() && frontend.kind != FrontendKind::ExternalIp;
        let endpoints = if restricted { ready.local } else { ready.cluster };
        if endpoints.is_empty() {
            Balanced::Nowhere(frontend)
        } else {
            Balanced::To(frontend, endpoints)
        }
    }

    /// Only ready endpoints are in the maps.
    fn ready(&self, node: NodeId, frontend: &Frontend<'a>, packet: &Packet) -> Usable<'a> {
        let mut usable = usable(self.cluster, node, frontend.port, packet.family());
        usable.cluster.retain(|endpoint| endpoint.ready);
        usable.local.retain(|endpoint| endpoint.ready);
        usable
    }

    fn ebpf_dnat(
        &mut self,
        at: &Passing,
        hook: Hook,
        packet: &Packet,
        frontend: &Frontend<'_>,
        endpoint: &Endpoint,
        of: &[&Endpoint],
    ) -> Packet {
        let node = at.node;
        let after = packet.with_destination(endpoint.ip, endpoint.port);
        let name = match endpoint.pod {
            Some(pod) => self.cluster.pod_name(pod),
            None => address_and_port(endpoint.ip, Some(endpoint.port)),
        };
        self.endpoint = Some(name.clone());
        let place = match hook {
            Hook::Socket => "in the socket call",
            _ => "on the device",
        };
        let summary = format!(
            "eBPF rewrites the destination {}, {} of Service {}/{}, to {name} {place}; the source stays {}",
            packet.to(),
            frontend.kind.a_label(),
            frontend.service.namespace,
            frontend.service.name,
            packet.source
        );
        let rules = nat_dump(node, packet, of);
        let picked = self.endpoint_evidence(node, frontend, endpoint, of.len());
        let evidence = self.ebpf_evidence(frontend).into_iter().chain(picked);
        let on = self.node_name(node);
        let uncertain = unsaid_range(at, packet, frontend);
        let device = self.sending_pod(at, hook);
        let step = self.step((self.node_machine(node), hook), Rule::Dnat, packet, &after, summary);
        step.because(evidence).with_rules(rules).see(&on, tool("nat dump", packet));
        step.device = device;
        step.uncertain = Some(uncertain.unwrap_or_else(|| UNMEASURED.to_owned()));
        after
    }

    /// The pod whose socket call it is.
    fn sending_pod(&self, at: &Passing, hook: Hook) -> Option<String> {
        match at.from {
            Some(Device::Pod(pod)) if hook == Hook::Socket => Some(self.cluster.pod_name(pod)),
            _ => None,
        }
    }

    fn ebpf_evidence(&self, frontend: &Frontend<'_>) -> [Evidence; 2] {
        let mode = Evidence::of_felix(
            &self.cluster.proxy.mode,
            "spec.bpfEnabled",
            "Calico's eBPF dataplane replaces kube-proxy and keeps the source",
        );
        [mode, Evidence::of(frontend.service.cite.clone(), "it is the service's address")]
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
        let family = packet.family();
        let Some(outer) = self.outer(Encapsulation::Vxlan, node, to, family) else {
            return self.no_route(node, packet, "the node has no address for the tunnel");
        };
        let wrapped = packet.wrapped(Some(outer));
        let peer = self.node_name(to);
        let summary = format!(
            "the endpoint {} is on {peer}: eBPF forwards the packet there as it is, in VXLAN, so that {peer} sees the source {}",
            address_and_port(endpoint.ip, Some(endpoint.port)),
            packet.source
        );
        let evidence = self.ebpf_evidence(frontend);
        let on = self.node_name(node);
        let machine = self.node_machine(node);
        self.track(machine.clone(), packet, packet);
        self.step((machine, Hook::Device), Rule::Encapsulate, packet, &wrapped, summary)
            .by("eth0".to_owned())
            .because(evidence)
            .see(&on, format!("tcpdump -ni eth0 'udp port 4789 and host {}'", outer.destination))
            .uncertain = Some(UNMEASURED.to_owned());
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
            let block = block.to_string();
            return self.blackhole(node, &packet, &block);
        }
        if at.from.is_some()
            && matches!(found, Route::OnLink | Route::Gateway)
            && let Some(end) = self.prevent_service_loop(node, &at.original, &packet)
        {
            return end;
        }
        if let Some(pod) = pod {
            if let Err(end) = self.gate(node, Hook::Device, Direction::Egress, pod, &packet) {
                return *end;
            }
            if found == Route::Local
                && self.cluster.felix.endpoint_to_host.value == EndpointToHost::Drop
                && let Err(end) = self.endpoint_to_host(node, &packet)
            {
                return *end;
            }
        }
        let machine = self.node_machine(node);
        if found == Route::Local {
            return self.ebpf_socket(at, packet);
        }
        if let Route::Pod(pod) = found {
            let own = is_host_address(self.cluster, node, packet.source);
            if own && at.from.is_none() {
                self.skip_gate(
                    node,
                    Hook::Device,
                    pod,
                    &packet,
                    "a node's own processes always reach the pods on the node",
                    "calico_to_workload_ep: from host, allowed",
                );
            } else if let Err(end) = self.gate(node, Hook::Device, Direction::Ingress, pod, &packet)
            {
                return *end;
            }
        }
        let hairpin = pod.is_some() && packet.source == packet.destination;
        let packet = if hairpin || pod.is_some() && self.translating_pool(&packet).is_some() {
            self.ebpf_snat(node, packet, &found, hairpin)
        } else {
            packet
        };
        self.track_forwarded(machine, &at.original, &packet, at.entry);
        self.leave(node, packet, found)
    }

    fn ebpf_snat(&mut self, node: NodeId, packet: Packet, found: &Route, hairpin: bool) -> Packet {
        let source = masquerade_source(self.cluster, node, found, packet.destination);
        let Some(source) = source.filter(|source| *source != packet.source) else { return packet };
        let after = packet.with_source(source);
        let why = if hairpin {
            "a pod's packet to itself takes the node's address, so that the answer comes back"
        } else {
            "natOutgoing masquerades what pods send out of the pools"
        };
        let rule = if hairpin { Rule::Masquerade } else { Rule::NatOutgoing };
        let summary = format!("{why}: source {} becomes {source}", packet.source);
        let device = self.device(found.device(), &packet);
        let on = self.node_name(node);
        // eBPF only marks the packet: the kernel's own nat table does the rest
        // (`felix/rules/nat.go makeNATOutgoingRuleBPF`).
        let tables = if packet.source.is_ipv4() { "iptables" } else { "ip6tables" };
        let see = format!("{tables} -t nat -vnL cali-POSTROUTING");
        self.step((self.node_machine(node), Hook::Postrouting), rule, &packet, &after, summary)
            .by(device)
            .see(&on, see)
            .uncertain = Some(UNMEASURED.to_owned());
        after
    }

    fn ebpf_socket(&mut self, at: &Passing, packet: Packet) -> End {
        let machine = self.node_machine(at.node);
        self.track_forwarded(machine, &at.original, &packet, at.entry);
        self.local_socket(at.node, packet)
    }

    fn ebpf_source_range(
        &mut self,
        node: NodeId,
        packet: &Packet,
        frontend: &Frontend<'_>,
    ) -> Option<End> {
        if !out_of_range(packet, frontend) {
            return None;
        }
        let cite = frontend.service.field(ServiceField::SourceRanges);
        let message = format!(
            "{} is in none of the loadBalancerSourceRanges of {}, so eBPF drops it",
            packet.source, frontend.service.cite.object
        );
        let on = self.node_name(node);
        self.step(
            (self.node_machine(node), Hook::Device),
            Rule::SourceRange,
            packet,
            packet,
            message.clone(),
        )
        .because([Evidence::of(cite.clone(), &message)])
        .see(&on, tool("nat dump", packet))
        .uncertain = Some(UNMEASURED.to_owned());
        let cause = Cause { kind: CauseKind::SourceRange, cite: Some(cite), message };
        Some(End::caused(Verdict::Dropped, cause))
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
        let service = &frontend.service.cite.object;
        let ready = self.ready(node, frontend, packet);
        let any = !ready.cluster.is_empty();
        let (kind, evidence) = if let (Some(_), Some(hint)) = (at.entry, &ready.hint) {
            (CauseKind::NoLocalEndpoints, Evidence::of(frontend.service.cite.clone(), hint))
        } else if any {
            let evidence = frontend.policy_evidence("only ready endpoints on this node are used");
            (CauseKind::NoLocalEndpoints, evidence)
        } else {
            let evidence =
                Evidence::of(frontend.service.field(ServiceField::Selector), "no ready endpoints");
            (CauseKind::NoEndpoints, evidence)
        };
        let how = match hook {
            Hook::Socket => "connect() fails with EPERM",
            _ => "eBPF answers with an ICMP port unreachable",
        };
        let which = match (any, at.entry, &ready.hint) {
            (true, Some(_), Some(_)) => {
                "ready endpoints, but topology hints leave none of this node's to the node itself"
            }
            (true, ..) => "ready endpoints, but none on this node",
            (false, ..) => "no ready endpoints",
        };
        let message = format!("{service} has {which}: {how}");
        let cite = Some(evidence.cite.clone());
        let on = self.node_name(node);
        let machine = self.node_machine(node);
        self.track_forwarded(machine.clone(), packet, packet, at.entry);
        let device = self.sending_pod(at, hook);
        let step = self.step((machine, hook), Rule::NoEndpoints, packet, packet, message.clone());
        step.because([evidence]).see(&on, tool("nat dump", packet));
        step.device = device;
        step.uncertain = Some(UNMEASURED.to_owned());
        End::Failed(Failure {
            verdict: Verdict::Rejected,
            cause: Cause { kind, cite, message },
            rejected_by: (hook != Hook::Socket).then_some((node, *packet)),
        })
    }

    /// The reply at the endpoint's node goes back through the node that forwarded the request,
    /// unless that is told not to insist (`bpfExternalServiceMode: DSR`).
    pub(super) fn ebpf_return(
        &mut self,
        node: NodeId,
        entry: NodeId,
        packet: &Packet,
    ) -> Option<End> {
        if self.cluster.felix.dsr.value {
            return None;
        }
        let family = packet.family();
        let (source, destination) =
            self.cluster
                .node(node)
                .and_then(|node| node.address(family))
                .zip(self.cluster.node(entry).and_then(|node| node.address(family)))?;
        let encapsulation = Encapsulation::Vxlan;
        let wrapped = packet.wrapped(Some(Outer { encapsulation, source, destination }));
        let summary = format!("the answer goes back through {}, in VXLAN", self.node_name(entry));
        let see = format!("tcpdump -ni eth0 'udp port 4789 and host {destination}'");
        let on = self.node_name(node);
        self.step(
            (self.node_machine(node), Hook::Device),
            Rule::Encapsulate,
            packet,
            &wrapped,
            summary,
        )
        .by("eth0".to_owned())
        .see(&on, see)
        .uncertain = Some(UNMEASURED.to_owned());
        Some(self.arrive(entry, wrapped, Device::Ethernet))
    }
}

/// That sources outside the ranges are dropped is known of traffic from outside only.
fn unsaid_range(at: &Passing, packet: &Packet, frontend: &Frontend<'_>) -> Option<String> {
    let inside = matches!(at.from, None | Some(Device::Pod(_)));
    let outside_range = inside && out_of_range(packet, frontend);
    outside_range.then(|| {
        format!(
            "{} is in none of the loadBalancerSourceRanges of {}: that eBPF drops such packets is known of traffic from outside the cluster, and not of pods and nodes",
            packet.source, frontend.service.cite.object
        )
    })
}

/// Whether the service's ranges leave the packet's source out.
fn out_of_range(packet: &Packet, frontend: &Frontend<'_>) -> bool {
    let ranges = &frontend.service.source_ranges;
    frontend.kind == FrontendKind::LoadBalancerIp
        && !ranges.is_empty()
        && !ranges.iter().any(|range| range.contains(&packet.source))
}

/// A command of the tool that reads Calico's BPF maps (`felix/cmd/calico-bpf/commands`).
pub(super) fn tool(command: &str, packet: &Packet) -> String {
    let six = if packet.destination.is_ipv4() { "" } else { " --ipv6" };
    format!("calico-node -bpf {command}{six}")
}

/// The command that shows the policy of one direction on a pod's veth.
pub(super) fn policy_dump(veth: &str, direction: Direction, packet: &Packet) -> String {
    tool(&format!("policy dump {veth} {direction}"), packet)
}

/// The entry that `calico-node -bpf nat dump` prints (`felix/cmd/calico-bpf/commands/nat.go`); its
/// id is another on every node.
fn nat_dump(node: NodeId, packet: &Packet, endpoints: &[&Endpoint]) -> Vec<String> {
    let protocol = packet.protocol.number().0;
    let local = endpoints.iter().filter(|endpoint| endpoint.node == Some(node)).count();
    let entry = format!(
        "{} port {} proto {protocol} id N count {} local {local}",
        packet.destination,
        packet.destination_port.unwrap_or(0),
        endpoints.len()
    );
    let backends = endpoints.iter().enumerate().map(|(index, endpoint)| {
        format!("\tN:{index}\t {}", address_and_port(endpoint.ip, Some(endpoint.port)))
    });
    std::iter::once(entry).chain(backends).collect()
}
