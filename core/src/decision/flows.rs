//! The policies alone, on the addresses as given: no network, no translation between the ends.

use std::net::IpAddr;

use super::end::End;
use super::evaluate::allows;
use super::explain::explain_question;
use super::holds::Question;
use super::{Decision, Doubt, Reason};
use crate::cluster::{Cluster, NodeId, PodId, Service, ServicePort, Workload};
use crate::net::{Direction, Family, Flow, Party, PortRef, Protocol, Target};
use crate::policy::form::HostEndpoint;

/// What the policies say of a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The question.
    pub flow: Flow,
    /// May it pass both ends?
    pub allowed: bool,
    /// The destination's policies.
    pub ingress: Decision,
    /// The source's policies.
    pub egress: Decision,
    /// What the flow names that is not there; nothing is allowed then.
    pub problem: Option<String>,
}

/// What the policies say of `flow`: the source's egress and the destination's ingress, on the
/// addresses as given.
pub fn evaluate(cluster: &Cluster, flow: &Flow) -> Evaluation {
    let answer = |ingress: Decision, egress: Decision, problem| Evaluation {
        flow: flow.clone(),
        allowed: ingress.allow && egress.allow,
        ingress,
        egress,
        problem,
    };
    match question(cluster, flow) {
        Err(problem) => {
            let unknown = Decision::unasked(false, Reason::NotThere(problem.clone()));
            answer(unknown.clone(), unknown, Some(problem))
        }
        Ok(Asked { exempt: Some(reason), .. }) => {
            let free = Decision::unasked(true, reason);
            answer(free.clone(), free, None)
        }
        Ok(Asked { question, other_family, exempt: None }) => {
            let decide = |direction| {
                let decision = explain_question(cluster, direction, &question);
                let other = other_family.as_ref();
                let other = other.map(|other| explain_question(cluster, direction, other));
                by_family(&question, decision, other)
            };
            answer(decide(Direction::Ingress), decide(Direction::Egress), None)
        }
    }
}

/// What is decided for the first family that both ends have; if the other one's packets fare
/// otherwise, it is not certain which of them the connection uses.
fn by_family(q: &Question<'_>, decision: Decision, other: Option<Decision>) -> Decision {
    let Some(other) = other.filter(|other| other.allow != decision.allow) else {
        return decision;
    };
    let family = if q.ip_version() == Some(4) { Family::V4 } else { Family::V6 };
    let doubt = Doubt::Family { family, allow: other.allow, reason: Box::new(other.reason) };
    Decision { uncertain: decision.uncertain.or(Some(doubt)), ..decision }
}

/// Whether the policies allow `flow`: [`evaluate`] without its reasons. `None` if the flow names
/// something that is not there.
pub fn allowed(cluster: &Cluster, flow: &Flow) -> Option<bool> {
    let Asked { question, exempt, .. } = question(cluster, flow).ok()?;
    Some(
        exempt.is_some()
            || (allows(cluster, Direction::Egress, &question)
                && allows(cluster, Direction::Ingress, &question)),
    )
}

struct Asked<'a> {
    question: Question<'a>,
    /// The same over the other family, where both ends have both.
    other_family: Option<Question<'a>>,
    /// Why no policy is asked.
    exempt: Option<Reason>,
}

/// What a flow's end is.
enum Place<'a> {
    Pod(PodId),
    Host(&'a HostEndpoint),
    Node(NodeId),
    Address(IpAddr),
}

fn question<'a>(cluster: &'a Cluster, flow: &Flow) -> Result<Asked<'a>, String> {
    let from = match &flow.from {
        Party::Client(name) => {
            let client = cluster.clients.iter().find(|c| c.name == *name);
            Place::Address(client.ok_or_else(|| format!("there is no client `{name}`"))?.ip)
        }
        Party::Ip(ip) => Place::Address(*ip),
        Party::Pod(namespace, name) => Place::Pod(pod(cluster, namespace, name)?),
        Party::Workload(kind, namespace, name) => {
            Place::Pod(workload(cluster, kind, namespace, name)?)
        }
        Party::Node(name) => Place::Node(node(cluster, name)?),
        Party::HostEndpoint(name) => Place::Host(host(cluster, name)?),
    };
    let (to, port) = target(cluster, &flow.to, flow.protocol)?;
    let exempt = match (&from, &to) {
        (Place::Pod(from), Place::Pod(to)) if from == to => Some(Reason::Itself),
        (Place::Node(node), Place::Pod(pod)) if runs_on(cluster, *pod, *node) => {
            Some(Reason::OwnNode)
        }
        _ => None,
    };
    let over = |(source, destination)| Question {
        source: end(cluster, &from, source),
        destination: end(cluster, &to, destination),
        protocol: flow.protocol.number(),
        source_port: None,
        destination_port: Some(port),
    };
    let (first, second) = addresses(cluster, &from, &to);
    Ok(Asked { question: over(first), other_family: second.map(over), exempt })
}

fn target<'a>(
    cluster: &'a Cluster,
    target: &Target,
    protocol: Protocol,
) -> Result<(Place<'a>, u16), String> {
    Ok(match target {
        Target::Pod(namespace, name, port) => {
            let id = pod(cluster, namespace, name)?;
            (Place::Pod(id), pod_port(cluster, id, port, protocol)?)
        }
        Target::Workload(kind, namespace, name, port) => {
            let id = workload(cluster, kind, namespace, name)?;
            (Place::Pod(id), pod_port(cluster, id, port, protocol)?)
        }
        Target::Ip(ip, port) | Target::ExternalIp(ip, port) => (Place::Address(*ip), *port),
        Target::Node(name, port) | Target::NodePort(name, port) => {
            (Place::Node(node(cluster, name)?), *port)
        }
        Target::NodePortOf(name, namespace, service_name, port) => {
            let (_, service_port) = service(cluster, namespace, service_name, port, protocol)?;
            let port = service_port.node_port.ok_or_else(|| {
                format!("the port of service/{namespace}/{service_name} has no node port")
            })?;
            (Place::Node(node(cluster, name)?), port)
        }
        Target::Service(namespace, name, port) => {
            let (service, port) = service(cluster, namespace, name, port, protocol)?;
            let ip = service.cluster_ips.first();
            let ip = ip.ok_or_else(|| format!("service/{namespace}/{name} has no ClusterIP"))?;
            (Place::Address(*ip), port.port)
        }
        Target::LoadBalancer { namespace, name, port, .. } => {
            let (service, port) = service(cluster, namespace, name, port, protocol)?;
            let ip = service.ingress_ips.first();
            let ip = ip.ok_or_else(|| {
                format!("service/{namespace}/{name} has no load balancer address")
            })?;
            (Place::Address(ip.ip), port.port)
        }
        Target::HostEndpoint(name, port) => (Place::Host(host(cluster, name)?), *port),
    })
}

fn end<'a>(cluster: &'a Cluster, place: &Place<'a>, address: Option<IpAddr>) -> End<'a> {
    match (place, address) {
        (Place::Pod(id), address) => End::pod(cluster, *id, address),
        (Place::Host(host), address) => End::host(cluster, host, address),
        (_, Some(address)) => End::at(cluster, address),
        (_, None) => End::nowhere(cluster),
    }
}

/// Source and destination.
type Addresses = (Option<IpAddr>, Option<IpAddr>);

/// The addresses of both ends, of one family where they have one in common; and of the other one
/// if they have both.
fn addresses(
    cluster: &Cluster,
    from: &Place<'_>,
    to: &Place<'_>,
) -> (Addresses, Option<Addresses>) {
    let (from, to) = (all_addresses(cluster, from), all_addresses(cluster, to));
    let pairs = || from.iter().flat_map(|f| to.iter().map(move |t| (*f, *t)));
    let Some((source, destination)) = pairs().find(|(f, t)| f.is_ipv4() == t.is_ipv4()) else {
        return ((from.first().copied(), to.first().copied()), None);
    };
    let v4 = !source.is_ipv4();
    let other = pairs().find(|(f, t)| f.is_ipv4() == v4 && t.is_ipv4() == v4);
    ((Some(source), Some(destination)), other.map(|(f, t)| (Some(f), Some(t))))
}

fn all_addresses(cluster: &Cluster, place: &Place<'_>) -> Vec<IpAddr> {
    match place {
        Place::Pod(id) => cluster.pods.get(id.0).map_or_else(Vec::new, |p| p.addresses.clone()),
        Place::Host(host) => host.addresses.clone(),
        Place::Node(id) => cluster
            .nodes
            .get(id.0)
            .map_or_else(Vec::new, |n| n.addresses.iter().map(ipnet::IpNet::addr).collect()),
        Place::Address(ip) => vec![*ip],
    }
}

fn pod(cluster: &Cluster, namespace: &str, name: &str) -> Result<PodId, String> {
    let found = cluster.pods.iter().position(|p| p.namespace == namespace && p.name == name);
    found.map(PodId).ok_or_else(|| format!("there is no pod `{name}` in namespace `{namespace}`"))
}

fn workload(cluster: &Cluster, kind: &str, namespace: &str, name: &str) -> Result<PodId, String> {
    let owner = Some(Workload { kind: kind.to_owned(), name: name.to_owned() });
    let found = cluster.pods.iter().position(|p| p.namespace == namespace && p.owner == owner);
    found
        .map(PodId)
        .ok_or_else(|| format!("there is no pod of {kind} `{name}` in namespace `{namespace}`"))
}

fn host<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a HostEndpoint, String> {
    let mut hosts = cluster.policies.host_endpoints.iter();
    hosts
        .find(|host| host.object.name == name)
        .ok_or_else(|| format!("there is no host endpoint `{name}`"))
}

fn node(cluster: &Cluster, name: &str) -> Result<NodeId, String> {
    let found = cluster.nodes.iter().position(|n| n.name == name);
    found.map(NodeId).ok_or_else(|| format!("there is no node `{name}`"))
}

fn service<'a>(
    cluster: &'a Cluster,
    namespace: &str,
    name: &str,
    port: &PortRef,
    protocol: Protocol,
) -> Result<(&'a Service, &'a ServicePort), String> {
    let mut services = cluster.services.iter();
    let service = services
        .find(|s| s.namespace == namespace && s.name == name)
        .ok_or_else(|| format!("there is no service `{name}` in namespace `{namespace}`"))?;
    let mut ports = service.ports.iter().filter(|p| p.protocol == protocol);
    let found = ports.find(|p| match port {
        PortRef::Number(number) => p.port == *number,
        PortRef::Name(name) => p.name == *name,
    });
    let found = found
        .ok_or_else(|| format!("service/{namespace}/{name} has no {protocol} port `{port}`"))?;
    Ok((service, found))
}

fn pod_port(
    cluster: &Cluster,
    id: PodId,
    port: &PortRef,
    protocol: Protocol,
) -> Result<u16, String> {
    match port {
        PortRef::Number(number) => Ok(*number),
        PortRef::Name(name) => {
            let pod = cluster.pods.get(id.0);
            let mut ports = pod.into_iter().flat_map(|p| &p.ports);
            let found = ports.find(|p| p.name == *name && p.protocol == protocol);
            found.map(|p| p.port).ok_or_else(|| format!("the pod has no {protocol} port `{name}`"))
        }
    }
}

fn runs_on(cluster: &Cluster, pod: PodId, node: NodeId) -> bool {
    cluster.pods.get(pod.0).is_some_and(|p| p.node == node)
}
