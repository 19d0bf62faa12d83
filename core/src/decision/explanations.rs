//! What is recorded of a decision, by example.

use super::specification::{ask, policy};
use super::{
    By, Decision, Doubt, EndpointRef, Evidence, Finding, Miss, PortOf, Reason, TrafficMiss,
    Unknown, Unmet,
};
use crate::net::{Selector, SelectorMiss};
use crate::policy::form::{Action, PortNumber, Requirement, StagedAction, View};

/// Where was looked.
fn places(found: &Decision) -> Vec<&str> {
    found.evidence.iter().map(|it| it.cite.field.as_str()).collect()
}

/// Why a peer does not match.
fn misses(evidence: &Evidence) -> &[Miss] {
    let Finding::NoPeer { misses, .. } = &evidence.finding else { panic!("{evidence:?}") };
    misses
}

#[test]
fn a_miss_has_the_term_and_the_value_that_it_was_held_against() {
    let text = policy(
        "
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from:
    - podSelector: {matchLabels: {app: web}}
    - namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [bar]}]}
      podSelector: {matchLabels: {app: web}}
    - ipBlock: {cidr: 10.2.3.4/32}
  - ports: [{port: 81}]",
    );
    let found = ask(&text, "pod/bar/web -> pod/foo/web:80").ingress;
    assert_eq!(
        places(&found),
        [
            "spec.ingress[1].ports[0]",
            "spec.ingress[0].from[0].podSelector",
            "spec.ingress[0].from[1].namespaceSelector",
            "spec.ingress[0].from[2].ipBlock.cidr",
        ]
    );
    assert!(found.evidence.iter().all(|it| !it.matched));
    let [port, own, namespace, block] = found.evidence.as_slice() else { panic!("{found:#?}") };
    let Finding::NoPort { rule, peers: false, miss } = &port.finding else { panic!("{port:?}") };
    assert_eq!((rule.cite.field.as_str(), rule.action), ("spec.ingress[1]", Action::Allow));
    let TrafficMiss::Port { side, found: traffic, wanted, .. } = miss else { panic!("{miss:?}") };
    assert_eq!((*side, traffic.port), (PortOf::Destination, Some(80)));
    assert_eq!(
        wanted.iter().map(|it| &it.number).collect::<Vec<_>>(),
        [&PortNumber::Range(81, 81)]
    );

    let [Miss { cite, unmet: Unmet::Term { who, view, requires, .. } }] = misses(own) else {
        panic!("{own:?}");
    };
    assert_eq!(cite, &own.cite);
    assert_eq!((*view, requires), (View::Kubernetes, &Requirement::Namespace("foo".to_owned())));
    let EndpointRef::Pod { object, .. } = who else { panic!("{who:?}") };
    assert_eq!(object.to_string(), "Pod bar/web");

    let [Miss { unmet: Unmet::Term { requires: Requirement::Namespaces(_), labels, .. }, .. }] =
        misses(namespace)
    else {
        panic!("{namespace:?}");
    };
    let term = Selector::NotIn("team".to_owned(), vec!["bar".to_owned()]);
    let unmet = SelectorMiss::Term { term, value: Some("bar".to_owned()) };
    assert_eq!(labels, &Some(SelectorMiss::All(vec![unmet])));

    let [Miss { unmet, .. }] = misses(block) else { panic!("{block:?}") };
    assert_eq!(unmet, &Unmet::Nets(vec!["10.2.3.4/32".parse().unwrap()]));

    // A label that is not there has no value.
    let found = ask(&text, "pod/baz/bare -> pod/foo/web:80").ingress;
    let [Miss { unmet: Unmet::Term { labels, .. }, .. }] = misses(&found.evidence[1]) else {
        panic!("{found:#?}");
    };
    let term = Selector::Is("app".to_owned(), "web".to_owned());
    let unmet = SelectorMiss::Term { term, value: None };
    assert_eq!(labels, &Some(SelectorMiss::All(vec![unmet])));
}

#[test]
fn an_address_outside_is_no_endpoint() {
    let text = policy("{ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 10.2.3.4/32}}]}]}");
    let found = ask(&text, "ip/1.2.3.4 -> pod/foo/web:80").ingress;
    // Of its misses the block is the nearest.
    let [block, own] = found.evidence.as_slice() else { panic!("{found:#?}") };
    assert!(matches!(misses(block), [Miss { unmet: Unmet::Nets(_), .. }]));
    assert!(matches!(
        misses(own),
        [Miss { unmet: Unmet::NoEndpoint { view: View::Kubernetes, .. }, .. }]
    ));
}

#[test]
fn an_allowance_has_the_peer_that_matched_and_its_line() {
    let text = policy(
        "\n  ingress:\n  - from:\n    - ipBlock: {cidr: 10.2.3.4/32}\n    ports: [{port: 80}]",
    );
    let found = ask(&text, "ip/10.2.3.4 -> pod/foo/web:80").ingress;
    let cite = found.cite.as_ref().unwrap();
    assert_eq!((cite.field.as_str(), cite.span.unwrap().line), ("spec.ingress[0].from[0]", 34));
    assert_eq!(places(&found), ["spec.ingress[0].from[0]", "spec.ingress[0].ports[0]"]);
    let Reason::Rule { because, .. } = &found.reason else { panic!("{found:#?}") };
    assert_eq!(because.as_deref(), Some(&found.evidence[0].finding));
    assert!(matches!(found.by, By::Policy(object) if object.to_string() == "NetworkPolicy foo/p"));
}

#[test]
fn where_nothing_restricts_the_near_policies_are_looked_at() {
    let text = policy("{podSelector: {matchLabels: {app: web}}}");
    let found = ask(&text, "pod/foo/web -> pod/bar/web:80");
    for decision in [&found.ingress, &found.egress] {
        assert_eq!((&decision.by, &decision.cite), (&By::NoPolicy, &None));
        assert!(matches!(decision.reason, Reason::Unrestricted { .. }), "{decision:#?}");
    }
    assert!(matches!(found.ingress.evidence[0].finding, Finding::NotSelected { .. }));
    assert!(matches!(found.egress.evidence[0].finding, Finding::OtherDirection { .. }));
}

/// A tier before the others, with a policy for foo/web that denies bar, passes on foo and logs the
/// rest, and a policy of the last tier.
pub(crate) const TIERS: &str = "
{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: early}, spec: {order: 1}}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: early.guard}
spec:
  tier: early
  order: 5
  selector: app == 'web'
  types: [Ingress]
  ingress:
  - {action: Deny, source: {namespaceSelector: team == 'bar'}}
  - {action: Pass, source: {selector: app == 'cli'}}
  - {action: Log}
  - {action: Allow, source: {nets: [10.9.0.0/16]}}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: late, namespace: foo}
spec: {selector: app == 'web', ingress: [{action: Allow, protocol: TCP, destination: {ports: [81]}}]}
---
";

#[test]
fn policies_are_told_in_the_order_in_which_they_are_asked() {
    let asked = |flow: &str| -> Vec<String> {
        let asked = ask(TIERS, flow).ingress.asked;
        let name = |asked: &super::Asked| match &asked.policy {
            Some(policy) => policy.to_string(),
            None => format!("end of {}", asked.tier),
        };
        asked.iter().map(|asked| format!("{} {:?}", name(asked), asked.says)).collect()
    };
    let guard = "GlobalNetworkPolicy early.guard";
    assert_eq!(asked("pod/bar/web -> pod/foo/web:80"), [format!("{guard} Deny")]);
    assert_eq!(
        asked("pod/foo/cli -> pod/foo/web:80"),
        [
            format!("{guard} Pass"),
            "NetworkPolicy foo/late Nothing".to_owned(),
            "end of default Deny".to_owned()
        ]
    );
    assert_eq!(
        asked("pod/foo/cli -> pod/foo/web:81").last().unwrap(),
        "NetworkPolicy foo/late Allow"
    );
    assert_eq!(
        asked("pod/baz/bare -> pod/foo/web:80"),
        [format!("{guard} Nothing"), "end of early Deny".to_owned()]
    );
    assert_eq!(asked("pod/foo/web -> pod/foo/cli:80"), [""; 0]);
}

#[test]
fn a_tiers_end_has_what_would_have_prevented_it() {
    let found = ask(TIERS, "pod/baz/bare -> pod/foo/web:80").ingress;
    assert!(
        matches!(&found.reason, Reason::NoRuleAllows { tier: Some(tier), .. } if tier == "early")
    );
    assert_eq!(
        places(&found),
        ["spec.ingress[1].source.selector", "spec.ingress[3].source.nets", "spec.ingress[2]"]
    );
    let action = |it: &Evidence| it.finding.rule().unwrap().action;
    assert_eq!(
        found.evidence.iter().map(action).collect::<Vec<_>>(),
        [Action::Pass, Action::Allow, Action::Log]
    );
}

pub(crate) fn staged(kind: &str, spec: &str) -> String {
    let place = if kind.contains("Global") { "name: p" } else { "name: p, namespace: foo" };
    format!(
        "{{apiVersion: projectcalico.org/v3, kind: {kind}, metadata: {{{place}}}, spec: {spec}}}\n---\n"
    )
}

#[test]
fn staged_policies_decide_nothing() {
    let flow = "ip/1.2.3.4 -> pod/foo/web:80";
    for (kind, spec) in [
        ("StagedNetworkPolicy", "{}"),
        ("StagedGlobalNetworkPolicy", "{selector: app == 'web'}"),
        ("StagedKubernetesNetworkPolicy", "{podSelector: {matchLabels: {app: web}}}"),
    ] {
        let text = staged(kind, spec);
        let found = ask(&text, flow).ingress;
        assert!(found.allow, "{kind}");
        assert_eq!((found.by, found.asked.len()), (By::NoPolicy, 0), "{kind}");
        let [would] = found.staged.try_into().unwrap();
        assert!(!would.allow, "{kind}");
        assert!(matches!(would.change, Some(Reason::NoRules { .. })), "{kind}: {would:?}");
        let elsewhere = ask(&text, "pod/foo/web -> pod/baz/bare:80").ingress;
        assert_eq!(elsewhere.staged, [], "{kind}");
        for (word, action) in [("Learn", StagedAction::Learn), ("Ignore", StagedAction::Ignore)] {
            let spec = spec.replacen('{', &format!("{{stagedAction: {word}, "), 1);
            let [would] = ask(&staged(kind, &spec), flow).ingress.staged.try_into().unwrap();
            assert_eq!((would.allow, would.change, would.policies[0].action), (true, None, action));
        }
    }
}

#[test]
fn a_staged_policy_takes_the_place_of_the_one_of_its_name() {
    let flow = "ip/1.2.3.4 -> pod/foo/web:80";
    let shut = staged("NetworkPolicy", "{ingress: [{action: Allow}]}")
        + &staged("StagedNetworkPolicy", "{ingress: [{action: Deny}]}");
    let found = ask(&shut, flow).ingress;
    assert_eq!((found.allow, found.staged[0].allow), (true, false));
    // the policy of the same name of another language stays
    let other =
        policy("{ingress: [{}]}") + &staged("StagedNetworkPolicy", "{ingress: [{action: Allow}]}");
    let found = ask(&other, flow).ingress;
    assert_eq!((found.allow, &found.staged[0].change), (true, &None));
}

#[test]
fn a_staged_deletion_takes_a_policy_away() {
    let flow = "ip/1.2.3.4 -> pod/foo/web:80";
    let text = policy("{}") + &staged("StagedKubernetesNetworkPolicy", "{stagedAction: Delete}");
    let found = ask(&text, flow).ingress;
    assert_eq!((found.allow, found.staged[0].allow), (false, true));
    let deletes = found.staged[0].policies[0].deletes.as_ref().unwrap();
    assert_eq!(deletes.to_string(), "NetworkPolicy foo/p");
    // there is nothing of that name in Calico's language
    let text = policy("{}") + &staged("StagedNetworkPolicy", "{stagedAction: Delete}");
    assert_eq!(ask(&text, flow).ingress.staged, []);
}

pub(crate) fn cluster_policy(egress: &str) -> String {
    format!(
        "
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {{name: c}}
spec:
  tier: Admin
  priority: 1
  subject: {{namespaces: {{}}}}
  egress: [{egress}]
---
"
    )
}

#[test]
fn domain_names_leave_it_uncertain_where_they_could_decide() {
    let domains = "{action: Accept, to: [{domainNames: ['*.example.com']}], protocols: [{tcp: \
                   {destinationPort: {number: 443}}}]}";
    let deny = "{action: Deny, to: [{networks: [0.0.0.0/0]}]}";
    let uncertain = |egress: &str, flow: &str| {
        let found = ask(&cluster_policy(egress), flow).egress;
        (found.allow, found.uncertain)
    };
    let both = format!("{domains}, {deny}");
    let (allow, doubt) = uncertain(&both, "pod/foo/web -> ip/1.2.3.4:443");
    assert!(!allow);
    let Some(Doubt::Rule { finding, policy, action, unknown, peer }) = doubt else {
        panic!("{doubt:?}");
    };
    assert_eq!(
        (policy.to_string().as_str(), action, unknown, peer.address),
        ("ClusterNetworkPolicy c", Action::Allow, Unknown::Name, "1.2.3.4".parse().ok())
    );
    assert_eq!(finding.rule().unwrap().cite.field, "spec.egress[0]");
    // another port, a pod, a rule that comes too late, and where it is allowed anyway
    assert_eq!(uncertain(&both, "pod/foo/web -> ip/1.2.3.4:80"), (false, None));
    assert_eq!(uncertain(&both, "pod/foo/web -> pod/bar/web:443"), (false, None));
    let late = format!("{deny}, {domains}");
    assert_eq!(uncertain(&late, "pod/foo/web -> ip/1.2.3.4:443"), (false, None));
    assert_eq!(uncertain(domains, "pod/foo/web -> ip/1.2.3.4:443"), (true, None));
}

#[test]
fn a_peer_that_is_not_known_fails_closed() {
    let flow = "pod/foo/web -> ip/1.2.3.4:443";
    for (action, allowed) in [("Accept", true), ("Deny", false), ("Pass", false)] {
        let rule = format!("{{action: {action}, to: [{{fromALaterVersion: {{}}}}]}}");
        let found = ask(&cluster_policy(&rule), flow);
        assert_eq!(found.allowed, allowed, "{action}: {found:#?}");
    }
    // what it accepts matches nothing, though another peer would
    let rule = "{action: Accept, to: [{fromALaterVersion: {}}, {networks: [0.0.0.0/0]}]}, {action: Deny, to: [{networks: [0.0.0.0/0]}]}";
    assert!(!ask(&cluster_policy(rule), flow).allowed);
}
