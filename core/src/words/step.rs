//! What a step says of itself: one sentence, without its full stop.

use super::names;
use super::phrase::{Part, Phrase, from, name, phrase, pod, service, to};
use super::policy;
use super::proxy;
use crate::cluster::{Backend, Cluster, NodeId, NodePortAddresses, ProxyMode, ServiceId};
use crate::datapath::{
    Device, Dnat, Fact, FrontendKind, FrontendRef, Gate, Hook, Known, Late, Left, Listener, Lost,
    Masquerade, Masquerades, NoRoute, NotTaken, Out, Picked, Refused, Routed, Sent, Skipped, Step,
    Subject, Translator, Unanswered, Untold, Wrap,
};
use crate::decision::{By, HostChain};
use crate::net::{Encapsulation, InFamily, Packet, Protocol};

/// What happened, and why.
pub fn summary(cluster: &Cluster, step: &Step) -> Phrase {
    let says = Says { cluster, step };
    match &step.fact {
        Fact::Send(sent) => says.send(*sent),
        Fact::DeviceIn => {
            if let Some(Device::Pod(id)) = step.device {
                phrase!["the packet leaves ", pod(cluster, id), " by its veth and enters the node"]
            } else {
                phrase!["the packet comes in by ", says.device()]
            }
        }
        Fact::DeviceOut(out) => says.out(out),
        Fact::Dnat(dnat) => says.dnat(dnat),
        Fact::Refused(refused) => says.refused(refused),
        Fact::NoRoute(why) => says.no_route(*why),
        Fact::Martian => phrase![
            "the packet comes from the network with ",
            says.machine(),
            "'s own address ",
            step.before.source,
            " as its source, and the kernel drops such a martian"
        ],
        Fact::RpFilter { back } => phrase![
            step.before.source,
            " came in by ",
            says.device(),
            ", but ",
            says.machine(),
            " would answer by ",
            says.device_named(*back),
            ": the strict reverse path filter drops it"
        ],
        Fact::Gate(gate) => says.gate(gate, "sees", verb(gate)),
        Fact::GateSkipped(why) => says.skipped(*why),
        Fact::EndpointToHost => phrase![
            "Calico drops what pods send to their own node: defaultEndpointToHostAction is Drop, and ",
            step.before.destination,
            " is an address of ",
            says.machine()
        ],
        Fact::Masquerade(masquerade) => says.masquerade(masquerade),
        Fact::Encapsulate(wrap) => says.wrap(wrap),
        Fact::Decapsulate => says.unwrap(),
        Fact::BalancerForward(picked) => phrase![
            "the balancer sends it to ",
            says.picked(*picked),
            " and keeps the source ",
            step.before.source
        ],
        Fact::BalancerConnect(picked) => phrase![
            "the balancer opens its own connection to ",
            says.picked(*picked),
            ": the source is now ",
            step.after.source
        ],
        Fact::RouterForward(Routed::Route { via, others, .. }) => phrase![
            "the network routes ",
            step.before.destination,
            " to ",
            says.node(*via),
            also(*others)
        ],
        Fact::RouterForward(Routed::Block { owner, block }) => phrase![
            "the network routes ",
            *block,
            " to ",
            says.node(*owner),
            ", which told it over BGP"
        ],
        Fact::ServiceLoop { range } => phrase![
            step.before.destination,
            " is in ",
            *range,
            ", which is advertised as service addresses, but no service has it: Calico stops it instead of sending it back out"
        ],
        Fact::DeliverToPod { own: true } => says.own_packet(),
        Fact::DeliverToPod { own: false } => {
            let Some(id) = step.pod() else { return Phrase::default() };
            phrase!["the packet enters ", pod(cluster, id), " by its veth ", cluster.veth(id)]
        }
        Fact::DeliverToHost(listener) => says.listens(*listener),
        Fact::NoListener(why) => says.no_listener(why.as_ref()),
        Fact::UnNat(by) => says.un_nat(*by),
        Fact::ReplyDelivered { refusal: true } => {
            "the refusal arrives: there is no connection".into()
        }
        Fact::ReplyDelivered { refusal: false } => {
            "the answer arrives, and the connection stands".into()
        }
        Fact::ReplyLost(lost) => says.lost(*lost),
    }
}

/// Why the packet's way ended with this step, where that is not what the step says of itself.
pub(super) fn end(cluster: &Cluster, step: &Step) -> Phrase {
    let says = Says { cluster, step };
    match &step.fact {
        Fact::Gate(gate) => says.gate(gate, "is asked about", ""),
        Fact::DeviceOut(Out::Untold { to, why, .. }) => says.untold(*to, *why),
        _ => summary(cluster, step),
    }
}

/// Why nobody tells one node where another's pods are.
pub(super) fn untold(cluster: &Cluster, why: Untold) -> Phrase {
    match why {
        Untold::Reflector(node) => phrase![
            names::node(cluster, node),
            " is a route reflector, which takes no part in the node-to-node mesh, and no BGPPeer gives it a session"
        ],
        Untold::NoMesh => {
            "the node-to-node mesh is off, and no BGPPeer leads from one to the other".into()
        }
    }
}

/// What a service's address is called, with its article.
fn a_label(kind: FrontendKind) -> &'static str {
    match kind {
        FrontendKind::ClusterIp => "a ClusterIP",
        FrontendKind::ExternalIp => "an external IP",
        FrontendKind::LoadBalancerIp => "a load balancer IP",
        FrontendKind::NodePort => "a node port",
    }
}

fn verb(gate: &Gate) -> &'static str {
    match (gate.who, gate.ruling.allow, gate.ruling.by != By::NoPolicy) {
        (_, false, _) => " and denies it",
        (Subject::Host(..), true, false) => " and lets it go on",
        (_, true, _) => " and allows it",
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

struct Says<'a> {
    cluster: &'a Cluster,
    step: &'a Step,
}

impl Says<'_> {
    fn before(&self) -> &Packet {
        &self.step.before
    }

    fn node(&self, id: NodeId) -> Part {
        name(names::node(self.cluster, id))
    }

    fn machine(&self) -> Phrase {
        names::machine(self.cluster, self.step.machine)
    }

    fn device(&self) -> Part {
        self.device_named(self.step.device.unwrap_or(Device::Ethernet))
    }

    fn device_named(&self, device: Device) -> Part {
        let family = self.before().source.family();
        match device {
            Device::Pod(id) => pod(self.cluster, id),
            _ => name(&names::device(self.cluster, device, family)),
        }
    }

    fn service_of(&self, id: ServiceId) -> Part {
        self.cluster.service(id).map_or_else(|| name("the service"), service)
    }

    fn backend(&self, backend: Backend) -> Part {
        match backend.pod {
            Some(id) => pod(self.cluster, id),
            None => Part::Address(backend.ip, Some(backend.port)),
        }
    }

    fn ebpf(&self) -> bool {
        self.cluster.proxy.mode.value == ProxyMode::Ebpf
    }

    fn send(&self, sent: Sent) -> Phrase {
        let goes = to(self.before());
        match (sent, self.step.pod()) {
            (Sent::ToItself, _) => self.own_packet(),
            (Sent::Pod(named), Some(id)) => {
                let mut says = phrase![pod(self.cluster, id), " sends to ", goes];
                if let Some(backend) = named {
                    says.add(", the address of ");
                    says.add(self.backend(backend));
                    says.add(" that DNS gives for the headless service");
                }
                says
            }
            (Sent::Answer, Some(id)) => phrase![pod(self.cluster, id), " answers ", goes],
            (Sent::Answer, None) => phrase![self.machine(), " answers"],
            (Sent::Host, _) => phrase![
                "a process on ",
                self.machine(),
                " sends to ",
                goes,
                "; the route gives it the source ",
                self.before().source
            ],
            (Sent::Outside | Sent::Pod(_), _) => phrase![self.machine(), " sends to ", goes],
        }
    }

    fn own_packet(&self) -> Phrase {
        let Some(id) = self.step.pod() else { return Phrase::default() };
        phrase![
            pod(self.cluster, id),
            " talks to itself: the packet never leaves the pod, and no policy is asked"
        ]
    }

    fn out(&self, out: &Out) -> Phrase {
        let destination = self.before().destination;
        match out {
            Out::OnLink => {
                phrase![destination, " goes out by eth0, to a machine of its own subnet"]
            }
            Out::Gateway => phrase![destination, " goes out by eth0, to the default gateway"],
            Out::Node { to, block, known, beyond } => {
                let mut says = self.behind(*to, (*block).into(), Some(known));
                says.add(": out by eth0, not wrapped");
                if *beyond {
                    says.add(", by way of the default gateway, for ");
                    says.add(self.hop(*to));
                    says.add(" is in another subnet");
                }
                says
            }
            Out::Untold { to, block, why } => phrase![
                *block,
                " is behind ",
                self.node(*to),
                ", but ",
                self.machine(),
                " has no route to it, so the packet goes to the default gateway: ",
                self.untold(*to, *why)
            ],
        }
    }

    /// The node's own address, of the packet's family.
    fn hop(&self, node: NodeId) -> Phrase {
        let family = self.before().destination.family();
        let hop = self.cluster.node(node).and_then(|node| node.address(family));
        hop.map_or_else(Phrase::default, Phrase::from)
    }

    fn untold(&self, owner: NodeId, why: Untold) -> Phrase {
        phrase![
            "nobody tells ",
            self.machine(),
            " where ",
            self.node(owner),
            "'s pods are: ",
            untold(self.cluster, why)
        ]
    }

    /// `10.244.2.0/24 is behind node2, as node2 tells over the BGP mesh`.
    fn behind(&self, owner: NodeId, block: Phrase, known: Option<&Known>) -> Phrase {
        let mut says = phrase![block, " is behind ", self.node(owner), ", "];
        let owner = || self.node(owner);
        match known {
            None => {}
            Some(Known::Felix) => says.add("and Felix writes the route"),
            Some(Known::Mesh) => says.add(phrase!["as ", owner(), " tells over the BGP mesh"]),
            Some(Known::Session(_)) => {
                says.add(phrase!["as ", owner(), " tells over a BGP session"]);
            }
            Some(Known::Reflectors(way, _)) => {
                says.add(phrase!["as ", owner(), " tells the route reflector "]);
                for (index, reflector) in way.iter().enumerate() {
                    if index > 0 {
                        says.add(", which tells ");
                    }
                    says.add(self.node(*reflector));
                }
            }
            Some(Known::Routers(_)) => {
                says.add(phrase!["as ", owner(), " tells the routers outside over BGP"]);
            }
            Some(Known::Assumed) => {
                says.add(phrase!["as ", owner(), " is taken to tell over BGP"]);
            }
        }
        says
    }

    fn dnat(&self, dnat: &Dnat) -> Phrase {
        let mut says = phrase![
            proxy::rewriter(self.cluster),
            " rewrites the destination ",
            to(self.before()),
            ", ",
            a_label(dnat.frontend.kind),
            " of ",
            self.service_of(dnat.frontend.service),
            ", to ",
            self.backend(dnat.endpoint)
        ];
        if self.ebpf() {
            says.add(match self.step.hook {
                Hook::Socket => " in the socket call; the source stays ",
                _ => " on the device; the source stays ",
            });
            says.add(self.before().source);
            return says;
        }
        if dnat.of > 1 {
            says.add(format!(", picked at random from {} endpoints", dnat.of));
        } else {
            says.add(", the only endpoint it may use");
        }
        if dnat.marked {
            says.add(", and marks it for masquerade");
        }
        if dnat.unread {
            says.add("; as the endpoint is the node itself, POSTROUTING never sees it, and its source stays");
        }
        says
    }

    fn refused(&self, refused: &Refused) -> Phrase {
        let address = to(self.before());
        let of = |frontend: &FrontendRef| self.service_of(frontend.service);
        match refused {
            Refused::SourceRange(frontend) => {
                let says = phrase![
                    self.before().source,
                    " is in none of the loadBalancerSourceRanges of ",
                    of(frontend)
                ];
                if self.ebpf() {
                    phrase![says, ", so eBPF drops it"]
                } else {
                    phrase![says, ", so kube-proxy drops what it sends to ", address]
                }
            }
            Refused::NoEndpoints(frontend) => {
                phrase![of(frontend), " has no endpoints, so kube-proxy rejects ", address]
            }
            Refused::NoLocalEndpoints(frontend) => phrase![
                of(frontend),
                " has endpoints, but none on this node, and its ",
                names::traffic_policy(frontend.kind),
                " is Local, so kube-proxy drops ",
                address
            ],
            Refused::EmptyServer { frontend, elsewhere } => phrase![
                of(frontend),
                if *elsewhere { " has no endpoint on this node" } else { " has no endpoints" },
                ": the virtual server ",
                address,
                " is empty, and ip_vs answers with an ICMP port unreachable"
            ],
            Refused::NoBackend { frontend, left } => phrase![
                of(frontend),
                match left {
                    Left::None => " has no ready endpoints: ",
                    Left::Elsewhere => " has ready endpoints, but none on this node: ",
                    Left::Hinted(_) =>
                        " has ready endpoints, but topology hints leave none of this node's to the node itself: ",
                },
                match self.step.hook {
                    Hook::Socket => "connect() fails with EPERM",
                    _ => "eBPF answers with an ICMP port unreachable",
                }
            ],
            Refused::NoSuchPort(Some(id)) => phrase![
                self.before().destination,
                " is the ClusterIP of ",
                self.service_of(*id),
                ", which has no port ",
                self.before().destination_port.unwrap_or_default(),
                ": kube-proxy rejects it"
            ],
            Refused::NoSuchPort(None) => phrase![
                address,
                " is a service's address without this port, so kube-proxy rejects it"
            ],
            Refused::Unallocated(range) => {
                let range = range.and_then(|index| self.cluster.service_ranges.get(index));
                if let Some((range, _)) = range {
                    phrase![
                        self.before().destination,
                        " is in the service CIDR ",
                        *range,
                        ", and no service has it: kube-proxy drops it"
                    ]
                } else {
                    phrase![
                        self.before().destination,
                        " is near the services' addresses, and no service has it: it is taken for a free ClusterIP, which kube-proxy drops"
                    ]
                }
            }
        }
    }

    fn no_route(&self, why: NoRoute) -> Phrase {
        let destination = self.before().destination;
        let nobody = |why: Phrase| phrase![destination, " is not reachable: ", why];
        match why {
            NoRoute::NotInSubnet => nobody("no machine of the subnet has this address".into()),
            NoRoute::Unknown => nobody(
                "the network outside the nodes has no route to it and drops it without a word"
                    .into(),
            ),
            NoRoute::Unannounced { owner, block } => nobody(phrase![
                "the network outside the nodes has no route to pods, and ",
                self.node(owner),
                " tells its block ",
                block,
                " to no router (that takes a BGPPeer with a peerIP)"
            ]),
            NoRoute::NoBalancer => nobody("there is no such balancer".into()),
            NoRoute::NoSender => nobody("its sender is gone".into()),
            NoRoute::NoTunnelAddress => "the node has no address for the tunnel".into(),
            NoRoute::OnLink { to, block } => phrase![
                "Felix' route to ",
                block,
                " is onlink, so ",
                self.machine(),
                " looks for ",
                self.hop(to),
                " on its own link; ",
                self.hop(to),
                " is in another subnet, and nobody answers"
            ],
            NoRoute::Blackhole(block) => phrase![
                destination,
                " is in ",
                self.machine(),
                "'s block ",
                block,
                ", but no pod has it: ",
                self.machine(),
                " drops it"
            ],
        }
    }

    /// `asks`: how the policy comes to know of the packet, and what it does.
    fn gate(&self, gate: &Gate, asks: &str, does: &str) -> Phrase {
        let decision = policy::explain(self.cluster, self.step, gate);
        let reason = policy::reason(self.cluster, &decision);
        let way = gate.direction.to_string();
        let sees = if self.before().outer.is_some() {
            let asked = self.step.asked();
            phrase!["the tunnel's packet from ", asked.source, " to ", asked.destination]
        } else {
            phrase![self.before().source, " to ", to(self.before())]
        };
        let whose = match gate.who {
            Subject::Pod(id) => phrase!["the ", way, " policy of ", pod(self.cluster, id)],
            Subject::Host(id, chain) => {
                let host = name(names::host_endpoint(self.cluster, id));
                let kind = match chain {
                    HostChain::Untracked => "'s doNotTrack policy, before connections are tracked,",
                    HostChain::PreDnat => "'s preDNAT policy, before any translation,",
                    HostChain::Normal => "'s policy",
                    HostChain::Forward => "'s applyOnForward policy",
                };
                if does.is_empty() {
                    phrase!["the ", way, " policy of host endpoint ", host]
                } else {
                    phrase!["host endpoint ", host, kind]
                }
            }
        };
        phrase![whose, " ", asks, " ", sees, does, ": ", reason]
    }

    fn skipped(&self, why: Skipped) -> Phrase {
        if let Skipped::HostEndpoint(id) = why {
            return phrase![
                "the policies of host endpoint ",
                name(names::host_endpoint(self.cluster, id)),
                " are not asked here: where the eBPF dataplane asks them is not known for certain"
            ];
        }
        let Some(id) = self.step.pod() else { return Phrase::default() };
        phrase![
            "the policy of ",
            pod(self.cluster, id),
            " is not asked: ",
            match why {
                Skipped::OwnProcess if self.ebpf() =>
                    "a node's own processes always reach the pods on the node",
                Skipped::OwnProcess =>
                    "a node's own processes always reach the pods on the node: Calico's OUTPUT chain returns before any policy",
                Skipped::Marked =>
                    "with chainInsertMode Append, kube-proxy's KUBE-FORWARD accepts what is marked for masquerade before Calico sees it",
                Skipped::OutsideNodePortRanges =>
                    "the node port is outside Felix' kubeNodePortRanges (30000:32767 unless told otherwise), so Calico takes what IPVS sends for the node's own traffic, which it lets through to the node's pods",
                Skipped::HandedOn { .. } =>
                    "Calico's INPUT chain leaves what IPVS takes to its OUTPUT chain, but the endpoint is the node itself, and ip_vs gives it the packet without OUTPUT",
                Skipped::HostEndpoint(_) => "",
            }
        ]
    }

    fn masquerade(&self, masquerade: &Masquerade) -> Phrase {
        let Masquerade { why, out, fixed } = *masquerade;
        let becomes = phrase![
            match why {
                Masquerades::LoopBack => {
                    phrase![name("kube-proxy"), " masquerades an endpoint's packet to itself"]
                }
                Masquerades::Marked => {
                    phrase![name("kube-proxy"), " masquerades the marked packet"]
                }
                Masquerades::NatOutgoing if self.ebpf() => {
                    phrase![name("natOutgoing"), " masquerades what pods send out of the pools"]
                }
                Masquerades::NatOutgoing =>
                    "Calico's natOutgoing masquerades what pods send out of the pools".into(),
                Masquerades::TunnelSource =>
                    "Calico gives what the node itself sends into the tunnel the tunnel's address".into(),
                Masquerades::Hairpin =>
                    "a pod's packet to itself takes the node's address, so that the answer comes back".into(),
            },
            ": source ",
            self.before().source,
            " becomes ",
            self.step.after.source
        ];
        if self.ebpf() {
            return becomes;
        }
        let machine = self.machine();
        match out {
            _ if fixed => {
                phrase![becomes, " (natOutgoingAddress), because Felix is told to use that address"]
            }
            Device::Tunnel(_) => phrase![
                becomes,
                " (",
                machine,
                "'s ",
                self.device_named(out),
                "), because it leaves by the tunnel"
            ],
            Device::Pod(_) => phrase![
                becomes,
                " (",
                machine,
                "), because the pod's veth has no address of its own, so the node's is taken"
            ],
            Device::Loopback => phrase![
                becomes,
                " (",
                machine,
                "), because it leaves by lo, which has no address to give, so the node's is taken"
            ],
            Device::Ethernet => phrase![becomes, " (", machine, "), because it leaves by eth0"],
        }
    }

    fn wrap(&self, wrap: &Wrap) -> Phrase {
        match wrap {
            Wrap::Tunnel { encapsulation, to, block, known } => {
                let mut says = self.behind(*to, (*block).into(), known.as_ref());
                says.add(": ");
                says.add(self.device());
                says.add(" wraps the packet in ");
                says.add(names::encapsulation(*encapsulation));
                if let Some(outer) = self.step.after.outer {
                    says.add(phrase![", from ", outer.source, " to ", outer.destination]);
                }
                says
            }
            Wrap::Forward { endpoint, to } => phrase![
                "the endpoint ",
                Part::Address(endpoint.ip, Some(endpoint.port)),
                " is on ",
                self.node(*to),
                ": eBPF forwards the packet there as it is, in VXLAN, so that ",
                self.node(*to),
                " sees the source ",
                self.before().source
            ],
            Wrap::Return(entry) => {
                phrase!["the answer goes back through ", self.node(*entry), ", in VXLAN"]
            }
        }
    }

    fn unwrap(&self) -> Phrase {
        let who = if let Some(Device::Tunnel(_)) = self.step.device {
            phrase![self.device()]
        } else {
            phrase![name("eBPF")]
        };
        let outer = self.before().outer.map_or(Encapsulation::Vxlan, |outer| outer.encapsulation);
        phrase![
            who,
            " takes the ",
            names::encapsulation(outer),
            " header off; the packet inside is as it was sent"
        ]
    }

    fn picked(&self, picked: Picked) -> Phrase {
        let port = self.step.after.destination_port.unwrap_or_default();
        phrase![self.node(picked.node), ":", port, also(picked.others)]
    }

    fn listens(&self, listener: Listener) -> Phrase {
        let there = to(self.before());
        let on = |who: Phrase| phrase![who, " on ", self.machine(), " listens on ", there];
        match listener {
            Listener::Outside => phrase![self.machine(), " answers on ", to(self.before())],
            Listener::Pod(id) => on(phrase![pod(self.cluster, id), " (hostNetwork)"]),
            Listener::Kubelet => on("the kubelet".into()),
            Listener::Endpoint(id) => {
                let of = self.cluster.service(id);
                let of = of.map_or_else(String::new, |s| format!("{}/{}", s.namespace, s.name));
                on(format!("the endpoint of service/{of}").into())
            }
            Listener::HealthCheck { service, ready } => {
                let code = if ready == 0 { "503" } else { "200" };
                phrase![
                    on(phrase![name(proxy::who(self.cluster))]),
                    " for health checks of ",
                    self.service_of(service),
                    ": it answers ",
                    code,
                    ", for the node has ",
                    ready,
                    " of its ready endpoints"
                ]
            }
        }
    }

    fn no_listener(&self, why: Option<&Unanswered>) -> Phrase {
        let refusal = match self.before().protocol {
            Protocol::Tcp => "a reset",
            Protocol::Udp | Protocol::Sctp => "an ICMP port unreachable",
        };
        let mut says = phrase![
            "nothing on ",
            self.machine(),
            " listens on ",
            to(self.before()),
            ": the kernel answers with ",
            refusal
        ];
        if let Some(why) = why {
            says.add("; ");
            says.add(self.unanswered(why));
        }
        says
    }

    fn unanswered(&self, unanswered: &Unanswered) -> Phrase {
        let mut says = phrase![
            self.before().destination_port.unwrap_or_default(),
            " is a node port of ",
            self.service_of(unanswered.service),
            ", "
        ];
        match unanswered.why {
            NotTaken::Loopback => says.add(proxy::no_loopback(self.cluster)),
            NotTaken::LocalhostNodePorts => says.add(
                "which kube-proxy does not answer on loopback addresses: iptables.localhostNodePorts is false",
            ),
            NotTaken::Address => says.add(phrase![
                "which kube-proxy does not answer on ",
                self.before().destination,
                ": nodePortAddresses leaves only ",
                node_port_addresses(self.cluster)
            ]),
            NotTaken::NoEndpoints => says.add("which has no endpoints"),
            NotTaken::NoLocalEndpoints => says.add(phrase![
                "which has no endpoint on ",
                self.machine(),
                ", and its externalTrafficPolicy is Local"
            ]),
        }
        if let Some(Late { rejects, endpoint_to_host }) = unanswered.late {
            says.add(if rejects {
                "; the rule with which kube-proxy rejects it is not reached: "
            } else {
                "; the rule with which kube-proxy drops it is not reached: "
            });
            says.add(if endpoint_to_host {
                "Calico accepts what a pod sends to its own node before (defaultEndpointToHostAction Accept)"
            } else {
                "the policy of a host endpoint accepts it before"
            });
        }
        says
    }

    fn un_nat(&self, by: Translator) -> Phrase {
        let (before, after) = (self.before(), &self.step.after);
        let who = match by {
            Translator::Relay => {
                return "the balancer relays the answer on the client's own connection".into();
            }
            Translator::Balancer => {
                return phrase!["the balancer translates the source back to ", from(after)];
            }
            Translator::EbpfSocket => {
                return phrase![
                    "the socket was connected to ",
                    from(before),
                    " by eBPF, and the application sees the answer of ",
                    from(after),
                    ", which it asked"
                ];
            }
            Translator::Conntrack => name("conntrack"),
            Translator::EbpfConntrack => name("eBPF's conntrack"),
        };
        let mut says = phrase![who, " translates "];
        let source = (before.source, before.source_port) != (after.source, after.source_port);
        let destination = before.destination != after.destination;
        if source {
            says.add(phrase!["the source back to ", from(after)]);
        }
        if source && destination {
            says.add(" and ");
        }
        if destination {
            says.add(phrase!["the destination back to ", after.destination]);
        }
        says
    }

    fn lost(&self, lost: Lost) -> Phrase {
        const PAST: &str = ": it took a way past the machine that has to translate it back";
        match lost {
            Lost::Unexpected { ip, port } => phrase![
                "the answer comes from ",
                from(self.before()),
                ", but ",
                self.machine(),
                " waits for one from ",
                Part::Address(ip, port),
                PAST
            ],
            Lost::Elsewhere => {
                phrase!["the answer ends at ", self.machine(), ", which did not ask", PAST]
            }
            Lost::Unknown => phrase![
                self.machine(),
                " knows no connection from ",
                from(self.before()),
                " to ",
                self.before().destination,
                ": it drops the answer"
            ],
            Lost::Untracked => phrase![
                self.machine(),
                " does not track the connection, so the answer is no known one's, and no doNotTrack policy lets it through: Calico drops it"
            ],
        }
    }
}

/// Which addresses `nodePortAddresses` leaves.
pub(super) fn node_port_addresses(cluster: &Cluster) -> Phrase {
    match &cluster.proxy.node_port_addresses.value {
        NodePortAddresses::All => "all addresses".into(),
        NodePortAddresses::Primary => "the node's primary addresses".into(),
        NodePortAddresses::In(ranges) => {
            let mut says = Phrase::default();
            for (index, range) in ranges.iter().enumerate() {
                if index > 0 {
                    says.add(", ");
                }
                says.add(*range);
            }
            says
        }
    }
}
