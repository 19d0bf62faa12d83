//! The pools that pods' addresses are from, where the text has none.

use std::net::IpAddr;

use ipnet::IpNet;

use super::address::network;
use crate::cluster::pods::Draft;
use crate::cluster::{Cluster, EncapMode, Pool};
use crate::net::{Family, InFamily};
use crate::text::{Origin, Setting};

/// The article's pool.
const ARTICLE_POOL: [u8; 4] = [10, 233, 64, 0];

/// What pods have IPv6 addresses of, where nothing tells. The article has none.
const IPV6_PODS: [u16; 8] = [0xfd00, 0x10, 0x233, 0x64, 0, 0, 0, 0];

/// Pods need a pool; one that holds the addresses that they have.
pub(crate) fn assume_pool(cluster: &mut Cluster, drafts: &[Draft], ipv6_services: bool) {
    for family in Family::ALL {
        if cluster.network.pools.iter().any(|pool| pool.cidr.family() == family) {
            continue;
        }
        let mut of_pods = drafts
            .iter()
            .filter(|draft| !draft.pod.host_network)
            .flat_map(|draft| &draft.pod.addresses)
            .filter(|ip| ip.family() == family && !is_link_local(**ip))
            .peekable();
        let first = of_pods.peek().map(|ip| **ip);
        if family == Family::V6 && first.is_none() && !ipv6_services {
            continue;
        }
        let article = network(IpAddr::from(ARTICLE_POOL), 18);
        let cidr = match first {
            None if family == Family::V6 => network(IpAddr::from(IPV6_PODS), 64),
            None => article,
            Some(_) if of_pods.clone().all(|ip| article.contains(ip)) => article,
            Some(ip) => {
                let longest = if family == Family::V4 { 16 } else { 64 };
                let holds_all = |prefix: &u8| {
                    let range = network(ip, *prefix);
                    of_pods.clone().all(|ip| range.contains(ip))
                };
                let prefix = (1..=longest).rev().find(holds_all).unwrap_or(1);
                network(ip, prefix)
            }
        };
        let reason = "the text has no IPPool";
        let mut pool = article_pool(cidr, reason);
        if family == Family::V6 {
            "default-ipv6-ippool".clone_into(&mut pool.name);
            pool.block_size = 122;
            pool.ipip.value = EncapMode::Never;
            pool.nat_outgoing.value = false;
        }
        cluster.network.pools.push(pool);
    }
}

/// Addresses that Calico takes in no pool (`validator.go validateIPPool`).
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// The pool of the article.
pub(crate) fn article_pool(cidr: IpNet, reason: &str) -> Pool {
    let assumed = |why: &str| Origin::Assumed(why.to_owned());
    Pool {
        name: "default-ipv4-ippool".to_owned(),
        cidr,
        block_size: 24,
        ipip: Setting {
            value: EncapMode::Always,
            origin: assumed("Calico's manifest sets IPIP unless told otherwise"),
        },
        vxlan: Setting {
            value: EncapMode::Never,
            origin: assumed("Calico's manifest sets IPIP unless told otherwise"),
        },
        nat_outgoing: Setting { value: true, origin: assumed("Calico's manifest sets it") },
        load_balancer_only: false,
        origin: assumed(reason),
    }
}
