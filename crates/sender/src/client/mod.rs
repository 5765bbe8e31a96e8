//! The HTTP client: one POST on a connection of its own, with everything left out that a webhook must not have. No
//! redirects, no retries (every POST is an attempt), no proxy from the environment, no decompression; HTTP/1.1 only,
//! because one request per connection keeps one slow response from holding up the others.
//!
//! A connection is driven by the task whose POST it carries: no task of its own, no hand-over between the two.

mod connect;
mod connection;
mod destination;
mod pool;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use rustls::RootCertStore;

use self::connect::Connector;
pub(crate) use self::connection::Answer;
use self::connection::{Connection, Unsent};
pub(crate) use self::destination::Destination;
use self::pool::Pool;
use crate::egress::EgressPolicy;
use crate::failure::Failure;

/// A request as connections take it.
type Outgoing = Request<Full<Bytes>>;

/// Makes POSTs, and keeps their connections for the next ones.
pub(crate) struct Client {
    connector: Connector,
    pool: Pool,
}

impl Client {
    /// One that trusts what Mozilla trusts, and keeps so many connections for later.
    pub(crate) fn new(idle_max: usize, policy: &Arc<EgressPolicy>) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        Self::trusting(idle_max, roots, policy)
    }

    fn trusting(idle_max: usize, roots: RootCertStore, policy: &Arc<EgressPolicy>) -> Result<Self, rustls::Error> {
        Ok(Self { connector: Connector::new(roots, policy)?, pool: Pool::new(idle_max) })
    }

    /// Sends the request and waits for the head of its answer. Dropped before that, it closes its connection.
    pub(crate) async fn post(&self, to: &Destination, headers: HeaderMap, body: Bytes) -> Result<Answer<'_>, Failure> {
        let mut request = request(to, headers, body);
        while let Some(mut connection) = self.pool.take(&to.server) {
            match connection.send(request).await {
                Ok(response) => return Ok(Answer::new(connection, response, to.server.clone(), &self.pool)),
                // It was closed before anything was written to it.
                Err(Unsent::Whole(back)) => request = *back,
                Err(Unsent::Lost(error)) => return Err(Failure::exchange(&error)),
            }
        }
        // On the heap: it is rare, and large enough to double what every POST takes.
        Box::pin(self.post_on_new(to, request)).await
    }

    async fn post_on_new(&self, to: &Destination, request: Outgoing) -> Result<Answer<'_>, Failure> {
        let mut connection = Connection::open(self.connector.connect(to).await?).await?;
        match connection.send(request).await {
            Ok(response) => Ok(Answer::new(connection, response, to.server.clone(), &self.pool)),
            Err(Unsent::Lost(error)) => Err(Failure::exchange(&error)),
            Err(Unsent::Whole(_)) => Err(Failure::closed()),
        }
    }

    /// Closes connections that nobody has used for a while, for ever.
    pub(crate) async fn keep(&self) {
        self.pool.keep().await;
    }
}

fn request(to: &Destination, mut headers: HeaderMap, body: Bytes) -> Outgoing {
    to.write(&mut headers);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = to.target.clone();
    *request.headers_mut() = headers;
    request
}

#[cfg(test)]
mod tests;
