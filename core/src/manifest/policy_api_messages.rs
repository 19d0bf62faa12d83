//! What is said about wrong objects of the policy API's kinds.

use super::calico_messages::check;
use super::messages::said;

/// An `AdminNetworkPolicy` with one rule.
fn admin(rule: &str) -> String {
    format!("{{priority: 1, subject: {{namespaces: {{}}}}, egress: [{rule}]}}")
}

#[test]
fn admin_network_policies_are_checked_as_their_definition_does() {
    for (spec, expected) in [
        ("{priority: 1, subject: {namespaces: {}}}", None),
        (
            "{priority: 1001, subject: {namespaces: {}}}",
            Some(
                "spec.priority: Invalid value: 1001: spec.priority in body should be less than or equal \
                 to 1000",
            ),
        ),
        ("{subject: {namespaces: {}}}", Some("spec.priority: Required value")),
        ("{priority: 1}", Some("spec.subject: Required value")),
        (
            "{priority: 1, subject: {}}",
            Some(
                "spec.subject: Invalid value: 0: spec.subject in body should have at least 1 properties: \
                 write one of `namespaces`, `pods`",
            ),
        ),
        (
            "{priority: 1, subject: {namespaces: {}, pods: {namespaceSelector: {}, podSelector: {}}}}",
            Some(
                "spec.subject: Too many: 2: must have at most 1 item: keep one of `namespaces`, `pods`",
            ),
        ),
        (
            "{priority: 1, subject: {namespaces: }}",
            Some(
                "spec.subject.namespaces: Invalid value: \"null\": spec.subject.namespaces in body must be \
                 of type object: \"null\"",
            ),
        ),
    ] {
        one("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy", spec, expected);
    }
}

#[test]
fn admin_rules_are_checked_as_their_definition_does() {
    for (rule, expected) in [
        ("{action: Allow, to: [{namespaces: {}}]}", None),
        ("{action: Allow}", Some("spec.egress[0].to: Required value")),
        (
            "{action: Allow, to: []}",
            Some(
                "spec.egress[0].to: Invalid value: 0: spec.egress[0].to in body should have at least 1 \
                 items",
            ),
        ),
        (
            "{action: Accept, to: [{namespaces: {}}]}",
            Some(
                "spec.egress[0].action: Unsupported value: \"Accept\": supported values: \"Allow\", \
                 \"Deny\", \"Pass\"",
            ),
        ),
        (
            "{action: Allow, to: [{}]}",
            Some(
                "spec.egress[0].to[0]: Invalid value: 0: spec.egress[0].to[0] in body should have at least \
                 1 properties: write one of `domainNames`, `namespaces`, `networks`, `nodes`, `pods`",
            ),
        ),
        (
            "{action: Allow, to: [{networks: [10.0.0.0]}]}",
            Some(
                "spec.egress[0].to[0].networks[0]: Invalid value: \"10.0.0.0\": Invalid CIDR format \
                 provided",
            ),
        ),
        (
            "{action: Allow, to: [{domainNames: ['*.*.example']}]}",
            Some(
                "spec.egress[0].to[0].domainNames[0]: Invalid value: \"*.*.example\": \
                 spec.egress[0].to[0].domainNames[0] in body should match \
                 '^(\\*\\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.?$'",
            ),
        ),
        (
            "{action: Allow, to: [{networks: [10.0.0.0/8]}], ports: [{namedPort: http}]}",
            Some(
                "spec.egress[0]: Invalid value: networks/nodes/domainNames peer cannot be set with \
                 namedPorts since there are no namedPorts for networks/nodes/domainNames",
            ),
        ),
        (
            "{action: Allow, to: [{namespaces: {}}], ports: [{portNumber: {port: 0}}]}",
            Some(
                "spec.egress[0].ports[0].portNumber.port: Invalid value: 0: \
                 spec.egress[0].ports[0].portNumber.port in body should be greater than or equal to 1",
            ),
        ),
        (
            "{action: Allow, to: [{namespaces: {}}], ports: [{portRange: {start: 5}}]}",
            Some("spec.egress[0].ports[0].portRange.end: Required value"),
        ),
        (
            "{action: Allow, to: [{namespaces: {matchExpressions: [{key: a, operator: Equals}]}}]}",
            Some(
                "spec.egress[0].to[0].namespaces.matchExpressions[0].operator: Invalid value: \"Equals\": \
                 not a valid selector operator",
            ),
        ),
    ] {
        one("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy", &admin(rule), expected);
    }
}

/// The only message, without place and underlined text.
#[track_caller]
fn one(version: &str, kind: &str, spec: &str, expected: Option<&str>) {
    let text =
        format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: default}}\nspec: {spec}\n");
    let (lines, kept) = said(&text);
    let messages: Vec<_> = lines
        .iter()
        .map(|line| line.splitn(3, ' ').nth(2).unwrap().rsplit_once(" `").unwrap().0)
        .collect();
    assert_eq!(messages, expected.into_iter().collect::<Vec<_>>(), "{text}");
    assert_eq!(kept, usize::from(expected.is_none()), "{text}");
}

#[test]
fn baseline_policies_are_one_and_know_less() {
    let version = "policy.networking.k8s.io/v1alpha1";
    let kind = "BaselineAdminNetworkPolicy";
    let spec = |rule: &str| format!("{{subject: {{namespaces: {{}}}}, egress: [{rule}]}}");
    one(version, kind, &spec("{action: Deny, to: [{namespaces: {}}]}"), None);
    one(
        version,
        kind,
        &spec("{action: Pass, to: [{namespaces: {}}]}"),
        Some(
            "spec.egress[0].action: Unsupported value: \"Pass\": supported values: \"Allow\", \"Deny\"",
        ),
    );
    let text = format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{subject: {{namespaces: {{}}}}}}\n"
    );
    assert_eq!(
        said(&text).0,
        [
            "error 3:18 metadata.name: Invalid value: \"a\": Only one baseline admin network policy with \
          metadata.name=\"default\" can be created in the cluster `a`"
        ]
    );
}

#[test]
fn cluster_network_policies_are_checked_as_their_definition_does() {
    let (version, kind) = ("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy");
    let with = |rule: &str| {
        format!("{{tier: Admin, priority: 1, subject: {{namespaces: {{}}}}, ingress: [{rule}]}}")
    };
    let rule = |protocol: &str| {
        with(&format!("{{action: Accept, from: [{{namespaces: {{}}}}], protocols: [{protocol}]}}"))
    };
    for (spec, expected) in [
        (with(""), None),
        ("{priority: 1, subject: {namespaces: {}}}".to_owned(), Some("spec.tier: Required value")),
        (
            "{tier: admin, priority: 1, subject: {namespaces: {}}}".to_owned(),
            Some(
                "spec.tier: Unsupported value: \"admin\": supported values: \"Admin\", \"Baseline\": did \
                 you mean `Admin`?",
            ),
        ),
        (
            with("{action: Allow, from: [{namespaces: {}}]}"),
            Some(
                "spec.ingress[0].action: Unsupported value: \"Allow\": supported values: \"Accept\", \
                 \"Deny\", \"Pass\"",
            ),
        ),
        (rule("{tcp: {destinationPort: {number: 80}}}"), None),
        (rule("{destinationNamedPort: http}"), None),
        (
            rule("{tcp: {}}"),
            Some(
                "spec.ingress[0].protocols[0].tcp: Invalid value: 0: spec.ingress[0].protocols[0].tcp in \
                 body should have at least 1 properties: write `destinationPort`",
            ),
        ),
        (
            rule("{tcp: {destinationPort: {range: {start: 5, end: 5}}}}"),
            Some(
                "spec.ingress[0].protocols[0].tcp.destinationPort.range: Invalid value: Start port must be \
                 less than End port",
            ),
        ),
    ] {
        one(version, kind, &spec, expected);
    }
    let many = vec!["{namespaces: {}}"; 26].join(", ");
    one(
        version,
        kind,
        &with(&format!("{{action: Accept, from: [{many}]}}")),
        Some("spec.ingress[0].from: Too many: 26: must have at most 25 items"),
    );
}

#[test]
fn a_selector_that_is_missing_selects_everything() {
    check(
        "policy.networking.k8s.io/v1alpha1",
        "AdminNetworkPolicy",
        &[(
            "{priority: 1, subject: {pods: {podSelector: {}}}}",
            &[
                "warning 4:31 spec.subject.pods.namespaceSelector: Required value: left out, it is read as \
               `{}`, which selects everything `pods`",
            ],
        )],
    );
}

#[test]
fn peers_of_earlier_versions_say_what_became_of_them() {
    let spec = "{priority: 1, subject: {namespaces: {}}, ingress: [{action: Allow, from: [{namespaces: \
                {sameLabels: [tenant]}}]}]}";
    let text = format!(
        "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {{name: \
         a}}\nspec: {spec}\n"
    );
    assert_eq!(
        said(&text).0,
        [
            "warning 4:95 unknown field \"spec.ingress[0].from[0].namespaces.sameLabels\": v0.1.2 of the \
          API took it away; without it, every namespace is selected `sameLabels`"
        ]
    );
}
