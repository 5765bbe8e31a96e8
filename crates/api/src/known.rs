//! Keys and tenants as they were a moment ago, so that a stream of events asks the store for neither.
//!
//! A copy lives two seconds: so long a key that was revoked through another process may still be used. What changes
//! through this process is forgotten at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use whimbrel_core::port::{ApiKey, StoreError};
use whimbrel_core::tenant::TenantHead;
use whimbrel_core::{TenantId, Timestamp};

use crate::state::ApiState;

const LIFE: Duration = Duration::from_secs(2);
/// Copies of each kind at most.
const COPIES_MAX: usize = 10_000;

/// The copies.
#[derive(Default)]
pub(crate) struct Known {
    keys: Copies<[u8; 32], ApiKey>,
    tenants: Copies<TenantId, TenantHead>,
}

impl Known {
    /// Something was changed.
    pub(crate) fn forget(&self) {
        self.keys.forget();
        self.tenants.forget();
    }
}

/// The key with this hash.
pub(crate) async fn key(state: &ApiState, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
    let (copies, now) = (&state.memory.known.keys, state.clock.now());
    let epoch = match copies.get(hash, now) {
        Ok(key) => return Ok(Some(key)),
        Err(epoch) => epoch,
    };
    let key = state.store.key_by_hash(hash).await?;
    if let Some(key) = &key {
        copies.keep(epoch, *hash, key.clone(), now);
    }
    Ok(key)
}

/// The tenant of this id.
pub(crate) async fn tenant(state: &ApiState, id: &TenantId) -> Result<Option<TenantHead>, StoreError> {
    let (copies, now) = (&state.memory.known.tenants, state.clock.now());
    let epoch = match copies.get(id, now) {
        Ok(head) => return Ok(Some(head)),
        Err(epoch) => epoch,
    };
    let head = state.store.tenant_heads(std::slice::from_ref(id)).await?.into_iter().next();
    if let Some(head) = &head {
        copies.keep(epoch, id.clone(), head.clone(), now);
    }
    Ok(head)
}

/// Copies of one kind. What is not there is never kept: anyone can ask for that.
struct Copies<K, V>(Mutex<Kept<K, V>>);

struct Kept<K, V> {
    /// Rises with each change, so that what was read before one is not kept after it.
    epoch: u64,
    entries: HashMap<K, (Timestamp, V)>,
}

impl<K, V> Default for Copies<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Kept { epoch: 0, entries: HashMap::new() }))
    }
}

impl<K: Eq + Hash, V: Clone> Copies<K, V> {
    /// A copy, or the epoch in which it may be read anew.
    fn get(&self, key: &K, now: Timestamp) -> Result<V, u64> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.entries.get(key) {
            Some((at, value)) if now.since(*at) < LIFE && *at <= now => Ok(value.clone()),
            _ => Err(kept.epoch),
        }
    }

    fn keep(&self, epoch: u64, key: K, value: V, now: Timestamp) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.epoch != epoch {
            return;
        }
        if kept.entries.len() >= COPIES_MAX {
            kept.entries.clear();
        }
        kept.entries.insert(key, (now, value));
    }

    fn forget(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.epoch += 1;
        kept.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    #[test]
    fn a_copy_lives_two_seconds() {
        let copies = Copies::default();
        let epoch = copies.get(&"key", NOW).expect_err("not there yet");
        copies.keep(epoch, "key", 1, NOW);
        assert_eq!(copies.get(&"key", NOW + Duration::from_millis(1_999)), Ok(1));
        assert!(copies.get(&"key", NOW + LIFE).is_err());
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let copies = Copies::default();
        let epoch = copies.get(&"key", NOW).expect_err("not there yet");
        copies.forget();
        copies.keep(epoch, "key", 1, NOW);
        assert!(copies.get(&"key", NOW).is_err());
    }
}
