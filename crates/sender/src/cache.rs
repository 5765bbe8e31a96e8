//! Endpoints as the sender needs them, read through the store and forgotten after 5 s, on a notice, or
//! when a job carries a newer version (rule 10).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, warn};
use whimbrel_core::contract::{Contract, ContractName, Contracts};
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::port::{Clock, Lookup, StoreError};
use whimbrel_core::{EndpointId, Timestamp};

use crate::egress::EgressPolicy;
use crate::target::{Prepared, Target};

/// A copy never lives longer.
const LIFE: Duration = Duration::from_secs(5);
/// Copies kept; at the bound all go. Each time there are twice as many as there were, the expired ones do.
const ENTRIES_MAX: usize = 20_000;
const TIDY_MIN: usize = 256;

struct Entry {
    read_at: Timestamp,
    /// `None`: the endpoint does not exist.
    target: Option<Arc<Target>>,
}

/// The copies.
pub(crate) struct EndpointCache {
    store: Arc<dyn Lookup>,
    contracts: Contracts,
    policy: Arc<EgressPolicy>,
    clock: Arc<dyn Clock>,
    entries: Mutex<Entries>,
    prepared: Mutex<HashMap<ContractName, Arc<Prepared>>>,
}

struct Entries {
    by_id: HashMap<EndpointId, Entry>,
    /// At how many of them the expired ones are looked for.
    tidy_at: usize,
}

impl Default for Entries {
    fn default() -> Self {
        Self { by_id: HashMap::new(), tidy_at: TIDY_MIN }
    }
}

impl Entries {
    fn keep(&mut self, id: EndpointId, entry: Entry) {
        if self.by_id.len() >= self.tidy_at {
            let now = entry.read_at;
            self.by_id.retain(|_, entry| now.since(entry.read_at) < LIFE);
            if self.by_id.len() >= ENTRIES_MAX {
                self.by_id.clear();
            }
            self.tidy_at = (self.by_id.len() * 2).clamp(TIDY_MIN, ENTRIES_MAX);
        }
        self.by_id.insert(id, entry);
    }
}

/// What is known about an endpoint.
#[derive(Clone)]
pub(crate) enum Known {
    Target(Arc<Target>),
    /// It was deleted.
    Missing,
    /// Its contract is not loaded here (rule 26), or its secret is sealed under an unknown key (rule 31): its
    /// deliveries come back a little later.
    Unready,
}

impl EndpointCache {
    pub(crate) fn new(
        store: Arc<dyn Lookup>,
        contracts: Contracts,
        policy: Arc<EgressPolicy>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, contracts, policy, clock, entries: Mutex::default(), prepared: Mutex::default() }
    }

    /// The endpoints of a batch of jobs, each at least as new as its job says; one read for all that
    /// are missing.
    pub(crate) async fn get(&self, wanted: &[(EndpointId, i64)]) -> Result<HashMap<EndpointId, Known>, StoreError> {
        let (mut known, mut missing) = self.look(wanted);
        let mut found = Vec::new();
        while !missing.is_empty() {
            match self.store.endpoints(&missing).await {
                Err(StoreError::Sealed { endpoint, reason }) if missing.contains(&endpoint) => {
                    error!(%endpoint, reason, "this endpoint's deliveries wait for the key");
                    missing.retain(|id| *id != endpoint);
                    known.insert(endpoint, Known::Unready);
                }
                answer => {
                    found = answer?;
                    break;
                }
            }
        }
        let read_at = self.clock.now();
        let mut by_id: HashMap<EndpointId, Endpoint> =
            found.into_iter().map(|endpoint| (endpoint.id, endpoint)).collect();
        for id in missing {
            let value = by_id.remove(&id).map(|endpoint| self.target(&endpoint));
            match &value {
                Some(None) => known.insert(id, Known::Unready),
                Some(Some(target)) => {
                    self.entries().keep(id, Entry { read_at, target: Some(target.clone()) });
                    known.insert(id, Known::Target(target.clone()))
                }
                None => {
                    self.entries().keep(id, Entry { read_at, target: None });
                    known.insert(id, Known::Missing)
                }
            };
        }
        Ok(known)
    }

    fn look(&self, wanted: &[(EndpointId, i64)]) -> (HashMap<EndpointId, Known>, Vec<EndpointId>) {
        let now = self.clock.now();
        let entries = self.entries();
        let mut known = HashMap::with_capacity(wanted.len());
        let mut missing = Vec::new();
        for (id, version) in wanted {
            let entry = entries.by_id.get(id).filter(|entry| now.since(entry.read_at) < LIFE);
            match entry {
                Some(Entry { target: Some(target), .. }) if target.version >= *version => {
                    known.insert(*id, Known::Target(target.clone()));
                }
                Some(Entry { target: None, .. }) => {
                    known.insert(*id, Known::Missing);
                }
                _ => missing.push(*id),
            }
        }
        missing.sort_unstable();
        missing.dedup();
        (known, missing)
    }

    fn target(&self, endpoint: &Endpoint) -> Option<Arc<Target>> {
        let Some(contract) = self.contracts.current().get(&endpoint.contract).cloned() else {
            warn!(endpoint = %endpoint.id, contract = %endpoint.contract, "this process does not know the contract");
            return None;
        };
        Some(Arc::new(Target::new(endpoint, self.prepared(contract), &self.policy)))
    }

    fn prepared(&self, contract: Arc<Contract>) -> Arc<Prepared> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        match prepared.get(contract.name()) {
            // A contract may be loaded anew under its name.
            Some(known) if Arc::ptr_eq(&known.contract, &contract) => known.clone(),
            _ => {
                let new = Arc::new(Prepared::new(contract));
                prepared.insert(new.contract.name().clone(), new.clone());
                new
            }
        }
    }

    /// Forgets one endpoint.
    pub(crate) fn forget(&self, id: EndpointId) {
        self.entries().by_id.remove(&id);
    }

    /// Forgets all: the notice channel was lost.
    pub(crate) fn flush(&self) {
        self.entries().by_id.clear();
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies kept after so many endpoints, one every `apart`.
    fn kept(endpoints: usize, apart: Duration) -> usize {
        let mut entries = Entries::default();
        let mut read_at = Timestamp::from_secs(1_768_478_400);
        for number in 0..endpoints {
            let mut random = [0; 10];
            random[..8].copy_from_slice(&number.to_be_bytes());
            entries.keep(EndpointId::generate(read_at, random), Entry { read_at, target: None });
            read_at = read_at + apart;
        }
        entries.by_id.len()
    }

    #[test]
    fn expired_copies_do_not_stay() {
        // A hundred are used within a copy's life.
        assert!((100..=TIDY_MIN).contains(&kept(10_000, LIFE / 100)));
        assert_eq!(kept(10_000, Duration::ZERO), 10_000, "all of them are fresh");
        assert!(kept(3 * ENTRIES_MAX + 1, Duration::ZERO) <= ENTRIES_MAX);
    }
}
