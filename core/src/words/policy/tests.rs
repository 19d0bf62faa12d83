use super::*;
use crate::decision::Evaluation;
use crate::decision::explanations::{TIERS, cluster_policy, staged};
use crate::decision::specification::{evaluation, one_rule, policy};
use crate::text::Cite;
use crate::words::Piece;

/// What is told of both ends' decisions.
struct Told {
    ingress: Words,
    egress: Words,
}

/// A decision in words.
struct Words {
    reason: String,
    /// What was looked at: `FIELD:LINE: FINDING`.
    evidence: Vec<String>,
    asked: Vec<String>,
    /// What each staged policy would do: `ALLOWED FINDING`.
    staged: Vec<String>,
    uncertain: Option<String>,
}

impl Words {
    fn of(cluster: &Cluster, decision: &Decision) -> Self {
        let line = |it: &Evidence| it.cite.span.unwrap().line;
        let evidence = decision.evidence.iter();
        let staged = decision.staged.iter();
        Self {
            reason: reason(cluster, decision).to_string(),
            evidence: evidence
                .map(|it| format!("{}:{}: {}", it.cite.field, line(it), finding(cluster, it)))
                .collect(),
            asked: asked(decision),
            staged: staged
                .map(|it| format!("{} {}", it.allow, super::staged(cluster, it)))
                .collect(),
            uncertain: decision.uncertain.as_ref().map(|it| doubt(cluster, it).to_string()),
        }
    }

    /// The reason, and what was looked at.
    fn all(&self) -> Vec<&str> {
        std::iter::once(&self.reason).chain(&self.evidence).map(String::as_str).collect()
    }
}

fn ask(policies: &str, flow: &str) -> Told {
    let (cluster, Evaluation { ingress, egress, .. }) = evaluation(policies, flow);
    Told { ingress: Words::of(&cluster, &ingress), egress: Words::of(&cluster, &egress) }
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
    let told = |flow: &str| ask(&text, flow).ingress;
    assert_eq!(
        told("pod/bar/web -> pod/foo/web:80").all(),
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
        told("ip/1.2.3.4 -> pod/foo/web:80").all(),
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
        told("pod/baz/bare -> pod/foo/web:80").all()[2],
        "spec.ingress[0].from[1].podSelector:37: pod/baz/bare has no label app (app=web is asked for)"
    );
}

#[test]
fn an_allowance_tells_the_peer_that_matched() {
    let text = policy(
        "\n  ingress:\n  - from:\n    - ipBlock: {cidr: 10.2.3.4/32}\n    ports: [{port: 80}]",
    );
    let found = ask(&text, "ip/10.2.3.4 -> pod/foo/web:80").ingress;
    assert_eq!(
        found.reason,
        "NetworkPolicy foo/p allows 10.2.3.4 on TCP 80: 10.2.3.4 is in 10.2.3.4/32"
    );
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
        found.ingress.evidence[0],
        ":28: NetworkPolicy foo/p does not select it: pod/bar/web is in namespace bar, not in foo (a policy \
         selects only pods of its own namespace)"
    );
    assert_eq!(
        found.egress.evidence[0],
        ":28: NetworkPolicy foo/p selects pod/foo/web, but does not speak of egress"
    );
}

#[test]
fn a_rule_that_denies_is_told_by_what_matched_it() {
    assert_eq!(
        ask(TIERS, "pod/bar/web -> pod/foo/web:80").ingress.all(),
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
        ask(TIERS, "pod/baz/bare -> pod/foo/web:80").ingress.all(),
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
        found.all()[..3],
        [
            "GlobalNetworkPolicy early.guard allows 10.9.1.1 on TCP 80: 10.9.1.1 is in 10.9.0.0/16",
            "spec.ingress[3].source:43: 10.9.1.1 is in 10.9.0.0/16",
            "spec.ingress[1].source.selector:41: the Pass rule does not match: 10.9.1.1 belongs to no \
             pod, host endpoint or network set, so a selector can never match it",
        ]
    );
    assert!(found.all()[3].contains("the Deny rule does not match"), "{:?}", found.all());
}

fn would(policies: &str, flow: &str) -> Vec<String> {
    ask(policies, flow).ingress.staged
}

#[test]
fn staged_policies_say_what_they_would_do() {
    let flow = "ip/1.2.3.4 -> pod/foo/web:80";
    for (kind, spec) in [
        ("StagedNetworkPolicy", "{}"),
        ("StagedGlobalNetworkPolicy", "{selector: app == 'web'}"),
        ("StagedKubernetesNetworkPolicy", "{podSelector: {matchLabels: {app: web}}}"),
    ] {
        let text = staged(kind, spec);
        let [would] = would(&text, flow).try_into().unwrap();
        assert!(would.starts_with("false Staged"), "{would}");
        assert!(would.contains(" is staged: enforced, it would deny this: Staged"), "{would}");
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
    assert_eq!(
        would(&text, flow),
        [
            "true StagedKubernetesNetworkPolicy foo/p is staged to delete NetworkPolicy foo/p: enforced, \
          it would allow this: no policy selects pod/foo/web for ingress, so everything may enter"
        ]
    );
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

#[test]
fn doubts_say_what_would_have_to_be_known() {
    let domains = "{action: Accept, to: [{domainNames: ['*.example.com']}]}, \
                   {action: Deny, to: [{networks: [0.0.0.0/0]}]}";
    assert_eq!(
        ask(&cluster_policy(domains), "pod/foo/web -> ip/1.2.3.4:443").egress.uncertain.unwrap(),
        "which addresses *.example.com have is not in the text; if one of them has 1.2.3.4, \
         ClusterNetworkPolicy c would allow it first"
    );
    let rule = "{action: Allow, protocol: TCP, source: {ports: ['1024:2000']}}";
    assert_eq!(
        ask(&one_rule(rule), "pod/bar/web -> pod/foo/web:80").ingress.uncertain.unwrap(),
        "any peer would match, but the source port is random, not within 1024-2000; where it is \
         another, GlobalNetworkPolicy g would allow it first"
    );
}

#[test]
fn what_a_rule_excludes_is_told_where_it_asks_for_nothing_else() {
    let rule = "{action: Allow, source: {notNets: [10.0.0.0/8]}}";
    assert_eq!(
        ask(&one_rule(rule), "ip/1.2.3.4 -> pod/foo/web:80").ingress.reason,
        "GlobalNetworkPolicy g allows 1.2.3.4 on TCP 80: 1.2.3.4 is none of those that it excludes"
    );
}

#[test]
fn what_fails_closed_says_so() {
    let rule = |action: &str| {
        let rule = format!("{{action: {action}, to: [{{fromALaterVersion: {{}}}}]}}");
        ask(&cluster_policy(&rule), "pod/foo/web -> ip/1.2.3.4:443").egress.all().join("\n")
    };
    assert!(
        rule("Deny")
            .contains("it has a peer of a kind that is not known here, and so fails closed")
    );
    assert!(rule("Accept").ends_with("it has a peer of a kind that is not known here"));
}

#[test]
fn whose_order_matters_is_told_in_it() {
    // Where Calico puts Kubernetes' policies is an order like any other.
    let calico = |name: &str, order: u16| {
        format!(
            "{{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {{name: {name}, \
             namespace: foo}}, spec: {{order: {order}, ingress: []}}}}\n---\n"
        )
    };
    let told = |order: u16| {
        let text = calico("a", order) + &calico("b", order);
        ask(&text, "ip/1.2.3.4 -> pod/foo/web:80").ingress.asked
    };
    assert_eq!(told(999), told(1000));
    assert_eq!(
        told(1000),
        [
            "NetworkPolicy foo/a (tier default): no rule matches",
            "NetworkPolicy foo/b (tier default): no rule matches",
            "end of tier default: denies what its policies do not decide"
        ]
    );
    let kubernetes = policy("{}") + &policy("{}").replace("name: p", "name: q");
    let none: [&str; 0] = [];
    assert_eq!(ask(&kubernetes, "ip/1.2.3.4 -> pod/foo/web:80").ingress.asked, none);
}

#[test]
fn what_a_sentence_speaks_of_can_be_followed() {
    let text = policy(
        "\n  ingress:\n  - from:\n    - ipBlock: {cidr: 10.2.3.4/32}\n    ports: [{port: 80}]",
    );
    let (cluster, found) = evaluation(&text, "pod/bar/web -> pod/foo/web:80");
    let line = |cite: &Option<Cite>| cite.as_ref().and_then(|it| it.span).map(|span| span.line);
    let pieces = |phrase: Phrase| {
        let pieces = phrase.pieces(&cluster);
        let told = pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Code(text, cite) => Some(format!("{text}:{:?}", line(cite))),
            Piece::Address { text, owner, .. } => Some(format!("{text} of a {}", owner.word())),
            Piece::Object(cite) => Some(cite.object.to_string()),
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(
        pieces(reason(&cluster, &found.ingress)),
        ["NetworkPolicy foo/p", "Pod bar/web", "10.233.1.3 of a pod"]
    );
    assert_eq!(
        pieces(finding(&cluster, &found.ingress.evidence[0])),
        ["10.233.1.3 of a pod", "Pod bar/web", "10.2.3.4/32:Some(34)"]
    );
}
