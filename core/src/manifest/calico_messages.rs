//! What is said about wrong objects of Calico's kinds.

use super::messages::said;

/// Each spec's complaints, without the `error LINE:COLUMN` where they all are errors.
#[track_caller]
pub(super) fn check(api_version: &str, kind: &str, cases: &[(&str, &[&str])]) {
    for (spec, expected) in cases {
        let text = format!(
            "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n"
        );
        let (lines, kept) = said(&text);
        assert_eq!(lines, *expected, "{text}");
        let refused = expected.iter().any(|line| line.starts_with("error"));
        assert_eq!(kept, usize::from(!refused), "{text}");
    }
}

const CALICO: [&str; 2] = ["projectcalico.org/v3", "crd.projectcalico.org/v1"];

#[test]
fn flags_of_global_policies_must_fit_each_other() {
    for version in CALICO {
        for kind in ["GlobalNetworkPolicy", "StagedGlobalNetworkPolicy"] {
            check(
                version,
                kind,
                &[
                    (
                        "{applyOnForward: true, preDNAT: true, doNotTrack: true}",
                        &[
                            "error 4:39 spec: Forbidden: preDNAT and doNotTrack cannot both be true `true`",
                        ],
                    ),
                    (
                        "{applyOnForward: true, preDNAT: true, types: [Ingress, Egress]}",
                        &[
                            "error 4:62 spec: Forbidden: preDNAT policy cannot have 'Egress' type `Egress`",
                        ],
                    ),
                    (
                        "{applyOnForward: true, preDNAT: true, egress: [{action: Deny}]}",
                        &[
                            "error 4:53 spec: Forbidden: preDNAT policy cannot have any egress rules `[{action: Deny}]`",
                        ],
                    ),
                    (
                        "{doNotTrack: true}",
                        &[
                            "error 4:20 spec: Invalid value: applyOnForward must be true if either preDNAT or \
                           doNotTrack is true `true`",
                        ],
                    ),
                    ("{applyOnForward: true, doNotTrack: true}", &[]),
                    (
                        "{selector: global()}",
                        &[
                            "error 4:18 spec: Invalid value: global() can only be used in an EntityRule \
                           namespaceSelector `global()`",
                        ],
                    ),
                ],
            );
        }
        check(
            version,
            "NetworkPolicy",
            &[("{preDNAT: true}", &["warning 4:8 unknown field \"spec.preDNAT\" `preDNAT`"])],
        );
    }
}

/// Rules, and what is wrong with each.
const RULES: &[(&str, Option<&str>)] = &[
    ("{action: Allow}", None),
    ("{}", Some("spec.ingress[0].action: Required value")),
    (
        "{action: allow}",
        Some(
            "spec.ingress[0].action: Unsupported value: \"allow\": supported values: \"Allow\", \
                 \"Deny\", \"Log\", \"Pass\": did you mean `Allow`?",
        ),
    ),
    (
        "{action: Allow, protocol: http}",
        Some(
            "spec.ingress[0].protocol: Invalid value: \"http\": protocol name invalid: write TCP, \
                 UDP, SCTP, UDPLite, ICMP, ICMPv6 or a number",
        ),
    ),
    (
        "{action: Allow, protocol: 0}",
        Some("spec.ingress[0].protocol: Invalid value: 0: protocol number invalid"),
    ),
    ("{action: Allow, protocol: '132'}", None),
    (
        "{action: Allow, ipVersion: 5}",
        Some("spec.ingress[0].ipVersion: Unsupported value: 5: supported values: \"4\", \"6\""),
    ),
    (
        "{action: Allow, destination: {ports: [80]}}",
        Some(
            "spec.ingress[0].destination.ports: Invalid value: rules with numeric port or port range \
                 must set protocol to TCP or UDP or SCTP",
        ),
    ),
    ("{action: Allow, destination: {ports: [http]}}", None),
    (
        "{action: Allow, protocol: ICMP, destination: {ports: [http]}}",
        Some(
            "spec.ingress[0].destination.ports: Invalid value: rules that specify ports must set \
                 protocol to TCP or UDP or SCTP",
        ),
    ),
    ("{action: Allow, protocol: TCP, destination: {ports: ['80:90', http, 443]}}", None),
    (
        "{action: Allow, protocol: TCP, destination: {ports: ['90:80']}}",
        Some(
            "spec.ingress[0].destination.ports[0]: Invalid value: \"90:80\": minimum port number (90) \
                 is greater than maximum port number (80) in port range",
        ),
    ),
    (
        "{action: Allow, protocol: TCP, destination: {ports: [80-90]}}",
        Some(
            "spec.ingress[0].destination.ports[0]: Invalid value: \"80-90\": a range is written `80:90`",
        ),
    ),
    (
        "{action: Allow, protocol: TCP, destination: {ports: [70000]}}",
        Some(
            "spec.ingress[0].destination.ports[0]: Invalid value: 70000: must be between 1 and 65535, \
                 inclusive",
        ),
    ),
    (
        "{action: Allow, icmp: {type: 8}}",
        Some("spec.ingress[0]: Invalid value: ICMP fields require protocol to be ICMP or ICMPv6"),
    ),
    (
        "{action: Allow, protocol: ICMP, icmp: {code: 8}}",
        Some("spec.ingress[0].icmp: Invalid value: ICMP code specified without an ICMP type"),
    ),
    (
        "{action: Allow, protocol: ICMP, icmp: {type: 255}}",
        Some(
            "spec.ingress[0].icmp.type: Invalid value: 255: spec.ingress[0].icmp.type in body should \
                 be less than or equal to 254",
        ),
    ),
    (
        "{action: Allow, protocol: ICMP, ipVersion: 6}",
        Some("spec.ingress[0]: Invalid value: protocol ICMP requires ipVersion 4"),
    ),
    (
        "{action: Deny, http: {methods: [GET]}}",
        Some("spec.ingress[0]: Forbidden: HTTP match is only valid on Allow rules"),
    ),
    (
        "{action: Allow, source: {nets: [10.0.0.0/8], notNets: ['fd00::/8']}}",
        Some(
            "spec.ingress[0].source.notNets: Invalid value: rule contains both IPv4 and IPv6 CIDRs",
        ),
    ),
    (
        "{action: Allow, ipVersion: 6, source: {nets: [10.0.0.0/8]}}",
        Some(
            "spec.ingress[0].source.nets: Invalid value: rule IP version doesn't match CIDR version",
        ),
    ),
    (
        "{action: Allow, source: {nets: [10.0.0.0/33]}}",
        Some(
            "spec.ingress[0].source.nets[0]: Invalid value: \"10.0.0.0/33\": must be a valid CIDR \
                 value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        ),
    ),
    (
        "{action: Allow, source: {services: {name: a}, selector: all()}}",
        Some(
            "spec.ingress[0].source: Forbidden: cannot specify Selector/NotSelector and Services on \
                 the same rule",
        ),
    ),
    (
        "{action: Allow, source: {services: {namespace: a}}}",
        Some(
            "spec.ingress[0].source.services: Required value: services must specify a service name",
        ),
    ),
    (
        "{action: Allow, destination: {services: {name: a}}}",
        Some(
            "spec.ingress[0].destination.services: Forbidden: not allowed in ingress rule destination",
        ),
    ),
    (
        "{action: Allow, source: {namespaceSelector: global() && has(a)}}",
        Some(
            "spec.ingress[0].source.namespaceSelector: Invalid value: \"global() && has(a)\": global() \
                 cannot be combined with other selectors",
        ),
    ),
    ("{action: Allow, source: {namespaceSelector: global()}}", None),
    ("{action: Allow, source: {nets: null, selector: }}", None),
];

#[test]
fn rules_are_checked_as_calico_checks_them() {
    for &(rule, expected) in RULES {
        for kind in ["NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy", "Profile"] {
            if kind == "Profile"
                && expected.is_some_and(|message| message.contains("not allowed in"))
            {
                continue;
            }
            if kind == "GlobalNetworkPolicy" && rule.contains("services") {
                continue;
            }
            let text = format!(
                "apiVersion: {}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{ingress: [{rule}]}}\n",
                CALICO[0]
            );
            let (lines, kept) = said(&text);
            let messages: Vec<_> = lines
                .iter()
                .map(|line| {
                    let message = line.splitn(3, ' ').nth(2).unwrap();
                    message.rsplit_once(" `").unwrap().0
                })
                .collect();
            assert_eq!(messages, expected.into_iter().collect::<Vec<_>>(), "{text}");
            assert_eq!(kept, usize::from(expected.is_none()), "{text}");
        }
    }
}

#[test]
fn what_only_calicos_own_api_server_refuses_is_warned_of() {
    check(
        CALICO[0],
        "GlobalNetworkPolicy",
        &[
            (
                "{ingress: [{action: Allow, source: {nets: [10.0.0.1/8]}}]}",
                &[
                    "warning 4:50 spec.ingress[0].source.nets[0]: Invalid value: \"10.0.0.1/8\": Calico's API \
                   server takes only a network as 10.0.0.0/8, which Felix makes of it `10.0.0.1/8`",
                ],
            ),
            (
                "{ingress: [{action: Allow, source: {notNets: [0.0.0.0/0]}}]}",
                &[
                    "warning 4:53 spec.ingress[0].source.notNets[0]: Invalid value: \"0.0.0.0/0\": catch-all \
                   CIDR in negation creates logical contradiction (matches no traffic) `0.0.0.0/0`",
                ],
            ),
            (
                "{ingress: [{action: Allow, protocol: tcp}]}",
                &[
                    "warning 4:44 spec.ingress[0].protocol: Invalid value: \"tcp\": protocol name invalid: \
                   write `TCP` `tcp`",
                ],
            ),
            (
                "{ingress: [{action: Allow, destination: {ports: [a-long-name-of-a-port]}}]}",
                &["warning 4:56 spec.ingress[0].destination.ports[0]: Invalid value: \
                   \"a-long-name-of-a-port\": must be no more than 15 characters `a-long-name-of-a-port`"],
            ),
            (
                "{ingress: [{action: Allow, source: {services: {name: a}}}]}",
                &[
                    "error 4:43 spec.ingress[0].source.services.namespace: Required value: must specify a \
                   namespace `services`",
                ],
            ),
        ],
    );
}

#[test]
fn selectors_are_underlined_from_the_character_that_is_wrong() {
    check(
        CALICO[0],
        "GlobalNetworkPolicy",
        &[
            (
                "{selector: app = 'web'}",
                &[
                    "error 4:22 spec.selector: Invalid value: \"app = 'web'\": expected ==: write `==` `= 'web'`",
                ],
            ),
            (
                "{selector: \"a == \\\"b\\\" & c\"}",
                &[
                    "error 4:30 spec.selector: Invalid value: \"a == \\\"b\\\" & c\": expected &&: write `&&` `& c`",
                ],
            ),
            (
                "\n  selector: |\n    a == 'b'\n",
                &[
                    "error 6:13 spec.selector: Invalid value: \"a == 'b'\\n\": expected identifier: a selector is \
                   one line: write it without `|`, or with `>-` ``",
                ],
            ),
            (
                "\n  selector: >-\n    a == 'b' &&\n    c !in {'d'}\n",
                &[
                    "error 7:7 spec.selector: Invalid value: \"a == 'b' && c !in {'d'}\": expected == or \
                   != not: TokNot(): write `not in` `!in {'d'}`",
                ],
            ),
            (
                "{selector: app == web}",
                &[
                    "error 4:25 spec.selector: Invalid value: \"app == web\": expected string: values stand in \
                   quotes `web`",
                ],
            ),
            (
                "{selector: 'has(a) ||'}",
                &[
                    "error 4:28 spec.selector: Invalid value: \"has(a) ||\": unexpected token: TokEOF() ``",
                ],
            ),
        ],
    );
    // wherever a selector may stand
    for (kind, spec) in [
        ("GlobalNetworkPolicy", "{namespaceSelector: a !}"),
        ("NetworkPolicy", "{serviceAccountSelector: a !}"),
        ("NetworkPolicy", "{ingress: [{action: Allow, source: {selector: a !}}]}"),
        ("NetworkPolicy", "{ingress: [{action: Allow, source: {notSelector: a !}}]}"),
        ("NetworkPolicy", "{egress: [{action: Allow, destination: {namespaceSelector: a !}}]}"),
        (
            "NetworkPolicy",
            "{egress: [{action: Allow, destination: {serviceAccounts: {selector: a !}}}]}",
        ),
        ("Profile", "{egress: [{action: Allow, destination: {selector: a !}}]}"),
        ("StagedGlobalNetworkPolicy", "{selector: a !}"),
        ("IPPool", "{cidr: 10.0.0.0/16, nodeSelector: a !}"),
        ("BGPPeer", "{peerSelector: a !}"),
    ] {
        let text = format!(
            "apiVersion: {}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n",
            CALICO[1]
        );
        let (lines, kept) = said(&text);
        let column = "spec: ".len() + spec.find('!').unwrap() + 1;
        assert_eq!((lines.len(), kept), (1, 0), "{text}{lines:?}");
        assert!(lines[0].starts_with(&format!("error 4:{column} spec.")), "{}", lines[0]);
        assert!(lines[0].ends_with(": expected == or != not: TokNot() `!`"), "{}", lines[0]);
    }
}

#[test]
fn tiers_and_host_endpoints() {
    check(
        CALICO[0],
        "Tier",
        &[
            ("{order: 1, defaultAction: Pass}", &[]),
            (
                "{defaultAction: Allow}",
                &[
                    "error 4:23 spec.defaultAction: Unsupported value: \"Allow\": supported values: \"Pass\", \
                   \"Deny\" `Allow`",
                ],
            ),
            (
                "{order: first}",
                &[
                    "error 4:15 spec.order: Invalid value: \"string\": spec.order in body must be of type \
                   number: \"string\" `first`",
                ],
            ),
        ],
    );
    let (lines, _) = said(
        "apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: default}\nspec: {order: 5, \
         defaultAction: Pass}\n",
    );
    assert_eq!(
        lines,
        [
            "error 4:15 spec.order: Invalid value: default tier order must be 1000000 `5`",
            "error 4:33 spec.defaultAction: Invalid value: The 'default' tier must have default action \
             'Deny' `Pass`",
        ]
    );
    check(
        CALICO[0],
        "HostEndpoint",
        &[
            ("{node: a, interfaceName: eth0}", &[]),
            (
                "{interfaceName: eth0}",
                &["error 4:7 spec: Invalid value: node must be specified `{interfaceName: eth0}`"],
            ),
            (
                "{node: a}",
                &[
                    "error 4:7 spec: Invalid value: at least one of interfaceName or expectedIPs must be \
                   specified `{node: a}`",
                ],
            ),
            (
                "{node: a, interfaceName: eth0, expectedIPs: [10.0.0]}",
                &[
                    "error 4:52 spec.expectedIPs[0]: Invalid value: \"10.0.0\": must be a valid IP address, \
                   (e.g. 10.9.8.7 or 2001:db8::ffff) `10.0.0`",
                ],
            ),
            (
                "{node: a, interfaceName: '*', ports: [{name: http, port: 0, protocol: TCP}]}",
                &[
                    "error 4:64 spec.ports[0].port: Invalid value: 0: spec.ports[0].port in body should be \
                   greater than or equal to 1 `0`",
                ],
            ),
            (
                "{node: a, interfaceName: '*', ports: [{name: ping, port: 8, protocol: ICMP}]}",
                &[
                    "error 4:77 spec.ports[0].protocol: Invalid value: EndpointPort protocol does not support \
                   ports. `ICMP`",
                ],
            ),
        ],
    );
}

#[test]
fn sets_and_staged_policies() {
    for kind in ["NetworkSet", "GlobalNetworkSet"] {
        check(
            CALICO[0],
            kind,
            &[
                ("{nets: [10.0.0.1, 10.0.0.0/8, 'fd00::/8']}", &[]),
                (
                    "{nets: [10.0.0.0/8, 10.0.0.0/8, x]}",
                    &[
                        "error 4:27 spec.nets[1]: Duplicate value: \"10.0.0.0/8\" `10.0.0.0/8`",
                        "error 4:39 spec.nets[2]: Invalid value: \"x\": must be a network or an address, as \
                         10.9.8.0/24 or 10.9.8.7 `x`",
                    ],
                ),
            ],
        );
    }
    check(
        CALICO[0],
        "StagedNetworkPolicy",
        &[
            ("{tier: default, stagedAction: Delete}", &[]),
            (
                "{stagedAction: Delete, selector: all()}",
                &[
                    "error 4:40 spec: Invalid value: Spec fields, except Tier, should all be zero-value if \
                   stagedAction is Delete `all()`",
                ],
            ),
            (
                "{stagedAction: Remove}",
                &[
                    "error 4:22 spec.stagedAction: Unsupported value: \"Remove\": supported values: \"Set\", \
                   \"Delete\", \"Learn\", \"Ignore\" `Remove`",
                ],
            ),
        ],
    );
    check(
        CALICO[0],
        "StagedKubernetesNetworkPolicy",
        &[
            ("{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}", &[]),
            (
                "{ingress: [{from: [{}]}]}",
                &["error 4:26 spec.ingress[0].from[0]: Required value: must specify a peer `{}`"],
            ),
            (
                "{stagedAction: Delete, podSelector: {}}",
                &[
                    "error 4:43 spec: Invalid value: Spec fields should all be zero-value if stagedAction is \
                   Delete `{}`",
                ],
            ),
        ],
    );
}

#[test]
fn calicos_settings() {
    check(
        CALICO[1],
        "IPPool",
        &[
            ("{cidr: 10.0.0.0/16, ipipMode: Always}", &[]),
            (
                "{cidr: 10.0.0.0/16, ipipMode: always}",
                &[
                    "error 4:37 spec.ipipMode: Unsupported value: \"always\": supported values: \"Never\", \
                   \"Always\", \"CrossSubnet\": did you mean `Always`? `always`",
                ],
            ),
            (
                "{cidr: 10.0.0.0/16, ipipMode: Always, vxlanMode: CrossSubnet}",
                &[
                    "error 4:56 spec: Forbidden: ipipMode and vxlanMode cannot both be enabled `CrossSubnet`",
                ],
            ),
            (
                "{cidr: 10.0.0.1/16}",
                &[
                    "error 4:14 spec: Invalid value: IPPool CIDR must be strictly masked `10.0.0.1/16`",
                ],
            ),
            (
                "{cidr: 10.0.0.0/27}",
                &[
                    "error 4:14 spec: Invalid value: IP pool size is too small for use with Calico IPAM. It must \
                   be equal to or greater than the block size. `10.0.0.0/27`",
                ],
            ),
            ("{}", &["error 4:1 spec.cidr: Required value `spec`"]),
            (
                "{cidr: 10.0.0.0/16, blocksize: 26}",
                &[
                    "warning 4:27 unknown field \"spec.blocksize\": did you mean `blockSize`? `blocksize`",
                ],
            ),
        ],
    );
    check(
        CALICO[1],
        "FelixConfiguration",
        &[
            // these are compared in any case, as Felix does
            ("{defaultEndpointToHostAction: ACCEPT, chainInsertMode: append}", &[]),
            (
                "{defaultEndpointToHostAction: Allow}",
                &["error 4:37 spec.defaultEndpointToHostAction: Invalid value: \"Allow\": \
                   spec.defaultEndpointToHostAction in body should match '^(?i)(Drop|Accept|Return)?$' `Allow`"],
            ),
            // and these are not
            (
                "{natOutgoingExclusions: ippoolsonly}",
                &[
                    "error 4:31 spec.natOutgoingExclusions: Unsupported value: \"ippoolsonly\": supported \
                   values: \"IPPoolsOnly\", \"IPPoolsAndHostIPs\": did you mean `IPPoolsOnly`? `ippoolsonly`",
                ],
            ),
            (
                "{bpfEnabled: 'true'}",
                &[
                    "error 4:20 spec.bpfEnabled: Invalid value: \"string\": spec.bpfEnabled in body must be of \
                   type boolean: \"string\": leave out the quotes `'true'`",
                ],
            ),
        ],
    );
}
