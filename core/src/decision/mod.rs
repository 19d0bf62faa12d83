//! What policies say: one evaluator of the common form.
//!
//! [`decide`] asks the policies of one pod about one packet, [`decide_host`] those of a host
//! endpoint, [`evaluate`] those of both ends about a flow, and [`Reach`] everybody's at once.

mod end;
mod evaluate;
mod explain;
#[cfg(test)]
mod explanations;
mod flows;
mod host;
#[cfg(test)]
mod laws;
mod miss;
#[cfg(test)]
pub(crate) mod random;
mod reach;
mod rule;
mod select;
mod set;
#[cfg(test)]
mod specification;

use serde::Serialize;

pub(crate) use end::own_profiles;
pub use evaluate::{decide, permits};
pub use flows::{Evaluation, allowed, evaluate};
pub use host::{HostChain, HostDecision, HostPacket, decide_host};
pub use reach::{Peer, Point, Reach, polices};
pub use select::{describes, ports_named, selected, selects_anything, selects_host};
pub(crate) use set::Set;

use crate::text::{Cite, ObjectRef};

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// May the packet pass?
    pub allow: bool,
    /// Who decided.
    pub by: By,
    /// The deciding place: the peer or rule that matched, or the list of the first policy in
    /// which nothing matched. `None` if no policy restricts the pod in this direction.
    pub cite: Option<Cite>,
    /// One sentence, for a person.
    pub reason: String,
    /// Everything that was looked at, misses included: what bears the decision first, then the
    /// rest, the nearest misses before the others.
    pub evidence: Vec<Evidence>,
    /// The policies that select the endpoint, as far as they were asked, in that order.
    pub asked: Vec<Asked>,
    /// What staged policies would do.
    pub staged: Vec<Staged>,
    /// Why it is not certain, where it is not.
    pub uncertain: Option<String>,
}

impl Decision {
    /// A decision that no policy had a part in.
    pub(crate) fn unasked(allow: bool, reason: String) -> Self {
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

/// A policy that was asked, or the end of a tier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Asked {
    /// The tier's name.
    pub tier: String,
    /// The policy; `None` is the tier's end.
    pub policy: Option<ObjectRef>,
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

/// What staged policies would do to a packet if they were enforced.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Staged {
    /// Which; the last of several entries has them all, together.
    pub policies: Vec<ObjectRef>,
    /// Where the first of them stands.
    pub cite: Cite,
    /// Would the packet pass?
    pub allow: bool,
    /// One sentence, for a person.
    pub finding: String,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum By {
    /// No policy restricts the pod in this direction, so everything passes.
    NoPolicy,
    /// A rule of this policy matched.
    Policy(ObjectRef),
    /// These policies select the pod, none of their rules matched, and so the packet is denied.
    Isolation(Vec<ObjectRef>),
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Where it stands.
    pub cite: Cite,
    /// Did it match?
    pub matched: bool,
    /// What was found, for a person: `10.233.90.0 is not in 10.2.3.4/32`.
    pub finding: String,
}
