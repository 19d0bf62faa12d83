//! A decision for a person: who was asked in which order, what each said, which rule decided or
//! came nearest to it, what staged policies would do, and what nobody can tell.

use super::end::{End, Role};
use super::evaluate::{Asking, Chain, Outcome, Say, last_stage, walk};
use super::miss::joined;
use super::rule::{Distance, Doubt, Found, Question, traffic_name};
use super::{Asked, By, Decision, Evidence, Staged};
use crate::cluster::{Cluster, Service};
use crate::net::Direction;
use crate::policy::form::{Action, Policy, Rule, Stage, StagedAction, Tier, View};

/// The decision with its reason and everything that was looked at.
pub(super) fn explain(cluster: &Cluster, direction: Direction, q: &Question<'_>) -> Decision {
    explain_chain(&Asking::whole(cluster, direction, q)).0
}

/// The same of one chain, and whether a rule or the end of a tier in it decided.
pub(super) fn explain_chain(asking: &Asking<'_, '_>) -> (Decision, bool) {
    let say = Say::of(asking, &[]);
    let mut notes = Vec::new();
    let mut asked = Vec::new();
    let end = walk(&say, asking, &mut notes, &mut |tier: &Tier, policy: Option<&Policy>, says| {
        asked.push(Asked {
            tier: tier.name.clone(),
            policy: policy.map(|policy| policy.object.clone()),
            order: policy.and_then(|policy| policy.order),
            cite: policy.map(|policy| policy.cite.clone()),
            says,
        });
    });
    let allow = end.allows();
    let (by, cite) = match end {
        Outcome::Open { .. } | Outcome::Failsafe => (By::NoPolicy, None),
        Outcome::Rule { policy, cite, .. } => {
            (By::Policy(policy.object.clone()), Some(cite.clone()))
        }
        Outcome::Profile { profile, cite, .. } => {
            (By::Policy(profile.object.clone()), Some(cite.clone()))
        }
        Outcome::EndOfTier(_, policies) => {
            let asked = last_stage(policies);
            let cite = asked.iter().find_map(|p| p.rules(asking.direction)).map(|r| r.cite.clone());
            (By::Isolation(asked.into_iter().map(|p| p.object.clone()).collect()), cite)
        }
        Outcome::Closed => {
            let host = asking.subject.as_host().map(|host| host.object.clone());
            (By::Isolation(host.into_iter().collect()), None)
        }
    };
    let nobody = matches!(end, Outcome::Open { .. } | Outcome::Closed);
    if asking.chain == Chain::Whole && nobody {
        note_bystanders(asking, &mut notes);
    }
    let decision = Decision {
        allow,
        by,
        cite,
        reason: reason(asking, &end, &notes),
        uncertain: uncertain(asking, allow, &notes),
        evidence: sorted(&end, notes),
        asked,
        staged: staged(asking, allow),
    };
    (decision, !matches!(end, Outcome::Open { .. } | Outcome::Failsafe))
}

/// What bears the decision first, then what came near another one; what matched, but decided
/// nothing, last.
fn sorted(end: &Outcome<'_>, mut notes: Vec<Found>) -> Vec<Evidence> {
    let deciding = |rule: &Rule, evidence: &Evidence| {
        let (whole, part) = (&rule.cite, &evidence.cite);
        let rest = part.field.strip_prefix(whole.field.as_str());
        evidence.matched
            && part.object == whole.object
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    // What would not have let it pass explains no denial.
    notes.retain(|note| end.allows() || note.distance != Distance::Moot);
    notes.sort_by_key(|note| {
        let rank = match end {
            Outcome::Rule { rule, .. } if deciding(rule, &note.evidence) => 0,
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
fn uncertain(asking: &Asking<'_, '_>, allow: bool, notes: &[Found]) -> Option<String> {
    if let Some(service) = service_at(&asking.subject) {
        let (namespace, name) = (&service.namespace, &service.name);
        return Some(format!("the policies of the pods of service/{namespace}/{name} decide"));
    }
    let (note, action, doubt) = notes.iter().find_map(|note| {
        let (action, doubt) = note.unsure?;
        let same = matches!((action, allow), (Action::Allow, true) | (Action::Deny, false));
        (!same && action != Action::Log).then_some((note, action, doubt))
    })?;
    let verb = match action {
        Action::Deny => "deny",
        Action::Pass => "pass on",
        Action::Allow | Action::Log => "allow",
    };
    let (finding, policy) = (&note.evidence.finding, &note.evidence.cite.object);
    let otherwise = match doubt {
        Doubt::Name => format!("if one of them has {}", asking.peer()),
        Doubt::SourcePort => "where it is another".to_owned(),
    };
    Some(format!("{finding}; {otherwise}, {policy} would {verb} it first"))
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
    let mut found: Vec<Staged> = about
        .iter()
        .map(|policy| match policy.staged {
            Some(StagedAction::Set) => {
                preview(asking, allow, policy, &[], &format!("{} is staged", policy.object))
            }
            Some(StagedAction::Delete) => {
                let target = other(policy).map_or_else(String::new, |p| p.object.to_string());
                let who = format!("{} is staged to delete {target}", policy.object);
                preview(asking, allow, policy, &[], &who)
            }
            action => Staged {
                policies: vec![policy.object.clone()],
                cite: policy.cite.clone(),
                allow,
                finding: format!(
                    "{} is staged with stagedAction {}, and is never enforced so",
                    policy.object,
                    if action == Some(StagedAction::Learn) { "Learn" } else { "Ignore" }
                ),
            },
        })
        .collect();
    let effective: Vec<&Policy> = about
        .into_iter()
        .filter(|p| matches!(p.staged, Some(StagedAction::Set | StagedAction::Delete)))
        .collect();
    if let [first, rest @ ..] = effective.as_slice()
        && !rest.is_empty()
    {
        found.push(preview(asking, allow, first, rest, "more than one policy is staged"));
    }
    found
}

/// The decision if these staged policies were carried out.
fn preview(
    asking: &Asking<'_, '_>,
    allow: bool,
    first: &Policy,
    rest: &[&Policy],
    who: &str,
) -> Staged {
    let unstaged: Vec<&Policy> = std::iter::once(first).chain(rest.iter().copied()).collect();
    let say = Say::of(asking, &unstaged);
    let mut notes = Vec::new();
    let end = walk(&say, asking, &mut notes, &mut |_, _, _| {});
    let would = end.allows();
    let whose = if rest.is_empty() { "enforced, it" } else { "enforced together, they" };
    let what = match (would == allow, would) {
        (true, _) => "would change nothing here".to_owned(),
        (false, true) => format!("would allow this: {}", reason(asking, &end, &notes)),
        (false, false) => format!("would deny this: {}", reason(asking, &end, &notes)),
    };
    Staged {
        policies: unstaged.iter().map(|policy| policy.object.clone()).collect(),
        cite: match end {
            Outcome::Rule { cite, .. } if !rest.is_empty() && would != allow => cite.clone(),
            _ => first.cite.clone(),
        },
        allow: would,
        finding: format!("{who}: {whose} {what}"),
    }
}

fn reason(asking: &Asking<'_, '_>, end: &Outcome<'_>, notes: &[Found]) -> String {
    let Asking { direction, q, subject, .. } = *asking;
    let peer = match (asking.peer(), asking.peer().address) {
        (end, Some(ip)) if end.endpoint.is_some() => format!("{end} ({ip})"),
        (end, _) => end.to_string(),
    };
    let traffic = traffic_name(q);
    match end {
        Outcome::Open { passed: true } if subject.as_host().is_some() => {
            format!("no rule of {subject}'s policies here decides, and the packet goes on")
        }
        Outcome::Open { passed: true } => {
            format!(
                "the policies that select {subject} pass it on, and nothing after them decides, so it \
                 is allowed"
            )
        }
        Outcome::Open { passed: false } => unrestricted(&subject, direction),
        Outcome::Rule { policy, rule, cite } => {
            let verb = if rule.action == Action::Allow { "allows" } else { "denies" };
            let way = match direction {
                Direction::Ingress => "",
                Direction::Egress => "the way to ",
            };
            let why = notes.iter().find(|n| n.evidence.matched && n.evidence.cite == **cite);
            let why = why.map_or_else(String::new, |n| format!(": {}", n.evidence.finding));
            format!("{} {verb} {way}{peer} on {traffic}{why}", policy.object)
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
        Outcome::EndOfTier(tier, policies) => {
            let asked = last_stage(policies);
            let ruled =
                asked.iter().filter_map(|p| p.rules(direction)).any(|r| !r.rules.is_empty());
            let kind = match direction {
                Direction::Ingress => "rule",
                Direction::Egress => "egress rule",
            };
            if ruled {
                // Kubernetes' policies know no tiers.
                let kubernetes = asked.iter().all(|p| p.subject.view == View::Kubernetes);
                let tier = match tier.name.as_str() {
                    _ if kubernetes => String::new(),
                    name => format!(", and tier {name} denies what its policies do not decide"),
                };
                let names = named(&asked, "or");
                return format!("no {kind} of {names} allows {peer} on {traffic}{tier}");
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

/// The service that kube-proxy answers for at the end's address.
fn service_at<'a>(end: &End<'a>) -> Option<&'a Service> {
    let id = end.address.and_then(|ip| end.cluster.service_by_address.get(&ip)?.first());
    end.cluster.service(*id?)
}

fn unrestricted(subject: &End<'_>, direction: Direction) -> String {
    if let Some(service) = service_at(subject) {
        return format!(
            "{subject} is an address of service/{}/{}: policies are asked about its pods, which \
             kube-proxy puts in its place and `trace` follows",
            service.namespace, service.name
        );
    }
    match (subject.as_pod(), direction) {
        (None, _) if subject.as_host().is_some() => {
            format!("no policy selects {subject} for {direction}, and its profile opens it")
        }
        (None, _) => format!("{subject} is no pod of its own network, so no policy restricts it"),
        (_, Direction::Ingress) => {
            format!("no policy selects {subject} for ingress, so everything may enter")
        }
        (_, Direction::Egress) => {
            format!("no policy selects {subject} for egress, so it may send anything anywhere")
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
            format!("{} selects {subject}, but does not speak of {direction}", policy.object)
        } else if selected || far.len() >= SHOWN {
            continue;
        } else if Some(policy.object.namespace.as_str()) == namespace
            || subject.labels_match(&policy.subject)
        {
            let misses = subject.misses(&policy.subject, Role::Subject);
            let misses = joined(misses.into_iter().map(|(_, text)| text));
            format!("{} does not select it: {misses}", policy.object)
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
