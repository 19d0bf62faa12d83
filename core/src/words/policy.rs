//! Words for what policies decide: who did, why, what was looked at, what is not certain.

mod finding;

pub(crate) use finding::{UNKNOWN, UNKNOWN_CLOSED};
use finding::{found, seen, service_name, traffic_name, with_address};

use super::phrase::{Line, Part, Phrase, code, joined, object, phrase, pod};
use crate::cluster::{Backend, Cluster};
use crate::datapath::{Gate, Step, Subject, host_packet};
use crate::decision::{
    self, Asked, By, Decision, Doubt, EndpointRef, Evidence, Reason, Says, Seen, Staged,
    StagedPolicy, Unknown,
};
use crate::net::Direction;
use crate::policy::form::{Action, StagedAction, View};
use crate::text::ObjectRef;

/// The deciding policy: `NetworkPolicy foo/test`, or `no policy`.
pub fn by(decision: &Decision) -> String {
    match &decision.by {
        By::NoPolicy => "no policy".to_owned(),
        By::Policy(object) => object.to_string(),
        By::Isolation(objects) => {
            objects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
    }
}

/// What was decided and by whom: `Deny by NetworkPolicy foo/test`, `Allow: no policy`.
pub fn decided(decided: &Decision) -> String {
    let joint = if decided.by == By::NoPolicy { ":" } else { " by" };
    format!("{}{joint} {}", decision(decided), by(decided))
}

/// `Allow` or `Deny`.
pub fn decision(decision: &Decision) -> &'static str {
    if decision.allow { "Allow" } else { "Deny" }
}

/// Who was asked in which order, where that is worth saying: of Kubernetes' policies among
/// themselves it does not matter. Each with its answer: `AdminNetworkPolicy a (tier kube-admin):
/// passes on`.
pub fn asked(decision: &Decision) -> Vec<String> {
    // Those of Kubernetes' other kinds are in tiers of their own.
    let unordered = |asked: &Asked| {
        asked.tier == "default" && asked.view.is_none_or(|view| view == View::Kubernetes)
    };
    let policies = decision.asked.iter().filter(|asked| asked.policy.is_some()).count();
    if policies < 2 || decision.asked.iter().all(unordered) {
        return Vec::new();
    }
    let told = decision.asked.iter().map(|asked| {
        let says = match asked.says {
            Says::Allow => "allows it",
            Says::Deny => "denies it",
            Says::Pass => "passes on",
            Says::Nothing => "no rule matches",
        };
        match &asked.policy {
            Some(policy) => format!("{policy} (tier {}): {says}", asked.tier),
            None if asked.says == Says::Deny => {
                format!("end of tier {}: denies what its policies do not decide", asked.tier)
            }
            None => format!("end of tier {}: {says}", asked.tier),
        }
    });
    told.collect()
}

/// A policy evaluation of a packet's way, asked again with its reasons.
pub fn explain(cluster: &Cluster, step: &Step, gate: &Gate) -> Decision {
    let explained = match gate.who {
        Subject::Pod(id) => Some(decision::explain(cluster, gate.direction, id, &step.before)),
        Subject::Host(id, chain) => cluster.host_endpoint(id).and_then(|host| {
            decision::explain_host(cluster, gate.direction, host, chain, &host_packet(step))
        }),
    };
    explained.unwrap_or_else(|| Decision {
        by: gate.ruling.by.clone(),
        cite: gate.ruling.cite.clone(),
        ..Decision::unasked(gate.ruling.allow, Reason::NotThere)
    })
}

/// Why it was decided so.
pub fn reason(cluster: &Cluster, decision: &Decision) -> Phrase {
    let mut says = because(cluster, &decision.reason);
    if let Some(cite) = &decision.cite {
        says.stands_at(cite);
    }
    says
}

fn because(cluster: &Cluster, reason: &Reason) -> Phrase {
    match reason {
        Reason::Itself => "a pod can always reach itself".into(),
        Reason::OwnNode => "a node can always reach the pods that run on it".into(),
        Reason::NotThere => Phrase::default(),
        Reason::ServiceAddress { subject, service } => phrase![
            seen(subject),
            " is an address of ",
            service_name(&service.namespace, &service.name),
            ": policies are asked about its pods, which kube-proxy puts in its place and ",
            code("trace"),
            " follows"
        ],
        Reason::Unrestricted { subject, direction } => unrestricted(subject, *direction),
        Reason::Passed { subject } if is_host(subject) => phrase![
            "no rule of ",
            seen(subject),
            "'s policies here decides, and the packet goes on"
        ],
        Reason::Passed { subject } => phrase![
            "the policies that select ",
            seen(subject),
            " pass it on, and nothing after them decides, so it is allowed"
        ],
        Reason::Rule { policy, action, direction, peer, traffic, because } => {
            let verb = if *action == Action::Allow { " allows " } else { " denies " };
            let way = match direction {
                Direction::Ingress => "",
                Direction::Egress => "the way to ",
            };
            let mut says = phrase![
                object(policy),
                verb,
                way,
                with_address(peer),
                " on ",
                traffic_name(*traffic)
            ];
            if let Some(why) = because {
                says.add(phrase![": ", found(cluster, why)]);
            }
            says
        }
        Reason::Profile { profile, allow, peer, traffic } => phrase![
            "no policy decides, and ",
            object(profile),
            if *allow { " allows " } else { " does not allow " },
            with_address(peer),
            " on ",
            traffic_name(*traffic)
        ],
        Reason::Closed { subject, peer, traffic } => phrase![
            "no policy allows ",
            with_address(peer),
            " on ",
            traffic_name(*traffic),
            ", and ",
            seen(subject),
            " has no profile that opens it"
        ],
        Reason::Failsafe { subject, traffic } => phrase![
            traffic_name(*traffic),
            " is one of the failsafe ports that Felix always opens on ",
            seen(subject)
        ],
        Reason::NoRuleAllows { policies, tier, direction, peer, traffic } => {
            let rule = match direction {
                Direction::Ingress => "no rule of ",
                Direction::Egress => "no egress rule of ",
            };
            let mut says = phrase![
                rule,
                named(policies, " or "),
                " allows ",
                with_address(peer),
                " on ",
                traffic_name(*traffic)
            ];
            if let Some(tier) = tier {
                says.add(format!(", and tier {tier} denies what its policies do not decide"));
            }
            says
        }
        Reason::NoRules { policies, subject, direction } => {
            let (select, have) = match policies.as_slice() {
                [_] => (" selects ", " and has no "),
                _ => (" select ", " and have no "),
            };
            let end = match direction {
                Direction::Ingress => "enter",
                Direction::Egress => "leave",
            };
            let have = format!("{have}{direction} rule, so nothing may {end}");
            phrase![named(policies, " and "), select, seen(subject), have]
        }
    }
}

fn unrestricted(subject: &Seen, direction: Direction) -> Phrase {
    let name = seen(subject);
    match (&subject.endpoint, direction) {
        (Some(EndpointRef::Host(_)), _) => {
            let end = format!(" for {direction}, and its profile opens it");
            phrase!["no policy selects ", name, end]
        }
        (Some(EndpointRef::Set(_)) | None, _) => {
            phrase![name, " is no pod of its own network, so no policy restricts it"]
        }
        (Some(EndpointRef::Pod { .. }), Direction::Ingress) => {
            phrase!["no policy selects ", name, " for ingress, so everything may enter"]
        }
        (Some(EndpointRef::Pod { .. }), Direction::Egress) => {
            phrase!["no policy selects ", name, " for egress, so it may send anything anywhere"]
        }
    }
}

/// Why a decision is not certain.
pub fn doubt(cluster: &Cluster, doubt: &Doubt) -> Phrase {
    let decided = |allow: bool, reason: &Reason| {
        let verb = if allow { "allowed: " } else { "denied: " };
        phrase![" it is ", verb, because(cluster, reason)]
    };
    match doubt {
        Doubt::Service(service) => phrase![
            "the policies of the pods of ",
            service_name(&service.namespace, &service.name),
            " decide"
        ],
        Doubt::Rule { finding, policy, action, unknown, peer } => {
            let verb = match action {
                Action::Deny => "deny",
                Action::Pass => "pass on",
                Action::Allow | Action::Log => "allow",
            };
            let otherwise = match unknown {
                Unknown::Name => phrase!["if one of them has ", seen(peer)],
                Unknown::SourcePort => "where it is another".into(),
            };
            let would = format!(" would {verb} it first");
            phrase![found(cluster, finding), "; ", otherwise, ", ", object(policy), would]
        }
        Doubt::Family { instead, allow, reason } => phrase![
            format!(
                "both ends have both families, and this is over {}; over {instead}",
                instead.other()
            ),
            decided(*allow, reason)
        ],
        Doubt::Endpoint { first, other, allow, reason } => phrase![
            "DNS gives the addresses of several endpoints, and this is about ",
            backend(cluster, *first),
            "; to ",
            backend(cluster, *other),
            decided(*allow, reason)
        ],
    }
}

/// A pod, or an address with its port.
fn backend(cluster: &Cluster, backend: Backend) -> Part {
    match backend.pod {
        Some(id) => pod(cluster, id),
        None => Part::Address(backend.ip, Some(backend.port)),
    }
}

/// What staged policies would do, and why.
pub fn staged(cluster: &Cluster, staged: &Staged) -> Phrase {
    let mut says = staged_briefly(staged);
    if let Some(reason) = &staged.change {
        says.add(phrase![": ", because(cluster, reason)]);
    }
    says
}

/// What staged policies would do.
pub(super) fn staged_briefly(staged: &Staged) -> Phrase {
    let what = match (&staged.change, staged.allow) {
        (None, _) => "would change nothing here",
        (Some(_), true) => "would allow this",
        (Some(_), false) => "would deny this",
    };
    let mut says = if let [policy] = staged.policies.as_slice() {
        staged_alone(policy, what)
    } else {
        phrase!["more than one policy is staged: enforced together, they ", what]
    };
    says.stands_at(&staged.cite);
    says
}

fn staged_alone(policy: &StagedPolicy, what: &str) -> Phrase {
    let StagedPolicy { object: staged, action, deletes } = policy;
    let never =
        |action: &str| format!(" is staged with stagedAction {action}, and is never enforced so");
    let staged = object(staged);
    match action {
        StagedAction::Set => phrase![staged, " is staged: enforced, it ", what],
        StagedAction::Delete => {
            let target = deletes.as_ref().map_or_else(Phrase::default, |it| object(it).into());
            phrase![staged, " is staged to delete ", target, ": enforced, it ", what]
        }
        StagedAction::Learn => phrase![staged, never("Learn")],
        StagedAction::Ignore => phrase![staged, never("Ignore")],
    }
}

/// One thing that was looked at.
pub fn line(cluster: &Cluster, evidence: &Evidence) -> Line {
    let finding = finding(cluster, evidence);
    Line { cite: evidence.cite.clone(), matched: evidence.matched, finding }
}

/// What was found where one looked.
pub fn finding(cluster: &Cluster, evidence: &Evidence) -> Phrase {
    let mut says = found(cluster, &evidence.finding);
    says.stands_at(&evidence.cite);
    says
}

fn is_host(end: &Seen) -> bool {
    matches!(end.endpoint, Some(EndpointRef::Host(_)))
}

/// `NetworkPolicy a/b`, or the first few of many.
fn named(policies: &[ObjectRef], joined_by: &str) -> Phrase {
    const SHOWN: usize = 3;
    let names = policies.iter().take(SHOWN).map(object);
    match policies.len().saturating_sub(SHOWN) {
        0 => joined(names, joined_by),
        more => phrase![joined(names, ", "), joined_by, more, " more policies"],
    }
}

#[cfg(test)]
mod tests;
