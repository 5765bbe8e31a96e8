//! Free TCP ports on the loopback interface.

use std::collections::hash_map::RandomState;
use std::fs::{File, create_dir_all};
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::servers::build_dir;

/// Below the range from which systems take the ports of outgoing connections, so that a server that is
/// stopped and started again finds its port still free.
const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;

/// The locks on the ports that were given out: nobody else gets one of them before this process ends.
static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port on 127.0.0.1 that nothing listens on, and that no other process which asks here will get meanwhile.
///
/// # Panics
/// When there is no such port, or no file can be made to lock it with.
pub fn free() -> u16 {
    let locks = build_dir().expect("this program lies in a directory").join("ports");
    create_dir_all(&locks).expect("a directory beside this program can be made");
    (0..1000)
        .map(|_| FIRST + u16::try_from(random() % u64::from(COUNT)).expect("the remainder fits"))
        .find(|port| take(&locks.join(port.to_string())) && TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a thousand random ports are not all taken")
}

fn take(lock: &Path) -> bool {
    let file = File::create(lock).expect("a file beside this program can be made");
    let is_mine = file.try_lock().is_ok();
    if is_mine {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(file);
    }
    is_mine
}

/// A number for names and ports that must differ between processes; not for secrets.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_out_twice() {
        let ports: HashSet<u16> = (0..500).map(|_| free()).collect();
        assert_eq!(ports.len(), 500);
    }
}
