//! Free TCP ports on the loopback interface.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;

/// Below the range from which systems take the ports of outgoing connections, so that a server that is
/// stopped and started again finds its port still free.
const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;

/// A port on 127.0.0.1 that nothing listened on a moment ago.
///
/// Ports are drawn at random, so tests that ask at the same time hardly ever get the same one.
pub fn free() -> u16 {
    (0..1000)
        .map(|_| FIRST + u16::try_from(random() % u64::from(COUNT)).expect("the remainder fits"))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a thousand random ports are not all taken")
}

/// A number for names and ports that must differ between processes; not for secrets.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
