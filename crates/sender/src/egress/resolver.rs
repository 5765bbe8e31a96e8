//! The HTTP client's resolver: resolves, then lets only allowed addresses through.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use whimbrel_core::outcome::ErrorKind;

use super::{EgressPolicy, Reach};

/// Why a name gave no usable address; found again in the client's chain of errors.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

/// Resolves through the system and filters by policy.
pub(crate) struct GuardedResolver {
    pub(crate) policy: Arc<EgressPolicy>,
    pub(crate) reach: Reach,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        let reach = self.reach;
        Box::pin(async move { Ok(lookup(&policy, reach, name.as_str()).await?) })
    }
}

async fn lookup(policy: &EgressPolicy, reach: Reach, name: &str) -> Result<Addrs, Box<Refusal>> {
    let failed = |message: String| Box::new(Refusal { kind: ErrorKind::Dns, message });
    let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0))
        .await
        .map_err(|error| failed(format!("`{name}` does not resolve: {error}")))?
        .collect();
    let first = *found.first().ok_or_else(|| failed(format!("`{name}` has no address")))?;
    let allowed: Vec<SocketAddr> =
        found.into_iter().filter(|address| policy.is_proxy(name) || policy.allows(address.ip(), reach)).collect();
    if allowed.is_empty() {
        let (kind, message) = policy.refusal(first.ip(), reach);
        return Err(Box::new(Refusal { kind, message: format!("`{name}`: {message}") }));
    }
    Ok(Box::new(allowed.into_iter()))
}
