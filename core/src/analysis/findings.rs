//! Findings: what in a text probably does something else than it seems to, worst first.
//!
//! A finding changes no verdict: everything is decided as it really is. It says beforehand what one
//! would otherwise learn from a trace.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::cluster::{Cluster, Service, TrafficPolicy};
use crate::manifest::{self, Kind, Object};
use crate::policy::form::{
    Action, Condition, Of, Policy, PortNumber, Rule, Stage, StagedAction, Test,
};
use crate::policy::{Direction, describes, selected, selects_anything};
use crate::text::{Cite, ObjectRef, Severity};

/// Something to know about a place of the text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which kind of finding, in words that stay the same: `peer-matches-nobody`.
    pub kind: &'static str,
    /// One sentence: what is so.
    pub title: String,
    /// Why, and what follows.
    pub why: String,
    /// What to write instead, where there is something.
    pub instead: Option<String>,
    /// Where.
    pub cite: Cite,
}

/// What there is to say about a text, worst first, then in its order.
pub fn findings(text: &str, cluster: &Cluster) -> Vec<Finding> {
    let manifest = manifest::read(text);
    let mut look = Look { cluster, found: Vec::new() };
    let policies = cluster.policies.tiers.iter().flat_map(|tier| &tier.policies);
    for policy in policies.clone() {
        look.subject(policy);
        for direction in [Direction::Ingress, Direction::Egress] {
            let rules = policy.rules(direction).map(|rules| rules.rules.as_slice());
            for rule in rules.unwrap_or_default() {
                look.rule(policy, direction, rule);
            }
        }
        look.untracked(policy);
        look.name_resolution(policy);
    }
    look.equal_priorities();
    for object in &manifest.objects {
        look.object(object);
    }
    if let Some(first) = policies.clone().find(|policy| policy.staged.is_none()) {
        look.add(
            Severity::Note,
            "established-connections",
            first.cite.clone(),
            "a change of policy does not cut connections that stand".to_owned(),
            "Calico accepts the packets of established connections before it asks any policy (ctstate RELATED,ESTABLISHED), so what a new policy denies goes on until it is closed".to_owned(),
            Some("to cut one at once, delete it on its node: `conntrack -D -s SOURCE -d DESTINATION`".to_owned()),
        );
    }
    let mut found = look.found;
    found.sort_by_key(|finding| {
        (std::cmp::Reverse(finding.severity), finding.cite.span, finding.kind)
    });
    found.dedup();
    found
}

struct Look<'a> {
    cluster: &'a Cluster,
    found: Vec<Finding>,
}

impl Look<'_> {
    fn add(
        &mut self,
        severity: Severity,
        kind: &'static str,
        cite: Cite,
        title: String,
        why: String,
        instead: Option<String>,
    ) {
        self.found.push(Finding { severity, kind, title, why, instead, cite });
    }

    /// Whose policy it is.
    fn subject(&mut self, policy: &Policy) {
        let name = &policy.object;
        if let Some(action) = policy.staged {
            let would = match action {
                StagedAction::Set => {
                    "enforced, it would take the place of a policy of its name: decisions say what it would do"
                }
                StagedAction::Delete => {
                    "carried out, it would delete the policy of its name: decisions say what that would do"
                }
                StagedAction::Learn | StagedAction::Ignore => {
                    "with this stagedAction nothing will come of it"
                }
            };
            self.add(
                Severity::Note,
                "staged",
                policy.cite.clone(),
                format!("{name} is staged and decides nothing"),
                would.to_owned(),
                None,
            );
        }
        if !selects_anything(self.cluster, &policy.subject) {
            let cite = policy.subject.clauses.last().map_or(&policy.cite, |clause| &clause.cite);
            self.add(
                Severity::Warning,
                "policy-selects-nothing",
                cite.clone(),
                format!("{name} selects nothing"),
                "no pod of the text has these labels in these namespaces; selectors are compared with pods' own labels, never with those of their Deployment or Service".to_owned(),
                None,
            );
        }
        // What takes everybody is not about this pod.
        let by_labels =
            policy.subject.clauses.iter().any(
                |clause| matches!(&clause.of, Of::Labels(selector) if !selector.is_everything()),
            );
        let of_host = self.cluster.pods.iter().find(|pod| {
            pod.host_network && !pod.finished && describes(self.cluster, &policy.subject, pod)
        });
        if let Some(pod) = of_host.filter(|_| policy.stage == Stage::Normal && by_labels) {
            self.add(
                Severity::Warning,
                "host-network-pod-selected",
                policy.cite.clone(),
                format!(
                    "{name} describes pod {}/{}, but does not apply to it",
                    pod.namespace, pod.name
                ),
                "the pod uses its node's network (hostNetwork), and has none of its own that a policy could guard".to_owned(),
                Some("only a HostEndpoint with a GlobalNetworkPolicy can guard it".to_owned()),
            );
        }
    }

    fn rule(&mut self, policy: &Policy, direction: Direction, rule: &Rule) {
        let peer = match direction {
            Direction::Ingress => &rule.source,
            Direction::Egress => &rule.destination,
        };
        for condition in peer.peers.iter().flat_map(|peer| &peer.conditions) {
            match &condition.test {
                Test::Endpoints(endpoints) if !selects_anything(self.cluster, endpoints) => {
                    self.add(
                        Severity::Warning,
                        "peer-matches-nobody",
                        condition.cite.clone(),
                        format!("a peer of {} matches nobody", policy.object),
                        "no pod of the text is described so: no namespace or no pod has these labels, so the rule lets nobody through".to_owned(),
                        None,
                    );
                }
                Test::Never(reason) => self.add(
                    Severity::Warning,
                    "peer-not-evaluable",
                    condition.cite.clone(),
                    format!("a peer of {} can't be evaluated here", policy.object),
                    reason.clone(),
                    None,
                ),
                Test::DomainNames(names) => self.add(
                    Severity::Warning,
                    "domain-names",
                    condition.cite.clone(),
                    format!("{} speaks of domain names, and which addresses they have is not in the text", policy.object),
                    format!("here the peer {} matches nothing; decisions that it could have made are marked as not certain. Calico's open source release knows no such peers and has the rule fail closed", names.join(", ")),
                    None,
                ),
                Test::Nets(nets) => self.nets(policy, direction, condition, nets),
                _ => {}
            }
        }
        self.service_port(policy, direction, rule);
    }

    /// Ranges of addresses that are seen otherwise where policies are asked.
    fn nets(&mut self, policy: &Policy, direction: Direction, at: &Condition, nets: &[IpNet]) {
        let holds = |ip: &IpAddr| nets.iter().any(|net| net.contains(ip));
        let everything = nets.iter().any(|net| net.prefix_len() == 0);
        if everything {
            return;
        }
        let pods = self.cluster.pod_by_address.keys().any(holds);
        let nodes = self.cluster.node_by_address.keys().any(holds);
        let of_services: BTreeSet<IpAddr> = self
            .cluster
            .services
            .iter()
            .flat_map(|s| &s.cluster_ips)
            .copied()
            .filter(holds)
            .collect();
        if let Some(ip) = of_services.first().filter(|_| !pods && !nodes) {
            let (why, instead) = match direction {
                Direction::Egress => (
                    "kube-proxy puts a pod's address and its targetPort in the place of a ClusterIP before the policy is asked, so the rule never matches (except, of all things, while the service has no endpoints)",
                    "name the pods behind the service, and their port",
                ),
                Direction::Ingress => (
                    "no packet has a ClusterIP as its source where policies are asked, so the rule never matches",
                    "name the pods that send",
                ),
            };
            self.add(
                Severity::Warning,
                "cluster-ip-in-policy",
                at.cite.clone(),
                format!("{} speaks of {ip}, a service's ClusterIP", policy.object),
                why.to_owned(),
                Some(instead.to_owned()),
            );
        } else if pods {
            self.add(
                Severity::Note,
                "pod-addresses-in-policy",
                at.cite.clone(),
                format!("a range of {} holds pods' addresses", policy.object),
                "Calico matches them, other plugins need not; pods get other addresses when they are made anew".to_owned(),
                Some("selectors follow the pods".to_owned()),
            );
        } else if direction == Direction::Ingress && policy.stage == Stage::Normal && !nodes {
            self.masqueraded_clients(policy, at);
        }
    }

    /// Clients outside that are allowed by address, but come by way of a masquerade.
    fn masqueraded_clients(&mut self, policy: &Policy, at: &Condition) {
        let pods = selected(self.cluster, &policy.subject);
        let behind = |service: &&Service| {
            service.external_traffic_policy.value == TrafficPolicy::Cluster
                && service.ports.iter().any(|port| {
                    (port.node_port.is_some()
                        || !service.external_ips.is_empty()
                        || !service.ingress_ips.is_empty())
                        && port.endpoints.iter().any(|e| e.pod.is_some_and(|p| pods.contains(&p)))
                })
        };
        let ebpf = self.cluster.proxy.mode.value == crate::cluster::ProxyMode::Ebpf;
        let Some(service) = self.cluster.services.iter().find(behind).filter(|_| !ebpf) else {
            return;
        };
        if self.cluster.nodes.len() < 2 {
            return;
        }
        let name = &service.cite.object;
        self.add(
            Severity::Warning,
            "clients-are-masqueraded",
            at.cite.clone(),
            format!("{} allows clients by address that mostly arrive with another", policy.object),
            format!(
                "{name} is reached from outside under externalTrafficPolicy Cluster: whoever comes in by a node without the pod is seen with that node's address (of its tunnel, if there is one), not with its own"
            ),
            Some("set externalTrafficPolicy: Local, or filter with a preDNAT policy; to allow the nodes' tunnel addresses lets every pod in that uses a node port".to_owned()),
        );
    }

    /// A service's port where the pods listen on another.
    fn service_port(&mut self, policy: &Policy, direction: Direction, rule: &Rule) {
        for port in &rule.destination.ports {
            let PortNumber::Range(number, last) = port.number else { continue };
            if number != last {
                continue;
            }
            let ends: Vec<_> = match direction {
                Direction::Ingress => selected(self.cluster, &policy.subject),
                Direction::Egress => rule
                    .destination
                    .peers
                    .iter()
                    .flat_map(|peer| &peer.conditions)
                    .filter_map(|condition| match &condition.test {
                        Test::Endpoints(endpoints) => Some(selected(self.cluster, endpoints)),
                        _ => None,
                    })
                    .flatten()
                    .collect(),
            };
            let listens = |id: &crate::cluster::PodId| {
                self.cluster.pod(*id).is_some_and(|pod| pod.ports.iter().any(|p| p.port == number))
            };
            if ends.is_empty() || ends.iter().any(listens) {
                continue;
            }
            let target = self.cluster.services.iter().find_map(|service| {
                let own = service.ports.iter().find(|own| {
                    own.port == number
                        && own.endpoints.iter().any(|e| e.pod.is_some_and(|p| ends.contains(&p)))
                })?;
                let to = own.endpoints.first()?.port;
                (to != number).then(|| (service.cite.object.clone(), to))
            });
            if let Some((service, to)) = target {
                self.add(
                    Severity::Warning,
                    "service-port-in-policy",
                    port.cite.clone(),
                    format!("{} speaks of port {number}, but the pods listen on {to}", policy.object),
                    format!("{number} is the port of {service}; policies are asked after kube-proxy has put the pods' port in its place"),
                    Some(format!("write {to}, or the port's name")),
                );
            }
        }
    }

    fn untracked(&mut self, policy: &Policy) {
        if policy.stage != Stage::Untracked || policy.ingress.is_some() == policy.egress.is_some() {
            return;
        }
        let (has, lacks) =
            if policy.ingress.is_some() { ("ingress", "egress") } else { ("egress", "ingress") };
        self.add(
            Severity::Warning,
            "untracked-one-way",
            policy.cite.clone(),
            format!("{} has {has} rules only", policy.object),
            format!("what a doNotTrack policy accepts is not tracked, so its answers belong to no known connection: they need {lacks} rules of their own"),
            None,
        );
    }

    /// Egress is denied, and nobody thought of DNS.
    fn name_resolution(&mut self, policy: &Policy) {
        const UDP: u8 = 17;
        let Some(rules) = policy.egress.as_ref().filter(|_| policy.stage == Stage::Normal) else {
            return;
        };
        let kinds = ["NetworkPolicy", "GlobalNetworkPolicy"];
        if policy.staged.is_some() || !kinds.contains(&policy.object.kind.as_str()) {
            return;
        }
        let resolves = |rule: &Rule| {
            rule.action == Action::Allow
                && rule.protocol.is_none_or(|protocol| protocol == UDP)
                && (rule.destination.ports.is_empty()
                    || rule.destination.ports.iter().any(|port| {
                        port.protocol.is_none_or(|protocol| protocol == UDP)
                            && match &port.number {
                                PortNumber::Any => true,
                                PortNumber::Range(first, last) => (*first..=*last).contains(&53),
                                PortNumber::Named(name) => name.contains("dns"),
                            }
                    }))
        };
        let pods = selected(self.cluster, &policy.subject);
        let others = self.cluster.policies.tiers.iter().flat_map(|tier| &tier.policies);
        let elsewhere = others.filter(|other| !std::ptr::eq(*other, policy)).any(|other| {
            let opens = other.egress.as_ref().is_some_and(|rules| rules.rules.iter().any(resolves));
            opens && selected(self.cluster, &other.subject).iter().any(|pod| pods.contains(pod))
        });
        if !pods.is_empty() && !rules.rules.iter().any(resolves) && !elsewhere {
            self.add(
                Severity::Warning,
                "egress-without-dns",
                rules.cite.clone(),
                format!("{} denies its pods name resolution", policy.object),
                "no rule allows UDP port 53 out, so names of services and hosts are not found; long answers come over TCP".to_owned(),
                Some("allow port 53, UDP and TCP, to the pods of kube-dns".to_owned()),
            );
        }
    }

    /// Policies of the policy API whose order is undefined.
    fn equal_priorities(&mut self) {
        let mut seen: Vec<(&str, f64, &ObjectRef)> = Vec::new();
        let mut twice = Vec::new();
        for tier in &self.cluster.policies.tiers {
            for policy in &tier.policies {
                let kinds = ["AdminNetworkPolicy", "ClusterNetworkPolicy"];
                let Some(order) = policy.order else { continue };
                if !kinds.contains(&policy.object.kind.as_str()) {
                    continue;
                }
                let same = |known: &&(&str, f64, &ObjectRef)| {
                    known.0 == tier.name && known.1.total_cmp(&order).is_eq()
                };
                if let Some((_, _, other)) = seen.iter().find(same) {
                    twice.push((policy.cite.clone(), policy.object.clone(), (*other).clone()));
                }
                seen.push((&tier.name, order, &policy.object));
            }
        }
        for (cite, object, other) in twice {
            self.add(
                Severity::Warning,
                "equal-priorities",
                cite,
                format!("{object} and {other} have the same priority"),
                "which one is asked first is not defined by the API; here, as in Calico, it is the first by name".to_owned(),
                Some("give each its own priority".to_owned()),
            );
        }
    }

    /// What only the object itself shows.
    fn object(&mut self, object: &Object) {
        match &object.kind {
            Kind::NetworkPolicy(policy) => {
                let name = &object.reference;
                let spec = &policy.spec;
                if spec.policy_types.is_empty()
                    && object.has("spec.egress")
                    && spec.egress.is_empty()
                {
                    self.add(
                        Severity::Warning,
                        "egress-not-isolated",
                        object.cite("spec.egress"),
                        format!("{name} does not restrict egress"),
                        "without policyTypes, an empty egress list means that the policy does not speak of egress".to_owned(),
                        Some("write `policyTypes: [Ingress, Egress]`".to_owned()),
                    );
                }
                let empty = |list: &str, open: Vec<bool>| {
                    open.iter()
                        .position(|open| *open)
                        .map(|index| object.cite(&format!("spec.{list}[{index}]")))
                };
                let ingress = spec.ingress.iter().map(|r| r.from.is_empty() && r.ports.is_empty());
                let egress = spec.egress.iter().map(|r| r.to.is_empty() && r.ports.is_empty());
                let found =
                    [empty("ingress", ingress.collect()), empty("egress", egress.collect())];
                for cite in found.into_iter().flatten() {
                    self.add(
                        Severity::Note,
                        "rule-allows-everything",
                        cite,
                        format!("a rule of {name} allows everything"),
                        "a rule without peers and ports, a dash with nothing behind it too, matches everybody on every port; an empty list would match nobody".to_owned(),
                        None,
                    );
                }
            }
            Kind::KubeProxyConfiguration(config) if config.ipvs.strict_arp == Some(true) => self.add(
                Severity::Note,
                "strict-arp",
                object.cite("ipvs.strictARP"),
                "strictARP changes no address".to_owned(),
                "it only decides who answers ARP for service addresses; which source a policy or a pod sees does not depend on it".to_owned(),
                None,
            ),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
