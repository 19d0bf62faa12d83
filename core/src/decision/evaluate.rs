//! The one evaluator: tiers, policies and rules in their order, until one decides.

use super::end::{End, Endpoint, Role, profiles};
use super::finding::Finding;
use super::holds::Question;
use super::note::{Distance, Note};
use super::rule::matching;
use super::{By, Ruling, Says};
use crate::cluster::{Cluster, PodId};
use crate::net::{Direction, Packet};
use crate::policy::form::{
    Action, Policy, Profile, Rule, Rules, Stage, StagedAction, Tier, TierDefault,
};
use crate::text::Cite;

/// May `packet` leave (egress) or enter (ingress) `pod`? The other end is known by its address,
/// as the packet carries it where the pod's policies are asked.
pub fn decide(cluster: &Cluster, direction: Direction, pod: PodId, packet: &Packet) -> Ruling {
    rule(&Asking::whole(cluster, direction, &question(cluster, direction, pod, packet)))
}

/// What a packet asks of a pod.
pub(super) fn question<'a>(
    cluster: &'a Cluster,
    direction: Direction,
    pod: PodId,
    packet: &Packet,
) -> Question<'a> {
    let (source, destination) = match direction {
        Direction::Egress => {
            (End::pod(cluster, pod, Some(packet.source)), End::at(cluster, packet.destination))
        }
        Direction::Ingress => {
            (End::at(cluster, packet.source), End::pod(cluster, pod, Some(packet.destination)))
        }
    };
    Question {
        source,
        destination,
        protocol: packet.protocol.number(),
        source_port: packet.source_port,
        destination_port: packet.destination_port,
    }
}

/// The decision alone.
pub(super) fn allows(cluster: &Cluster, direction: Direction, q: &Question<'_>) -> bool {
    let asking = Asking::whole(cluster, direction, q);
    walk::<()>(&Applying::of(&asking, &[]), &asking, &mut Vec::new(), &mut |_, _, _| {}).allows()
}

/// The decision, who made it, and where.
pub(super) fn rule(asking: &Asking<'_, '_>) -> Ruling {
    let applying = Applying::of(asking, &[]);
    walk::<()>(&applying, asking, &mut Vec::new(), &mut |_, _, _| {}).ruling(asking)
}

/// A question, and to whom it goes.
#[derive(Clone, Copy)]
pub(super) struct Asking<'q, 'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) direction: Direction,
    pub(super) q: &'q Question<'a>,
    pub(super) chain: Chain,
    /// Whose policies are asked. What a host endpoint forwards is not its own: rules see whoever has
    /// the packet's addresses.
    pub(super) subject: End<'a>,
}

impl<'q, 'a> Asking<'q, 'a> {
    /// Everything that decides the traffic of the question's own end.
    pub(super) fn whole(cluster: &'a Cluster, direction: Direction, q: &'q Question<'a>) -> Self {
        let subject = match direction {
            Direction::Egress => q.source,
            Direction::Ingress => q.destination,
        };
        Self { cluster, direction, q, chain: Chain::Whole, subject }
    }

    /// The other end.
    pub(super) fn peer(&self) -> &'q End<'a> {
        match self.direction {
            Direction::Egress => &self.q.destination,
            Direction::Ingress => &self.q.source,
        }
    }
}

/// The policies that apply to an endpoint's traffic in one direction, tier by tier.
pub(super) struct Applying<'a>(Vec<(&'a Tier, Vec<&'a Policy>)>);

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
    /// Whether the policy belongs to it.
    pub(super) fn has(self, policy: &Policy) -> bool {
        match self {
            Self::Whole => true,
            Self::Only(stage) => policy.stage == stage,
            Self::Forward => policy.stage == Stage::Normal && policy.apply_on_forward,
        }
    }
}

impl<'a> Applying<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `unstaged`: staged policies that are taken as if they were carried out.
    pub(super) fn of(asking: &Asking<'_, 'a>, unstaged: &[&Policy]) -> Self {
        let Asking { cluster, direction, chain, subject, .. } = *asking;
        let in_force = |policy: &Policy| match policy.staged {
            None => !unstaged.iter().any(|staged| staged.replaces(policy)),
            Some(StagedAction::Set) => unstaged.iter().any(|staged| std::ptr::eq(*staged, policy)),
            Some(_) => false,
        };
        let asked = |policy: &&Policy| {
            in_force(policy)
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
pub(super) enum Outcome<'a> {
    /// Nobody; `passed` if a policy selects the endpoint, but handed on.
    Open { passed: bool },
    /// A rule of a policy.
    Rule { policy: &'a Policy, rule: &'a Rule, cite: &'a Cite },
    /// A rule of a profile, or that it has none that matches.
    Profile { profile: &'a Profile, allow: bool, cite: &'a Cite },
    /// Policies of this tier select the endpoint, and no rule decided.
    EndOfTier(&'a Tier, &'a [&'a Policy]),
    /// A host endpoint that nothing opens.
    Closed,
    /// One of the ports that Felix keeps open on every host endpoint.
    Failsafe,
}

impl Outcome<'_> {
    pub(super) fn allows(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Failsafe => true,
            Self::Rule { rule, .. } => rule.action == Action::Allow,
            Self::Profile { allow, .. } => *allow,
            Self::EndOfTier(..) | Self::Closed => false,
        }
    }

    pub(super) fn ruling(&self, asking: &Asking<'_, '_>) -> Ruling {
        let (by, cite) = match self {
            Self::Open { .. } | Self::Failsafe => (By::NoPolicy, None),
            Self::Rule { policy, cite, .. } => (By::Policy(policy.object.clone()), Some(*cite)),
            Self::Profile { profile, cite, .. } => {
                (By::Policy(profile.object.clone()), Some(*cite))
            }
            Self::EndOfTier(_, policies) => {
                let asked = last_stage(policies);
                let cite = asked.iter().find_map(|p| p.rules(asking.direction)).map(|r| &r.cite);
                (By::Isolation(asked.into_iter().map(|p| p.object.clone()).collect()), cite)
            }
            Self::Closed => {
                let host = asking.subject.as_host().map(|host| host.object.clone());
                (By::Isolation(host.into_iter().collect()), None)
            }
        };
        Ruling { allow: self.allows(), by, cite: cite.cloned() }
    }
}

/// Asks one policy after the other; `trail` hears what each says, and each tier's end.
pub(super) fn walk<'s, 'a: 's, N: Note>(
    applying: &'s Applying<'a>,
    asking: &Asking<'_, 'a>,
    notes: &mut Vec<N>,
    trail: &mut impl FnMut(&'a Tier, Option<&'a Policy>, Says),
) -> Outcome<'s> {
    let Asking { direction, q, chain, subject, .. } = *asking;
    let stages: &[Stage] = match (subject.endpoint, direction) {
        (Some(Endpoint::Host(_)), _) if chain != Chain::Whole => {
            &[Stage::Untracked, Stage::PreDnat, Stage::Normal]
        }
        (Some(Endpoint::Host(_)), Direction::Ingress) => {
            &[Stage::Untracked, Stage::PreDnat, Stage::Normal]
        }
        (Some(Endpoint::Host(_)), Direction::Egress) => &[Stage::Untracked, Stage::Normal],
        (Some(Endpoint::Pod(_)), _) => &[Stage::Normal],
        (Some(Endpoint::Set(_)) | None, _) => return Outcome::Open { passed: false },
    };
    // Forwarded traffic has no failsafe ports.
    if subject.as_host().is_some() && chain != Chain::Forward && is_failsafe(asking) {
        return Outcome::Failsafe;
    }
    let mut passed = false;
    for stage in stages {
        'tiers: for (tier, policies) in &applying.0 {
            let mut asked = false;
            for policy in policies.iter().filter(|policy| policy.stage == *stage) {
                asked = true;
                let Some(rules) = policy.rules(direction) else { continue };
                match first_match(rules, q, notes) {
                    Some((rule, _)) if rule.action == Action::Pass => {
                        trail(tier, Some(policy), Says::Pass);
                        passed = true;
                        continue 'tiers;
                    }
                    Some((rule, cite)) => {
                        let allows = rule.action == Action::Allow;
                        trail(tier, Some(policy), if allows { Says::Allow } else { Says::Deny });
                        return Outcome::Rule { policy, rule, cite };
                    }
                    None if rules.rules.is_empty() => {
                        trail(tier, Some(policy), Says::Nothing);
                        let policy = || policy.object.clone();
                        notes.push(N::new(false, Distance::NoRule, &rules.cite, || {
                            Finding::NoRule { policy: policy(), direction }
                        }));
                    }
                    None => trail(tier, Some(policy), Says::Nothing),
                }
            }
            match tier.default {
                // Only the last stage drops what nothing allows.
                TierDefault::Deny if asked && *stage == Stage::Normal => {
                    trail(tier, None, Says::Deny);
                    return Outcome::EndOfTier(tier, policies);
                }
                TierDefault::Pass if asked => {
                    trail(tier, None, Says::Pass);
                    passed = true;
                }
                TierDefault::Pass | TierDefault::Deny => passed |= asked,
            }
        }
    }
    // Profiles are in the last chain only.
    match chain {
        Chain::Whole | Chain::Only(Stage::Normal) => {
            after_tiers(asking, notes).unwrap_or(Outcome::Open { passed })
        }
        _ => Outcome::Open { passed },
    }
}

/// What the endpoint's profiles say; pods whose namespace's profile is not in the text are open,
/// as Calico makes them.
fn after_tiers<'a, N: Note>(asking: &Asking<'_, 'a>, notes: &mut Vec<N>) -> Option<Outcome<'a>> {
    let Asking { cluster, direction, q, subject, .. } = *asking;
    let policies = &cluster.policies;
    let names = match subject.endpoint? {
        Endpoint::Pod(_) if policies.profiles.is_empty() => return None,
        Endpoint::Pod(pod) => profiles(cluster, pod),
        Endpoint::Host(host) => host.profiles.clone(),
        Endpoint::Set(_) => return None,
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
pub(super) fn last_stage<'a>(policies: &[&'a Policy]) -> Vec<&'a Policy> {
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
        .filter_map(|rule| Some((rule, matching(rule, q, notes)?)))
        .find(|(rule, _)| rule.action != Action::Log)
}

/// The ports that Felix opens before any policy, so that nobody locks himself out
/// (`FailsafeInboundHostPorts`, `FailsafeOutboundHostPorts`).
fn is_failsafe(asking: &Asking<'_, '_>) -> bool {
    let Asking { cluster, direction, q, .. } = *asking;
    let ports = match direction {
        Direction::Ingress => &cluster.network.felix.failsafe_inbound,
        Direction::Egress => &cluster.network.felix.failsafe_outbound,
    };
    ports.value.iter().any(|open| {
        (open.protocol, Some(open.port)) == (q.protocol, q.destination_port)
            && open.net.is_none_or(|net| asking.peer().is_in(&[net]))
    })
}
