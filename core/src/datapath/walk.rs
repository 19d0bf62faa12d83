//! The walk of one connection: the packets that are sent, what the machines on the way remember
//! of them, and the steps that they leave.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use super::evidence::Evidence;
use super::fact::{Device, Doubt, Fact};
use super::step::{Because, Cause, CauseKind, Hook, Machine, NoTarget, Step};
use crate::cluster::{
    Backend, BalancerId, Cluster, Endpoint, Front, NodeClass, NodeId, PodId, Service,
};
use crate::net::{Packet, Verdict};
use crate::text::Cite;

/// More machines than any path has: what comes this far goes in circles.
const MAX_MACHINES: usize = 16;

/// One connection under way.
pub(super) struct Walk<'a> {
    pub(super) cluster: &'a Cluster,
    /// What its nodes do to packets.
    pub(super) dataplane: &'static dyn Dataplane,
    /// The balancer that the flow names, and what it is in front of.
    pub(super) front: Option<Front<'a>>,
    /// Addresses outside that the flow itself names.
    pub(super) outside: Vec<IpAddr>,
    /// The forks that were come to before, with the ways to take now; beyond them, the first.
    script: Vec<Fork>,
    /// The forks so far.
    pub(super) forks: Vec<Fork>,
    /// The request's steps, or the reply's.
    pub(super) steps: Vec<Step>,
    /// What conntrack remembers, on every machine.
    pub(super) tracked: Vec<Tracked>,
    /// The endpoint that was picked last.
    pub(super) endpoint: Option<Backend>,
    /// The request's source where it reached a pod.
    pub(super) source_at_pod: Option<IpAddr>,
    /// What the packet under way to the next node was forwarded for: the eBPF dataplane only.
    pub(super) forwarded: Option<Forwarded<'a>>,
    /// What the sender's socket was asked for, and what it sends instead: the eBPF dataplane only.
    pub(super) socket: Option<Tracked>,
    /// The nodes whose conntrack does not know the request (doNotTrack).
    pub(super) untracked_on: Vec<NodeId>,
    /// What the routers outside the nodes had to pass on.
    pub(super) routed: Vec<Packet>,
    /// Whether it is the reply that is under way.
    pub(super) replying: bool,
    machines: usize,
}

/// What a node does to packets. The network between nodes, routes and policies are the same for all.
pub(super) trait Dataplane: Sync {
    /// A request comes in by a device.
    fn receive(&self, walk: &mut Walk<'_>, node: NodeId, packet: Packet, from: Device) -> End;

    /// A process of the node sends a request.
    fn send_from_host(&self, walk: &mut Walk<'_>, node: NodeId, packet: Packet) -> End;

    /// A reply comes in by a device, or from a process of the node.
    fn pass_reply(
        &self,
        walk: &mut Walk<'_>,
        node: NodeId,
        packet: Packet,
        from: Option<Device>,
    ) -> End;

    /// Why nothing that it does is certain, if nothing is.
    fn doubt(&self) -> Option<Doubt> {
        None
    }
}

/// A place where new connections go different ways.
#[derive(Clone, Debug)]
pub(super) struct Fork {
    pub(super) taken: usize,
    pub(super) of: usize,
    /// How many of the new connections go this way, from 0 to 1.
    pub(super) share: f64,
    /// The ways of a fork of nodes, each with how many nodes it stands for.
    nodes: Rc<[(NodeId, usize)]>,
}

/// A connection as a machine remembers it: how it came, and how its replies will come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracked {
    pub(super) machine: Machine,
    pub(super) original: Packet,
    /// The packet as it left, rewritten.
    pub(super) rewritten: Packet,
    /// The node that forwarded it here as it was: its answer goes back through that one.
    pub(super) forwarded_by: Option<NodeId>,
}

/// A packet that a node forwards as it is to the endpoint's node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forwarded<'a> {
    /// The node that forwards.
    pub(super) by: NodeId,
    /// The endpoint that it picked.
    pub(super) to: &'a Endpoint,
}

/// How a packet's way ends.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// At a pod's socket.
    Pod(PodId, Packet),
    /// At a socket of a node.
    Host(NodeId, Packet),
    /// At a machine outside.
    Outside(Machine, Packet),
    /// Nowhere.
    Failed(Box<Failure>),
}

/// How a packet's way ends early.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) verdict: Verdict,
    pub(super) cause: Cause,
    /// For an answer that must find its way back: the node that rejects, and what it rejects.
    pub(super) rejected_by: Option<(NodeId, Packet)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        cluster: &'a Cluster,
        dataplane: &'static dyn Dataplane,
        script: Vec<Fork>,
    ) -> Self {
        Self {
            cluster,
            dataplane,
            front: None,
            outside: Vec::new(),
            script,
            forks: Vec::new(),
            steps: Vec::new(),
            tracked: Vec::new(),
            endpoint: None,
            source_at_pod: None,
            forwarded: None,
            socket: None,
            untracked_on: Vec::new(),
            routed: Vec::new(),
            replying: false,
            machines: 0,
        }
    }

    /// Takes one of several equally likely ways; every way is walked in a walk of its own.
    pub(super) fn fork(&mut self, ways: usize) -> usize {
        if ways < 2 {
            return 0;
        }
        let taken = self.come_to().map_or(0, |fork| fork.taken);
        #[expect(clippy::cast_precision_loss, reason = "there are only so many")]
        let share = 1.0 / ways as f64;
        self.forks.push(Fork { taken, of: ways, share, nodes: Rc::default() });
        taken
    }

    /// The next fork, if it was come to before.
    fn come_to(&self) -> Option<&Fork> {
        self.script.get(self.forks.len())
    }

    /// Takes one of several equally likely nodes, and says how many others are the same to a
    /// packet for `service`: of nodes that are alike, one stands for all that have no endpoint of
    /// it and are not the packet's own.
    pub(super) fn fork_nodes(
        &mut self,
        nodes: &[NodeId],
        service: Option<&Service>,
        packet: &Packet,
    ) -> Option<(NodeId, usize)> {
        if nodes.is_empty() {
            return None;
        }
        let (taken, ways) = match self.come_to() {
            Some(fork) => (fork.taken, Rc::clone(&fork.nodes)),
            None => (0, self.ways(nodes, service, packet).into()),
        };
        let &(node, weight) = ways.get(taken)?;
        #[expect(clippy::cast_precision_loss, reason = "there are only so many")]
        let share = weight as f64 / nodes.len() as f64;
        self.forks.push(Fork { taken, of: ways.len(), share, nodes: ways });
        Some((node, weight - 1))
    }

    /// The nodes that make a difference, each with how many it stands for.
    fn ways(
        &self,
        nodes: &[NodeId],
        service: Option<&Service>,
        packet: &Packet,
    ) -> Vec<(NodeId, usize)> {
        let mut own: BTreeSet<NodeId> = service
            .iter()
            .flat_map(|service| &service.ports)
            .flat_map(|port| &port.endpoints)
            .filter_map(|endpoint| endpoint.node)
            .collect();
        for address in [packet.source, packet.destination] {
            own.extend(self.cluster.node_by_address.get(&address));
            let pod = self.cluster.pod_by_address.get(&address);
            own.extend(pod.and_then(|pod| self.cluster.pod(*pod)).map(|pod| pod.node));
        }
        let mut ways: Vec<(NodeId, usize)> = Vec::new();
        let mut of_class: BTreeMap<NodeClass, usize> = BTreeMap::new();
        for &node in nodes {
            let class = self.cluster.alike.get(node.0).filter(|_| !own.contains(&node));
            let seen = class.and_then(|class| of_class.get(class)).and_then(|at| ways.get_mut(*at));
            if let Some((_, weight)) = seen {
                *weight += 1;
            } else {
                of_class.extend(class.map(|class| (*class, ways.len())));
                ways.push((node, 1));
            }
        }
        ways
    }

    /// Enters one more machine, unless the packet goes in circles.
    pub(super) fn enter(&mut self) -> Result<(), Box<End>> {
        self.machines += 1;
        if self.machines <= MAX_MACHINES {
            return Ok(());
        }
        Err(Box::new(End::circles()))
    }

    /// Starts the way back: the steps so far are the request's.
    pub(super) fn turn(&mut self) -> Vec<Step> {
        self.machines = 0;
        self.replying = true;
        std::mem::take(&mut self.steps)
    }

    /// Leaves a step. The returned reference is for what only some steps have.
    pub(super) fn step(
        &mut self,
        (machine, hook): (Machine, Hook),
        fact: Fact,
        before: &Packet,
        after: &Packet,
    ) -> &mut Step {
        let (before, after) = (*before, *after);
        let evidence = Vec::new();
        let step = Step { machine, hook, device: None, before, after, fact, evidence, doubt: None };
        self.steps.push(step);
        let last = self.steps.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "it was pushed just now")]
        &mut self.steps[last]
    }

    /// The connection fails with the last step.
    pub(super) fn fail(&self, verdict: Verdict, kind: CauseKind, cite: Option<Cite>) -> End {
        let at = self.steps.len().saturating_sub(1);
        let because = Because::Step { reply: self.replying, at };
        let cause = Cause { kind, cite, because, unheard: false };
        End::Failed(Box::new(Failure { verdict, cause, rejected_by: None }))
    }

    /// The same, for what the step cites.
    pub(super) fn fail_for(&self, verdict: Verdict, kind: CauseKind, evidence: Evidence) -> End {
        self.fail(verdict, kind, Some(evidence.cite(self.cluster)))
    }

    /// Remembers a connection.
    pub(super) fn track(&mut self, machine: Machine, original: &Packet, rewritten: &Packet) {
        self.track_forwarded(machine, original, rewritten, None);
    }

    /// Remembers a connection, with the node that forwarded its packets.
    pub(super) fn track_forwarded(
        &mut self,
        machine: Machine,
        original: &Packet,
        rewritten: &Packet,
        forwarded_by: Option<NodeId>,
    ) {
        let (original, rewritten) = (*original, *rewritten);
        self.tracked.push(Tracked { machine, original, rewritten, forwarded_by });
    }

    /// The connection that `reply` answers, as `machine` remembers it.
    pub(super) fn recall(&self, machine: Machine, reply: &Packet) -> Option<Tracked> {
        self.tracked.iter().rev().copied().find(|known| {
            known.machine == machine && known.rewritten.answered().same_connection(reply)
        })
    }
}

impl Step {
    pub(super) fn by(&mut self, device: Device) -> &mut Self {
        self.device = Some(device);
        self
    }

    pub(super) fn because(&mut self, evidence: impl IntoIterator<Item = Evidence>) -> &mut Self {
        self.evidence.extend(evidence);
        self
    }

    pub(super) fn doubtful(&mut self, doubt: Option<Doubt>) -> &mut Self {
        self.doubt = doubt;
        self
    }
}

impl End {
    /// Back where it was, as it was.
    pub(super) fn circles() -> Self {
        Self::without_step(Verdict::Dropped, CauseKind::NoRoute, Because::Circles)
    }

    /// The balancer has no node to send it to.
    pub(super) fn no_target(balancer: BalancerId, why: NoTarget) -> Self {
        let because = Because::NoTarget(balancer, why);
        Self::without_step(Verdict::Rejected, CauseKind::NoSuchDestination, because)
    }

    fn without_step(verdict: Verdict, kind: CauseKind, because: Because) -> Self {
        let cause = Cause { kind, cite: None, because, unheard: false };
        Self::Failed(Box::new(Failure { verdict, cause, rejected_by: None }))
    }
}
