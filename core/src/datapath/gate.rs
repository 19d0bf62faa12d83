//! Where Calico decides on a node: workloads' policies, what pods may send to their own node, and
//! service addresses that nobody rewrote (Felix `rules/static.go`, `rules/endpoints.go`).

use super::node::Passage;
use super::step::{Cause, CauseKind, Gate, Hook, Packet, Rule, Verdict};
use super::walk::{End, Walk};
use crate::cluster::{EndpointToHost, NodeId, PodId, ServiceLoopPrevention};
use crate::policy::{Direction, Evidence, decide};

impl Walk<'_> {
    /// A pod's policy is asked.
    pub(super) fn gate(
        &mut self,
        node: NodeId,
        hook: Hook,
        direction: Direction,
        pod: PodId,
        packet: &Packet,
    ) -> Result<(), Box<End>> {
        let decision = decide(self.cluster, direction, pod, packet);
        let name = self.cluster.pod_name(pod);
        let (rule, way, chain) = match direction {
            Direction::Egress => (Rule::EgressGate, "egress", "cali-fw-"),
            Direction::Ingress => (Rule::IngressGate, "ingress", "cali-tw-"),
        };
        let verdict = if decision.allow { "allows" } else { "denies" };
        let summary = format!(
            "the {way} policy of {name} sees {} to {} and {verdict} it: {}",
            packet.source,
            packet.to(),
            decision.reason
        );
        let chain = format!("{chain}{}", self.cluster.veth(pod));
        let on = self.node_name(node);
        let failed = (!decision.allow).then(|| {
            End::caused(
                Verdict::Dropped,
                Cause {
                    kind: CauseKind::PolicyDenied,
                    cite: decision.cite.clone(),
                    message: format!(
                        "the {way} policy of {name} is asked about {} to {}: {}",
                        packet.source,
                        packet.to(),
                        decision.reason
                    ),
                },
            )
        });
        let step = self.step((self.node_machine(node), hook), rule, packet, packet, summary);
        step.by(name.clone())
            .with_rules([format!(
                "-A cali-{}-wl-dispatch … -g {chain}",
                if direction == Direction::Egress { "from" } else { "to" }
            )])
            .see(&on, format!("iptables -vnL {chain}"));
        step.uncertain = decision.uncertain.clone().or_else(|| step.uncertain.take());
        step.gate = Some(Gate { direction, pod: name, decision });
        failed.map_or(Ok(()), |end| Err(Box::new(end)))
    }

    pub(super) fn skip_gate(
        &mut self,
        node: NodeId,
        hook: Hook,
        pod: PodId,
        packet: &Packet,
        why: &str,
        rule: &str,
    ) {
        let name = self.cluster.pod_name(pod);
        let summary = format!("the policy of {name} is not asked: {why}");
        let on = self.node_name(node);
        self.step((self.node_machine(node), hook), Rule::GateSkipped, packet, packet, summary)
            .by(name)
            .with_rules([rule.to_owned()])
            .see(&on, format!("iptables -vnL cali-{hook}"));
    }

    /// cali-wl-to-host's end. `Ok(true)` if the packet is accepted for good.
    pub(super) fn endpoint_to_host(
        &mut self,
        node: NodeId,
        packet: &Packet,
    ) -> Result<bool, Box<End>> {
        let setting = &self.cluster.felix.endpoint_to_host;
        if setting.value != EndpointToHost::Drop {
            return Ok(setting.value == EndpointToHost::Accept);
        }
        let evidence = Evidence::of_felix(
            setting,
            "spec.defaultEndpointToHostAction",
            "defaultEndpointToHostAction is Drop",
        );
        let message = format!(
            "Calico drops what pods send to their own node: defaultEndpointToHostAction is Drop, and {} is an address of {}",
            packet.destination,
            self.node_name(node)
        );
        let cite = Some(evidence.cite.clone());
        let at = (self.node_machine(node), Hook::Input);
        let on = self.node_name(node);
        self.step(at, Rule::EndpointToHost, packet, packet, message.clone())
            .because([evidence])
            .with_rules(["-A cali-wl-to-host -m comment --comment \"Configured DefaultEndpointToHostAction\" -j DROP".to_owned()])
            .see(&on, "iptables -vnL cali-wl-to-host".to_owned());
        let cause = Cause { kind: CauseKind::EndpointToHostAction, cite, message };
        Err(Box::new(End::caused(Verdict::Dropped, cause)))
    }

    /// cali-cidr-block: an advertised service address that nobody rewrote would go back to where
    /// it came from.
    pub(super) fn prevent_service_loop(
        &mut self,
        passage: &Passage<'_>,
        packet: &Packet,
    ) -> Option<End> {
        let setting = &self.cluster.felix.service_loop_prevention;
        let range = self
            .cluster
            .bgp
            .advertised
            .iter()
            .map(|found| found.range)
            .find(|range| range.contains(&packet.destination))?;
        if setting.value == ServiceLoopPrevention::Disabled
            || packet.destination != passage.original.destination
        {
            return None;
        }
        let message = format!(
            "{} is in {range}, which is advertised as service addresses, but no service has it: Calico stops it instead of sending it back out",
            packet.destination
        );
        let evidence = Evidence::of_felix(
            setting,
            "spec.serviceLoopPrevention",
            "serviceLoopPrevention is on",
        );
        let cite = Some(evidence.cite.clone());
        let at = (self.node_machine(passage.node), Hook::Forward);
        let on = self.node_name(passage.node);
        self.step(at, Rule::ServiceLoop, packet, packet, message.clone())
            .because([evidence])
            .see(&on, "iptables -vnL cali-cidr-block".to_owned());
        let verdict = match setting.value {
            ServiceLoopPrevention::Reject => Verdict::Rejected,
            _ => Verdict::Dropped,
        };
        Some(End::caused(verdict, Cause { kind: CauseKind::ServiceLoop, cite, message }))
    }
}
