//! A node, hook by hook, as the kernel asks the parts that sit there: kube-proxy's rules, Calico's
//! gates (Felix `rules/static.go`), routes, `MASQUERADE`.

use super::evidence::Evidence;
use super::host::Accepted;
use super::proxy::{self, Nat, Place, ServiceProxy, Unanswered};
use super::route::{Device, Route, is_host_address, is_local_address, route};
use super::step::{Cause, CauseKind, Hook, Machine, Rule};
use super::walk::{End, Failure, Walk};
use crate::cluster::{NodeId, PodId, ProxyMode, Service, ServiceField};
use crate::net::{Direction, Encapsulation, Packet, Verdict};
use crate::text::Origin;

/// A packet on its way through one node.
pub(super) struct Passage<'a> {
    pub(super) node: NodeId,
    /// `None` for the node's own packets.
    pub(super) from: Option<Device>,
    /// As it came.
    pub(super) original: Packet,
    /// The masquerade mark (0x4000), and why it was set.
    pub(super) mark: Option<Evidence>,
    /// What the proxy wants, as long as it is not done.
    pub(super) nat: Nat<'a>,
    /// What host endpoints accepted before.
    pub(super) accepted: Accepted,
}

impl<'a> Walk<'a> {
    pub(super) fn proxy(&self) -> &'static dyn ServiceProxy {
        proxy::of(self.cluster.proxy.mode.value)
    }

    /// Whether kube-proxy's filter chains are asked before Calico's.
    fn proxy_first(&self) -> bool {
        self.cluster.felix.append_chains.value || self.proxy().filters_before_calico()
    }

    pub(super) fn place(&self, passage: &Passage<'_>) -> Place<'a> {
        Place { cluster: self.cluster, node: passage.node, from: passage.from }
    }

    /// A packet comes in by a device.
    pub(super) fn receive(&mut self, node: NodeId, packet: Packet, from: Device) -> End {
        if let Err(end) = self.enter() {
            return *end;
        }
        if self.cluster.proxy.mode.value == ProxyMode::Ebpf {
            return self.ebpf_receive(node, packet, from);
        }
        if let Err(end) = self.host_outer(node, &packet) {
            return *end;
        }
        let packet = self.come_in(node, packet, from);
        let accepted = match self.host_prerouting(node, &packet, from) {
            Ok(accepted) => accepted,
            Err(end) => return *end,
        };
        let place = Place { cluster: self.cluster, node, from: Some(from) };
        let nat = Nat::default();
        let mut passage =
            Passage { node, from: Some(from), original: packet, mark: None, nat, accepted };
        // Its rules are for new connections, which conntrack must know.
        if !accepted.untracked
            && let Some(refusal) = self.proxy().prerouting(place, &packet)
        {
            return self.refuse(&passage, Hook::Prerouting, &packet, refusal);
        }
        // A rewrite before the routing decision would change nothing about these sources.
        if let Err(end) = self.check_source(node, &packet, from) {
            return *end;
        }
        if !accepted.untracked {
            passage.nat = self.proxy().nat(place, &packet);
        }
        passage.mark = passage.nat.mark.take();
        let packet = if self.proxy().takes_in_input() {
            packet
        } else {
            self.dnat(&mut passage, Hook::Prerouting, packet)
        };
        match route(self.cluster, node, packet.destination) {
            Route::Local => {
                self.unread_mark(&passage);
                self.input(passage, packet)
            }
            Route::Blackhole(block) => {
                let block = block.to_string();
                self.blackhole(node, &packet, &block)
            }
            found => self.forward(&passage, packet, found),
        }
    }

    /// A process of the node sends a packet.
    pub(super) fn send_from_host(&mut self, node: NodeId, packet: Packet) -> End {
        if self.cluster.proxy.mode.value == ProxyMode::Ebpf {
            return self.ebpf_from_host(node, packet);
        }
        let untracked = match self.host_raw_output(node, &packet) {
            Ok(untracked) => untracked,
            Err(end) => return *end,
        };
        let accepted = Accepted { at_all: untracked, untracked };
        let place = Place { cluster: self.cluster, node, from: None };
        let nat = if untracked { Nat::default() } else { self.proxy().nat(place, &packet) };
        let mut passage = Passage { node, from: None, original: packet, mark: None, nat, accepted };
        passage.mark = passage.nat.mark.take();
        let taken = !passage.nat.endpoints.is_empty();
        let packet = self.dnat(&mut passage, Hook::Output, packet);
        let refusal = if taken { None } else { self.proxy().filter(place, Hook::Output, &packet) };
        let (mut first, mut last) = (None, refusal);
        if self.proxy_first() {
            std::mem::swap(&mut first, &mut last);
        }
        if let Some(refusal) = first {
            return self.refuse(&passage, Hook::Output, &packet, refusal);
        }
        if !untracked {
            let found = route(self.cluster, node, packet.destination);
            let hook = if taken { Hook::Postrouting } else { Hook::Output };
            if let Err(end) = self.host_output(node, hook, &packet, &found) {
                return *end;
            }
        }
        if let Some(refusal) = last {
            return self.refuse(&passage, Hook::Output, &packet, refusal);
        }
        match route(self.cluster, node, packet.destination) {
            Route::Local => {
                // Its way to itself is over lo, through POSTROUTING.
                let packet =
                    if taken { self.masquerade(&passage, packet, &Route::Local) } else { packet };
                passage.from = Some(Device::Loopback);
                passage.nat = Nat::default();
                self.input(passage, packet)
            }
            Route::Blackhole(block) => {
                let block = block.to_string();
                self.blackhole(node, &packet, &block)
            }
            found => {
                if let Route::Pod(pod) = found {
                    self.skip_gate(
                        node,
                        Hook::Output,
                        pod,
                        &packet,
                        "a node's own processes always reach the pods on the node: Calico's OUTPUT chain returns before any policy",
                        "-A cali-OUTPUT -o cali+ -j RETURN",
                    );
                }
                self.postrouting(&passage, packet, found)
            }
        }
    }

    /// The device, and the tunnel's end.
    pub(super) fn come_in(&mut self, node: NodeId, packet: Packet, from: Device) -> Packet {
        let at = (self.node_machine(node), Hook::Device);
        let name = self.device(from, &packet);
        let on = self.node_name(node);
        match (from, packet.outer) {
            (Device::Tunnel(encapsulation), Some(outer)) => {
                let inner = packet.wrapped(None);
                let summary = format!(
                    "{name} takes the {} header off; the packet inside is as it was sent",
                    encapsulation.label()
                );
                let see = dump(&name, &inner);
                // In eBPF mode the programs on the card let the tunnel in, no chain does.
                let ebpf = self.ebpf();
                self.step(at, Rule::Decapsulate, &packet, &inner, summary)
                    .by(name)
                    .with_rules((!ebpf).then(|| match encapsulation {
                        Encapsulation::Ipip => format!(
                            "-A cali-INPUT -p ipencap -m comment --comment \"Allow IPIP packets from Calico hosts\" -m set --match-set cali40all-hosts-net src -j ACCEPT # {}",
                            outer.source
                        ),
                        Encapsulation::Wireguard => {
                            let (family, port) = if outer.source.is_ipv4() { (4, 51820) } else { (6, 51821) };
                            format!("-A cali-INPUT -p udp -m comment --comment \"Allow incoming IPv{family} Wireguard packets\" -m multiport --dports {port} -m addrtype --dst-type LOCAL -j ACCEPT")
                        }
                        Encapsulation::Vxlan => format!(
                            "-A cali-INPUT -p udp -m comment --comment \"Allow VXLAN packets from allowed hosts\" -m multiport --dports 4789 -j ACCEPT # {}",
                            outer.source
                        ),
                    }))
                    .see(&on, see);
                inner
            }
            (Device::Loopback, _) => packet,
            _ => {
                let summary = match from {
                    Device::Pod(pod) => {
                        let name = self.cluster.pod_name(pod);
                        format!("the packet leaves {name} by its veth and enters the node")
                    }
                    _ => format!("the packet comes in by {name}"),
                };
                let device = match from {
                    Device::Pod(pod) => self.cluster.veth(pod),
                    _ => name.clone(),
                };
                let see = dump(&device, &packet);
                self.step(at, Rule::DeviceIn, &packet, &packet, summary).by(name).see(&on, see);
                packet
            }
        }
    }

    /// Sources that the kernel does not believe, at the routing decision: the node's own address
    /// from outside (`ip_route_input`), and, under a strict `rp_filter`, one whose answer would
    /// leave by another device (`fib_validate_source`).
    pub(super) fn check_source(
        &mut self,
        node: NodeId,
        packet: &Packet,
        from: Device,
    ) -> Result<(), Box<End>> {
        // IPv6 has neither check.
        if !matches!(from, Device::Ethernet | Device::Tunnel(_)) || !packet.source.is_ipv4() {
            return Ok(());
        }
        let at = (self.node_machine(node), Hook::Routing);
        let name = self.node_name(node);
        if is_local_address(self.cluster, node, packet.source) {
            let message = format!(
                "the packet comes from the network with {}'s own address {} as its source, and the kernel drops such a martian",
                name, packet.source
            );
            self.step(at, Rule::Martian, packet, packet, message.clone()).see(
                &name,
                "nstat -az IPReversePathFilter TcpExtIPReversePathFilter; dmesg | grep martian"
                    .to_owned(),
            );
            return Err(Box::new(End::failed(Verdict::Dropped, CauseKind::Martian, message)));
        }
        let back = route(self.cluster, node, packet.source).device();
        if self.cluster.felix.strict_rp_filter.value && back != from {
            let (came, back) = (self.device(from, packet), self.device(back, packet));
            let message = format!(
                "{} came in by {came}, but {name} would answer by {back}: the strict reverse path filter drops it",
                packet.source
            );
            let evidence = Evidence::of_setting(
                &self.cluster.felix.strict_rp_filter,
                &crate::text::ObjectRef::new("Scenario", "", ""),
                "spec.hosts.rpFilter",
                "rp_filter is strict",
            );
            let cite = evidence.cite.clone();
            self.step(at, Rule::RpFilter, packet, packet, message.clone())
                .by(came.clone())
                .because([evidence])
                .see(&name, format!("sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.{came}.rp_filter; nstat -az TcpExtIPReversePathFilter"))
                .uncertain = match &self.cluster.felix.strict_rp_filter.origin {
                Origin::Written(_) => None,
                _ => Some("distributions differ in rp_filter: where it is 2 (loose) or 0, the packet passes".to_owned()),
            };
            let cause = Cause { kind: CauseKind::RpFilter, cite: Some(cite), message };
            return Err(Box::new(End::caused(Verdict::Dropped, cause)));
        }
        Ok(())
    }

    /// filter FORWARD.
    fn forward(&mut self, passage: &Passage<'a>, packet: Packet, found: Route) -> End {
        let append = self.cluster.felix.append_chains.value;
        let place = self.place(passage);
        let proxy_first = self.proxy_first();
        if proxy_first && let Some(refusal) = self.proxy().filter(place, Hook::Forward, &packet) {
            return self.refuse(passage, Hook::Forward, &packet, refusal);
        }
        let accepted_early = append
            && passage.mark.is_some()
            && self.cluster.proxy.mode.value == ProxyMode::Iptables;
        if let (Some(from), false) = (passage.from, accepted_early)
            && let Err(end) = self.host_forward(passage, Direction::Ingress, from, &packet)
        {
            return *end;
        }
        for (direction, pod) in gates(passage.from, &found) {
            if accepted_early {
                self.skip_gate(
                    passage.node,
                    Hook::Forward,
                    pod,
                    &packet,
                    "with chainInsertMode Append, kube-proxy's KUBE-FORWARD accepts what is marked for masquerade before Calico sees it",
                    "-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
                );
            } else if let Err(end) = self.gate(passage.node, Hook::Forward, direction, pod, &packet)
            {
                return *end;
            }
        }
        let out = found.device();
        if !accepted_early
            && let Err(end) = self.host_forward(passage, Direction::Egress, out, &packet)
        {
            return *end;
        }
        if let Some(end) = self.prevent_service_loop(passage.node, &passage.original, &packet) {
            return end;
        }
        if !proxy_first && let Some(refusal) = self.proxy().filter(place, Hook::Forward, &packet) {
            return self.refuse(passage, Hook::Forward, &packet, refusal);
        }
        self.postrouting(passage, packet, found)
    }

    /// filter INPUT, and in IPVS mode what follows it.
    fn input(&mut self, mut passage: Passage<'a>, packet: Packet) -> End {
        let node = passage.node;
        let ipvs = self.proxy().takes_in_input();
        // Felix' cali-forward-check: node ports in the usual range, and addresses that are not
        // the host's own, will be forwarded by ip_vs.
        let forwarded = ipvs
            && (!is_host_address(self.cluster, node, packet.destination)
                || packet.destination_port.is_some_and(|port| {
                    self.cluster.felix.node_port_ranges.value.iter().any(|r| r.contains(&port))
                }));
        let place = self.place(&passage);
        let proxy_first = self.proxy_first();
        let mut refusal = self.proxy().filter(place, Hook::Input, &packet);
        if proxy_first && let Some(refusal) = refusal.take() {
            return self.refuse(&passage, Hook::Input, &packet, refusal);
        }
        let mut accepted = false;
        if let (Some(Device::Pod(pod)), false) = (passage.from, forwarded) {
            if let Err(end) = self.gate(node, Hook::Input, Direction::Egress, pod, &packet) {
                return *end;
            }
            match self.endpoint_to_host(node, &packet) {
                Ok(terminal) => accepted = terminal,
                Err(end) => return *end,
            }
        } else if !forwarded {
            match self.host_input(&passage, &packet) {
                Ok(terminal) => accepted = terminal,
                Err(end) => return *end,
            }
        }
        let late = refusal.as_ref().map(|refusal| refusal.rule);
        // An empty virtual server answers by itself, after filter.
        if let Some(refusal) = refusal
            && (!accepted || passage.nat.frontend.is_some() && ipvs)
        {
            return self.refuse(&passage, Hook::Input, &packet, refusal);
        }
        if passage.nat.endpoints.is_empty() {
            return self.untaken(&passage, packet, late);
        }
        let packet = self.dnat(&mut passage, Hook::Input, packet);
        let found = route(self.cluster, node, packet.destination);
        if let Route::Local = found {
            self.unread_mark(&passage);
            if let (Some(Device::Pod(pod)), true) = (passage.from, forwarded) {
                self.hand_on(node, pod, &packet, &passage.original);
            }
            return self.socket(&passage, packet);
        }
        if let Route::Blackhole(block) = found {
            let block = block.to_string();
            return self.blackhole(node, &packet, &block);
        }
        for (direction, pod) in gates(passage.from, &found) {
            if forwarded {
                if let Err(end) = self.gate(node, Hook::Output, direction, pod, &packet) {
                    return *end;
                }
            } else if direction == Direction::Ingress {
                self.skip_gate(
                    node,
                    Hook::Output,
                    pod,
                    &packet,
                    "the node port is outside Felix' kubeNodePortRanges (30000:32767 unless told otherwise), so Calico takes what IPVS sends for the node's own traffic, which it lets through to the node's pods",
                    "-A cali-OUTPUT -o cali+ -j RETURN",
                );
            }
        }
        self.postrouting(&passage, packet, found)
    }

    /// Says that nobody reads the mark: what is for the node itself ends in INPUT.
    fn unread_mark(&mut self, passage: &Passage<'_>) {
        let last = self.steps.last_mut().filter(|step| step.rule == Rule::Dnat);
        if let (Some(step), true) = (last, passage.mark.is_some()) {
            step.summary.push_str(
                "; as the endpoint is the node itself, POSTROUTING never sees it, and its source stays",
            );
        }
    }

    /// `ip_vs` only sends on what is for others. A real server that is the node itself gets its packet
    /// at once (`ip_vs_nat_send_or_cont` returns `NF_ACCEPT`), behind INPUT, where Calico put the
    /// pod's policy off until OUTPUT.
    fn hand_on(&mut self, node: NodeId, pod: PodId, packet: &Packet, original: &Packet) {
        let (what, to) = if is_host_address(self.cluster, node, original.destination) {
            ("NodePort service", "-m set --match-set cali40this-host dst")
        } else {
            ("service", "-m set ! --match-set cali40this-host dst")
        };
        self.skip_gate(
            node,
            Hook::Input,
            pod,
            packet,
            "Calico's INPUT chain leaves what IPVS takes to its OUTPUT chain, but the endpoint is the node itself, and ip_vs gives it the packet without OUTPUT",
            &format!("-A cali-forward-check -m comment --comment \"To kubernetes {what}\" {to} -j cali-set-endpoint-mark"),
        );
        if let Some(step) = self.steps.last_mut() {
            step.uncertain = Some(
                "it follows from the kernel's source (ip_vs_nat_send_or_cont), but was not measured: if the packet passes OUTPUT after all, the egress policy is asked there"
                    .to_owned(),
            );
        }
    }

    /// What kube-proxy leaves to the node itself; `late` is what its filter rules would have done,
    /// if something before them accepted the packet.
    fn untaken(&mut self, passage: &Passage<'a>, packet: Packet, late: Option<Rule>) -> End {
        let node = passage.node;
        let why = proxy::unanswered(self.place(passage), &packet);
        let Some(mut why) = why.filter(|_| self.listener(node, &packet).is_none()) else {
            return self.socket(passage, packet);
        };
        if let Some(rule) = late {
            let would = if rule == Rule::NoEndpoints { "rejects" } else { "drops" };
            let before = if matches!(passage.from, Some(Device::Pod(_))) {
                why.evidence.push(Evidence::of_felix(
                    &self.cluster.felix.endpoint_to_host,
                    "spec.defaultEndpointToHostAction",
                    "Accept ends the filter table before kube-proxy's rules",
                ));
                "Calico accepts what a pod sends to its own node before (defaultEndpointToHostAction Accept)"
            } else {
                "the policy of a host endpoint accepts it before"
            };
            why.why = format!(
                "{}; the rule with which kube-proxy {would} it is not reached: {before}",
                why.why
            );
        }
        self.track(self.node_machine(node), &passage.original, &packet);
        self.no_listener(node, packet, Some(why))
    }

    /// A local socket, or none.
    fn socket(&mut self, passage: &Passage<'a>, packet: Packet) -> End {
        self.track(self.node_machine(passage.node), &passage.original, &packet);
        self.local_socket(passage.node, packet)
    }

    /// A process that listens, or a reset.
    pub(super) fn local_socket(&mut self, node: NodeId, packet: Packet) -> End {
        let at = (self.node_machine(node), Hook::Socket);
        let on = self.node_name(node);
        if let Some((who, what, evidence)) = self.listener(node, &packet) {
            let summary = format!("{who} on {on} listens on {}{what}", packet.to());
            self.step(at, Rule::DeliverToHost, &packet, &packet, summary)
                .because(evidence)
                .see(&on, format!("ss -lnp 'sport = {}'", packet.destination_port.unwrap_or(0)));
            return End::Host(node, packet);
        }
        self.no_listener(node, packet, None)
    }

    /// A reset, and why a node port did not answer.
    fn no_listener(&mut self, node: NodeId, packet: Packet, why: Option<Unanswered>) -> End {
        let at = (self.node_machine(node), Hook::Socket);
        let on = self.node_name(node);
        let refusal = match packet.protocol {
            crate::net::Protocol::Tcp => "a reset",
            crate::net::Protocol::Udp | crate::net::Protocol::Sctp => "an ICMP port unreachable",
        };
        let mut message = format!(
            "nothing on {on} listens on {}: the kernel answers with {refusal}",
            packet.to()
        );
        let (mut evidence, mut uncertain) = (Vec::new(), None);
        if let Some(found) = why {
            message = format!("{message}; {}", found.why);
            evidence = found.evidence;
            uncertain = found.uncertain;
        }
        let cite = evidence.first().map(|found| found.cite.clone());
        self.step(at, Rule::NoListener, &packet, &packet, message.clone())
            .because(evidence)
            .see(&on, format!("ss -lnp 'sport = {}'", packet.destination_port.unwrap_or(0)))
            .uncertain = uncertain.map(str::to_owned);
        End::Failed(Failure {
            verdict: Verdict::Rejected,
            cause: Cause { kind: CauseKind::NoListener, cite, message },
            rejected_by: Some((node, packet)),
        })
    }

    /// The process of the node that listens, and what for: the kubelet on TCP 10250, hostNetwork pods, and
    /// kube-proxy, or what replaces it, for health checks
    /// (`pkg/proxy/healthcheck/service_health.go`).
    fn listener(
        &self,
        node: NodeId,
        packet: &Packet,
    ) -> Option<(String, String, Option<Evidence>)> {
        let port = packet.destination_port?;
        let tcp = packet.protocol == crate::net::Protocol::Tcp;
        let pod = self.cluster.pods.iter().find(|pod| {
            pod.node == node
                && pod.host_network
                && !pod.finished
                && pod
                    .ports
                    .iter()
                    .any(|known| known.protocol == packet.protocol && known.port == port)
        });
        if let Some(pod) = pod {
            let who = format!("pod/{}/{} (hostNetwork)", pod.namespace, pod.name);
            return Some((who, String::new(), None));
        }
        if tcp && port == 10250 && !packet.destination.is_loopback() {
            return Some(("the kubelet".to_owned(), String::new(), None));
        }
        // kube-apiserver, say: nobody writes its port anywhere else.
        let named = self.cluster.services.iter().find(|service| {
            service.ports.iter().any(|of| {
                of.protocol == packet.protocol
                    && of
                        .endpoints
                        .iter()
                        .any(|endpoint| (endpoint.ip, endpoint.port) == (packet.destination, port))
            })
        });
        if let Some(service) = named {
            let who = format!("the endpoint of service/{}/{}", service.namespace, service.name);
            return Some((who, String::new(), None));
        }
        let checked = |service: &&Service| service.health_check_node_port == Some(port);
        let service = self.cluster.services.iter().filter(|_| tcp).find(checked)?;
        let mut ready: Vec<_> = service
            .ports
            .iter()
            .flat_map(|port| &port.endpoints)
            .filter(|endpoint| endpoint.ready && endpoint.node == Some(node))
            .map(|endpoint| endpoint.ip)
            .collect();
        ready.sort_unstable();
        ready.dedup();
        let code = if ready.is_empty() { 503 } else { 200 };
        let what = format!(
            " for health checks of {}: it answers {code}, for the node has {} of its ready endpoints",
            service.cite.object,
            ready.len()
        );
        let cite = service.field(ServiceField::HealthCheckNodePort);
        let evidence = Evidence::of(cite, "balancers ask this port which nodes have endpoints");
        let who = if self.ebpf() { "Calico's eBPF dataplane" } else { "kube-proxy" };
        Some((who.to_owned(), what, Some(evidence)))
    }
}

/// The pods whose policies a packet must pass between two devices, in order.
fn gates(from: Option<Device>, to: &Route) -> impl Iterator<Item = (Direction, PodId)> {
    let leaves = match from {
        Some(Device::Pod(pod)) => Some((Direction::Egress, pod)),
        _ => None,
    };
    let enters = match to {
        Route::Pod(pod) => Some((Direction::Ingress, *pod)),
        _ => None,
    };
    leaves.into_iter().chain(enters)
}

/// The command that shows a packet on a device.
pub(super) fn dump(device: &str, packet: &Packet) -> String {
    let port = packet.destination_port.or(packet.source_port);
    let port = port.map_or_else(String::new, |port| format!(" and port {port}"));
    format!("tcpdump -ni {device} 'host {}{port}'", packet.source)
}

impl Machine {
    /// As people say it.
    pub fn label(&self) -> &str {
        match self {
            Self::Client(name) | Self::Balancer(name) | Self::Node(name) => name,
            Self::Router => "network",
        }
    }
}
