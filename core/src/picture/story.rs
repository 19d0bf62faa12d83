//! What is worth drawing of an outcome: its steps told in beats, whatever the layout.

use std::net::IpAddr;
use std::ops::Range;

use crate::cluster::{Cluster, ProxyMode};
use crate::datapath::{Machine, Outcome, Rule, Step};
use crate::decision::By;
use crate::net::{Direction, Encapsulation, Packet, Verdict, address_and_port};
use crate::text::{ObjectRef, Origin};
use crate::words::names::machine_name;
use crate::words::{Named, Owner, owner_of};

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
            let lane = story.lane(cluster, &step.machine);
            let sort = sort(cluster, step, steps.start == 0, last && stopped);
            let (title, note) = words(cluster, step, &sort);
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
        story.missed = story.beats.last().and_then(|beat| match (&beat.sort, &beat.step.gate) {
            (Sort::Stop { gate: true }, Some(gate)) if gate.direction == Direction::Ingress => {
                Some(pod(cluster, &gate.pod, Some(beat.step.after.destination)))
            }
            _ => None,
        });
        story.hold(cluster);
        story.answer(cluster, outcome);
        story
    }

    fn lane(&mut self, cluster: &Cluster, machine: &Machine) -> usize {
        if let Some(index) = self.lanes.iter().position(|lane| lane.machine == *machine) {
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
                    let note = if row == Row::Source { how(beat.step.rule) } else { None };
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
            let mark = match step.rule {
                Rule::ReplyDelivered => Some(Mark::Taken),
                _ if index == end => Some(Mark::Lost),
                // Only nodes and balancers translate.
                _ => {
                    let translates =
                        matches!(step.machine, Machine::Node(_) | Machine::Balancer(_));
                    (translates && rewrites(step)).then_some(Mark::UnNat)
                }
            };
            if step.machine == Machine::Router && mark.is_none() {
                continue;
            }
            let lane = self.lane(cluster, &step.machine);
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
    let end = outcome.steps.last().map(|step| step.rule);
    outcome.verdict != Verdict::Delivered
        && !matches!(end, Some(Rule::DeliverToPod | Rule::DeliverToHost))
}

fn rewrites(step: &Step) -> bool {
    (
        step.before.source,
        step.before.destination,
        step.before.source_port,
        step.before.destination_port,
    ) != (
        step.after.source,
        step.after.destination,
        step.after.source_port,
        step.after.destination_port,
    )
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
        match step.rule {
            Rule::DeviceIn if beside(next) => {
                let unwraps = next.is_some_and(|n| n.rule == Rule::Decapsulate);
                let veth = step.device.as_ref().is_some_and(|device| device.starts_with("pod/"));
                if unwraps || veth { Fate::WithNext } else { Fate::Own }
            }
            Rule::DeviceIn | Rule::DeviceOut if beside(previous) => Fate::WithPrevious,
            Rule::RouterForward if !rewrites(step) => Fate::WithPrevious,
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
    match step.rule {
        _ if ends => Sort::Stop { gate: step.gate.is_some() },
        _ if first => Sort::End(actor(cluster, step, step.after.source)),
        Rule::DeliverToPod | Rule::DeliverToHost => {
            Sort::End(actor(cluster, step, step.after.destination))
        }
        Rule::GateSkipped => Sort::Skipped,
        Rule::EgressGate | Rule::IngressGate | Rule::HostGate => match &step.gate {
            Some(gate) if gate.decision.by != By::NoPolicy => Sort::Open,
            _ => Sort::Free,
        },
        Rule::Encapsulate => Sort::Wrap,
        Rule::Decapsulate => Sort::Unwrap,
        _ if rewrites(step) => Sort::Rewrite,
        _ => Sort::Point,
    }
}

fn actor(cluster: &Cluster, step: &Step, ip: IpAddr) -> Actor {
    match &step.machine {
        Machine::Node(_) => {
            let name = step.device.as_deref().filter(|device| device.starts_with("pod/"));
            let known = cluster.pod_by_address.contains_key(&ip);
            if let Some(name) = name {
                return pod(cluster, name, Some(ip));
            }
            if known && step.rule != Rule::DeliverToHost {
                return pod(cluster, "", Some(ip));
            }
            Actor {
                what: "host",
                name: "process".to_owned(),
                full: format!("a process on {}’s own network", machine_name(&step.machine)),
                owner: Owner::Node,
                assumed: false,
            }
        }
        Machine::Balancer(_) => Actor {
            what: "balancer",
            name: machine_name(&step.machine),
            full: machine_name(&step.machine),
            owner: Owner::Balancer,
            assumed: false,
        },
        Machine::Client(_) | Machine::Router => Actor {
            what: "client",
            name: String::new(),
            full: machine_name(&step.machine),
            owner: owner_of(cluster, ip).owner,
            assumed: false,
        },
    }
}

/// A pod by its `pod/NAMESPACE/NAME`, or else by its address.
fn pod(cluster: &Cluster, name: &str, ip: Option<IpAddr>) -> Actor {
    let by_name = name.strip_prefix("pod/").and_then(|rest| rest.split_once('/'));
    let found = by_name
        .and_then(|(ns, name)| cluster.pods.iter().find(|p| p.namespace == ns && p.name == name))
        .or_else(|| {
            ip.and_then(|ip| cluster.pod_by_address.get(&ip)).and_then(|id| cluster.pods.get(id.0))
        });
    let (namespace, name) = found
        .map(|pod| (pod.namespace.as_str(), pod.name.as_str()))
        .or(by_name)
        .unwrap_or(("", name));
    Actor {
        what: "pod",
        name: name.to_owned(),
        full: if namespace.is_empty() {
            name.to_owned()
        } else {
            format!("pod {namespace}/{name}")
        },
        owner: Owner::Pod,
        assumed: found.is_some_and(|pod| matches!(pod.origin, Origin::Assumed(_))),
    }
}

fn stage(cluster: &Cluster, machine: &Machine) -> Stage {
    let found = match machine {
        Machine::Client(name) => {
            cluster.clients.iter().find(|c| c.name == *name).map(|c| (c.ip, &c.origin))
        }
        Machine::Balancer(name) => {
            cluster.balancers.iter().find(|b| b.name == *name).map(|b| (b.ip, &b.origin))
        }
        Machine::Router => None,
        Machine::Node(name) => cluster
            .nodes
            .iter()
            .find(|n| n.name == *name)
            .and_then(|n| n.addresses.first().map(|net| (net.addr(), &n.origin))),
    };
    let by_address = match machine {
        Machine::Client(name) => name.parse::<IpAddr>().ok(),
        _ => None,
    };
    Stage {
        machine: machine.clone(),
        name: machine_name(machine),
        address: found
            .map(|(ip, _)| ip)
            .or(by_address)
            .map_or_else(String::new, |ip| ip.to_string()),
        assumed: found.is_some_and(|(_, origin)| matches!(origin, Origin::Assumed(_))),
    }
}

/// A beat's title and note.
fn words(cluster: &Cluster, step: &Step, sort: &Sort) -> (String, String) {
    let device = || match step.device.as_deref() {
        Some(device) if device.starts_with("pod/") => "cali…".to_owned(),
        Some(device) => device.to_owned(),
        None => "device".to_owned(),
    };
    let ends = matches!(sort, Sort::Stop { .. });
    let proxy = if cluster.proxy.mode.value == ProxyMode::Ebpf { "eBPF" } else { "kube-proxy" };
    let tunnel = |wrapped: Option<crate::net::Outer>| {
        wrapped.map_or("a tunnel", |outer| encapsulation(outer.encapsulation))
    };
    let (title, note): (String, String) = match step.rule {
        Rule::Send => ("sends".into(), String::new()),
        Rule::DeviceIn => (device(), "in".into()),
        Rule::DeviceOut => (device(), "out".into()),
        Rule::Dnat => ("DNAT".into(), dnat(cluster, step)),
        Rule::NoEndpoints => ("no endpoints".into(), format!("{proxy} rejects")),
        Rule::NoLocalEndpoints => ("no local endpoint".into(), format!("{proxy} drops")),
        Rule::SourceRange => {
            let note = if ends { format!("{proxy} drops") } else { "passes".into() };
            ("source range".into(), note)
        }
        Rule::NoRoute => ("no route".into(), step.after.destination.to_string()),
        Rule::Martian => ("martian source".into(), "the node’s own address".into()),
        Rule::RpFilter => {
            ("rp_filter".into(), if ends { "wrong device: drops" } else { "passes" }.into())
        }
        Rule::EgressGate | Rule::IngressGate | Rule::GateSkipped | Rule::HostGate => gate(step),
        Rule::EndpointToHost => {
            ("pod to host".into(), if ends { "drops" } else { "accepts" }.into())
        }
        Rule::Masquerade => ("SNAT".into(), "masquerade".into()),
        Rule::NatOutgoing => ("SNAT".into(), "natOutgoing".into()),
        Rule::TunnelSource => ("SNAT".into(), "tunnel source".into()),
        Rule::Encapsulate => (device(), format!("wrap in {}", tunnel(step.after.outer))),
        Rule::Decapsulate => (device(), format!("unwrap {}", tunnel(step.before.outer))),
        Rule::BalancerForward => ("forward".into(), "keeps the source".into()),
        Rule::BalancerConnect => ("new connection".into(), "own source".into()),
        Rule::RouterForward => ("route".into(), "pass on".into()),
        Rule::ServiceLoop => {
            ("service loop".into(), if ends { "stopped" } else { "passes" }.into())
        }
        Rule::DeliverToPod | Rule::DeliverToHost => ("delivered".into(), String::new()),
        Rule::NoListener => ("no listener".into(), format!("on {}", port(&step.after))),
        Rule::UnNat => ("un-NAT".into(), String::new()),
        Rule::ReplyDelivered => ("answered".into(), String::new()),
        Rule::ReplyLost => ("reply lost".into(), String::new()),
    };
    (title, note)
}

fn port(packet: &Packet) -> String {
    packet.destination_port.map_or_else(
        || packet.protocol.to_string(),
        |port| format!("port {port}/{}", packet.protocol),
    )
}

fn dnat(cluster: &Cluster, step: &Step) -> String {
    let from = match owner_of(cluster, step.before.destination) {
        Named { owner: Owner::Node | Owner::Tunnel, .. } => "node port",
        Named { owner: Owner::Service, name } if name.starts_with("cluster") => "cluster IP",
        Named { owner: Owner::Service, name } if name.starts_with("external") => "external IP",
        Named { owner: Owner::Service | Owner::Balancer, .. } => "LB IP",
        _ => "service",
    };
    let to = match owner_of(cluster, step.after.destination).owner {
        Owner::Pod => "pod",
        Owner::Node => "host",
        _ => "endpoint",
    };
    format!("{from} → {to}")
}

fn gate(step: &Step) -> (String, String) {
    let Some(gate) = &step.gate else { return ("not policed".into(), String::new()) };
    let question = match (step.rule, gate.direction) {
        (Rule::HostGate, _) => "host policy",
        (_, Direction::Egress) => "egress policy",
        (_, Direction::Ingress) => "ingress policy",
    };
    if step.rule == Rule::GateSkipped {
        return (format!("{question} not asked"), String::new());
    }
    let answer = if gate.decision.allow { "allows" } else { "denies" };
    let by = match &gate.decision.by {
        By::NoPolicy => return (format!("no {question}"), String::new()),
        By::Policy(policy) => policy_name(policy),
        By::Isolation(policies) => match policies.as_slice() {
            [policy] => policy_name(policy),
            policies => format!("{} policies", policies.len()),
        },
    };
    (format!("{question} {answer}"), by)
}

fn policy_name(policy: &ObjectRef) -> String {
    policy.name.clone()
}

/// How a source address came about.
fn how(rule: Rule) -> Option<&'static str> {
    match rule {
        Rule::Masquerade => Some("masqueraded"),
        Rule::NatOutgoing => Some("natOutgoing"),
        Rule::TunnelSource => Some("by Calico"),
        Rule::BalancerConnect => Some("own connection"),
        _ => None,
    }
}

/// The tunnel protocol's name.
pub(super) fn encapsulation(kind: Encapsulation) -> &'static str {
    match kind {
        Encapsulation::Ipip => "IPIP",
        Encapsulation::Vxlan => "VXLAN",
        Encapsulation::Wireguard => "WireGuard",
    }
}

/// What one row shows of a packet.
#[derive(Clone, Copy, PartialEq)]
enum Value {
    Address(IpAddr, Option<u16>),
    Outer(crate::net::Outer),
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
