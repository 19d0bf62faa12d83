use super::*;
use crate::read;

const WORLD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: node1, containers: [{name: main, ports: [{containerPort: 8080}]}]}
status: {podIP: 10.244.1.5}
---
apiVersion: v1
kind: Pod
metadata: {name: other, namespace: lab, labels: {app: other}}
spec: {nodeName: node2, containers: [{name: main}]}
status: {podIP: 10.244.2.5}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: shop, labels: {app: agent}}
spec: {nodeName: node1, hostNetwork: true, containers: [{name: main}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {type: NodePort, clusterIP: 10.96.0.9, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Node
metadata: {name: node1}
status: {addresses: [{type: InternalIP, address: 192.168.1.11}]}
---
apiVersion: v1
kind: Node
metadata: {name: node2}
status: {addresses: [{type: InternalIP, address: 192.168.1.12}]}
---
";

/// The findings of a policy for the pod `web` with such a spec, without those about every policy.
fn of(spec: &str) -> Vec<(&'static str, String)> {
    of_text(&format!(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: p, namespace: shop}}
spec: {{podSelector: {{matchLabels: {{app: web}}}}, {spec}}}
"
    ))
}

fn of_text(more: &str) -> Vec<(&'static str, String)> {
    let text = format!("{WORLD}{more}");
    let reading = read(&text);
    let found = findings(&text, &reading.cluster);
    let told = found.into_iter().filter(|one| one.kind != "established-connections");
    told.map(|one| (one.kind, one.cite.field)).collect()
}

fn kinds(spec: &str) -> Vec<&'static str> {
    of(spec).into_iter().map(|(kind, _)| kind).collect()
}

#[test]
fn a_good_policy_has_nothing_but_that_it_cuts_no_connections() {
    let good = "ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 8080}]}]";
    assert_eq!(kinds(good), Vec::<&str>::new());
    let text = format!(
        "{WORLD}apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p}}\nspec: {{}}\n"
    );
    let found = findings(&text, &read(&text).cluster);
    assert_eq!(found.last().map(|one| one.kind), Some("established-connections"));
}

#[test]
fn what_nobody_has_is_said_with_what_there_is() {
    let title = |spec: &str| {
        let text = format!(
            "{WORLD}{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: p, namespace: shop}}, \
             spec: {{podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{from: [{spec}]}}]}}}}\n"
        );
        let found = findings(&text, &read(&text).cluster).remove(0);
        (found.title, found.instead.unwrap_or_default())
    };
    let nobody = "a peer of NetworkPolicy shop/p matches nobody";
    for (peer, what, instead) in [
        (
            "{podSelector: {matchLabels: {app: wbe}}}",
            "no pod of namespace shop has app=wbe",
            "there is app=web",
        ),
        (
            "{podSelector: {matchLabels: {tier: x}}}",
            "no pod of namespace shop has tier=x",
            "none has a label tier",
        ),
        (
            "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shp}}}",
            "no namespace has kubernetes.io/metadata.name=shp",
            "there is kubernetes.io/metadata.name=lab, kubernetes.io/metadata.name=shop",
        ),
        (
            "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: lab}}, podSelector: {matchLabels: {app: web}}}",
            "no pod of a namespace with kubernetes.io/metadata.name=lab has app=web",
            "there is app=other",
        ),
        // of several labels, the one that nobody has
        (
            "{podSelector: {matchLabels: {app: web, tier: x}}}",
            "no pod of namespace shop has tier=x",
            "none has a label tier",
        ),
        // the pod is there, but has no network of its own
        (
            "{podSelector: {matchLabels: {app: agent}}}",
            "the only pod that it would select uses its node's network",
            "only an ipBlock of the nodes' addresses matches it",
        ),
    ] {
        assert_eq!(title(peer), (format!("{nobody}: {what}"), instead.to_owned()));
    }
}

#[test]
fn peers_that_nobody_is_are_told_at_their_place() {
    let found = of("ingress: [{from: [{podSelector: {matchLabels: {app: nobody}}}]}]");
    assert_eq!(found, [("peer-matches-nobody", "spec.ingress[0].from[0]".to_owned())]);
    let nowhere = "ingress: [{from: [{namespaceSelector: {matchLabels: {team: x}}}]}]";
    assert_eq!(kinds(nowhere), ["peer-matches-nobody"]);
}

#[test]
fn addresses_that_are_seen_otherwise_are_told() {
    assert_eq!(
        kinds(
            "policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.96.0.9/32}}]}, {ports: [{port: 53, protocol: UDP}]}]"
        ),
        ["cluster-ip-in-policy"]
    );
    assert_eq!(
        kinds("ingress: [{from: [{ipBlock: {cidr: 10.244.2.0/24}}]}]"),
        ["pod-addresses-in-policy"]
    );
    assert_eq!(
        kinds("ingress: [{from: [{ipBlock: {cidr: 192.168.1.0/24}}]}]"),
        ["node-addresses-in-policy"]
    );
    assert_eq!(
        kinds("ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]"),
        ["clients-are-masqueraded"]
    );
}

/// The titles of the findings of one kind.
fn titles(kind: &str, text: &str) -> Vec<String> {
    let found = findings(text, &read(text).cluster);
    found.into_iter().filter(|one| one.kind == kind).map(|one| one.title).collect()
}

#[test]
fn a_range_is_called_by_its_name() {
    let title = |cidr: &str| {
        titles(
            "cluster-ip-in-policy",
            &format!(
                "{WORLD}{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: p, namespace: shop}}, \
                 spec: {{podSelector: {{}}, policyTypes: [Egress], egress: [{{to: [{{ipBlock: {{cidr: {cidr}}}}}]}}]}}}}\n"
            ),
        )
    };
    let range = "NetworkPolicy shop/p speaks of 10.96.0.0/18, a range with services' ClusterIPs (10.96.0.9)";
    assert_eq!(title("10.96.0.0/18"), [range]);
    let one = "NetworkPolicy shop/p speaks of 10.96.0.9, a service's ClusterIP";
    assert_eq!(title("10.96.0.9/32"), [one]);
}

#[test]
fn who_lets_everybody_in_lets_pods_in_too() {
    let told = |block: &str| {
        titles(
            "pod-addresses-in-policy",
            &format!(
                "{WORLD}{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: p, namespace: shop}}, \
                 spec: {{podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{from: [{{ipBlock: {block}}}]}}]}}}}\n"
            ),
        )
    };
    let lets =
        |who: &str| format!("NetworkPolicy shop/p lets {who} in too, with everybody outside");
    assert_eq!(told("{cidr: 0.0.0.0/0}"), [lets("every pod")]);
    assert_eq!(told("{cidr: 0.0.0.0/0, except: [10.244.1.0/24]}"), [lets("pods")]);
    // no pod is left, here or in a narrower range
    assert_eq!(told("{cidr: 0.0.0.0/0, except: [10.244.0.0/16]}"), Vec::<String>::new());
    assert_eq!(told("{cidr: 10.0.0.0/8, except: [10.244.0.0/16]}"), Vec::<String>::new());
    // the pods have none of these addresses
    assert_eq!(told("{cidr: '::/0'}"), Vec::<String>::new());
    let rule = |rule: &str| {
        calico(&format!("{{selector: app == 'web', types: [Ingress], ingress: [{rule}]}}"))
    };
    let at = "spec.ingress[0].source.nets".to_owned();
    let nets = rule("{action: Allow, source: {nets: [0.0.0.0/0]}}");
    assert_eq!(nets, [("pod-addresses-in-policy", at)]);
    assert_eq!(rule("{action: Deny, source: {nets: [0.0.0.0/0]}}"), []);
    // whatever the traffic is
    for traffic in ["protocol: ICMP", "protocol: TCP, destination: {ports: [8080]}"] {
        let found = rule(&format!("{{action: Allow, {traffic}, source: {{nets: [0.0.0.0/0]}}}}"));
        assert_eq!(found, nets, "{traffic}");
    }
    // nor where a rule before it keeps the pods out
    let after = "{action: Deny, source: {nets: [10.244.0.0/16]}}, {action: Allow, source: {nets: [0.0.0.0/0]}}";
    let found: Vec<_> = rule(after).into_iter().map(|(_, field)| field).collect();
    assert_eq!(found, ["spec.ingress[0].source.nets"], "the Deny rule's range alone");
    assert_eq!(rule("{action: Allow, source: {nets: [0.0.0.0/0], notNets: [10.244.0.0/16]}}"), []);
    assert_eq!(rule("{action: Allow, source: {nets: [0.0.0.0/0], selector: app == 'other'}}"), []);
}

#[test]
fn of_those_who_have_no_network_it_is_said() {
    const DONE: &str = "
apiVersion: v1
kind: Pod
metadata: {name: job, namespace: shop, labels: {app: job}}
spec: {nodeName: node1, containers: [{name: main}]}
status: {podIP: 10.244.1.7, phase: Succeeded}
---
apiVersion: v1
kind: Pod
metadata: {name: ingress, namespace: edge, labels: {app: ingress}}
spec: {nodeName: node1, hostNetwork: true, containers: [{name: main}]}
---
";
    let policy = |namespace: &str, selector: &str| {
        format!(
            "{WORLD}{DONE}{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, \
             metadata: {{name: p, namespace: {namespace}}}, spec: {{podSelector: {selector}, \
             ingress: [{{from: [{{podSelector: {selector}}}]}}]}}}}\n"
        )
    };
    for (namespace, selector, what) in [
        ("shop", "{matchLabels: {app: job}}", "the only pod that it would select has finished"),
        ("edge", "{}", "the only pod that it would select uses its node's network"),
        (
            "shop",
            "{matchExpressions: [{key: app, operator: In, values: [job, agent]}]}",
            "all that it would select have finished, or use their nodes' network",
        ),
    ] {
        let text = policy(namespace, selector);
        let name = format!("NetworkPolicy {namespace}/p");
        let subject = titles("policy-selects-nothing", &text);
        assert_eq!(subject, [format!("{name} selects nothing: {what}")]);
        let peer = titles("peer-matches-nobody", &text);
        assert_eq!(peer, [format!("a peer of {name} matches nobody: {what}")]);
    }
}

#[test]
fn of_a_text_without_pods_nobody_is_missed() {
    let text = "
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: deny-all}
spec: {selector: all(), types: [Ingress], ingress: [{action: Allow, source: {selector: c notin {'z'}}}]}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: x}
spec: {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}
";
    let found = findings(text, &read(text).cluster);
    let kinds: Vec<_> = found.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, ["established-connections"]);
}

/// Why a Calico peer matches nobody, and what there is instead.
fn calico_peer(more: &str, peer: &str) -> (String, Option<String>) {
    let text = format!(
        "{WORLD}{more}{{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {{name: p, namespace: shop}}, \
         spec: {{selector: app == 'web', types: [Ingress], ingress: [{{action: Allow, source: {{{peer}}}}}]}}}}\n"
    );
    let reading = read(&text);
    let found = findings(&text, &reading.cluster).remove(0);
    let what = found.title.strip_prefix("a peer of NetworkPolicy shop/p matches nobody: ");
    (what.unwrap_or(&found.title).to_owned(), found.instead)
}

#[test]
fn what_calicos_selectors_lack_is_said_as_calico_sees_it() {
    let sets = "
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: one, labels: {kind: ext}}
spec: {nets: [203.0.113.0/24]}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: other, labels: {zone: z}}
spec: {nets: [203.0.113.7/32]}
---
";
    let all = "namespaceSelector: all(), ";
    let each = Some("each of them is there, but not all on one".to_owned());
    let there = |what: &str| Some(what.to_owned());
    for (more, peer, what, instead) in [
        // each label exists, though no pod or network set has them all
        (
            "",
            format!("{all}selector: app == 'web' && app == 'other'"),
            "no pod has all of app=web, app=other",
            each.clone(),
        ),
        (
            sets,
            "namespaceSelector: global(), selector: kind == 'ext' && zone == 'z'".to_owned(),
            "no pod or network set without a namespace has all of kind=ext, zone=z",
            each,
        ),
        // network sets have labels too
        (
            sets,
            "namespaceSelector: global(), selector: kind == 'int'".to_owned(),
            "no pod or network set without a namespace has kind=int",
            there("there is kind=ext"),
        ),
        (
            "",
            "selector: projectcalico.org/serviceaccount == 'root'".to_owned(),
            "no pod of namespace shop has projectcalico.org/serviceaccount=root",
            there("there is projectcalico.org/serviceaccount=default"),
        ),
        // what everything and nothing are has no words
        ("", "selector: '!all()'".to_owned(), "its selector excludes all there is", None),
        (
            "",
            "selector: \"tier == 'x' || !all()\"".to_owned(),
            "no pod of namespace shop has tier=x",
            there("none has a label tier"),
        ),
        (
            "",
            "namespaceSelector: global()".to_owned(),
            "global() is for what has no namespace, and no network set or host endpoint of the text is without one",
            None,
        ),
    ] {
        assert_eq!(calico_peer(more, &peer), (what.to_owned(), instead), "{peer}");
    }
}

#[test]
fn a_services_port_is_not_its_pods() {
    let found = of("ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 80}]}]");
    assert_eq!(found[0].0, "service-port-in-policy");
    let out = "policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}, {ports: [{port: 53, protocol: UDP}, {port: 53}]}]";
    assert_eq!(kinds(out), ["service-port-in-policy"]);
}

#[test]
fn a_ports_name_that_no_pod_has_is_told() {
    let on = |port: &str| {
        of_text(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: named, namespace: lab, labels: {{app: named}}}}, spec: {{containers: [{{name: c, ports: [{{name: http, containerPort: 80}}]}}]}}}}\n---\n\
             {{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: p, namespace: lab}}, spec: {{podSelector: {{matchLabels: {{app: named}}}}, ingress: [{{ports: [{port}]}}]}}}}\n"
        ))
    };
    assert_eq!(on("{port: http}"), []);
    let told = [("no-such-port-name", "spec.ingress[0].ports[0]".to_owned())];
    assert_eq!(on("{port: htp}"), told);
    assert_eq!(on("{port: http, protocol: UDP}"), told);
}

#[test]
fn denied_egress_without_name_resolution_is_told() {
    let closed =
        "policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: 443}]}]";
    assert_eq!(kinds(closed), ["egress-without-dns"]);
    let udp = "policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]";
    assert_eq!(kinds(udp), ["dns-without-tcp"]);
    let open = "policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}, {port: 53}]}]";
    assert_eq!(kinds(open), Vec::<&str>::new());
    let everything = "policyTypes: [Egress], egress: [{}]";
    assert_eq!(kinds(everything), ["rule-allows-everything"]);
    // of a rule without ports for some pods nobody knows whether it opens the way to DNS
    let some = "policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]";
    assert_eq!(kinds(some), ["egress-without-dns"]);
}

/// The findings about names of a text, each with its policy's name and place.
fn about_names(text: &str) -> Vec<(&'static str, String, String)> {
    let text = format!("{WORLD}{text}");
    let found = findings(&text, &read(&text).cluster).into_iter();
    let found = found.filter(|one| one.kind.contains("dns"));
    found.map(|one| (one.kind, one.cite.object.to_string(), one.cite.field)).collect()
}

#[test]
fn what_is_handed_on_is_not_denied() {
    let policy = |tier: &str, name: &str, rules: &str| {
        format!(
            "{{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {{name: {tier}.{name}}}, \
             spec: {{tier: {tier}, selector: app == 'web', types: [Egress], egress: [{rules}]}}}}\n---\n"
        )
    };
    let tier = "{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: sec}, spec: {order: 10}}\n---\n";
    let metadata = "{action: Deny, destination: {nets: [169.254.169.254/32]}}";
    let passing = format!("{tier}{}", policy("sec", "g", &format!("{metadata}, {{action: Pass}}")));
    assert_eq!(about_names(&passing), []);
    // unless what comes after denies it
    let allowing =
        policy("default", "d", "{action: Allow, protocol: TCP, destination: {ports: [443]}}");
    let denied = |kind| (kind, "GlobalNetworkPolicy default.d".to_owned());
    let found = about_names(&format!("{passing}{allowing}"));
    let found: Vec<_> = found.into_iter().map(|(kind, object, _)| (kind, object)).collect();
    assert_eq!(found, [denied("egress-without-dns")]);
    // nor is it let out where a rule before denies it
    let shut = policy(
        "sec",
        "g",
        "{action: Deny, protocol: UDP, destination: {ports: [53]}}, {action: Allow}",
    );
    let found = about_names(&format!("{tier}{shut}"));
    assert_eq!(
        found.first().map(|(kind, _, field)| (*kind, field.as_str())),
        Some(("egress-without-dns", "spec.egress[0]"))
    );
}

#[test]
fn names_over_udp_only_are_told_of_who_allows_udp() {
    let policy = |name: &str, egress: &str| {
        format!(
            "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}, namespace: shop}}, \
             spec: {{podSelector: {{}}, policyTypes: [Egress], egress: {egress}}}}}\n---\n"
        )
    };
    let closed = policy("closed", "[]");
    let to = |peer: &str| {
        let rule = format!("[{{to: [{peer}], ports: [{{port: 53, protocol: UDP}}]}}]");
        format!("{closed}{}", policy("dns", &rule))
    };
    let told = |kind, object: &str, field: &str| vec![(kind, object.to_owned(), field.to_owned())];
    let rule = "spec.egress[0].to[0]";
    let lab = "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: lab}}}";
    let only = told("dns-without-tcp", "NetworkPolicy shop/dns", rule);
    assert_eq!(about_names(&to(lab)), only);
    assert_eq!(about_names(&format!("{DNS}{}", to("{namespaceSelector: {}}"))), only);
    // a rule for nobody lets nothing out
    let nowhere = "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: gone}}}";
    let kinds: Vec<_> = about_names(&to(nowhere)).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, ["egress-without-dns"]);
    // who allows both is not who denies TCP
    let global = "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: g}, spec: {selector: \
                  app == 'web', types: [Egress], egress: [{action: Deny, protocol: TCP, destination: {ports: [53]}}, {action: Allow}]}}\n";
    let denying = told("dns-without-tcp", "GlobalNetworkPolicy g", "spec.egress[0]");
    assert_eq!(about_names(global), denying);
}

const DNS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec: {nodeName: node1, containers: [{name: main}]}
status: {podIP: 10.244.1.53}
---
";

#[test]
fn where_the_name_servers_are_known_the_policies_are_asked() {
    let told = |more: &str| -> Vec<(&'static str, String)> {
        of_text(&format!("{DNS}{more}"))
            .into_iter()
            .filter(|(kind, _)| kind.contains("dns"))
            .collect()
    };
    let policy = |egress: &str| {
        format!(
            "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: p, namespace: shop}}, \
             spec: {{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: {egress}}}}}\n---\n"
        )
    };
    let to = |peer: &str| {
        format!("[{{to: [{peer}], ports: [{{port: 53, protocol: UDP}}, {{port: 53}}]}}]")
    };
    assert_eq!(told(&policy(&to("{namespaceSelector: {}}"))), []);
    // the right port, but other pods
    let shut = [("egress-without-dns", "spec.egress".to_owned())];
    assert_eq!(told(&policy(&to("{podSelector: {}}"))), shut);
    // an address that no packet has any more where it is asked about
    assert_eq!(told(&policy(&to("{ipBlock: {cidr: 10.96.0.10/32}}"))), shut);
    assert_eq!(told(&policy("[{to: [{namespaceSelector: {}}]}]")), []);
    let admin = "{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy, metadata: {name: a}, \
                 spec: {priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{networks: \
                 [0.0.0.0/0]}]}]}}\n---\n";
    let denied = [("egress-without-dns", "spec.egress[0].to[0]".to_owned())];
    assert_eq!(told(admin), denied);
    assert_eq!(told(&format!("{admin}{}", policy("[{}]"))), denied);
}

#[test]
fn lists_that_do_not_mean_what_they_seem_to_are_told() {
    assert_eq!(
        kinds("policyTypes: [Ingress], egress: [{}]"),
        ["rules-ignored", "rule-allows-everything"]
    );
    assert_eq!(
        of("ingress: [{from: [{namespaceSelector: , podSelector: {}}]}]"),
        [("selector-without-value", "spec.ingress[0].from[0].namespaceSelector".to_owned())]
    );
    assert_eq!(
        of(
            "ingress: [{from: [{namespaceSelector: {}}, {podSelector: {matchLabels: {app: web}}}]}]"
        ),
        [("peers-are-alternatives", "spec.ingress[0].from[1]".to_owned())]
    );
    assert_eq!(
        kinds(
            "ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [x]}]}}]}]"
        ),
        ["not-in-takes-unlabelled"]
    );
    assert_eq!(kinds("egress: []"), ["egress-not-isolated"]);
    assert_eq!(kinds("ingress: [{}]"), ["rule-allows-everything"]);
    let severity = |item: &str| {
        let text = format!(
            "{WORLD}apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: shop}}\nspec: {{podSelector: {{}}, ingress: [{item}]}}\n"
        );
        findings(&text, &read(&text).cluster)[0].severity
    };
    assert_eq!((severity("{}"), severity("null")), (Severity::Note, Severity::Warning));
}

#[test]
fn policies_that_do_nothing_are_told() {
    let policy = |selector: &str| {
        of_text(&format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: shop}}\nspec: {{podSelector: {selector}}}\n"
        ))
    };
    assert_eq!(policy("{matchLabels: {app: gone}}")[0].0, "policy-selects-nothing");
    assert_eq!(policy("null")[0], ("selects-every-pod", "spec.podSelector".to_owned()));
    assert_eq!(policy("{}"), []);
    let of_agent = policy("{matchLabels: {app: agent}}");
    assert!(of_agent.iter().any(|(kind, _)| *kind == "host-network-pod-selected"));
    let staged = of_text(
        "apiVersion: projectcalico.org/v3\nkind: StagedNetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {selector: all()}\n",
    );
    assert!(staged.iter().any(|(kind, _)| *kind == "staged"));
}

#[test]
fn equal_priorities_are_told_by_the_reading_alone() {
    let admin = |name: &str| {
        format!(
            "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {{name: {name}}}\nspec: {{priority: 5, subject: {{namespaces: {{}}}}, ingress: [{{action: Pass, from: [{{namespaces: {{}}}}]}}]}}\n---\n"
        )
    };
    let both = [admin("a"), admin("b")].concat();
    assert_eq!(of_text(&both), []);
    let problems = read(&format!("{WORLD}{both}")).problems;
    let told = problems.iter().filter(|problem| problem.message.contains("same priority"));
    assert_eq!(told.count(), 1);
}

#[test]
fn one_way_untracked_policies_are_told() {
    let host = "apiVersion: projectcalico.org/v3\nkind: HostEndpoint\nmetadata: {name: h, labels: {host: a}}\nspec: {node: node1, interfaceName: eth0}\n---\napiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: u}\nspec: {selector: has(host), doNotTrack: true, applyOnForward: true, types: [Ingress], ingress: [{action: Allow}]}\n";
    assert_eq!(of_text(host), [("untracked-one-way", String::new())]);
}

fn calico(spec: &str) -> Vec<(&'static str, String)> {
    of_text(&format!(
        "{{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {{name: g}}, spec: {spec}}}\n"
    ))
}

#[test]
fn what_calicos_policies_do_otherwise_than_it_seems_is_told() {
    assert_eq!(
        calico(
            "{selector: app == 'web', types: [Ingress], ingress: [{action: Allow}, {action: Deny, protocol: TCP}]}"
        ),
        [("rule-never-asked", "spec.ingress[1]".to_owned())]
    );
    // logging decides nothing, and rules that only allow take nothing from each other
    assert_eq!(
        calico(
            "{selector: app == 'web', types: [Ingress], ingress: [{action: Log}, {action: Deny}]}"
        ),
        []
    );
    assert_eq!(
        calico("{selector: app == 'web', types: [Ingress], egress: [{action: Allow}]}"),
        [("rules-ignored", "spec.egress".to_owned())]
    );
    assert_eq!(
        calico(
            "{selector: app == 'web', types: [Ingress], preDNAT: true, applyOnForward: true, ingress: [{action: Deny}]}"
        ),
        [("needs-host-endpoint", String::new())]
    );
    assert_eq!(
        calico(
            "{selector: app == 'web', types: [Ingress], ingress: [{action: Allow, http: {methods: [GET]}}]}"
        ),
        [("http-not-evaluated", "spec.ingress[0].http".to_owned())]
    );
    assert_eq!(
        calico(
            "{selector: app == 'web', types: [Ingress], ingress: [{action: Allow, source: {services: {name: gone, namespace: shop}}}]}"
        ),
        [("peer-matches-nobody", "spec.ingress[0].source.services".to_owned())]
    );
    assert_eq!(
        calico(
            "{selector: app == 'web', types: [Ingress], ingress: [{action: Allow, source: {selector: app == 'gone'}}]}"
        ),
        [("peer-matches-nobody", "spec.ingress[0].source.selector".to_owned())]
    );
}

#[test]
fn domain_names_are_told() {
    let found = of_text(
        "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: c}, spec: \
         {tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Accept, to: [{domainNames: [example.com]}]}]}}\n",
    );
    assert_eq!(found, [("domain-names", "spec.egress[0].to[0]".to_owned())]);
}

#[test]
fn findings_come_worst_first_and_each_once() {
    let text = format!(
        "{WORLD}apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: shop}}\nspec: {{podSelector: {{}}, policyTypes: [Egress], ingress: [{{}}]}}\n"
    );
    let found = findings(&text, &read(&text).cluster);
    assert!(found.is_sorted_by_key(|one| std::cmp::Reverse(one.severity)), "{found:#?}");
    let mut kinds: Vec<_> = found.iter().map(|one| (one.kind, &one.cite)).collect();
    let all = kinds.len();
    kinds.dedup();
    assert_eq!(kinds.len(), all);
}

#[test]
fn strict_arp_changes_no_address() {
    let found = of_text(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nipvs: {strictARP: true}\n",
    );
    assert_eq!(found, [("strict-arp", "ipvs.strictARP".to_owned())]);
}
