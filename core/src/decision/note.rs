//! Notes of what was looked at, for those who ask why.

use super::finding::{Evidence, Finding, Unknown};
use crate::policy::form::Action;
use crate::text::Cite;

/// Something that was looked at. `()` is for those who want only the answer: the same computation
/// then notes nothing and stops at the first miss.
pub(crate) trait Note: Sized {
    /// Whether anything is kept.
    const KEPT: bool;
    /// The rule would match, and do this, if what nobody can tell from the text were so.
    fn unsure(self, action: Action, unknown: Unknown) -> Self;
    fn new(
        matched: bool,
        distance: Distance,
        cite: &Cite,
        finding: impl FnOnce() -> Finding,
    ) -> Self;
}

/// How far a miss was from matching; the nearest are told first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Distance {
    /// It matched.
    None,
    /// The peer matches, the port or protocol does not.
    Port,
    /// The peer matches in part.
    Part,
    /// The peer does not match.
    Peer,
    /// Neither peer nor port match.
    Both,
    /// The peer is of another sort than what was asked about: a block, and it is a pod; a
    /// selector, and it is no endpoint.
    Sort,
    /// The rule would not have let it pass in any case.
    Moot,
    /// The policy has no rule at all.
    NoRule,
    /// The policy does not select the endpoint.
    NotSelected,
}

impl Note for () {
    const KEPT: bool = false;
    fn unsure(self, _: Action, _: Unknown) -> Self {}
    fn new(_: bool, _: Distance, _: &Cite, _: impl FnOnce() -> Finding) -> Self {}
}

/// A note that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) distance: Distance,
    pub(crate) evidence: Evidence,
    /// What the rule would do if it matched, which nobody can tell from the text, and why not.
    pub(crate) unsure: Option<(Action, Unknown)>,
}

impl Note for Found {
    const KEPT: bool = true;
    fn unsure(self, action: Action, unknown: Unknown) -> Self {
        Self { unsure: Some((action, unknown)), ..self }
    }
    fn new(
        matched: bool,
        distance: Distance,
        cite: &Cite,
        finding: impl FnOnce() -> Finding,
    ) -> Self {
        let evidence = Evidence { cite: cite.clone(), matched, finding: finding() };
        Self { distance, evidence, unsure: None }
    }
}
