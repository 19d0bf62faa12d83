//! What is said about wrong objects, and what is underlined.

use super::*;
use crate::text::{Severity, edit};

/// `severity line:column message` with the underlined text, and what stays.
pub(super) fn said(text: &str) -> (Vec<String>, usize) {
    let manifest = read(text);
    let lines = manifest
        .problems
        .iter()
        .map(|problem| {
            let Span { line, column, .. } = problem.span;
            let severity = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            format!("{severity} {line}:{column} {} `{}`", problem.message, problem.span.of(text))
        })
        .collect();
    (lines, manifest.objects.len())
}

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: a}}\nspec:\n{spec}"
    )
}

fn service(spec: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec:\n{spec}")
}

fn scenario(spec: &str) -> String {
    format!("apiVersion: hopwise.dev/v1\nkind: Scenario\nspec:\n{spec}")
}

/// One complaint, and whether the object stays.
fn check(text: &str, expected: &str, stays: bool) {
    assert_eq!(said(text), (vec![expected.to_owned()], usize::from(stays)), "{text}");
}

#[test]
fn wrong_types_are_said_as_the_api_server_says_them() {
    check(
        &policy("  ingress: {}\n"),
        "error 5:12 json: cannot unmarshal object into Go struct field \
         NetworkPolicySpec.spec.ingress of type []v1.NetworkPolicyIngressRule: a list is expected \
         here: `[]` has no items, `[{}]` has an empty one `{}`",
        false,
    );
    check(
        &policy("  podSelector:\n    matchLabels:\n      tier: 5\n"),
        "error 7:13 json: cannot unmarshal number into Go struct field \
         LabelSelector.spec.podSelector.matchLabels of type string: put it in quotes `5`",
        false,
    );
    check(
        &service("  ports:\n  - port: http\n"),
        "error 6:11 json: cannot unmarshal string into Go struct field \
         ServicePort.spec.ports.port of type int32 `http`",
        false,
    );
    check(
        &scenario("  flows: {from: a}\n"),
        "error 4:10 spec.flows: Invalid value: \"object\": spec.flows in body must be of type \
         array: \"object\": a list is expected here: begin each item with `- ` `{from: a}`",
        false,
    );
}

#[test]
fn what_yaml_takes_for_something_else_is_mended_by_quotes() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: y, namespace: 007, labels: {a: 1.0}}}";
    let problems = read(text).problems;
    let fixes: Vec<_> = problems.into_iter().filter_map(|problem| problem.fix).collect();
    assert_eq!(
        edit::apply(text, &fixes),
        "{apiVersion: v1, kind: Pod, metadata: {name: \"y\", namespace: \"007\", labels: {a: \"1.0\"}}}"
    );
}

#[test]
fn a_wrong_type_in_a_custom_kind_is_said_with_its_path() {
    check(
        "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: a}\nspec:\n  \
         ingress:\n  - action: [Allow]\n",
        "error 6:13 spec.ingress[0].action: Invalid value: \"array\": spec.ingress[0].action in body \
         must be of type string: \"array\" `[Allow]`",
        false,
    );
}

#[test]
fn all_that_is_wrong_with_an_object_is_said_at_once() {
    let text = policy("  ingress: x\n  egress: 5\n  podSelector: []\n");
    let (lines, kept) = said(&text);
    assert_eq!((lines.len(), kept), (3, 0));
}

#[test]
fn unknown_fields_are_warned_of_and_mended() {
    let text = policy("  podselector: {}\n");
    check(
        &text,
        "warning 5:3 unknown field \"spec.podselector\": did you mean `podSelector`? `podselector`",
        true,
    );
    let fix = read(&text).problems.remove(0).fix.unwrap();
    assert_eq!(said(&edit::apply(&text, &[fix])), (Vec::new(), 1));
    check(&policy("  foo: 1\n"), "warning 5:3 unknown field \"spec.foo\" `foo`", true);
    check(
        &service("  clusterIP: None\n  externaltrafficpolicy: Local\n"),
        "warning 6:3 unknown field \"spec.externaltrafficpolicy\": did you mean \
         `externalTrafficPolicy`? `externaltrafficpolicy`",
        true,
    );
}

#[test]
fn what_kubectl_get_prints_is_no_mistake() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  namespace: b\n  creationTimestamp: \
                null\n  generateName: a-\n  labels: {pod-template-hash: 5f4}\n  managedFields:\n  - \
                {apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {'f:a': {}}, manager: m, operation: \
                Update, time: '2026-01-01T00:00:00Z'}\n  ownerReferences:\n  - {apiVersion: apps/v1, \
                blockOwnerDeletion: true, controller: true, kind: ReplicaSet, name: a, uid: u}\n  \
                resourceVersion: '1'\n  uid: u\nspec:\n  affinity: {}\n  containers:\n  - image: x\n    \
                name: c\n    ports:\n    - {containerPort: 80, name: http, protocol: TCP}\n    \
                resources: {limits: {cpu: 1}}\n  dnsPolicy: ClusterFirst\n  enableServiceLinks: true\n  \
                nodeName: node1\n  tolerations: []\nstatus:\n  conditions:\n  - {lastProbeTime: null, \
                lastTransitionTime: '2026-01-01T00:00:00Z', status: 'True', type: Ready}\n  \
                containerStatuses: []\n  hostIP: 10.0.0.1\n  hostIPs: [{ip: 10.0.0.1}]\n  phase: \
                Running\n  podIP: 10.1.0.1\n  podIPs: [{ip: 10.1.0.1}]\n  qosClass: BestEffort\n";
    assert_eq!(said(text), (Vec::new(), 1));
    let Kind::Pod(pod) = read(text).objects.remove(0).kind else { panic!("no pod") };
    assert_eq!(pod.status.pod_ip.as_deref(), Some("10.1.0.1"));
    assert_eq!(pod.spec.containers[0].ports[0].container_port, 80);
}

#[test]
fn wrong_values_are_said_with_those_that_are_supported() {
    for (spec, expected) in [
        (
            "  type: Nodeport\n  ports: [{port: 80}]\n",
            "error 5:9 spec.type: Unsupported value: \"Nodeport\": supported values: \"ClusterIP\", \
             \"ExternalName\", \"LoadBalancer\", \"NodePort\": did you mean `NodePort`? `Nodeport`",
        ),
        (
            "  type: NodePort\n  externalTrafficPolicy: local\n  ports: [{port: 80}]\n",
            "error 6:26 spec.externalTrafficPolicy: Unsupported value: \"local\": supported values: \
             \"Cluster\", \"Local\": did you mean `Local`? `local`",
        ),
        (
            "  externalTrafficPolicy: Local\n  ports: [{port: 80}]\n",
            "error 5:26 spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for \
             externally-accessible services `Local`",
        ),
        (
            "  ports: [{port: 80, nodePort: 30080}]\n",
            "error 5:32 spec.ports[0].nodePort: Forbidden: may not be used when `type` is \
             'ClusterIP' `30080`",
        ),
        (
            "  ports: [{port: 80, protocol: tcp}]\n",
            "error 5:32 spec.ports[0].protocol: Unsupported value: \"tcp\": supported values: \
             \"SCTP\", \"TCP\", \"UDP\": did you mean `TCP`? `tcp`",
        ),
        (
            "  clusterIP: 10.0.0\n  ports: [{port: 80}]\n",
            "error 5:14 spec.clusterIP: Invalid value: \"10.0.0\": must be a valid IP address, (e.g. \
             10.9.8.7 or 2001:db8::ffff) `10.0.0`",
        ),
        ("  selector: {app: web}\n", "error 4:1 spec.ports: Required value `spec`"),
    ] {
        check(&service(spec), expected, false);
    }
}

#[test]
fn a_scenario_is_checked_to_its_flows() {
    for (spec, expected) in [
        (
            "  clients:\n  - {name: user, ip: 10.2.3}\n",
            "error 5:22 spec.clients[0].ip: Invalid value: \"10.2.3\": must be a valid IP address, \
             (e.g. 10.9.8.7 or 2001:db8::ffff) `10.2.3`",
        ),
        (
            "  hosts: {rpFilter: strict}\n",
            "error 4:21 spec.hosts.rpFilter: Unsupported value: \"strict\": supported values: \
             \"Strict\", \"Loose\": did you mean `Strict`? `strict`",
        ),
        (
            "  flows:\n  - {from: client/a, to: pod/a/b:80, expect: Allowed}\n",
            "error 5:46 spec.flows[0].expect: Unsupported value: \"Allowed\": supported values: \
             \"Delivered\", \"Dropped\", \"Rejected\", \"Unroutable\", \"Mixed\" `Allowed`",
        ),
        (
            "  clients:\n  - {name: a, ip: 10.0.0.1}\n  - {name: a, ip: 10.0.0.2}\n",
            "error 6:12 spec.clients[1].name: Duplicate value: \"a\" `a`",
        ),
    ] {
        check(&scenario(spec), expected, false);
    }
    let (lines, _) = said(&scenario("  flows:\n  - {from: client/a, to: nowhere}\n"));
    assert!(lines[0].starts_with("error 5:26 spec.flows[0].to: "), "{lines:?}");
    assert!(lines[0].ends_with(" `nowhere`"), "{lines:?}");
    let (lines, _) = said(&scenario("  flows:\n  - {from: nobody, to: ip/10.0.0.1:80}\n"));
    assert!(lines[0].starts_with("error 5:12 spec.flows[0].from: "), "{lines:?}");
}

#[test]
fn names_that_only_kube_apiserver_minds_keep_no_object_out() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: My_Pod}\n";
    let (lines, kept) = said(text);
    assert_eq!(kept, 1);
    assert!(lines[0].starts_with("warning 3:18 metadata.name: Invalid value: \"My_Pod\": "));
}

#[test]
fn odd_networks_are_warned_of_as_kubectl_does() {
    check(
        &policy("  ingress:\n  - from:\n    - ipBlock: {cidr: 10.0.0.1/8}\n"),
        "warning 7:23 spec.ingress[0].from[0].ipBlock.cidr: CIDR value \"10.0.0.1/8\" is ambiguous in \
         this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?) `10.0.0.1/8`",
        true,
    );
}

#[test]
fn kubectl_says_why_broken_yaml_is_refused() {
    for (text, expected) in [
        ("a: [1,\n  2\n", "line 2: did not find expected ',' or ']'"),
        ("a:\n  b: 'x\n", "line 2: found unexpected end of stream"),
        ("a:\n  b: c: d\n", "line 2: mapping values are not allowed in this context"),
        ("a:\n  b: *x\n", "unknown anchor 'x' referenced"),
    ] {
        let frame = "error: error parsing f.yaml: error converting YAML to JSON: yaml: ";
        assert_eq!(apply(text, "f.yaml"), [format!("{frame}{expected}")], "{text}");
    }
}
