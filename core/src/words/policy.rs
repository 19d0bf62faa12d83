//! Words for what policies decide: who did, why, what was looked at, what is not certain.

mod finding;

pub(crate) use finding::{UNKNOWN, UNKNOWN_CLOSED};
use finding::{found, listed, seen, service_name, traffic_name, with_address};

use crate::cluster::Cluster;
use crate::datapath::{CauseKind, Gate, Outcome, Step};
use crate::decision::{
    Asked, By, Decision, Doubt, EndpointRef, Evidence, Reason, Says, Seen, Staged, StagedPolicy,
    Unknown,
};
use crate::net::Direction;
use crate::policy::form::{Action, StagedAction, View};
use crate::text::ObjectRef;

/// The deciding policy: `NetworkPolicy foo/test`, or `no policy`.
pub fn by(decision: &Decision) -> String {
    match &decision.by {
        By::NoPolicy => "no policy".to_owned(),
        By::Policy(object) => object.to_string(),
        By::Isolation(objects) => listed(objects),
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

/// What happened at a step; of a policy evaluation with the decision's reason.
pub fn summary(cluster: &Cluster, step: &Step) -> String {
    match &step.gate {
        Some(gate) => format!("{}: {}", step.summary, reason(cluster, &gate.decision)),
        None => step.summary.clone(),
    }
}

/// Why a step is not certain, where it is not.
pub fn uncertain(cluster: &Cluster, step: &Step) -> Option<String> {
    let doubted = step.gate.as_ref().and_then(|gate| gate.decision.uncertain.as_ref());
    doubted.map(|why| doubt(cluster, why)).or_else(|| step.uncertain.clone())
}

/// Why a connection did not come about; of a policy's verdict with its reason.
pub fn message(cluster: &Cluster, outcome: &Outcome) -> Option<String> {
    let cause = outcome.cause.as_ref()?;
    let steps = outcome.steps.iter().chain(&outcome.reply);
    let mut gates = steps.filter_map(|step| step.gate.as_ref());
    let denial = gates.find(|gate| !gate.decision.allow);
    Some(match denial.filter(|_| cause.kind == CauseKind::PolicyDenied) {
        Some(Gate { decision, .. }) => format!("{}: {}", cause.message, reason(cluster, decision)),
        None => cause.message.clone(),
    })
}

/// Why it was decided so.
pub fn reason(cluster: &Cluster, decision: &Decision) -> String {
    because(cluster, &decision.reason)
}

fn because(cluster: &Cluster, reason: &Reason) -> String {
    match reason {
        Reason::Itself => "a pod can always reach itself".to_owned(),
        Reason::OwnNode => "a node can always reach the pods that run on it".to_owned(),
        Reason::NotThere(problem) => problem.clone(),
        Reason::ServiceAddress { subject, service } => format!(
            "{} is an address of {}: policies are asked about its pods, which kube-proxy puts in \
             its place and `trace` follows",
            seen(subject),
            service_name(&service.namespace, &service.name)
        ),
        Reason::Unrestricted { subject, direction } => unrestricted(subject, *direction),
        Reason::Passed { subject } if is_host(subject) => {
            format!("no rule of {}'s policies here decides, and the packet goes on", seen(subject))
        }
        Reason::Passed { subject } => format!(
            "the policies that select {} pass it on, and nothing after them decides, so it is \
             allowed",
            seen(subject)
        ),
        Reason::Rule { policy, action, direction, peer, traffic, because } => {
            let verb = if *action == Action::Allow { "allows" } else { "denies" };
            let way = match direction {
                Direction::Ingress => "",
                Direction::Egress => "the way to ",
            };
            let why = because.as_ref();
            let why = why.map_or_else(String::new, |it| format!(": {}", found(cluster, it)));
            format!(
                "{policy} {verb} {way}{} on {}{why}",
                with_address(peer),
                traffic_name(*traffic)
            )
        }
        Reason::Profile { profile, allow, peer, traffic } => {
            let verb = if *allow { "allows" } else { "does not allow" };
            let (peer, traffic) = (with_address(peer), traffic_name(*traffic));
            format!("no policy decides, and {profile} {verb} {peer} on {traffic}")
        }
        Reason::Closed { subject, peer, traffic } => format!(
            "no policy allows {} on {}, and {} has no profile that opens it",
            with_address(peer),
            traffic_name(*traffic),
            seen(subject)
        ),
        Reason::Failsafe { subject, traffic } => format!(
            "{} is one of the failsafe ports that Felix always opens on {}",
            traffic_name(*traffic),
            seen(subject)
        ),
        Reason::NoRuleAllows { policies, tier, direction, peer, traffic } => {
            let kind = match direction {
                Direction::Ingress => "rule",
                Direction::Egress => "egress rule",
            };
            let tier = tier.as_ref().map_or_else(String::new, |tier| {
                format!(", and tier {tier} denies what its policies do not decide")
            });
            let (names, peer) = (named(policies, "or"), with_address(peer));
            format!("no {kind} of {names} allows {peer} on {}{tier}", traffic_name(*traffic))
        }
        Reason::NoRules { policies, subject, direction } => {
            let (select, have) =
                if policies.len() == 1 { ("selects", "has") } else { ("select", "have") };
            let end = match direction {
                Direction::Ingress => "enter",
                Direction::Egress => "leave",
            };
            format!(
                "{} {select} {} and {have} no {direction} rule, so nothing may {end}",
                named(policies, "and"),
                seen(subject)
            )
        }
    }
}

fn unrestricted(subject: &Seen, direction: Direction) -> String {
    let name = seen(subject);
    match (&subject.endpoint, direction) {
        (Some(EndpointRef::Host(_)), _) => {
            format!("no policy selects {name} for {direction}, and its profile opens it")
        }
        (Some(EndpointRef::Set(_)) | None, _) => {
            format!("{name} is no pod of its own network, so no policy restricts it")
        }
        (Some(EndpointRef::Pod { .. }), Direction::Ingress) => {
            format!("no policy selects {name} for ingress, so everything may enter")
        }
        (Some(EndpointRef::Pod { .. }), Direction::Egress) => {
            format!("no policy selects {name} for egress, so it may send anything anywhere")
        }
    }
}

/// Why a decision is not certain.
pub fn doubt(cluster: &Cluster, doubt: &Doubt) -> String {
    match doubt {
        Doubt::Service(service) => format!(
            "the policies of the pods of {} decide",
            service_name(&service.namespace, &service.name)
        ),
        Doubt::Rule { finding, policy, action, unknown, peer } => {
            let verb = match action {
                Action::Deny => "deny",
                Action::Pass => "pass on",
                Action::Allow | Action::Log => "allow",
            };
            let otherwise = match unknown {
                Unknown::Name => format!("if one of them has {}", seen(peer)),
                Unknown::SourcePort => "where it is another".to_owned(),
            };
            let finding = found(cluster, finding);
            format!("{finding}; {otherwise}, {policy} would {verb} it first")
        }
        Doubt::Family { family, allow, reason } => {
            let other = family.other();
            let verb = if *allow { "allowed" } else { "denied" };
            let why = because(cluster, reason);
            format!(
                "both ends have both families, and this is over {family}; over {other} it is \
                 {verb}: {why}"
            )
        }
    }
}

/// What staged policies would do, and why.
pub fn staged(cluster: &Cluster, staged: &Staged) -> String {
    let what = staged_briefly(staged);
    match &staged.change {
        Some(reason) => format!("{what}: {}", because(cluster, reason)),
        None => what,
    }
}

/// What staged policies would do.
pub(super) fn staged_briefly(staged: &Staged) -> String {
    let what = match (&staged.change, staged.allow) {
        (None, _) => "would change nothing here",
        (Some(_), true) => "would allow this",
        (Some(_), false) => "would deny this",
    };
    let [StagedPolicy { object, action, deletes }] = staged.policies.as_slice() else {
        return format!("more than one policy is staged: enforced together, they {what}");
    };
    match action {
        StagedAction::Set => format!("{object} is staged: enforced, it {what}"),
        StagedAction::Delete => {
            let target = deletes.as_ref().map_or_else(String::new, ToString::to_string);
            format!("{object} is staged to delete {target}: enforced, it {what}")
        }
        StagedAction::Learn => never(object, "Learn"),
        StagedAction::Ignore => never(object, "Ignore"),
    }
}

fn never(object: &ObjectRef, action: &str) -> String {
    format!("{object} is staged with stagedAction {action}, and is never enforced so")
}

/// What was found where one looked.
pub fn finding(cluster: &Cluster, evidence: &Evidence) -> String {
    found(cluster, &evidence.finding)
}

fn is_host(end: &Seen) -> bool {
    matches!(end.endpoint, Some(EndpointRef::Host(_)))
}

/// `NetworkPolicy a/b`, or the first few of many.
fn named(policies: &[ObjectRef], joined_by: &str) -> String {
    const SHOWN: usize = 3;
    let names: Vec<_> = policies.iter().take(SHOWN).map(ToString::to_string).collect();
    match policies.len().saturating_sub(SHOWN) {
        0 => names.join(&format!(" {joined_by} ")),
        more => format!("{} {joined_by} {more} more policies", names.join(", ")),
    }
}

#[cfg(test)]
mod tests;
