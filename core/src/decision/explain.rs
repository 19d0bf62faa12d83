//! A decision with its reasons: who was asked in which order, what each said, which rule decided or
//! came nearest to it, what staged policies would do, and what nobody can tell.

use super::end::{End, Role};
use super::evaluate::{Applying, Asking, Chain, Outcome, last_stage, question, walk};
use super::finding::{Evidence, Finding, Miss};
use super::holds::Question;
use super::note::{Distance, Found};
use super::{Asked, Decision, Doubt, Reason, Ruling, Staged, StagedPolicy};
use crate::cluster::{Cluster, PodId};
use crate::net::{Direction, Packet};
use crate::policy::form::{Action, Policy, Rule, Stage, StagedAction, Tier, View};
use crate::text::ObjectRef;

/// [`super::decide`] with its reasons.
pub fn explain(cluster: &Cluster, direction: Direction, pod: PodId, packet: &Packet) -> Decision {
    explain_question(cluster, direction, &question(cluster, direction, pod, packet))
}

/// The decision with its reason and everything that was looked at.
pub(super) fn explain_question(
    cluster: &Cluster,
    direction: Direction,
    q: &Question<'_>,
) -> Decision {
    explain_chain(&Asking::whole(cluster, direction, q))
}

/// The same of one chain.
pub(super) fn explain_chain(asking: &Asking<'_, '_>) -> Decision {
    let applying = Applying::of(asking, &[]);
    let mut notes = Vec::new();
    let mut asked = Vec::new();
    let mut trail = |tier: &Tier, policy: Option<&Policy>, says| {
        asked.push(Asked {
            tier: tier.name.clone(),
            policy: policy.map(|policy| policy.object.clone()),
            view: policy.map(|policy| policy.subject.view),
            order: policy.and_then(|policy| policy.order),
            cite: policy.map(|policy| policy.cite.clone()),
            says,
        });
    };
    let end = walk(&applying, asking, &mut notes, &mut trail);
    let Ruling { allow, by, cite } = end.ruling(asking);
    let nobody = matches!(end, Outcome::Open { .. } | Outcome::Closed);
    if asking.chain == Chain::Whole && nobody {
        note_bystanders(asking, &mut notes);
    }
    Decision {
        allow,
        by,
        cite,
        reason: reason(asking, &end, &notes),
        uncertain: uncertain(asking, allow, &notes),
        evidence: sorted(&end, notes),
        asked,
        staged: staged(asking, allow),
    }
}

/// What bears the decision first, then what came near another one; what matched, but decided
/// nothing, last.
fn sorted(end: &Outcome<'_>, mut notes: Vec<Found>) -> Vec<Evidence> {
    let of = |evidence: &Evidence, rule: &Rule| {
        evidence.finding.rule().is_some_and(|found| found.cite == rule.cite)
    };
    // What would not have let it pass explains no denial.
    notes.retain(|note| end.allows() || note.distance != Distance::Moot);
    notes.sort_by_key(|note| {
        let rank = match end {
            Outcome::Rule { rule, .. } if note.evidence.matched && of(&note.evidence, rule) => 0,
            _ if !note.evidence.matched => 1,
            Outcome::Profile { .. } | Outcome::Open { .. } => 0,
            _ => 2,
        };
        (rank, note.distance)
    });
    notes.into_iter().map(|note| note.evidence).collect()
}

/// A rule before the one that decided could have decided otherwise, and the text does not say; or
/// those who decide were not asked at all.
fn uncertain(asking: &Asking<'_, '_>, allow: bool, notes: &[Found]) -> Option<Doubt> {
    if let Some(service) = service_at(&asking.subject) {
        return Some(Doubt::Service(service));
    }
    notes.iter().find_map(|note| {
        let (action, unknown) = note.unsure?;
        let same = matches!((action, allow), (Action::Allow, true) | (Action::Deny, false));
        let Evidence { cite, finding, .. } = &note.evidence;
        (!same && action != Action::Log).then(|| Doubt::Rule {
            finding: Box::new(finding.clone()),
            policy: cite.object.clone(),
            action,
            unknown,
            peer: asking.peer().seen(),
        })
    })
}

/// What the staged policies that are about the endpoint would do: each alone, then all together.
fn staged(asking: &Asking<'_, '_>, allow: bool) -> Vec<Staged> {
    let Asking { cluster, direction, subject, .. } = *asking;
    let all = || cluster.policies.all();
    let concerns = |policy: &Policy| {
        policy.rules(direction).is_some()
            && asking.chain.has(policy)
            && subject.is_one_of(&policy.subject, Role::Subject)
    };
    let other = |staged: &Policy| all().find(|policy| staged.replaces(policy));
    let about: Vec<&Policy> = all()
        .filter(|policy| policy.staged.is_some())
        .filter(|staged| {
            let own = staged.staged != Some(StagedAction::Delete) && concerns(staged);
            own || other(staged).is_some_and(concerns)
        })
        .collect();
    let named = |policy: &Policy, action: StagedAction| {
        let deletes = other(policy).filter(|_| action == StagedAction::Delete);
        let deletes = deletes.map(|policy| policy.object.clone());
        StagedPolicy { object: policy.object.clone(), action, deletes }
    };
    let about = about.into_iter().filter_map(|policy| Some((policy, policy.staged?)));
    let about: Vec<(&Policy, StagedPolicy)> =
        about.map(|(policy, action)| (policy, named(policy, action))).collect();
    let carried_out = |entries: &[(&Policy, StagedPolicy)]| preview(asking, allow, entries);
    let effective = |(_, named): &&(&Policy, StagedPolicy)| {
        matches!(named.action, StagedAction::Set | StagedAction::Delete)
    };
    let mut found: Vec<Staged> = Vec::new();
    for entry in &about {
        found.extend(if effective(&entry) {
            carried_out(std::slice::from_ref(entry))
        } else {
            let (policy, named) = entry;
            Some(Staged {
                policies: vec![named.clone()],
                cite: policy.cite.clone(),
                allow,
                change: None,
            })
        });
    }
    let together: Vec<(&Policy, StagedPolicy)> = about.iter().filter(effective).cloned().collect();
    if together.len() > 1 {
        found.extend(carried_out(&together));
    }
    found
}

/// The decision if these staged policies were carried out.
fn preview(
    asking: &Asking<'_, '_>,
    allow: bool,
    staged: &[(&Policy, StagedPolicy)],
) -> Option<Staged> {
    let (first, _) = staged.first()?;
    let unstaged: Vec<&Policy> = staged.iter().map(|(policy, _)| *policy).collect();
    let applying = Applying::of(asking, &unstaged);
    let mut notes = Vec::new();
    let end = walk(&applying, asking, &mut notes, &mut |_, _, _| {});
    let would = end.allows();
    Some(Staged {
        policies: staged.iter().map(|(_, named)| named.clone()).collect(),
        cite: match end {
            Outcome::Rule { cite, .. } if staged.len() > 1 && would != allow => cite.clone(),
            _ => first.cite.clone(),
        },
        allow: would,
        change: (would != allow).then(|| reason(asking, &end, &notes)),
    })
}

fn reason(asking: &Asking<'_, '_>, end: &Outcome<'_>, notes: &[Found]) -> Reason {
    let Asking { direction, q, .. } = *asking;
    let subject = asking.subject.seen();
    let peer = asking.peer().seen();
    let traffic = q.destination_traffic();
    match end {
        Outcome::Open { passed: true } => Reason::Passed { subject },
        Outcome::Open { passed: false } => match service_at(&asking.subject) {
            Some(service) => Reason::ServiceAddress { subject, service },
            None => Reason::Unrestricted { subject, direction },
        },
        Outcome::Rule { policy, rule, cite } => {
            let why = notes.iter().find(|n| n.evidence.matched && n.evidence.cite == **cite);
            Reason::Rule {
                policy: policy.object.clone(),
                action: rule.action,
                direction,
                peer,
                traffic,
                because: why.map(|note| Box::new(note.evidence.finding.clone())),
            }
        }
        Outcome::Profile { profile, allow, .. } => {
            Reason::Profile { profile: profile.object.clone(), allow: *allow, peer, traffic }
        }
        Outcome::Closed => Reason::Closed { subject, peer, traffic },
        Outcome::Failsafe => Reason::Failsafe { subject, traffic },
        Outcome::EndOfTier(tier, policies) => {
            let asked = last_stage(policies);
            let policies = asked.iter().map(|policy| policy.object.clone()).collect();
            let mut rules = asked.iter().filter_map(|policy| policy.rules(direction));
            if rules.all(|rules| rules.rules.is_empty()) {
                return Reason::NoRules { policies, subject, direction };
            }
            let kubernetes = asked.iter().all(|p| p.subject.view == View::Kubernetes);
            let tier = (!kubernetes).then(|| tier.name.clone());
            Reason::NoRuleAllows { policies, tier, direction, peer, traffic }
        }
    }
}

/// The service that kube-proxy answers for at the end's address.
fn service_at(end: &End<'_>) -> Option<ObjectRef> {
    let id = end.address.and_then(|ip| end.cluster.service_by_address.get(&ip)?.first());
    let service = end.cluster.service(*id?)?;
    Some(ObjectRef::new("Service", &service.namespace, &service.name))
}

/// Policies that one might think restrict the endpoint, and why they do not.
fn note_bystanders(asking: &Asking<'_, '_>, notes: &mut Vec<Found>) {
    const SHOWN: usize = 8;
    let Asking { cluster, direction, subject, .. } = *asking;
    let namespace = subject.as_pod().map(|pod| pod.namespace.as_str());
    let (mut near, mut far) = (Vec::new(), Vec::new());
    let policies = cluster.policies.all();
    let asked = |policy: &&Policy| policy.stage == Stage::Normal || subject.as_host().is_some();
    for policy in policies.filter(|policy| policy.staged.is_none()).filter(asked) {
        let selected = subject.is_one_of(&policy.subject, Role::Subject);
        let finding = if selected && policy.rules(direction).is_none() {
            let (policy, subject) = (policy.object.clone(), subject.seen());
            Finding::OtherDirection { policy, subject, direction }
        } else if selected || far.len() >= SHOWN {
            continue;
        } else if Some(policy.object.namespace.as_str()) == namespace
            || subject.labels_match(&policy.subject)
        {
            let misses = subject.misses(&policy.subject, Role::Subject);
            let misses = misses.into_iter();
            let misses = misses.map(|(term, unmet)| Miss { cite: term.cite.clone(), unmet });
            Finding::NotSelected {
                policy: policy.object.clone(),
                subject: subject.seen(),
                misses: misses.collect(),
            }
        } else {
            continue;
        };
        let evidence = Evidence { cite: policy.cite.clone(), matched: false, finding };
        if selected { &mut near } else { &mut far }.push(evidence);
    }
    notes.extend(near.into_iter().chain(far).take(SHOWN).map(|evidence| Found {
        distance: Distance::NotSelected,
        evidence,
        unsure: None,
    }));
}
