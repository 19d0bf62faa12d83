//! filter INPUT, and in IPVS mode what follows it.

use super::passage::Passage;
use super::proxy;
use crate::cluster::{NodeId, PodId};
use crate::datapath::evidence::Evidence;
use crate::datapath::fact::{Device, Doubt, Late, Rule, Skipped};
use crate::datapath::route::{Route, is_host_address, route};
use crate::datapath::step::{Hook, Machine};
use crate::datapath::walk::{End, Walk};
use crate::net::{Direction, Packet};

impl<'a> Walk<'a> {
    pub(super) fn input(&mut self, mut passage: Passage<'a>, packet: Packet) -> End {
        let node = passage.node;
        let ipvs = self.proxy().takes_in_input();
        // Felix' cali-forward-check: node ports in the usual range, and addresses that are not
        // the host's own, will be forwarded by ip_vs.
        let node_ports = &self.cluster.network.felix.node_port_ranges;
        let forwarded = ipvs
            && (!is_host_address(self.cluster, node, packet.destination)
                || packet
                    .destination_port
                    .is_some_and(|port| node_ports.value.iter().any(|r| r.contains(&port))));
        let place = passage.place(self.cluster);
        let mut refusal = self.proxy().filter(place, Hook::Input, &packet);
        if self.proxy_first()
            && let Some(refusal) = refusal.take()
        {
            return self.refuse(&passage, Hook::Input, &packet, refusal);
        }
        let mut accepted = false;
        if let (Some(Device::Pod(pod)), false) = (passage.from, forwarded) {
            if let Err(end) = self.gate(node, Hook::Input, Direction::Egress, pod, &packet) {
                return *end;
            }
            match self.endpoint_to_host(node, Hook::Input, &packet) {
                Ok(terminal) => accepted = terminal,
                Err(end) => return *end,
            }
        } else if !forwarded {
            match self.host_input(&passage, &packet) {
                Ok(terminal) => accepted = terminal,
                Err(end) => return *end,
            }
        }
        let late = refusal.map(|refusal| refusal.refused.rule());
        // An empty virtual server answers by itself, after filter.
        if let Some(refusal) = refusal
            && (!accepted || passage.nat.frontend.is_some() && ipvs)
        {
            return self.refuse(&passage, Hook::Input, &packet, refusal);
        }
        if passage.nat.endpoints.is_empty() {
            return self.untaken(&passage, packet, late);
        }
        let packet = self.dnat(&mut passage, Hook::Input, packet);
        let found = route(self.cluster, node, packet.destination);
        if let Route::Local = found {
            if let (Some(Device::Pod(pod)), true) = (passage.from, forwarded) {
                self.hand_on(node, pod, &packet, &passage.original);
            }
            return self.socket(&passage, packet);
        }
        if let Route::Blackhole(block) = found {
            return self.blackhole(node, &packet, block);
        }
        for (direction, pod) in passage.gates(&found) {
            if forwarded {
                if let Err(end) = self.gate(node, Hook::Output, direction, pod, &packet) {
                    return *end;
                }
            } else if direction == Direction::Ingress {
                let why = Skipped::OutsideNodePortRanges;
                self.skip_gate(node, Hook::Output, pod, &packet, why);
            }
        }
        self.postrouting(&passage, packet, found)
    }

    /// `ip_vs` only sends on what is for others. A real server that is the node itself gets its packet
    /// at once (`ip_vs_nat_send_or_cont` returns `NF_ACCEPT`), behind INPUT, where Calico put the
    /// pod's policy off until OUTPUT.
    fn hand_on(&mut self, node: NodeId, pod: PodId, packet: &Packet, original: &Packet) {
        let node_port = is_host_address(self.cluster, node, original.destination);
        self.skip_gate(node, Hook::Input, pod, packet, Skipped::HandedOn { node_port });
        if let Some(step) = self.steps.last_mut() {
            step.doubtful(Some(Doubt::HandedOn));
        }
    }

    /// What kube-proxy leaves to the node itself; `late` is what its filter rules would have done,
    /// if something before them accepted the packet.
    fn untaken(&mut self, passage: &Passage<'a>, packet: Packet, late: Option<Rule>) -> End {
        let node = passage.node;
        let why = proxy::unanswered(passage.place(self.cluster), &packet);
        let Some((mut why, mut evidence, doubt)) =
            why.filter(|_| self.listener(node, &packet).is_none())
        else {
            return self.socket(passage, packet);
        };
        if let Some(rule) = late {
            let endpoint_to_host = matches!(passage.from, Some(Device::Pod(_)));
            if endpoint_to_host {
                evidence.push(Evidence::EndpointToHost);
            }
            let rejects = rule == Rule::NoEndpoints;
            why.late = Some(Late { rejects, endpoint_to_host });
        }
        self.track(Machine::Node(node), &passage.original, &packet);
        self.no_listener(node, packet, Some((why, evidence, doubt)))
    }

    /// A local socket, or none.
    fn socket(&mut self, passage: &Passage<'a>, packet: Packet) -> End {
        self.track(Machine::Node(passage.node), &passage.original, &packet);
        self.local_socket(passage.node, packet)
    }
}
