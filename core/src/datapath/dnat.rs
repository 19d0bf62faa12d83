//! What kube-proxy does to a packet on a node: rewrite it, or refuse it.

use super::evidence::Evidence;
use super::node::Passage;
use super::proxy::{Frontend, Picked, Refusal};
use super::step::{Hook, Rule};
use super::walk::{End, Failure, Walk};
use crate::cluster::{Endpoint, NodeId, ProxyMode, ServiceField};
use crate::net::{Family, Packet, Verdict, address_and_port};

/// Why what an endpoint sends to itself is masqueraded.
pub(super) const HAIRPIN: &str =
    "the endpoint is the sender itself: without masquerade its answer would never leave it";

impl<'a> Walk<'a> {
    /// Rewrites the destination to one of the endpoints that the proxy found.
    pub(super) fn dnat(&mut self, passage: &mut Passage<'a>, hook: Hook, packet: Packet) -> Packet {
        let endpoints = std::mem::take(&mut passage.nat.endpoints);
        let (Some(frontend), false) = (passage.nat.frontend, endpoints.is_empty()) else {
            return packet;
        };
        let chosen = if endpoints.len() > 1 { self.fork(endpoints.len()) } else { 0 };
        let Some(endpoint) = endpoints.get(chosen).copied() else { return packet };
        let hairpin = packet.source == endpoint.ip;
        // IPVS marks nothing here: POSTROUTING knows the node's own endpoints.
        if hairpin && passage.mark.is_none() && !self.proxy().takes_in_input() {
            passage.mark = Some(Evidence::of(frontend.service.cite.clone(), HAIRPIN));
        }
        let after = packet.with_destination(endpoint.ip, endpoint.port);
        self.endpoint = Some(match endpoint.pod {
            Some(pod) => self.cluster.pod_name(pod),
            None => address_and_port(endpoint.ip, Some(endpoint.port)),
        });
        let summary =
            self.dnat_summary(&frontend, &packet, endpoints.len(), passage.mark.is_some());
        let mut evidence = vec![Evidence::of(
            frontend.service.cite.clone(),
            &format!("{} is its {}", packet.to(), frontend.kind.label()),
        )];
        evidence.append(&mut passage.nat.evidence);
        evidence.extend(passage.mark.clone());
        evidence.extend(self.endpoint_evidence(passage.node, &frontend, endpoint, endpoints.len()));
        let mut rules = std::mem::take(&mut passage.nat.rules);
        let local = passage.nat.local;
        rules.extend(self.proxy().endpoint_rules(&Picked {
            frontend: &frontend,
            endpoints: &endpoints,
            chosen,
            local,
            hairpin,
        }));
        let on = self.node_name(passage.node);
        let see = self.see_dnat(&packet, &rules);
        self.step((self.node_machine(passage.node), hook), Rule::Dnat, &packet, &after, summary)
            .because(evidence)
            .with_rules(rules)
            .see(&on, see)
            .uncertain = passage.nat.uncertain.map(str::to_owned);
        after
    }

    /// What is special about how the endpoint was picked.
    pub(super) fn endpoint_evidence(
        &self,
        node: NodeId,
        frontend: &Frontend<'_>,
        endpoint: &Endpoint,
        of: usize,
    ) -> Vec<Evidence> {
        let mut found = Vec::new();
        if let Some(seconds) = frontend.service.session_affinity.filter(|_| of > 1) {
            found.push(Evidence::of(
                frontend.service.field(ServiceField::SessionAffinity),
                &format!(
                    "ClientIP: {} sends further connections from the same address, as it sees it before any masquerade, to the same endpoint for {seconds} seconds; these are the ways of a first one",
                    self.node_name(node)
                ),
            ));
        }
        if endpoint.terminating {
            found.push(Evidence::of(
                frontend.service.cite.clone(),
                "no endpoint is ready, so one is used that is being deleted but still serves",
            ));
        }
        found
    }

    pub(super) fn dnat_summary(
        &self,
        frontend: &Frontend<'_>,
        packet: &Packet,
        of: usize,
        marked: bool,
    ) -> String {
        let endpoint = self.endpoint.clone().unwrap_or_default();
        let service = format!("{}/{}", frontend.service.namespace, frontend.service.name);
        let picked = if of > 1 {
            format!("{endpoint}, picked at random from {of} endpoints")
        } else {
            format!("{endpoint}, the only endpoint it may use")
        };
        let mark = if marked { ", and marks it for masquerade" } else { "" };
        let who = match self.cluster.proxy.mode.value {
            ProxyMode::Ipvs => "IPVS",
            _ => "kube-proxy",
        };
        format!(
            "{who} rewrites the destination {}, {} of Service {service}, to {picked}{mark}",
            packet.to(),
            frontend.kind.a_label()
        )
    }

    /// The command that shows the service's rules.
    pub(super) fn see_dnat(&self, packet: &Packet, rules: &[String]) -> String {
        let family = packet.family();
        match self.cluster.proxy.mode.value {
            ProxyMode::Ipvs => {
                let flag = match packet.protocol {
                    crate::net::Protocol::Tcp => "-t",
                    crate::net::Protocol::Udp => "-u",
                    crate::net::Protocol::Sctp => "--sctp-service",
                };
                format!("ipvsadm -Ln {flag} {}", packet.to())
            }
            ProxyMode::Nftables => {
                let table = if family == Family::V4 { "ip" } else { "ip6" };
                let mut chains: Vec<&str> = rules
                    .iter()
                    .filter_map(|rule| rule.strip_prefix("chain ")?.split_whitespace().next())
                    .collect();
                chains.dedup();
                let lists: Vec<String> = chains
                    .iter()
                    .map(|chain| format!("nft list chain {table} kube-proxy '{chain}'"))
                    .collect();
                if lists.is_empty() {
                    format!("nft list table {table} kube-proxy")
                } else {
                    lists.join("; ")
                }
            }
            ProxyMode::Iptables | ProxyMode::Ebpf => {
                let save = if family == Family::V4 { "iptables-save" } else { "ip6tables-save" };
                let mut chains: Vec<&str> = rules
                    .iter()
                    .filter_map(|rule| rule.split_whitespace().nth(1))
                    .filter(|chain| chain.len() > 20)
                    .collect();
                chains.dedup();
                if chains.is_empty() {
                    format!("{save} -t nat | grep KUBE-")
                } else {
                    format!("{save} -t nat | grep -E '{}'", chains.join("|"))
                }
            }
        }
    }

    /// kube-proxy refuses.
    pub(super) fn refuse(
        &mut self,
        passage: &Passage<'_>,
        hook: Hook,
        packet: &Packet,
        refusal: Refusal,
    ) -> End {
        let Refusal { rule, cause, evidence, rules, uncertain } = refusal;
        let on = self.node_name(passage.node);
        let tables = rules.first().is_some_and(|rule| rule.starts_with("-A "));
        let see = match self.cluster.proxy.mode.value {
            // What is no virtual server is iptables', here too.
            ProxyMode::Ipvs if !tables => "ipvsadm -Ln".to_owned(),
            ProxyMode::Nftables if packet.destination.is_ipv4() => {
                "nft list table ip kube-proxy".to_owned()
            }
            ProxyMode::Nftables => "nft list table ip6 kube-proxy".to_owned(),
            _ if packet.destination.is_ipv4() => "iptables-save -t filter | grep KUBE-".to_owned(),
            _ => "ip6tables-save -t filter | grep KUBE-".to_owned(),
        };
        let at = (self.node_machine(passage.node), hook);
        self.track(at.0.clone(), &passage.original, packet);
        self.step(at, rule, packet, packet, cause.message.clone())
            .because(evidence)
            .with_rules(rules)
            .see(&on, see)
            .uncertain = uncertain.map(str::to_owned);
        let rejects = rule == Rule::NoEndpoints;
        End::Failed(Failure {
            verdict: if rejects { Verdict::Rejected } else { Verdict::Dropped },
            cause,
            rejected_by: rejects.then_some((passage.node, *packet)),
        })
    }
}
