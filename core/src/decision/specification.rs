//! What policies mean, by example; each table row is a rule of the API.

use super::{Decision, Doubt, Evaluation, Finding, Reason, Unknown, evaluate, selected};
use crate::cluster::{Cluster, Unresolved};
use crate::net::Family;
use crate::policy::form::Action;
use crate::text::Severity;

/// Pods `foo/web` (app=web, port http = TCP 8080) and `foo/cli` (app=cli), `bar/web` (app=web) in
/// a namespace with team=bar, `baz/bare` without labels in a namespace without an object.
const WORLD: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: foo}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: bar, labels: {team: bar}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: foo, labels: {app: web}}
spec:
  containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]
status: {podIP: 10.233.1.1}
---
apiVersion: v1
kind: Pod
metadata: {name: cli, namespace: foo, labels: {app: cli}}
status: {podIP: 10.233.1.2}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: bar, labels: {app: web}}
status: {podIP: 10.233.1.3}
---
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: baz}
status: {podIP: 10.233.1.4}
---
";

pub(super) fn ask(policies: &str, flow: &str) -> Evaluation {
    evaluation(policies, flow).1
}

pub(crate) fn evaluation(policies: &str, flow: &str) -> (Cluster, Evaluation) {
    let reading = crate::read(&format!("{WORLD}{policies}"));
    let errors: Vec<_> =
        reading.problems.iter().filter(|p| p.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let evaluation = evaluate(&reading.cluster, &flow.parse().unwrap());
    (reading.cluster, evaluation)
}

/// A policy `p` of namespace foo with this `spec`.
pub(crate) fn policy(spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
         metadata: {{name: p, namespace: foo}}\nspec: {spec}\n---\n"
    )
}

#[track_caller]
fn check(spec: &str, rows: &[(&str, bool)]) {
    for (flow, allowed) in rows {
        let found = ask(&policy(spec), flow);
        assert_eq!(found.allowed, *allowed, "{spec}\n{flow}\n{found:#?}");
    }
}

#[test]
fn a_policy_isolates_the_pods_that_it_selects_and_no_others() {
    check(
        "{podSelector: {matchLabels: {app: web}}}",
        &[
            ("ip/1.2.3.4 -> pod/foo/web:80", false),
            ("pod/foo/cli -> pod/foo/web:80/UDP", false),
            ("pod/foo/web -> ip/1.2.3.4:80", true),
            ("ip/1.2.3.4 -> pod/foo/cli:80", true),
            // its namesake in another namespace
            ("ip/1.2.3.4 -> pod/bar/web:80", true),
        ],
    );
    // nobody is left out by an empty selector, and a spec that is left out has one
    for spec in ["{podSelector: {}}", "{}", "", "{podSelector: }"] {
        check(spec, &[("pod/bar/web -> pod/foo/cli:80", false)]);
    }
}

#[test]
fn a_pod_can_always_reach_itself() {
    check("{policyTypes: [Ingress, Egress]}", &[("pod/foo/web -> pod/foo/web:80", true)]);
}

#[test]
fn empty_lists_and_empty_rules_differ() {
    let from_anywhere = "ip/1.2.3.4 -> pod/foo/web:80";
    for (ingress, allowed) in
        [("[]", false), ("", false), ("[{}]", true), ("[null]", true), ("[{from: []}]", true)]
    {
        check(&format!("{{ingress: {ingress}}}"), &[(from_anywhere, allowed)]);
    }
    // nothing under a dash is an empty rule
    check("\n  ingress:\n  - ", &[(from_anywhere, true)]);
}

#[test]
fn policy_types_default_to_what_there_are_rules_for() {
    let out = "pod/foo/web -> ip/1.2.3.4:80";
    check("{egress: []}", &[(out, true), ("ip/1.2.3.4 -> pod/foo/web:80", false)]);
    check("{egress: [{ports: [{port: 81}]}]}", &[(out, false)]);
    check("{egress: [{}]}", &[(out, true), ("ip/1.2.3.4 -> pod/foo/web:80", false)]);
    // rules of a type that is not listed count for nothing
    check(
        "{policyTypes: [Egress], ingress: []}",
        &[(out, false), ("ip/1.2.3.4 -> pod/foo/web:80", true)],
    );
}

#[test]
fn selectors_of_peers_and_their_combinations() {
    let from = |peers: &str| format!("{{ingress: [{{from: {peers}}}]}}");
    let (own, other, bare) = (
        "pod/foo/cli -> pod/foo/web:80",
        "pod/bar/web -> pod/foo/web:80",
        "pod/baz/bare -> pod/foo/web:80",
    );
    check(&from("[{podSelector: {}}]"), &[(own, true), (other, false), (bare, false)]);
    check(&from("[{namespaceSelector: {}}]"), &[(own, true), (other, true), (bare, true)]);
    let both = "namespaceSelector: {matchLabels: {team: bar}}";
    check(
        &from(&format!("[{{{both}, podSelector: {{matchLabels: {{app: cli}}}}}}]")),
        &[(own, false), (other, false)],
    );
    check(
        &from(&format!("[{{{both}}}, {{podSelector: {{matchLabels: {{app: cli}}}}}}]")),
        &[(own, true), (other, true), (bare, false)],
    );
    // a namespaceSelector that is left empty by mistake is none
    check(&from("[{namespaceSelector: , podSelector: {}}]"), &[(own, true), (other, false)]);
    // kube-apiserver labels every namespace with its name, also one that the text has no object of
    let named = "[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: baz}}}]";
    check(&from(named), &[(bare, true), (own, false)]);
    // selectors never speak of what is no pod
    check(&from("[{namespaceSelector: {}}]"), &[("ip/1.2.3.4 -> pod/foo/web:80", false)]);
}

#[test]
fn expressions_and_labels_that_are_missing() {
    let from = |expression: &str| {
        format!(
            "{{ingress: [{{from: [{{namespaceSelector: {{}}, podSelector: {{matchExpressions: [{{key: app, {expression}}}]}}}}]}}]}}"
        )
    };
    let (cli, bare) = ("pod/foo/cli -> pod/foo/web:80", "pod/baz/bare -> pod/foo/web:80");
    for (expression, is_cli, is_bare) in [
        ("operator: In, values: [cli, x]", true, false),
        ("operator: NotIn, values: [cli, x]", false, true),
        ("operator: Exists", true, false),
        ("operator: DoesNotExist", false, true),
    ] {
        check(&from(expression), &[(cli, is_cli), (bare, is_bare)]);
    }
    check(
        "{ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: ''}}}]}]}",
        &[(bare, false)],
    );
}

#[test]
fn ports_are_the_destinations() {
    let on = |ports: &str| {
        format!("{{podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{ports: {ports}}}]}}")
    };
    let to = |port: &str| format!("pod/bar/web -> pod/foo/web:{port}");
    for (ports, port, allowed) in [
        ("[]", "1/SCTP", true),
        ("[{}]", "1", true),
        ("[{}]", "1/UDP", false),
        ("[{protocol: UDP}]", "53/UDP", true),
        ("[{protocol: UDP}]", "53", false),
        ("[{port: 80}]", "80", true),
        ("[{port: 80}]", "81", false),
        ("[{port: 80, endPort: 82}]", "82", true),
        ("[{port: 80, endPort: 82}]", "83", false),
        ("[{port: http}]", "8080", true),
        ("[{port: http}]", "80", false),
        ("[{port: http, protocol: UDP}]", "8080/UDP", false),
        ("[{port: 80}, {port: 53, protocol: UDP}]", "53/UDP", true),
    ] {
        check(&on(ports), &[(&to(port), allowed)]);
    }
    // a name means the destination's own port, and an outside address has no names
    check(
        "{policyTypes: [Egress], egress: [{ports: [{port: http}]}]}",
        &[
            ("pod/foo/cli -> pod/foo/web:8080", true),
            ("pod/foo/cli -> pod/bar/web:8080", false),
            ("pod/foo/cli -> ip/1.2.3.4:8080", false),
        ],
    );
}

#[test]
fn blocks_hold_pods_too_and_exceptions_are_their_own() {
    let from = |peers: &str| format!("{{ingress: [{{from: {peers}}}]}}");
    let block = "ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}";
    check(
        &from(&format!("[{{{block}}}]")),
        &[
            ("ip/10.2.3.4 -> pod/foo/web:80", true),
            ("ip/10.1.3.4 -> pod/foo/web:80", false),
            ("ip/11.2.3.4 -> pod/foo/web:80", false),
            ("pod/bar/web -> pod/foo/web:80", true),
        ],
    );
    check(
        &from(&format!("[{{{block}}}, {{ipBlock: {{cidr: 10.1.2.0/24}}}}]")),
        &[("ip/10.1.2.3 -> pod/foo/web:80", true), ("ip/10.1.3.4 -> pod/foo/web:80", false)],
    );
    // as kube-apiserver reads them
    for cidr in ["10.2.3.4/8", "010.0.0.0/8", "\"::ffff:10.0.0.0/104\""] {
        let spec = from(&format!("[{{ipBlock: {{cidr: {cidr}}}}}]"));
        check(&spec, &[("ip/10.9.9.9 -> pod/foo/web:80", true)]);
    }
    check(&from("[{ipBlock: {cidr: '::/0'}}]"), &[("ip/10.2.3.4 -> pod/foo/web:80", false)]);
}

#[test]
fn of_two_policies_with_one_name_the_last_is_the_only_one() {
    let text = policy("{ingress: [{}]}") + &policy("{podSelector: {matchLabels: {app: cli}}}");
    let reading = crate::read(&format!("{WORLD}{text}"));
    let warning = reading.problems.iter().find(|p| p.severity == Severity::Warning).unwrap();
    assert!(warning.message.contains("nothing of this one is merged in"), "{}", warning.message);
    assert!(!ask(&text, "ip/1.2.3.4 -> pod/foo/cli:80").allowed);
    assert!(ask(&text, "ip/1.2.3.4 -> pod/foo/web:80").allowed);
}

#[test]
fn pods_of_the_hosts_network_are_no_pods_to_policies() {
    let text = policy("{ingress: [{from: [{namespaceSelector: {}}]}]}")
        + "{apiVersion: v1, kind: Pod, metadata: {name: h, namespace: foo}, spec: {hostNetwork: true}}\n---\n";
    assert!(ask(&text, "ip/1.2.3.4 -> pod/foo/h:80").allowed);
    assert!(!ask(&text, "pod/foo/h -> pod/foo/web:80").allowed);
}

#[test]
fn finished_pods_are_nobody() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: done, namespace: foo}, status: {phase: Succeeded, podIP: 10.233.1.9}}\n---\n";
    for flow in ["ip/1.2.3.4 -> pod/foo/done:80", "pod/foo/done -> pod/foo/web:80"] {
        let found = ask(pod, flow);
        assert!(!found.allowed, "{flow}");
        assert!(matches!(found.problem, Some(Unresolved::Finished { .. })), "{flow}");
    }
    // what had its address is not in its namespace any more
    let text = policy("{ingress: [{from: [{namespaceSelector: {}}]}]}") + pod;
    assert!(!ask(&text, "ip/10.233.1.9 -> pod/foo/web:80").allowed);
}

/// Who decided, in short.
fn told(decision: &Decision) -> String {
    match &decision.reason {
        Reason::Rule { policy, action: Action::Allow, .. } => format!("{policy} allows"),
        Reason::Rule { policy, .. } => format!("{policy} denies"),
        Reason::NoRuleAllows { policies, .. } | Reason::NoRules { policies, .. } => {
            format!("no rule of {}", policies[0])
        }
        Reason::Profile { profile, .. } => profile.to_string(),
        Reason::Unrestricted { .. } => "no policy".to_owned(),
        Reason::Passed { .. } => "passed".to_owned(),
        Reason::Closed { .. } => "no profile".to_owned(),
        Reason::Failsafe { .. } => "failsafe".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Asks of Calico's and the policy API's kinds, given as whole documents.
#[track_caller]
fn check_all(documents: &str, rows: &[(&str, bool, &str)]) {
    for (flow, allowed, by) in rows {
        let found = ask(documents, flow);
        let decision = if found.egress.allow { &found.ingress } else { &found.egress };
        assert_eq!((found.allowed, told(decision).as_str()), (*allowed, *by), "{flow}\n{found:#?}");
    }
}

#[test]
fn calicos_tiers_and_orders() {
    check_all(
        "
{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: early}, spec: {order: 1}}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: early.all}
spec:
  tier: early
  selector: app == 'web'
  ingress:
  - {action: Log}
  - {action: Pass, protocol: TCP, destination: {ports: [80]}}
  - {action: Allow, protocol: TCP, destination: {ports: ['81:82']}}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: late, namespace: foo}
spec: {order: 20, ingress: [{action: Allow}]}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: deny-cli, namespace: foo}
spec: {order: 10, ingress: [{action: Deny, source: {selector: app == 'cli'}}]}
---
",
        &[
            ("pod/bar/web -> pod/foo/web:81", true, "GlobalNetworkPolicy early.all allows"),
            // nothing of the tier decides, so its end does
            ("pod/bar/web -> pod/foo/web:83", false, "no rule of GlobalNetworkPolicy early.all"),
            ("pod/bar/web -> pod/foo/web:80", true, "NetworkPolicy foo/late allows"),
            ("pod/foo/cli -> pod/foo/web:80", false, "NetworkPolicy foo/deny-cli denies"),
            ("pod/foo/web -> pod/bar/web:80", true, "passed"),
            ("pod/foo/web -> pod/baz/bare:80", true, "no policy"),
        ],
    );
}

#[test]
fn calicos_selectors_know_endpoints_and_sets_only() {
    let policy = |source: &str| {
        format!(
            "
{{apiVersion: projectcalico.org/v3, kind: GlobalNetworkSet, metadata: {{name: s, labels: {{role: db}}}},
  spec: {{nets: [192.0.2.0/24]}}}}
---
{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: default, namespace: bar, labels: {{robot: 'yes'}}}}}}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: p, namespace: foo}}
spec:
  selector: app == 'web'
  ingress:
  - action: Allow
    source: {source}
---
"
        )
    };
    let who = [
        ("pod/foo/cli", 0),
        ("pod/bar/web", 1),
        ("pod/baz/bare", 2),
        ("ip/192.0.2.1", 3),
        ("ip/1.2.3.4", 4),
    ];
    for (source, allowed) in [
        ("{}", [true, true, true, true, true]),
        ("{selector: all()}", [true, false, false, false, false]),
        ("{selector: all(), namespaceSelector: all()}", [true, true, true, false, false]),
        ("{namespaceSelector: team == 'bar'}", [false, true, false, false, false]),
        (
            "{namespaceSelector: projectcalico.org/name == 'baz'}",
            [false, false, true, false, false],
        ),
        ("{namespaceSelector: global()}", [false, false, false, true, false]),
        (
            "{selector: role == 'db', namespaceSelector: global()}",
            [false, false, false, true, false],
        ),
        // a negative selector, too, limits a namespaced rule to its own namespace
        ("{notSelector: app == 'web'}", [true, false, false, false, false]),
        ("{nets: [192.0.2.0/25, 10.233.1.4]}", [false, false, true, true, false]),
        ("{notNets: [192.0.2.0/25]}", [true, true, true, false, true]),
        (
            "{serviceAccounts: {selector: robot == 'yes'}, namespaceSelector: all()}",
            [false, true, false, false, false],
        ),
        (
            "{selector: pcns.team == 'bar', namespaceSelector: all()}",
            [false, true, false, false, false],
        ),
    ] {
        for (from, i) in who {
            let flow = format!("{from} -> pod/foo/web:80");
            let found = ask(&policy(source), &flow);
            assert_eq!(found.allowed, allowed[i], "{source}\n{flow}\n{found:#?}");
        }
    }
}

#[test]
fn host_endpoints_are_shut_but_for_failsafe_ports() {
    check_all(
        "
{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: h, labels: {host: a}},
  spec: {node: node1, interfaceName: eth0, expectedIPs: [192.0.2.9]}}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: pre}
spec:
  selector: has(host)
  preDNAT: true
  applyOnForward: true
  types: [Ingress]
  ingress: [{action: Deny, protocol: TCP, destination: {ports: [80]}}, {action: Allow, protocol: TCP, destination: {ports: [443]}}]
---
",
        &[
            ("ip/1.2.3.4 -> hostEndpoint/h:22", true, "failsafe"),
            ("ip/1.2.3.4 -> hostEndpoint/h:80", false, "GlobalNetworkPolicy pre denies"),
            ("ip/1.2.3.4 -> hostEndpoint/h:443", true, "GlobalNetworkPolicy pre allows"),
            ("ip/1.2.3.4 -> hostEndpoint/h:444", false, "no profile"),
        ],
    );
}

#[test]
fn felix_is_told_which_ports_are_failsafe() {
    check_all(
        "
{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: h},
  spec: {node: node1, interfaceName: eth0, expectedIPs: [192.0.2.9]}}
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec:
  failsafeInboundHostPorts: [{protocol: tcp, port: 9999}, {protocol: UDP, port: 53, net: 10.0.0.0/8}]
  failsafeOutboundHostPorts: []
---
",
        &[
            ("ip/1.2.3.4 -> hostEndpoint/h:22", false, "no profile"),
            ("ip/1.2.3.4 -> hostEndpoint/h:9999", true, "failsafe"),
            ("ip/10.2.3.4 -> hostEndpoint/h:53/UDP", true, "failsafe"),
            ("ip/1.2.3.4 -> hostEndpoint/h:53/UDP", false, "no profile"),
            ("hostEndpoint/h -> ip/1.2.3.4:53/UDP", false, "no profile"),
        ],
    );
}

pub(crate) fn one_rule(rule: &str) -> String {
    format!(
        "{{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {{name: g}}, \
         spec: {{selector: all(), types: [Ingress], ingress: [{rule}]}}}}\n---\n"
    )
}

#[test]
fn a_clients_own_port_is_some_unprivileged_one() {
    let ask = |ports: &str| {
        let rule = format!("{{action: Allow, protocol: TCP, source: {{ports: [{ports}]}}}}");
        ask(&one_rule(&rule), "pod/bar/web -> pod/foo/web:80").ingress
    };
    for all in ["'1:65535'", "'1024:65535'"] {
        let found = ask(all);
        assert!(found.allow && found.uncertain.is_none(), "{found:#?}");
    }
    let privileged = ask("22, '1:1023'");
    assert!(!privileged.allow && privileged.uncertain.is_none(), "{privileged:#?}");
    for some in ["'1024:2000'", "'32768:60999'"] {
        let found = ask(some);
        assert!(!found.allow, "{found:#?}");
        let doubt = found.uncertain.unwrap();
        let Doubt::Rule { policy, action: Action::Allow, unknown, .. } = doubt else {
            panic!("{doubt:?}");
        };
        assert_eq!(policy.to_string(), "GlobalNetworkPolicy g");
        assert_eq!(unknown, Unknown::SourcePort);
    }
}

#[test]
fn where_the_families_differ_neither_is_certain() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: foo}, status: {podIPs: \
                [{ip: 10.233.1.7}, {ip: 'fd00::7'}]}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: b, \
                namespace: foo, labels: {app: both}}, status: {podIPs: [{ip: 10.233.1.8}, {ip: 'fd00::8'}]}}\n---\n"
        .to_owned()
        + &policy(
            "{podSelector: {matchLabels: {app: both}}, ingress: [{from: [{ipBlock: {cidr: fd00::/8}}]}]}",
        );
    let found = ask(&text, "pod/foo/a -> pod/foo/b:80");
    assert!(!found.allowed);
    let doubt = found.ingress.uncertain.unwrap();
    assert!(matches!(doubt, Doubt::Family { instead: Family::V6, allow: true, .. }), "{doubt:?}");
    assert_eq!(found.egress.uncertain, None);
}

#[test]
fn what_a_rule_excludes_is_told_where_it_asks_for_nothing_else() {
    let found = ask(
        &one_rule("{action: Allow, source: {notNets: [10.0.0.0/8]}}"),
        "ip/1.2.3.4 -> pod/foo/web:80",
    );
    assert!(found.allowed);
    let finding = &found.ingress.evidence[0].finding;
    assert!(matches!(finding, Finding::Peer { holds, .. } if holds.is_empty()), "{finding:?}");
}

#[test]
fn what_passes_everybody_is_not_said_to_be_asked_by_nobody() {
    let found = ask(&one_rule("{action: Pass}"), "pod/bar/web -> pod/foo/web:80");
    assert!(found.allowed);
    assert_eq!(told(&found.ingress), "passed");
}

#[test]
fn rules_of_the_policy_api_with_peers_that_are_not_known_fail_closed() {
    let admin = |direction: &str, rule: &str| {
        format!(
            "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {{name: \
             admin}}\nspec:\n  priority: 5\n  subject: {{namespaces: {{}}}}\n  {direction}:\n  - {rule}\n  - \
             {{action: Deny, {}: [{{namespaces: {{}}}}]}}\n---\n",
            if direction == "ingress" { "from" } else { "to" }
        )
    };
    let flow = "pod/bar/web -> pod/foo/web:80";
    // only egress rules have networks
    let networks = "{action: Allow, from: [{networks: [0.0.0.0/0]}]}";
    assert!(!ask(&admin("ingress", networks), flow).allowed);
    // only what allows may speak of names
    let out = "pod/bar/web -> ip/1.2.3.4:443";
    let named =
        |action: &str| format!("{{action: {action}, to: [{{domainNames: [example.org]}}]}}");
    assert!(!ask(&admin("egress", &named("Deny")), out).allowed);
    assert!(ask(&admin("egress", &named("Allow")), out).allowed);
}

#[test]
fn the_policy_api_stands_around_network_policies() {
    let admin = |action: &str| {
        format!(
            "
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {{name: admin}}
spec:
  priority: 5
  subject: {{namespaces: {{matchLabels: {{kubernetes.io/metadata.name: foo}}}}}}
  ingress:
  - {{name: r, action: {action}, from: [{{namespaces: {{}}}}], ports: [{{portNumber: {{port: 80}}}}]}}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {{name: default}}
spec:
  subject: {{namespaces: {{}}}}
  ingress: [{{action: Deny, from: [{{namespaces: {{}}}}]}}]
---
"
        )
    };
    let none = |action: &str| admin(action);
    let shut = |action: &str| admin(action) + &policy("{}");
    let flow = "pod/bar/web -> pod/foo/web:80";
    check_all(&none("Allow"), &[(flow, true, "AdminNetworkPolicy admin allows")]);
    check_all(&shut("Allow"), &[(flow, true, "AdminNetworkPolicy admin allows")]);
    check_all(&none("Deny"), &[(flow, false, "AdminNetworkPolicy admin denies")]);
    check_all(&shut("Pass"), &[(flow, false, "no rule of NetworkPolicy foo/p")]);
    check_all(&none("Pass"), &[(flow, false, "BaselineAdminNetworkPolicy default denies")]);
    // networks that are no pods are nobody's here
    check_all(&none("Deny"), &[("ip/1.2.3.4 -> pod/foo/web:80", true, "passed")]);
}

#[test]
fn every_namespace_is_labelled_with_its_name_whatever_its_object_says() {
    // also against an object that says otherwise: kube-apiserver sets it
    let other = "{apiVersion: v1, kind: Namespace, metadata: {name: baz, labels: \
                 {kubernetes.io/metadata.name: other}}}\n---\n";
    let from = |name: &str| {
        policy(&format!(
            "{{ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}}}]}}]}}"
        ))
    };
    let flow = "pod/baz/bare -> pod/foo/web:80";
    assert!(ask(&format!("{other}{}", from("baz")), flow).allowed);
    assert!(!ask(&format!("{other}{}", from("other")), flow).allowed);
}

#[test]
fn pods_without_an_address_are_selected_all_the_same() {
    // one that the text tells no address of is given one, and its labels count
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: new, namespace: foo, labels: {app: new}}}\n---\n";
    let text = format!(
        "{pod}{}",
        policy(
            "{podSelector: {matchLabels: {app: new}}, ingress: [{from: [{podSelector: {matchLabels: {app: cli}}}]}]}"
        )
    );
    assert!(ask(&text, "pod/foo/cli -> pod/foo/new:80").allowed);
    assert!(!ask(&text, "pod/foo/web -> pod/foo/new:80").allowed);
    let from = policy(
        "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: new}}}]}]}",
    );
    assert!(ask(&format!("{pod}{from}"), "pod/foo/new -> pod/foo/web:80").allowed);
}

#[test]
fn calico_knows_where_pods_belong_by_labels() {
    let world = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot, namespace: foo, labels: {kind: machine}}}\n---\n\
                 {apiVersion: v1, kind: Pod, metadata: {name: bot, namespace: foo, labels: {app: bot}}, \
                 spec: {serviceAccountName: robot}, status: {podIP: 10.233.1.9}}\n---\n\
                 {apiVersion: v1, kind: Pod, metadata: {name: host, namespace: foo, labels: {app: bot}}, \
                 spec: {hostNetwork: true, serviceAccountName: robot}}\n---\n\
                 {apiVersion: v1, kind: Pod, metadata: {name: done, namespace: foo, labels: {app: bot}}, \
                 spec: {serviceAccountName: robot}, status: {phase: Succeeded, podIP: 10.233.1.8}}\n---\n";
    let text = |selector: &str| {
        format!(
            "{world}{{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {{name: g}}, \
             spec: {{selector: \"{selector}\", types: [Ingress], ingress: [{{action: Deny}}]}}}}\n---\n"
        )
    };
    let denied = |selector: &str, pod: &str| {
        !ask(&text(selector), &format!("ip/1.2.3.4 -> pod/{pod}:80")).allowed
    };
    let names = |selector: &str| -> Vec<String> {
        let cluster = crate::read(&format!("{WORLD}{}", text(selector))).cluster;
        let policies: Vec<_> = cluster.policies.all().collect();
        let pods = policies.iter().flat_map(|policy| selected(&cluster, &policy.subject));
        pods.map(|id| cluster.pods[id.0].name.clone()).collect()
    };
    for (selector, bot, web) in [
        ("projectcalico.org/namespace == 'foo'", true, true),
        ("projectcalico.org/namespace == 'bar'", false, false),
        ("projectcalico.org/orchestrator == 'k8s'", true, true),
        ("projectcalico.org/serviceaccount == 'robot'", true, false),
        ("projectcalico.org/serviceaccount == 'default'", false, true),
        ("pcns.projectcalico.org/name == 'foo'", true, true),
        ("pcns.kubernetes.io/metadata.name == 'foo'", true, true),
        ("has(pcns.team)", false, false),
        ("pcsa.kind == 'machine'", true, false),
        ("pcsa.projectcalico.org/name == 'robot'", true, false),
    ] {
        assert_eq!(denied(selector, "foo/bot"), bot, "{selector}");
        assert_eq!(denied(selector, "foo/web"), web, "{selector}");
        // neither is an endpoint of Calico's
        assert!(!denied(selector, "foo/host"), "{selector}");
        let names = names(selector);
        assert_eq!(names.contains(&"bot".to_owned()), bot, "{selector}");
        assert!(!names.contains(&"host".to_owned()), "{selector}");
        assert!(!names.contains(&"done".to_owned()), "{selector}");
    }
    assert!(denied("pcns.team == 'bar'", "bar/web"));
}
