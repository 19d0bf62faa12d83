//! Where Calico decides on a node: workloads' policies, what pods may send to their own node, and
//! service addresses that nobody rewrote (Felix `rules/static.go`, `rules/endpoints.go`).

use super::evidence::Evidence;
use super::fact::{Device, Fact, Gate, Skipped, Subject};
use super::step::{CauseKind, Hook, Machine};
use super::walk::{End, Walk};
use crate::cluster::{EndpointToHost, NodeId, PodId, ServiceLoopPrevention};
use crate::decision::decide;
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
        let ruling = decide(self.cluster, direction, pod, packet);
        let denied = (!ruling.allow).then(|| ruling.cite.clone());
        let fact = Fact::Gate(Gate { who: Subject::Pod(pod), direction, ruling });
        let doubt = self.dataplane.doubt();
        self.step((Machine::Node(node), hook), fact, packet, packet)
            .by(Device::Pod(pod))
            .doubtful(doubt);
        match denied {
            Some(cite) => Err(Box::new(self.fail(Verdict::Dropped, CauseKind::PolicyDenied, cite))),
            None => Ok(()),
        }
    }

    /// A pod's policy is not asked.
    pub(super) fn skip_gate(
        &mut self,
        node: NodeId,
        hook: Hook,
        pod: PodId,
        packet: &Packet,
        why: Skipped,
    ) {
        let doubt = self.dataplane.doubt();
        self.step((Machine::Node(node), hook), Fact::GateSkipped(why), packet, packet)
            .by(Device::Pod(pod))
            .doubtful(doubt);
    }

    /// cali-wl-to-host's end. `Ok(true)` if the packet is accepted for good.
    pub(super) fn endpoint_to_host(
        &mut self,
        node: NodeId,
        hook: Hook,
        packet: &Packet,
    ) -> Result<bool, Box<End>> {
        let action = self.cluster.network.felix.endpoint_to_host.value;
        if action != EndpointToHost::Drop {
            return Ok(action == EndpointToHost::Accept);
        }
        let (evidence, doubt) = (Evidence::EndpointToHost, self.dataplane.doubt());
        self.step((Machine::Node(node), hook), Fact::EndpointToHost, packet, packet)
            .because([evidence])
            .doubtful(doubt);
        let kind = CauseKind::EndpointToHostAction;
        Err(Box::new(self.fail_for(Verdict::Dropped, kind, evidence)))
    }

    /// cali-cidr-block: an advertised service address that nobody rewrote would go back to where
    /// it came from. The eBPF dataplane has entries in its route map instead
    /// (`felix/dataplane/linux/bpf_route_mgr.go`).
    pub(super) fn prevent_service_loop(
        &mut self,
        node: NodeId,
        hook: Hook,
        original: &Packet,
        packet: &Packet,
    ) -> Option<End> {
        let setting = self.cluster.network.felix.service_loop_prevention.value;
        let ranges = self.cluster.network.bgp.advertised.iter().map(|found| found.range);
        let range = { ranges }.find(|range| range.contains(&packet.destination))?;
        if setting == ServiceLoopPrevention::Disabled || packet.destination != original.destination
        {
            return None;
        }
        let (evidence, doubt) = (Evidence::ServiceLoop, self.dataplane.doubt());
        self.step((Machine::Node(node), hook), Fact::ServiceLoop { range }, packet, packet)
            .because([evidence])
            .doubtful(doubt);
        let verdict = match setting {
            ServiceLoopPrevention::Reject => Verdict::Rejected,
            _ => Verdict::Dropped,
        };
        Some(self.fail_for(verdict, CauseKind::ServiceLoop, evidence))
    }
}
