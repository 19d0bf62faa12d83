//! The settings that can be turned with one click, and how they stand.

use crate::cluster::{
    Cluster, EncapMode, Pool, ProxyMode, Service, ServiceId, ServiceKind, TrafficPolicy,
};
use crate::net::{Flow, Target};
use crate::text::Origin;

/// A setting that can be turned with one click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    /// How Calico brings packets to other nodes.
    Calico,
    /// kube-proxy's mode.
    KubeProxy,
    /// The traffic policy of the selected flow's service: the internal one for flows to its
    /// cluster IP, the external one for all others.
    TrafficPolicy,
}

/// A row of choices.
#[derive(Clone, Debug, PartialEq)]
pub struct Picker {
    /// The setting.
    pub dial: Dial,
    /// Its name.
    pub label: &'static str,
    /// What it can be set to.
    pub choices: Vec<Choice>,
    /// Why it is as it is.
    pub origin: Origin,
    /// What else has to be said: that the text says more than the choices can.
    pub note: Option<String>,
}

/// One choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name in [`super::pick`].
    pub value: &'static str,
    /// Its name on the page.
    pub label: &'static str,
    /// Whether it is in force.
    pub chosen: bool,
    /// Why it cannot be chosen, if so.
    pub unavailable: Option<String>,
}

/// The rows of choices for `flow`; without a flow, and for flows to no service, those that belong
/// to the cluster as a whole.
pub fn pickers(cluster: &Cluster, flow: Option<&Flow>) -> Vec<Picker> {
    let traffic = flow.and_then(|flow| traffic_policy(cluster, flow));
    [calico(cluster), kube_proxy(cluster)].into_iter().chain(traffic).collect()
}

fn calico(cluster: &Cluster) -> Picker {
    let pool = cluster.network.pools.iter().find(|pool| !pool.load_balancer_only);
    let (value, origin) = calico_mode(cluster, pool);
    let choices = vec![
        choice("mesh", "BGP mesh", value),
        choice("reflectors", "Route reflectors", value),
        choice("ipip", "IPIP", value),
        choice("vxlan", "VXLAN", value),
        choice("ebpf", "eBPF", value),
    ];
    let crosses =
        |pool: &&Pool| [pool.ipip.value, pool.vxlan.value].contains(&EncapMode::CrossSubnet);
    let differ = cluster
        .network
        .pools
        .iter()
        .filter(|it| !it.load_balancer_only)
        .any(|it| calico_mode(cluster, Some(it)).0 != value);
    let note = match pool {
        _ if value == "ebpf" => {
            Some("as read in Calico's source: not compared with a running one".to_owned())
        }
        Some(_) if differ => Some("the pools differ; this is the first one's mode".to_owned()),
        Some(pool) if crosses(&pool) => Some("CrossSubnet: only between subnets".to_owned()),
        _ => None,
    };
    Picker { dial: Dial::Calico, label: "Calico", choices, origin, note }
}

/// The mode in one word, and what says so.
fn calico_mode(cluster: &Cluster, pool: Option<&Pool>) -> (&'static str, Origin) {
    if cluster.proxy.mode.value == ProxyMode::Ebpf {
        return ("ebpf", cluster.proxy.mode.origin.clone());
    }
    let pool = pool.map(|pool| (&pool.ipip, &pool.vxlan));
    let mesh = &cluster.network.bgp.mesh;
    match (pool, mesh.value) {
        (Some((ipip, _)), _) if ipip.value != EncapMode::Never => ("ipip", ipip.origin.clone()),
        (Some((_, vxlan)), _) if vxlan.value != EncapMode::Never => ("vxlan", vxlan.origin.clone()),
        (_, false) => ("reflectors", mesh.origin.clone()),
        (Some((ipip, _)), true) => ("mesh", ipip.origin.clone()),
        (None, true) => ("mesh", mesh.origin.clone()),
    }
}

fn kube_proxy(cluster: &Cluster) -> Picker {
    let mode = &cluster.proxy.mode;
    let choices = ProxyMode::KUBE_PROXY.map(|it| {
        let label = if it == ProxyMode::Ipvs { "IPVS" } else { it.name() };
        choice(it.name(), label, mode.value.name())
    });
    let note = (mode.value == ProxyMode::Ebpf)
        .then(|| "Calico's eBPF dataplane stands in for kube-proxy".to_owned());
    Picker {
        dial: Dial::KubeProxy,
        label: "kube-proxy",
        choices: choices.into(),
        origin: mode.origin.clone(),
        note,
    }
}

fn traffic_policy(cluster: &Cluster, flow: &Flow) -> Option<Picker> {
    let service = cluster.services.get(service_of(cluster, &flow.to)?.0)?;
    let internal = is_internal(service, &flow.to);
    let (label, setting) = if internal {
        ("internal traffic", &service.internal_traffic_policy)
    } else {
        ("external traffic", &service.external_traffic_policy)
    };
    let value = match setting.value {
        TrafficPolicy::Cluster => "Cluster",
        TrafficPolicy::Local => "Local",
    };
    let mut choices = vec![choice("Cluster", "Cluster", value), choice("Local", "Local", value)];
    if !internal && service.kind == ServiceKind::ClusterIp && service.external_ips.is_empty() {
        let reason = "a service of type ClusterIP has no external traffic policy";
        for it in &mut choices {
            it.unavailable = Some(reason.to_owned());
        }
    }
    let origin = setting.origin.clone();
    Some(Picker { dial: Dial::TrafficPolicy, label, choices, origin, note: None })
}

fn choice(value: &'static str, label: &'static str, chosen: &str) -> Choice {
    Choice { value, label, chosen: value == chosen, unavailable: None }
}

/// Whether the flow to `target` is asked the service's internal traffic policy.
pub(super) fn is_internal(service: &Service, target: &Target) -> bool {
    match target {
        Target::Service(..) => true,
        Target::Ip(ip, _) => service.cluster_ips.contains(ip),
        _ => false,
    }
}

/// The service that answers at `target`.
pub(super) fn service_of(cluster: &Cluster, target: &Target) -> Option<ServiceId> {
    let position = |answers: &dyn Fn(&Service) -> bool| {
        cluster.services.iter().position(answers).map(ServiceId)
    };
    match target {
        Target::Service(namespace, name, _)
        | Target::NodePortOf(_, namespace, name, _)
        | Target::LoadBalancer { namespace, name, .. } => {
            position(&|it| it.namespace == *namespace && it.name == *name)
        }
        Target::NodePort(_, number) => {
            position(&|it| it.ports.iter().any(|port| port.node_port == Some(*number)))
        }
        Target::ExternalIp(ip, _) => position(&|it| it.external_ips.contains(ip)),
        Target::Ip(ip, number) => position(&|it| {
            it.cluster_ips.contains(ip)
                || it.external_ips.contains(ip)
                || it.ingress_ips.iter().any(|ingress| ingress.ip == *ip)
                || (cluster.node_by_address.contains_key(ip)
                    && it.ports.iter().any(|port| port.node_port == Some(*number)))
        }),
        Target::Pod(..) | Target::Workload(..) | Target::Node(..) | Target::HostEndpoint(..) => {
            None
        }
    }
}
