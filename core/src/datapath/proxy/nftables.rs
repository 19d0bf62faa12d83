//! kube-proxy in nftables mode (`pkg/proxy/nftables/proxier.go`): the decisions of iptables mode,
//! with its filter chains before Calico's.

use super::iptables::{choose, refuse};
use super::{FrontendKind, Nat, Place, Refusal, ServiceProxy, frontend, names};
use crate::datapath::step::{Hook, Packet, Rule};

pub(super) struct Nftables;

impl ServiceProxy for Nftables {
    fn nat<'a>(&self, place: Place<'a>, packet: &Packet) -> Nat<'a> {
        let mut nat = choose(place, packet);
        if let Some(frontend) = &nat.frontend {
            let protocol = names::protocol(packet.protocol);
            nat.rules = vec![match frontend.kind {
                FrontendKind::NodePort => format!(
                    "map service-nodeports {{ {protocol} . {} : goto external-… }} # {}",
                    frontend.port.node_port.unwrap_or_default(),
                    names::service_port(frontend)
                ),
                _ => format!(
                    "map service-ips {{ {} . {protocol} . {} : goto service-… }} # {}",
                    packet.destination,
                    frontend.port.port,
                    names::service_port(frontend)
                ),
            }];
        }
        nat
    }

    fn filter(&self, place: Place<'_>, hook: Hook, packet: &Packet) -> Option<Refusal> {
        let frontend = frontend(place.cluster, place.node, packet)?;
        let (refusal, kind) = refuse(place, &frontend, packet)?;
        // no-endpoint-nodeports is in filter-input only, no-endpoint-services everywhere.
        (refusal.rule == Rule::SourceRange || kind != FrontendKind::NodePort || hook == Hook::Input)
            .then_some(refusal)
    }

    fn filters_before_calico(&self) -> bool {
        true
    }

    fn masquerade_rule(&self) -> &'static str {
        "chain masquerading { … masquerade fully-random }"
    }
}
