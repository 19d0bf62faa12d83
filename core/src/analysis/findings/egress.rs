//! Egress that is shut, and with it the resolution of names.

use std::collections::BTreeSet;

use super::{About, Look};
use crate::cluster::{Pod, PodId};
use crate::datapath::{Packet, Protocol};
use crate::policy::form::{Action, Endpoints, PortNumber, Rule, Stage, Test, TierDefault};
use crate::policy::{By, Direction, decide, permits, selected};
use crate::text::Cite;

/// Where name servers listen.
const DNS: u16 = 53;

impl Look<'_> {
    /// Pods that can't ask for names: exactly where the text has the name servers, and else by the
    /// ports of the rules.
    pub(super) fn name_resolution(&mut self) {
        let servers: Vec<&Pod> = self.cluster.pods.iter().filter(|pod| is_server(pod)).collect();
        let mut shut = if servers.iter().any(|pod| !pod.addresses.is_empty()) {
            self.by_asking(&servers)
        } else {
            self.by_rules()
        };
        shut.sort_by_key(|(name, cite, udp)| (name.clone(), cite.span, !udp));
        shut.dedup_by(|a, b| a.0 == b.0 && a.1 == b.1);
        for (name, cite, udp) in shut {
            if udp {
                self.warn(
                    "egress-without-dns",
                    &cite,
                    format!("{name} denies its pods name resolution"),
                    "nothing lets UDP port 53 out, so names of services and hosts are not found; long answers come over TCP",
                )
                .instead("allow port 53, UDP and TCP, to the pods of kube-dns");
            } else {
                self.note(
                    "dns-without-tcp",
                    &cite,
                    format!("{name} lets its pods ask for names over UDP only"),
                    "answers that are too long for a UDP packet are asked for again over TCP port 53, which nothing lets out",
                )
                .instead("allow port 53 over TCP too");
            }
        }
    }

    /// Who denies each pod the way to every name server, and whether over UDP too.
    fn by_asking(&self, servers: &[&Pod]) -> Vec<(String, Cite, bool)> {
        let cluster = self.cluster;
        // Whom no policy restricts needs not be asked about.
        let pods: BTreeSet<PodId> = self
            .in_force()
            .filter(|policy| policy.form.egress.is_some())
            .flat_map(|policy| policy.pods.iter().copied())
            .filter(|id| cluster.pod(*id).is_some_and(|pod| !is_server(pod)))
            .collect();
        let mut shut = Vec::new();
        for id in pods {
            let Some(pod) = cluster.pod(id) else { continue };
            let packets = |protocol: Protocol| {
                let from = pod.addresses.iter();
                from.flat_map(move |source| {
                    let to = servers.iter().flat_map(|server| &server.addresses);
                    let to = to.filter(move |to| to.is_ipv4() == source.is_ipv4());
                    to.map(move |destination| Packet {
                        protocol,
                        source: *source,
                        source_port: None,
                        destination: *destination,
                        destination_port: Some(DNS),
                        outer: None,
                    })
                })
            };
            for (protocol, udp) in [(Protocol::Udp, true), (Protocol::Tcp, false)] {
                let may = |packet: &Packet| permits(cluster, Direction::Egress, id, packet);
                let Some(packet) = packets(protocol).next() else { continue };
                if packets(protocol).any(|packet| may(&packet)) {
                    continue;
                }
                let decision = decide(cluster, Direction::Egress, id, &packet);
                let name = match decision.by {
                    By::Policy(object) => Some(object),
                    By::Isolation(objects) => objects.into_iter().next(),
                    By::NoPolicy => None,
                };
                if let (Some(name), Some(cite)) = (name, decision.cite) {
                    shut.push((name.to_string(), cite, udp));
                }
                break;
            }
        }
        shut
    }

    /// Policies whose tier denies the rest, with pods for which no rule opens the port.
    fn by_rules(&self) -> Vec<(String, Cite, bool)> {
        let opened = |protocol: Protocol| -> BTreeSet<PodId> {
            let opens = |rule: &Rule| self.resolves(rule, protocol.number());
            let opening = self.in_force().filter(|policy| {
                policy.form.egress.as_ref().is_some_and(|rules| rules.rules.iter().any(opens))
            });
            opening.flat_map(|policy| policy.pods.iter().copied()).collect()
        };
        let (udp, tcp) = (opened(Protocol::Udp), opened(Protocol::Tcp));
        let denying = self.in_force().filter(|policy| policy.end == TierDefault::Deny);
        let shut = denying.filter_map(|policy| {
            let rules = policy.form.egress.as_ref()?;
            let without = |open: &BTreeSet<PodId>| !policy.pods.is_subset(open);
            let found = (without(&udp), without(&tcp));
            let name = policy.form.object.to_string();
            (found != (false, false)).then(|| (name, rules.cite.clone(), found.0))
        });
        shut.collect()
    }

    fn in_force(&self) -> impl Iterator<Item = &About<'_>> {
        self.about
            .iter()
            .filter(|policy| policy.form.staged.is_none() && policy.form.stage == Stage::Normal)
    }

    /// Whether a rule lets questions for names out over a protocol. One without ports does where
    /// it is for everybody.
    fn resolves(&self, rule: &Rule, protocol: u8) -> bool {
        let ours = |wanted: Option<u8>| wanted.is_none_or(|wanted| wanted == protocol);
        let side = &rule.destination;
        let named = || side.ports.iter().filter(|port| ours(port.protocol));
        let on_port = named().any(|port| match &port.number {
            PortNumber::Any => false,
            PortNumber::Range(first, last) => (*first..=*last).contains(&DNS),
            PortNumber::Named(name) => name.contains("dns"),
        });
        let any_port = side.ports.is_empty() || named().any(|port| port.number == PortNumber::Any);
        let all = |endpoints: &Endpoints| {
            let known = self.cluster.pods.iter().filter(|pod| !pod.host_network && !pod.finished);
            selected(self.cluster, endpoints).len() == known.count()
        };
        let to_all = side.peers.is_empty()
            || side.peers.iter().flat_map(|peer| &peer.conditions).any(|it| match &it.test {
                Test::Endpoints(endpoints) => all(endpoints),
                _ => true,
            });
        rule.action == Action::Allow && ours(rule.protocol) && (on_port || (any_port && to_all))
    }
}

/// A pod that answers questions for names, by the labels that such pods usually have.
fn is_server(pod: &Pod) -> bool {
    let named = |value: &String| matches!(value.as_str(), "kube-dns" | "coredns");
    pod.labels.get("k8s-app").is_some_and(named)
        || pod.labels.get("app.kubernetes.io/name").is_some_and(named)
}
