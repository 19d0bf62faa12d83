//! The one evaluator: tiers, policies and rules in their order, until one decides.

use super::end::{End, Known, Role, profiles};
use super::form::{Action, Policy, Profile, Rule, Rules, Stage, Tier, TierDefault};
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
    explain_chain(cluster, direction, q, Chain::Whole).0
}

/// The same of one chain, and whether a rule or the end of a tier in it decided.
pub(super) fn explain_chain(
    cluster: &Cluster,
    direction: Direction,
    q: &Question<'_>,
    chain: Chain,
) -> (Decision, bool) {
    let mut notes = Vec::new();
    let say = Say::of(cluster, direction, direction.subject(q), chain);
    let end = walk::<Found>(&say, cluster, direction, q, chain, &mut notes);
    let allow = end.allows();
    let (by, cite) = match end {
        Outcome::Open { .. } | Outcome::Failsafe => (By::NoPolicy, None),
        Outcome::Rule { policy, cite, .. } => {
            (By::Policy(policy.object.clone()), Some(cite.clone()))
        }
        Outcome::Profile { profile, cite, .. } => {
            (By::Policy(profile.object.clone()), Some(cite.clone()))
        }
        Outcome::EndOfTier(policies) => {
            let asked = last_stage(policies);
            let cite = asked.iter().find_map(|p| p.rules(direction)).map(|r| r.cite.clone());
            (By::Isolation(asked.into_iter().map(|p| p.object.clone()).collect()), cite)
        }
        Outcome::Closed => {
            let host = direction.subject(q).as_host().map(|host| host.object.clone());
            (By::Isolation(host.into_iter().collect()), None)
        }
    };
    if chain == Chain::Whole && matches!(end, Outcome::Open { .. } | Outcome::Closed) {
        note_bystanders(cluster, direction, q, &mut notes);
    }
    let reason = reason(direction, q, &end, &notes);
    notes.sort_by_key(|n| (n.evidence.matched != allow, n.distance));
    let evidence = notes.into_iter().map(|n| n.evidence).collect();
    let decided = !matches!(end, Outcome::Open { .. } | Outcome::Failsafe);
    (Decision { allow, by, cite, reason, evidence }, decided)
}

/// The decision alone.
pub(super) fn allows(cluster: &Cluster, direction: Direction, q: &Question<'_>) -> bool {
    let say = Say::of(cluster, direction, direction.subject(q), Chain::Whole);
    walk::<()>(&say, cluster, direction, q, Chain::Whole, &mut Vec::new()).allows()
}

/// The policies that have a say in an endpoint's traffic in one direction, tier by tier.
struct Say<'a>(Vec<(&'a Tier, Vec<&'a Policy>)>);

/// Which of an endpoint's chains is asked (Felix `endpoints.go endpointIptablesChain`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    /// All that decide traffic of the endpoint itself, one after the other.
    Whole,
    /// Those of a host endpoint's policies of one stage.
    Only(Stage),
    /// Those of a host endpoint's policies that apply on forward.
    Forward,
}

impl Chain {
    /// Whether any policy is in it.
    pub(super) fn is_used(self, cluster: &Cluster, direction: Direction, q: &Question<'_>) -> bool {
        !Say::of(cluster, direction, direction.subject(q), self).0.is_empty()
    }

    fn has(self, policy: &Policy) -> bool {
        match self {
            Self::Whole => true,
            Self::Only(stage) => policy.stage == stage,
            Self::Forward => policy.stage == Stage::Normal && policy.apply_on_forward,
        }
    }
}

impl<'a> Say<'a> {
    fn of(cluster: &'a Cluster, direction: Direction, subject: &End<'_>, chain: Chain) -> Self {
        let asked = |policy: &&Policy| {
            !policy.staged
                && chain.has(policy)
                && (policy.stage == Stage::Normal || subject.as_host().is_some())
                && policy.rules(direction).is_some()
                && subject.is_one_of(&policy.subject, Role::Subject)
        };
        let tiers = cluster.policies.tiers.iter().map(|tier| {
            let policies: Vec<_> = tier.policies.iter().filter(asked).collect();
            (tier, policies)
        });
        Self(tiers.filter(|(_, policies)| !policies.is_empty()).collect())
    }
}

/// Who decided.
#[derive(Clone, Copy)]
enum Outcome<'a> {
    /// Nobody; `passed` if a policy selects the endpoint, but handed on.
    Open { passed: bool },
    /// A rule of a policy.
    Rule { policy: &'a Policy, rule: &'a Rule, cite: &'a Cite },
    /// A rule of a profile, or that it has none that matches.
    Profile { profile: &'a Profile, allow: bool, cite: &'a Cite },
    /// Policies of this tier select the endpoint, and no rule decided.
    EndOfTier(&'a [&'a Policy]),
    /// A host endpoint that nothing opens.
    Closed,
    /// One of the ports that Felix keeps open on every host endpoint.
    Failsafe,
}

impl Outcome<'_> {
    fn allows(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Failsafe => true,
            Self::Rule { rule, .. } => rule.action == Action::Allow,
            Self::Profile { allow, .. } => *allow,
            Self::EndOfTier(_) | Self::Closed => false,
        }
    }
}

fn walk<'a, N: Note>(
    say: &'a Say<'a>,
    cluster: &'a Cluster,
    direction: Direction,
    q: &Question<'_>,
    chain: Chain,
    notes: &mut Vec<N>,
) -> Outcome<'a> {
    let subject = direction.subject(q);
    let stages: &[Stage] = match (subject.endpoint, direction) {
        (Some(Known::Host(_)), _) if chain != Chain::Whole => {
            &[Stage::Untracked, Stage::PreDnat, Stage::Normal]
        }
        (Some(Known::Host(_)), Direction::Ingress) => {
            &[Stage::Untracked, Stage::PreDnat, Stage::Normal]
        }
        (Some(Known::Host(_)), Direction::Egress) => &[Stage::Untracked, Stage::Normal],
        (Some(Known::Pod(_)), _) => &[Stage::Normal],
        (Some(Known::Set(_)) | None, _) => return Outcome::Open { passed: false },
    };
    // Forwarded traffic has no failsafe ports.
    if subject.as_host().is_some() && chain != Chain::Forward && is_failsafe(direction, q) {
        return Outcome::Failsafe;
    }
    let mut passed = false;
    for stage in stages {
        'tiers: for (tier, policies) in &say.0 {
            let mut asked = false;
            for policy in policies.iter().filter(|policy| policy.stage == *stage) {
                asked = true;
                let Some(rules) = policy.rules(direction) else { continue };
                match first_match(rules, q, notes) {
                    Some((rule, _)) if rule.action == Action::Pass => {
                        passed = true;
                        continue 'tiers;
                    }
                    Some((rule, cite)) => return Outcome::Rule { policy, rule, cite },
                    None if rules.rules.is_empty() => {
                        notes.push(N::new(false, Distance::NoRule, &rules.cite, || {
                            format!(
                                "{} has no {direction} rule, so it allows nothing",
                                policy.object
                            )
                        }));
                    }
                    None => {}
                }
            }
            match tier.default {
                // Only the last stage drops what nothing allows.
                TierDefault::Deny if asked && *stage == Stage::Normal => {
                    return Outcome::EndOfTier(policies);
                }
                TierDefault::Pass | TierDefault::Deny => passed |= asked,
            }
        }
    }
    // Profiles are in the last chain only.
    match chain {
        Chain::Whole | Chain::Only(Stage::Normal) => {
            after_tiers(cluster, direction, q, notes).unwrap_or(Outcome::Open { passed })
        }
        _ => Outcome::Open { passed },
    }
}

/// What the endpoint's profiles say; pods whose namespace's profile is not in the text are open,
/// as Calico makes them.
fn after_tiers<'a, N: Note>(
    cluster: &'a Cluster,
    direction: Direction,
    q: &Question<'_>,
    notes: &mut Vec<N>,
) -> Option<Outcome<'a>> {
    let policies = &cluster.policies;
    let subject = direction.subject(q);
    let names = match subject.endpoint? {
        Known::Pod(_) if policies.profiles.is_empty() => return None,
        Known::Pod(pod) => profiles(cluster, pod),
        Known::Host(host) => host.profiles.clone(),
        Known::Set(_) => return None,
    };
    let mut last = None;
    for name in &names {
        let Some(profile) = policies.profiles.get(name) else {
            // Both are Calico's own, and open.
            if name.starts_with("kns.") || name == "projectcalico-default-allow" {
                return None;
            }
            continue;
        };
        let rules = profile.rules(direction);
        if let Some((rule, cite)) = first_match(rules, q, notes) {
            let allow = rule.action == Action::Allow;
            return Some(Outcome::Profile { profile, allow, cite });
        }
        last = Some(Outcome::Profile { profile, allow: false, cite: &rules.cite });
    }
    Some(last.unwrap_or(Outcome::Closed))
}

/// The policies that are asked last, where a tier may deny by its end.
fn last_stage<'a>(policies: &[&'a Policy]) -> Vec<&'a Policy> {
    policies.iter().copied().filter(|policy| policy.stage == Stage::Normal).collect()
}

/// The first rule that matches and does more than log.
fn first_match<'a, N: Note>(
    rules: &'a Rules,
    q: &Question<'_>,
    notes: &mut Vec<N>,
) -> Option<(&'a Rule, &'a Cite)> {
    rules
        .rules
        .iter()
        .filter_map(|rule| Some((rule, rule.matches(q, notes)?)))
        .find(|(rule, _)| rule.action != Action::Log)
}

/// The ports that Felix opens before any policy, so that nobody locks himself out
/// (`FailsafeInboundHostPorts`, `FailsafeOutboundHostPorts`).
fn is_failsafe(direction: Direction, q: &Question<'_>) -> bool {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    const BOTH: [u16; 7] = [179, 2379, 2380, 5473, 6443, 6666, 6667];
    let Some(port) = q.destination_port else { return false };
    match (direction, q.protocol) {
        (_, TCP) if BOTH.contains(&port) => true,
        (Direction::Ingress, TCP) => port == 22,
        (Direction::Ingress, UDP) => port == 68,
        (Direction::Egress, UDP) => port == 53 || port == 67,
        _ => false,
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
        (end, Some(ip)) if end.endpoint.is_some() => format!("{end} ({ip})"),
        (end, _) => end.to_string(),
    };
    let traffic = traffic_name(q);
    match end {
        Outcome::Open { passed: true } if subject.as_host().is_some() => {
            format!("no rule of {subject}'s policies here decides, and the packet goes on")
        }
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
        Outcome::Profile { profile, allow, .. } => {
            let verb = if *allow { "allows" } else { "does not allow" };
            format!("no policy decides, and {} {verb} {peer} on {traffic}", profile.object)
        }
        Outcome::Closed => format!(
            "no policy allows {peer} on {traffic}, and {subject} has no profile that opens it"
        ),
        Outcome::Failsafe => {
            format!("{traffic} is one of the failsafe ports that Felix always opens on {subject}")
        }
        Outcome::EndOfTier(policies) => {
            let asked = last_stage(policies);
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
    let namespace = subject.as_pod().map(|pod| pod.namespace.as_str());
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for policy in cluster.policies.tiers.iter().flat_map(|t| &t.policies) {
        let selected = subject.is_one_of(&policy.subject, Role::Subject);
        let finding = if selected && policy.staged {
            format!("{} is staged: it decides nothing yet", policy.object)
        } else if selected && policy.rules(direction).is_none() {
            format!("{} selects {subject}, but does not speak of {direction}", policy.object)
        } else if selected || far.len() >= SHOWN {
            continue;
        } else if Some(policy.object.namespace.as_str()) == namespace
            || subject.labels_match(&policy.subject)
        {
            let misses: Vec<_> = subject
                .misses(&policy.subject, Role::Subject)
                .into_iter()
                .map(|(_, text)| text)
                .collect();
            format!("{} does not select it: {}", policy.object, misses.join(", and "))
        } else {
            continue;
        };
        let evidence = Evidence { cite: policy.cite.clone(), matched: false, finding };
        if selected { &mut near } else { &mut far }.push(evidence);
    }
    notes.extend(
        near.into_iter()
            .chain(far)
            .take(SHOWN)
            .map(|evidence| Found { distance: Distance::NotSelected, evidence }),
    );
}
