//! The one evaluator: tiers, policies and rules in their order, until one decides.

use super::end::End;
use super::form::{Action, Policies, Policy, Rule, Tier, TierDefault};
use super::rule::{Distance, Found, Note, Question, traffic_name};
use super::{By, Decision, Direction, Evidence};
use crate::cluster::{Cluster, PodId};
use crate::datapath::Packet;
use crate::text::Cite;

/// May `packet` leave (egress) or enter (ingress) `pod`? The other end is known by its address,
/// as the packet carries it where the pod's policies are asked.
pub fn decide(cluster: &Cluster, direction: Direction, pod: PodId, packet: &Packet) -> Decision {
    let (source, destination) = match direction {
        Direction::Egress => {
            (End::pod(cluster, pod, Some(packet.source)), End::at(cluster, packet.destination))
        }
        Direction::Ingress => {
            (End::at(cluster, packet.source), End::pod(cluster, pod, Some(packet.destination)))
        }
    };
    explain(
        cluster,
        direction,
        &Question {
            source,
            destination,
            protocol: packet.protocol.number(),
            source_port: packet.source_port,
            destination_port: packet.destination_port,
        },
    )
}

/// The decision with its reason and everything that was looked at.
pub(super) fn explain(cluster: &Cluster, direction: Direction, q: &Question<'_>) -> Decision {
    let mut notes = Vec::new();
    let end = walk::<Found>(&cluster.policies, direction, q, &mut notes);
    let allow = end.allows();
    let (by, cite) = match end {
        Outcome::Open { .. } => (By::NoPolicy, None),
        Outcome::Rule { policy, cite, .. } => {
            (By::Policy(policy.object.clone()), Some(cite.clone()))
        }
        Outcome::EndOfTier(tier) => {
            let asked: Vec<_> = tier.asked(direction, direction.subject(q)).collect();
            let cite = asked.iter().find_map(|p| p.rules(direction)).map(|r| r.cite.clone());
            (By::Isolation(asked.into_iter().map(|p| p.object.clone()).collect()), cite)
        }
    };
    if matches!(end, Outcome::Open { .. }) {
        note_bystanders(cluster, direction, q, &mut notes);
    }
    let reason = reason(direction, q, &end, &notes);
    notes.sort_by_key(|n| (n.evidence.matched != allow, n.distance));
    let evidence = notes.into_iter().map(|n| n.evidence).collect();
    Decision { allow, by, cite, reason, evidence }
}

/// The decision alone.
pub(super) fn allows(cluster: &Cluster, direction: Direction, q: &Question<'_>) -> bool {
    allows_by(&cluster.policies, direction, q)
}

/// The decision of these policies alone.
pub(super) fn allows_by(policies: &Policies, direction: Direction, q: &Question<'_>) -> bool {
    walk::<()>(policies, direction, q, &mut Vec::new()).allows()
}

/// Who decided.
#[derive(Clone, Copy)]
enum Outcome<'a> {
    /// Nobody; `passed` if a policy selects the endpoint, but handed on.
    Open { passed: bool },
    /// A rule.
    Rule { policy: &'a Policy, rule: &'a Rule, cite: &'a Cite },
    /// Policies of this tier select the endpoint, and no rule decided.
    EndOfTier(&'a Tier),
}

impl Outcome<'_> {
    fn allows(&self) -> bool {
        match self {
            Self::Open { .. } => true,
            Self::Rule { rule, .. } => rule.action == Action::Allow,
            Self::EndOfTier(_) => false,
        }
    }
}

fn walk<'a, N: Note>(
    policies: &'a Policies,
    direction: Direction,
    q: &Question<'_>,
    notes: &mut Vec<N>,
) -> Outcome<'a> {
    let subject = direction.subject(q);
    let mut passed = false;
    'tiers: for tier in &policies.tiers {
        let mut asked = false;
        for policy in tier.asked(direction, subject) {
            asked = true;
            let Some(rules) = policy.rules(direction) else { continue };
            for rule in &rules.rules {
                let Some(cite) = rule.matches(q, notes) else { continue };
                match rule.action {
                    Action::Allow | Action::Deny => return Outcome::Rule { policy, rule, cite },
                    Action::Pass => {
                        passed = true;
                        continue 'tiers;
                    }
                    Action::Log => {}
                }
            }
            if rules.rules.is_empty() {
                notes.push(N::new(false, Distance::NoRule, &rules.cite, || {
                    format!("{} has no {direction} rule, so it allows nothing", policy.object)
                }));
            }
        }
        match tier.default {
            TierDefault::Deny if asked => return Outcome::EndOfTier(tier),
            TierDefault::Pass | TierDefault::Deny => passed |= asked,
        }
    }
    Outcome::Open { passed }
}

impl Tier {
    /// The policies that have a say in `subject`'s traffic.
    pub(super) fn asked<'a, 's>(
        &'a self,
        direction: Direction,
        subject: &'s End<'s>,
    ) -> impl Iterator<Item = &'a Policy> + use<'a, 's> {
        self.policies.iter().filter(move |policy| {
            !policy.staged
                && policy.rules(direction).is_some()
                && subject.is_one_of(&policy.subject)
        })
    }
}

impl Direction {
    /// Whose policies are asked.
    fn subject<'q, 'a>(self, q: &'q Question<'a>) -> &'q End<'a> {
        match self {
            Self::Egress => &q.source,
            Self::Ingress => &q.destination,
        }
    }

    /// The other end.
    fn peer<'q, 'a>(self, q: &'q Question<'a>) -> &'q End<'a> {
        match self {
            Self::Egress => &q.destination,
            Self::Ingress => &q.source,
        }
    }
}

fn reason(direction: Direction, q: &Question<'_>, end: &Outcome<'_>, notes: &[Found]) -> String {
    let subject = direction.subject(q);
    let peer = match (direction.peer(q), direction.peer(q).address) {
        (end, Some(ip)) if end.as_pod().is_some() => format!("{end} ({ip})"),
        (end, _) => end.to_string(),
    };
    let traffic = traffic_name(q);
    match end {
        Outcome::Open { passed: true } => {
            format!("the policies that select {subject} pass on the packet, and no other decides")
        }
        Outcome::Open { passed: false } => match (subject.as_pod(), direction) {
            (None, _) => {
                format!("{subject} is no pod of its own network, so no policy restricts it")
            }
            (_, Direction::Ingress) => {
                format!("no policy selects {subject} for ingress, so everything may enter")
            }
            (_, Direction::Egress) => {
                format!("no policy selects {subject} for egress, so it may send anything anywhere")
            }
        },
        Outcome::Rule { policy, rule, cite } => {
            let verb = if rule.action == Action::Allow { "allows" } else { "denies" };
            let why = notes.iter().find(|n| n.evidence.matched && n.evidence.cite == **cite);
            let why = why.map_or_else(String::new, |n| format!(": {}", n.evidence.finding));
            format!("{} {verb} {peer} on {traffic}{why}", policy.object)
        }
        Outcome::EndOfTier(tier) => {
            let asked: Vec<_> = tier.asked(direction, subject).collect();
            let ruled =
                asked.iter().filter_map(|p| p.rules(direction)).any(|r| !r.rules.is_empty());
            let kind = match direction {
                Direction::Ingress => "rule",
                Direction::Egress => "egress rule",
            };
            if ruled {
                return format!("no {kind} of {} allows {peer} on {traffic}", named(&asked, "or"));
            }
            let (select, have) =
                if asked.len() == 1 { ("selects", "has") } else { ("select", "have") };
            let end = match direction {
                Direction::Ingress => "enter",
                Direction::Egress => "leave",
            };
            format!(
                "{} {select} {subject} and {have} no {direction} rule, so nothing may {end}",
                named(&asked, "and")
            )
        }
    }
}

/// `NetworkPolicy a/b`, or the first few of many.
fn named(policies: &[&Policy], joined_by: &str) -> String {
    const SHOWN: usize = 3;
    let names: Vec<_> = policies.iter().take(SHOWN).map(|p| p.object.to_string()).collect();
    match policies.len().saturating_sub(SHOWN) {
        0 => names.join(&format!(" {joined_by} ")),
        more => format!("{} {joined_by} {more} more policies", names.join(", ")),
    }
}

/// Policies that one might think restrict the endpoint, and why they do not.
fn note_bystanders(
    cluster: &Cluster,
    direction: Direction,
    q: &Question<'_>,
    notes: &mut Vec<Found>,
) {
    const SHOWN: usize = 8;
    let subject = direction.subject(q);
    let Some(pod) = subject.as_pod() else { return };
    let mut bystanders: Vec<(bool, Evidence)> = Vec::new();
    for policy in cluster.policies.tiers.iter().flat_map(|t| &t.policies) {
        let selected = subject.is_one_of(&policy.subject);
        let finding = if selected && policy.staged {
            format!("{} is staged: it decides nothing yet", policy.object)
        } else if selected && policy.rules(direction).is_none() {
            format!("{} selects {subject}, but does not speak of {direction}", policy.object)
        } else if selected {
            continue;
        } else if policy.object.namespace == pod.namespace || subject.labels_match(&policy.subject)
        {
            let misses: Vec<_> =
                subject.misses(&policy.subject).into_iter().map(|(_, text)| text).collect();
            format!("{} does not select it: {}", policy.object, misses.join(", and "))
        } else {
            continue;
        };
        let evidence = Evidence { cite: policy.cite.clone(), matched: false, finding };
        bystanders.push((!selected, evidence));
    }
    bystanders.sort_by_key(|(far, _)| *far);
    notes.extend(
        bystanders
            .into_iter()
            .take(SHOWN)
            .map(|(_, evidence)| Found { distance: Distance::NotSelected, evidence }),
    );
}
