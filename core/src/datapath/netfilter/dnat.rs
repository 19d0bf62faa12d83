//! What kube-proxy does to a packet on a node: rewrite it, or refuse it.

use super::passage::Passage;
use super::proxy::Refusal;
use crate::cluster::Backend;
use crate::datapath::evidence::Evidence;
use crate::datapath::fact::{Dnat, Fact, Rule};
use crate::datapath::route::{Route, route};
use crate::datapath::step::{CauseKind, Hook, Machine};
use crate::datapath::walk::{End, Failure, Walk};
use crate::net::{Packet, Verdict};

impl<'a> Walk<'a> {
    /// Rewrites the destination to one of the endpoints that the proxy found.
    pub(super) fn dnat(&mut self, passage: &mut Passage<'a>, hook: Hook, packet: Packet) -> Packet {
        let endpoints = std::mem::take(&mut passage.nat.endpoints);
        let (Some(frontend), false) = (passage.nat.frontend, endpoints.is_empty()) else {
            return packet;
        };
        let chosen = self.fork(endpoints.len());
        let Some(endpoint) = endpoints.get(chosen).copied() else { return packet };
        let hairpin = packet.source == endpoint.ip;
        // IPVS marks nothing here: POSTROUTING knows the node's own endpoints.
        if hairpin && passage.mark.is_none() && !self.proxy().takes_in_input() {
            passage.mark = Some(Evidence::Hairpin(frontend.at.service));
        }
        let after = packet.with_destination(endpoint.ip, endpoint.port);
        let backend = Backend::of(endpoint);
        self.endpoint = Some(backend);
        let marked = passage.mark.is_some();
        // What is for the node itself ends in INPUT; what it sends itself passes POSTROUTING first.
        let unread = marked
            && hook != Hook::Output
            && route(self.cluster, passage.node, after.destination) == Route::Local;
        let fact = Fact::Dnat(Dnat {
            frontend: frontend.at,
            endpoint: backend,
            chosen,
            of: endpoints.len(),
            local: passage.nat.local,
            marked,
            hairpin,
            unread,
            from: passage.from,
            forwarded: false,
        });
        let evidence = std::iter::once(Evidence::Frontend(frontend.at))
            .chain(passage.nat.evidence.take())
            .chain(passage.mark)
            .chain(frontend.of_endpoint(endpoint, endpoints.len()).into_iter().flatten());
        self.step((Machine::Node(passage.node), hook), fact, &packet, &after)
            .because(evidence)
            .doubtful(passage.nat.doubt);
        after
    }

    /// kube-proxy refuses.
    pub(super) fn refuse(
        &mut self,
        passage: &Passage<'_>,
        hook: Hook,
        packet: &Packet,
        refusal: Refusal,
    ) -> End {
        let Refusal { refused, evidence, doubt } = refusal;
        let machine = Machine::Node(passage.node);
        self.track(machine, &passage.original, packet);
        self.step((machine, hook), Fact::Refused(refused), packet, packet)
            .because(evidence)
            .doubtful(doubt);
        let rejects = refused.rule() == Rule::NoEndpoints;
        let verdict = if rejects { Verdict::Rejected } else { Verdict::Dropped };
        let cite = evidence.map(|evidence| evidence.cite(self.cluster));
        match self.fail(verdict, CauseKind::of_refusal(&refused), cite) {
            End::Failed(failure) => {
                let rejected_by = rejects.then_some((passage.node, *packet));
                End::Failed(Box::new(Failure { rejected_by, ..*failure }))
            }
            end => end,
        }
    }
}
