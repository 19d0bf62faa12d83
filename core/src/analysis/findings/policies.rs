//! Policies as a whole: whom they select, when they are asked, what never is.

use super::nobody::Role;
use super::{About, Look};
use crate::decision::{describes, selects_host};
use crate::net::Direction;
use crate::policy::form::{Action, Requirement, Rule, Stage, StagedAction};

impl Look<'_> {
    /// Whose policy it is.
    pub(super) fn subject(&mut self, policy: &About<'_>) {
        let (form, cluster) = (policy.form, self.cluster);
        let name = &form.object;
        if form.staged == Some(StagedAction::Delete) {
            return;
        }
        if let Some(missing) = self.nobody(&form.subject, Role::Subject) {
            let term = missing.term.and_then(|index| form.subject.terms.get(index));
            let cite = term.map_or(&form.cite, |term| &term.cite);
            let title = format!("{name} selects nothing: {}", missing.what);
            let why = missing.why.as_deref().unwrap_or(
                "selectors are compared with pods' own labels, never with those of their Deployment or Service",
            );
            self.warn("policy-selects-nothing", cite, title, why).instead = missing.instead;
        }
        // What takes everybody is not about this pod.
        let by_labels = form.subject.terms.iter().any(
            |c| matches!(&c.requires, Requirement::Labels(selector) if !selector.is_everything()),
        );
        let of_host = cluster.pods.iter().find(|pod| {
            pod.host_network && !pod.finished && describes(cluster, &form.subject, pod)
        });
        if let Some(pod) = of_host.filter(|_| form.stage == Stage::Normal && by_labels) {
            self.warn(
                "host-network-pod-selected",
                &form.cite,
                format!("{name} describes pod {}/{}, but does not apply to it", pod.namespace, pod.name),
                "the pod uses its node's network (hostNetwork), and has none of its own that a policy could guard",
            )
            .instead("only a HostEndpoint with a GlobalNetworkPolicy can guard it");
        }
    }

    /// When it is asked, and whether it is in force at all.
    pub(super) fn stages(&mut self, policy: &About<'_>) {
        let form = policy.form;
        let name = &form.object;
        if let Some(action) = form.staged {
            let would = match action {
                StagedAction::Set => {
                    "enforced, it would take the place of a policy of its name; decisions say what it would do"
                }
                StagedAction::Delete => {
                    "carried out, it would delete the policy of its name; decisions say what that would do"
                }
                StagedAction::Learn | StagedAction::Ignore => {
                    "with this stagedAction nothing will come of it"
                }
            };
            let title = format!("{name} is staged and decides nothing");
            self.note("staged", &form.cite, title, would);
        }
        let flag = match form.stage {
            Stage::Untracked => "doNotTrack",
            Stage::PreDnat => "preDNAT",
            Stage::Normal => return,
        };
        if !selects_host(self.cluster, &form.subject) {
            self.warn(
                "needs-host-endpoint",
                &form.cite,
                format!("{name} applies to nothing: {flag} policies are for host endpoints, and it selects none"),
                "what pods send and receive is not asked about there, though their labels fit",
            )
            .instead("write a HostEndpoint with labels that it selects, one for each node");
        }
        if form.stage == Stage::Untracked && form.ingress.is_some() != form.egress.is_some() {
            let (has, lacks) = match form.ingress {
                Some(_) => ("ingress", "egress"),
                None => ("egress", "ingress"),
            };
            self.warn(
                "untracked-one-way",
                &form.cite,
                format!("{name} has {has} rules only"),
                &format!("what a doNotTrack policy accepts is not tracked, so its answers belong to no known connection: they need {lacks} rules of their own"),
            );
        }
    }

    /// Rules behind one that decides everything.
    pub(super) fn order(&mut self, policy: &About<'_>) {
        let everything = |rule: &Rule| {
            let side = |side: &crate::policy::form::Side| {
                side.peers.is_empty() && side.ports.is_empty() && side.not_ports.is_empty()
            };
            rule.action != Action::Log
                && rule.ip_version.is_none()
                && rule.protocol.is_none()
                && rule.not_protocol.is_none()
                && side(&rule.source)
                && side(&rule.destination)
        };
        // The rules of a NetworkPolicy can only add to each other.
        let only_allows = |rules: &[Rule]| rules.iter().all(|rule| rule.action == Action::Allow);
        for direction in [Direction::Ingress, Direction::Egress] {
            let Some(rules) = policy.form.rules(direction) else { continue };
            let first = rules.rules.iter().position(everything);
            let Some(first) = first.filter(|_| !only_allows(&rules.rules)) else { continue };
            if let Some(rule) = rules.rules.get(first + 1) {
                self.warn(
                    "rule-never-asked",
                    &rule.cite,
                    format!("rules of {} are never asked", policy.form.object),
                    &format!("{direction} rule {} matches everything, and the first rule that matches decides", first + 1),
                )
                .instead("write the rule for everything last");
            }
        }
    }

    /// What no change of policy does.
    pub(super) fn established(&mut self) {
        let in_force =
            |policy: &&About<'_>| policy.form.staged.is_none() && !policy.pods.is_empty();
        let first = self.about.iter().find(in_force).or(self.about.first());
        let Some(first) = first.map(|policy| policy.form) else { return };
        self.note(
            "established-connections",
            &first.cite,
            "a change of policy does not cut connections that stand".to_owned(),
            "Calico accepts the packets of established connections before it asks any policy (ctstate RELATED,ESTABLISHED), so what a new policy denies goes on until it is closed",
        )
        .instead("to cut one at once, delete it on its node: `conntrack -D -s SOURCE -d DESTINATION`");
    }
}
