//! Findings: what in a text probably does something else than it seems to, worst first.
//!
//! A finding changes no verdict: everything is decided as it really is. It says beforehand what one
//! would otherwise learn from a trace.

mod egress;
mod nobody;
mod objects;
mod peers;
mod policies;
mod ports;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::cluster::{Cluster, PodId};
use crate::decision::selected;
use crate::manifest;
use crate::net::Direction;
use crate::policy::form::{Policy, Rule, Side};
use crate::text::{Cite, Severity};

/// Something to know about a place of the text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which kind of finding, in words that stay the same: `peer-matches-nobody`.
    pub kind: &'static str,
    /// One sentence: what is so.
    pub title: String,
    /// Why, and what follows.
    pub why: String,
    /// What to write instead, where there is something.
    pub instead: Option<String>,
    /// Where.
    pub cite: Cite,
}

/// What there is to say about a text, worst first, then in its order.
pub fn findings(text: &str, cluster: &Cluster) -> Vec<Finding> {
    let mut look = Look::at(cluster);
    for policy in look.policies() {
        look.subject(&policy);
        look.stages(&policy);
        look.order(&policy);
        for direction in [Direction::Ingress, Direction::Egress] {
            let rules = policy.form.rules(direction).map(|rules| rules.rules.as_slice());
            for rule in rules.unwrap_or_default() {
                look.peers(&policy, direction, rule);
                look.ports(&policy, direction, rule);
            }
        }
    }
    look.name_resolution();
    look.established();
    for object in &manifest::read(text).objects {
        look.object(object);
    }
    let mut found = look.found;
    found.sort_by_key(|finding| {
        (std::cmp::Reverse(finding.severity), finding.cite.span, finding.kind)
    });
    found.dedup();
    found
}

/// A policy and whom it is about.
#[derive(Clone)]
struct About<'a> {
    form: &'a Policy,
    /// Pods that it selects.
    pods: BTreeSet<PodId>,
}

struct Look<'a> {
    cluster: &'a Cluster,
    about: Vec<About<'a>>,
    found: Vec<Finding>,
}

impl<'a> Look<'a> {
    fn at(cluster: &'a Cluster) -> Self {
        let policies = cluster.policies.all().map(|form| About {
            form,
            pods: selected(cluster, &form.subject).into_iter().collect(),
        });
        Self { cluster, about: policies.collect(), found: Vec::new() }
    }

    fn policies(&self) -> Vec<About<'a>> {
        self.about.clone()
    }

    fn warn(&mut self, kind: &'static str, cite: &Cite, title: String, why: &str) -> &mut Finding {
        self.tell(Severity::Warning, kind, cite, title, why)
    }

    fn note(&mut self, kind: &'static str, cite: &Cite, title: String, why: &str) -> &mut Finding {
        self.tell(Severity::Note, kind, cite, title, why)
    }

    fn tell(
        &mut self,
        severity: Severity,
        kind: &'static str,
        cite: &Cite,
        title: String,
        why: &str,
    ) -> &mut Finding {
        let cite = cite.clone();
        self.found.push(Finding {
            severity,
            kind,
            title,
            why: why.to_owned(),
            instead: None,
            cite,
        });
        let last = self.found.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "it was pushed just now")]
        &mut self.found[last]
    }
}

impl Finding {
    fn instead(&mut self, instead: impl Into<String>) {
        self.instead = Some(instead.into());
    }
}

/// The side of a rule on which the policy's endpoints are not.
fn peer_of(rule: &Rule, direction: Direction) -> &Side {
    match direction {
        Direction::Ingress => &rule.source,
        Direction::Egress => &rule.destination,
    }
}

#[cfg(test)]
mod tests;
