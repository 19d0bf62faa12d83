//! What only an object itself shows: lists that are empty or not there, and fields of which the
//! form knows nothing.

use super::Look;
use crate::manifest::calico_policy::{CalicoPolicySpec, CalicoRule};
use crate::manifest::kubernetes::{LabelSelector, NetworkPolicy, NetworkPolicyPeer};
use crate::manifest::{Kind, Object};
use crate::text::Value;

impl Look<'_> {
    /// What only the object itself shows.
    pub(super) fn object(&mut self, object: &Object) {
        match &object.kind {
            Kind::NetworkPolicy(policy) => self.network_policy(object, policy),
            Kind::CalicoPolicy(policy) => self.calico_policy(object, &policy.spec),
            Kind::KubeProxyConfiguration(config) if config.ipvs.strict_arp == Some(true) => {
                self.note(
                    "strict-arp",
                    &object.cite("ipvs.strictARP"),
                    "strictARP changes no address".to_owned(),
                    "it only decides who answers ARP for service addresses; which source a policy or a pod sees does not depend on it",
                );
            }
            _ => {}
        }
    }

    fn network_policy(&mut self, object: &Object, policy: &NetworkPolicy) {
        let name = &object.reference;
        let spec = &policy.spec;
        let typed = |kind: &str| spec.policy_types.iter().any(|found| found == kind);
        if spec.policy_types.is_empty() && object.has("spec.egress") && spec.egress.is_empty() {
            self.warn(
                "egress-not-isolated",
                &object.cite("spec.egress"),
                format!("{name} does not restrict egress"),
                "without policyTypes, an empty egress list means that the policy does not speak of egress",
            )
            .instead("write `policyTypes: [Ingress, Egress]`");
        }
        for (list, kind, empty) in [
            ("ingress", "Ingress", spec.ingress.is_empty()),
            ("egress", "Egress", spec.egress.is_empty()),
        ] {
            if !empty && !spec.policy_types.is_empty() && !typed(kind) {
                self.ignored_rules(object, list, "policyTypes", kind);
            }
        }
        if is_null(object, "spec.podSelector") || !object.has("spec.podSelector") {
            self.warn(
                "selects-every-pod",
                &object.cite("spec.podSelector"),
                format!("{name} selects every pod of namespace {}", name.namespace),
                "a podSelector that is left out, or has nothing behind it, is the same as `{}`",
            )
            .instead("write `podSelector: {}` if that is meant");
        }
        let ingress = spec.ingress.iter().map(|rule| (&rule.from, rule.ports.is_empty()));
        let egress = spec.egress.iter().map(|rule| (&rule.to, rule.ports.is_empty()));
        for (index, (peers, all_ports)) in ingress.enumerate() {
            self.rule(object, &format!("spec.ingress[{index}]"), "from", peers, all_ports);
        }
        for (index, (peers, all_ports)) in egress.enumerate() {
            self.rule(object, &format!("spec.egress[{index}]"), "to", peers, all_ports);
        }
    }

    fn rule(
        &mut self,
        object: &Object,
        at: &str,
        list: &str,
        peers: &[NetworkPolicyPeer],
        all_ports: bool,
    ) {
        let name = &object.reference;
        if peers.is_empty() && all_ports {
            let title = format!("a rule of {name} allows everything");
            let cite = object.cite(at);
            let why = "a rule without peers and ports matches everybody on every port; an empty list of rules would match nobody";
            if is_null(object, at) {
                self.warn(
                    "rule-allows-everything",
                    &cite,
                    title,
                    &format!("a dash with nothing behind it is such a rule: {why}"),
                )
                .instead("write `[]` if nobody is to be allowed");
            } else {
                self.note("rule-allows-everything", &cite, title, why);
            }
        }
        for (index, peer) in peers.iter().enumerate() {
            let path = format!("{at}.{list}[{index}]");
            for (field, what) in [
                ("namespaceSelector", "the peer is then one of the policy's own namespace"),
                ("podSelector", "the peer is then every pod of these namespaces"),
            ] {
                let field = format!("{path}.{field}");
                if is_null(object, &field) {
                    self.warn(
                        "selector-without-value",
                        &object.cite(&field),
                        format!(
                            "a selector of {name} has nothing behind it, and counts as left out"
                        ),
                        what,
                    )
                    .instead("write `{}` to select everything");
                }
            }
            self.not_in(object, &path, peer);
        }
        let only = |peer: Option<&NetworkPolicyPeer>, pods: bool| {
            peer.is_some_and(|peer| {
                peer.pod_selector.is_some() == pods && peer.namespace_selector.is_some() != pods
            })
        };
        let neighbours = (1..peers.len())
            .find(|index| only(peers.get(index - 1), false) && only(peers.get(*index), true));
        if let Some(index) = neighbours {
            self.note(
                "peers-are-alternatives",
                &object.cite(&format!("{at}.{list}[{index}]")),
                format!("two peers of {name} are alternatives: these namespaces, or these pods of its own"),
                "each dash is a peer of its own, and one of them is enough",
            )
            .instead("for these pods in these namespaces, write both selectors behind one dash");
        }
    }

    /// `NotIn` and `DoesNotExist` take what has no such label.
    fn not_in(&mut self, object: &Object, path: &str, peer: &NetworkPolicyPeer) {
        let cluster = self.cluster;
        let namespace =
            |key: &str| cluster.namespaces.values().any(|it| !it.labels.contains_key(key));
        let pod = |key: &str| cluster.pods.iter().any(|it| !it.labels.contains_key(key));
        let lacks = |selector: &Option<LabelSelector>, without: &dyn Fn(&str) -> bool| {
            selector.as_ref().and_then(|selector| {
                let mut expressions = selector.match_expressions.iter();
                expressions.position(|it| it.operator == "NotIn" && without(&it.key))
            })
        };
        for (field, what, found) in [
            ("namespaceSelector", "namespaces", lacks(&peer.namespace_selector, &namespace)),
            ("podSelector", "pods", lacks(&peer.pod_selector, &pod)),
        ] {
            let Some(index) = found else { continue };
            self.note(
                "not-in-takes-unlabelled",
                &object.cite(&format!("{path}.{field}.matchExpressions[{index}]")),
                format!("a NotIn of {} also selects {what} without the label", object.reference),
                "NotIn holds where the label has another value, and where there is no such label",
            )
            .instead("add an `Exists` for the label if it must be there");
        }
    }

    fn calico_policy(&mut self, object: &Object, spec: &CalicoPolicySpec) {
        for (list, kind, rules) in
            [("ingress", "Ingress", &spec.ingress), ("egress", "Egress", &spec.egress)]
        {
            let typed = spec.types.iter().any(|found| found == kind);
            if !rules.is_empty() && !spec.types.is_empty() && !typed {
                self.ignored_rules(object, list, "types", kind);
            }
            for (index, CalicoRule { http, .. }) in rules.iter().enumerate() {
                if http.is_some() {
                    self.warn(
                        "http-not-evaluated",
                        &object.cite(&format!("spec.{list}[{index}].http")),
                        format!("{} speaks of HTTP methods or paths, which are not evaluated", object.reference),
                        "the kernel sees connections, not requests: it allows what the rest of the rule matches, and only Calico's application layer policy looks at the requests",
                    );
                }
            }
        }
    }

    fn ignored_rules(&mut self, object: &Object, list: &str, field: &str, kind: &str) {
        self.warn(
            "rules-ignored",
            &object.cite(&format!("spec.{list}")),
            format!("the {list} rules of {} are ignored", object.reference),
            &format!("its {field} do not say {kind}, so that it does not speak of {list} at all"),
        )
        .instead(format!("add {kind} to {field}"));
    }
}

/// Whether the field is written, with nothing behind it.
fn is_null(object: &Object, path: &str) -> bool {
    object.node.at(path).is_some_and(|node| node.value == Value::Null)
}
