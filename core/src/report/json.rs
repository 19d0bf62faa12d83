//! The JSON contract of `hopwise trace --format json`: names are only ever added.
//!
//! `gates` and `rewrites` are views of the request's steps; `hops` and `reply` are all of them.

use std::net::IpAddr;

use serde::Serialize;

use crate::analysis::{Check, Matrix};
use crate::cluster::Cluster;
use crate::datapath::{Gate, Outcome, Rule, Step, Trace};
use crate::decision::{Asked, Decision, Evaluation, Says, Staged};
use crate::escape;
use crate::net::{Direction, Packet, Protocol, Verdict};
use crate::scenario::ExpectedProblem;
use crate::text::{Cite, Problem};
use crate::words::{
    Inspect, Line, cause, doubt, evidence, names, policy, rules, summary, unresolved,
};

/// What `trace --format json` prints for a flow, on one line.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The flow as it was written.
    pub flow: String,
    /// All outcomes in one word.
    pub verdict: Verdict,
    /// One for each way that new connections can go.
    pub outcomes: Vec<OutcomeJson>,
}

/// One way that new connections can go.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeJson {
    /// Of the new connections, from 0 to 1.
    pub share: f64,
    /// `pod/NAMESPACE/NAME` or an address.
    pub endpoint: Option<String>,
    /// What the client sees.
    pub verdict: Verdict,
    /// Why it was not delivered; absent when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseJson>,
    /// The peer address that the application got, once delivered.
    pub source_seen_by_app: Option<IpAddr>,
    /// The request's source where it reached the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_at_pod: Option<IpAddr>,
    /// Every policy evaluation of the request, in order.
    pub gates: Vec<GateJson>,
    /// Every NAT of the request, in order.
    pub rewrites: Vec<RewriteJson>,
    /// The request's way.
    pub hops: Vec<Hop>,
    /// The answer's way back; empty if the request did not arrive.
    pub reply: Vec<Hop>,
}

/// Why a connection did not come about.
#[derive(Clone, Debug, Serialize)]
pub struct CauseJson {
    /// The class.
    pub kind: crate::datapath::CauseKind,
    /// The object that decided: `NetworkPolicy foo/test`.
    pub object: Option<String>,
    /// The deciding field's path in it.
    pub field: Option<String>,
    /// Its line in the text, from 1.
    pub line: Option<u32>,
    /// One sentence.
    pub message: String,
}

/// A policy evaluation.
#[derive(Clone, Debug, Serialize)]
pub struct GateJson {
    /// The machine that evaluates.
    pub node: String,
    /// The netfilter hook.
    pub hook: String,
    /// Which of the pod's two questions.
    pub direction: Direction,
    /// Whose policies.
    pub pod: String,
    /// The source that they are asked about.
    pub source: IpAddr,
    /// The destination, with its port.
    pub destination: String,
    /// `Allow` or `Deny`.
    pub verdict: &'static str,
    /// The deciding policy, or `no policy`.
    pub by: String,
    /// The deciding field's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The deciding line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// One sentence.
    pub reason: String,
}

/// A NAT.
#[derive(Clone, Debug, Serialize)]
pub struct RewriteJson {
    /// The machine that rewrites.
    pub node: String,
    /// The netfilter hook.
    pub hook: String,
    /// `DNAT` or `SNAT`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What stood there before: an address with its port for a DNAT, an address for an SNAT.
    pub from: String,
    /// What stands there after.
    pub to: String,
    /// For an SNAT, the device that the packet leaves by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// One thing that happened to the packet.
#[derive(Clone, Debug, Serialize)]
pub struct Hop {
    /// `client/NAME`, `loadBalancer/NAME`, `router` or `node/NAME`.
    pub machine: String,
    /// Where on the machine.
    pub hook: String,
    /// The device, or the pod behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What kind of thing.
    pub rule: Rule,
    /// The packet before.
    pub before: PacketJson,
    /// The packet after.
    pub after: PacketJson,
    /// One sentence.
    pub summary: String,
    /// What in the text, or which default, made it happen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceJson>,
    /// The rules as the machine's own tools print them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// How to see it on a real machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inspect: Option<Inspect>,
    /// The policy evaluation, if it is one, with everything that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<HopGate>,
    /// Why this is not certain, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncertain: Option<String>,
}

/// A packet's headers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PacketJson {
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Protocol,
    /// Source address.
    pub source: IpAddr,
    /// Absent for a client's random port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    /// Destination address.
    pub destination: IpAddr,
    /// Absent for a client's random port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    /// The header that a tunnel put around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer: Option<OuterJson>,
}

/// The header around a packet in a tunnel.
#[derive(Clone, Debug, Serialize)]
pub struct OuterJson {
    /// `IPIP`, `VXLAN` or `WireGuard`.
    pub encapsulation: &'static str,
    /// The sending node's address.
    pub source: IpAddr,
    /// The receiving node's address.
    pub destination: IpAddr,
}

/// A decision of a pod's policies with everything that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct HopGate {
    /// Which question.
    pub direction: Direction,
    /// Whose policies.
    pub pod: String,
    /// The answer.
    #[serde(flatten)]
    pub decision: DecisionJson,
    /// What was looked at, misses included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceJson>,
}

/// The answer to one question.
#[derive(Clone, Debug, Serialize)]
pub struct DecisionJson {
    /// `Allow` or `Deny`.
    pub verdict: &'static str,
    /// The deciding policy, or `no policy`.
    pub by: String,
    /// The deciding field's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The deciding line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// One sentence.
    pub reason: String,
    /// The policies that select the endpoint, as far as they were asked, in that order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<AskedJson>,
    /// What staged policies would do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub staged: Vec<StagedJson>,
    /// Why it is not certain, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncertain: Option<String>,
}

/// A policy that was asked, or the end of a tier.
#[derive(Clone, Debug, Serialize)]
pub struct AskedJson {
    /// The tier.
    pub tier: String,
    /// The policy; `null` is the tier's end.
    pub policy: Option<String>,
    /// Its order or priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<f64>,
    /// `Allow`, `Deny`, `Pass`, or `Nothing` if no rule matches.
    pub says: Says,
}

/// What staged policies would do if they were enforced.
#[derive(Clone, Debug, Serialize)]
pub struct StagedJson {
    /// Which.
    pub policies: Vec<String>,
    /// The line of the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// `Allow` or `Deny`.
    pub would: &'static str,
    /// One sentence.
    pub finding: String,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceJson {
    /// The object.
    pub object: String,
    /// The field's path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// Its line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Did it match?
    pub matched: bool,
    /// What was found.
    pub finding: String,
}

/// The trace as the contract has it.
pub fn answer(cluster: &Cluster, trace: &Trace) -> Answer {
    Answer {
        flow: trace.flow.to_string(),
        verdict: trace.verdict,
        outcomes: trace.outcomes.iter().map(|it| outcome(cluster, it)).collect(),
    }
}

/// The trace as the contract has it, on one line, without the line's end.
pub fn trace_line(cluster: &Cluster, trace: &Trace) -> String {
    // Maps with keys that are no strings are all that can fail, and there are none.
    escape::json(&serde_json::to_string(&answer(cluster, trace)).unwrap_or_default())
}

/// What `evaluate --format json` prints for a flow, on one line.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluationJson {
    /// The flow as it was written.
    pub flow: String,
    /// May it pass both ends?
    pub allowed: bool,
    /// The destination's policies.
    pub ingress: DecisionJson,
    /// The source's policies.
    pub egress: DecisionJson,
    /// What the flow names that is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The evaluation as the contract has it, on one line, without the line's end.
pub fn evaluation_line(cluster: &Cluster, evaluation: &Evaluation) -> String {
    let problem = evaluation.problem.as_ref().map(|why| unresolved(cluster, why).to_string());
    let answer = |of: &Decision| {
        let mut answer = decision(cluster, of);
        if let Some(problem) = &problem {
            answer.reason.clone_from(problem);
        }
        answer
    };
    let line = EvaluationJson {
        flow: evaluation.flow.to_string(),
        allowed: evaluation.allowed,
        ingress: answer(&evaluation.ingress),
        egress: answer(&evaluation.egress),
        problem: problem.clone(),
    };
    escape::json(&serde_json::to_string(&line).unwrap_or_default())
}

/// The matrix on one line: `rows`, `columns`, and in `cells` a list of answers for each row and
/// column, one for each of the column's ports; `null` for a single pod and itself.
pub fn matrix_line(matrix: &Matrix) -> String {
    escape::json(&serde_json::to_string(matrix).unwrap_or_default())
}

/// Where an expectation stands that `check --format json` tells.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Place<'a> {
    /// The file's name.
    pub file: &'a str,
    /// The line in the file.
    pub line: u32,
    /// `metadata.name` of the Scenario.
    pub scenario: &'a str,
}

/// What `check --format json` prints for a flow, on one line. `sources` are those that the
/// destination's ingress policy was asked about.
pub fn check_line(place: Place<'_>, check: &Check<'_>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line<'a> {
        #[serde(flatten)]
        place: Place<'a>,
        name: &'a str,
        flow: String,
        expect: Option<Verdict>,
        expect_source: Option<IpAddr>,
        verdict: Verdict,
        sources: &'a [IpAddr],
        passed: bool,
    }
    let line = Line {
        place,
        name: &check.flow.name,
        flow: check.flow.flow.to_string(),
        expect: check.flow.expect,
        expect_source: check.flow.expect_source,
        verdict: check.trace.verdict,
        sources: &check.sources,
        passed: check.passed(),
    };
    escape::json(&serde_json::to_string(&line).unwrap_or_default())
}

/// What `check --format json` prints for a problem that must be found, on one line; `message` is
/// what was found.
pub fn problem_line(
    place: Place<'_>,
    expected: &ExpectedProblem,
    found: Option<&Problem>,
) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line<'a> {
        #[serde(flatten)]
        place: Place<'a>,
        expect_problem: &'a str,
        message: Option<&'a str>,
        passed: bool,
    }
    let line = Line {
        place,
        expect_problem: &expected.part,
        message: found.map(|found| found.message.as_str()),
        passed: found.is_some(),
    };
    escape::json(&serde_json::to_string(&line).unwrap_or_default())
}

/// All that `check` looked at; the last line of `check --format json`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Checked {
    /// Files that were read.
    pub files: usize,
    /// Scenarios in them.
    pub scenarios: usize,
    /// Flows and problems that a Scenario expects something of.
    pub expectations: usize,
    /// Those that were not met.
    pub failed: usize,
}

/// What was looked at, on one line.
pub fn checked_line(checked: Checked) -> String {
    escape::json(&serde_json::to_string(&checked).unwrap_or_default())
}

/// The policy evaluations of a request, in order.
pub fn gates(cluster: &Cluster, steps: &[Step]) -> Vec<GateJson> {
    let gates = steps.iter().filter_map(|step| Some((step, step.gate()?)));
    gates.map(|(step, gate)| gate_of(cluster, step, gate)).collect()
}

/// The NATs of a request, in order.
pub fn rewrites(cluster: &Cluster, steps: &[Step]) -> Vec<RewriteJson> {
    let mut rewrites = Vec::new();
    for step in steps {
        let (before, after) = (&step.before, &step.after);
        let mut push = |kind, from, to, device| {
            let node = names::own_name(cluster, step.machine);
            let hook = step.hook.to_string();
            rewrites.push(RewriteJson { node, hook, kind, from, to, device });
        };
        if (before.destination, before.destination_port)
            != (after.destination, after.destination_port)
        {
            push("DNAT", before.to(), after.to(), None);
        }
        if before.source != after.source {
            let (from, to) = (before.source.to_string(), after.source.to_string());
            push("SNAT", from, to, names::step_device(cluster, step));
        }
    }
    rewrites
}

fn outcome(cluster: &Cluster, outcome: &Outcome) -> OutcomeJson {
    let hops = |steps: &[Step]| steps.iter().map(|step| hop(cluster, step)).collect();
    OutcomeJson {
        share: outcome.share,
        endpoint: outcome.endpoint.map(|it| names::backend(cluster, it)),
        verdict: outcome.verdict,
        cause: cause_of(cluster, outcome),
        source_seen_by_app: outcome.source_seen_by_app,
        source_at_pod: outcome.source_at_pod,
        gates: gates(cluster, &outcome.steps),
        rewrites: rewrites(cluster, &outcome.steps),
        hops: hops(&outcome.steps),
        reply: hops(&outcome.reply),
    }
}

fn cause_of(cluster: &Cluster, outcome: &Outcome) -> Option<CauseJson> {
    let found = outcome.cause.as_ref()?;
    let cite = found.cite.as_ref();
    Some(CauseJson {
        kind: found.kind,
        object: cite.map(|c| c.object.to_string()),
        field: cite.map(|c| c.field.clone()),
        line: cite.and_then(line),
        message: cause(cluster, outcome)?.to_string(),
    })
}

fn gate_of(cluster: &Cluster, step: &Step, gate: &Gate) -> GateJson {
    let decided = policy::explain(cluster, step, gate);
    let DecisionJson { verdict, by, field, line, reason, .. } = decision(cluster, &decided);
    let asked = step.asked();
    GateJson {
        node: names::own_name(cluster, step.machine),
        hook: step.hook.to_string(),
        direction: gate.direction,
        pod: names::subject(cluster, gate.who),
        source: asked.source,
        destination: asked.to(),
        verdict,
        by,
        field,
        line,
        reason,
    }
}

fn decision(cluster: &Cluster, decision: &Decision) -> DecisionJson {
    let cite = decision.cite.as_ref();
    let uncertain = decision.uncertain.as_ref();
    DecisionJson {
        verdict: policy::decision(decision),
        by: policy::by(decision),
        field: cite.map(|c| c.field.clone()),
        line: cite.and_then(line),
        reason: policy::reason(cluster, decision).to_string(),
        asked: decision.asked.iter().map(asked).collect(),
        staged: decision.staged.iter().map(|it| staged(cluster, it)).collect(),
        uncertain: uncertain.map(|doubt| policy::doubt(cluster, doubt).to_string()),
    }
}

fn asked(asked: &Asked) -> AskedJson {
    AskedJson {
        tier: asked.tier.clone(),
        policy: asked.policy.as_ref().map(ToString::to_string),
        order: asked.order,
        says: asked.says,
    }
}

fn staged(cluster: &Cluster, staged: &Staged) -> StagedJson {
    StagedJson {
        policies: staged.policies.iter().map(|policy| policy.object.to_string()).collect(),
        line: line(&staged.cite),
        would: if staged.allow { "Allow" } else { "Deny" },
        finding: policy::staged(cluster, staged).to_string(),
    }
}

fn hop(cluster: &Cluster, step: &Step) -> Hop {
    let (rules, inspect) = rules(cluster, step);
    let gate = step.gate().map(|gate| {
        let decided = policy::explain(cluster, step, gate);
        let looked_at = decided.evidence.iter().map(|it| looked_at(&policy::line(cluster, it)));
        HopGate {
            direction: gate.direction,
            pod: names::subject(cluster, gate.who),
            evidence: looked_at.collect(),
            decision: decision(cluster, &decided),
        }
    });
    Hop {
        machine: names::machine_notation(cluster, step.machine),
        hook: step.hook.to_string(),
        device: names::step_device(cluster, step),
        rule: step.rule(),
        before: packet(&step.before),
        after: packet(&step.after),
        summary: summary(cluster, step).to_string(),
        evidence: evidence(cluster, step).iter().map(looked_at).collect(),
        rules,
        inspect,
        gate,
        uncertain: doubt(cluster, step).map(|doubt| doubt.to_string()),
    }
}

fn packet(packet: &Packet) -> PacketJson {
    PacketJson {
        protocol: packet.protocol,
        source: packet.source,
        source_port: packet.source_port,
        destination: packet.destination,
        destination_port: packet.destination_port,
        outer: packet.outer.map(|outer| OuterJson {
            encapsulation: names::encapsulation(outer.encapsulation),
            source: outer.source,
            destination: outer.destination,
        }),
    }
}

fn looked_at(found: &Line) -> EvidenceJson {
    EvidenceJson {
        object: found.cite.object.to_string(),
        field: found.cite.field.clone(),
        line: line(&found.cite),
        matched: found.matched,
        finding: found.finding.to_string(),
    }
}

fn line(cite: &Cite) -> Option<u32> {
    cite.span.map(|span| span.line)
}
