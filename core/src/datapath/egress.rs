//! How a packet leaves a node: `MASQUERADE` in POSTROUTING, then the route's device.

use std::net::IpAddr;

use super::node::{Passage, dump};
use super::route::{Device, Route, is_local_address, masquerade_source, same_subnet};
use super::step::{CauseKind, Encapsulation, Hook, Outer, Packet, Rule, Verdict};
use super::walk::{End, Walk};
use crate::cluster::{NodeId, Pool, ProxyMode};
use crate::policy::Evidence;
use crate::text::{ObjectRef, Origin};

/// A rule of nat POSTROUTING that changes the source.
struct SourceRule {
    rule: Rule,
    evidence: Vec<Evidence>,
    /// As the tool prints it.
    line: String,
    why: &'static str,
    /// The command that shows it.
    see: &'static str,
}

impl<'a> Walk<'a> {
    /// nat POSTROUTING, then out.
    pub(super) fn postrouting(
        &mut self,
        passage: &Passage<'a>,
        packet: Packet,
        found: Route<'_>,
    ) -> End {
        let node = passage.node;
        let packet = self.masquerade(passage, packet, &found);
        self.track(self.node_machine(node), &passage.original, &packet);
        self.leave(node, packet, found)
    }

    /// Changes the source, if a rule says so.
    fn masquerade(&mut self, passage: &Passage<'_>, packet: Packet, found: &Route<'_>) -> Packet {
        let node = passage.node;
        let Some(SourceRule { rule, evidence, line, why, see }) =
            self.source_rule(passage, &packet, found)
        else {
            return packet;
        };
        let source = masquerade_source(self.cluster, node, found, packet.destination);
        let Some(source) = source.filter(|source| *source != packet.source) else {
            return packet;
        };
        let after = packet.with_source(source);
        let on = self.node_name(node);
        let device = found.device();
        let (owner, out) = match device {
            Device::Tunnel(encapsulation) => {
                (format!("{on}'s {}", encapsulation.device()), "it leaves by the tunnel")
            }
            Device::Pod(_) => {
                (on.clone(), "the pod's veth has no address of its own, so the node's is taken")
            }
            _ => (on.clone(), "it leaves by eth0"),
        };
        let summary =
            format!("{why}: source {} becomes {source} ({owner}), because {out}", packet.source);
        let name = self.device(device);
        self.step((self.node_machine(node), Hook::Postrouting), rule, &packet, &after, summary)
            .by(name)
            .because(evidence)
            .with_rules([line])
            .see(&on, see.to_owned())
            .uncertain = self.assumed_address(node, source);
        after
    }

    /// Why an address of a node is not certain, if it was assumed.
    fn assumed_address(&self, node: NodeId, address: IpAddr) -> Option<String> {
        let node = self.cluster.node(node)?;
        let tunnels = node.ipip.iter().chain(&node.vxlan).chain(&node.wireguard);
        tunnels.filter(|tunnel| tunnel.value == address).find_map(|tunnel| match &tunnel.origin {
            Origin::Assumed(why) => Some(format!("{address} is assumed: {why}")),
            _ => None,
        })
    }

    /// The first rule of nat POSTROUTING that changes the source: kube-proxy's mark, Calico's
    /// natOutgoing, Calico's rule for local sources that leave by a tunnel.
    fn source_rule(
        &self,
        passage: &Passage<'_>,
        packet: &Packet,
        found: &Route<'_>,
    ) -> Option<SourceRule> {
        let cluster = self.cluster;
        let marked = match cluster.proxy.mode.value {
            ProxyMode::Nftables => "nft list chain ip kube-proxy masquerading",
            _ => "iptables -t nat -vnL KUBE-POSTROUTING",
        };
        if let Some(mark) = &passage.mark {
            return Some(SourceRule {
                rule: Rule::Masquerade,
                evidence: vec![mark.clone()],
                line: self.proxy().masquerade_rule().to_owned(),
                why: "kube-proxy masquerades the marked packet",
                see: marked,
            });
        }
        if self.proxy().takes_in_input() && packet.source == packet.destination {
            return Some(SourceRule {
                rule: Rule::Masquerade,
                evidence: Vec::new(),
                line: "-A KUBE-POSTROUTING -m comment --comment \"Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose\" -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE".to_owned(),
                why: "kube-proxy masquerades a pod's packet to itself",
                see: marked,
            });
        }
        if let Some(pool) = self.translating_pool(packet) {
            return Some(SourceRule {
                rule: Rule::NatOutgoing,
                evidence: vec![Evidence::of_setting(
                    &pool.nat_outgoing,
                    &ObjectRef::new("IPPool", "", &pool.name),
                    "spec.natOutgoing",
                    "natOutgoing translates what leaves the pools",
                )],
                line: "-A cali-nat-outgoing -m set --match-set cali40masq-ipam-pools src -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE --random-fully".to_owned(),
                why: "Calico's natOutgoing masquerades what pods send out of the pools",
                see: "iptables -t nat -vnL cali-nat-outgoing",
            });
        }
        let Device::Tunnel(encapsulation) = found.device() else { return None };
        let own = cluster
            .node(passage.node)
            .and_then(|node| node.tunnel_address(encapsulation, packet.source.is_ipv4()));
        let wrong =
            is_local_address(cluster, passage.node, packet.source) && own != Some(packet.source);
        wrong.then(|| SourceRule {
            rule: Rule::TunnelSource,
            evidence: Vec::new(),
            line: format!("-A cali-POSTROUTING -o {} -m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL -j MASQUERADE --random-fully", encapsulation.device()),
            why: "Calico gives what the node itself sends into the tunnel the tunnel's address",
            see: "iptables -t nat -vnL cali-POSTROUTING",
        })
    }

    /// The pool whose natOutgoing applies: the source is from it, the destination from none.
    pub(super) fn translating_pool(&self, packet: &Packet) -> Option<&Pool> {
        let cluster = self.cluster;
        let pool = cluster.pool_of(packet.source).filter(|pool| pool.nat_outgoing.value)?;
        let inside =
            |pool: &Pool| !pool.load_balancer_only && pool.cidr.contains(&packet.destination);
        let excluded = cluster.felix.nat_excludes_hosts.value
            && cluster.node_by_address.contains_key(&packet.destination);
        (!excluded && !cluster.pools.iter().any(inside)).then_some(pool)
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
                let summary =
                    format!("the packet enters {name} by its veth {}", self.cluster.veth(pod));
                let see = dump(&self.cluster.veth(pod), &packet);
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
                let line = if encapsulation == Encapsulation::Ipip {
                    format!("{block} via {destination} dev {device} proto bird onlink")
                } else {
                    let gateway = self
                        .cluster
                        .node(to)
                        .and_then(|node| node.tunnel_address(encapsulation, v4))
                        .map_or_else(String::new, |ip| format!(" via {ip}"));
                    format!("{block}{gateway} dev {device} proto 80 onlink")
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

    /// Why the pool's packets are wrapped.
    pub(super) fn pool_evidence(
        &self,
        to: std::net::IpAddr,
        encapsulation: Encapsulation,
    ) -> Option<Evidence> {
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
