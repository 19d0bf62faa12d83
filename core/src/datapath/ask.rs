//! From a flow to a first packet: which machine sends it, with which addresses, and how all its
//! ways end.

use std::net::IpAddr;

use super::route::{Device, source_for};
use super::step::{Cause, CauseKind, Hook, Machine, Outcome, Rule, Step, Trace};
use super::walk::{End, Failure, Front, Walk};
use crate::cluster::{Cluster, NodeId, PodId, Service, ServicePort};
use crate::net::{Flow, Packet, Party, PortRef, Protocol, Target, Verdict, address_and_port};

/// Beyond this many ways a trace stops walking them: the rest are taken to be like these.
const MAX_OUTCOMES: usize = 4096;

/// What happens to `flow` in `cluster`, and why.
pub fn trace(cluster: &Cluster, flow: &Flow) -> Trace {
    let mut outcomes = Vec::new();
    match questions(cluster, flow) {
        Ok(questions) => {
            for question in &questions {
                #[expect(clippy::cast_precision_loss, reason = "there are only so many")]
                let share = 1.0 / questions.len() as f64;
                walk_all(cluster, question, share, &mut outcomes);
            }
        }
        Err(message) => {
            outcomes.push(without_path(CauseKind::NoSuchDestination, message));
        }
    }
    let verdict = match outcomes.split_first() {
        Some((first, rest)) if rest.iter().all(|other| other.verdict == first.verdict) => {
            first.verdict
        }
        _ => Verdict::Mixed,
    };
    Trace { flow: flow.clone(), verdict, outcomes }
}

/// One packet to send.
struct Question<'a> {
    sender: Sender,
    packet: Packet,
    front: Option<Front<'a>>,
    /// The endpoint that DNS gave the address of.
    named: Option<String>,
    outside: Vec<IpAddr>,
}

#[derive(Clone)]
enum Sender {
    Pod(PodId, NodeId),
    Host(NodeId),
    Outside(String),
}

fn without_path(kind: CauseKind, message: String) -> Outcome {
    Outcome {
        share: 1.0,
        endpoint: None,
        verdict: Verdict::Unroutable,
        cause: Some(Cause { kind, cite: None, message }),
        steps: Vec::new(),
        reply: Vec::new(),
        source_at_pod: None,
        source_seen_by_app: None,
    }
}

/// Walks every way that a packet can take.
fn walk_all<'a>(
    cluster: &'a Cluster,
    question: &Question<'a>,
    share: f64,
    outcomes: &mut Vec<Outcome>,
) {
    let first = outcomes.len();
    let mut script = Vec::new();
    loop {
        let mut walk = Walk::new(cluster, script);
        let mut outcome = walk_once(&mut walk, question);
        let mut forks = walk.forks;
        outcome.share = share * forks.iter().map(|fork| fork.share).product::<f64>();
        outcomes.push(outcome);
        // The next way: the last fork that has one more.
        while forks.last().is_some_and(|fork| fork.taken + 1 >= fork.of) {
            forks.pop();
        }
        let Some(last) = forks.last_mut() else { return };
        last.taken += 1;
        script = forks;
        if outcomes.len() >= MAX_OUTCOMES {
            break;
        }
    }
    let walked: f64 = outcomes.iter().skip(first).map(|outcome| outcome.share).sum();
    for outcome in outcomes.iter_mut().skip(first) {
        outcome.share *= share / walked;
    }
}

fn walk_once<'a>(walk: &mut Walk<'a>, question: &Question<'a>) -> Outcome {
    walk.front = question.front;
    walk.endpoint.clone_from(&question.named);
    walk.outside.clone_from(&question.outside);
    let end = send(walk, question, question.packet);
    let steps = walk.turn();
    let (verdict, cause, reply) = match &end {
        End::Failed(failure) => refused(walk, question, failure),
        arrived => {
            let back = match (&question.sender, arrived) {
                // A pod that talks to itself answers itself, at the address that it asked.
                (Sender::Pod(own, _), End::Pod(pod, packet))
                    if own == pod && packet.source == packet.destination =>
                {
                    End::Pod(*pod, question.packet.answered())
                }
                _ => walk.answer(arrived),
            };
            let (verdict, cause) =
                judge(walk, question, back, "the answer arrives, and the connection stands");
            (verdict, cause, std::mem::take(&mut walk.steps))
        }
    };
    let arrived = match &end {
        End::Pod(_, packet) | End::Host(_, packet) | End::Outside(_, packet) => Some(packet.source),
        End::Failed(_) => None,
    };
    Outcome {
        share: 1.0,
        endpoint: walk.endpoint.take(),
        verdict,
        cause,
        steps,
        reply,
        source_at_pod: walk.source_at_pod,
        source_seen_by_app: arrived.filter(|_| verdict == Verdict::Delivered),
    }
}

fn send(walk: &mut Walk<'_>, question: &Question<'_>, packet: Packet) -> End {
    match &question.sender {
        Sender::Pod(pod, node) => {
            let name = walk.cluster.pod_name(*pod);
            let at = (walk.node_machine(*node), Hook::Socket);
            if walk.cluster.pod(*pod).is_some_and(|own| own.addresses.contains(&packet.destination))
                || packet.destination.is_loopback()
            {
                let summary = format!(
                    "{name} talks to itself: the packet never leaves the pod, and no policy is asked"
                );
                walk.step(at, Rule::Send, &packet, &packet, summary).by(name);
                walk.source_at_pod = Some(packet.source);
                return End::Pod(*pod, packet);
            }
            let dns = match &question.named {
                Some(endpoint) => {
                    format!(", the address of {endpoint} that DNS gives for the headless service")
                }
                None => String::new(),
            };
            let summary = format!("{name} sends to {}{dns}", packet.to());
            walk.step(at, Rule::Send, &packet, &packet, summary).by(name);
            walk.receive(*node, packet, Device::Pod(*pod))
        }
        Sender::Host(node) => {
            let at = (walk.node_machine(*node), Hook::Socket);
            let summary = format!(
                "a process on {} sends to {}; the route gives it the source {}",
                walk.node_name(*node),
                packet.to(),
                packet.source
            );
            walk.step(at, Rule::Send, &packet, &packet, summary);
            walk.send_from_host(*node, packet)
        }
        Sender::Outside(name) => {
            let at = (Machine::Client(name.clone()), Hook::Socket);
            let summary = format!("{name} sends to {}", packet.to());
            walk.step(at, Rule::Send, &packet, &packet, summary);
            walk.send_from_outside(packet.source, packet)
        }
    }
}

/// Whether the answer reached the socket that waits for it.
fn judge(
    walk: &mut Walk<'_>,
    question: &Question<'_>,
    back: End,
    news: &str,
) -> (Verdict, Option<Cause>) {
    let awaited = question.packet.answered();
    let (at, packet) = match back {
        End::Failed(Failure { cause, .. }) => {
            // A filter that drops the answer is named; every other end is a lost answer.
            let cause = match cause.kind {
                CauseKind::RpFilter => cause,
                _ => Cause { kind: CauseKind::ReplyLost, ..cause },
            };
            return (Verdict::Dropped, Some(cause));
        }
        End::Pod(pod, packet) => {
            let at =
                walk.cluster.pod(pod).map_or(Machine::Router, |own| walk.node_machine(own.node));
            let here = matches!(question.sender, Sender::Pod(own, _) if own == pod);
            ((at, here, Some(walk.cluster.pod_name(pod))), packet)
        }
        End::Host(node, packet) => {
            let here = matches!(question.sender, Sender::Host(own) if own == node);
            ((walk.node_machine(node), here, None), packet)
        }
        End::Outside(machine, packet) => {
            let here = matches!(&question.sender, Sender::Outside(name) if machine.label() == name);
            ((machine, here, None), packet)
        }
    };
    let (machine, here, device) = at;
    if here && packet.same_connection(&awaited) {
        let at = (machine, Hook::Socket);
        walk.step(at, Rule::ReplyDelivered, &packet, &packet, news.to_owned()).device = device;
        return (Verdict::Delivered, None);
    }
    let message = if here {
        format!(
            "the answer comes from {}, but {} waits for one from {}: it took a way past the machine that has to translate it back",
            packet.from(),
            machine.label(),
            awaited.from()
        )
    } else {
        format!(
            "the answer ends at {}, which did not ask: it took a way past the machine that has to translate it back",
            machine.label()
        )
    };
    let at = (machine, Hook::Socket);
    walk.step(at, Rule::ReplyLost, &packet, &packet, message.clone()).device = device;
    (Verdict::Dropped, Some(Cause { kind: CauseKind::ReplyLost, cite: None, message }))
}

/// A refusal is heard only if it finds its way back.
fn refused(
    walk: &mut Walk<'_>,
    question: &Question<'_>,
    failure: &Failure,
) -> (Verdict, Option<Cause>, Vec<Step>) {
    let cause = failure.cause.clone();
    let Some((node, packet)) = &failure.rejected_by else {
        return (failure.verdict, Some(cause), Vec::new());
    };
    let back = walk.answer_from_host(*node, packet);
    let (heard, _) = judge(walk, question, back, "the refusal arrives: there is no connection");
    let reply = std::mem::take(&mut walk.steps);
    if heard == Verdict::Delivered {
        return (failure.verdict, Some(cause), reply);
    }
    let message = format!(
        "{}; its answer does not find the way back, so the sender only times out",
        cause.message
    );
    (Verdict::Dropped, Some(Cause { message, ..cause }), reply)
}

/// The packets that a flow stands for; several where DNS gives several addresses.
fn questions<'a>(cluster: &'a Cluster, flow: &Flow) -> Result<Vec<Question<'a>>, String> {
    let sender = sender(cluster, flow)?;
    let own: Vec<IpAddr> = match &sender {
        (Sender::Pod(pod, _), _) => {
            cluster.pod(*pod).map(|pod| pod.addresses.clone()).unwrap_or_default()
        }
        (Sender::Host(node), _) => cluster
            .node(*node)
            .map(|node| node.addresses.iter().map(ipnet::IpNet::addr).collect())
            .unwrap_or_default(),
        (Sender::Outside(_), ip) => ip.iter().copied().collect(),
    };
    let asked = destinations(cluster, flow, &own)?;
    asked
        .into_iter()
        .map(|(destination, port, front, named)| {
            let v4 = destination.is_ipv4();
            let source = match &sender.0 {
                Sender::Host(node) => source_for(cluster, *node, destination),
                Sender::Pod(..) if destination.is_loopback() => Some(destination),
                _ => own.iter().copied().find(|own| own.is_ipv4() == v4),
            };
            let source = source.ok_or_else(|| {
                let (has, needs) = if v4 { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
                format!("{} has only {has} addresses, but {destination} needs {needs}", flow.from)
            })?;
            let packet = Packet {
                protocol: flow.protocol,
                source,
                source_port: None,
                destination,
                destination_port: Some(port),
                outer: None,
            };
            let mut outside: Vec<IpAddr> = Vec::new();
            if matches!(sender.0, Sender::Outside(_)) {
                outside.push(source);
            }
            if matches!(flow.to, Target::Ip(..)) && cluster.is_outside(destination) {
                outside.push(destination);
            }
            Ok(Question { sender: sender.0.clone(), packet, front, named, outside })
        })
        .collect()
}

fn sender(cluster: &Cluster, flow: &Flow) -> Result<(Sender, Option<IpAddr>), String> {
    match &flow.from {
        Party::Client(name) => {
            let known = cluster.clients.iter().find(|client| client.name == *name);
            match known {
                Some(client) => Ok((Sender::Outside(name.clone()), Some(client.ip))),
                None => Err(format!(
                    "no client is called `{name}`: name it in the Scenario's spec.clients, or write ip/ADDRESS"
                )),
            }
        }
        Party::Ip(ip) => {
            if let Some(&pod) = cluster.pod_by_address.get(ip) {
                return pod_sender(cluster, pod);
            }
            if let Some(&node) = cluster.node_by_address.get(ip) {
                return Ok((Sender::Host(node), None));
            }
            let name = cluster.clients.iter().find(|client| client.ip == *ip);
            let name = name.map_or_else(|| ip.to_string(), |client| client.name.clone());
            Ok((Sender::Outside(name), Some(*ip)))
        }
        Party::Pod(namespace, name) => pod_sender(cluster, cluster.find_pod(namespace, name)?),
        Party::Workload(kind, namespace, name) => {
            pod_sender(cluster, cluster.find_workload_pod(kind, namespace, name)?)
        }
        Party::Node(name) => Ok((Sender::Host(cluster.find_node(name)?), None)),
        Party::HostEndpoint(name) => Err(format!(
            "hostEndpoint/{name} is known to policies only: name the node instead, as node/NAME"
        )),
    }
}

fn pod_sender(cluster: &Cluster, id: PodId) -> Result<(Sender, Option<IpAddr>), String> {
    let pod = cluster.pod(id).ok_or_else(|| "there is no such pod".to_owned())?;
    if pod.finished {
        return Err(format!("pod {}/{} has finished: it sends nothing", pod.namespace, pod.name));
    }
    if pod.host_network {
        return Ok((Sender::Host(pod.node), None));
    }
    Ok((Sender::Pod(id, pod.node), None))
}

/// Address, port, the balancer that is asked, and which endpoint DNS named, if it named one.
type Destination<'a> = (IpAddr, u16, Option<Front<'a>>, Option<String>);

fn destinations<'a>(
    cluster: &'a Cluster,
    flow: &Flow,
    own: &[IpAddr],
) -> Result<Vec<Destination<'a>>, String> {
    let one = |ip: IpAddr, port: u16| Ok(vec![(ip, port, None, None)]);
    match &flow.to {
        Target::Service(namespace, name, port) => {
            let service = cluster.find_service(namespace, name)?;
            if let Some(name) = &service.external_name {
                return Err(format!(
                    "Service {namespace}/{} is only a name in DNS for {name}: kube-proxy does nothing for it; ask for that address instead",
                    service.name
                ));
            }
            let port = service.find_port(port, flow.protocol)?;
            if service.headless {
                return headless(cluster, service, port, own);
            }
            one(
                family(&service.cluster_ips, own, &format!("Service {namespace}/{name}"))?,
                port.port,
            )
        }
        Target::NodePort(node, port) => {
            let id = cluster.find_node(node)?;
            let service = cluster.service_by_node_port.get(&(flow.protocol, *port));
            let service = service.and_then(|ids| cluster.service(*ids.first()?));
            one(node_address(cluster, id, own, service)?, *port)
        }
        Target::NodePortOf(node, namespace, name, port) => {
            let id = cluster.find_node(node)?;
            let service = cluster.find_service(namespace, name)?;
            let port = service.find_port(port, flow.protocol)?;
            let node_port = port
                .node_port
                .ok_or_else(|| format!("Service {namespace}/{name} has no node port"))?;
            one(node_address(cluster, id, own, Some(service))?, node_port)
        }
        Target::LoadBalancer { namespace, name, port, balancer, node } => {
            let service = cluster.find_service(namespace, name)?;
            let port = service.find_port(port, flow.protocol)?;
            let Some(balancer) = balancer else {
                let ips: Vec<IpAddr> =
                    service.ingress_ips.iter().map(|ingress| ingress.ip).collect();
                if ips.is_empty() {
                    return Err(format!(
                        "Service {namespace}/{name} has no load balancer IP in status.loadBalancer.ingress: name a balancer of the scenario with `@BALANCER`"
                    ));
                }
                return one(family(&ips, own, "the load balancer")?, port.port);
            };
            let found = cluster.balancers.iter().find(|known| known.name == *balancer);
            let balancer = found.ok_or_else(|| {
                format!("no balancer is called `{balancer}`: name it in the Scenario's spec.loadBalancers")
            })?;
            let node = match node {
                Some(node) => Some(cluster.find_node(node)?),
                None => None,
            };
            let front = Front { balancer, service, port, node };
            Ok(vec![(balancer.ip, port.port, Some(front), None)])
        }
        Target::ExternalIp(ip, port) | Target::Ip(ip, port) => one(*ip, *port),
        Target::Pod(namespace, name, port) => {
            let id = cluster.find_pod(namespace, name)?;
            pod_destination(cluster, id, port, flow.protocol, own)
        }
        Target::Workload(kind, namespace, name, port) => {
            let id = cluster.find_workload_pod(kind, namespace, name)?;
            pod_destination(cluster, id, port, flow.protocol, own)
        }
        Target::Node(node, port) => {
            one(node_address(cluster, cluster.find_node(node)?, own, None)?, *port)
        }
        Target::HostEndpoint(name, _) => Err(format!(
            "hostEndpoint/{name} is known to policies only: name the node instead, as node/NAME:PORT"
        )),
    }
}

/// DNS gives the ready endpoints' own addresses.
fn headless<'a>(
    cluster: &Cluster,
    service: &Service,
    port: &ServicePort,
    own: &[IpAddr],
) -> Result<Vec<Destination<'a>>, String> {
    let found: Vec<_> = port
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.ready)
        .filter(|endpoint| {
            own.is_empty() || own.iter().any(|ip| ip.is_ipv4() == endpoint.ip.is_ipv4())
        })
        .map(|endpoint| {
            let named = match endpoint.pod {
                Some(pod) => cluster.pod_name(pod),
                None => address_and_port(endpoint.ip, Some(endpoint.port)),
            };
            (endpoint.ip, endpoint.port, None, Some(named))
        })
        .collect();
    if found.is_empty() {
        return Err(format!(
            "{} is headless and has no ready endpoints: DNS has no address for it",
            service.cite.object
        ));
    }
    Ok(found)
}

fn pod_destination<'a>(
    cluster: &Cluster,
    id: PodId,
    port: &PortRef,
    protocol: Protocol,
    own: &[IpAddr],
) -> Result<Vec<Destination<'a>>, String> {
    let pod = cluster.pod(id).ok_or_else(|| "there is no such pod".to_owned())?;
    if pod.finished {
        return Err(format!("pod {}/{} has finished: nobody answers", pod.namespace, pod.name));
    }
    let number = match port {
        PortRef::Number(number) => *number,
        PortRef::Name(name) => pod
            .ports
            .iter()
            .find(|known| known.name == *name && known.protocol == protocol)
            .map(|known| known.port)
            .ok_or_else(|| {
                format!("pod {}/{} has no {protocol} port called `{name}`", pod.namespace, pod.name)
            })?,
    };
    let ip = family(&pod.addresses, own, &format!("pod {}/{}", pod.namespace, pod.name))?;
    Ok(vec![(ip, number, None, None)])
}

/// The node's address for a sender with these; one of a family of the service, if there is one.
fn node_address(
    cluster: &Cluster,
    node: NodeId,
    own: &[IpAddr],
    service: Option<&Service>,
) -> Result<IpAddr, String> {
    let node = cluster.node(node).ok_or_else(|| "there is no such node".to_owned())?;
    let mut all: Vec<IpAddr> = node.addresses.iter().map(ipnet::IpNet::addr).collect();
    let cluster_ips = service.map_or(&[][..], |service| &service.cluster_ips);
    if !cluster_ips.is_empty() {
        all.sort_by_key(|ip| !cluster_ips.iter().any(|of| of.is_ipv4() == ip.is_ipv4()));
    }
    family(&all, own, &node.name)
}

/// The first address of a family that the sender has too.
fn family(of: &[IpAddr], own: &[IpAddr], whose: &str) -> Result<IpAddr, String> {
    let shared = |ip: &&IpAddr| own.is_empty() || own.iter().any(|o| o.is_ipv4() == ip.is_ipv4());
    match (of.iter().find(shared), of.first()) {
        (Some(ip), _) => Ok(*ip),
        (None, Some(ip)) => {
            let (has, not) = if ip.is_ipv4() { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
            Err(format!("{whose} has only {has} addresses, and the sender only {not}"))
        }
        (None, None) => Err(format!("{whose} has no address")),
    }
}
