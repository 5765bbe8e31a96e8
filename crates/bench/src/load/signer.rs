//! Signed POSTs as the contract `standard` has them, made as cheaply as they can be.

use anyhow::{Context, Result};
use bytes::Bytes;
use data_encoding::BASE64;
use hyper::{Request, Uri};
use ring::hmac;

use super::connection::Outgoing;

/// Makes signed requests to one endpoint.
pub struct Signer {
    uri: Uri,
    host: String,
    key: hmac::Key,
}

impl Signer {
    /// For the endpoint at `url`, with its key.
    ///
    /// # Errors
    /// When `url` names no host.
    pub fn new(url: &str, key: hmac::Key) -> Result<Self> {
        let uri: Uri = url.parse()?;
        let host = uri.authority().with_context(|| format!("{url} names no host"))?.to_string();
        let uri = uri.path().parse()?;
        Ok(Self { uri, host, key })
    }

    /// A POST of `body` under the event id `id`.
    pub fn request(&self, id: &str, body: Bytes) -> Outgoing {
        let timestamp = whimbrel_testkit::wait::unix_now().as_secs().to_string();
        let signature = sign(&self.key, id, &timestamp, &body);
        Request::post(self.uri.clone())
            .header("host", &self.host)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body.into())
            .expect("ids, numbers and base64 are header values")
    }
}

/// The value of `webhook-signature`.
pub fn sign(key: &hmac::Key, id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    let mut value = String::from("v1,");
    BASE64.encode_append(context.sign().as_ref(), &mut value);
    value
}
