//! What is told of a decision, by example.

use super::specification::{ask, policy};
use super::{By, Decision, Says};

/// The reason, and what was looked at: `FIELD:LINE: FINDING`.
fn told(found: &Decision) -> Vec<String> {
    let evidence = found
        .evidence
        .iter()
        .map(|e| format!("{}:{}: {}", e.cite.field, e.cite.span.unwrap().line, e.finding));
    std::iter::once(found.reason.clone()).chain(evidence).collect()
}

#[test]
fn a_denial_tells_its_nearest_misses_first() {
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
    let told = |flow: &str| told(&ask(&text, flow).ingress);
    assert_eq!(
        told("pod/bar/web -> pod/foo/web:80"),
        [
            "no rule of NetworkPolicy foo/p allows pod/bar/web (10.233.1.3) on TCP 80",
            "spec.ingress[1].ports[0]:39: any peer would match, but the port is 80, not 81",
            "spec.ingress[0].from[0].podSelector:35: pod/bar/web is in namespace bar, not in foo (a \
             podSelector alone looks only in the policy's own namespace)",
            "spec.ingress[0].from[1].namespaceSelector:36: namespace bar has label team=bar, which \
         NotIn [bar] excludes",
            "spec.ingress[0].from[2].ipBlock.cidr:38: 10.233.1.3 (pod/bar/web) is not in 10.2.3.4/32",
        ]
    );
    // An address outside is no pod's: of its misses the block is the nearest.
    assert_eq!(
        told("ip/1.2.3.4 -> pod/foo/web:80"),
        [
            "no rule of NetworkPolicy foo/p allows 1.2.3.4 on TCP 80",
            "spec.ingress[1].ports[0]:39: any peer would match, but the port is 80, not 81",
            "spec.ingress[0].from[2].ipBlock.cidr:38: 1.2.3.4 is not in 10.2.3.4/32",
            "spec.ingress[0].from[0].podSelector:35: 1.2.3.4 belongs to no pod, so a podSelector can \
             never match it",
            "spec.ingress[0].from[1].namespaceSelector:36: 1.2.3.4 belongs to no pod, so a \
             namespaceSelector can never match it",
        ]
    );
    assert_eq!(
        told("pod/baz/bare -> pod/foo/web:80")[2],
        "spec.ingress[0].from[1].podSelector:37: pod/baz/bare has no label app (app=web is asked for)"
    );
}

#[test]
fn an_allowance_tells_the_peer_that_matched_and_its_line() {
    let text = policy(
        "\n  ingress:\n  - from:\n    - ipBlock: {cidr: 10.2.3.4/32}\n    ports: [{port: 80}]",
    );
    let found = ask(&text, "ip/10.2.3.4 -> pod/foo/web:80").ingress;
    assert_eq!(
        found.reason,
        "NetworkPolicy foo/p allows 10.2.3.4 on TCP 80: 10.2.3.4 is in 10.2.3.4/32"
    );
    let cite = found.cite.unwrap();
    assert_eq!((cite.field.as_str(), cite.span.unwrap().line), ("spec.ingress[0].from[0]", 34));
    assert!(matches!(found.by, By::Policy(object) if object.to_string() == "NetworkPolicy foo/p"));
}

#[test]
fn where_nothing_restricts_the_near_policies_say_why_not() {
    let text = policy("{podSelector: {matchLabels: {app: web}}}");
    let found = ask(&text, "pod/foo/web -> pod/bar/web:80");
    assert_eq!(
        found.ingress.reason,
        "no policy selects pod/bar/web for ingress, so everything may enter"
    );
    assert_eq!(
        found.ingress.evidence[0].finding,
        "NetworkPolicy foo/p does not select it: pod/bar/web is in namespace bar, not in foo (a policy \
         selects only pods of its own namespace)"
    );
    assert_eq!(
        found.egress.evidence[0].finding,
        "NetworkPolicy foo/p selects pod/foo/web, but does not speak of egress"
    );
}

/// A tier before the others, with a policy for foo/web that denies bar, passes on foo and logs the
/// rest, and a policy of the last tier.
const TIERS: &str = "
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
fn a_rule_that_denies_is_told_by_what_matched_it() {
    assert_eq!(
        told(&ask(TIERS, "pod/bar/web -> pod/foo/web:80").ingress),
        [
            "GlobalNetworkPolicy early.guard denies pod/bar/web (10.233.1.3) on TCP 80: pod/bar/web is in \
             namespace bar, which has team=bar",
            "spec.ingress[0].source:40: pod/bar/web is in namespace bar, which has team=bar",
        ]
    );
}

#[test]
fn a_tiers_end_is_told_with_what_would_have_prevented_it() {
    assert_eq!(
        told(&ask(TIERS, "pod/baz/bare -> pod/foo/web:80").ingress),
        [
            "no rule of GlobalNetworkPolicy early.guard allows pod/baz/bare (10.233.1.4) on TCP 80, and \
             tier early denies what its policies do not decide",
            "spec.ingress[1].source.selector:41: the Pass rule does not match: pod/baz/bare has no label \
             app (app=cli is asked for)",
            "spec.ingress[3].source.nets:43: 10.233.1.4 (pod/baz/bare) is not in 10.9.0.0/16",
            "spec.ingress[2]:42: the rule names no peer, so any matches: the rule logs it, and the next \
             one is asked",
        ]
    );
}

#[test]
fn of_what_is_allowed_the_rules_are_told_that_could_have_denied_it() {
    let found = ask(TIERS, "ip/10.9.1.1 -> pod/foo/web:80").ingress;
    assert_eq!(
        told(&found)[..3],
        [
            "GlobalNetworkPolicy early.guard allows 10.9.1.1 on TCP 80: 10.9.1.1 is in 10.9.0.0/16",
            "spec.ingress[3].source:43: 10.9.1.1 is in 10.9.0.0/16",
            "spec.ingress[1].source.selector:41: the Pass rule does not match: 10.9.1.1 belongs to no \
             pod, host endpoint or network set, so a selector can never match it",
        ]
    );
    assert!(told(&found)[3].contains("the Deny rule does not match"), "{:?}", told(&found));
    assert_eq!(found.asked.last().unwrap().says, Says::Allow);
}

/// What each staged policy would do: `ALLOWED FINDING`.
fn would(policies: &str, flow: &str) -> Vec<String> {
    let found = ask(policies, flow).ingress;
    found.staged.iter().map(|staged| format!("{} {}", staged.allow, staged.finding)).collect()
}

fn staged(kind: &str, spec: &str) -> String {
    let place = if kind.contains("Global") { "name: p" } else { "name: p, namespace: foo" };
    format!(
        "{{apiVersion: projectcalico.org/v3, kind: {kind}, metadata: {{{place}}}, spec: {spec}}}\n---\n"
    )
}

#[test]
fn staged_policies_decide_nothing_and_say_what_they_would_do() {
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
        let [would] = would(&text, flow).try_into().unwrap();
        assert!(would.starts_with("false Staged"), "{would}");
        assert!(would.contains(" is staged: enforced, it would deny this: Staged"), "{would}");
        assert_eq!(self::would(&text, "pod/foo/web -> pod/baz/bare:80"), [""; 0], "{kind}");
        for action in ["Learn", "Ignore"] {
            let text = staged(kind, &spec.replacen('{', &format!("{{stagedAction: {action}, "), 1));
            let [would] = self::would(&text, flow).try_into().unwrap();
            assert!(would.starts_with("true Staged"), "{would}");
            let never = format!("is staged with stagedAction {action}, and is never enforced so");
            assert!(would.ends_with(&never), "{would}");
        }
    }
}

#[test]
fn a_staged_policy_takes_the_place_of_the_one_of_its_name() {
    let open = staged("NetworkPolicy", "{ingress: [{action: Allow}]}");
    let flow = "ip/1.2.3.4 -> pod/foo/web:80";
    let shut = open.clone() + &staged("StagedNetworkPolicy", "{ingress: [{action: Deny}]}");
    assert!(ask(&shut, flow).allowed);
    assert_eq!(
        would(&shut, flow),
        [
            "false StagedNetworkPolicy foo/p is staged: enforced, it would deny this: StagedNetworkPolicy \
          foo/p denies 1.2.3.4 on TCP 80: the rule names no peer, so any matches"
        ]
    );
    // the policy of the same name of another language stays
    let other =
        policy("{ingress: [{}]}") + &staged("StagedNetworkPolicy", "{ingress: [{action: Allow}]}");
    assert_eq!(
        would(&other, flow),
        ["true StagedNetworkPolicy foo/p is staged: enforced, it would change nothing here"]
    );
}

#[test]
fn a_staged_deletion_takes_a_policy_away() {
    let flow = "ip/1.2.3.4 -> pod/foo/web:80";
    let text = policy("{}") + &staged("StagedKubernetesNetworkPolicy", "{stagedAction: Delete}");
    assert!(!ask(&text, flow).allowed);
    assert_eq!(
        would(&text, flow),
        [
            "true StagedKubernetesNetworkPolicy foo/p is staged to delete NetworkPolicy foo/p: enforced, \
          it would allow this: no policy selects pod/foo/web for ingress, so everything may enter"
        ]
    );
    // there is nothing of that name in Calico's language
    let text = policy("{}") + &staged("StagedNetworkPolicy", "{stagedAction: Delete}");
    assert_eq!(would(&text, flow), [""; 0]);
}

#[test]
fn several_staged_policies_are_told_together_too() {
    let text = staged("StagedGlobalNetworkPolicy", "{selector: has(app)}")
        + &staged("StagedNetworkPolicy", "{order: 1, ingress: [{action: Allow}]}");
    let would = would(&text, "ip/1.2.3.4 -> pod/foo/web:80");
    assert_eq!(would.len(), 3, "{would:#?}");
    assert!(
        would[0].ends_with(
            "StagedNetworkPolicy foo/p is staged: enforced, it would change nothing here"
        )
    );
    assert!(
        would[1]
            .starts_with("false StagedGlobalNetworkPolicy p is staged: enforced, it would deny")
    );
    assert_eq!(
        would[2],
        "true more than one policy is staged: enforced together, they would change nothing here"
    );
}

fn cluster_policy(egress: &str) -> String {
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
    assert_eq!(
        uncertain(&both, "pod/foo/web -> ip/1.2.3.4:443"),
        (
            false,
            Some(
                "which addresses *.example.com have is not in the text; if one of them has 1.2.3.4, \
                 ClusterNetworkPolicy c would allow it first"
                    .to_owned()
            )
        )
    );
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
