//! What is worth drawing of an outcome: its steps told in beats, whatever the layout.

use std::net::IpAddr;
use std::ops::Range;

use crate::cluster::{Cluster, Outside, PodId};
use crate::datapath::{Fact, Gate, Machine, Outcome, Rule, Step, Subject};
use crate::decision::By;
use crate::net::{Direction, Encapsulation, Outer, Packet, Verdict, address_and_port};
use crate::text::Origin;
use crate::words::names::machine;
use crate::words::{Named, Owner, caption, owner_of, rewriting};

/// An outcome as the picture tells it.
pub(super) struct Story<'a> {
    pub(super) cluster: &'a Cluster,
    /// Machines in path order.
    pub(super) lanes: Vec<Stage>,
    /// The stations.
    pub(super) beats: Vec<Beat<'a>>,
    /// How long each address holds.
    pub(super) holds: Vec<Hold>,
    /// Where a denied packet would have gone.
    pub(super) missed: Option<Actor>,
    /// The answer's way.
    pub(super) reply: Vec<Return<'a>>,
    /// How many steps the request has.
    pub(super) steps: usize,
}

/// A machine.
pub(super) struct Stage {
    pub(super) machine: Machine,
    pub(super) name: String,
    pub(super) address: String,
    pub(super) assumed: bool,
}

/// A pod, process or machine at one of the path's ends.
#[derive(Clone)]
pub(super) struct Actor {
    pub(super) what: &'static str,
    pub(super) name: String,
    /// The whole name.
    pub(super) full: String,
    pub(super) owner: Owner,
    pub(super) assumed: bool,
}

/// A place where something happens, with the trivial steps around it.
pub(super) struct Beat<'a> {
    /// The steps, by index into the outcome's.
    pub(super) steps: Range<usize>,
    /// The step that it is named after.
    pub(super) main: usize,
    pub(super) step: &'a Step,
    /// The packet when it goes on.
    pub(super) after: &'a Packet,
    /// Whose the source address is when it goes on.
    pub(super) source_owner: Owner,
    /// Index into [`Story::lanes`].
    pub(super) lane: usize,
    pub(super) sort: Sort,
    /// What it is.
    pub(super) title: String,
    /// What it does.
    pub(super) note: String,
}

/// What is drawn for a beat.
#[derive(Clone)]
pub(super) enum Sort {
    /// One of the path's ends.
    End(Actor),
    /// A place that the packet passes unchanged.
    Point,
    /// An address is rewritten.
    Rewrite,
    /// Wrapped for a tunnel.
    Wrap,
    /// Unwrapped.
    Unwrap,
    /// A policy lets it pass.
    Open,
    /// No policy restricts the pod.
    Free,
    /// A policy isn't asked.
    Skipped,
    /// The path ends here.
    Stop {
        /// By a policy.
        gate: bool,
    },
}

/// One of the ribbons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Row {
    /// The source address.
    Source,
    /// The destination address and port.
    Destination,
    /// The tunnel's header.
    Outer,
}

/// A value that holds for a while.
pub(super) struct Hold {
    pub(super) row: Row,
    /// The beat that makes it.
    pub(super) from: usize,
    /// The beat that replaces it; `None` if it holds to the end.
    pub(super) to: Option<usize>,
    pub(super) ip: IpAddr,
    pub(super) owner: Owner,
    /// Addresses, a line each.
    pub(super) values: Vec<String>,
    /// Whose, and how it came about.
    pub(super) name: String,
    /// The tunnel, for its header.
    pub(super) how: Option<Encapsulation>,
}

/// A stretch of the answer's way on one machine.
pub(super) struct Return<'a> {
    /// Index into [`Story::lanes`].
    pub(super) lane: usize,
    /// What happens there, with the steps that lead to it, by index into the outcome's reply.
    pub(super) marks: Vec<(Range<usize>, &'a Step, Mark)>,
}

/// What happens to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is translated back.
    UnNat,
    /// Its asker takes it.
    Taken,
    /// It is lost.
    Lost,
}

impl<'a> Story<'a> {
    pub(super) fn of(cluster: &'a Cluster, outcome: &'a Outcome) -> Self {
        let mut story = Self {
            cluster,
            lanes: vec![],
            beats: vec![],
            holds: vec![],
            missed: None,
            reply: vec![],
            steps: 0,
        };
        story.steps = outcome.steps.len();
        let stopped = stopped(outcome);
        for (steps, main) in merge(&outcome.steps) {
            let Some(step) = outcome.steps.get(main) else { continue };
            let last = steps.end == outcome.steps.len();
            let after =
                steps.clone().next_back().and_then(|i| outcome.steps.get(i)).unwrap_or(step);
            let lane = story.lane(cluster, step.machine);
            let sort = sort(cluster, step, steps.start == 0, last && stopped);
            let (title, note) = caption(cluster, step, matches!(sort, Sort::Stop { .. }));
            let after = &after.after;
            let source_owner = owner_of(cluster, after.source).owner;
            story.beats.push(Beat {
                steps,
                main,
                step,
                after,
                source_owner,
                lane,
                sort,
                title,
                note,
            });
        }
        story.missed = story.beats.last().and_then(|beat| match (&beat.sort, beat.step.gate()?) {
            (Sort::Stop { gate: true }, Gate { who, direction: Direction::Ingress, .. }) => {
                Some(match who {
                    Subject::Pod(id) => pod(cluster, *id),
                    Subject::Host(..) => at(cluster, beat.step),
                })
            }
            _ => None,
        });
        story.hold(cluster);
        story.answer(cluster, outcome);
        story
    }

    fn lane(&mut self, cluster: &Cluster, machine: Machine) -> usize {
        if let Some(index) = self.lanes.iter().position(|lane| lane.machine == machine) {
            return index;
        }
        self.lanes.push(stage(cluster, machine));
        self.lanes.len() - 1
    }

    fn hold(&mut self, cluster: &Cluster) {
        for row in [Row::Source, Row::Destination, Row::Outer] {
            let mut holds: Vec<Hold> = Vec::new();
            let mut now: Option<Value> = None;
            for (index, beat) in self.beats.iter().enumerate() {
                let value = Value::of(row, beat.after);
                if value == now {
                    continue;
                }
                if let Some(hold) = holds.last_mut().filter(|hold| hold.to.is_none()) {
                    hold.to = Some(index);
                }
                if let Some(value) = &value {
                    let Named { owner, name } = value.name(cluster);
                    let note = if row == Row::Source { rewriting(beat.step) } else { None };
                    let name = note.map_or_else(|| name.clone(), |how| format!("{name} · {how}"));
                    let values = value.lines();
                    let (ip, how) = match value {
                        Value::Outer(outer) => (outer.source, Some(outer.encapsulation)),
                        Value::Address(ip, _) => (*ip, None),
                    };
                    holds.push(Hold { row, from: index, to: None, ip, owner, values, name, how });
                }
                now = value;
            }
            self.holds.append(&mut holds);
        }
    }

    fn answer(&mut self, cluster: &Cluster, outcome: &'a Outcome) {
        let end = outcome.reply.len().saturating_sub(1);
        let mut told = 0;
        for (index, step) in outcome.reply.iter().enumerate() {
            let mark = match step.rule() {
                Rule::ReplyDelivered => Some(Mark::Taken),
                _ if index == end => Some(Mark::Lost),
                // Only nodes and balancers translate.
                _ => {
                    let translates =
                        matches!(step.machine, Machine::Node(_) | Machine::Balancer(_));
                    (translates && step.rewrites()).then_some(Mark::UnNat)
                }
            };
            if step.machine == Machine::Router && mark.is_none() {
                continue;
            }
            let lane = self.lane(cluster, step.machine);
            if self.reply.last().is_none_or(|visit| visit.lane != lane) {
                self.reply.push(Return { lane, marks: Vec::new() });
            }
            if let (Some(visit), Some(mark)) = (self.reply.last_mut(), mark) {
                match visit.marks.last_mut() {
                    // A machine translates back once, in however many steps.
                    Some((steps, last, Mark::UnNat)) if mark == Mark::UnNat => {
                        steps.end = index + 1;
                        *last = step;
                    }
                    _ => visit.marks.push((told..index + 1, step, mark)),
                }
                told = index + 1;
            }
        }
    }
}

/// Whether the request itself did not arrive.
fn stopped(outcome: &Outcome) -> bool {
    let end = outcome.steps.last().map(Step::rule);
    outcome.verdict != Verdict::Delivered
        && !matches!(end, Some(Rule::DeliverToPod | Rule::DeliverToHost))
}

/// Steps in beats: what merely happens on the way to another step belongs to it.
fn merge(steps: &[Step]) -> Vec<(Range<usize>, usize)> {
    #[derive(PartialEq)]
    enum Fate {
        Own,
        WithNext,
        WithPrevious,
    }
    let fate = |index: usize, step: &Step| {
        let beside = |other: Option<&Step>| other.is_some_and(|o| o.machine == step.machine);
        let next = steps.get(index + 1);
        let previous = index.checked_sub(1).and_then(|i| steps.get(i));
        let last = next.is_none();
        if last || index == 0 {
            return Fate::Own;
        }
        match step.rule() {
            Rule::DeviceIn if beside(next) => {
                let unwraps = next.is_some_and(|n| n.rule() == Rule::Decapsulate);
                if unwraps || step.pod().is_some() { Fate::WithNext } else { Fate::Own }
            }
            Rule::DeviceIn | Rule::DeviceOut if beside(previous) => Fate::WithPrevious,
            Rule::RouterForward if !step.rewrites() => Fate::WithPrevious,
            _ => Fate::Own,
        }
    };
    let mut beats: Vec<(Range<usize>, usize)> = Vec::new();
    let mut pending = None;
    for (index, step) in steps.iter().enumerate() {
        match (fate(index, step), beats.last_mut()) {
            (Fate::WithPrevious, Some((range, _))) if pending.is_none() => range.end = index + 1,
            (Fate::Own, _) => beats.push((pending.take().unwrap_or(index)..index + 1, index)),
            _ => pending = pending.or(Some(index)),
        }
    }
    beats
}

fn sort(cluster: &Cluster, step: &Step, first: bool, ends: bool) -> Sort {
    match &step.fact {
        _ if ends => Sort::Stop { gate: step.gate().is_some() },
        _ if first => Sort::End(actor(cluster, step, step.after.source)),
        Fact::DeliverToPod { .. } | Fact::DeliverToHost(_) => {
            Sort::End(actor(cluster, step, step.after.destination))
        }
        Fact::GateSkipped(_) => Sort::Skipped,
        Fact::Gate(gate) if gate.ruling.by == By::NoPolicy => Sort::Free,
        Fact::Gate(_) => Sort::Open,
        Fact::Encapsulate(_) => Sort::Wrap,
        Fact::Decapsulate => Sort::Unwrap,
        _ if step.rewrites() => Sort::Rewrite,
        _ => Sort::Point,
    }
}

fn actor(cluster: &Cluster, step: &Step, ip: IpAddr) -> Actor {
    let name = machine(cluster, step.machine).to_string();
    match step.machine {
        Machine::Node(_) => {
            let known = cluster.pod_by_address.get(&ip).copied();
            let known = known.filter(|_| !matches!(step.fact, Fact::DeliverToHost(_)));
            match step.pod().or(known) {
                Some(id) => pod(cluster, id),
                None => Actor {
                    what: "host",
                    name: "process".to_owned(),
                    full: format!("a process on {name}’s own network"),
                    owner: Owner::Node,
                    assumed: false,
                },
            }
        }
        Machine::Balancer(_) => Actor {
            what: "balancer",
            name: name.clone(),
            full: name,
            owner: Owner::Balancer,
            assumed: false,
        },
        Machine::Client(_) | Machine::Router => Actor {
            what: "client",
            name: String::new(),
            full: name,
            owner: owner_of(cluster, ip).owner,
            assumed: false,
        },
    }
}

fn pod(cluster: &Cluster, id: PodId) -> Actor {
    let found = cluster.pod(id);
    let name = found.map_or("", |pod| pod.name.as_str());
    Actor {
        what: "pod",
        name: name.to_owned(),
        full: found.map_or_else(String::new, |pod| format!("pod {}/{name}", pod.namespace)),
        owner: Owner::Pod,
        assumed: found.is_some_and(|pod| matches!(pod.origin, Origin::Assumed(_))),
    }
}

/// Whoever has the address that a step's packet goes to.
fn at(cluster: &Cluster, step: &Step) -> Actor {
    let ip = step.after.destination;
    match cluster.pod_by_address.get(&ip) {
        Some(id) => pod(cluster, *id),
        None => Actor {
            what: "host",
            name: ip.to_string(),
            full: ip.to_string(),
            owner: owner_of(cluster, ip).owner,
            assumed: false,
        },
    }
}

fn stage(cluster: &Cluster, at: Machine) -> Stage {
    let found = match at {
        Machine::Client(Outside::Named(id)) => {
            cluster.clients.get(id.0).map(|client| (client.ip, &client.origin))
        }
        Machine::Balancer(id) => {
            cluster.balancers.get(id.0).map(|balancer| (balancer.ip, &balancer.origin))
        }
        // Its name is its address.
        Machine::Client(Outside::At(_)) | Machine::Router => None,
        Machine::Node(id) => cluster
            .node(id)
            .and_then(|node| node.addresses.first().map(|net| (net.addr(), &node.origin))),
    };
    Stage {
        machine: at,
        name: machine(cluster, at).to_string(),
        address: found.map_or_else(String::new, |(ip, _)| ip.to_string()),
        assumed: found.is_some_and(|(_, origin)| matches!(origin, Origin::Assumed(_))),
    }
}

/// What one row shows of a packet.
#[derive(Clone, Copy, PartialEq)]
enum Value {
    Address(IpAddr, Option<u16>),
    Outer(Outer),
}

impl Value {
    fn of(row: Row, packet: &Packet) -> Option<Self> {
        match row {
            Row::Source => Some(Self::Address(packet.source, None)),
            Row::Destination => Some(Self::Address(packet.destination, packet.destination_port)),
            Row::Outer => packet.outer.map(Self::Outer),
        }
    }

    fn name(self, cluster: &Cluster) -> Named {
        match self {
            Self::Address(ip, _) => owner_of(cluster, ip),
            Self::Outer(outer) => {
                let from = owner_of(cluster, outer.source);
                let to = owner_of(cluster, outer.destination);
                Named { owner: from.owner, name: format!("{} → {}", from.name, to.name) }
            }
        }
    }

    fn lines(self) -> Vec<String> {
        match self {
            Self::Address(ip, port) => vec![address_and_port(ip, port)],
            Self::Outer(outer) => {
                vec![outer.source.to_string(), format!("→ {}", outer.destination)]
            }
        }
    }
}
