//! From documents to objects: `List`s unwrapped, kinds told apart, each object alone.

use std::collections::HashMap;

use super::check::check;
use super::fault::{Fault, Refusal};
use super::kinds::{self, Found, KnownKind};
use super::kubernetes::ObjectMeta;
use super::validation::validate;
use super::{Ignored, Kind, Manifest, Object};
use crate::text::{self, Edit, Mismatch, Node, ObjectRef, Problem, Severity, Span, Value};

/// The longest name that Kubernetes has for anything, in bytes. What is named is named wherever
/// something is said of it, and a list names the type of all its items.
const LONGEST_NAME: usize = 253;

/// Everything that can be known from the objects of `text`, each alone.
pub fn read(text: &str) -> Manifest {
    let (documents, problems) = text::read(text);
    let mut manifest = Manifest { problems, ..Manifest::default() };
    for document in documents {
        manifest.add(text, document.node, None);
    }
    manifest.keep_the_last();
    manifest.problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
    manifest
}

impl Manifest {
    /// Adds a document or an item of a list; items of typed lists have the list's type.
    fn add(&mut self, text: &str, mut node: Node, typed: Option<(&str, &str)>) {
        if !matches!(node.value, Value::Map(_)) {
            let message = "this is no Kubernetes object: it has no `apiVersion` and `kind`";
            return self.report(node.span, Severity::Error, message.to_owned(), None);
        }
        for path in ["apiVersion", "kind", "metadata.name", "metadata.namespace"] {
            let long = |name: &&Node| name.as_str().is_some_and(|name| name.len() > LONGEST_NAME);
            if let Some(name) = node.at(path).filter(long) {
                let message = format!("{path}: must be no more than {LONGEST_NAME} characters");
                return self.report(name.span, Severity::Error, message, None);
            }
        }
        let word = |key: &str| node.get(key).and_then(Node::as_str).map(str::to_owned);
        let kind = word("kind").or(typed.map(|(_, kind)| kind.to_owned()));
        let api_version = word("apiVersion").or(typed.map(|(version, _)| version.to_owned()));
        let head = node.entries().first().map_or(node.span, |entry| entry.key_span);
        let Some(kind) = kind.filter(|kind| !kind.is_empty()) else {
            let span = node.get("kind").map_or(head, |kind| kind.span);
            return self.report(span, Severity::Error, "Object 'Kind' is missing".to_owned(), None);
        };
        let Some(api_version) = api_version.filter(|version| !version.is_empty()) else {
            let span = node.get("apiVersion").map_or(head, |version| version.span);
            let message = "Object 'apiVersion' is missing".to_owned();
            return self.report(span, Severity::Error, message, None);
        };
        if let (Some(item), Some(items)) = (kind.strip_suffix("List"), take(&mut node, "items")) {
            let typed = (!item.is_empty()).then_some((api_version.as_str(), item));
            for item in items {
                self.add(text, item, typed);
            }
            return;
        }
        match kinds::find(&api_version, &kind) {
            Found::Known(known) => self.add_object(text, known, api_version, node),
            found => self.ignore(text, &found, &kind, api_version, &node),
        }
    }

    fn add_object(&mut self, text: &str, known: &KnownKind, api_version: String, node: Node) {
        let Examined { object, node, reference, faults } = examine(known, api_version, node);
        let problems = faults.into_iter().map(|fault| fault.into_problem(text, &node, &reference));
        self.problems.extend(problems);
        self.objects.extend(object.map(|object| Object { node, ..object }));
    }

    fn ignore(&mut self, text: &str, found: &Found, kind: &str, api_version: String, node: &Node) {
        let reference = reference(kind, None, node);
        if kind == "ConfigMap" {
            self.point_to_kube_proxy(text, node, &reference);
        }
        let unknown = format!("no matches for kind `{kind}` in version `{api_version}`");
        let about = match found {
            Found::Unserved(version) => Some(("apiVersion", *version, Severity::Error)),
            Found::Misspelt(kind) => Some(("kind", *kind, Severity::Warning)),
            Found::Known(_) | Found::Unknown => None,
        };
        // Whatever it is, somebody expects it to be looked at.
        let ours = api_version.starts_with("hopwise.dev/");
        let about = match about {
            Some((field, meant, _)) if ours => Some((field, meant, Severity::Error)),
            None if ours => Some(("kind", "Scenario", Severity::Error)),
            about => about,
        };
        if let Some((field, meant, severity)) = about {
            let at = node.get(field).map(|node| node.span);
            self.problems.push(Problem {
                span: at.unwrap_or(node.span),
                severity,
                message: format!("{unknown}: write `{meant}`"),
                object: Some(reference.clone()),
                fix: at.map(|at| Edit { start: at.start, end: at.end, insert: meant.to_owned() }),
            });
        }
        if about.is_none() && kind.ends_with("NetworkPolicy") {
            let message = format!(
                "{kind} of {api_version} is not evaluated: Hopwise knows the policies of Kubernetes, \
                 Calico and policy.networking.k8s.io"
            );
            let span = node.get("kind").map_or(node.span, |kind| kind.span);
            self.report(span, Severity::Warning, message, Some(reference.clone()));
        }
        self.ignored.push(Ignored { reference, api_version, span: node.span });
    }

    /// kube-proxy's settings are often found as a text within a `ConfigMap`.
    fn point_to_kube_proxy(&mut self, text: &str, node: &Node, reference: &ObjectRef) {
        let settings = node.get("data").and_then(|data| data.get("config.conf"));
        let Some(settings) = settings.and_then(Node::as_str) else { return };
        if settings.contains("kind: KubeProxyConfiguration") {
            let Span { start, end, column, .. } = node.span;
            let indent = "\n".to_owned() + &" ".repeat(column.saturating_sub(1) as usize);
            let insert = settings.trim_end().replace('\n', &indent);
            let block = !node.span.of(text).starts_with('{');
            self.problems.push(Problem {
                span: node.span_at("metadata.name"),
                severity: Severity::Warning,
                message: "kube-proxy's settings are not read from a ConfigMap: write the content \
                          of its `config.conf` instead of it"
                    .to_owned(),
                object: Some(reference.clone()),
                fix: block.then_some(Edit { start, end, insert }),
            });
        }
    }

    /// Of objects with the same name only the last stays, as when the text is applied.
    fn keep_the_last(&mut self) {
        let mut last: HashMap<(String, ObjectRef), usize> = HashMap::new();
        let mut replaced_in: Vec<Option<u32>> = vec![None; self.objects.len()];
        for (index, object) in self.objects.iter().enumerate() {
            let group = object.api_version.rsplit_once('/').map_or("", |(group, _)| group);
            // Calico's two groups are two ways to write one object
            let group = group.strip_prefix("crd.").unwrap_or(group).to_owned();
            let mut reference = object.reference.clone();
            match object.kind {
                // each asks its own questions
                Kind::Scenario(_) => continue,
                // kube-proxy has one, whatever it is called
                Kind::KubeProxyConfiguration(_) => reference.name.clear(),
                // the API server makes up a name for each
                _ if reference.name.is_empty() => continue,
                _ => {}
            }
            let before = last.insert((group, reference), index);
            if let Some(before) = before.and_then(|before| replaced_in.get_mut(before)) {
                *before = Some(object.span.line);
            }
        }
        for (object, line) in std::mem::take(&mut self.objects).into_iter().zip(replaced_in) {
            let Some(line) = line else {
                self.objects.push(object);
                continue;
            };
            let message = format!(
                "{} is written again in line {line}, which replaces it: nothing of this one is \
                 merged in",
                object.reference.to_string().trim_end()
            );
            let span = object.node.span_at("metadata.name");
            self.report(span, Severity::Warning, message, Some(object.reference));
        }
    }

    fn report(
        &mut self,
        span: Span,
        severity: Severity,
        message: String,
        object: Option<ObjectRef>,
    ) {
        self.problems.push(Problem { span, severity, message, object, fix: None });
    }
}

/// What became of a document of a known kind.
pub(super) struct Examined {
    /// The object without its tree; `None` if kube-apiserver would refuse it.
    pub(super) object: Option<Object>,
    pub(super) node: Node,
    pub(super) reference: ObjectRef,
    /// In the order in which kube-apiserver finds them.
    pub(super) faults: Vec<Fault>,
}

/// Decodes and validates a document of a known kind, as kube-apiserver does.
pub(super) fn examine(known: &KnownKind, api_version: String, node: Node) -> Examined {
    let reference = reference(known.kind, Some(known.namespaced), &node);
    let mut faults = check(&node, known.schema, known.words);
    let mut object = None;
    if !faults.iter().any(|fault| fault.refusal == Refusal::Type) {
        match decode(known, &node) {
            Ok((metadata, kind)) => {
                let mut decoded = Object {
                    reference: reference.clone(),
                    api_version,
                    metadata,
                    kind,
                    span: node.span,
                    node,
                };
                faults.extend(validate(&decoded).0);
                let node = std::mem::take(&mut decoded.node);
                let refused = faults.iter().any(|fault| fault.refusal == Refusal::Invalid);
                object = (!refused).then_some(decoded);
                return Examined { object, node, reference, faults };
            }
            Err(Mismatch { message, span }) => {
                let path = span.and_then(|span| node.path_to(span)).unwrap_or_default();
                faults.push(Fault {
                    refusal: Refusal::Type,
                    span,
                    ..Fault::new(&path, format!("{path}: {message}"))
                });
            }
        }
    }
    Examined { object, node, reference, faults }
}

fn decode(known: &KnownKind, node: &Node) -> Result<(ObjectMeta, Kind), Mismatch> {
    let metadata = node.get("metadata").map(Node::parse).transpose()?;
    Ok((metadata.unwrap_or_default(), (known.parse)(node)?))
}

/// The name of an object that may be wrong in other ways.
fn reference(kind: &str, namespaced: Option<bool>, node: &Node) -> ObjectRef {
    let word = |path| node.at(path).and_then(Node::as_str).unwrap_or_default();
    let namespace = match (word("metadata.namespace"), namespaced) {
        (_, Some(false)) => "",
        ("", Some(true)) => "default",
        (namespace, _) => namespace,
    };
    ObjectRef::new(kind, namespace, word("metadata.name"))
}

/// Takes the list out of a mapping.
fn take(node: &mut Node, key: &str) -> Option<Vec<Node>> {
    let Value::Map(entries) = &mut node.value else { return None };
    let entry = entries.iter_mut().find(|entry| entry.key == key)?;
    match std::mem::take(&mut entry.value.value) {
        Value::List(items) => Some(items),
        Value::Null => Some(Vec::new()),
        other => {
            entry.value.value = other;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        read(text).objects.iter().map(|object| object.reference.to_string()).collect()
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = read(text).problems;
        problems
            .iter()
            .map(|problem| {
                let Span { line, column, .. } = problem.span;
                format!("{line}:{column} {} `{}`", problem.message, problem.span.of(text))
            })
            .collect()
    }

    #[test]
    fn lists_are_unwrapped_and_typed_lists_lend_their_type() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: \
                    {name: a}}\n- apiVersion: v1\n  kind: PodList\n  items:\n  - metadata: {name: b, \
                    namespace: x}\n---\n{apiVersion: v1, kind: NodeList, items: [{metadata: {name: \
                    node1}}]}\n";
        assert_eq!(names(text), ["Pod default/a", "Pod x/b", "Node node1"]);
        assert_eq!(problems(text), [""; 0]);
    }

    #[test]
    fn unknown_kinds_are_ignored_without_a_word() {
        let text = "{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}}\n---\n\
                    {apiVersion: v1, kind: Secret, metadata: {name: b, namespace: c}}\n";
        let manifest = read(text);
        assert_eq!(manifest.problems, []);
        let ignored: Vec<_> = manifest.ignored.iter().map(|i| i.reference.to_string()).collect();
        assert_eq!(ignored, ["Service a", "Secret c/b"]);
    }

    #[test]
    fn kube_proxys_config_map_is_replaced_by_what_it_holds() {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kube-proxy\ndata:\n  \
                   config.conf: |-\n    apiVersion: kubeproxy.config.k8s.io/v1alpha1\n    kind: \
                   KubeProxyConfiguration\n    mode: ipvs\n  kubeconfig.conf: x\n";
        let pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n";
        let listed = map.trim_end().replace('\n', "\n  ");
        for text in [
            format!("---\n{map}---\n{pod}"),
            format!("apiVersion: v1\nkind: List\nitems:\n- {listed}\n- {pod}"),
        ] {
            let problem = read(&text).problems.remove(0);
            assert_eq!(problem.span.of(&text), "name: kube-proxy");
            let text = crate::text::edit::apply(&text, &[problem.fix.unwrap()]);
            assert_eq!(problems(&text), [""; 0]);
            assert_eq!(names(&text), ["KubeProxyConfiguration ", "Pod default/a"]);
        }
    }

    #[test]
    fn what_is_no_object_is_an_error_where_it_stands() {
        for (text, expected) in [
            ("- a\n", "1:1 this is no Kubernetes object: it has no `apiVersion` and `kind` `- a`"),
            ("apiVersion: v1\n", "1:1 Object 'Kind' is missing `apiVersion`"),
            ("kind: 1\n", "1:7 Object 'Kind' is missing `1`"),
            ("kind: Pod\n", "1:1 Object 'apiVersion' is missing `kind`"),
            (
                "apiVersion: v1\nkind: NetworkPolicy\n",
                "1:13 no matches for kind `NetworkPolicy` in version `v1`: write \
                 `networking.k8s.io/v1` `v1`",
            ),
            (
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolcy\n",
                "2:7 no matches for kind `NetworkPolcy` in version `networking.k8s.io/v1`: write \
                 `NetworkPolicy` `NetworkPolcy`",
            ),
            (
                "apiVersion: networking.k8s.io/v1\nkind: GlobalNetworkPolicy\n",
                "1:13 no matches for kind `GlobalNetworkPolicy` in version `networking.k8s.io/v1`: write \
                 `projectcalico.org/v3` `networking.k8s.io/v1`",
            ),
            (
                "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n",
                "2:7 CiliumNetworkPolicy of cilium.io/v2 is not evaluated: Hopwise knows the policies of \
                 Kubernetes, Calico and policy.networking.k8s.io `CiliumNetworkPolicy`",
            ),
        ] {
            assert_eq!(problems(text), [expected], "{text}");
        }
    }

    #[test]
    fn names_that_nothing_can_have_are_refused() {
        let name = "x".repeat(LONGEST_NAME + 1);
        for (field, text) in [
            ("apiVersion", format!("{{apiVersion: {name}, kind: PodList, items: [{{}}]}}")),
            ("kind", format!("{{apiVersion: v1, kind: {name}, items: [{{}}]}}")),
            ("metadata.name", format!("{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}}}")),
            (
                "metadata.namespace",
                format!("{{apiVersion: v1, kind: A, metadata: {{namespace: {name}}}}}"),
            ),
        ] {
            let manifest = read(&text);
            assert!(manifest.objects.is_empty() && manifest.ignored.is_empty(), "{field}");
            let [problem] = &manifest.problems[..] else { panic!("{:?}", manifest.problems) };
            assert_eq!(problem.message, format!("{field}: must be no more than 253 characters"));
            assert_eq!(problem.span.of(&text), name);
        }
    }

    #[test]
    fn an_object_has_no_more_fields_than_an_object_can_have() {
        let fields: Vec<_> = (0..1200).map(|at| format!("a{at}: 1")).collect();
        let text = format!("{{apiVersion: v1, kind: Pod, spec: {{{}}}}}", fields.join(", "));
        assert_eq!(
            problems(&text),
            ["1:8926 spec: 1200 fields: no object has more than 1000 `a1000`"]
        );
    }

    #[test]
    fn a_wrong_object_leaves_the_others_working() {
        let text = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: []}\n---\n{apiVersion: v1, \
                    kind: Pod, metadata: {name: b}}\n";
        assert_eq!(names(text), ["Pod default/b"]);
        assert_eq!(problems(text).len(), 1);
    }

    #[test]
    fn the_last_of_two_equal_objects_counts() {
        let text = "{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {v: '1'}}}\n---\n\
                    {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {v: '2'}}}\n";
        let manifest = read(text);
        assert_eq!(manifest.objects.len(), 1);
        assert_eq!(manifest.objects[0].metadata.labels["v"], "2");
        assert_eq!(
            problems(text),
            [
                "1:40 Pod default/a is written again in line 3, which replaces it: nothing of this one is \
              merged in `name: a`"
            ]
        );
    }

    #[test]
    fn calico_and_kubernetes_policies_are_two_kinds() {
        let text = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}}\n---\n\
                    {apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: a}}\n";
        let kinds: Vec<_> = read(text).objects.into_iter().map(|object| object.kind).collect();
        assert!(matches!(kinds[..], [Kind::NetworkPolicy(_), Kind::CalicoPolicy(_)]));
    }

    #[test]
    fn a_field_is_cited_by_its_path_and_one_left_out_by_its_nearest_ancestor() {
        let text = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\n\
                    spec:\n  ingress:\n  - from:\n    - ipBlock: {cidr: 10.0.0.0/8}\n";
        let object = read(text).objects.remove(0);
        for (path, expected) in [
            ("spec.ingress[0].from[0].ipBlock.cidr", "cidr: 10.0.0.0/8"),
            ("spec.ingress[0].from[0]", "ipBlock: {cidr: 10.0.0.0/8}"),
            ("spec.ingress[0].ports", "from:\n    - ipBlock: {cidr: 10.0.0.0/8}"),
            ("spec.policyTypes", "spec"),
            ("status", "apiVersion"),
        ] {
            let cite = object.cite(path);
            assert_eq!(cite.span.unwrap().of(text), expected, "{path}");
        }
    }
}
