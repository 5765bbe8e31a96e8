//! Reading a body within its bounds.

use std::error::Error as _;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::Bytes;
use http_body_util::LengthLimitError;
use whimbrel_core::intake::essence;

use crate::problem::{Answer, Problem};
use crate::state::Settings;

/// The content type in lower case without its parameters; empty when absent.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    essence(value).to_ascii_lowercase()
}

/// The whole body, if it has at most `bytes_max` bytes and arrives in time.
pub(crate) async fn read_body(request: Request, bytes_max: usize, settings: &Settings) -> Answer<Bytes> {
    let too_large =
        || Problem::too_large(format!("the body is larger than the {bytes_max} bytes that this address takes"));
    if announced_length(request.headers()).is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large());
    }
    let reading = axum::body::to_bytes(request.into_body(), bytes_max);
    let read = tokio::time::timeout(settings.body_timeout, reading).await.map_err(|_| {
        Problem::too_slow(format!("the body did not arrive within {} s", settings.body_timeout.as_secs()))
    })?;
    read.map_err(|error| match error.source() {
        Some(cause) if cause.is::<LengthLimitError>() => too_large(),
        _ => Problem::bad_request("the body broke off"),
    })
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
