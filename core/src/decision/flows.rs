//! The policies alone, on the addresses as given: no network, no translation between the ends.

use std::net::IpAddr;

use super::end::End;
use super::evaluate::allows;
use super::explain::explain_question;
use super::holds::Question;
use super::{Decision, Doubt, Reason};
use crate::cluster::{
    Asked, Backend, Cluster, Endpoint, Holder, HostEndpointId, PodId, Sender, Unresolved,
};
use crate::net::{Direction, Family, Flow, InFamily, Party};

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
    /// What the flow names that is not there; then no policy is asked, and nothing is allowed.
    pub problem: Option<Unresolved>,
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
    match asking(cluster, flow) {
        Err(problem) => {
            let unknown = Decision::unasked(false, Reason::NotThere);
            answer(unknown.clone(), unknown, Some(problem))
        }
        Ok((asking, instead)) => {
            let decide = |direction| {
                let decision = asking.decide(cluster, direction);
                let mut others =
                    instead.iter().map(|(what, asking)| (what, asking.decide(cluster, direction)));
                match others.find(|(_, other)| other.allow != decision.allow) {
                    Some((what, other)) => doubted(decision, what, &other),
                    None => decision,
                }
            };
            answer(decide(Direction::Ingress), decide(Direction::Egress), None)
        }
    }
}

/// Whether the policies allow `flow`: [`evaluate`] without its reasons. `None` if the flow names
/// something that is not there.
pub fn allowed(cluster: &Cluster, flow: &Flow) -> Option<bool> {
    let (Asking { question, exempt }, _) = asking(cluster, flow).ok()?;
    Some(
        exempt.is_some()
            || (allows(cluster, Direction::Egress, &question)
                && allows(cluster, Direction::Ingress, &question)),
    )
}

/// A question for the policies of both ends.
struct Asking<'a> {
    question: Question<'a>,
    /// Why no policy is asked.
    exempt: Option<Reason>,
}

impl Asking<'_> {
    fn decide(&self, cluster: &Cluster, direction: Direction) -> Decision {
        match self.exempt.clone() {
            Some(reason) => Decision::unasked(true, reason),
            None => explain_question(cluster, direction, &self.question),
        }
    }
}

/// What the connection may use instead, for all that the flow says.
enum Instead<'a> {
    /// The other family, which both ends have, too.
    Family(Family),
    /// Another endpoint that DNS gives the address of.
    Endpoint { first: &'a Endpoint, other: &'a Endpoint },
}

/// A decision that is not certain: what may come about instead is decided otherwise.
fn doubted(decision: Decision, instead: &Instead<'_>, other: &Decision) -> Decision {
    let (allow, reason) = (other.allow, Box::new(other.reason.clone()));
    let doubt = match *instead {
        Instead::Family(family) => Doubt::Family { instead: family, allow, reason },
        Instead::Endpoint { first, other } => {
            let (first, other) = (Backend::of(first), Backend::of(other));
            Doubt::Endpoint { first, other, allow, reason }
        }
    };
    Decision { uncertain: decision.uncertain.or(Some(doubt)), ..decision }
}

/// What is decided, and what the connection may use instead: the first family that both ends have
/// and the other one, the first endpoint that DNS names and the others.
fn asking<'a>(
    cluster: &'a Cluster,
    flow: &Flow,
) -> Result<(Asking<'a>, Vec<(Instead<'a>, Asking<'a>)>), Unresolved> {
    let mut ends = cluster.ends(flow)?;
    if let Party::Ip(ip) = flow.from {
        // Policies do not know that it is one of several of a node or a pod.
        ends.own = vec![ip];
    }
    let about = |asked: &Asked<'_>, (source, destination): Addresses| Asking {
        question: Question {
            source: source_end(cluster, &ends.sender, source),
            destination: destination_end(cluster, asked.holder, destination),
            protocol: flow.protocol.number(),
            source_port: None,
            destination_port: Some(asked.port),
        },
        exempt: pod_asked(cluster, asked).and_then(|pod| exempt(cluster, &ends.sender, pod)),
    };
    let (first, second) = addresses(&ends.own, &ends.asked);
    let mut instead = Vec::new();
    if let Some((source, destination)) = second {
        let family = Instead::Family(destination.family());
        instead.push((family, about(&ends.asked, (Some(source), Some(destination)))));
    }
    for asked in &ends.others {
        if let (Some(first), Some(other)) = (ends.asked.named, asked.named) {
            let (addresses, _) = addresses(&ends.own, asked);
            instead.push((Instead::Endpoint { first, other }, about(asked, addresses)));
        }
    }
    Ok((about(&ends.asked, first), instead))
}

/// The pod that is asked for, by its name or by its address.
fn pod_asked(cluster: &Cluster, asked: &Asked<'_>) -> Option<PodId> {
    match asked.holder {
        Holder::Pod(id) => Some(id),
        Holder::Address => cluster.pod_by_address.get(asked.addresses.first()?).copied(),
        _ => None,
    }
}

/// Why no policy is asked of what `sender` sends to a pod, if none is.
pub(super) fn exempt(cluster: &Cluster, sender: &Sender, to: PodId) -> Option<Reason> {
    match *sender {
        Sender::Pod(from) | Sender::Process(_, Some(from)) if from == to => Some(Reason::Itself),
        Sender::Process(node, _) if cluster.pod(to).is_some_and(|pod| pod.node == node) => {
            Some(Reason::OwnNode)
        }
        _ => None,
    }
}

fn source_end<'a>(cluster: &'a Cluster, sender: &Sender, address: Option<IpAddr>) -> End<'a> {
    match sender {
        Sender::Pod(id) | Sender::Process(_, Some(id)) => End::pod(cluster, *id, address),
        Sender::HostEndpoint(id) => host_end(cluster, *id, address),
        Sender::Process(_, None) | Sender::Outside(_) => at(cluster, address),
    }
}

fn destination_end(cluster: &Cluster, holder: Holder, address: Option<IpAddr>) -> End<'_> {
    match holder {
        Holder::Pod(id) => End::pod(cluster, id, address),
        Holder::HostEndpoint(id) => host_end(cluster, id, address),
        _ => at(cluster, address),
    }
}

fn host_end(cluster: &Cluster, id: HostEndpointId, address: Option<IpAddr>) -> End<'_> {
    match cluster.host_endpoint(id) {
        Some(host) => End::host(cluster, host, address),
        None => at(cluster, address),
    }
}

fn at(cluster: &Cluster, address: Option<IpAddr>) -> End<'_> {
    address.map_or_else(|| End::nowhere(cluster), |ip| End::at(cluster, ip))
}

/// Source and destination.
type Addresses = (Option<IpAddr>, Option<IpAddr>);

/// Source and destination of the family that is used, where they have one in common; and of the
/// other one, where they have both. Of a service only the address is asked for that is tried first.
fn addresses(own: &[IpAddr], asked: &Asked<'_>) -> (Addresses, Option<(IpAddr, IpAddr)>) {
    let to = &asked.addresses;
    let mut pairs = to
        .iter()
        .filter_map(|to| own.iter().find(|own| own.family() == to.family()).map(|own| (*own, *to)));
    let Some((source, destination)) = pairs.next() else {
        return ((own.first().copied(), to.first().copied()), None);
    };
    let both = matches!(asked.holder, Holder::Pod(_) | Holder::Node(_) | Holder::HostEndpoint(_));
    let other = pairs.find(|(_, to)| both && to.family() != destination.family());
    ((Some(source), Some(destination)), other)
}
