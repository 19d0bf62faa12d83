//! Addresses and networks as Kubernetes' fields have always taken them (`ParseIPSloppy`,
//! `ParseCIDRSloppy`): leading zeros, host bits and IPv4-mapped IPv6 are fine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An address. IPv4 octets may have leading zeros and are decimal all the same; an IPv4-mapped
/// IPv6 address is the IPv4 address.
pub fn ip(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(|address| address.to_canonical());
    }
    let octets = text.split('.').map(octet).collect::<Option<Vec<u8>>>()?;
    <[u8; 4]>::try_from(octets).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
}

/// A network, without the bits beyond its prefix.
pub fn cidr(text: &str) -> Option<IpNet> {
    parse_cidr(text).map(|(net, _)| net.trunc())
}

/// A network with its address as written, and the prefix length as written.
pub(super) fn parse_cidr(text: &str) -> Option<(IpNet, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let written = number(prefix)?;
    let v6 = address.contains(':');
    if written > if v6 { 128 } else { 32 } {
        return None;
    }
    let written = u8::try_from(written).ok()?;
    let net = match ip(address)? {
        // a short prefix over an IPv4-mapped address is no IPv4 network
        IpAddr::V4(v4) if v6 && written < 96 => {
            IpNet::V6(Ipv6Net::new(v4.to_ipv6_mapped(), written).ok()?)
        }
        IpAddr::V4(v4) => {
            IpNet::V4(Ipv4Net::new(v4, if v6 { written - 96 } else { written }).ok()?)
        }
        IpAddr::V6(v6) => IpNet::V6(Ipv6Net::new(v6, written).ok()?),
    };
    Some((net, written))
}

/// Whether `inner` is smaller than `outer` and within it, the way kube-apiserver compares.
pub(super) fn is_strict_subset(inner: (IpNet, u8), outer: (IpNet, u8)) -> bool {
    outer.0.trunc().contains(&inner.0.trunc().addr()) && outer.1 < inner.1
}

/// What kube-apiserver warns of (`GetWarningsForCIDR`).
pub(super) fn cidr_warning(text: &str) -> Option<String> {
    let (net, _) = parse_cidr(text)?;
    let masked = net.trunc();
    if net.addr() != masked.addr() {
        let single = IpNet::from(net.addr());
        return Some(format!(
            "CIDR value \"{text}\" is ambiguous in this context (should be \"{masked}\" or \
             \"{single}\"?)"
        ));
    }
    let (address, prefix) = text.split_once('/')?;
    let strict = address.parse() == Ok(net.addr()) && (prefix == "0" || !prefix.starts_with('0'));
    (!strict).then(|| {
        format!(
            "non-standard CIDR value \"{text}\" will be considered invalid in a future Kubernetes \
             release: use \"{masked}\""
        )
    })
}

fn octet(text: &str) -> Option<u8> {
    number(text).and_then(|number| u8::try_from(number).ok())
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read_as_kubernetes_always_did() {
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.0.0.1/8", Some("10.0.0.0/8")),
            ("010.0.0.0/08", Some("10.0.0.0/8")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("::/0", Some("::/0")),
            ("10.0.0.0", None),
            ("10.0.0.0/33", None),
            ("10.0.0/8", None),
            ("10.0.0.0/-1", None),
            ("10.0.0.0/+8", None),
            ("10.0.0.256/8", None),
            (" 10.0.0.0/8", None),
            ("", None),
        ] {
            assert_eq!(cidr(text).map(|net| net.to_string()).as_deref(), expected, "{text}");
        }
        assert_eq!(ip("::ffff:1.2.3.4"), ip("1.2.3.4"));
        assert_eq!(ip("1.2.3"), None);
    }

    #[test]
    fn odd_networks_are_warned_of() {
        assert_eq!(cidr_warning("10.0.0.0/8"), None);
        assert_eq!(cidr_warning("2001:db8::/32"), None);
        assert_eq!(
            cidr_warning("10.0.0.1/8").as_deref(),
            Some(
                "CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \
                 \"10.0.0.0/8\" or \"10.0.0.1/32\"?)"
            )
        );
        for odd in ["010.0.0.0/8", "::ffff:10.0.0.0/104", "10.0.0.0/08"] {
            assert!(cidr_warning(odd).unwrap().ends_with("use \"10.0.0.0/8\""), "{odd}");
        }
    }
}
