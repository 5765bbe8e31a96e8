//! The HTTP client's resolver: resolves, then lets only allowed addresses through.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{io, vec};

use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;
use whimbrel_core::outcome::ErrorKind;

use super::{EgressPolicy, Reach};
use crate::failure::Failure;

/// Resolves through the system and filters by policy. Its errors are found again in the client's chain of errors.
#[derive(Clone)]
pub(crate) struct GuardedResolver {
    pub(crate) policy: Arc<EgressPolicy>,
    pub(crate) reach: Reach,
}

impl Service<Name> for GuardedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { policy, reach } = self.clone();
        Box::pin(async move { lookup(&policy, reach, name.as_str()).await })
    }
}

async fn lookup(policy: &EgressPolicy, reach: Reach, name: &str) -> Result<vec::IntoIter<SocketAddr>, Failure> {
    let failed = |message: String| Failure::new(ErrorKind::Dns, message);
    let found = addresses(name).await.map_err(|error| failed(format!("`{name}` does not resolve: {error}")))?;
    let first = *found.first().ok_or_else(|| failed(format!("`{name}` has no address")))?;
    let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| policy.allows(address.ip(), reach)).collect();
    if allowed.is_empty() {
        let Failure { kind, message } = policy.refusal(first.ip(), reach);
        return Err(Failure::new(kind, format!("`{name}`: {message}")));
    }
    Ok(allowed.into_iter())
}

/// As a whole name first: a cluster's search list would be asked four or five times before it otherwise, and could
/// answer for it. Names that only the search list or a hosts file knows come after.
async fn addresses(name: &str) -> io::Result<Vec<SocketAddr>> {
    if name.contains('.') && !name.ends_with('.') {
        let whole = format!("{name}.");
        if let Ok(found) = tokio::net::lookup_host((whole.as_str(), 0)).await {
            return Ok(found.collect());
        }
    }
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}
