//! One signed POST, from guard to outcome. One deadline covers connecting, sending and the status line;
//! capturing the body ends with it too, without changing the verdict (rule 5).

use std::time::Duration;

use bytes::BytesMut;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use tokio::time::{Instant, timeout_at};
use whimbrel_core::message::Job;
use whimbrel_core::outcome::{Attempted, ErrorKind, Reply};
use whimbrel_core::port::Clock;
use whimbrel_core::{ExecutionId, Timestamp};

use crate::client::Client;
use crate::failure::Failure;
use crate::target::Target;
use crate::{headers, retry_after};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Makes the attempt.
pub(crate) async fn post(
    client: &Client,
    clock: &dyn Clock,
    target: &Target,
    job: &Job,
    traceparent: Option<HeaderValue>,
) -> Attempted {
    let started_at = clock.now();
    let execution = ExecutionId::generate(started_at, clock.random10());
    let started = Instant::now();
    let reply = attempt(client, target, job, traceparent, (started_at, started)).await;
    let (reply, duration) = match reply {
        Ok((reply, duration)) => (reply, duration),
        Err(Failure { kind, message }) => (Reply::Error { kind, message }, started.elapsed()),
    };
    Attempted { execution, started_at, duration, reply }
}

async fn attempt(
    client: &Client,
    target: &Target,
    job: &Job,
    traceparent: Option<HeaderValue>,
    (started_at, started): (Timestamp, Instant),
) -> Result<(Reply, Duration), Failure> {
    let way = target.way.as_ref().map_err(Clone::clone)?;
    let timeout = target.timeout;
    let deadline = started + timeout;
    let mut headers = headers::of_attempt(way, job, started_at)?;
    headers.extend(traceparent.map(|value| (TRACEPARENT, value)));
    let post = client.post(&way.destination, headers, job.body.bytes.clone());
    let Ok(answer) = timeout_at(deadline, post).await else {
        let message = format!("no status line within {}", humantime(timeout));
        return Err(Failure::new(ErrorKind::Timeout, message));
    };
    let answer = answer?;
    let duration = started.elapsed();
    let status = answer.status().as_u16();
    let retry_after =
        answer.headers().get(RETRY_AFTER).and_then(|value| retry_after::parse(value.as_bytes(), started_at + duration));
    // For the log. What comes late, or breaks off, is left out.
    let mut body = BytesMut::new();
    let captured = answer.capture(target.prepared.contract.response_capture_bytes(), &mut body);
    let _ = timeout_at(deadline, captured).await;
    Ok((Reply::Response { status, body: body.freeze(), retry_after }, duration))
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
