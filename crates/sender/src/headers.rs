//! A request's headers: the endpoint's own, and over them the contract's.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use whimbrel_core::Timestamp;
use whimbrel_core::contract::Contract;
use whimbrel_core::endpoint::CustomHeaders;
use whimbrel_core::message::Job;
use whimbrel_core::outcome::ErrorKind;
use whimbrel_core::signing::Signed;

use crate::failure::Failure;
use crate::target::{Prepared, Way};

/// What HTTP itself sets, and what would change how the body is read.
const OF_HTTP: [&str; 11] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// What an attempt and HTTP add at most: a signature's headers, the trace, the host, the length. A map with room for them
/// is not sorted anew in every attempt, nor is a copy of it.
const OF_ATTEMPT_MAX: usize = 8;

/// The names of a contract's headers, made once: each would otherwise be checked and copied for every attempt.
pub(crate) struct Names(Vec<HeaderName>);

impl Names {
    pub(crate) fn of(contract: &Contract) -> Result<Self, Failure> {
        contract.header_names().map(name_of).collect::<Result<_, _>>().map(Self)
    }

    fn get(&self, name: &str) -> Option<HeaderName> {
        self.0.iter().find(|known| known.as_str().eq_ignore_ascii_case(name)).cloned()
    }
}

/// The headers that are the same in every request under a contract.
pub(crate) fn of_contract(contract: &Contract) -> Result<HeaderMap, Failure> {
    let constant = contract.headers().constant().map(|(name, text)| Ok((name_of(name)?, value_of(name, text.into())?)));
    let mut map = constant.collect::<Result<HeaderMap, Failure>>()?;
    map.reserve(OF_ATTEMPT_MAX);
    Ok(map)
}

/// What every request to an endpoint carries: its own headers, and the contract's that never change.
pub(crate) fn constant(own: &CustomHeaders, prepared: &Prepared) -> Result<Arc<HeaderMap>, Failure> {
    let of_contract = prepared.headers.as_ref().map_err(Clone::clone)?;
    if own.0.is_empty() {
        return Ok(of_contract.clone());
    }
    let mut map = custom(own, &prepared.contract)?;
    map.extend(HeaderMap::clone(of_contract));
    map.reserve(OF_ATTEMPT_MAX);
    Ok(Arc::new(map))
}

/// An endpoint's own headers as they go out, without those that are the contract's or HTTP's. The values may be
/// credentials: they are marked sensitive, and no error repeats them.
fn custom(headers: &CustomHeaders, contract: &Contract) -> Result<HeaderMap, Failure> {
    let mut map = HeaderMap::new();
    for (place, (name, value)) in headers.0.iter().enumerate() {
        if is_taken(name, contract) {
            continue;
        }
        // The name is not repeated either: what HTTP does not allow as one may be a value in the wrong place.
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| unusable(&format!("the name of custom header {} is not allowed in http", place + 1)))?;
        let mut value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| unusable(&format!("the value of custom header `{name}` is not allowed in http")))?;
        value.set_sensitive(true);
        map.try_append(name, value).map_err(|_| unusable("there are too many custom headers"))?;
    }
    Ok(map)
}

fn unusable(why: &str) -> Failure {
    Failure::new(ErrorKind::BadUrl, format!("{why}; correct the endpoint's headers"))
}

/// Whether the header is not the endpoint's to set, even where this very request does not carry it.
fn is_taken(name: &str, contract: &Contract) -> bool {
    let always = [CONTENT_TYPE.as_str(), USER_AGENT.as_str()];
    let taken = OF_HTTP.into_iter().chain(always).chain(contract.header_names());
    taken.into_iter().any(|taken| taken.eq_ignore_ascii_case(name))
}

/// Every header of an attempt made at `at`.
pub(crate) fn of_attempt(way: &Way, job: &Job, at: Timestamp) -> Result<HeaderMap, Failure> {
    let event = job.body.event.to_string();
    let message = Signed {
        event_id: &event,
        event_type: &job.body.event_type,
        event_at: job.body.occurred_at,
        attempt_at: at,
        body: &job.body.bytes,
    };
    let mut map = HeaderMap::clone(&way.constant);
    for (name, text) in way.signer.of_message(&message) {
        let known = way.names.get(name).ok_or_else(|| unwritable(name))?;
        map.insert(known, value_of(name, text)?);
    }
    Ok(map)
}

fn name_of(text: &str) -> Result<HeaderName, Failure> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| unwritable(text))
}

/// Of the header with this name. An owned text is not copied.
fn value_of(name: &str, text: Cow<'_, str>) -> Result<HeaderValue, Failure> {
    let value = match text {
        Cow::Borrowed(text) => HeaderValue::from_str(text),
        Cow::Owned(text) => HeaderValue::from_maybe_shared(Bytes::from(text)),
    };
    value.map_err(|_| unwritable(name))
}

fn unwritable(name: &str) -> Failure {
    Failure::new(ErrorKind::Protocol, format!("the contract's header `{name}` cannot be written"))
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
