//! What a packet carries, by the number in its IP header.

use std::fmt;

/// The IP header's protocol number, which policies may name too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// ICMP.
    pub const ICMP: Self = Self(1);
    /// IP in IP, as the tunnel tunl0 has it.
    pub const IPIP: Self = Self(4);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// ICMP of IPv6.
    pub const ICMPV6: Self = Self(58);
    /// SCTP.
    pub const SCTP: Self = Self(132);
    /// UDP with a partial checksum.
    pub const UDPLITE: Self = Self(136);
    /// No packet has it.
    pub const RESERVED: Self = Self(255);

    /// Those that policies know by name, as they write them.
    const NAMES: [(&str, Self); 6] = [
        ("TCP", Self::TCP),
        ("UDP", Self::UDP),
        ("ICMP", Self::ICMP),
        ("ICMPv6", Self::ICMPV6),
        ("SCTP", Self::SCTP),
        ("UDPLite", Self::UDPLITE),
    ];

    /// The one of this name, in any case; and the name as it is to be written.
    pub(crate) fn of_name(text: &str) -> Option<(&'static str, Self)> {
        Self::NAMES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text))
    }
}

/// As policies write it.
impl fmt::Display for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.into_iter().find(|(_, known)| known == self) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "IP protocol {}", self.0),
        }
    }
}
