//! Which addresses are taken and which are free: Calico's IPAM, as far as it can be guessed.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::cluster::{Node, Pool};
use crate::net::{Family, InFamily};

/// Assumed pods take addresses from here on in their node's block; those before are the tunnel's
/// and the usual first pods'.
const FIRST_ASSUMED: u128 = 32;

/// Hands out addresses that nobody has.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    taken: HashSet<IpAddr>,
    blocks: HashSet<IpNet>,
    /// Of each pool, how many of its blocks were looked at.
    looked_at: HashMap<IpNet, u128>,
}

impl Addresses {
    /// Somebody has it.
    pub(crate) fn take(&mut self, address: IpAddr) {
        self.taken.insert(address);
    }

    /// Some node has it. `false` if one had it before.
    pub(crate) fn take_block(&mut self, block: IpNet) -> bool {
        self.blocks.insert(block)
    }

    /// Takes a block, if nobody has it.
    pub(crate) fn claim(&mut self, block: IpNet) -> bool {
        let free = !self.blocks.iter().any(|b| b.contains(&block) || block.contains(b));
        free && self.blocks.insert(block)
    }

    /// A free address for a pod on this node, from its blocks or from a new one. `None` if the
    /// pools of the family are used up.
    pub(crate) fn pod(
        &mut self,
        node: &mut Node,
        pools: &[Pool],
        family: Family,
    ) -> Option<IpAddr> {
        let free = node
            .blocks
            .iter()
            .filter(|block| block.family() == family)
            .find_map(|block| self.free_in(block));
        let address = if let Some(address) = free {
            address
        } else {
            let block = self.block(pools, family)?;
            node.blocks.push(block);
            self.free_in(&block)?
        };
        self.taken.insert(address);
        Some(address)
    }

    /// A free block of the pools of a family.
    pub(crate) fn block(&mut self, pools: &[Pool], family: Family) -> Option<IpNet> {
        let pool =
            pools.iter().find(|pool| pool.cidr.family() == family && !pool.load_balancer_only)?;
        let size = pool.block_size.max(pool.cidr.prefix_len());
        let host_bits = u32::from(pool.cidr.max_prefix_len() - size);
        let count = 1_u128.checked_shl(u32::from(size - pool.cidr.prefix_len())).unwrap_or(1 << 20);
        let base = number(pool.cidr.network());
        let first = self.looked_at.get(&pool.cidr).copied().unwrap_or(0);
        for index in first..count.min(1 << 20) {
            self.looked_at.insert(pool.cidr, index + 1);
            let network = address(base + (index << host_bits), family)?;
            let block = IpNet::new(network, size).ok()?;
            if self.claim(block) {
                return Some(block);
            }
        }
        None
    }

    /// The first free address of a block.
    pub(crate) fn first_free(&self, block: &IpNet) -> Option<IpAddr> {
        (0..1 << 16).map_while(|index| nth(block, index)).find(|found| !self.taken.contains(found))
    }

    fn free_in(&self, block: &IpNet) -> Option<IpAddr> {
        let family = block.family();
        let bits = u32::from(block.max_prefix_len() - block.prefix_len());
        let size = 1_u128.checked_shl(bits).unwrap_or(u128::MAX).min(1 << 16);
        let base = number(block.network());
        let first = FIRST_ASSUMED.min(size / 2);
        (first..size)
            .chain(1..first)
            .filter_map(|offset| address(base + offset, family))
            .find(|found| !self.taken.contains(found))
    }
}

/// The block that an address lies in.
pub(crate) fn block_of(address: IpAddr, pools: &[Pool]) -> Option<IpNet> {
    let pool = pools
        .iter()
        .filter(|pool| pool.cidr.contains(&address))
        .max_by_key(|pool| pool.cidr.prefix_len())?;
    IpNet::new(address, pool.block_size.max(pool.cidr.prefix_len())).ok().map(|net| net.trunc())
}

/// The `index`th address after the network's own.
pub(crate) fn nth(net: &IpNet, index: u128) -> Option<IpAddr> {
    address(number(net.network()).checked_add(index)?, net.family())
        .filter(|found| net.contains(found))
}

/// The addresses before and behind a range.
pub(crate) fn beside(net: &IpNet) -> [Option<IpAddr>; 2] {
    let (first, last) = (number(net.network()), number(net.broadcast()));
    let family = net.family();
    [first.checked_sub(1), last.checked_add(1)].map(|place| address(place?, family))
}

/// The whole of a family's addresses that share `prefix` bits with `of`.
pub(crate) fn network(of: IpAddr, prefix: u8) -> IpNet {
    let whole = match of {
        IpAddr::V4(ip) => Ipv4Net::new(ip, prefix).map(IpNet::V4),
        IpAddr::V6(ip) => Ipv6Net::new(ip, prefix).map(IpNet::V6),
    };
    whole.unwrap_or_else(|_| IpNet::from(of)).trunc()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

fn address(number: u128, family: Family) -> Option<IpAddr> {
    match family {
        Family::V4 => u32::try_from(number).ok().map(|bits| IpAddr::V4(bits.into())),
        Family::V6 => Some(IpAddr::V6(number.into())),
    }
}
