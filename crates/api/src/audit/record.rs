//! Records each change that was made, after it was made.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use whimbrel_core::id::AuditId;
use whimbrel_core::port::AuditEntry;

use super::Slip;
use crate::request_id;
use crate::state::{ApiState, SharedState};

/// Routes that change nothing but send events, of which there are too many; the event log shows them.
const INTAKE: [&str; 2] = ["/v1/events", "/v1/events/batch"];
/// The longest path and request id that are kept, in characters.
const TEXT_MAX: usize = 512;

/// The request's route, if what it changes is recorded.
pub(crate) fn recorded_route(request: &Request) -> Option<MatchedPath> {
    let route = request.extensions().get::<MatchedPath>()?;
    is_recorded(request.method(), route.as_str()).then(|| route.clone())
}

fn is_recorded(method: &Method, route: &str) -> bool {
    let changes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method);
    changes && !INTAKE.contains(&route)
}

/// Lets a change through and records it if it was made. Both are finished even when the caller hangs up. An entry that
/// cannot be stored is an error in the process's log, and the answer stays as it is.
pub(crate) async fn record(state: SharedState, route: MatchedPath, mut request: Request, next: Next) -> Response {
    let slip = Slip::default();
    request.extensions_mut().insert(slip.clone());
    let asked = Asked::of(&request, &route);
    let work = async move {
        let response = next.run(request).await;
        // Also after a failure: it may have come after the change.
        state.memory.known.forget();
        if response.status().is_success() {
            asked.store(&state, &slip, response.status().as_u16()).await;
        }
        response
    };
    match tokio::spawn(work.in_current_span()).await {
        Ok(response) => response,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// What is known before the change.
struct Asked {
    action: String,
    subject: String,
    request_id: String,
}

impl Asked {
    fn of(request: &Request, route: &MatchedPath) -> Self {
        let cut = |text: &str| text.chars().take(TEXT_MAX).collect();
        Self {
            action: format!("{} {}", request.method(), route.as_str()),
            subject: cut(request.uri().path()),
            request_id: cut(request_id::of(request.headers())),
        }
    }

    async fn store(self, state: &ApiState, slip: &Slip, status: u16) {
        let entry = AuditEntry {
            id: AuditId::generate(state.clock.now(), state.clock.random10()),
            actor: slip.actor().map_or_else(|| "unknown".to_owned(), |actor| actor.to_string()),
            tenant: slip.tenant().cloned(),
            action: self.action,
            subject: self.subject,
            status,
            request_id: self.request_id,
        };
        if let Err(error) = state.store.record(&entry).await {
            tracing::error!(
                %error, actor = entry.actor, action = entry.action, subject = entry.subject,
                "a change could not be recorded in the audit log"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_recorded_but_for_the_intake_of_events() {
        for (method, route) in [
            (Method::POST, "/v1/webhooks"),
            (Method::PUT, "/v1/event-types/{type}"),
            (Method::PATCH, "/v1/webhooks/{id}"),
            (Method::DELETE, "/v1/events/{id}/payload"),
        ] {
            assert!(is_recorded(&method, route), "{method} {route}");
        }
        for (method, route) in
            [(Method::POST, "/v1/events"), (Method::POST, "/v1/events/batch"), (Method::GET, "/v1/webhooks")]
        {
            assert!(!is_recorded(&method, route), "{method} {route}");
        }
    }
}
