//! One signed POST, from guard to outcome. One deadline covers connecting, sending and the status line;
//! capturing the body ends with it too, without changing the verdict (rule 5).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::{HeaderName, HeaderValue, RETRY_AFTER};
use tokio::time::{Instant, timeout_at};
use whimbrel_core::message::Job;
use whimbrel_core::outcome::{Attempted, ErrorKind, Reply};
use whimbrel_core::port::Clock;
use whimbrel_core::{ExecutionId, Timestamp};

use crate::cache::Target;
use crate::client::{Clients, classify};
use crate::{headers, retry_after};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Makes the attempt.
pub(crate) async fn post(
    clients: &Clients,
    clock: &dyn Clock,
    target: &Target,
    job: &Job,
    traceparent: Option<HeaderValue>,
) -> Attempted {
    let started_at = clock.now();
    let execution = ExecutionId::generate(started_at, clock.random10());
    let started = Instant::now();
    let reply = attempt(clients, target, job, traceparent, (started_at, started)).await;
    let (reply, duration) = match reply {
        Ok((reply, duration)) => (reply, duration),
        Err((kind, message)) => (Reply::Error { kind, message }, started.elapsed()),
    };
    Attempted { execution, started_at, duration, reply }
}

async fn attempt(
    clients: &Clients,
    target: &Target,
    job: &Job,
    traceparent: Option<HeaderValue>,
    (started_at, started): (Timestamp, Instant),
) -> Result<(Reply, Duration), (ErrorKind, String)> {
    let way = target.way.as_ref().map_err(Clone::clone)?;
    let timeout = target.timeout();
    let deadline = started + timeout;
    let mut headers = headers::of_attempt(way, job, started_at)?;
    headers.extend(traceparent.map(|value| (TRACEPARENT, value)));
    let request = clients.for_reach(way.reach).post(way.url.clone()).headers(headers).body(job.body.bytes.clone());
    let response = match timeout_at(deadline, request.send()).await {
        Err(_) => return Err((ErrorKind::Timeout, format!("no status line within {}", humantime(timeout)))),
        Ok(Err(error)) => return Err(classify(&error)),
        Ok(Ok(response)) => response,
    };
    let duration = started.elapsed();
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| retry_after::parse(value.as_bytes(), started_at + duration));
    let body = capture(response, target.contract.response_capture_bytes(), deadline).await;
    Ok((Reply::Response { status, body, retry_after }, duration))
}

/// The first bytes of the body, for the log. What comes late, or breaks off, is left out.
async fn capture(mut response: Response, bytes_max: usize, deadline: Instant) -> Bytes {
    let mut captured = BytesMut::new();
    while captured.len() < bytes_max {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => captured.extend_from_slice(&chunk[..chunk.len().min(bytes_max - captured.len())]),
            _ => break,
        }
    }
    captured.freeze()
}

fn humantime(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

#[cfg(test)]
#[path = "post_tests.rs"]
mod tests;
