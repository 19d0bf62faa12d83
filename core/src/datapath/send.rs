//! From a flow to a first packet: which machine sends it, with which addresses, and how all its
//! ways end.

use std::net::IpAddr;

use super::ebpf::Ebpf;
use super::fact::{Device, Fact, Lost, Sent};
use super::netfilter::Netfilter;
use super::route::source_for;
use super::step::{Because, Cause, CauseKind, Hook, Machine, Outcome, Step, Trace};
use super::walk::{Dataplane, End, Failure, Walk};
use crate::cluster::{
    Asked, Backend, Cluster, Ends, Front, Holder, NodeId, Outside, PodId, ProxyMode, Side,
    Unresolved, ends,
};
use crate::net::{Flow, InFamily, Packet, Target, Verdict};

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
        Err(why) => outcomes.push(without_path(why)),
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
    named: Option<Backend>,
    outside: Vec<IpAddr>,
}

/// Who sends it.
#[derive(Clone, Copy)]
enum Sender {
    Pod(PodId, NodeId),
    Host(NodeId),
    Outside(Outside),
}

/// A flow that nobody can ask.
fn without_path(why: Unresolved) -> Outcome {
    Outcome {
        share: 1.0,
        endpoint: None,
        verdict: Verdict::Unroutable,
        cause: Some(Cause {
            kind: CauseKind::NoSuchDestination,
            cite: None,
            because: Because::Unresolved(why),
            unheard: false,
        }),
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
        let mut walk = Walk::new(cluster, dataplane(cluster), script);
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
    walk.endpoint = question.named;
    walk.outside.clone_from(&question.outside);
    let end = send(walk, question);
    let steps = walk.turn();
    let (verdict, cause, reply) = match &end {
        End::Failed(failure) => refused(walk, question, failure),
        arrived => {
            let back = match (question.sender, arrived) {
                // A pod that talks to itself answers itself, at the address that it asked.
                (Sender::Pod(own, _), End::Pod(pod, packet))
                    if own == *pod && packet.source == packet.destination =>
                {
                    End::Pod(*pod, question.packet.answered())
                }
                _ => walk.answer(arrived),
            };
            let (verdict, cause) = judge(walk, question, back, false);
            (verdict, cause, std::mem::take(&mut walk.steps))
        }
    };
    let arrived = match &end {
        End::Pod(_, packet) | End::Host(_, packet) | End::Outside(_, packet) => Some(packet.source),
        End::Failed(_) => None,
    };
    Outcome {
        share: 1.0,
        endpoint: walk.endpoint,
        verdict,
        cause,
        steps,
        reply,
        source_at_pod: walk.source_at_pod,
        source_seen_by_app: arrived.filter(|_| verdict == Verdict::Delivered),
    }
}

fn send(walk: &mut Walk<'_>, question: &Question<'_>) -> End {
    let packet = question.packet;
    match question.sender {
        Sender::Pod(pod, node) => {
            let (at, device) = ((Machine::Node(node), Hook::Socket), Device::Pod(pod));
            if walk.cluster.pod(pod).is_some_and(|own| own.addresses.contains(&packet.destination))
                || packet.destination.is_loopback()
            {
                walk.step(at, Fact::Send(Sent::ToItself), &packet, &packet).by(device);
                walk.source_at_pod = Some(packet.source);
                return End::Pod(pod, packet);
            }
            let fact = Fact::Send(Sent::Pod(question.named));
            walk.step(at, fact, &packet, &packet).by(device);
            walk.arrive(node, packet, device)
        }
        Sender::Host(node) => {
            let at = (Machine::Node(node), Hook::Socket);
            walk.step(at, Fact::Send(Sent::Host), &packet, &packet);
            walk.dataplane.send_from_host(walk, node, packet)
        }
        Sender::Outside(outside) => {
            let at = (Machine::Client(outside), Hook::Socket);
            walk.step(at, Fact::Send(Sent::Outside), &packet, &packet);
            walk.send_from_outside(packet.source, packet)
        }
    }
}

/// Whether the answer, or the refusal, reached the socket that waits for it.
fn judge(
    walk: &mut Walk<'_>,
    question: &Question<'_>,
    back: End,
    refusal: bool,
) -> (Verdict, Option<Cause>) {
    let awaited = question.packet.answered();
    let (machine, here, device, packet) = match back {
        End::Failed(failure) => {
            let cause = failure.cause;
            // A filter that drops the answer is named; every other end is a lost answer.
            let cause = match cause.kind {
                CauseKind::RpFilter => cause,
                _ => Cause { kind: CauseKind::ReplyLost, ..cause },
            };
            return (Verdict::Dropped, Some(cause));
        }
        End::Pod(pod, packet) => {
            let node = walk.cluster.pod(pod).map(|own| own.node);
            let machine = node.map_or(Machine::Router, Machine::Node);
            let here = matches!(question.sender, Sender::Pod(own, _) if own == pod);
            (machine, here, Some(Device::Pod(pod)), packet)
        }
        End::Host(node, packet) => {
            let here = matches!(question.sender, Sender::Host(own) if own == node);
            (Machine::Node(node), here, None, packet)
        }
        End::Outside(machine, packet) => {
            // Several names may stand for one address.
            let here =
                matches!((question.sender, machine), (Sender::Outside(_), Machine::Client(_)))
                    && packet.destination == awaited.destination;
            (machine, here, None, packet)
        }
    };
    let arrives = here && packet.same_connection(&awaited);
    let fact = if arrives {
        Fact::ReplyDelivered { refusal }
    } else if here {
        let (ip, port) = (awaited.source, awaited.source_port);
        Fact::ReplyLost(Lost::Unexpected { ip, port })
    } else {
        Fact::ReplyLost(Lost::Elsewhere)
    };
    walk.step((machine, Hook::Socket), fact, &packet, &packet).device = device;
    if arrives {
        return (Verdict::Delivered, None);
    }
    match walk.fail(Verdict::Dropped, CauseKind::ReplyLost, None) {
        End::Failed(failure) => (failure.verdict, Some(failure.cause)),
        _ => (Verdict::Dropped, None),
    }
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
    let (heard, _) = judge(walk, question, back, true);
    let reply = std::mem::take(&mut walk.steps);
    if heard == Verdict::Delivered {
        return (failure.verdict, Some(cause), reply);
    }
    (Verdict::Dropped, Some(Cause { unheard: true, ..cause }), reply)
}

/// The packets that a flow stands for; several where DNS gives several addresses.
fn questions<'a>(cluster: &'a Cluster, flow: &Flow) -> Result<Vec<Question<'a>>, Unresolved> {
    let ends = cluster.ends(flow)?;
    let sender = sender(cluster, &ends)?;
    let asked = std::iter::once(&ends.asked).chain(&ends.others);
    asked.map(|asked| question(cluster, flow, &ends, sender, asked)).collect()
}

fn sender(cluster: &Cluster, ends: &Ends<'_>) -> Result<Sender, Unresolved> {
    match ends.sender {
        ends::Sender::Pod(id) => {
            let node = cluster.pod(id).map(|pod| pod.node);
            let of = Holder::Pod(id);
            Ok(Sender::Pod(id, node.ok_or(Unresolved::NoAddress { of })?))
        }
        ends::Sender::Process(node, _) => Ok(Sender::Host(node)),
        ends::Sender::Outside(outside) => Ok(Sender::Outside(outside)),
        ends::Sender::HostEndpoint(endpoint) => {
            Err(Unresolved::OnlyPoliciesKnow { endpoint, side: Side::From })
        }
    }
}

fn question<'a>(
    cluster: &'a Cluster,
    flow: &Flow,
    ends: &Ends<'a>,
    sender: Sender,
    asked: &Asked<'a>,
) -> Result<Question<'a>, Unresolved> {
    if let Holder::HostEndpoint(endpoint) = asked.holder {
        return Err(Unresolved::OnlyPoliciesKnow { endpoint, side: Side::To });
    }
    let destination = asked.address(&ends.own)?;
    let source = match sender {
        Sender::Host(node) => source_for(cluster, node, destination),
        Sender::Pod(..) if destination.is_loopback() => Some(destination),
        _ => ends.own.iter().copied().find(|own| own.family() == destination.family()),
    };
    let source = source.ok_or_else(|| Unresolved::SenderOfOtherFamily {
        from: flow.from.clone(),
        to: destination,
    })?;
    let packet = Packet {
        protocol: flow.protocol,
        source,
        source_port: None,
        destination,
        destination_port: Some(asked.port),
        outer: None,
    };
    let mut outside: Vec<IpAddr> = Vec::new();
    if matches!(sender, Sender::Outside(_)) {
        outside.push(source);
    }
    if matches!(flow.to, Target::Ip(..)) && cluster.is_outside(destination) {
        outside.push(destination);
    }
    let named = asked.named.map(Backend::of);
    Ok(Question { sender, packet, front: asked.front, named, outside })
}

/// The dataplane of the cluster.
fn dataplane(cluster: &Cluster) -> &'static dyn Dataplane {
    if cluster.proxy.mode.value == ProxyMode::Ebpf { &Ebpf } else { &Netfilter }
}
