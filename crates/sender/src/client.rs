//! The HTTP clients: one per reach, with everything off that a webhook must not have.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use whimbrel_core::outcome::ErrorKind;

use crate::egress::{EgressPolicy, GuardedResolver, Reach, Refusal};

/// Idle connections kept per receiver. Fewer than its POSTs under way, and a burst would open and close connections for
/// nothing: that once was a quarter of the sender's work.
const IDLE_MAX: usize = 256;

/// A client for public addresses and one for allowed networks only.
pub(crate) struct Clients {
    anywhere: Client,
    allowed_networks: Client,
}

impl Clients {
    pub(crate) fn new(policy: &Arc<EgressPolicy>) -> Result<Self, reqwest::Error> {
        Ok(Self { anywhere: build(policy, Reach::Anywhere)?, allowed_networks: build(policy, Reach::AllowedNetworks)? })
    }

    pub(crate) fn for_reach(&self, reach: Reach) -> &Client {
        match reach {
            Reach::Anywhere => &self.anywhere,
            Reach::AllowedNetworks => &self.allowed_networks,
        }
    }
}

/// No redirects, no retries of its own (every POST is an attempt), no proxy from the environment, and
/// no decompression (the feature is not compiled in). HTTP/1.1 only: one request per connection keeps
/// one slow response from holding up the others.
fn build(policy: &Arc<EgressPolicy>, reach: Reach) -> Result<Client, reqwest::Error> {
    let roots =
        webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|der| reqwest::Certificate::from_der(der).ok());
    let builder = match &policy.proxy {
        Some(proxy) => Client::builder().proxy(reqwest::Proxy::all(proxy.as_str())?),
        None => Client::builder().no_proxy(),
    };
    builder
        .dns_resolver(GuardedResolver { policy: policy.clone(), reach })
        .tls_certs_only(roots)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .pool_max_idle_per_host(IDLE_MAX)
        .pool_idle_timeout(Duration::from_secs(30))
        .build()
}

/// What went wrong, from the client's chain of errors.
pub(crate) fn classify(error: &reqwest::Error) -> (ErrorKind, String) {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut innermost = String::new();
    while let Some(current) = source {
        if let Some(refusal) = current.downcast_ref::<Refusal>() {
            return (refusal.kind, refusal.message.clone());
        }
        if let Some(refusal) = current.downcast_ref::<Box<Refusal>>() {
            return (refusal.kind, refusal.message.clone());
        }
        if let Some(tls) = tls_error(current) {
            return (ErrorKind::Tls, tls);
        }
        innermost = current.to_string();
        source = current.source();
    }
    let kind = match error {
        _ if error.is_timeout() => ErrorKind::Timeout,
        _ if error.is_connect() => ErrorKind::Connect,
        _ if error.is_builder() => ErrorKind::BadUrl,
        _ => ErrorKind::Protocol,
    };
    (kind, innermost)
}

/// rustls errors arrive inside `io::Error`s, whose inner error is no `source` of theirs.
fn tls_error(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls.to_string());
    }
    let inner = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    tls_error(inner)
}
