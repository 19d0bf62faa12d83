//! Longest prefixes.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

/// Values by range of addresses. Of the ranges that hold an address the longest counts, as in a
/// routing table.
#[derive(Clone, Debug)]
pub struct Prefixes<T>(BTreeMap<u8, HashMap<IpNet, T>>);

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Prefixes<T> {
    /// The longest range that holds `address`, with its value.
    pub fn longest(&self, address: IpAddr) -> Option<(IpNet, &T)> {
        self.0.iter().rev().find_map(|(length, ranges)| {
            let range = IpNet::new(address, *length).ok()?.trunc();
            ranges.get(&range).map(|value| (range, value))
        })
    }

    /// The value of just this range.
    pub fn get(&self, range: IpNet) -> Option<&T> {
        self.0.get(&range.prefix_len())?.get(&range)
    }

    pub(crate) fn entry(&mut self, range: IpNet) -> Entry<'_, IpNet, T> {
        self.0.entry(range.prefix_len()).or_default().entry(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_range_that_holds_an_address_counts() {
        let mut ranges = Prefixes::default();
        for range in ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "fd00::/8"] {
            ranges.entry(range.parse().unwrap()).or_insert(range);
        }
        for (address, range) in [
            ("192.0.2.1", Some("0.0.0.0/0")),
            ("10.9.9.9", Some("10.0.0.0/8")),
            ("10.1.9.9", Some("10.1.0.0/16")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("fd00::1", Some("fd00::/8")),
            ("2001:db8::1", None),
        ] {
            let found = ranges.longest(address.parse().unwrap());
            assert_eq!(found.map(|(_, value)| *value), range, "{address}");
        }
    }
}
