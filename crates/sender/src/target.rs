//! An endpoint ready to be sent to: of all that the store knows, what a sender needs, for it may need thousands.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use metrics::Histogram;
use url::Url;
use whimbrel_core::TenantId;
use whimbrel_core::contract::Contract;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::outcome::ErrorKind;
use whimbrel_core::signing::Signer;

use crate::client::Destination;
use crate::egress::EgressPolicy;
use crate::failure::Failure;
use crate::gate::Limits;
use crate::headers::Names;
use crate::{headers, measure};

/// The endpoint.
pub(crate) struct Target {
    pub(crate) tenant: TenantId,
    /// Of the endpoint.
    pub(crate) version: i64,
    pub(crate) is_active: bool,
    pub(crate) limits: Limits,
    /// One deadline from connecting to the status line: the contract's, or the endpoint's if that is shorter.
    pub(crate) timeout: Duration,
    pub(crate) prepared: Arc<Prepared>,
    /// How to send, or why that is not possible.
    pub(crate) way: Result<Way, Failure>,
}

/// What all endpoints under a contract share.
pub(crate) struct Prepared {
    pub(crate) contract: Arc<Contract>,
    /// Those that are the same in every request.
    pub(crate) headers: Result<Arc<HeaderMap>, Failure>,
    /// Of all that the contract sets.
    pub(crate) names: Result<Arc<Names>, Failure>,
    /// What attempts took goes there.
    pub(crate) durations: Histogram,
}

/// Where requests go, how they may get there, what they carry, and how they are signed.
pub(crate) struct Way {
    pub(crate) destination: Destination,
    /// The headers that are the same in every request; the endpoint's own are sensitive.
    pub(crate) constant: Arc<HeaderMap>,
    /// Of the contract's headers.
    pub(crate) names: Arc<Names>,
    pub(crate) signer: Signer,
}

impl Target {
    pub(crate) fn new(endpoint: &Endpoint, prepared: Arc<Prepared>, policy: &EgressPolicy) -> Self {
        let timeout = prepared.contract.timeout();
        Self {
            tenant: endpoint.tenant.clone(),
            version: endpoint.version,
            is_active: endpoint.status.is_active(),
            limits: Limits::of(&endpoint.options),
            timeout: endpoint.options.timeout.map_or(timeout, |own| own.min(timeout)),
            way: Way::new(endpoint, &prepared, policy),
            prepared,
        }
    }
}

impl Prepared {
    pub(crate) fn new(contract: Arc<Contract>) -> Self {
        let headers = headers::of_contract(&contract).map(Arc::new);
        let names = Names::of(&contract).map(Arc::new);
        let durations = measure::durations(contract.name());
        Self { contract, headers, names, durations }
    }
}

impl Way {
    fn new(endpoint: &Endpoint, prepared: &Prepared, policy: &EgressPolicy) -> Result<Self, Failure> {
        let url = Url::parse(&endpoint.url)
            .map_err(|error| Failure::new(ErrorKind::BadUrl, format!("the url cannot be read: {error}")))?;
        let reach = policy.check(&url, prepared.contract.https_only())?;
        let destination = Destination::new(&url, reach, policy)?;
        let signer = Signer::new(&prepared.contract, &endpoint.secrets)
            .map_err(|error| Failure::new(ErrorKind::Protocol, format!("the secret cannot sign: {error}")))?;
        let names = prepared.names.clone()?;
        Ok(Self { destination, constant: headers::constant(&endpoint.headers, prepared)?, names, signer })
    }
}
