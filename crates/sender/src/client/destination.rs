//! Where a request goes, in the words of HTTP.

use std::sync::Arc;

use data_encoding::BASE64;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use url::{Position, Url};
use whimbrel_core::outcome::ErrorKind;

use crate::egress::{EgressPolicy, Reach};
use crate::failure::Failure;

/// Requests with the same one may share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Server(Arc<str>);

#[cfg(test)]
impl Server {
    pub(super) fn named(name: &str) -> Self {
        Self(name.into())
    }
}

/// A receiver's URL, taken apart once for all its requests.
pub(crate) struct Destination {
    pub(super) server: Server,
    /// Scheme, host and port.
    pub(super) origin: Uri,
    pub(super) reach: Reach,
    /// What the request line names: path and query, or the whole URL where a proxy reads it.
    pub(super) target: Uri,
    host: HeaderValue,
    proxy_authorization: Option<HeaderValue>,
}

impl Destination {
    /// Says what is wrong with a URL that HTTP cannot carry.
    pub(crate) fn new(url: &Url, reach: Reach, policy: &EgressPolicy) -> Result<Self, Failure> {
        let cannot = |why: String| Failure::new(ErrorKind::BadUrl, format!("the url cannot be requested: {why}"));
        let read = |text: &str| text.parse::<Uri>().map_err(|error| cannot(error.to_string()));
        let origin = &url[..Position::BeforePath];
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let by_proxy = policy.proxy.as_ref().filter(|_| url.scheme() == "http");
        let target = match by_proxy {
            Some(_) => &url[..Position::AfterQuery],
            None => &url[Position::BeforePath..Position::AfterQuery],
        };
        Ok(Self {
            server: Server(format!("{reach:?} {origin}").into()),
            origin: read(origin)?,
            reach,
            target: read(target)?,
            host: HeaderValue::from_str(host).map_err(|error| cannot(error.to_string()))?,
            proxy_authorization: by_proxy.and_then(authorization),
        })
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> &Uri {
        &self.origin
    }

    /// Adds the headers that say where the request goes.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(HOST, self.host.clone());
        if let Some(authorization) = &self.proxy_authorization {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
    }
}

/// Who Whimbrel is to the proxy, if its URL has a name or a password.
pub(super) fn authorization(proxy: &Url) -> Option<HeaderValue> {
    let (name, password) = (proxy.username(), proxy.password());
    if name.is_empty() && password.is_none() {
        return None;
    }
    let plain = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [&plain(name)[..], b":", &plain(password.unwrap_or_default())].concat();
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(&pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(url: &str, proxy: Option<&str>) -> Destination {
        let proxy = proxy.map(|proxy| proxy.parse().expect("a url"));
        let policy = EgressPolicy { proxy, ..EgressPolicy::default() };
        Destination::new(&url.parse().expect("a url"), Reach::Anywhere, &policy).expect("a destination")
    }

    fn headers(to: &Destination) -> HeaderMap {
        let mut headers = HeaderMap::new();
        to.write(&mut headers);
        headers
    }

    #[test]
    fn the_request_line_has_path_and_query_and_the_host_its_port() {
        for (url, target, host) in [
            ("https://example.com", "/", "example.com"),
            ("https://example.com:443/a", "/a", "example.com"),
            ("https://example.com:8443/a?b=c#d", "/a?b=c", "example.com:8443"),
            ("http://[::1]:80/%7e?", "/%7e?", "[::1]"),
            ("https://müller.example/ü", "/%C3%BC", "xn--mller-kva.example"),
        ] {
            let to = to(url, None);
            assert_eq!(
                (to.target.to_string().as_str(), &headers(&to)[HOST]),
                (target, &HeaderValue::from_static(host)),
                "{url}"
            );
        }
    }

    #[test]
    fn a_proxy_reads_the_whole_url_of_plain_http_and_learns_who_asks() {
        let proxy = Some("http://me:p%40ss@proxy.example:3128");
        let plain = to("http://example.com/a?b", proxy);
        assert_eq!(plain.target, "http://example.com/a?b");
        assert_eq!(headers(&plain)[PROXY_AUTHORIZATION], "Basic bWU6cEBzcw==");
        let tunnelled = to("https://example.com/a?b", proxy);
        assert_eq!(tunnelled.target, "/a?b");
        assert_eq!(headers(&tunnelled).get(PROXY_AUTHORIZATION), None, "it is the receiver that reads this");
    }

    #[test]
    fn connections_are_shared_by_scheme_host_port_and_reach() {
        let server = |url: &str, reach| {
            Destination::new(&url.parse().expect("a url"), reach, &EgressPolicy::default()).expect("one").server
        };
        let one = server("https://example.com/a", Reach::Anywhere);
        assert_eq!(one, server("https://EXAMPLE.com:443/b?c", Reach::Anywhere));
        for (url, reach) in [
            ("https://example.com:444/a", Reach::Anywhere),
            ("http://example.com/a", Reach::Anywhere),
            ("https://example.org/a", Reach::Anywhere),
            ("https://example.com/a", Reach::AllowedNetworks),
        ] {
            assert_ne!(one, server(url, reach), "{url}");
        }
    }
}
