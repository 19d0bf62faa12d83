//! What happens to a packet, as values: what was decided, by what, and what is not certain of it.
//! Words are made of them on demand, elsewhere.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::cluster::{Backend, HostEndpointId, NodeId, PeerId, PodId, RouteDoubt, ServiceId};
use crate::decision::{HostChain, Ruling};
use crate::net::{Direction, Encapsulation};

/// One thing that happened to a packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The sender makes the packet.
    Send(Sent),
    /// In by a device.
    DeviceIn,
    /// Out by the network card.
    DeviceOut(Out),
    /// The service proxy rewrites a service address into an endpoint.
    Dnat(Dnat),
    /// The service proxy refuses.
    Refused(Refused),
    /// No route, or a blackhole.
    NoRoute(NoRoute),
    /// A node's own address as source from outside (`ip_route_input`).
    Martian,
    /// The strict reverse path filter drops (`fib_validate_source`).
    RpFilter {
        /// The device that the answer would leave by.
        back: Device,
    },
    /// A policy is asked.
    Gate(Gate),
    /// A policy is not asked, and why.
    GateSkipped(Skipped),
    /// `defaultEndpointToHostAction: Drop`.
    EndpointToHost,
    /// The source becomes an address of the node.
    Masquerade(Masquerade),
    /// Wrapped for a tunnel.
    Encapsulate(Wrap),
    /// Unwrapped.
    Decapsulate,
    /// A balancer passes it on with its source.
    BalancerForward(Picked),
    /// A balancer opens its own connection.
    BalancerConnect(Picked),
    /// The routers pass it on.
    RouterForward(Routed),
    /// Calico's service loop prevention.
    ServiceLoop {
        /// The advertised range that holds the destination.
        range: IpNet,
    },
    /// It arrives at the pod.
    DeliverToPod {
        /// Its own packet, which never left it.
        own: bool,
    },
    /// It arrives at a process of the machine.
    DeliverToHost(Listener),
    /// Nothing listens there; and why a node port did not answer, if it is one.
    NoListener(Option<Unanswered>),
    /// The reply is translated back.
    UnNat(Translator),
    /// The reply reaches its asker.
    ReplyDelivered {
        /// It is a refusal.
        refusal: bool,
    },
    /// The reply is not what its asker waits for.
    ReplyLost(Lost),
}

/// The kinds of facts: the rules of the datapath.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum Rule {
    /// The sender makes the packet.
    Send,
    /// In by a device.
    DeviceIn,
    /// Out by a device.
    DeviceOut,
    /// kube-proxy rewrites a service address into an endpoint.
    Dnat,
    /// kube-proxy finds no endpoint and rejects.
    NoEndpoints,
    /// kube-proxy finds no local endpoint and drops.
    NoLocalEndpoints,
    /// kube-proxy drops a source outside `loadBalancerSourceRanges`.
    SourceRange,
    /// No route, or a blackhole.
    NoRoute,
    /// A node's own address as source from outside.
    Martian,
    /// The strict reverse path filter drops.
    RpFilter,
    /// A pod's egress policy is asked.
    EgressGate,
    /// A pod's ingress policy is asked.
    IngressGate,
    /// A pod's policy is not asked, and why.
    GateSkipped,
    /// A host endpoint's policy is asked.
    HostGate,
    /// `defaultEndpointToHostAction`.
    EndpointToHost,
    /// `MASQUERADE` by kube-proxy's mark.
    Masquerade,
    /// `MASQUERADE` by Calico's natOutgoing.
    NatOutgoing,
    /// `MASQUERADE` by Calico's rule for local sources that leave by a tunnel.
    TunnelSource,
    /// Wrapped for a tunnel.
    Encapsulate,
    /// Unwrapped.
    Decapsulate,
    /// A balancer passes it on with its source.
    BalancerForward,
    /// A balancer opens its own connection.
    BalancerConnect,
    /// A router passes it on.
    RouterForward,
    /// Calico's service loop prevention.
    ServiceLoop,
    /// It arrives at the pod.
    DeliverToPod,
    /// It arrives at a process of the machine.
    DeliverToHost,
    /// Nothing listens there.
    NoListener,
    /// The reply is translated back.
    UnNat,
    /// The reply reaches its asker.
    ReplyDelivered,
    /// The reply is not what its asker waits for.
    ReplyLost,
}

impl Rule {
    /// All of them, in the order in which a packet may meet them.
    pub const ALL: [Self; 30] = [
        Self::Send,
        Self::DeviceIn,
        Self::DeviceOut,
        Self::Dnat,
        Self::NoEndpoints,
        Self::NoLocalEndpoints,
        Self::SourceRange,
        Self::NoRoute,
        Self::Martian,
        Self::RpFilter,
        Self::EgressGate,
        Self::IngressGate,
        Self::GateSkipped,
        Self::HostGate,
        Self::EndpointToHost,
        Self::Masquerade,
        Self::NatOutgoing,
        Self::TunnelSource,
        Self::Encapsulate,
        Self::Decapsulate,
        Self::BalancerForward,
        Self::BalancerConnect,
        Self::RouterForward,
        Self::ServiceLoop,
        Self::DeliverToPod,
        Self::DeliverToHost,
        Self::NoListener,
        Self::UnNat,
        Self::ReplyDelivered,
        Self::ReplyLost,
    ];
}

impl Fact {
    /// Its kind.
    pub fn rule(&self) -> Rule {
        match self {
            Self::Send(_) => Rule::Send,
            Self::DeviceIn => Rule::DeviceIn,
            Self::DeviceOut(_) => Rule::DeviceOut,
            Self::Dnat(_) => Rule::Dnat,
            Self::Refused(refused) => refused.rule(),
            Self::NoRoute(_) => Rule::NoRoute,
            Self::Martian => Rule::Martian,
            Self::RpFilter { .. } => Rule::RpFilter,
            Self::Gate(Gate { who: Subject::Host(..), .. }) => Rule::HostGate,
            Self::Gate(Gate { direction: Direction::Egress, .. }) => Rule::EgressGate,
            Self::Gate(Gate { direction: Direction::Ingress, .. }) => Rule::IngressGate,
            Self::GateSkipped(_) => Rule::GateSkipped,
            Self::EndpointToHost => Rule::EndpointToHost,
            Self::Masquerade(masquerade) => masquerade.why.rule(),
            Self::Encapsulate(_) => Rule::Encapsulate,
            Self::Decapsulate => Rule::Decapsulate,
            Self::BalancerForward(_) => Rule::BalancerForward,
            Self::BalancerConnect(_) => Rule::BalancerConnect,
            Self::RouterForward(_) => Rule::RouterForward,
            Self::ServiceLoop { .. } => Rule::ServiceLoop,
            Self::DeliverToPod { .. } => Rule::DeliverToPod,
            Self::DeliverToHost(_) => Rule::DeliverToHost,
            Self::NoListener(_) => Rule::NoListener,
            Self::UnNat(_) => Rule::UnNat,
            Self::ReplyDelivered { .. } => Rule::ReplyDelivered,
            Self::ReplyLost(_) => Rule::ReplyLost,
        }
    }
}

/// A device of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// The loopback device: a packet of the node to itself.
    Loopback,
    /// The network card.
    Ethernet,
    /// tunl0, vxlan.calico or wireguard.cali.
    Tunnel(Encapsulation),
    /// The node's end of a pod's veth.
    Pod(PodId),
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sent {
    /// A pod; to the endpoint whose address DNS gave it for a headless service, if it asked for one.
    Pod(Option<Backend>),
    /// A pod, to itself: the packet never leaves it.
    ToItself,
    /// A process of a node.
    Host,
    /// A machine outside.
    Outside,
    /// Whoever was asked, back.
    Answer,
}

/// Out by the network card.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    /// To a machine of the node's own subnet.
    OnLink,
    /// To the default gateway.
    Gateway,
    /// Not wrapped, to the node that has the block.
    Node {
        /// Who has it.
        to: NodeId,
        /// The block.
        block: IpNet,
        /// How it is known.
        known: Known,
        /// By way of the default gateway, for the node is in another subnet.
        beyond: bool,
    },
    /// To the default gateway, for nobody told which node has the block.
    Untold {
        /// Who has it.
        to: NodeId,
        /// The block.
        block: IpNet,
        /// Why nobody did.
        why: Untold,
    },
}

/// How a node knows another's blocks.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// Felix writes the route itself.
    Felix,
    /// The node-to-node mesh.
    Mesh,
    /// A session of the two.
    Session(PeerId),
    /// Route reflectors, from the one that is told to the one that tells; and its session.
    Reflectors(Vec<NodeId>, PeerId),
    /// The routers outside, which both speak with.
    Routers(PeerId),
    /// The mesh is off, and the text has no sessions at all: taken to be elsewhere.
    Assumed,
}

/// Why nobody tells a node of another's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untold {
    /// This one is a route reflector, which takes no part in the mesh, and has no session.
    Reflector(NodeId),
    /// The mesh is off, and no `BGPPeer` leads from one to the other.
    NoMesh,
}

/// Which of a service's addresses leads to one of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrontendRef {
    /// The service.
    pub service: ServiceId,
    /// Index into its ports.
    pub port: usize,
    /// Which address.
    pub kind: FrontendKind,
}

/// Which of a service's addresses it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrontendKind {
    /// `spec.clusterIPs`.
    ClusterIp,
    /// `spec.externalIPs`.
    ExternalIp,
    /// `status.loadBalancer.ingress`.
    LoadBalancerIp,
    /// `spec.ports[].nodePort`, on an address of a node.
    NodePort,
}

/// The destination becomes an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub struct Dnat {
    /// The address that led there.
    pub frontend: FrontendRef,
    /// The endpoint that was picked.
    pub endpoint: Backend,
    /// Its place among those that it was picked from.
    pub chosen: usize,
    /// Of so many.
    pub of: usize,
    /// Only those of the node were asked.
    pub local: bool,
    /// Marked for masquerade.
    pub marked: bool,
    /// The endpoint is the sender itself.
    pub hairpin: bool,
    /// The endpoint is the node itself, whose POSTROUTING never sees the mark.
    pub unread: bool,
    /// The device that the packet came in by; `None` for the node's own.
    pub from: Option<Device>,
    /// Another node forwarded it here as it was: the eBPF dataplane only.
    pub forwarded: bool,
}

/// The service proxy refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refused {
    /// The source is in none of the `loadBalancerSourceRanges`.
    SourceRange(FrontendRef),
    /// The service has no endpoints.
    NoEndpoints(FrontendRef),
    /// It has some, but none on this node, and its policy is `Local`.
    NoLocalEndpoints(FrontendRef),
    /// The virtual server of IPVS is empty; `elsewhere` if there are endpoints on other nodes.
    EmptyServer {
        /// Whose it is.
        frontend: FrontendRef,
        /// Endpoints on other nodes.
        elsewhere: bool,
    },
    /// eBPF's maps have no backend that may be used.
    NoBackend {
        /// Whose they are.
        frontend: FrontendRef,
        /// What is left out.
        left: Left,
    },
    /// A service's address, but no port of it. The service is known where the address is its
    /// `ClusterIP`.
    NoSuchPort(Option<ServiceId>),
    /// An address of the service CIDR that no service has; without one in the text, of its
    /// neighbourhood.
    Unallocated(Option<usize>),
}

/// Why eBPF's maps have no backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// There is none that is ready.
    None,
    /// There are some, on other nodes.
    Elsewhere,
    /// Topology hints leave this node none of its own.
    Hinted(Hint),
}

impl Refused {
    /// Its kind.
    pub fn rule(&self) -> Rule {
        match self {
            Self::SourceRange(_) => Rule::SourceRange,
            Self::NoLocalEndpoints(_) => Rule::NoLocalEndpoints,
            Self::Unallocated(_) => Rule::NoRoute,
            Self::NoEndpoints(_)
            | Self::EmptyServer { .. }
            | Self::NoBackend { .. }
            | Self::NoSuchPort(_) => Rule::NoEndpoints,
        }
    }
}

/// Whose endpoints hints leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// So many are meant,
    pub meant: usize,
    /// of so many that are ready,
    pub ready: usize,
    /// for the node by its name, or by its zone.
    pub by: HintedBy,
    /// The node.
    pub node: NodeId,
}

/// What hints name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintedBy {
    /// `hints.forNodes`.
    Node,
    /// `hints.forZones`.
    Zone,
}

/// Why a packet comes to no machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoRoute {
    /// No machine of the subnet has the address.
    NotInSubnet,
    /// The routers have no route to it.
    Unknown,
    /// The routers have no route to pods: their node tells its block to none.
    Unannounced {
        /// The node.
        owner: NodeId,
        /// Its block.
        block: IpNet,
    },
    /// The balancer is gone.
    NoBalancer,
    /// Who would answer is gone.
    NoSender,
    /// The node has no address of the family for the tunnel.
    NoTunnelAddress,
    /// Felix' route is onlink, and the other node is in another subnet.
    OnLink {
        /// The other node.
        to: NodeId,
        /// Its block.
        block: IpNet,
    },
    /// The node's own block, where no pod has the address.
    Blackhole(IpNet),
}

/// A policy evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Whose policies.
    pub who: Subject,
    /// Which question.
    pub direction: Direction,
    /// The answer.
    pub ruling: Ruling,
}

/// Whose policies are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A pod's.
    Pod(PodId),
    /// A host endpoint's, and which of its chains.
    Host(HostEndpointId, HostChain),
}

/// Why a policy is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// What a node's own process sends to a pod on it passes OUTPUT before any policy.
    OwnProcess,
    /// Under `chainInsertMode: Append`, KUBE-FORWARD accepts what is marked before Calico sees it.
    Marked,
    /// Outside `kubeNodePortRanges`, what IPVS sends on is taken for the node's own.
    OutsideNodePortRanges,
    /// INPUT leaves it to OUTPUT, and `ip_vs` gives the node itself its packet without OUTPUT.
    HandedOn {
        /// The packet was for an address of the node itself.
        node_port: bool,
    },
    /// Where the eBPF dataplane asks host endpoints is not known for certain.
    HostEndpoint(HostEndpointId),
}

/// The source becomes an address of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masquerade {
    /// By which rule.
    pub why: Masquerades,
    /// The device that it leaves by.
    pub out: Device,
    /// To Felix' `natOutgoingAddress`.
    pub fixed: bool,
}

/// The rules of nat POSTROUTING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masquerades {
    /// kube-proxy's mark.
    Marked,
    /// kube-proxy's `KUBE-LOOP-BACK`: IPVS mode only.
    LoopBack,
    /// Calico's natOutgoing.
    NatOutgoing,
    /// Calico's rule for local sources that leave by a tunnel.
    TunnelSource,
    /// A pod's packet to itself: the eBPF dataplane only.
    Hairpin,
}

impl Masquerades {
    fn rule(self) -> Rule {
        match self {
            Self::Marked | Self::LoopBack | Self::Hairpin => Rule::Masquerade,
            Self::NatOutgoing => Rule::NatOutgoing,
            Self::TunnelSource => Rule::TunnelSource,
        }
    }
}

/// Wrapped, for whom.
#[derive(Clone, Debug, PartialEq)]
pub enum Wrap {
    /// By a tunnel's device, to the node that has the block.
    Tunnel {
        /// Which tunnel.
        encapsulation: Encapsulation,
        /// Who has the block.
        to: NodeId,
        /// The block.
        block: IpNet,
        /// How it is known.
        known: Option<Known>,
    },
    /// By eBPF, as it came, to the node of the endpoint.
    Forward {
        /// The endpoint.
        endpoint: Backend,
        /// Its node.
        to: NodeId,
    },
    /// By eBPF, back through the node that forwarded the request.
    Return(NodeId),
}

/// What a balancer picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picked {
    /// The node.
    pub node: NodeId,
    /// It stands for so many others like it.
    pub others: usize,
}

/// How the routers know where to send a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Routed {
    /// By a route that the scenario or `BGPConfiguration` tells.
    Route {
        /// Where to.
        to: IpNet,
        /// Through this node,
        via: NodeId,
        /// which stands for so many others like it.
        others: usize,
    },
    /// By a node's block, which it told them over BGP.
    Block {
        /// The node.
        owner: NodeId,
        /// Its block.
        block: IpNet,
    },
}

/// Who takes a packet that is for a machine itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// A pod on the node's network.
    Pod(PodId),
    /// The kubelet.
    Kubelet,
    /// Whoever is an endpoint of this service: kube-apiserver, say.
    Endpoint(ServiceId),
    /// The service proxy's health check (`pkg/proxy/healthcheck/service_health.go`).
    HealthCheck {
        /// Of which service.
        service: ServiceId,
        /// The node has so many of its ready endpoints.
        ready: usize,
    },
    /// A machine outside.
    Outside,
}

/// Why kube-proxy leaves a node port to the node itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unanswered {
    /// Whose port it is.
    pub service: ServiceId,
    /// Why its rules did not take the packet.
    pub why: NotTaken,
    /// What its filter rules would have done, if something before them accepted the packet.
    pub late: Option<Late>,
}

/// Why a node port's rules did not take a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It is for a loopback address, and the mode does not answer there.
    Loopback,
    /// It is for a loopback address, and `localhostNodePorts` is off.
    LocalhostNodePorts,
    /// `nodePortAddresses` leaves the address out.
    Address,
    /// The service has no endpoints.
    NoEndpoints,
    /// It has none on the node, and its policy is `Local`.
    NoLocalEndpoints,
}

/// A rule that is not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// It would reject, not drop.
    pub rejects: bool,
    /// Calico accepted what a pod sends to its own node, and not a host endpoint's policy.
    pub endpoint_to_host: bool,
}

/// Who translates a reply back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translator {
    /// The kernel's conntrack.
    Conntrack,
    /// eBPF's own.
    EbpfConntrack,
    /// eBPF, in the socket that was connected to another address.
    EbpfSocket,
    /// A balancer that passes packets on.
    Balancer,
    /// A balancer that has a connection of its own.
    Relay,
}

/// Why a reply is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It comes from another address than the asker waits for.
    Unexpected {
        /// The address that it waits for.
        ip: IpAddr,
        /// And the port.
        port: Option<u16>,
    },
    /// It ends at a machine that did not ask.
    Elsewhere,
    /// conntrack knows no such connection.
    Unknown,
    /// The connection is not tracked, and no doNotTrack policy lets the answer through.
    Untracked,
}

/// Why something is not certain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Doubt {
    /// A strict `rp_filter` is assumed.
    RpFilterAssumed,
    /// That `ip_vs` gives the node itself its packet without OUTPUT is read, not measured.
    HandedOn,
    /// Whether IPVS mode has virtual servers on loopback addresses.
    IpvsLoopback,
    /// The eBPF dataplane was read in source, and not compared with a running one.
    Unmeasured,
    /// In the eBPF dataplane, `rp_filter` is off; this would be answered by another device.
    EbpfRpFilter {
        /// By this one.
        back: Device,
    },
    /// That eBPF drops sources outside the ranges is known of traffic from outside only.
    EbpfSourceRange(ServiceId),
    /// Where the eBPF dataplane asks host endpoints' policies.
    EbpfHostEndpoint,
    /// The tunnel's address is assumed.
    TunnelAddress(IpAddr),
    /// Which source `WireGuard`'s routes give.
    WireguardSource,
    /// Which source IPv6's masquerade chooses (RFC 6724).
    Ipv6Source,
    /// Route reflectors are assumed.
    AssumedReflectors,
    /// A route outside is assumed.
    Route(RouteDoubt),
    /// What a balancer that keeps the source does for machines behind itself.
    BehindBalancer,
    /// The first releases with nftables had kube-proxy's chains at Calico's priority.
    NftablesPriority,
    /// Without a `ServiceCIDR`, that the address is a service's is a guess.
    GuessedRange,
    /// IPVS mode's fallback under `Local`: the text tells no version.
    FallbackUntold,
    /// IPVS mode's fallback under `Local`: which release began is not settled.
    FallbackRelease,
    /// Older releases have no `KUBE-IPVS-FILTER`.
    NoIpvsFilter,
    /// Where conntrack knows the tunnel already, its packets pass.
    TunnelTracked,
}
