//! What made something happen: where it stands in the text, or which default it is.

use std::net::IpAddr;

use ipnet::IpNet;

use super::fact::{FrontendKind, FrontendRef, Hint, Untold};
use crate::cluster::{
    Cluster, NodeId, PeerId, PoolId, ProxyMode, Service, ServiceField, ServiceId, TrafficPolicy,
};
use crate::net::{Encapsulation, Family};
use crate::text::{Cite, ObjectRef, Origin, Setting};

/// What in the text, or which default, made something happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Evidence {
    /// The destination is an address of the service.
    Frontend(FrontendRef),
    /// Endpoints that are meant for others are left out.
    Hinted(ServiceId, Hint),
    /// The traffic policy of an address, and what it does.
    Policy(FrontendRef, PolicyEffect),
    /// IPVS' set of node ports holds no addresses: it matches the service's node port here, too.
    AnyNodePort(ServiceId, u16),
    /// `masqueradeAll`.
    MasqueradeAll,
    /// kube-proxy's local detector takes the source for no pod's.
    NotLocal(IpAddr),
    /// It could use other nodes' endpoints, if the local detector took it for a pod's.
    NotLocalHere(IpAddr),
    /// Without a local detector, IPVS mode takes the `ClusterIP` itself as source for a stranger.
    OwnClusterIp,
    /// The endpoint is the sender itself.
    Hairpin(ServiceId),
    /// `sessionAffinity: ClientIP`.
    Affinity(ServiceId),
    /// No endpoint is ready, so one that terminates is used.
    Terminating(ServiceId),
    /// `loadBalancerSourceRanges`.
    SourceRanges(ServiceId),
    /// The service has no endpoints.
    NoEndpoints(ServiceId),
    /// The service has no such port.
    NoSuchPort(ServiceId),
    /// A `ServiceCIDR`, by its index in [`Cluster::service_ranges`](crate::Cluster::service_ranges).
    ServiceRange(usize),
    /// `hosts.rpFilter` of the scenario.
    RpFilter,
    /// `defaultEndpointToHostAction`.
    EndpointToHost,
    /// `serviceLoopPrevention`.
    ServiceLoop,
    /// A pool's `natOutgoing`.
    NatOutgoing(PoolId),
    /// `natOutgoingAddress`.
    NatOutgoingAddress,
    /// A pool's tunnel.
    Wrapped(PoolId, Encapsulation),
    /// `wireguardEnabled`.
    Wireguard(Family),
    /// Why a pool's packets are not wrapped: by its `ipipMode`, or `vxlanMode`.
    NotWrapped(PoolId, Encapsulation),
    /// A `BGPPeer` that makes the session.
    Session(PeerId),
    /// A `BGPPeer` by which a node tells the routers its blocks.
    Announces(PeerId, NodeId),
    /// `programClusterRoutes`.
    ClusterRoutes,
    /// `nodeToNodeMeshEnabled`; and why nobody is told, where it is that.
    Mesh(Option<Untold>),
    /// A route outside, by its destination and its place among those to it.
    Route(IpNet, usize),
    /// `bpfEnabled`.
    BpfEnabled,
    /// The service that an address is of.
    Service(ServiceId),
    /// The mode, which answers no node ports on loopback addresses.
    Mode,
    /// `localhostNodePorts`.
    LocalhostNodePorts,
    /// `nodePortAddresses`.
    NodePortAddresses,
    /// The port is the service's node port.
    NodePort(ServiceId),
    /// `healthCheckNodePort`.
    HealthCheck(ServiceId),
}

/// What a traffic policy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyEffect {
    /// `Cluster`: what comes in by an external address is masqueraded.
    MasqueradesExternal,
    /// `Cluster`: what comes in by a node port is masqueraded.
    MasqueradesNodePort,
    /// `Local`: a pod's own traffic may use all endpoints, and keeps its source.
    ShortCircuit,
    /// `Local`: the node's own traffic may use all endpoints, masqueraded.
    OwnNode,
    /// `Local`: only endpoints of the node, and the source is kept.
    OnlyLocal,
    /// `Local`: endpoints of the node are used.
    UsesLocal,
    /// `Local`: there are none on the node, and IPVS mode uses those of others.
    FallsBack,
    /// `Local`: there are none on the node.
    NoneLocal,
    /// `Local`: the virtual server has none on the node.
    NoneInServer,
    /// `Local`: eBPF uses only ready ones of the node.
    OnlyReady,
}

/// A setting as evidence: why it is as it is, and where it would stand.
struct Said<'a> {
    origin: &'a Origin,
    object: ObjectRef,
    field: &'static str,
}

impl Evidence {
    /// Where it stands, or would stand.
    pub fn cite(&self, cluster: &Cluster) -> Cite {
        if let Some(said) = self.setting(cluster) {
            return match said.origin {
                Origin::Written(cite) => cite.clone(),
                _ => Cite { object: said.object, field: said.field.to_owned(), span: None },
            };
        }
        self.object(cluster).unwrap_or_else(nowhere)
    }

    /// Why a setting is as it is; `None` for what is no setting.
    pub fn origin<'a>(&self, cluster: &'a Cluster) -> Option<&'a Origin> {
        self.setting(cluster).map(|said| said.origin)
    }

    fn setting<'a>(&self, cluster: &'a Cluster) -> Option<Said<'a>> {
        let felix = |origin, field| {
            let object = ObjectRef::new("FelixConfiguration", "", "default");
            Some(Said { origin, object, field })
        };
        let proxy = |origin, field| {
            let object = ObjectRef::new("KubeProxyConfiguration", "", "");
            Some(Said { origin, object, field })
        };
        let pool = |id: usize, field, origin: fn(&crate::cluster::Pool) -> &Origin| {
            let pool = cluster.network.pools.get(id)?;
            let object = ObjectRef::new("IPPool", "", &pool.name);
            Some(Said { origin: origin(pool), object, field })
        };
        match self {
            Self::Policy(frontend, _) => policy(cluster, *frontend),
            Self::AnyNodePort(service, _) => {
                let service = cluster.service(*service)?;
                Some(external(service, &service.external_traffic_policy))
            }
            Self::MasqueradeAll => {
                let field = match cluster.proxy.mode.value {
                    ProxyMode::Nftables => "nftables.masqueradeAll",
                    _ => "iptables.masqueradeAll",
                };
                proxy(&cluster.proxy.masquerade_all.origin, field)
            }
            Self::NotLocal(_) | Self::NotLocalHere(_) | Self::OwnClusterIp => {
                proxy(&cluster.proxy.detect_local.origin, "clusterCIDR")
            }
            Self::RpFilter => Some(Said {
                origin: &cluster.hosts.strict_rp_filter.origin,
                object: ObjectRef::new("Scenario", "", ""),
                field: "spec.hosts.rpFilter",
            }),
            Self::EndpointToHost => felix(
                &cluster.network.felix.endpoint_to_host.origin,
                "spec.defaultEndpointToHostAction",
            ),
            Self::ServiceLoop => felix(
                &cluster.network.felix.service_loop_prevention.origin,
                "spec.serviceLoopPrevention",
            ),
            Self::NatOutgoing(id) => {
                pool(id.0, "spec.natOutgoing", |pool| &pool.nat_outgoing.origin)
            }
            Self::NatOutgoingAddress => {
                let address = cluster.network.felix.nat_outgoing_address.as_ref()?;
                felix(&address.origin, "spec.natOutgoingAddress")
            }
            Self::Wrapped(id, Encapsulation::Ipip) | Self::NotWrapped(id, Encapsulation::Ipip) => {
                pool(id.0, "spec.ipipMode", |pool| &pool.ipip.origin)
            }
            Self::Wrapped(id, _) | Self::NotWrapped(id, _) => {
                pool(id.0, "spec.vxlanMode", |pool| &pool.vxlan.origin)
            }
            Self::Wireguard(family) => {
                let field = match family {
                    Family::V4 => "spec.wireguardEnabled",
                    Family::V6 => "spec.wireguardEnabledV6",
                };
                felix(&cluster.network.felix.wireguard_of(*family).origin, field)
            }
            Self::ClusterRoutes => {
                felix(&cluster.network.felix.cluster_routes.origin, "spec.programClusterRoutes")
            }
            Self::Mesh(_) => Some(Said {
                origin: &cluster.network.bgp.mesh.origin,
                object: ObjectRef::new("BGPConfiguration", "", "default"),
                field: "spec.nodeToNodeMeshEnabled",
            }),
            Self::BpfEnabled => felix(&cluster.proxy.mode.origin, "spec.bpfEnabled"),
            Self::Mode => proxy(&cluster.proxy.mode.origin, "mode"),
            Self::LocalhostNodePorts => {
                proxy(&cluster.proxy.localhost_node_ports.origin, "iptables.localhostNodePorts")
            }
            Self::NodePortAddresses => {
                proxy(&cluster.proxy.node_port_addresses.origin, "nodePortAddresses")
            }
            _ => None,
        }
    }

    fn object(&self, cluster: &Cluster) -> Option<Cite> {
        let service = |id: &ServiceId| cluster.service(*id);
        let field = |id: &ServiceId, field| service(id).map(|service| service.field(field));
        match self {
            Self::Frontend(FrontendRef { service: id, .. })
            | Self::Hinted(id, _)
            | Self::Hairpin(id)
            | Self::Terminating(id)
            | Self::Service(id) => service(id).map(|service| service.cite.clone()),
            Self::Affinity(id) => field(id, ServiceField::SessionAffinity),
            Self::SourceRanges(id) => field(id, ServiceField::SourceRanges),
            Self::NoEndpoints(id) => field(id, ServiceField::Selector),
            Self::NoSuchPort(id) | Self::NodePort(id) => field(id, ServiceField::Ports),
            Self::HealthCheck(id) => field(id, ServiceField::HealthCheckNodePort),
            Self::ServiceRange(index) => {
                cluster.service_ranges.get(*index).map(|(_, cite)| cite.clone())
            }
            Self::Session(id) | Self::Announces(id, _) => {
                cluster.network.bgp.peers.get(id.0).map(|peer| peer.cite.clone())
            }
            Self::Route(to, index) => {
                cluster.routes.get(*to)?.get(*index).map(|route| route.cite.clone())
            }
            _ => None,
        }
    }
}

fn policy(cluster: &Cluster, frontend: FrontendRef) -> Option<Said<'_>> {
    let service = cluster.service(frontend.service)?;
    match frontend.kind {
        FrontendKind::ClusterIp => Some(Said {
            origin: &service.internal_traffic_policy.origin,
            object: service.cite.object.clone(),
            field: "spec.internalTrafficPolicy",
        }),
        _ => Some(external(service, &service.external_traffic_policy)),
    }
}

fn external<'a>(service: &Service, setting: &'a Setting<TrafficPolicy>) -> Said<'a> {
    Said {
        origin: &setting.origin,
        object: service.cite.object.clone(),
        field: "spec.externalTrafficPolicy",
    }
}

fn nowhere() -> Cite {
    Cite { object: ObjectRef::default(), field: String::new(), span: None }
}
