//! Who listens on a node's own addresses.

use super::evidence::Evidence;
use super::fact::{Doubt, Fact, Listener, Unanswered};
use super::step::{CauseKind, Hook, Machine};
use super::walk::{End, Failure, Walk};
use crate::cluster::{NodeId, PodId, ServiceId};
use crate::net::{Packet, Protocol, Verdict};

/// Where the kubelet listens.
const KUBELET: u16 = 10250;

impl Walk<'_> {
    /// A process that listens, or a reset.
    pub(super) fn local_socket(&mut self, node: NodeId, packet: Packet) -> End {
        let Some(listener) = self.listener(node, &packet) else {
            return self.no_listener(node, packet, None);
        };
        let evidence = match listener {
            Listener::HealthCheck { service, .. } => Some(Evidence::HealthCheck(service)),
            _ => None,
        };
        let at = (Machine::Node(node), Hook::Socket);
        self.step(at, Fact::DeliverToHost(listener), &packet, &packet).because(evidence);
        End::Host(node, packet)
    }

    /// A reset, and why a node port did not answer.
    pub(super) fn no_listener(
        &mut self,
        node: NodeId,
        packet: Packet,
        why: Option<(Unanswered, Vec<Evidence>, Option<Doubt>)>,
    ) -> End {
        let at = (Machine::Node(node), Hook::Socket);
        let (why, evidence, doubt) = match why {
            Some((why, evidence, doubt)) => (Some(why), evidence, doubt),
            None => (None, Vec::new(), None),
        };
        let cite = evidence.first().map(|found| found.cite(self.cluster));
        self.step(at, Fact::NoListener(why), &packet, &packet).because(evidence).doubtful(doubt);
        match self.fail(Verdict::Rejected, CauseKind::NoListener, cite) {
            End::Failed(failure) => {
                End::Failed(Box::new(Failure { rejected_by: Some((node, packet)), ..*failure }))
            }
            end => end,
        }
    }

    /// The process of the node that listens: the kubelet, hostNetwork pods, and kube-proxy, or what
    /// replaces it, for health checks (`pkg/proxy/healthcheck/service_health.go`).
    pub(super) fn listener(&self, node: NodeId, packet: &Packet) -> Option<Listener> {
        let port = packet.destination_port?;
        let tcp = packet.protocol == Protocol::Tcp;
        let pod = self.cluster.pods.iter().position(|pod| {
            pod.node == node
                && pod.host_network
                && !pod.finished
                && pod
                    .ports
                    .iter()
                    .any(|known| known.protocol == packet.protocol && known.port == port)
        });
        if let Some(pod) = pod {
            return Some(Listener::Pod(PodId(pod)));
        }
        if tcp && port == KUBELET && !packet.destination.is_loopback() {
            return Some(Listener::Kubelet);
        }
        let services = || self.cluster.services.iter().enumerate();
        // kube-apiserver, say: nobody writes its port anywhere else.
        let mut named = services().filter(|(_, service)| {
            let ports = service.ports.iter().filter(|of| of.protocol == packet.protocol);
            { ports }
                .flat_map(|of| &of.endpoints)
                .any(|endpoint| (endpoint.ip, endpoint.port) == (packet.destination, port))
        });
        if let Some((id, _)) = named.next() {
            return Some(Listener::Endpoint(ServiceId(id)));
        }
        let mut checked =
            services().filter(|(_, service)| tcp && service.health_check_node_port == Some(port));
        let (id, service) = checked.next()?;
        let mut ready: Vec<_> = service
            .ports
            .iter()
            .flat_map(|port| &port.endpoints)
            .filter(|endpoint| endpoint.ready && endpoint.node == Some(node))
            .map(|endpoint| endpoint.ip)
            .collect();
        ready.sort_unstable();
        ready.dedup();
        Some(Listener::HealthCheck { service: ServiceId(id), ready: ready.len() })
    }
}
