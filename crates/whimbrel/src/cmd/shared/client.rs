//! The HTTP API, as the commands call it.

use std::time::Duration;

use anyhow::Context;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::Value;
use url::{Host, Url};

/// How long the API may take to answer one request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Calls one server's API under one key, for one tenant.
#[derive(Clone)]
pub(crate) struct ApiClient {
    http: reqwest::Client,
    base: String,
    key: String,
    tenant: Option<String>,
}

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Nothing answers, or not in time.
    #[error("no answer from {base}: {reason} (is the server running, and is this its address?)")]
    Unreachable {
        /// The server's address.
        base: String,
        /// The innermost cause.
        reason: String,
    },
    /// The server said no.
    #[error("{0}")]
    Problem(Problem),
    /// Something else than Whimbrel's API answers there.
    #[error("{base} answered {status} with something that is not JSON; is it Whimbrel's API?")]
    NotTheApi {
        /// The server's address.
        base: String,
        /// What it answered.
        status: u16,
    },
}

/// A problem document (RFC 9457).
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    title: String,
    status: u16,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
}

#[derive(Debug, Deserialize)]
struct FieldError {
    pointer: String,
    message: String,
}

impl std::fmt::Display for Problem {
    /// The detail in one line, and one line a field where they say more.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = if self.detail.is_empty() { &self.title } else { &self.detail };
        write!(f, "{words} ({} {})", self.status, self.title)?;
        for FieldError { pointer, message } in &self.errors {
            match (pointer.as_str(), message == words) {
                ("", true) => {}
                ("", false) => write!(f, "\n  {message}")?,
                (pointer, true) => write!(f, "\n  at {pointer}")?,
                (pointer, false) => write!(f, "\n  {pointer}: {message}")?,
            }
        }
        Ok(())
    }
}

impl ApiClient {
    /// For the server at `base`, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// When `base` is no URL.
    pub(crate) fn new(base: &str, key: &str) -> anyhow::Result<Self> {
        let url = Url::parse(base).with_context(|| format!("`{base}` is not a URL such as http://127.0.0.1:8080"))?;
        let roots =
            webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|der| reqwest::Certificate::from_der(der).ok());
        let redirects = reqwest::redirect::Policy::none();
        let builder = reqwest::Client::builder().timeout(TIMEOUT).redirect(redirects).tls_certs_only(roots);
        // A proxy from the environment does not lead to this machine.
        let builder = if is_local(&url) { builder.no_proxy() } else { builder };
        Ok(Self {
            http: builder.build()?,
            base: base.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
            tenant: None,
        })
    }

    /// The same, acting for this tenant.
    pub(crate) fn for_tenant(&self, tenant: &str) -> Self {
        Self { tenant: Some(tenant.to_owned()), ..self.clone() }
    }

    /// `GET path`.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.answer(self.request(Method::GET, path)).await
    }

    /// `DELETE path`.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, ApiError> {
        self.answer(self.request(Method::DELETE, path)).await
    }

    /// `POST path` with a JSON text, which goes out byte for byte.
    pub(crate) async fn post(&self, path: &str, json: impl Into<String>) -> Result<Value, ApiError> {
        self.post_keyed(path, json, None).await
    }

    /// The same, repeatable without effect under an idempotency key.
    pub(crate) async fn post_keyed(
        &self,
        path: &str,
        json: impl Into<String>,
        key: Option<&str>,
    ) -> Result<Value, ApiError> {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(json.into());
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        self.answer(request).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        match &self.tenant {
            Some(tenant) => request.header("whimbrel-tenant", tenant),
            None => request,
        }
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, ApiError> {
        let unreachable =
            |error: reqwest::Error| ApiError::Unreachable { base: self.base.clone(), reason: innermost(&error) };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unreachable)?;
        let foreign = || ApiError::NotTheApi { base: self.base.clone(), status: status.as_u16() };
        if status.is_success() {
            return if bytes.is_empty() {
                Ok(Value::Null)
            } else {
                serde_json::from_slice(&bytes).map_err(|_| foreign())
            };
        }
        Err(serde_json::from_slice(&bytes).map_or_else(|_| foreign(), ApiError::Problem))
    }
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The cause that says most: reqwest's own words stop at "error sending request".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(document: &str) -> String {
        serde_json::from_str::<Problem>(document).expect("a problem document").to_string()
    }

    #[test]
    fn a_problem_is_told_once_and_with_its_field() {
        let one = r#"{"type":"urn:x","title":"invalid fields","status":422,"detail":"no such type","errors":[{"pointer":"/type","message":"no such type"}]}"#;
        assert_eq!(shown(one), "no such type (422 invalid fields)\n  at /type");
        let two = r#"{"title":"invalid fields","status":422,"detail":"2 fields are invalid","errors":[{"pointer":"/url","message":"no url"},{"pointer":"","message":"odd"}]}"#;
        assert_eq!(shown(two), "2 fields are invalid (422 invalid fields)\n  /url: no url\n  odd");
        assert_eq!(shown(r#"{"title":"no valid API key","status":401}"#), "no valid API key (401 no valid API key)");
    }
}
