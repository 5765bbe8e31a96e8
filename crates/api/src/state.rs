//! What the API works with.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use whimbrel_core::contract::ContractSet;
use whimbrel_core::intake::IDEMPOTENCY_WINDOW;
use whimbrel_core::port::{Clock, Parking, Store};

use crate::events::Schemas;
use crate::key;
use crate::known::Known;
use crate::last_use::LastUses;
use crate::limit::Rates;
use crate::outlet::Outlet;

/// What every handler shares.
#[derive(Clone)]
pub struct ApiState {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Where events and notices go.
    pub outlet: Outlet,
    /// What could not be processed.
    pub parking: Arc<dyn Parking>,
    /// The contracts that tenants can have.
    pub contracts: Arc<ContractSet>,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    /// The deployment's choices.
    pub settings: Arc<Settings>,
    /// What this process remembers; begins empty.
    pub memory: Arc<Memory>,
}

/// As handlers and layers have it: one count a clone, for each request makes several.
pub(crate) type SharedState = Arc<ApiState>;

/// What a process remembers between requests, within bounds: nothing that it could not do without.
#[derive(Default)]
pub struct Memory {
    /// Keys and tenants.
    pub(crate) known: Known,
    /// How much each key may send for the moment.
    pub(crate) rates: Rates,
    /// Which keys' uses are noted already.
    pub(crate) last_uses: LastUses,
    /// The tenants' event schemas, compiled.
    pub(crate) schemas: Schemas,
}

/// The deployment's choices.
#[derive(Clone)]
pub struct Settings {
    /// SHA-256 of the configured admin key; others may be in the store.
    pub admin_key_hash: Option<[u8; 32]>,
    /// Whether plain HTTP is possible at all (`egress.allow_http`).
    pub allow_http: bool,
    /// The special-purpose networks that may be reached all the same (`egress.allow_networks`).
    pub allow_networks: Vec<IpNet>,
    /// How long an idempotency key holds.
    pub idempotency_window: Duration,
    /// How long events are kept: none may have happened longer ago (rule 28).
    pub retention: Duration,
    /// The largest body of a management request; above the largest schema of an event type.
    pub management_bytes_max: usize,
    /// The largest body of one event, its envelope and white space included; the contract's own limit
    /// on the rendered payload comes on top.
    pub event_bytes_max: usize,
    /// The largest body of a batch of events.
    pub batch_bytes_max: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long a publish may take before the caller is asked to try again.
    pub publish_timeout: Duration,
}

impl Settings {
    /// The defaults, under this admin key; `None` when every admin key is in the store.
    pub fn new(admin_key: Option<&str>) -> Self {
        Self {
            admin_key_hash: admin_key.map(key::hash),
            allow_http: false,
            allow_networks: Vec::new(),
            idempotency_window: IDEMPOTENCY_WINDOW,
            retention: Duration::from_hours(30 * 24),
            management_bytes_max: 128 * 1024,
            event_bytes_max: 1024 * 1024,
            batch_bytes_max: 8 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            publish_timeout: Duration::from_secs(10),
        }
    }

    /// Whether this address lies in a network that the deployment allows.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow_networks.iter().any(|network| network.contains(&address))
    }
}
