//! Random clusters for laws: the same pods each time, policies of every language.

use proptest::prelude::*;

use crate::text::Severity;
use crate::{Reading, read};

/// Pods that are alike and pods that are not, of both address families, on a host's network, and
/// gone; two services; machines outside. 10.1.0.1 is a node, 10.1.0.2 one with a `HostEndpoint` in
/// some texts.
const WORLD: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: one, labels: {ns: first}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: two}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot, namespace: two, labels: {kind: robot}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: twins, namespace: one}
spec:
  replicas: 2
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec:
      containers: [{name: c, ports: [{name: web, containerPort: 80}, {name: dns, containerPort: 53, protocol: UDP}]}]
---
{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: one, labels: {app: b}}, status: {podIP: 10.233.1.2},
  spec: {containers: [{name: c, ports: [{name: web, containerPort: 81}, {name: m3ua, containerPort: 2905, protocol: SCTP}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: two, labels: {app: b, tier: t}},
  status: {podIPs: [{ip: 10.233.1.5}, {ip: 'fd00::5'}]},
  spec: {containers: [{name: c, ports: [{name: web, containerPort: 80, protocol: UDP}, {name: web, containerPort: 82}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: six, namespace: two, labels: {app: a}}, status: {podIP: 'fd00::6'},
  spec: {serviceAccountName: robot, containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: c, namespace: two}, status: {podIP: 10.233.1.7},
  spec: {serviceAccountName: robot, containers: [{name: c, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: like-c, namespace: two}, status: {podIP: 10.233.1.6},
  spec: {serviceAccountName: robot, containers: [{name: c, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: served, namespace: two}, status: {podIP: 10.233.1.4},
  spec: {serviceAccountName: robot, containers: [{name: c, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: other-account, namespace: two}, status: {podIP: 10.233.1.10},
  spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: other-family, namespace: two}, status: {podIP: 'fd00::9'},
  spec: {serviceAccountName: robot, containers: [{name: c, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: elsewhere, namespace: three, labels: {app: a}}, status: {podIP: 10.233.1.8},
  spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: host, namespace: one, labels: {app: a}}, status: {podIP: 10.1.0.1},
  spec: {hostNetwork: true, nodeName: node1, containers: [{name: c, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: gone, namespace: one, labels: {app: a}},
  status: {podIP: 10.233.1.2, phase: Succeeded}, spec: {containers: [{name: c}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: one},
  spec: {selector: {app: a}, ports: [{port: 8080, targetPort: web}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: two},
  spec: {selector: {app: b}, ports: [{port: 80, targetPort: 443}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: sliced, namespace: two}, spec: {ports: [{port: 443}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: sliced-1, namespace: two, labels: {kubernetes.io/service-name: sliced}}
addressType: IPv4
ports: [{port: 443}]
endpoints: [{addresses: [10.233.1.4], targetRef: {kind: Pod, name: served, namespace: two}}]
---
{apiVersion: v1, kind: Node, metadata: {name: node1, labels: {zone: x}},
  status: {addresses: [{type: InternalIP, address: 10.1.0.1}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: node2},
  status: {addresses: [{type: InternalIP, address: 10.1.0.2}]}}
---
apiVersion: hopwise.dev/v1
kind: Scenario
metadata: {name: random}
spec:
  clients: [{name: in, ip: 192.0.2.1}, {name: out, ip: 198.51.100.1}, {name: six, ip: '2001:db8::1'}]
";

/// Pods by what flows call them.
pub(crate) const PODS: [&str; 13] = [
    "one/twins-1",
    "one/twins-2",
    "one/b",
    "two/b",
    "two/six",
    "two/c",
    "two/like-c",
    "two/served",
    "two/other-account",
    "two/other-family",
    "three/elsewhere",
    "one/host",
    "one/gone",
];
/// Addresses outside, and the nodes'.
pub(crate) const ADDRESSES: [&str; 5] =
    ["192.0.2.1", "198.51.100.1", "2001:db8::1", "10.1.0.1", "10.1.0.2"];
/// What pods listen on, and what they do not.
pub(crate) const PORTS: [&str; 7] = ["80", "81", "82", "80/UDP", "53/UDP", "2905/SCTP", "443"];

/// A text of [`WORLD`] with up to five policies of any language. Nothing of it may be refused.
pub(crate) fn texts() -> impl Strategy<Value = String> {
    let policy =
        || prop_oneof![3 => kubernetes().boxed(), 4 => calico().boxed(), 3 => admin().boxed()];
    let extras = prop::sample::subsequence(EXTRAS.to_vec(), 0..=EXTRAS.len());
    let extras = prop_oneof![1 => Just(Vec::new()), 2 => extras];
    (prop::collection::vec(policy(), 0..6), extras).prop_map(|(policies, extras)| {
        let mut text = WORLD.to_owned();
        for (i, policy) in policies.into_iter().enumerate() {
            text = format!("{text}---\n{}\n", policy.replace("NAME", &format!("p{i}")));
        }
        extras.into_iter().fold(text, |text, extra| format!("{text}---\n{extra}\n"))
    })
}

/// The text's cluster. Nothing of the text may be refused: a law would hold of less than it says.
pub(crate) fn reading(text: &str) -> Reading {
    let reading = read(text);
    let refused: Vec<_> = reading
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| format!("{}:{}", problem.span.line, problem.message))
        .collect();
    assert_eq!(refused, Vec::<String>::new(), "{text}");
    reading
}

/// What some texts have besides policies.
const EXTRAS: [&str; 8] = [
    "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkSet, metadata: {name: outside, labels: {app: a}}, \
     spec: {nets: [192.0.2.0/24, 10.233.1.4/30]}}",
    "{apiVersion: projectcalico.org/v3, kind: NetworkSet, metadata: {name: six, namespace: two, labels: {app: b}}, \
     spec: {nets: ['2001:db8::/64', 198.51.100.1]}}",
    "{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: node2, labels: {app: b}}, \
     spec: {node: node2, expectedIPs: [10.1.0.2]}}",
    "{apiVersion: projectcalico.org/v3, kind: Profile, metadata: {name: kns.one}, \
     spec: {labelsToApply: {tier: t}, ingress: [{action: Deny, protocol: UDP}, {action: Allow, source: {nets: [10.233.0.0/16]}}]}}",
    "{apiVersion: projectcalico.org/v3, kind: Profile, metadata: {name: kns.two}, \
     spec: {ingress: [{action: Allow, source: {nets: [10.233.1.6/32]}}, {action: Deny, destination: {nets: [10.233.1.6/32]}}, {action: Allow}]}}",
    "{apiVersion: projectcalico.org/v3, kind: Profile, metadata: {name: own}, \
     spec: {labelsToApply: {ns: first}, egress: [{action: Pass, destination: {selector: app == 'a'}}, {action: Allow}]}}",
    "{apiVersion: projectcalico.org/v3, kind: WorkloadEndpoint, metadata: {name: c, namespace: two}, \
     spec: {pod: c, node: node1, ipNetworks: [10.233.1.7/32], profiles: [own, missing]}}",
    "{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: first}, spec: {order: 1, defaultAction: Pass}}",
];

fn pods() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{}",
        "{matchLabels: {app: a}}",
        "{matchExpressions: [{key: app, operator: NotIn, values: [a]}]}",
        "{matchExpressions: [{key: app, operator: In, values: [a, b]}]}",
        "{matchExpressions: [{key: tier, operator: Exists}]}",
        "{matchExpressions: [{key: tier, operator: DoesNotExist}]}",
    ])
}

fn namespaces() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{}",
        "{matchLabels: {ns: first}}",
        "{matchLabels: {kubernetes.io/metadata.name: two}}",
        "{matchExpressions: [{key: ns, operator: DoesNotExist}]}",
    ])
}

/// A list, seldom an empty one.
fn list(of: impl Strategy<Value = String> + 'static, most: usize) -> impl Strategy<Value = String> {
    let sizes = prop_oneof![1 => Just(0..=0), 5 => Just(1..=most)];
    let of = of.boxed();
    let items = sizes.prop_flat_map(move |size| prop::collection::vec(of.clone(), size));
    items.prop_map(|all| format!("[{}]", all.join(", ")))
}

fn kubernetes() -> impl Strategy<Value = String> {
    let peer = || {
        prop_oneof![
            pods().prop_map(|s| format!("{{podSelector: {s}}}")),
            namespaces().prop_map(|s| format!("{{namespaceSelector: {s}}}")),
            (namespaces(), pods())
                .prop_map(|(n, p)| format!("{{namespaceSelector: {n}, podSelector: {p}}}")),
            prop::sample::select(vec![
                "{ipBlock: {cidr: 0.0.0.0/0, except: [192.0.2.0/24]}}",
                "{ipBlock: {cidr: 10.233.1.0/29}}",
                "{ipBlock: {cidr: '::/0', except: ['fd00::/126']}}",
            ])
            .prop_map(str::to_owned),
        ]
    };
    let ports = || {
        prop::sample::select(vec![
            "[]",
            "[{port: 80}]",
            "[{port: web}]",
            "[{port: web, protocol: UDP}]",
            "[{protocol: UDP}]",
            "[{protocol: SCTP, port: 2905}, {port: dns, protocol: UDP}]",
            "[{port: 80, endPort: 100}, {port: 443}]",
        ])
    };
    let rules = move |peers: &'static str| {
        let rule = (list(peer(), 2), ports())
            .prop_map(move |(list, ports)| format!("{{{peers}: {list}, ports: {ports}}}"));
        list(rule, 2)
    };
    let kind = prop_oneof![
        4 => Just("networking.k8s.io/v1, kind: NetworkPolicy"),
        1 => Just("projectcalico.org/v3, kind: StagedKubernetesNetworkPolicy"),
    ];
    let types = prop::sample::select(vec!["[]", "[Ingress]", "[Egress]", "[Ingress, Egress]"]);
    let namespace = prop::sample::select(vec!["one", "two"]);
    (kind, namespace, pods(), types, rules("from"), rules("to")).prop_map(
        |(kind, namespace, selector, types, ingress, egress)| {
            format!(
                "{{apiVersion: {kind}, metadata: {{name: NAME, namespace: {namespace}}}, spec: \
                 {{podSelector: {selector}, policyTypes: {types}, ingress: {ingress}, egress: {egress}}}}}"
            )
        },
    )
}

fn selector() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "all()",
        "app == 'a'",
        "app != 'a'",
        "has(tier)",
        "pcns.ns == 'first'",
        "pcsa.kind == 'robot' || app in {'b'}",
        "projectcalico.org/namespace == 'two' && !has(tier)",
        "ns == 'first'",
    ])
}

fn namespace_selector() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "all()",
        "global()",
        "ns == 'first'",
        "!has(ns)",
        "projectcalico.org/name == 'two'",
    ])
}

/// What a rule asks of one end.
fn entity(ports: bool) -> impl Strategy<Value = String> {
    let ports = prop::sample::select(if ports {
        vec!["", "ports: [80, web]", "ports: ['81:443']", "notPorts: [80, dns]"]
    } else {
        vec![""]
    });
    let who = prop_oneof![
        2 => Just(String::new()),
        3 => selector().prop_map(|s| format!("selector: \"{s}\"")),
        1 => selector().prop_map(|s| format!("notSelector: \"{s}\"")),
        1 => namespace_selector().prop_map(|n| format!("namespaceSelector: \"{n}\"")),
        2 => (selector(), namespace_selector())
            .prop_map(|(s, n)| format!("selector: \"{s}\", namespaceSelector: \"{n}\"")),
        1 => Just("serviceAccounts: {names: [robot]}".to_owned()),
        1 => Just("serviceAccounts: {selector: \"kind == 'robot'\"}".to_owned()),
        1 => Just("nets: [192.0.2.0/24, 10.233.1.4/30]".to_owned()),
        1 => Just("notNets: [10.233.0.0/16]".to_owned()),
        1 => Just("nets: ['fd00::/125']".to_owned()),
    ];
    (who, ports).prop_map(|(who, ports)| {
        let both: Vec<_> = [who.as_str(), ports].into_iter().filter(|p| !p.is_empty()).collect();
        both.join(", ")
    })
}

fn calico() -> impl Strategy<Value = String> {
    let rule = |at_services: &'static str| {
        let action = prop::sample::select(vec!["Allow", "Deny", "Pass", "Log"]);
        let protocol = prop::sample::select(vec![
            "",
            "protocol: TCP",
            "protocol: UDP",
            "protocol: 132",
            "notProtocol: UDP",
            "ipVersion: 4",
            "ipVersion: 6",
        ]);
        let plain = (action.clone(), protocol).prop_flat_map(|(action, protocol)| {
            // Only these protocols have ports, and only one IP version fits a rule's nets.
            let ports = protocol.starts_with("protocol");
            let sides = (entity(ports), entity(ports)).prop_filter("one IP version", move |sides| {
                let nets = format!("{} {}", sides.0, sides.1);
                let (four, six) = (nets.contains("ets: [1"), nets.contains("ets: ['"));
                !(four && (six || protocol == "ipVersion: 6")) && !(six && protocol == "ipVersion: 4")
            });
            sides.prop_map(move |(source, destination)| {
                let protocol = if protocol.is_empty() { String::new() } else { format!("{protocol}, ") };
                format!(
                    "{{action: {action}, {protocol}source: {{{source}}}, destination: {{{destination}}}}}"
                )
            })
        });
        let service = (action, prop::sample::select(vec!["web", "sliced"]));
        let service = service.prop_map(move |(action, name)| {
            let who = format!("{{services: {{name: {name}, namespace: two}}}}");
            format!("{{action: {action}, {at_services}: {who}}}")
        });
        prop_oneof![4 => plain, 1 => service]
    };
    let kind = prop::sample::select(vec![
        "NetworkPolicy, metadata: {name: TIERNAME, namespace: one}",
        "NetworkPolicy, metadata: {name: TIERNAME, namespace: two}",
        "GlobalNetworkPolicy, metadata: {name: TIERNAME}",
        "GlobalNetworkPolicy, metadata: {name: TIERNAME}",
        "StagedGlobalNetworkPolicy, metadata: {name: TIERNAME}",
    ]);
    let types = prop::sample::select(vec!["[Ingress]", "[Egress]", "[Ingress, Egress]"]);
    let tier = prop::sample::select(vec!["default", "default", "first"]);
    let order = prop::sample::select(vec!["", "order: 10, ", "order: 20, "]);
    (kind, tier, order, selector(), types, list(rule("source"), 3), list(rule("destination"), 3))
        .prop_map(|(kind, tier, order, selector, types, ingress, egress)| {
            let kind = kind.replace("TIERNAME", &format!("{tier}.NAME"));
            let ingress = if types.contains("In") { ingress } else { "[]".to_owned() };
            let egress = if types.contains("Eg") { egress } else { "[]".to_owned() };
            format!(
                "{{apiVersion: projectcalico.org/v3, kind: {kind}, spec: {{tier: {tier}, {order}selector: \
                 \"{selector}\", types: {types}, ingress: {ingress}, egress: {egress}}}}}"
            )
        })
}

fn admin() -> impl Strategy<Value = String> {
    let who = || {
        prop_oneof![
            namespaces().prop_map(|s| format!("{{namespaces: {s}}}")),
            (namespaces(), pods()).prop_map(|(n, p)| format!(
                "{{pods: {{namespaceSelector: {n}, podSelector: {p}}}}}"
            )),
        ]
    };
    let outside = prop::sample::select(vec![
        "{networks: [192.0.2.0/24, 10.233.1.4/30]}",
        "{networks: ['fd00::/125']}",
        "{nodes: {matchLabels: {zone: x}}}",
    ])
    .prop_map(str::to_owned);
    let some = |of: BoxedStrategy<String>| {
        prop::collection::vec(of, 1..=2).prop_map(|all| format!("[{}]", all.join(", ")))
    };
    let rule =
        |new: bool, actions: &[&'static str], peers: &'static str, who: BoxedStrategy<String>| {
            let actions = prop::sample::select(actions.to_vec());
            let ports = prop::sample::select(if new {
                vec![
                    "",
                    ", protocols: [{tcp: {destinationPort: {number: 80}}}]",
                    ", protocols: [{udp: {destinationPort: {range: {start: 50, end: 80}}}}]",
                    ", protocols: [{destinationNamedPort: web}]",
                ]
            } else {
                vec![
                    "",
                    ", ports: [{portNumber: {protocol: TCP, port: 80}}]",
                    ", ports: [{portRange: {protocol: UDP, start: 50, end: 80}}]",
                    ", ports: [{namedPort: web}]",
                ]
            });
            (actions, some(who), ports).prop_map(move |(action, who, ports)| {
                // Only pods have names for their ports.
                let addresses = who.contains("networks:") || who.contains("nodes:");
                let ports = if addresses && ports.contains("amedPort") { "" } else { ports };
                format!("{{action: {action}, {peers}: {who}{ports}}}")
            })
        };
    let rules = move |new, actions: &[&'static str]| {
        let to = prop_oneof![2 => who(), 1 => outside.clone()];
        let from = rule(new, actions, "from", who().boxed());
        (list(from, 2), list(rule(new, actions, "to", to.boxed()), 2))
    };
    let priority = || prop::sample::select(vec![0, 5, 1000]);
    let tier = prop::sample::select(vec!["Admin", "Baseline"]);
    prop_oneof![
        (priority(), who(), rules(false, &["Allow", "Deny", "Pass"])).prop_map(|(priority, subject, (ingress, egress))| format!(
            "{{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy, metadata: {{name: NAME}}, \
             spec: {{priority: {priority}, subject: {subject}, ingress: {ingress}, egress: {egress}}}}}"
        )),
        (who(), rules(false, &["Allow", "Deny"])).prop_map(|(subject, (ingress, egress))| format!(
            "{{apiVersion: policy.networking.k8s.io/v1alpha1, kind: BaselineAdminNetworkPolicy, \
             metadata: {{name: default}}, \
             spec: {{subject: {subject}, ingress: {ingress}, egress: {egress}}}}}"
        )),
        (tier, priority(), who(), rules(true, &["Accept", "Deny", "Pass"])).prop_map(
            |(tier, priority, subject, (ingress, egress))| format!(
                "{{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {{name: NAME}}, \
                 spec: {{tier: {tier}, priority: {priority}, subject: {subject}, ingress: {ingress}, egress: {egress}}}}}"
            )
        ),
    ]
}
