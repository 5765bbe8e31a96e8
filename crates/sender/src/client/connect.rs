//! New connections: name, address, proxy, TLS.

use std::sync::Arc;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower::{Service, ServiceExt};
use url::{Position, Url};

use super::destination::{Destination, authorization};
use crate::egress::{EgressPolicy, GuardedResolver, Reach};
use crate::failure::Failure;

/// A connection's bytes, with TLS or without.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connects in the deployment's way.
pub(super) enum Connector {
    /// To addresses that the policy allows, one connector per reach.
    Direct { anywhere: HttpsConnector<Guarded>, allowed_networks: HttpsConnector<Guarded> },
    /// To a proxy, which resolves the receivers' names: through a tunnel with TLS in it, or, for plain HTTP, to the
    /// proxy itself.
    Proxied { tunnel: Box<HttpsConnector<Tunnel<HttpConnector>>>, plain: HttpConnector, proxy: Uri },
}

type Guarded = HttpConnector<GuardedResolver>;

impl Connector {
    pub(super) fn new(roots: RootCertStore, policy: &Arc<EgressPolicy>) -> Result<Self, rustls::Error> {
        let tls = tls(roots)?;
        let Some(proxy) = &policy.proxy else {
            let guarded = |reach| {
                let resolver = GuardedResolver { policy: policy.clone(), reach };
                HttpsConnector::from((tcp(HttpConnector::new_with_resolver(resolver)), tls.clone()))
            };
            return Ok(Self::Direct {
                anywhere: guarded(Reach::Anywhere),
                allowed_networks: guarded(Reach::AllowedNetworks),
            });
        };
        let plain = tcp(HttpConnector::new_with_resolver(GaiResolver::new()));
        let uri = uri(proxy)?;
        let tunnel = Tunnel::new(uri.clone(), plain.clone());
        let tunnel = match authorization(proxy) {
            Some(value) => tunnel.with_auth(value),
            None => tunnel,
        };
        Ok(Self::Proxied { tunnel: Box::new(HttpsConnector::from((tunnel, tls))), plain, proxy: uri })
    }

    pub(super) async fn connect(&self, to: &Destination) -> Result<Stream, Failure> {
        match self {
            Self::Direct { anywhere, allowed_networks } => {
                let connector = match to.reach {
                    Reach::Anywhere => anywhere,
                    Reach::AllowedNetworks => allowed_networks,
                };
                open(connector.clone(), to.origin.clone()).await
            }
            Self::Proxied { plain, proxy, .. } if to.origin.scheme_str() == Some("http") => {
                open(plain.clone(), proxy.clone()).await.map(MaybeHttpsStream::Http)
            }
            Self::Proxied { tunnel, .. } => open(*tunnel.clone(), to.origin.clone()).await,
        }
    }
}

async fn open<C>(connector: C, uri: Uri) -> Result<C::Response, Failure>
where
    C: Service<Uri, Error: Into<BoxError>>,
{
    connector.oneshot(uri).await.map_err(|error| Failure::connect(&*error.into()))
}

fn tcp<R>(mut connector: HttpConnector<R>) -> HttpConnector<R> {
    // The layers above it bring the schemes.
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector
}

/// No other protocol than HTTP/1.1.
fn tls(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The proxy's address without its password.
fn uri(proxy: &Url) -> Result<Uri, rustls::Error> {
    let address = &proxy[Position::BeforeHost..Position::AfterPort];
    format!("http://{address}")
        .parse()
        .map_err(|_| rustls::Error::General(format!("`{address}` is no proxy's address")))
}
