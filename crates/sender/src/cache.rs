//! Endpoints as the sender needs them, read through the store and forgotten after 5 s, on a notice, or
//! when a job carries a newer version (rule 10).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tracing::{error, warn};
use url::Url;
use whimbrel_core::contract::{Contract, Contracts};
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::outcome::ErrorKind;
use whimbrel_core::port::{Clock, Lookup, StoreError};
use whimbrel_core::signing::Signer;
use whimbrel_core::{EndpointId, Timestamp};

use crate::client::Destination;
use crate::egress::EgressPolicy;
use crate::failure::Failure;
use crate::headers;

/// A copy never lives longer.
const LIFE: Duration = Duration::from_secs(5);
/// Copies kept; at the bound the expired ones go, and then all.
const ENTRIES_MAX: usize = 20_000;

/// An endpoint ready to be sent to.
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) contract: Arc<Contract>,
    /// How to send, or why that is not possible.
    pub(crate) way: Result<Way, Failure>,
}

/// Where requests go, how they may get there, what they carry, and how they are signed.
pub(crate) struct Way {
    pub(crate) url: Url,
    pub(crate) destination: Destination,
    /// The headers that are the same in every request; the endpoint's own are sensitive.
    pub(crate) constant: HeaderMap,
    pub(crate) signer: Signer,
}

impl Target {
    /// One deadline from connecting to the status line: the contract's, or the endpoint's if that is shorter.
    pub(crate) fn timeout(&self) -> Duration {
        let contract = self.contract.timeout();
        self.endpoint.options.timeout.map_or(contract, |own| own.min(contract))
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
        Ok(Self { url, destination, constant, signer })
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
    entries: Mutex<HashMap<EndpointId, Entry>>,
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
        Self { store, contracts, policy, clock, entries: Mutex::default() }
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
            let value = by_id.remove(&id).map(|endpoint| self.target(endpoint));
            match &value {
                Some(None) => known.insert(id, Known::Unready),
                Some(Some(target)) => {
                    self.keep(id, Entry { read_at, target: Some(target.clone()) });
                    known.insert(id, Known::Target(target.clone()))
                }
                None => {
                    self.keep(id, Entry { read_at, target: None });
                    known.insert(id, Known::Missing)
                }
            };
        }
        Ok(known)
    }

    fn look(&self, wanted: &[(EndpointId, i64)]) -> (HashMap<EndpointId, Known>, Vec<EndpointId>) {
        let now = self.clock.now();
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = HashMap::with_capacity(wanted.len());
        let mut missing = Vec::new();
        for (id, version) in wanted {
            let entry = entries.get(id).filter(|entry| now.since(entry.read_at) < LIFE);
            match entry {
                Some(Entry { target: Some(target), .. }) if target.endpoint.version >= *version => {
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

    fn keep(&self, id: EndpointId, entry: Entry) {
        let now = entry.read_at;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| now.since(entry.read_at) < LIFE);
            if entries.len() >= ENTRIES_MAX {
                entries.clear();
            }
        }
        entries.insert(id, entry);
    }

    fn target(&self, endpoint: Endpoint) -> Option<Arc<Target>> {
        let Some(contract) = self.contracts.current().get(&endpoint.contract).cloned() else {
            warn!(endpoint = %endpoint.id, contract = %endpoint.contract, "this process does not know the contract");
            return None;
        };
        let way = Way::new(&endpoint, &contract, &self.policy);
        Some(Arc::new(Target { endpoint, contract, way }))
    }

    /// Forgets one endpoint.
    pub(crate) fn forget(&self, id: EndpointId) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Forgets all: the notice channel was lost.
    pub(crate) fn flush(&self) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
