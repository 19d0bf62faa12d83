//! Where Calico decides on a node: workloads' policies, what pods may send to their own node, and
//! service addresses that nobody rewrote (Felix `rules/static.go`, `rules/endpoints.go`).

use super::ebpf;
use super::evidence::Evidence;
use super::postrouting::tables;
use super::step::{Cause, CauseKind, Gate, Hook, Rule};
use super::walk::{End, Walk};
use crate::cluster::{EndpointToHost, NodeId, PodId, ServiceLoopPrevention};
use crate::decision::explain;
use crate::net::{Direction, Packet, Verdict};

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
        let decision = explain(self.cluster, direction, pod, packet);
        let name = self.cluster.pod_name(pod);
        let (rule, way, chain) = match direction {
            Direction::Egress => (Rule::EgressGate, "egress", "cali-fw-"),
            Direction::Ingress => (Rule::IngressGate, "ingress", "cali-tw-"),
        };
        let verdict = if decision.allow { "allows" } else { "denies" };
        let summary = format!(
            "the {way} policy of {name} sees {} to {} and {verdict} it",
            packet.source,
            packet.to()
        );
        let veth = self.cluster.veth(pod);
        let (line, see) = if self.ebpf() {
            // The node's end of the veth sees the pod's traffic the other way round.
            let hook = if direction == Direction::Egress { "ingress" } else { "egress" };
            let see = ebpf::policy_dump(&veth, direction, packet);
            (format!("IfaceName: {veth}, Hook: tc {hook}"), see)
        } else {
            let way = if direction == Direction::Egress { "from" } else { "to" };
            let chain = format!("{chain}{veth}");
            let line = format!("-A cali-{way}-wl-dispatch … -g {chain}");
            (line, tables(packet, &format!("iptables -vnL {chain}")))
        };
        let unmeasured = self.unmeasured();
        let on = self.node_name(node);
        let failed = (!decision.allow).then(|| {
            End::caused(
                Verdict::Dropped,
                Cause {
                    kind: CauseKind::PolicyDenied,
                    cite: decision.cite.clone(),
                    message: format!(
                        "the {way} policy of {name} is asked about {} to {}",
                        packet.source,
                        packet.to()
                    ),
                },
            )
        });
        let step = self.step((self.node_machine(node), hook), rule, packet, packet, summary);
        step.by(name.clone()).with_rules([line]).see(&on, see);
        step.uncertain = unmeasured;
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
        let see = if self.ebpf() {
            ebpf::policy_dump(&self.cluster.veth(pod), Direction::Ingress, packet)
        } else {
            tables(packet, &format!("iptables -vnL cali-{hook}"))
        };
        let uncertain = self.unmeasured();
        self.step((self.node_machine(node), hook), Rule::GateSkipped, packet, packet, summary)
            .by(name)
            .with_rules([rule.to_owned()])
            .see(&on, see)
            .uncertain = uncertain;
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
        let (hook, rule, see) = if self.ebpf() {
            (Hook::Device, None, "calico-node -bpf counters dump".to_owned())
        } else {
            let rule = "-A cali-wl-to-host -m comment --comment \"Configured DefaultEndpointToHostAction\" -j DROP";
            (Hook::Input, Some(rule.to_owned()), tables(packet, "iptables -vnL cali-wl-to-host"))
        };
        let at = (self.node_machine(node), hook);
        let on = self.node_name(node);
        let uncertain = self.unmeasured();
        self.step(at, Rule::EndpointToHost, packet, packet, message.clone())
            .because([evidence])
            .with_rules(rule)
            .see(&on, see)
            .uncertain = uncertain;
        let cause = Cause { kind: CauseKind::EndpointToHostAction, cite, message };
        Err(Box::new(End::caused(Verdict::Dropped, cause)))
    }

    /// cali-cidr-block: an advertised service address that nobody rewrote would go back to where
    /// it came from. The eBPF dataplane has entries in its route map instead
    /// (`felix/dataplane/linux/bpf_route_mgr.go`).
    pub(super) fn prevent_service_loop(
        &mut self,
        node: NodeId,
        original: &Packet,
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
            || packet.destination != original.destination
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
        let (verdict, entry) = match setting.value {
            ServiceLoopPrevention::Reject => (Verdict::Rejected, "blackhole-reject"),
            _ => (Verdict::Dropped, "blackhole-drop"),
        };
        let (hook, rule, see) = if self.ebpf() {
            let rule = Some(format!("{range}: {entry}"));
            (Hook::Device, rule, ebpf::tool("routes dump", packet))
        } else {
            (Hook::Forward, None, tables(packet, "iptables -vnL cali-cidr-block"))
        };
        let at = (self.node_machine(node), hook);
        let on = self.node_name(node);
        let uncertain = self.unmeasured();
        self.step(at, Rule::ServiceLoop, packet, packet, message.clone())
            .because([evidence])
            .with_rules(rule)
            .see(&on, see)
            .uncertain = uncertain;
        Some(End::caused(verdict, Cause { kind: CauseKind::ServiceLoop, cite, message }))
    }
}
