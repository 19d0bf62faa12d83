//! Settings with where they come from.

use crate::manifest::{Kind, Object};
use crate::text::{Cite, Edit, ObjectRef, Origin, Problem, Setting, Severity};

/// The name of the object that Calico takes the whole cluster's settings from, one of a kind.
pub(super) const CLUSTER: &str = "default";
/// Before the name of the node whose settings an object is.
const NODE: &str = "node.";

/// The settings that are not in force, though the text writes them: Calico passes over objects of
/// other names (`libcalico-go` `configurationprocessor.go`, `confd` `updateBGPConfigCache`), and
/// those of single nodes are not evaluated here.
pub(crate) fn passed_over(objects: &[Object]) -> Vec<Problem> {
    let problem = |object: &Object, severity, message| Problem {
        span: object.node.at("metadata.name").map_or(object.span, |name| name.span),
        severity,
        message,
        object: Some(object.reference.clone()),
        fix: None,
    };
    let mut found = Vec::new();
    let mut nodes_told = false;
    let of_felix = |object: &Object| match object.kind {
        Kind::FelixConfiguration(_) => Some(true),
        Kind::BgpConfiguration(_) => Some(false),
        _ => None,
    };
    let clusters = |felix: bool| {
        let settings = objects.iter().filter(|it| of_felix(it) == Some(felix));
        settings.filter(|it| !it.reference.name.starts_with(NODE)).count()
    };
    let (felixes, bgps) = (clusters(true), clusters(false));
    for object in objects {
        let Some(of_felix) = of_felix(object) else { continue };
        let ObjectRef { kind, name, .. } = &object.reference;
        if name.starts_with(NODE) {
            if of_felix && !nodes_told {
                nodes_told = true;
                let message = format!(
                    "{kind}s of single nodes are not evaluated: what holds for every node here is what \
                     {kind} {CLUSTER} says"
                );
                found.push(problem(object, Severity::Note, message));
            }
            let ignored = OF_NO_NODE.iter().filter(|field| !of_felix && object.has(field));
            for field in ignored {
                let message = format!(
                    "{field} is not used: Calico reads it from {kind} {CLUSTER} alone, not from one of a node"
                );
                let span = object.node.span_at(field);
                found.push(Problem { span, ..problem(object, Severity::Warning, message) });
            }
        } else if name != CLUSTER {
            let message = format!(
                "{} is not used: Calico reads {kind} `{CLUSTER}`, and `{NODE}NAME` for a single node: \
                 write `{CLUSTER}`",
                object.reference.to_string().trim_end()
            );
            let alone = if of_felix { felixes } else { bgps } == 1;
            let at = object.node.at("metadata.name").map(|name| name.span);
            let fix = at.filter(|_| alone).map(|at| Edit {
                start: at.start,
                end: at.end,
                insert: CLUSTER.to_owned(),
            });
            found.push(Problem { fix, ..problem(object, Severity::Warning, message) });
        }
    }
    found
}

/// Of what is evaluated of a `BGPConfiguration`, all that `confd` does not read from a node's.
const OF_NO_NODE: [&str; 4] = [
    "spec.nodeToNodeMeshEnabled",
    "spec.serviceClusterIPs",
    "spec.serviceExternalIPs",
    "spec.serviceLoadBalancerIPs",
];

/// A value that the text writes.
pub(crate) fn written<T>(value: T, cite: Cite) -> Setting<T> {
    Setting { value, origin: Origin::Written(cite) }
}

/// A value that its reader defaults.
pub(crate) fn default<T>(value: T, why: &str) -> Setting<T> {
    Setting { value, origin: Origin::Default(why.to_owned()) }
}

/// The object that writes settings, if there is one.
#[derive(Clone, Copy)]
pub(super) struct Source<'a>(pub(super) Option<&'a Object>);

/// What it writes at a path.
pub(super) struct Found<T> {
    /// `None` if it writes nothing there.
    cite: Option<Cite>,
    /// `None` if that is no particular value.
    value: Option<T>,
}

impl Source<'_> {
    pub(super) fn at<T>(self, path: &str, value: Option<T>) -> Found<T> {
        Found { cite: self.0.filter(|_| value.is_some()).map(|object| object.cite(path)), value }
    }

    /// A word that stands for a value.
    pub(super) fn word<T: Copy>(
        self,
        path: &str,
        word: Option<&String>,
        values: &[(&str, T)],
    ) -> Found<T> {
        let cite = self.0.filter(|_| word.is_some()).map(|object| object.cite(path));
        let is =
            |(known, _): &&(&str, T)| word.is_some_and(|word| word.eq_ignore_ascii_case(known));
        Found { cite, value: values.iter().find(is).map(|(_, value)| *value) }
    }
}

impl<T> Found<T> {
    /// The setting, with its reader's default and why that is.
    pub(super) fn or(self, usual: T, why: &str) -> Setting<T> {
        match self.cite {
            Some(cite) => written(self.value.unwrap_or(usual), cite),
            None => default(usual, why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let problems = crate::read(text).problems;
        let told =
            |it: &Problem| format!("{:?} at {}: {}", it.severity, it.span.of(text), it.message);
        problems.iter().map(told).collect()
    }

    fn felix(name: &str) -> String {
        format!(
            "---\napiVersion: projectcalico.org/v3\nkind: FelixConfiguration\n\
             metadata: {{name: {name}}}\nspec: {{bpfEnabled: true}}\n"
        )
    }

    fn bgp(name: &str) -> String {
        format!(
            "---\napiVersion: projectcalico.org/v3\nkind: BGPConfiguration\n\
             metadata: {{name: {name}}}\nspec: {{nodeToNodeMeshEnabled: false, listenPort: 178}}\n"
        )
    }

    #[test]
    fn settings_of_a_name_that_calico_does_not_read_change_nothing_and_are_told() {
        for name in ["other", "Default", "node", "nodes.a", "default.a"] {
            let cluster = crate::read(&(felix(name) + &bgp(name))).cluster;
            assert_eq!(cluster.proxy.mode.value, crate::cluster::ProxyMode::Iptables, "{name}");
            assert!(cluster.network.bgp.mesh.value, "{name}");
        }
        assert_eq!(
            told(&(felix("other") + &bgp("mesh"))),
            [
                "Warning at other: FelixConfiguration other is not used: Calico reads FelixConfiguration \
                 `default`, and `node.NAME` for a single node: write `default`",
                "Warning at mesh: BGPConfiguration mesh is not used: Calico reads BGPConfiguration \
                 `default`, and `node.NAME` for a single node: write `default`",
            ]
        );
    }

    #[test]
    fn the_clusters_settings_count_wherever_they_stand() {
        let text = felix("other").replace("true", "false") + &felix("default");
        let cluster = crate::read(&text).cluster;
        assert_eq!(cluster.proxy.mode.value, crate::cluster::ProxyMode::Ebpf);
    }

    #[test]
    fn a_name_that_is_not_read_is_mended_where_only_one_could_be_meant() {
        let text = felix("other");
        let fix = crate::read(&text).problems.remove(0).fix.unwrap();
        let mended = crate::text::edit::apply(&text, &[fix]);
        assert_eq!(mended, felix("default"));
        assert_eq!(told(&mended), [""; 0]);
        for text in [felix("other") + &felix("default"), felix("a") + &felix("b")] {
            let problems = crate::read(&text).problems;
            assert!(problems.iter().all(|problem| problem.fix.is_none()), "{problems:?}");
        }
    }

    #[test]
    fn settings_of_single_nodes_are_told_to_be_left_out() {
        assert_eq!(
            told(&(felix("node.a") + &felix("node.b"))),
            [
                "Note at node.a: FelixConfigurations of single nodes are not evaluated: what holds for \
              every node here is what FelixConfiguration default says"
            ]
        );
        assert_eq!(
            told(&bgp("node.a")),
            [
                "Warning at nodeToNodeMeshEnabled: false: spec.nodeToNodeMeshEnabled is not used: Calico \
              reads it from BGPConfiguration default alone, not from one of a node"
            ]
        );
        assert_eq!(told(&bgp("node.a").replace("nodeToNodeMeshEnabled: false, ", "")), [""; 0]);
    }
}
