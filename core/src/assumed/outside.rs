//! Machines outside that the text speaks of, but does not name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::address::{beside, nth};
use crate::cluster::{Client, Cluster, Service, ServiceKind, ServicePort};
use crate::net::{Family, InFamily};
use crate::policy::form::{Peer, Side};
use crate::text::{ObjectRef, Origin};

/// More assumed clients than this show nothing new.
const MAX_CLIENTS: usize = 6;

/// Addresses that a peer speaks of.
pub(crate) struct Block<'a> {
    cidr: IpNet,
    peer: &'a Peer,
}

impl Block<'_> {
    /// All of a rule's side.
    pub(crate) fn of(side: &Side) -> impl Iterator<Item = Block<'_>> {
        let of_peer = |peer| Peer::nets(peer).map(move |cidr| Block { cidr: cidr.trunc(), peer });
        side.peers.iter().flat_map(of_peer)
    }

    fn holds(&self, ip: &IpAddr) -> bool {
        self.cidr.contains(ip) && !self.peer.not_nets().any(|hole| hole.contains(ip))
    }

    /// One of the addresses that a machine outside may have.
    pub(crate) fn outside(&self, cluster: &Cluster) -> Option<IpAddr> {
        let cidr = &self.cidr;
        let first = u128::from(cidr.prefix_len() < if cidr.addr().is_ipv4() { 31 } else { 127 });
        let low = (first..first + 64).filter_map(|index| nth(cidr, index));
        let behind = self.peer.not_nets().filter_map(|hole| beside(hole)[1]);
        let mut known = NOBODYS.into_iter().chain(low).chain(behind);
        known.find(|ip| self.holds(ip) && is_free(cluster, *ip))
    }
}

/// Documentation addresses (RFC 5737, RFC 3849) belong to nobody.
const NOBODYS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 77)),
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 77)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77)),
];

/// Whether nothing in the cluster has the address, and a machine may have it.
fn is_free(cluster: &Cluster, ip: IpAddr) -> bool {
    let reserved = match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 0 || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    !reserved && !ip.is_multicast() && cluster.is_outside(ip)
}

/// For a text that names none: one inside each block of an ingress rule, and one that is in none.
pub(crate) fn clients(cluster: &Cluster) -> Vec<Client> {
    let rules = cluster.policies.as_written().into_iter().flat_map(|policy| {
        let rules = policy.ingress.iter().flat_map(|ingress| &ingress.rules);
        rules.map(move |rule| (&rule.source, &policy.object))
    });
    let blocks: Vec<(Block<'_>, &ObjectRef)> =
        rules.flat_map(|(side, who)| Block::of(side).map(move |block| (block, who))).collect();
    let mut clients: Vec<Client> = Vec::new();
    for (block, who) in &blocks {
        let Some(ip) = block.outside(cluster) else { continue };
        if clients.len() >= MAX_CLIENTS || clients.iter().any(|client| block.holds(&client.ip)) {
            continue;
        }
        let name = if clients.is_empty() {
            "user".to_owned()
        } else {
            format!("user{}", clients.len() + 1)
        };
        let cidr = block.cidr;
        let origin = Origin::Assumed(format!("{who} speaks of {cidr}, and so of machines outside"));
        clients.push(Client { name, ip, origin });
    }
    let asked = asked_service(cluster).map(|(service, _)| &service.cluster_ips);
    let ipv6 = asked.is_some_and(|own| !own.is_empty() && own.iter().all(IpAddr::is_ipv6));
    let family = if ipv6 { Family::V6 } else { Family::V4 };
    let is_strange = |ip: &IpAddr| {
        ip.family() == family
            && !blocks.iter().any(|(block, _)| block.cidr.contains(ip))
            && is_free(cluster, *ip)
    };
    let stranger = NOBODYS.into_iter().find(is_strange);
    if let Some(ip) = stranger {
        let why = if blocks.is_empty() {
            "a machine outside the cluster"
        } else {
            "a machine outside that no policy speaks of"
        };
        let name = if blocks.is_empty() { "user" } else { "stranger" };
        let name = if clients.iter().any(|c| c.name == name) { "stranger" } else { name };
        clients.push(Client { name: name.to_owned(), ip, origin: Origin::Assumed(why.to_owned()) });
    }
    clients
}

/// What one would ask about first, and on which port.
pub(crate) fn asked_service(cluster: &Cluster) -> Option<(&Service, &ServicePort)> {
    let exposed = |service: &&Service| {
        matches!(service.kind, ServiceKind::NodePort | ServiceKind::LoadBalancer)
    };
    // The API server's own has endpoints that no text shows.
    let of_the_api_server =
        |service: &&Service| service.namespace == "default" && service.name == "kubernetes";
    let answers = |service: &&Service| service.ports.iter().any(|port| !port.endpoints.is_empty());
    let services = || cluster.services.iter().filter(|service| !of_the_api_server(service));
    let inside = || services().filter(|service| !service.cluster_ips.is_empty());
    let service = services()
        .filter(answers)
        .find(exposed)
        .or_else(|| inside().find(answers))
        .or_else(|| services().find(exposed))
        .or_else(|| inside().next())?;
    service.ports.first().map(|port| (service, port))
}

#[cfg(test)]
mod tests {
    #[test]
    fn clients_have_addresses_that_machines_can_have() {
        let clients = |source: &str| {
            let policy = format!(
                "
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: web, namespace: shop}}
spec: {{ingress: [{{action: Allow, source: {source}}}]}}
"
            );
            let clients = crate::read(&policy).cluster.clients;
            clients.iter().map(|client| client.ip.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(clients("{nets: [0.0.0.0/0]}"), ["203.0.113.77"]);
        assert_eq!(clients("{nets: [127.0.0.0/8]}"), ["203.0.113.77"], "only the stranger");
        let but_half = "{nets: [198.51.100.0/24], notNets: [198.51.100.0/25]}";
        assert_eq!(clients(but_half), ["198.51.100.128", "203.0.113.77"]);
    }
}
