//! The special-purpose ranges of IANA's two registries, and the v6 forms that carry a v4 address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is anything but a public unicast one.
pub(super) fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => embedded_v4(v6).map_or_else(|| special_v6(v6), special_v4),
    }
}

fn special_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let private = matches!((a, b), (0 | 10 | 127, _) | (172, 16..=31) | (192, 168));
    // Carrier-grade NAT; link-local with the clouds' metadata; benchmarking.
    let shared = matches!((a, b), (100, 64..=127) | (169, 254) | (198, 18..=19));
    // Protocol assignments, documentation, AS112, AMT, 6to4 relays.
    let assigned = matches!(
        (a, b, c),
        (192, 0, 0 | 2)
            | (192, 31, 196)
            | (192, 52, 193)
            | (192, 88, 99)
            | (192, 175, 48)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    // Multicast, reserved, broadcast.
    private || shared || assigned || a >= 224
}

/// The v4 address inside NAT64 and 6to4 addresses: what the packet finally reaches.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] | [0, 0, 0, 0, 0, 0xffff, high, low] => {
            Some(join(high, low))
        }
        _ => None,
    }
}

fn special_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments[0] {
        // Only 2000::/3 is public; within it, protocol assignments (Teredo, ORCHID, benchmarking) and
        // documentation are not.
        0x2001 => segments[1] < 0x0200 || segments[1] == 0x0db8,
        0x3fff => segments[1] < 0x1000,
        0x2000..=0x3fff => false,
        _ => true,
    }
}
