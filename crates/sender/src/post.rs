//! One signed POST, from guard to outcome. One deadline covers connecting, sending and the status line;
//! capturing the body ends with it too, without changing the verdict (rule 5).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use tokio::time::{Instant, timeout_at};
use whimbrel_core::message::Job;
use whimbrel_core::outcome::{Attempted, ErrorKind, Reply};
use whimbrel_core::port::Clock;
use whimbrel_core::signing::Signed;
use whimbrel_core::{ExecutionId, Timestamp};

use crate::cache::{Target, Way};
use crate::client::{Clients, classify};

/// Makes the attempt.
pub(crate) async fn post(clients: &Clients, clock: &dyn Clock, target: &Target, job: &Job) -> Attempted {
    let started_at = clock.now();
    let execution = ExecutionId::generate(started_at, clock.random10());
    let started = Instant::now();
    let reply = attempt(clients, target, job, started_at, started).await;
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
    started_at: Timestamp,
    started: Instant,
) -> Result<(Reply, Duration), (ErrorKind, String)> {
    let way = target.way.as_ref().map_err(Clone::clone)?;
    let timeout = target.contract.timeout();
    let deadline = started + timeout;
    let request = clients
        .for_reach(way.reach)
        .post(way.url.clone())
        .headers(headers(way, job, started_at)?)
        .body(job.body.bytes.clone());
    let response = match timeout_at(deadline, request.send()).await {
        Err(_) => return Err((ErrorKind::Timeout, format!("no status line within {}", humantime(timeout)))),
        Ok(Err(error)) => return Err(classify(&error)),
        Ok(Ok(response)) => response,
    };
    let duration = started.elapsed();
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value, started_at));
    let body = capture(response, target.contract.response_capture_bytes(), deadline).await;
    Ok((Reply::Response { status, body, retry_after }, duration))
}

fn headers(way: &Way, job: &Job, at: Timestamp) -> Result<HeaderMap, (ErrorKind, String)> {
    let event = job.body.event.to_string();
    let message = Signed {
        event_id: &event,
        event_type: &job.body.event_type,
        event_at: job.body.occurred_at,
        attempt_at: at,
        body: &job.body.bytes,
    };
    let headers = way.signer.headers(&message);
    headers
        .into_iter()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable(name))?;
            let value = HeaderValue::from_str(&value).map_err(|_| unusable(name.as_str()))?;
            Ok((name, value))
        })
        .collect()
}

fn unusable(name: &str) -> (ErrorKind, String) {
    (ErrorKind::Protocol, format!("the contract's header `{name}` cannot be written"))
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

/// `Retry-After` in its two forms.
fn retry_after(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let secs = at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(Timestamp::from_secs(i64::try_from(secs).ok()?).since(now))
}

fn humantime(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}
