//! What this crate's tests share.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_core::contract::Contract;
use whimbrel_core::endpoint::{CustomHeaders, Endpoint};
use whimbrel_core::event::TraceContext;
use whimbrel_core::message::{Body, Job};
use whimbrel_core::secret::{Secret, SecretPair};
use whimbrel_core::{DeliveryId, EndpointId, EventId, TenantId, Timestamp};

/// A first attempt that was parked so often.
pub(crate) fn job(hops: u32) -> Job {
    let at = Timestamp::from_secs(1);
    let (event, endpoint) = (EventId::generate(at, [1; 10]), EndpointId::generate(at, [2; 10]));
    let body = Body {
        event,
        event_type: "order.created".into(),
        occurred_at: at,
        bytes: bytes::Bytes::from_static(b"{}"),
        trace: TraceContext::default(),
    };
    Job {
        delivery: DeliveryId::of(event, endpoint),
        endpoint,
        body: Arc::new(body),
        round: 1,
        attempt: 1,
        contract: "generic".parse().expect("a name"),
        endpoint_version: 1,
        not_before: None,
        hops,
        jitter: Duration::ZERO,
        trace: TraceContext::default(),
    }
}

/// The endpoint of [`job`].
pub(crate) fn endpoint(contract: &Contract, url: &str, headers: CustomHeaders) -> Endpoint {
    let at = Timestamp::from_secs(1);
    let secrets = SecretPair::new(Secret::generate(contract, &mut |bytes| bytes.fill(7)));
    let (tenant, url) = (TenantId::default(), url.to_owned());
    let endpoint = Endpoint::new(job(0).endpoint, tenant, contract.name().clone(), url, vec![], secrets, at);
    Endpoint { headers, ..endpoint }
}
