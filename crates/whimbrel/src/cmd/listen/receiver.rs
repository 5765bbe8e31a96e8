//! A local HTTP receiver that verifies what it gets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use whimbrel_core::port::{Clock, SystemClock};

use super::answers::{Answers, Place};
use super::seen::{self, Seen};
use crate::cmd::shared::Verifier;
use crate::serving::{Bounds, serve_until};

/// The largest body that is read: above every contract's payload limit.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How many events' attempts are counted; beyond, counting starts anew.
const EVENTS_MAX: usize = 100_000;
/// How long open connections may take to finish when the receiver stops.
const DRAIN: Duration = Duration::from_secs(1);

/// A running receiver; gone when dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

struct Shared {
    verifier: Verifier,
    answers: Answers,
    counts: Mutex<Counts>,
    lines: mpsc::Sender<Seen>,
}

#[derive(Default)]
struct Counts {
    requests: usize,
    /// By event id: its place among the events, and its requests so far.
    events: HashMap<String, (usize, u32)>,
}

impl Receiver {
    /// Takes every POST to the listener's address, whatever the path, and reports each to `lines` before
    /// it is answered.
    ///
    /// # Errors
    /// When the listener has no address.
    pub(crate) fn start(
        listener: TcpListener,
        verifier: Verifier,
        answers: Answers,
        lines: mpsc::Sender<Seen>,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { verifier, answers, counts: Mutex::default(), lines });
        let stop = CancellationToken::new();
        let router = axum::Router::new().fallback(receive).with_state(shared);
        let serving = serve_until(listener, move || router.clone(), Bounds::default(), stop.clone());
        Ok(Self { address, stop, task: tokio::spawn(serving) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests and lets the ones under way finish, for a moment.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        // Whatever is still open then is cut by the drop.
        let _ = tokio::time::timeout(DRAIN, &mut self.task).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
        self.task.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if request.method() != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, [("allow", "POST")], "webhooks are POSTed\n").into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body broke off or is too large\n").into_response();
    };
    let seen = shared.look(&parts, body);
    let status = StatusCode::from_u16(seen.status).expect("answers hold statuses of 200 to 599");
    // Told before the answer: a sender that gives up during the delay ends this task. When nobody reads
    // the lines any more, the receiver is about to stop.
    let _ = shared.lines.send(seen).await;
    tokio::time::sleep(shared.answers.delay()).await;
    let words = if status.is_success() { "received\n" } else { "refused, as scripted\n" };
    (status, words).into_response()
}

impl Shared {
    fn look(&self, parts: &axum::http::request::Parts, body: Bytes) -> Seen {
        let now = SystemClock.now();
        let contract = self.verifier.contract();
        let (event_id, event_type) = seen::event(contract, &parts.headers, &body);
        let verified = self.verifier.verify(&|name| seen::header(&parts.headers, name), &body, now);
        let place = self.counts.lock().unwrap_or_else(PoisonError::into_inner).place(event_id.as_deref());
        Seen {
            at: now,
            contract: contract.name().clone(),
            path: parts.uri.path().to_owned(),
            event_id,
            event_type,
            attempt: place.attempt,
            refusal: verified.err().map(|reason| reason.to_string()),
            status: self.answers.status(place),
            headers: parts.headers.clone(),
            body,
        }
    }
}

impl Counts {
    /// Counts a request. Those without an event's id count as one event's.
    fn place(&mut self, event_id: Option<&str>) -> Place {
        if self.events.len() >= EVENTS_MAX {
            self.events.clear();
        }
        self.requests += 1;
        let next = self.events.len() + 1;
        let (event, attempt) = self.events.entry(event_id.unwrap_or_default().to_owned()).or_insert((next, 0));
        *attempt += 1;
        Place { request: self.requests, event: *event, attempt: *attempt }
    }
}
