//! The resolved world: what exists, where it is, and which settings are in force.
//!
//! Everything here is plain data. What the text does not contain is assumed, and says so in its
//! `origin`.

pub(crate) mod alike;
pub(crate) mod bgp;
mod calico;
pub(crate) mod endpoints;
pub(crate) mod ends;
mod felix;
pub(crate) mod find;
pub(crate) mod nodes;
pub(crate) mod pods;
mod prefixes;
pub(crate) mod services;
pub(crate) mod settings;
pub(crate) mod source;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::net::{ContainerPort, Labels, Protocol};
use crate::text::{Cite, ObjectRef, Origin, Setting};

pub use alike::NodeClass;
pub use bgp::{Advertised, Bgp, BgpPeer};
pub use calico::{Calico, CalicoNode, EncapMode, Pool};
pub use ends::{Asked, Ends, Front, Holder, Outside, Sender, Side, Unresolved};
pub use felix::{
    ClusterRoutes, ConnectTime, EndpointToHost, Failsafe, Felix, ServiceLoopPrevention,
};
pub use prefixes::Prefixes;
pub use settings::{Hosts, LocalDetector, NodePortAddresses, Proxy, ProxyMode};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub usize);
    )* };
}
ids! {
    /// Index into [`Cluster::nodes`].
    NodeId,
    /// Index into [`Cluster::pods`].
    PodId,
    /// Index into [`Cluster::services`].
    ServiceId,
    /// Index into [`Calico::pools`].
    PoolId,
    /// Index into [`Cluster::clients`].
    ClientId,
    /// Index into [`Cluster::balancers`].
    BalancerId,
    /// Index into [`Bgp::peers`].
    PeerId,
    /// Index into [`Policies::host_endpoints`](crate::policy::Policies::host_endpoints).
    HostEndpointId,
}

/// The resolved world.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Every namespace that an object lives in or speaks of.
    pub namespaces: BTreeMap<String, Namespace>,
    /// In the text's order.
    pub nodes: Vec<Node>,
    /// In the text's order, assumed ones last.
    pub pods: Vec<Pod>,
    /// In the text's order.
    pub services: Vec<Service>,
    /// What is the network plug-in's own.
    pub network: Calico,
    /// Machines outside the cluster.
    pub clients: Vec<Client>,
    /// Balancers outside the cluster.
    pub balancers: Vec<Balancer>,
    /// What the routers outside the nodes know besides nodes, clients and balancers.
    pub routes: Prefixes<Vec<OutsideRoute>>,
    /// kube-proxy's settings.
    pub proxy: Proxy,
    /// The settings of the nodes' kernels.
    pub hosts: Hosts,
    /// The policies, in the common form.
    pub policies: crate::policy::Policies,
    /// What is not in the text, and why it was assumed.
    pub assumed: Vec<Assumption>,
    /// Address to pod, for pods that own theirs (hostNetwork pods do not).
    pub pod_by_address: HashMap<IpAddr, PodId>,
    /// Address to node, for the nodes' own and their tunnels' addresses.
    pub node_by_address: HashMap<IpAddr, NodeId>,
    /// The nodes' own subnets, each once.
    pub subnets: Vec<IpNet>,
    /// What the text's `ServiceCIDR`s take `ClusterIP`s from.
    pub service_ranges: Vec<(IpNet, Cite)>,
    /// Address to the services that kube-proxy answers for there.
    pub service_by_address: HashMap<IpAddr, Vec<ServiceId>>,
    /// Node port to the services that have it.
    pub service_by_node_port: HashMap<(Protocol, u16), Vec<ServiceId>>,
    /// Addresses of services' endpoints that no pod has as its own.
    pub endpoints_of_no_pod: HashSet<IpAddr>,
    /// For each node the class that it belongs to: what a connection meets on one node of a class
    /// it meets on every other, endpoints aside.
    pub alike: Vec<NodeClass>,
}

/// An object or setting that the text does not contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumption {
    /// The object.
    pub object: ObjectRef,
    /// Why it was assumed.
    pub reason: String,
    /// The YAML document that writes it into the text.
    pub yaml: String,
}

/// A namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// With `kubernetes.io/metadata.name`, which kube-apiserver sets.
    pub labels: Labels,
    /// Where it comes from.
    pub origin: Origin,
}

/// A machine of the cluster.
#[derive(Clone, Debug)]
pub struct Node {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: Labels,
    /// Where it comes from.
    pub origin: Origin,
    /// The addresses of its network card, each with the prefix length of its subnet; the first of
    /// a family is the one that Calico and kube-proxy use.
    pub addresses: Vec<IpNet>,
    /// Why the subnets are as they are.
    pub subnet_origin: Origin,
    /// What the network plug-in gives it.
    pub network: CalicoNode,
    /// `spec.podCIDRs`, which Calico's IPAM does not look at.
    pub pod_cidrs: Vec<IpNet>,
    /// kube-proxy's version, major and minor: `status.nodeInfo`'s own or the kubelet's.
    pub kube_proxy: Option<(u16, u16)>,
}

/// Whose template pods are made from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// In lower case: `deployment`.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
}

/// A pod.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are the pod's own conditions")]
pub struct Pod {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: Labels,
    /// Where it comes from.
    pub origin: Origin,
    /// Where the address comes from.
    pub address_origin: Origin,
    /// The workload whose template it is made from.
    pub owner: Option<Workload>,
    /// The node that it runs on.
    pub node: NodeId,
    /// Its addresses; the node's if it uses the host's network.
    pub addresses: Vec<IpAddr>,
    /// `spec.hostNetwork`: no network of its own, so no policy of its own.
    pub host_network: bool,
    /// `status.phase` is Succeeded or Failed: no longer there, no traffic.
    pub finished: bool,
    /// The Ready condition; pods are ready unless the text says otherwise.
    pub ready: bool,
    /// `metadata.deletionTimestamp` is set.
    pub terminating: bool,
    /// `spec.containers[].ports`.
    pub ports: Vec<ContainerPort>,
    /// `spec.serviceAccountName`, `default` if left out.
    pub service_account: String,
}

impl Pod {
    /// How the text would name it.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef::new("Pod", &self.namespace, &self.name)
    }
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// Where it stands.
    pub cite: Cite,
    /// Where its fields stand that have no setting of their own.
    pub fields: BTreeMap<ServiceField, Cite>,
    /// `spec.type`.
    pub kind: ServiceKind,
    /// `spec.clusterIPs`; empty for headless services.
    pub cluster_ips: Vec<IpAddr>,
    /// Whether the cluster IPs were written.
    pub cluster_ip_origin: Origin,
    /// `spec.clusterIP: None`.
    pub headless: bool,
    /// `spec.externalName`.
    pub external_name: Option<String>,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress` with an IP.
    pub ingress_ips: Vec<IngressIp>,
    /// `spec.externalTrafficPolicy`.
    pub external_traffic_policy: Setting<TrafficPolicy>,
    /// `spec.internalTrafficPolicy`.
    pub internal_traffic_policy: Setting<TrafficPolicy>,
    /// `spec.loadBalancerSourceRanges`.
    pub source_ranges: Vec<IpNet>,
    /// `spec.sessionAffinity: ClientIP`: for how many seconds.
    pub session_affinity: Option<u32>,
    /// `spec.healthCheckNodePort`.
    pub health_check_node_port: Option<u16>,
}

impl Service {
    /// Where a field stands; the object, if the text does not write it.
    pub fn field(&self, field: ServiceField) -> Cite {
        self.fields
            .get(&field)
            .cloned()
            .unwrap_or_else(|| Cite { field: field.path().to_owned(), ..self.cite.clone() })
    }
}

/// A field of a service that verdicts cite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceField {
    /// `spec.ports`.
    Ports,
    /// `spec.selector`.
    Selector,
    /// `spec.sessionAffinity`.
    SessionAffinity,
    /// `spec.loadBalancerSourceRanges`.
    SourceRanges,
    /// `spec.healthCheckNodePort`.
    HealthCheckNodePort,
    /// `status.loadBalancer.ingress`.
    Ingress,
}

impl ServiceField {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Ports,
        Self::Selector,
        Self::SessionAffinity,
        Self::SourceRanges,
        Self::HealthCheckNodePort,
        Self::Ingress,
    ];

    /// As the API spells it.
    pub fn path(self) -> &'static str {
        match self {
            Self::Ports => "spec.ports",
            Self::Selector => "spec.selector",
            Self::SessionAffinity => "spec.sessionAffinity",
            Self::SourceRanges => "spec.loadBalancerSourceRanges",
            Self::HealthCheckNodePort => "spec.healthCheckNodePort",
            Self::Ingress => "status.loadBalancer.ingress",
        }
    }
}

/// `spec.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// Only a cluster IP, or headless.
    ClusterIp,
    /// And a port on every node.
    NodePort,
    /// And a balancer outside.
    LoadBalancer,
    /// Only a name in DNS.
    ExternalName,
}

/// An address of a balancer in front of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngressIp {
    /// The address.
    pub ip: IpAddr,
    /// `ipMode: Proxy`: kube-proxy leaves the address alone.
    pub proxy: bool,
}

/// `Cluster` or `Local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Any endpoint.
    Cluster,
    /// Only endpoints of the node that the packet is on.
    Local,
}

/// A port of a service, with everything behind it.
#[derive(Clone, Debug)]
pub struct ServicePort {
    /// Empty if it has none.
    pub name: String,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`.
    pub port: u16,
    /// `nodePort`.
    pub node_port: Option<u16>,
    /// `targetPort` as written, the port if left out.
    pub target_port: String,
    /// Everything behind it, ready or not, in a stable order.
    pub endpoints: Vec<Endpoint>,
}

/// A place that a service port leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its address.
    pub ip: IpAddr,
    /// The target port, resolved.
    pub port: u16,
    /// The pod that has the address.
    pub pod: Option<PodId>,
    /// The node that it is on; `None` for addresses outside the cluster.
    pub node: Option<NodeId>,
    /// The Ready condition.
    pub ready: bool,
    /// Serving, though perhaps terminating.
    pub serving: bool,
    /// Being deleted.
    pub terminating: bool,
    /// `hints.forZones`.
    pub zones: Vec<String>,
    /// `hints.forNodes`.
    pub nodes: Vec<String>,
}

/// What a service's port leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    /// Its address.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
    /// The pod that has the address.
    pub pod: Option<PodId>,
    /// The node that it is on.
    pub node: Option<NodeId>,
}

impl Backend {
    /// An endpoint of a service's port.
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        let Endpoint { ip, port, pod, node, .. } = *endpoint;
        Self { ip, port, pod, node }
    }
}

/// A machine outside the cluster.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name in flows.
    pub name: String,
    /// Its address.
    pub ip: IpAddr,
    /// Where it comes from.
    pub origin: Origin,
}

/// A balancer outside the cluster.
#[derive(Clone, Debug)]
pub struct Balancer {
    /// Its name in flows.
    pub name: String,
    /// Its address.
    pub ip: IpAddr,
    /// `sourceAddress: Preserve`; otherwise it opens its own connection.
    pub preserve: bool,
    /// `healthCheck`: under `Local` it uses only nodes with ready endpoints.
    pub health_check: bool,
    /// Where it comes from.
    pub origin: Origin,
}

/// A route of the routers outside the nodes.
#[derive(Clone, Debug)]
pub struct OutsideRoute {
    /// Where to.
    pub to: IpNet,
    /// Through these nodes, each as likely as the others.
    pub via: Arc<[NodeId]>,
    /// What says so.
    pub cite: Cite,
    /// Why it is not certain, if the text alone does not tell it.
    pub assumed: Option<RouteDoubt>,
}

/// Why a route outside is not certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteDoubt {
    /// No `BGPPeer` leads to a router: nodes are taken to tell what `BGPConfiguration` advertises.
    NoRouters,
    /// Nothing tells who leads the address to the nodes: every node is taken to announce it.
    Announced,
    /// Under `Local`, the nodes with a ready endpoint are.
    AnnouncedLocal,
}
