//! What is Calico's own of a cluster: its address pools and the blocks of them, tunnels, Felix'
//! settings, BGP. Nothing else of a [`Cluster`](super::Cluster) knows which network plug-in it has.

use std::net::IpAddr;

use ipnet::IpNet;

use super::source::Source;
use super::{Bgp, Felix, NodeId, PoolId, Prefixes};
use crate::manifest::{Kind, Object};
use crate::net::{Encapsulation, Family, InFamily};
use crate::text::{Origin, Setting};

/// The network plug-in of a cluster. It is the only one that is known; with a second, this is one
/// of an enum's variants.
#[derive(Clone, Debug, Default)]
pub struct Calico {
    /// The address pools; the longest prefix that holds an address is its pool.
    pub pools: Vec<Pool>,
    /// Felix' settings.
    pub felix: Felix,
    /// How routes are distributed.
    pub bgp: Bgp,
    /// Block of pod addresses to the node that has it.
    pub node_by_block: Prefixes<NodeId>,
}

impl Calico {
    /// The pools and Felix' settings that the text has.
    pub(crate) fn written(objects: &[Object]) -> Self {
        Self { pools: pools(objects), felix: Felix::of(objects), ..Self::default() }
    }

    /// The pool with this index.
    pub fn pool(&self, id: PoolId) -> Option<&Pool> {
        self.pools.get(id.0)
    }

    /// The pool that `address` is from: the longest prefix that holds it.
    pub fn pool_of(&self, address: IpAddr) -> Option<PoolId> {
        let pools = self.pools.iter().enumerate();
        let holding = pools.filter(|(_, pool)| pool.cidr.contains(&address));
        holding.max_by_key(|(_, pool)| pool.cidr.prefix_len()).map(|(index, _)| PoolId(index))
    }

    /// The block of its pool that `address` lies in, whether a node has it or not.
    pub(crate) fn block_of(&self, address: IpAddr) -> Option<IpNet> {
        let pool = self.pool(self.pool_of(address)?)?;
        let length = pool.block_size.max(pool.cidr.prefix_len());
        IpNet::new(address, length).ok().map(|net| net.trunc())
    }

    /// Whether some pool uses the tunnel, or Felix' settings turn it on.
    fn uses(&self, encapsulation: Encapsulation, family: Family) -> bool {
        let by = |pool: &Pool| {
            pool.mode(encapsulation).is_some_and(|mode| mode.value != EncapMode::Never)
        };
        match encapsulation {
            Encapsulation::Ipip | Encapsulation::Vxlan => self.pools.iter().any(by),
            Encapsulation::Wireguard => self.felix.wireguard_of(family).value,
        }
    }
}

/// What Calico gives a node.
#[derive(Clone, Debug, Default)]
pub struct CalicoNode {
    /// tunl0's address.
    pub ipip: Option<Setting<IpAddr>>,
    /// vxlan.calico's addresses, one a family.
    pub vxlan: Vec<Setting<IpAddr>>,
    /// wireguard.cali's addresses, one a family.
    pub wireguard: Vec<Setting<IpAddr>>,
    /// Its blocks of pod addresses.
    pub blocks: Vec<IpNet>,
}

impl CalicoNode {
    /// Its tunnels' addresses, configured or not.
    pub(crate) fn tunnels(&self) -> impl Iterator<Item = (Encapsulation, &Setting<IpAddr>)> {
        let of = |encapsulation| move |own| (encapsulation, own);
        let ipip = self.ipip.iter().map(of(Encapsulation::Ipip));
        let vxlan = self.vxlan.iter().map(of(Encapsulation::Vxlan));
        ipip.chain(vxlan).chain(self.wireguard.iter().map(of(Encapsulation::Wireguard)))
    }

    /// The address of the tunnel's device.
    pub fn tunnel_address(&self, encapsulation: Encapsulation, family: Family) -> Option<IpAddr> {
        let mut own = self.tunnels().map(|(tunnel, own)| (tunnel, own.value));
        own.find(|(tunnel, own)| *tunnel == encapsulation && own.family() == family)
            .map(|(_, own)| own)
    }

    /// Every tunnel address that is configured, which it is while some pool uses the tunnel, or
    /// Felix' settings turn it on (`node/pkg/allocateip`).
    pub fn tunnel_addresses<'a>(&'a self, calico: &'a Calico) -> impl Iterator<Item = IpAddr> + 'a {
        let tunnels = self.tunnels().map(|(tunnel, own)| (tunnel, own.value));
        tunnels.filter(|(tunnel, own)| calico.uses(*tunnel, own.family())).map(|(_, own)| own)
    }

    /// Why a tunnel has this address, if one has.
    pub(crate) fn tunnel_origin(&self, address: IpAddr) -> Option<&Origin> {
        self.tunnels().find(|(_, own)| own.value == address).map(|(_, own)| &own.origin)
    }
}

/// Calico's `IPPool`.
#[derive(Clone, Debug)]
pub struct Pool {
    /// `metadata.name`.
    pub name: String,
    /// `spec.cidr`.
    pub cidr: IpNet,
    /// `spec.blockSize`, a prefix length.
    pub block_size: u8,
    /// `spec.ipipMode`.
    pub ipip: Setting<EncapMode>,
    /// `spec.vxlanMode`.
    pub vxlan: Setting<EncapMode>,
    /// `spec.natOutgoing`.
    pub nat_outgoing: Setting<bool>,
    /// `spec.allowedUses` has only `LoadBalancer`.
    pub load_balancer_only: bool,
    /// Where it comes from.
    pub origin: Origin,
}

impl Pool {
    /// When a tunnel wraps its packets; `None` for `WireGuard`, which is no pool's.
    pub fn mode(&self, encapsulation: Encapsulation) -> Option<&Setting<EncapMode>> {
        match encapsulation {
            Encapsulation::Ipip => Some(&self.ipip),
            Encapsulation::Vxlan => Some(&self.vxlan),
            Encapsulation::Wireguard => None,
        }
    }
}

/// When a pool's packets are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncapMode {
    /// Never.
    Never,
    /// Between all nodes.
    Always,
    /// Between nodes whose subnets differ.
    CrossSubnet,
}

/// The address pools that the text has.
pub(crate) fn pools(objects: &[Object]) -> Vec<Pool> {
    const DEFAULT: &str = "IPPool's default";
    let modes = [("Always", EncapMode::Always), ("CrossSubnet", EncapMode::CrossSubnet)];
    objects
        .iter()
        .filter_map(|object| {
            let Kind::IpPool(pool) = &object.kind else { return None };
            let (from, spec) = (Source(Some(object)), &pool.spec);
            let cidr: IpNet = spec.cidr.parse().ok()?;
            let block_size = if cidr.addr().is_ipv4() { 26 } else { 122 };
            let size = spec.block_size.and_then(|size| u8::try_from(size).ok());
            Some(Pool {
                name: object.reference.name.clone(),
                cidr: cidr.trunc(),
                block_size: size.unwrap_or(block_size),
                ipip: from
                    .word("spec.ipipMode", spec.ipip_mode.as_ref(), &modes)
                    .or(EncapMode::Never, DEFAULT),
                vxlan: from
                    .word("spec.vxlanMode", spec.vxlan_mode.as_ref(), &modes)
                    .or(EncapMode::Never, DEFAULT),
                nat_outgoing: from.at("spec.natOutgoing", spec.nat_outgoing).or(false, DEFAULT),
                load_balancer_only: !spec.allowed_uses.is_empty()
                    && spec.allowed_uses.iter().all(|used| used == "LoadBalancer"),
                origin: Origin::Written(object.cite("")),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assumed::pools::article_pool;

    #[test]
    fn an_address_is_in_a_block_of_the_narrowest_pool_that_holds_it() {
        let pools = [("10.0.0.0/8", 24), ("10.244.0.0/16", 26), ("10.244.7.0/27", 26)];
        let pool = |(cidr, block_size): (&str, u8)| Pool {
            block_size,
            ..article_pool(cidr.parse().unwrap(), "")
        };
        let calico = Calico { pools: pools.map(pool).into(), ..Calico::default() };
        for (address, block) in [
            ("10.1.2.3", Some("10.1.2.0/24")),
            ("10.244.0.65", Some("10.244.0.64/26")),
            // No block is larger than its pool.
            ("10.244.7.1", Some("10.244.7.0/27")),
            ("192.0.2.1", None),
            ("fd00::1", None),
        ] {
            let found = calico.block_of(address.parse().unwrap());
            assert_eq!(found, block.map(|block| block.parse().unwrap()), "{address}");
        }
    }
}
