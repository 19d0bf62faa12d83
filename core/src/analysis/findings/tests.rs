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
        kinds("ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]"),
        ["clients-are-masqueraded"]
    );
    assert_eq!(kinds("ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]"), Vec::<&str>::new());
}

#[test]
fn a_services_port_is_not_its_pods() {
    let found = of("ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 80}]}]");
    assert_eq!(found[0].0, "service-port-in-policy");
}

#[test]
fn denied_egress_without_name_resolution_is_told() {
    let closed =
        "policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: 443}]}]";
    assert_eq!(kinds(closed), ["egress-without-dns"]);
    let open = "policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]";
    assert_eq!(kinds(open), Vec::<&str>::new());
}

#[test]
fn lists_that_do_not_mean_what_they_seem_to_are_told() {
    assert_eq!(kinds("egress: []"), ["egress-not-isolated"]);
    assert_eq!(kinds("ingress: [{}]"), ["rule-allows-everything"]);
}

#[test]
fn policies_that_do_nothing_are_told() {
    let policy = |selector: &str| {
        of_text(&format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: shop}}\nspec: {{podSelector: {selector}}}\n"
        ))
    };
    assert_eq!(policy("{matchLabels: {app: gone}}")[0].0, "policy-selects-nothing");
    let of_agent = policy("{matchLabels: {app: agent}}");
    assert!(of_agent.iter().any(|(kind, _)| *kind == "host-network-pod-selected"));
    let staged = of_text(
        "apiVersion: projectcalico.org/v3\nkind: StagedNetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {selector: all()}\n",
    );
    assert!(staged.iter().any(|(kind, _)| *kind == "staged"));
}

#[test]
fn equal_priorities_and_one_way_untracked_policies_are_told() {
    let admin = |name: &str| {
        format!(
            "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {{name: {name}}}\nspec: {{priority: 5, subject: {{namespaces: {{}}}}, ingress: [{{action: Pass, from: [{{namespaces: {{}}}}]}}]}}\n---\n"
        )
    };
    let found = of_text(&[admin("a"), admin("b")].concat());
    assert_eq!(found, [("equal-priorities", String::new())]);
    let host = "apiVersion: projectcalico.org/v3\nkind: HostEndpoint\nmetadata: {name: h, labels: {host: a}}\nspec: {node: node1, interfaceName: eth0}\n---\napiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: u}\nspec: {selector: has(host), doNotTrack: true, applyOnForward: true, types: [Ingress], ingress: [{action: Allow}]}\n";
    assert_eq!(of_text(host), [("untracked-one-way", String::new())]);
}

#[test]
fn strict_arp_changes_no_address() {
    let found = of_text(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nipvs: {strictARP: true}\n",
    );
    assert_eq!(found, [("strict-arp", "ipvs.strictARP".to_owned())]);
}
