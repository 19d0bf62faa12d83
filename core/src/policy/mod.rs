//! Every policy language in one form, and the one evaluator of that form.

use serde::Serialize;

use crate::text::{Cite, ObjectRef};

/// Which of a pod's two questions is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Direction {
    /// May the packet leave this pod?
    Egress,
    /// May the packet enter this pod?
    Ingress,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// May the packet pass?
    pub allow: bool,
    /// Who decided.
    pub by: By,
    /// The deciding place: the peer or rule that allowed, or the policy's list in which nothing
    /// matched. `None` if no policy restricts the pod in this direction.
    pub cite: Option<Cite>,
    /// One sentence, for a person.
    pub reason: String,
    /// Everything that was looked at, in order, misses included: the explanation of a denial is
    /// its nearest misses.
    pub evidence: Vec<Evidence>,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum By {
    /// No policy selects the pod in this direction, so everything passes.
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

/// Every policy of the cluster, in the common form.
#[derive(Clone, Debug, Default)]
pub struct Policies {}
