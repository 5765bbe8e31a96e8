//! Endpoints as the sender needs them, read through the store and forgotten after 5 s, on a notice, or
//! when a job carries a newer version (rule 10).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use metrics::Histogram;
use tracing::{error, warn};
use url::Url;
use whimbrel_core::contract::{Contract, ContractName, Contracts};
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::outcome::ErrorKind;
use whimbrel_core::port::{Clock, Lookup, StoreError};
use whimbrel_core::signing::Signer;
use whimbrel_core::{EndpointId, TenantId, Timestamp};

use crate::client::Destination;
use crate::egress::EgressPolicy;
use crate::failure::Failure;
use crate::gate::Limits;
use crate::{headers, measure};

/// A copy never lives longer.
const LIFE: Duration = Duration::from_secs(5);
/// Copies kept; at the bound all go. Each time there are twice as many as there were, the expired ones do.
const ENTRIES_MAX: usize = 20_000;
const TIDY_MIN: usize = 256;

/// An endpoint ready to be sent to: of all that the store knows, what a sender needs, for it may need thousands.
pub(crate) struct Target {
    pub(crate) tenant: TenantId,
    /// Of the endpoint.
    pub(crate) version: i64,
    pub(crate) is_active: bool,
    pub(crate) limits: Limits,
    /// One deadline from connecting to the status line: the contract's, or the endpoint's if that is shorter.
    pub(crate) timeout: Duration,
    pub(crate) contract: Arc<Contract>,
    /// What its attempts took goes there.
    pub(crate) durations: Histogram,
    /// How to send, or why that is not possible.
    pub(crate) way: Result<Way, Failure>,
}

/// Where requests go, how they may get there, what they carry, and how they are signed.
pub(crate) struct Way {
    pub(crate) destination: Destination,
    /// The headers that are the same in every request; the endpoint's own are sensitive.
    pub(crate) constant: Arc<HeaderMap>,
    pub(crate) signer: Signer,
}

impl Target {
    pub(crate) fn new(endpoint: &Endpoint, contract: Arc<Contract>, policy: &EgressPolicy) -> Self {
        let way = Way::new(endpoint, &contract, policy);
        let timeout = contract.timeout();
        Self {
            tenant: endpoint.tenant.clone(),
            version: endpoint.version,
            is_active: endpoint.status.is_active(),
            limits: Limits::of(&endpoint.options),
            timeout: endpoint.options.timeout.map_or(timeout, |own| own.min(timeout)),
            durations: measure::durations(contract.name()),
            contract,
            way,
        }
    }
}

impl Way {
    pub(crate) fn new(endpoint: &Endpoint, contract: &Arc<Contract>, policy: &EgressPolicy) -> Result<Self, Failure> {
        let url = Url::parse(&endpoint.url)
            .map_err(|error| Failure::new(ErrorKind::BadUrl, format!("the url cannot be read: {error}")))?;
        let reach = policy.check(&url, contract.https_only())?;
        let destination = Destination::new(&url, reach, policy)?;
        let signer = Signer::new(contract, &endpoint.secrets)
            .map_err(|error| Failure::new(ErrorKind::Protocol, format!("the secret cannot sign: {error}")))?;
        let constant = headers::constant(&endpoint.headers, contract, &signer)?;
        Ok(Self { destination, constant: Arc::new(constant), signer })
    }
}

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
    common: Mutex<HashMap<ContractName, Common>>,
}

/// What requests carry to endpoints without headers of their own.
struct Common {
    contract: Arc<Contract>,
    headers: Arc<HeaderMap>,
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
        Self { store, contracts, policy, clock, entries: Mutex::default(), common: Mutex::default() }
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
        let mut target = Target::new(endpoint, contract, &self.policy);
        if let Ok(way) = &mut target.way
            && endpoint.headers.0.is_empty()
        {
            way.constant = self.common(&target.contract, &way.constant);
        }
        Some(Arc::new(target))
    }

    /// The same headers, shared by all who carry them.
    fn common(&self, contract: &Arc<Contract>, headers: &Arc<HeaderMap>) -> Arc<HeaderMap> {
        let mut common = self.common.lock().unwrap_or_else(PoisonError::into_inner);
        match common.get(contract.name()) {
            // A contract may be loaded anew under its name.
            Some(known) if Arc::ptr_eq(&known.contract, contract) => known.headers.clone(),
            _ => {
                let new = Common { contract: contract.clone(), headers: headers.clone() };
                common.insert(contract.name().clone(), new);
                headers.clone()
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
