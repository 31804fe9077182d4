//! Addresses that everybody in the internet can reach, and so no machine of the inside network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What is not globally reachable: the IANA IPv4 Special-Purpose Address Registry (RFC 6890), and multicast (RFC 5771).
const CLOSED_V4: [Ipv4Net; 15] = [
    // "This network" (RFC 791).
    v4([0, 0, 0, 0], 8),
    // Private use (RFC 1918).
    v4([10, 0, 0, 0], 8),
    // Shared address space (RFC 6598).
    v4([100, 64, 0, 0], 10),
    // Loopback (RFC 1122).
    v4([127, 0, 0, 0], 8),
    // Link local (RFC 3927); clouds tell their secrets at 169.254.169.254.
    v4([169, 254, 0, 0], 16),
    // Private use (RFC 1918).
    v4([172, 16, 0, 0], 12),
    // IETF protocol assignments (RFC 6890).
    v4([192, 0, 0, 0], 24),
    // Documentation (RFC 5737).
    v4([192, 0, 2, 0], 24),
    // Deprecated: 6to4 relay anycast (RFC 7526).
    v4([192, 88, 99, 0], 24),
    // Private use (RFC 1918).
    v4([192, 168, 0, 0], 16),
    // Benchmarking (RFC 2544).
    v4([198, 18, 0, 0], 15),
    // Documentation (RFC 5737).
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    // Multicast (RFC 5771).
    v4([224, 0, 0, 0], 4),
    // Reserved (RFC 1112), and the limited broadcast (RFC 919).
    v4([240, 0, 0, 0], 4),
];

/// What is reachable inside of 192.0.0.0/24: anycast of PCP (RFC 7723) and of TURN (RFC 8155).
const OPEN_V4: [Ipv4Net; 2] = [v4([192, 0, 0, 9], 32), v4([192, 0, 0, 10], 32)];

/// All of IPv6 that is given out as global unicast: the IANA IPv6 Address Space registry (RFC 4291). Unique local, link
/// local, site local and multicast addresses are outside of it, and so are the blocks that are reserved: discard only
/// and dummy (100::/64, 100:0:0:1::/64), segment routing (5f00::/16), local translation (64:ff9b:1::/48).
const UNICAST_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What is not globally reachable within: the IANA IPv6 Special-Purpose Address Registry (RFC 6890).
const CLOSED_V6: [Ipv6Net; 3] = [
    // IETF protocol assignments (RFC 2928).
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    // Documentation (RFC 3849, RFC 9637).
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

/// What is reachable inside of 2001::/23.
const OPEN_V6: [Ipv6Net; 7] = [
    // Anycast of PCP (RFC 7723), of TURN (RFC 8155) and of service registration (RFC 9665).
    v6([0x2001, 1, 0, 0, 0, 0, 0, 1], 128),
    v6([0x2001, 1, 0, 0, 0, 0, 0, 2], 128),
    v6([0x2001, 1, 0, 0, 0, 0, 0, 3], 128),
    // AMT (RFC 7450).
    v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32),
    // AS112 (RFC 7535).
    v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48),
    // ORCHIDv2 (RFC 7343).
    v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28),
    // Drones (RFC 9374).
    v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28),
];

/// IPv4 in the last 32 bits: compatible and mapped (RFC 4291), translated by NAT64 (RFC 6052). The unspecified address
/// and the loopback of IPv6 are among the compatible ones, as 0.0.0.0 and 0.0.0.1.
const ENDS_WITH_V4: [Ipv6Net; 3] = [
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96),
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96),
];

/// IPv4 after the first 16 bits: 6to4 (RFC 3056).
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);

/// The IPv4 of a server after the first 32 bits, and that of the client, inverted, in the last 32: Teredo (RFC 4380).
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32);

/// Whether an address is globally reachable, and one machine's: not multicast.
///
/// IANA's registries of special-purpose addresses say so (<https://www.iana.org/assignments/iana-ipv4-special-registry>,
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>). IPv6 that stands for IPv4 is read as the IPv4 inside,
/// because that is where the packets go.
#[must_use]
pub fn is_globally_reachable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_reachable_v4(address),
        IpAddr::V6(address) => is_reachable_v6(address),
    }
}

fn is_reachable_v4(address: Ipv4Addr) -> bool {
    let is_in = |net: &Ipv4Net| net.contains(&address);
    OPEN_V4.iter().any(is_in) || !CLOSED_V4.iter().any(is_in)
}

fn is_reachable_v6(address: Ipv6Addr) -> bool {
    let is_in = |net: &Ipv6Net| net.contains(&address);
    let octets = address.octets();
    let inside =
        |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    if ENDS_WITH_V4.iter().any(is_in) {
        return is_reachable_v4(inside(12));
    }
    if is_in(&SIX_TO_FOUR) {
        return is_reachable_v4(inside(2));
    }
    if is_in(&TEREDO) {
        let client = Ipv4Addr::from_bits(!inside(12).to_bits());
        return is_reachable_v4(inside(4)) && is_reachable_v4(client);
    }
    is_in(&UNICAST_V6) && (OPEN_V6.iter().any(is_in) || !CLOSED_V6.iter().any(is_in))
}

/// A block of IPv4.
const fn v4(octets: [u8; 4], length: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

/// A block of IPv6.
const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    let mut bits = 0;
    let mut at = 0;
    while at < segments.len() {
        bits = bits << 16 | segments[at] as u128;
        at += 1;
    }
    Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), length)
}
