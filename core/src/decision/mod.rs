//! What policies say: one evaluator of the common form. It records facts; words for them are made
//! elsewhere, on demand.
//!
//! [`decide`] asks the policies of one pod about one packet, [`decide_host`] those of a host
//! endpoint, [`explain`] and [`explain_host`] tell their reasons too; [`evaluate`] asks those of
//! both ends about a flow, and [`Reach`] everybody's at once.

mod end;
mod evaluate;
mod explain;
#[cfg(test)]
pub(crate) mod explanations;
mod finding;
mod flows;
mod holds;
mod host;
#[cfg(test)]
mod laws;
mod miss;
mod note;
#[cfg(test)]
pub(crate) mod random;
mod reach;
mod rule;
mod select;
mod set;
#[cfg(test)]
pub(crate) mod specification;

pub(crate) use end::own_profiles;
pub use evaluate::decide;
pub use explain::explain;
pub use finding::{
    EndpointRef, Evidence, Finding, Held, Miss, PortOf, RuleRef, Seen, Traffic, TrafficMiss,
    Unknown, Unmet,
};
pub use flows::{Evaluation, allowed, evaluate};
pub use host::{HostChain, HostPacket, decide_host, explain_host};
pub use reach::{Peer, Point, Reach, polices};
pub use select::{describes, ports_named, selected, selects_anything, selects_host};
use serde::Serialize;
pub(crate) use set::Set;

use crate::cluster::Backend;
use crate::net::{Direction, Family};
use crate::policy::form::{Action, StagedAction, View};
use crate::text::{Cite, ObjectRef};

/// The answer to one question, without its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// May the packet pass?
    pub allow: bool,
    /// Who decided.
    pub by: By,
    /// The deciding place: the peer or rule that matched, or the list of the first policy in
    /// which nothing matched. `None` if no policy restricts the pod in this direction.
    pub cite: Option<Cite>,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// May the packet pass?
    pub allow: bool,
    /// Who decided.
    pub by: By,
    /// The deciding place, as in [`Ruling`].
    pub cite: Option<Cite>,
    /// Why.
    pub reason: Reason,
    /// Everything that was looked at, misses included: what bears the decision first, then the
    /// rest, the nearest misses before the others.
    pub evidence: Vec<Evidence>,
    /// The policies that select the endpoint, as far as they were asked, in that order.
    pub asked: Vec<Asked>,
    /// What staged policies would do.
    pub staged: Vec<Staged>,
    /// Why it is not certain, where it is not.
    pub uncertain: Option<Doubt>,
}

impl Decision {
    /// A decision that no policy had a part in.
    pub(crate) fn unasked(allow: bool, reason: Reason) -> Self {
        Self {
            allow,
            by: By::NoPolicy,
            cite: None,
            reason,
            evidence: Vec::new(),
            asked: Vec::new(),
            staged: Vec::new(),
            uncertain: None,
        }
    }
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// No policy restricts the pod in this direction, so everything passes.
    NoPolicy,
    /// A rule of this policy matched.
    Policy(ObjectRef),
    /// These policies select the pod, none of their rules matched, and so the packet is denied.
    Isolation(Vec<ObjectRef>),
}

/// Why it was decided so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Both ends are the same pod, which can always reach itself.
    Itself,
    /// A node can always reach the pods that run on it.
    OwnNode,
    /// What the flow names is not there.
    NotThere,
    /// kube-proxy puts a service's pods in the place of the address, and it is about these that
    /// policies are asked.
    ServiceAddress {
        /// Who has the address.
        subject: Seen,
        /// The service.
        service: ObjectRef,
    },
    /// No policy selects the endpoint, or it is none.
    Unrestricted {
        /// Whose policies were asked.
        subject: Seen,
        /// About what comes in or what goes out.
        direction: Direction,
    },
    /// Policies that select the endpoint pass it on, and nothing after them decides.
    Passed {
        /// Whose policies were asked.
        subject: Seen,
    },
    /// A rule of a policy matches.
    Rule {
        /// The policy.
        policy: ObjectRef,
        /// What the rule does.
        action: Action,
        /// Which of the policy's rules.
        direction: Direction,
        /// The other end.
        peer: Seen,
        /// What was asked for.
        traffic: Traffic,
        /// What of the rule matches.
        because: Option<Box<Finding>>,
    },
    /// No policy decides, and a profile does.
    Profile {
        /// The profile.
        profile: ObjectRef,
        /// Whether it allows it.
        allow: bool,
        /// The other end.
        peer: Seen,
        /// What was asked for.
        traffic: Traffic,
    },
    /// Nothing opens the endpoint.
    Closed {
        /// Whose policies were asked.
        subject: Seen,
        /// The other end.
        peer: Seen,
        /// What was asked for.
        traffic: Traffic,
    },
    /// Felix keeps the port open on every host endpoint.
    Failsafe {
        /// The host endpoint.
        subject: Seen,
        /// What was asked for.
        traffic: Traffic,
    },
    /// Policies select the endpoint, and none of their rules allows it.
    NoRuleAllows {
        /// The policies.
        policies: Vec<ObjectRef>,
        /// The tier that denies by its end; `None` if all are of Kubernetes, which knows no tiers.
        tier: Option<String>,
        /// Which of the policies' rules.
        direction: Direction,
        /// The other end.
        peer: Seen,
        /// What was asked for.
        traffic: Traffic,
    },
    /// Policies select the endpoint, and have no rule at all.
    NoRules {
        /// The policies.
        policies: Vec<ObjectRef>,
        /// Whose they are.
        subject: Seen,
        /// The direction of which they have none.
        direction: Direction,
    },
}

/// Why a decision is not certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The policies of the pods of this service decide, and they were not asked.
    Service(ObjectRef),
    /// A rule before the one that decided could have decided otherwise.
    Rule {
        /// Why it does not match, as far as the text tells.
        finding: Box<Finding>,
        /// Whose rule it is.
        policy: ObjectRef,
        /// What it would do.
        action: Action,
        /// What nobody can tell.
        unknown: Unknown,
        /// The other end.
        peer: Seen,
    },
    /// Both ends have both families, and over the other one it is decided otherwise.
    Family {
        /// The other one.
        instead: Family,
        /// What is decided over it.
        allow: bool,
        /// Why.
        reason: Box<Reason>,
    },
    /// DNS gives the addresses of several endpoints, and about another it is decided otherwise.
    Endpoint {
        /// The endpoint that was asked about.
        first: Backend,
        /// The other one.
        other: Backend,
        /// What is decided about that.
        allow: bool,
        /// Why.
        reason: Box<Reason>,
    },
}

/// A policy that was asked, or the end of a tier.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The tier's name.
    pub tier: String,
    /// The policy; `None` is the tier's end.
    pub policy: Option<ObjectRef>,
    /// How the policy's language sees endpoints.
    pub view: Option<View>,
    /// The policy's order or priority.
    pub order: Option<f64>,
    /// Where the policy stands.
    pub cite: Option<Cite>,
    /// The answer.
    pub says: Says,
}

/// What a policy says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Says {
    /// A rule allows it.
    Allow,
    /// A rule, or the tier's end, denies it.
    Deny,
    /// The next tier is asked.
    Pass,
    /// No rule matches.
    Nothing,
}

/// What staged policies would do to a packet if they were carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Which; the last of several entries has them all, together.
    pub policies: Vec<StagedPolicy>,
    /// Where the first of them stands, or what would decide if they were carried out together.
    pub cite: Cite,
    /// Would the packet pass?
    pub allow: bool,
    /// Why it would be decided otherwise; `None` if it would not.
    pub change: Option<Reason>,
}

/// A staged policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedPolicy {
    /// Which object it is.
    pub object: ObjectRef,
    /// What is to be done with it.
    pub action: StagedAction,
    /// The policy that it deletes.
    pub deletes: Option<ObjectRef>,
}
