//! A node, hook by hook, as the kernel asks the parts that sit there: kube-proxy's rules, Calico's
//! gates (Felix `rules/static.go`), routes, `MASQUERADE`.

use super::flow::address_and_port;
use super::proxy::{self, Frontend, Nat, Place, Refusal, ServiceProxy, veth};
use super::route::{
    Device, Route, is_host_address, is_local_address, masquerade_source, route, same_subnet,
};
use super::step::{
    Cause, CauseKind, Encapsulation, Gate, Hook, Machine, Outer, Packet, Rule, Verdict,
};
use super::walk::{End, Failure, Walk};
use crate::cluster::{EndpointToHost, NodeId, PodId, ProxyMode, ServiceLoopPrevention};
use crate::policy::{Direction, Evidence, decide};

/// Destination ports that Felix takes for node ports in IPVS mode (`KubeNodePortRanges`).
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

/// A packet on its way through one node.
struct Passage<'a> {
    node: NodeId,
    /// `None` for the node's own packets.
    from: Option<Device>,
    /// As it came.
    original: Packet,
    /// The masquerade mark (0x4000), and why it was set.
    mark: Option<Evidence>,
    /// What the proxy wants, as long as it is not done.
    nat: Nat<'a>,
}

impl<'a> Walk<'a> {
    fn proxy(&self) -> &'static dyn ServiceProxy {
        proxy::of(self.cluster.proxy.mode.value)
    }

    fn place(&self, passage: &Passage<'_>) -> Place<'a> {
        Place { cluster: self.cluster, node: passage.node, from: passage.from }
    }

    /// A packet comes in by a device.
    pub(super) fn receive(&mut self, node: NodeId, packet: Packet, from: Device) -> End {
        if let Err(end) = self.enter() {
            return *end;
        }
        let packet = self.come_in(node, packet, from);
        let place = Place { cluster: self.cluster, node, from: Some(from) };
        let nat = self.proxy().nat(place, &packet);
        let mut passage =
            Passage { node, from: Some(from), original: packet.clone(), mark: None, nat };
        passage.mark = passage.nat.mark.take();
        let packet = if self.proxy().takes_in_input() {
            packet
        } else {
            self.dnat(&mut passage, Hook::Prerouting, packet)
        };
        if let Err(end) = self.check_source(node, &packet, from) {
            return *end;
        }
        match route(self.cluster, node, packet.destination) {
            Route::Local => self.input(passage, packet),
            Route::Blackhole(block) => {
                let block = block.to_string();
                self.blackhole(node, &packet, &block)
            }
            found => self.forward(passage, packet, found),
        }
    }

    /// A process of the node sends a packet.
    pub(super) fn send_from_host(&mut self, node: NodeId, packet: Packet) -> End {
        let place = Place { cluster: self.cluster, node, from: None };
        let nat = self.proxy().nat(place, &packet);
        let mut passage = Passage { node, from: None, original: packet.clone(), mark: None, nat };
        passage.mark = passage.nat.mark.take();
        let taken = !passage.nat.endpoints.is_empty();
        let packet = self.dnat(&mut passage, Hook::Output, packet);
        if !taken && let Some(refusal) = self.proxy().filter(place, Hook::Output, &packet) {
            return self.refuse(&passage, Hook::Output, &packet, refusal);
        }
        match route(self.cluster, node, packet.destination) {
            Route::Local => {
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
    fn come_in(&mut self, node: NodeId, packet: Packet, from: Device) -> Packet {
        let at = (self.node_machine(node), Hook::Device);
        let name = self.device(from);
        let on = self.node_name(node);
        match (from, packet.outer) {
            (Device::Tunnel(encapsulation), Some(outer)) => {
                let inner = packet.wrapped(None);
                let summary = format!(
                    "{name} takes the {} header off; the packet inside is as it was sent",
                    encapsulation.label()
                );
                let see = dump(&name, &inner);
                self.step(at, Rule::Decapsulate, &packet, &inner, summary)
                    .by(name)
                    .with_rules([match encapsulation {
                        Encapsulation::Ipip => format!(
                            "-A cali-INPUT -p ipencap -m comment --comment \"Allow IPIP packets from Calico hosts\" -m set --match-set cali40all-hosts-net src -j ACCEPT # {}",
                            outer.source
                        ),
                        _ => format!(
                            "-A cali-INPUT -p udp -m comment --comment \"Allow VXLAN packets from allowed hosts\" -m multiport --dports 4789 -j ACCEPT # {}",
                            outer.source
                        ),
                    }])
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
                    Device::Pod(pod) => self.veth(pod),
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
        if !matches!(from, Device::Ethernet | Device::Tunnel(_)) {
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
            let (came, back) = (self.device(from), self.device(back));
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
                .see(&name, format!("sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.{came}.rp_filter; nstat -az TcpExtIPReversePathFilter"));
            let cause = Cause { kind: CauseKind::RpFilter, cite: Some(cite), message };
            return Err(Box::new(End::caused(Verdict::Dropped, cause)));
        }
        Ok(())
    }

    /// Rewrites the destination to one of the endpoints that the proxy found.
    fn dnat(&mut self, passage: &mut Passage<'a>, hook: Hook, packet: Packet) -> Packet {
        let endpoints = std::mem::take(&mut passage.nat.endpoints);
        let (Some(frontend), false) = (passage.nat.frontend, endpoints.is_empty()) else {
            return packet;
        };
        let chosen = if endpoints.len() > 1 { self.fork(endpoints.len()) } else { 0 };
        let Some(endpoint) = endpoints.get(chosen).copied() else { return packet };
        let hairpin = packet.source == endpoint.ip;
        if hairpin && passage.mark.is_none() {
            let cite = frontend.service.cite.clone();
            passage.mark = Some(Evidence::of(
                cite,
                "the endpoint is the sender itself: without masquerade its answer would never leave it",
            ));
        }
        let after = packet.with_destination(endpoint.ip, endpoint.port);
        self.endpoint = Some(match endpoint.pod {
            Some(pod) => self.cluster.pod_name(pod),
            None => address_and_port(endpoint.ip, Some(endpoint.port)),
        });
        let summary =
            self.dnat_summary(&frontend, &packet, endpoints.len(), passage.mark.is_some());
        let mut evidence = vec![Evidence::of(
            frontend.service.cite.clone(),
            &format!("{} is its {}", packet.to(), frontend.kind.label()),
        )];
        evidence.append(&mut passage.nat.evidence);
        evidence.extend(passage.mark.clone());
        let mut rules = std::mem::take(&mut passage.nat.rules);
        if self.cluster.proxy.mode.value == ProxyMode::Iptables {
            rules.extend(proxy::endpoint_rules(&frontend, endpoint, endpoints.len(), hairpin));
        }
        let on = self.node_name(passage.node);
        let see = self.see_dnat(&packet, &rules);
        self.step((self.node_machine(passage.node), hook), Rule::Dnat, &packet, &after, summary)
            .because(evidence)
            .with_rules(rules)
            .see(&on, see);
        after
    }

    fn dnat_summary(
        &self,
        frontend: &Frontend<'_>,
        packet: &Packet,
        of: usize,
        marked: bool,
    ) -> String {
        let endpoint = self.endpoint.clone().unwrap_or_default();
        let service = format!("{}/{}", frontend.service.namespace, frontend.service.name);
        let picked = if of > 1 {
            format!("{endpoint}, picked at random from {of} endpoints")
        } else {
            format!("{endpoint}, the only endpoint it may use")
        };
        let mark = if marked { ", and marks it for masquerade" } else { "" };
        let who = match self.cluster.proxy.mode.value {
            ProxyMode::Ipvs => "IPVS",
            _ => "kube-proxy",
        };
        format!(
            "{who} rewrites the destination {}, a {} of Service {service}, to {picked}{mark}",
            packet.to(),
            frontend.kind.label()
        )
    }

    /// The command that shows the service's rules.
    fn see_dnat(&self, packet: &Packet, rules: &[String]) -> String {
        match self.cluster.proxy.mode.value {
            ProxyMode::Ipvs => {
                let flag = match packet.protocol {
                    super::Protocol::Tcp => "-t",
                    super::Protocol::Udp => "-u",
                    super::Protocol::Sctp => "--sctp-service",
                };
                format!("ipvsadm -Ln {flag} {}", packet.to())
            }
            ProxyMode::Nftables => "nft list table ip kube-proxy".to_owned(),
            ProxyMode::Iptables | ProxyMode::Ebpf => {
                let chains: Vec<&str> = rules
                    .iter()
                    .filter_map(|rule| rule.split_whitespace().nth(1))
                    .filter(|chain| chain.len() > 20)
                    .collect();
                let mut chains: Vec<&str> = chains;
                chains.dedup();
                if chains.is_empty() {
                    "iptables-save -t nat | grep KUBE-".to_owned()
                } else {
                    format!("iptables-save -t nat | grep -E '{}'", chains.join("|"))
                }
            }
        }
    }

    /// filter FORWARD.
    fn forward(&mut self, passage: Passage<'a>, packet: Packet, found: Route<'_>) -> End {
        let append = self.cluster.felix.append_chains.value;
        let place = self.place(&passage);
        let proxy_first = append || self.proxy().filters_before_calico();
        if proxy_first && let Some(refusal) = self.proxy().filter(place, Hook::Forward, &packet) {
            return self.refuse(&passage, Hook::Forward, &packet, refusal);
        }
        let accepted_early = append
            && passage.mark.is_some()
            && self.cluster.proxy.mode.value == ProxyMode::Iptables;
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
        if let Some(end) = self.prevent_service_loop(&passage, &packet) {
            return end;
        }
        if !proxy_first && let Some(refusal) = self.proxy().filter(place, Hook::Forward, &packet) {
            return self.refuse(&passage, Hook::Forward, &packet, refusal);
        }
        self.postrouting(&passage, packet, found)
    }

    /// filter INPUT, and in IPVS mode what follows it.
    fn input(&mut self, mut passage: Passage<'a>, packet: Packet) -> End {
        let node = passage.node;
        let ipvs = self.proxy().takes_in_input();
        // Felix' cali-forward-check: node ports in the usual range, and addresses that are not
        // the host's own, will be forwarded by ip_vs.
        let forwarded = ipvs
            && (!is_host_address(self.cluster, node, packet.destination)
                || packet.destination_port.is_some_and(|port| NODE_PORTS.contains(&port)));
        let place = self.place(&passage);
        let proxy_first =
            self.cluster.felix.append_chains.value || self.proxy().filters_before_calico();
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
        }
        // An empty virtual server answers by itself, after filter.
        if let Some(refusal) = refusal
            && (!accepted || passage.nat.frontend.is_some() && ipvs)
        {
            return self.refuse(&passage, Hook::Input, &packet, refusal);
        }
        if passage.nat.endpoints.is_empty() {
            return self.socket(&passage, packet);
        }
        let packet = self.dnat(&mut passage, Hook::Input, packet);
        let found = route(self.cluster, node, packet.destination);
        if let Route::Local = found {
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
                    "the node port is outside 30000-32767, so Calico takes what IPVS sends for the node's own traffic, which it lets through to the node's pods",
                    "-A cali-OUTPUT -o cali+ -j RETURN",
                );
            }
        }
        self.postrouting(&passage, packet, found)
    }

    /// cali-wl-to-host's end. `Ok(true)` if the packet is accepted for good.
    fn endpoint_to_host(&mut self, node: NodeId, packet: &Packet) -> Result<bool, Box<End>> {
        let setting = &self.cluster.felix.endpoint_to_host;
        if setting.value != EndpointToHost::Drop {
            return Ok(setting.value == EndpointToHost::Accept);
        }
        let evidence = Evidence::of_felix(
            setting,
            "spec.defaultEndpointToHostAction",
            "defaultEndpointToHostAction is Drop",
        );
        let message = format!(
            "Calico drops what pods send to their own node: defaultEndpointToHostAction is Drop, and {} is an address of {}",
            packet.destination,
            self.node_name(node)
        );
        let cite = Some(evidence.cite.clone());
        let at = (self.node_machine(node), Hook::Input);
        let on = self.node_name(node);
        self.step(at, Rule::EndpointToHost, packet, packet, message.clone())
            .because([evidence])
            .with_rules(["-A cali-wl-to-host -m comment --comment \"Configured DefaultEndpointToHostAction\" -j DROP".to_owned()])
            .see(&on, "iptables -vnL cali-wl-to-host".to_owned());
        let cause = Cause { kind: CauseKind::EndpointToHostAction, cite, message };
        Err(Box::new(End::caused(Verdict::Dropped, cause)))
    }

    /// cali-cidr-block: an advertised service address that nobody rewrote would go back to where
    /// it came from.
    fn prevent_service_loop(&mut self, passage: &Passage<'_>, packet: &Packet) -> Option<End> {
        let setting = &self.cluster.felix.service_loop_prevention;
        let range =
            self.cluster.bgp.advertised.iter().find(|range| range.contains(&packet.destination))?;
        if setting.value == ServiceLoopPrevention::Disabled
            || packet.destination != passage.original.destination
        {
            return None;
        }
        let message = format!(
            "{} is in {range}, which is advertised as service addresses, but no service has it: Calico stops it instead of sending it back out",
            packet.destination
        );
        let evidence = Evidence::of_felix(
            setting,
            "spec.serviceLoopPrevention",
            "serviceLoopPrevention is on",
        );
        let cite = Some(evidence.cite.clone());
        let at = (self.node_machine(passage.node), Hook::Forward);
        let on = self.node_name(passage.node);
        self.step(at, Rule::ServiceLoop, packet, packet, message.clone())
            .because([evidence])
            .see(&on, "iptables -vnL cali-cidr-block".to_owned());
        let verdict = match setting.value {
            ServiceLoopPrevention::Reject => Verdict::Rejected,
            _ => Verdict::Dropped,
        };
        Some(End::caused(verdict, Cause { kind: CauseKind::ServiceLoop, cite, message }))
    }

    /// A local socket, or none.
    fn socket(&mut self, passage: &Passage<'a>, packet: Packet) -> End {
        let node = passage.node;
        let at = (self.node_machine(node), Hook::Socket);
        let on = self.node_name(node);
        self.track(at.0.clone(), &passage.original, &packet);
        if self.listens(node, &packet) {
            let summary = format!("a process on {on} listens on {}", packet.to());
            self.step(at, Rule::DeliverToHost, &packet, &packet, summary)
                .see(&on, format!("ss -lnp 'sport = {}'", packet.destination_port.unwrap_or(0)));
            return End::Host(node, packet);
        }
        let message =
            format!("nothing on {on} listens on {}: the kernel answers with a reset", packet.to());
        self.step(at, Rule::NoListener, &packet, &packet, message.clone())
            .see(&on, format!("ss -lnp 'sport = {}'", packet.destination_port.unwrap_or(0)));
        End::Failed(Failure {
            verdict: Verdict::Rejected,
            cause: Cause { kind: CauseKind::NoListener, cite: None, message },
            rejected_by: Some((node, packet)),
        })
    }

    /// Whether a process of the node listens: the kubelet on TCP 10250, and hostNetwork pods.
    fn listens(&self, node: NodeId, packet: &Packet) -> bool {
        let kubelet = packet.protocol == super::Protocol::Tcp
            && packet.destination_port == Some(10250)
            && !packet.destination.is_loopback();
        kubelet
            || self.cluster.pods.iter().any(|pod| {
                pod.node == node
                    && pod.host_network
                    && !pod.finished
                    && pod.ports.iter().any(|port| {
                        port.protocol == packet.protocol
                            && Some(port.port) == packet.destination_port
                    })
            })
    }

    /// nat POSTROUTING, then out.
    fn postrouting(&mut self, passage: &Passage<'a>, packet: Packet, found: Route<'_>) -> End {
        let node = passage.node;
        let packet = self.masquerade(passage, packet, &found);
        self.track(self.node_machine(node), &passage.original, &packet);
        self.leave(node, packet, found)
    }

    /// Out by a device, to the next machine. Replies come here too.
    pub(super) fn leave(&mut self, node: NodeId, packet: Packet, found: Route<'_>) -> End {
        let machine = self.node_machine(node);
        let on = self.node_name(node);
        match found {
            Route::Pod(pod) if self.replying => End::Pod(pod, packet),
            Route::Pod(pod) => {
                let name = self.cluster.pod_name(pod);
                self.source_at_pod = Some(packet.source);
                let summary = format!("the packet enters {name} by its veth {}", self.veth(pod));
                let see = dump(&self.veth(pod), &packet);
                self.step((machine, Hook::Device), Rule::DeliverToPod, &packet, &packet, summary)
                    .by(name)
                    .see(&on, see);
                End::Pod(pod, packet)
            }
            Route::Tunnel(encapsulation, to, block) => {
                let v4 = packet.destination.is_ipv4();
                let ends = self
                    .cluster
                    .node(node)
                    .and_then(|node| node.address(v4))
                    .zip(self.cluster.node(to).and_then(|node| node.address(v4)));
                let Some((source, destination)) = ends else {
                    return self.no_route(node, &packet, "the node has no address for the tunnel");
                };
                let wrapped = packet.wrapped(Some(Outer { encapsulation, source, destination }));
                let device = encapsulation.device();
                let peer = self.node_name(to);
                let summary = format!(
                    "{block} is behind {peer}: {device} wraps the packet in {}, from {source} to {destination}",
                    encapsulation.label()
                );
                let line = match encapsulation {
                    Encapsulation::Ipip => {
                        format!("{block} via {destination} dev {device} proto bird onlink")
                    }
                    _ => {
                        let gateway = self
                            .cluster
                            .node(to)
                            .and_then(|node| node.tunnel_address(encapsulation, v4))
                            .map_or_else(String::new, |ip| format!(" via {ip}"));
                        format!("{block}{gateway} dev {device} proto 80 onlink")
                    }
                };
                let evidence = self.pool_evidence(packet.destination, encapsulation);
                self.step((machine, Hook::Device), Rule::Encapsulate, &packet, &wrapped, summary)
                    .by(device.to_owned())
                    .because(evidence)
                    .with_rules([line])
                    .see(&on, format!("ip route get {}", packet.destination));
                self.arrive(to, wrapped, Device::Tunnel(encapsulation))
            }
            Route::Node(to, block) => {
                let hop = self
                    .cluster
                    .node(to)
                    .and_then(|node| node.address(packet.destination.is_ipv4()));
                let hop = hop.map_or_else(String::new, |hop| hop.to_string());
                let summary =
                    format!("{block} is behind {}: out by eth0, not wrapped", self.node_name(to));
                self.step((machine, Hook::Device), Rule::DeviceOut, &packet, &packet, summary)
                    .by("eth0".to_owned())
                    .with_rules([format!("{block} via {hop} dev eth0 proto bird")])
                    .see(&on, format!("ip route get {}", packet.destination));
                if same_subnet(self.cluster, node, to, packet.destination.is_ipv4()) {
                    self.arrive(to, packet, Device::Ethernet)
                } else {
                    self.hand_to_routers(packet)
                }
            }
            Route::OnLink | Route::Gateway => {
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
            Route::Local => End::Host(node, packet),
            Route::Blackhole(block) => {
                let block = block.to_string();
                self.blackhole(node, &packet, &block)
            }
        }
    }

    /// The rules that change the source, in order; the first that matches ends it.
    fn masquerade(&mut self, passage: &Passage<'_>, packet: Packet, found: &Route<'_>) -> Packet {
        let node = passage.node;
        let cluster = self.cluster;
        let device = found.device();
        let hairpin = self.proxy().takes_in_input() && packet.source == packet.destination;
        let own_pool = cluster.pool_of(packet.source);
        let leaves_pools = || {
            cluster
                .pools
                .iter()
                .all(|pool| pool.load_balancer_only || !pool.cidr.contains(&packet.destination))
                && !(cluster.felix.nat_excludes_hosts.value
                    && cluster.node_by_address.contains_key(&packet.destination))
        };
        let wrong_source = |encapsulation| {
            is_local_address(cluster, node, packet.source)
                && cluster
                    .node(node)
                    .and_then(|node| node.tunnel_address(encapsulation, packet.source.is_ipv4()))
                    != Some(packet.source)
        };
        let (rule, evidence, line, why) = if let Some(mark) = &passage.mark {
            (
                Rule::Masquerade,
                vec![mark.clone()],
                self.proxy().masquerade_rule().to_owned(),
                "kube-proxy masquerades the marked packet",
            )
        } else if hairpin {
            (
                Rule::Masquerade,
                Vec::new(),
                "-A KUBE-POSTROUTING -m comment --comment \"Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose\" -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE".to_owned(),
                "kube-proxy masquerades a pod's packet to itself",
            )
        } else if let Some(pool) = own_pool.filter(|pool| pool.nat_outgoing.value)
            && leaves_pools()
        {
            (
                Rule::NatOutgoing,
                vec![Evidence::of_setting(
                    &pool.nat_outgoing,
                    &crate::text::ObjectRef::new("IPPool", "", &pool.name),
                    "spec.natOutgoing",
                    "natOutgoing translates what leaves the pools",
                )],
                "-A cali-nat-outgoing -m set --match-set cali40masq-ipam-pools src -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE --random-fully".to_owned(),
                "Calico's natOutgoing masquerades what pods send out of the pools",
            )
        } else if let Device::Tunnel(encapsulation) = device
            && wrong_source(encapsulation)
        {
            (
                Rule::TunnelSource,
                Vec::new(),
                format!(
                    "-A cali-POSTROUTING -o {} -m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL -j MASQUERADE --random-fully",
                    encapsulation.device()
                ),
                "Calico gives what the node itself sends into the tunnel the tunnel's address",
            )
        } else {
            return packet;
        };
        let Some(source) = masquerade_source(cluster, node, found, packet.destination) else {
            return packet;
        };
        if source == packet.source {
            return packet;
        }
        let after = packet.with_source(source);
        let (owner, out) = match device {
            Device::Tunnel(encapsulation) => (
                format!("{}'s {}", self.node_name(node), encapsulation.device()),
                "it leaves by the tunnel",
            ),
            Device::Pod(_) => (
                self.node_name(node),
                "the pod's veth has no address of its own, so the node's is taken",
            ),
            _ => (self.node_name(node), "it leaves by eth0"),
        };
        let summary =
            format!("{why}: source {} becomes {source} ({owner}), because {out}", packet.source);
        let on = self.node_name(node);
        let see = match rule {
            Rule::Masquerade => "iptables -t nat -vnL KUBE-POSTROUTING".to_owned(),
            Rule::NatOutgoing => "iptables -t nat -vnL cali-nat-outgoing".to_owned(),
            _ => "iptables -t nat -vnL cali-POSTROUTING".to_owned(),
        };
        let see = match (rule, cluster.proxy.mode.value) {
            (Rule::Masquerade, ProxyMode::Nftables) => {
                "nft list chain ip kube-proxy masquerading".to_owned()
            }
            _ => see,
        };
        let name = self.device(device);
        self.step((self.node_machine(node), Hook::Postrouting), rule, &packet, &after, summary)
            .by(name)
            .because(evidence)
            .with_rules([line])
            .see(&on, see);
        after
    }

    /// A pod's policy is asked.
    fn gate(
        &mut self,
        node: NodeId,
        hook: Hook,
        direction: Direction,
        pod: PodId,
        packet: &Packet,
    ) -> Result<(), Box<End>> {
        let decision = decide(self.cluster, direction, pod, packet);
        let name = self.cluster.pod_name(pod);
        let (rule, way, chain) = match direction {
            Direction::Egress => (Rule::EgressGate, "egress", "cali-fw-"),
            Direction::Ingress => (Rule::IngressGate, "ingress", "cali-tw-"),
        };
        let verdict = if decision.allow { "allows" } else { "denies" };
        let summary = format!(
            "the {way} policy of {name} sees {} to {} and {verdict} it: {}",
            packet.source,
            packet.to(),
            decision.reason
        );
        let chain = format!("{chain}{}", self.veth(pod));
        let on = self.node_name(node);
        let failed = (!decision.allow).then(|| {
            End::caused(
                Verdict::Dropped,
                Cause {
                    kind: CauseKind::PolicyDenied,
                    cite: decision.cite.clone(),
                    message: format!(
                        "the {way} policy of {name} is asked about {} to {}: {}",
                        packet.source,
                        packet.to(),
                        decision.reason
                    ),
                },
            )
        });
        let evidence = decision.evidence.clone();
        let step = self.step((self.node_machine(node), hook), rule, packet, packet, summary);
        step.by(name.clone())
            .because(evidence)
            .with_rules([format!(
                "-A cali-{}-wl-dispatch … -g {chain}",
                if direction == Direction::Egress { "from" } else { "to" }
            )])
            .see(&on, format!("iptables -vnL {chain}"));
        step.gate = Some(Gate { direction, pod: name, decision });
        failed.map_or(Ok(()), |end| Err(Box::new(end)))
    }

    fn skip_gate(
        &mut self,
        node: NodeId,
        hook: Hook,
        pod: PodId,
        packet: &Packet,
        why: &str,
        rule: &str,
    ) {
        let name = self.cluster.pod_name(pod);
        let summary = format!("the policy of {name} is not asked: {why}");
        let on = self.node_name(node);
        self.step((self.node_machine(node), hook), Rule::GateSkipped, packet, packet, summary)
            .by(name)
            .with_rules([rule.to_owned()])
            .see(&on, format!("iptables -vnL cali-{hook}"));
    }

    /// kube-proxy refuses.
    fn refuse(
        &mut self,
        passage: &Passage<'_>,
        hook: Hook,
        packet: &Packet,
        refusal: Refusal,
    ) -> End {
        let Refusal { rule, cause, evidence, rules } = refusal;
        let on = self.node_name(passage.node);
        let see = match self.cluster.proxy.mode.value {
            ProxyMode::Ipvs => "ipvsadm -Ln".to_owned(),
            ProxyMode::Nftables => "nft list table ip kube-proxy".to_owned(),
            _ => "iptables-save -t filter | grep KUBE-".to_owned(),
        };
        let at = (self.node_machine(passage.node), hook);
        self.track(at.0.clone(), &passage.original, packet);
        self.step(at, rule, packet, packet, cause.message.clone())
            .because(evidence)
            .with_rules(rules)
            .see(&on, see);
        let rejects = rule == Rule::NoEndpoints;
        End::Failed(Failure {
            verdict: if rejects { Verdict::Rejected } else { Verdict::Dropped },
            cause,
            rejected_by: rejects.then(|| (passage.node, packet.clone())),
        })
    }

    fn blackhole(&mut self, node: NodeId, packet: &Packet, block: &str) -> End {
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

    fn no_route(&mut self, node: NodeId, packet: &Packet, why: &str) -> End {
        let at = (self.node_machine(node), Hook::Routing);
        self.step(at, Rule::NoRoute, packet, packet, why.to_owned());
        End::failed(Verdict::Unroutable, CauseKind::NoRoute, why.to_owned())
    }

    pub(super) fn veth(&self, pod: PodId) -> String {
        self.cluster.pod(pod).map_or_else(String::new, |pod| veth(&pod.namespace, &pod.name))
    }

    /// Why the pool's packets are wrapped.
    fn pool_evidence(
        &self,
        to: std::net::IpAddr,
        encapsulation: Encapsulation,
    ) -> Option<Evidence> {
        let pool = self.cluster.pool_of(to)?;
        let object = crate::text::ObjectRef::new("IPPool", "", &pool.name);
        let (setting, field) = match encapsulation {
            Encapsulation::Ipip => (&pool.ipip, "spec.ipipMode"),
            _ => (&pool.vxlan, "spec.vxlanMode"),
        };
        let finding = format!("pool {} is wrapped in {}", pool.cidr, encapsulation.label());
        Some(Evidence::of_setting(setting, &object, field, &finding))
    }
}

/// The pods whose policies a packet must pass between two devices, in order.
fn gates(from: Option<Device>, to: &Route<'_>) -> impl Iterator<Item = (Direction, PodId)> {
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
fn dump(device: &str, packet: &Packet) -> String {
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
