//! kube-proxy's virtual servers and sets in IPVS mode.

use super::{ProxyWords, Rewrite, RuleLine, names};
use crate::cluster::{Backend, Cluster};
use crate::datapath::Refused;
use crate::datapath::frontend::Frontend;
use crate::net::{Packet, Protocol, address_and_port};
use crate::words::Phrase;
use crate::words::commands::save;

pub(super) struct Ipvs;

impl ProxyWords for Ipvs {
    fn rewriter(&self) -> &'static str {
        "IPVS"
    }

    fn no_loopback(&self) -> Phrase {
        "for which IPVS mode is taken to have no virtual server on loopback addresses".into()
    }

    /// The virtual server lists all endpoints.
    fn rewrites(&self, rewrite: &Rewrite<'_>) -> Vec<RuleLine> {
        let Rewrite { place, packet, frontend, nat, .. } = rewrite;
        let servers = nat.endpoints.iter().map(|endpoint| Backend::of(endpoint));
        let lines = virtual_server(place.cluster, frontend, packet, servers);
        lines.into_iter().map(RuleLine::shared).collect()
    }

    fn see_rewrite(&self, packet: &Packet, _: &[RuleLine]) -> String {
        let flag = match packet.protocol {
            Protocol::Tcp => "-t",
            Protocol::Udp => "-u",
            Protocol::Sctp => "--sctp-service",
        };
        format!("ipvsadm -Ln {flag} {}", packet.to())
    }

    fn refuses(&self, cluster: &Cluster, packet: &Packet, refused: &Refused) -> Vec<String> {
        match refused {
            Refused::EmptyServer { frontend, .. } => Frontend::of(cluster, *frontend)
                .map(|frontend| virtual_server(cluster, &frontend, packet, std::iter::empty()))
                .unwrap_or_default(),
            Refused::SourceRange(_) => vec![
                "-A KUBE-PROXY-FIREWALL -m comment --comment \"Kubernetes service load balancer ip + port for load balancer with sourceRange\" -m set --match-set KUBE-LOAD-BALANCER-FW dst,dst -j KUBE-SOURCE-RANGES-FIREWALL".to_owned(),
                "-A KUBE-SOURCE-RANGES-FIREWALL -j DROP".to_owned(),
            ],
            Refused::NoSuchPort(_) => vec![
                "-A KUBE-IPVS-FILTER -m set --match-set KUBE-IPVS-IPS dst -m conntrack --ctstate NEW -j REJECT".to_owned(),
            ],
            _ => Vec::new(),
        }
    }

    /// What is no virtual server is iptables', here too.
    fn see_refusal(&self, packet: &Packet, refused: &Refused) -> String {
        match refused {
            Refused::EmptyServer { .. } => "ipvsadm -Ln".to_owned(),
            _ => save(packet, "filter", "KUBE-"),
        }
    }
}

/// The virtual server as `ipvsadm -Ln` prints it.
fn virtual_server(
    cluster: &Cluster,
    frontend: &Frontend<'_>,
    packet: &Packet,
    servers: impl Iterator<Item = Backend>,
) -> Vec<String> {
    let scheduler = &cluster.proxy.ipvs_scheduler.value;
    let persistent = match frontend.service.session_affinity {
        Some(seconds) => format!(" persistent {seconds}"),
        None => String::new(),
    };
    let mut lines = vec![format!(
        "{}  {} {scheduler}{persistent}",
        names::protocol(frontend.port.protocol).to_ascii_uppercase(),
        packet.to()
    )];
    lines.extend(servers.map(|server| {
        format!("  -> {}            Masq    1", address_and_port(server.ip, Some(server.port)))
    }));
    lines
}
