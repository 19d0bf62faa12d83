//! Which addresses are taken and which are free: Calico's IPAM, as far as it can be guessed.

use std::collections::{BTreeSet, HashMap, HashSet};
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
    blocks: BTreeSet<IpNet>,
    /// Of each pool, how many of its blocks were looked at: nothing is ever given back.
    looked_at: HashMap<IpNet, u128>,
    /// Of each block, how many of its addresses were.
    used: HashMap<IpNet, u128>,
    /// Of each node's blocks, how many have nothing left for a family.
    full: HashMap<(String, Family), usize>,
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
        let around = (0..block.prefix_len()).any(|length| {
            IpNet::new(block.network(), length).is_ok_and(|net| self.blocks.contains(&net.trunc()))
        });
        let ends = [(block.network(), 0), (block.broadcast(), block.max_prefix_len())];
        let [Ok(first), Ok(last)] = ends.map(|(ip, length)| IpNet::new(ip, length)) else {
            return false;
        };
        let inside = self.blocks.range(first..=last).next().is_some();
        !around && !inside && self.blocks.insert(block)
    }

    /// A free address for a pod on this node, from its blocks or from a new one. `None` if the
    /// pools of the family are used up.
    pub(crate) fn pod(
        &mut self,
        node: &mut Node,
        pools: &[Pool],
        family: Family,
    ) -> Option<IpAddr> {
        let key = (node.name.clone(), family);
        let mut full = self.full.get(&key).copied().unwrap_or(0);
        let address = loop {
            let Some(block) = node.network.blocks.get(full).copied() else {
                let block = self.block(pools, family)?;
                node.network.blocks.push(block);
                break self.free_in(&block)?;
            };
            let free = if block.family() == family { self.free_in(&block) } else { None };
            match free {
                Some(address) => break address,
                None => full += 1,
            }
        };
        self.full.insert(key, full);
        self.taken.insert(address);
        Some(address)
    }

    /// A free block of the pools of a family.
    pub(crate) fn block(&mut self, pools: &[Pool], family: Family) -> Option<IpNet> {
        pools
            .iter()
            .filter(|pool| pool.cidr.family() == family && !pool.load_balancer_only)
            .find_map(|pool| self.block_from(pool))
    }

    fn block_from(&mut self, pool: &Pool) -> Option<IpNet> {
        let size = pool.block_size.max(pool.cidr.prefix_len());
        let host_bits = u32::from(pool.cidr.max_prefix_len() - size);
        let count = 1_u128.checked_shl(u32::from(size - pool.cidr.prefix_len())).unwrap_or(1 << 20);
        let base = number(pool.cidr.network());
        let first = self.looked_at.get(&pool.cidr).copied().unwrap_or(0);
        for index in first..count.min(1 << 20) {
            self.looked_at.insert(pool.cidr, index + 1);
            let network = address(base + (index << host_bits), pool.cidr.family())?;
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

    fn free_in(&mut self, block: &IpNet) -> Option<IpAddr> {
        let family = block.family();
        let bits = u32::from(block.max_prefix_len() - block.prefix_len());
        let size = 1_u128.checked_shl(bits).unwrap_or(u128::MAX).min(1 << 16);
        let base = number(block.network());
        let first = FIRST_ASSUMED.min(size / 2);
        let used = self.used.entry(*block).or_default();
        while *used < (size - 1).max(1) {
            // Those behind the first ones, and then these.
            let behind = first + *used;
            let offset = if behind < size { behind } else { behind - size + 1 };
            match address(base + offset, family) {
                Some(found) if !self.taken.contains(&found) => return Some(found),
                _ => *used += 1,
            }
        }
        None
    }
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

#[cfg(test)]
mod tests {
    use super::super::{nodes, pools};
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn pool(cidr: &str, block_size: u8) -> Pool {
        Pool { block_size, ..pools::article_pool(net(cidr), "") }
    }

    /// The addresses that so many pods of a node get, and the blocks that the node has then.
    fn pods(
        addresses: &mut Addresses,
        pools: &[Pool],
        family: Family,
        count: usize,
    ) -> (Vec<String>, Vec<String>) {
        let mut node = nodes::assumed("node1", 0, "", &[]);
        let mut found: Vec<Option<IpAddr>> = Vec::new();
        found.resize_with(count, || addresses.pod(&mut node, pools, family));
        (
            found.iter().map(|ip| ip.map_or("-".to_owned(), |ip| ip.to_string())).collect(),
            node.network.blocks.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn pods_take_addresses_behind_a_blocks_first_and_leave_out_those_that_somebody_has() {
        let mut addresses = Addresses::default();
        addresses.take(ip("10.244.0.33"));
        let (given, blocks) = pods(&mut addresses, &[pool("10.244.0.0/16", 26)], Family::V4, 3);
        assert_eq!(given, ["10.244.0.32", "10.244.0.34", "10.244.0.35"]);
        assert_eq!(blocks, ["10.244.0.0/26"]);
        let (given, blocks) = pods(&mut addresses, &[pool("fd00::/64", 122)], Family::V6, 2);
        assert_eq!(given, ["fd00::20", "fd00::21"]);
        assert_eq!(blocks, ["fd00::/122"]);
    }

    #[test]
    fn a_full_block_is_followed_by_another_until_the_pools_are_used_up() {
        let mut addresses = Addresses::default();
        let small = [pool("10.244.0.0/29", 30)];
        let (given, blocks) = pods(&mut addresses, &small, Family::V4, 7);
        assert_eq!(
            given,
            [
                "10.244.0.2",
                "10.244.0.3",
                "10.244.0.1",
                "10.244.0.6",
                "10.244.0.7",
                "10.244.0.5",
                "-"
            ]
        );
        assert_eq!(blocks, ["10.244.0.0/30", "10.244.0.4/30"]);
        // Another node has nothing left, and no pool is of the other family.
        assert_eq!(pods(&mut addresses, &small, Family::V4, 1).0, ["-"]);
        assert_eq!(pods(&mut addresses, &small, Family::V6, 1).0, ["-"]);
    }

    #[test]
    fn blocks_are_from_any_pool_of_the_family_that_pods_may_use() {
        let for_services = Pool { load_balancer_only: true, ..pool("10.1.0.0/24", 26) };
        let pools = [
            for_services,
            pool("fd00::/64", 122),
            pool("10.2.0.0/26", 26),
            pool("10.3.0.0/26", 26),
        ];
        let mut addresses = Addresses::default();
        let mut next = |family| addresses.block(&pools, family).map(|block| block.to_string());
        assert_eq!(next(Family::V4).as_deref(), Some("10.2.0.0/26"));
        assert_eq!(next(Family::V4).as_deref(), Some("10.3.0.0/26"));
        assert_eq!(next(Family::V4), None);
        assert_eq!(next(Family::V6).as_deref(), Some("fd00::/122"));
        assert_eq!(next(Family::V6).as_deref(), Some("fd00::40/122"));
    }

    #[test]
    fn a_block_is_one_nodes() {
        let mut addresses = Addresses::default();
        assert!(addresses.take_block(net("10.244.0.64/26")));
        assert!(!addresses.take_block(net("10.244.0.64/26")));
        for (block, free) in
            [("10.244.0.0/24", false), ("10.244.0.96/27", false), ("10.244.0.128/26", true)]
        {
            assert_eq!(addresses.claim(net(block)), free, "{block}");
        }
        assert!(!addresses.claim(net("10.244.0.128/26")), "it was claimed just now");
        let pools = [pool("10.244.0.0/24", 26)];
        let blocks: Vec<_> = std::iter::from_fn(|| addresses.block(&pools, Family::V4)).collect();
        assert_eq!(blocks, [net("10.244.0.0/26"), net("10.244.0.192/26")]);
    }

    #[test]
    fn a_tunnel_takes_a_blocks_first_free_address() {
        let mut addresses = Addresses::default();
        assert_eq!(addresses.first_free(&net("10.244.0.64/31")), Some(ip("10.244.0.64")));
        addresses.take(ip("10.244.0.64"));
        assert_eq!(addresses.first_free(&net("10.244.0.64/31")), Some(ip("10.244.0.65")));
        addresses.take(ip("10.244.0.65"));
        assert_eq!(addresses.first_free(&net("10.244.0.64/31")), None);
    }

    #[test]
    fn ranges_end_where_they_end() {
        assert_eq!(nth(&net("192.0.2.0/30"), 3), Some(ip("192.0.2.3")));
        assert_eq!(nth(&net("192.0.2.0/30"), 4), None);
        assert_eq!(nth(&net("255.255.255.0/24"), 256), None);
        assert_eq!(nth(&net("fd00::/64"), 1 << 64), None);
        assert_eq!(nth(&net("fd00::/64"), u128::MAX), None);
        for (range, before, behind) in [
            ("192.0.2.0/24", Some("192.0.1.255"), Some("192.0.3.0")),
            ("0.0.0.0/8", None, Some("1.0.0.0")),
            ("255.0.0.0/8", Some("254.255.255.255"), None),
            ("0.0.0.0/0", None, None),
            ("fd00::/64", Some("fcff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Some("fd00:0:0:1::")),
            ("::/0", None, None),
        ] {
            assert_eq!(beside(&net(range)), [before.map(ip), behind.map(ip)], "{range}");
        }
        assert_eq!(network(ip("192.0.2.99"), 24), net("192.0.2.0/24"));
        assert_eq!(network(ip("fd00::99"), 64), net("fd00::/64"));
        assert_eq!(network(ip("192.0.2.99"), 64), net("192.0.2.99/32"), "no IPv4 prefix");
    }
}
