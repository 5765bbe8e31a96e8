//! When keys were used last: noted at most once a minute per key, beside the request and not on its path.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use whimbrel_core::port::ApiKey;
use whimbrel_core::{KeyId, Timestamp};

use crate::state::ApiState;

/// How exact a last use is.
const EVERY: Duration = Duration::from_mins(1);
/// Keys remembered at most.
const KEYS_MAX: usize = 10_000;

/// What this process has noted within the last minute.
#[derive(Default)]
pub(crate) struct LastUses(Mutex<HashMap<KeyId, Timestamp>>);

impl LastUses {
    /// Whether this use is to be noted; if so, no other within a minute is.
    fn is_due(&self, key: &ApiKey, now: Timestamp) -> bool {
        let recent = |at: Timestamp| now.since(at) < EVERY;
        if key.last_used_at.is_some_and(recent) {
            return false;
        }
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(&key.id).copied().is_some_and(recent) {
            return false;
        }
        if noted.len() >= KEYS_MAX {
            noted.retain(|_, at| recent(*at));
        }
        if noted.len() >= KEYS_MAX {
            noted.clear();
        }
        noted.insert(key.id, now);
        true
    }
}

/// Notes that a key is being used. A note that is lost is made up for by the next use a minute later.
pub(crate) fn note(state: &ApiState, key: &ApiKey) {
    let now = state.clock.now();
    if !state.memory.last_uses.is_due(key, now) {
        return;
    }
    let (store, id) = (state.store.clone(), key.id);
    tokio::spawn(async move {
        if let Err(error) = store.touch_key(id, now).await {
            tracing::warn!(key = %id, %error, "the use of a key could not be noted");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_768_478_400);

    fn key(last_used_at: Option<Timestamp>) -> ApiKey {
        ApiKey {
            id: KeyId::generate(NOW, [1; 10]),
            tenant: None,
            name: String::new(),
            hash: [0; 32],
            created_at: NOW,
            expires_at: None,
            last_used_at,
        }
    }

    #[test]
    fn a_use_is_noted_once_a_minute_whoever_noted_it() {
        let uses = LastUses::default();
        assert!(uses.is_due(&key(None), NOW));
        assert!(!uses.is_due(&key(None), NOW + Duration::from_secs(59)), "the store may not have it yet");
        assert!(!uses.is_due(&key(Some(NOW + Duration::from_secs(30))), NOW + EVERY), "another process noted it");
        assert!(uses.is_due(&key(Some(NOW)), NOW + EVERY));
    }
}
