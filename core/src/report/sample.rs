//! A trace made by hand, so that what reports look like does not hang on the datapath.

use std::net::IpAddr;

use crate::datapath::{
    Cause, CauseKind, Evidence, Gate, Hook, Inspect, Machine, Outcome, Rule, Step, Trace,
};
use crate::decision::{
    self, By, Decision, Finding, Held, Miss, Reason, RuleRef, Seen, Traffic, Unmet,
};
use crate::net::{Direction, Encapsulation, Outer, Packet, Protocol, Verdict};
use crate::policy::form::Action;
use crate::text::{Cite, ObjectRef, Span};

/// A packet that is rewritten, wrapped and then denied; where `allowed`, it arrives and one answer
/// comes back.
pub(crate) fn trace(allowed: bool) -> Trace {
    let node1 = Machine::Node("node1".to_owned());
    let node2 = Machine::Node("node2".to_owned());
    let user = Machine::Client("user".to_owned());
    let sent = packet("10.2.3.4", "10.102.123.117", 31602);
    let translated = packet("10.2.3.4", "10.233.96.32", 9097);
    let masqueraded = packet("10.233.90.0", "10.233.96.32", 9097);
    let wrapped = Packet {
        outer: Some(Outer {
            encapsulation: Encapsulation::Ipip,
            source: ip("10.102.123.117"),
            destination: ip("10.102.123.104"),
        }),
        ..masqueraded
    };
    let pod = "pod/foo/web";
    let mut steps = vec![
        step(&user, Hook::Socket, None, Rule::Send, &sent, &sent, "user opens a connection"),
        step(
            &node1,
            Hook::Prerouting,
            Some("eth0"),
            Rule::Dnat,
            &sent,
            &translated,
            "kube-proxy sends the node port to the only endpoint",
        ),
        step(
            &node1,
            Hook::Postrouting,
            Some("tunl0"),
            Rule::Masquerade,
            &translated,
            &masqueraded,
            "kube-proxy masquerades, because externalTrafficPolicy is Cluster; the packet leaves by \
             tunl0, so it takes tunl0's address, and the answer will come back here",
        ),
        step(&node1, Hook::Device, Some("tunl0"), Rule::Encapsulate, &masqueraded, &wrapped, ""),
        step(&node2, Hook::Device, Some("tunl0"), Rule::Decapsulate, &wrapped, &masqueraded, ""),
        step(
            &node2,
            Hook::Forward,
            Some(pod),
            Rule::IngressGate,
            &masqueraded,
            &masqueraded,
            "the ingress policy of pod/foo/web is asked",
        ),
    ];
    if let [_, dnat, masquerade, .., gate] = steps.as_mut_slice() {
        dnat.rules = vec!["-A KUBE-SEP-X -j DNAT --to-destination 10.233.96.32:9097".to_owned()];
        let command = "iptables-save -t nat | grep KUBE-SEP".to_owned();
        dnat.inspect = Some(Inspect { on: "node1".to_owned(), command });
        masquerade.evidence.push(Evidence {
            cite: cite(ObjectRef::new("Service", "foo", "web"), "spec.externalTrafficPolicy", 31),
            finding: "it is Cluster".to_owned(),
        });
        gate.gate = Some(gate_of(allowed, pod));
    }
    let cause = (!allowed).then(|| Cause {
        kind: CauseKind::PolicyDenied,
        cite: Some(cite(policy(), "spec.ingress", 12)),
        message: "the ingress policy of pod/foo/web is asked".to_owned(),
    });
    let mut reply = Vec::new();
    if allowed {
        let there = "the packet arrives";
        steps.push(step(
            &node2,
            Hook::Socket,
            Some(pod),
            Rule::DeliverToPod,
            &masqueraded,
            &masqueraded,
            there,
        ));
        let answer = packet_back("10.233.96.32", 9097, "10.233.90.0");
        let restored = packet_back("10.102.123.117", 31602, "10.2.3.4");
        reply.push(step(&node2, Hook::Socket, Some(pod), Rule::Send, &answer, &answer, ""));
        reply.push(step(&node1, Hook::Prerouting, None, Rule::UnNat, &answer, &restored, ""));
        reply.push(step(&user, Hook::Socket, None, Rule::ReplyDelivered, &restored, &restored, ""));
    }
    let verdict = if allowed { Verdict::Delivered } else { Verdict::Dropped };
    let outcome = Outcome {
        share: 1.0,
        endpoint: Some(pod.to_owned()),
        verdict,
        cause,
        steps,
        reply,
        source_at_pod: allowed.then(|| ip("10.233.90.0")),
        source_seen_by_app: allowed.then(|| ip("10.233.90.0")),
    };
    let flow = "client/user -> nodePort/node1:31602".parse().unwrap();
    Trace { flow, verdict, outcomes: vec![outcome] }
}

/// Two endpoints, one of which is denied.
pub(crate) fn mixed() -> Trace {
    let outcomes = [trace(true), trace(false)].into_iter().flat_map(|t| t.outcomes);
    let outcomes = outcomes.map(|outcome| Outcome { share: 0.5, ..outcome }).collect();
    Trace { verdict: Verdict::Mixed, outcomes, ..trace(true) }
}

fn gate_of(allow: bool, pod: &str) -> Gate {
    let source = Seen { address: Some(ip("10.233.90.0")), endpoint: None };
    let traffic = Traffic { protocol: Protocol::Tcp.number(), port: Some(9097) };
    let rule = RuleRef { cite: cite(policy(), "spec.ingress[0]", 13), action: Action::Allow };
    let block = cite(policy(), "spec.ingress[0].from[0].ipBlock.cidr", 15);
    let finding = if allow {
        let holds = vec![Held::Net("10.233.90.0/32".parse().unwrap())];
        Finding::Peer { rule, end: source.clone(), holds }
    } else {
        let unmet = Unmet::Nets(vec!["10.2.3.4/32".parse().unwrap()]);
        let misses = vec![Miss { cite: block.clone(), unmet }];
        Finding::NoPeer { rule, end: source.clone(), misses, traffic: None }
    };
    let direction = Direction::Ingress;
    let (by, reason) = if allow {
        let because = Some(Box::new(finding.clone()));
        let (policy, action, peer) = (policy(), Action::Allow, source);
        let by = By::Policy(policy.clone());
        (by, Reason::Rule { policy, action, direction, peer, traffic, because })
    } else {
        let (policies, tier, peer) = (vec![policy()], None, source);
        let by = By::Isolation(policies.clone());
        (by, Reason::NoRuleAllows { policies, tier, direction, peer, traffic })
    };
    Gate {
        direction,
        pod: pod.to_owned(),
        decision: Decision {
            by,
            cite: Some(cite(policy(), "spec.ingress", 12)),
            evidence: vec![decision::Evidence { cite: block, matched: allow, finding }],
            ..Decision::unasked(allow, reason)
        },
    }
}

fn policy() -> ObjectRef {
    ObjectRef::new("NetworkPolicy", "foo", "test")
}

fn cite(object: ObjectRef, field: &str, line: u32) -> Cite {
    let span = Span { start: 0, end: 0, line, column: 3 };
    Cite { object, field: field.to_owned(), span: Some(span) }
}

fn step(
    machine: &Machine,
    hook: Hook,
    device: Option<&str>,
    rule: Rule,
    before: &Packet,
    after: &Packet,
    summary: &str,
) -> Step {
    Step {
        machine: machine.clone(),
        hook,
        device: device.map(ToOwned::to_owned),
        rule,
        before: *before,
        after: *after,
        summary: summary.to_owned(),
        evidence: Vec::new(),
        rules: Vec::new(),
        inspect: None,
        gate: None,
        uncertain: None,
    }
}

fn packet(source: &str, destination: &str, port: u16) -> Packet {
    Packet {
        protocol: Protocol::Tcp,
        source: ip(source),
        source_port: None,
        destination: ip(destination),
        destination_port: Some(port),
        outer: None,
    }
}

fn packet_back(source: &str, port: u16, destination: &str) -> Packet {
    Packet { source_port: Some(port), destination_port: None, ..packet(source, destination, port) }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
