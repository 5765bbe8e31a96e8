//! Errors as the API tells them: RFC 9457 problem documents.

use std::time::Duration;

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::port::{QueueError, StoreError};
use whimbrel_core::problem::Rejection;

/// The content type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A problem document (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Names the kind of problem, for programs: `urn:whimbrel:problem:` and a stable word.
    #[serde(rename = "type")]
    #[schema(example = "urn:whimbrel:problem:invalid")]
    pub kind: String,
    /// The kind of problem, for people.
    pub title: &'static str,
    /// The HTTP status code, repeated.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What was wrong with this request, and what to do.
    pub detail: String,
    /// The fields at fault, when there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) into the request's body; empty for the whole of it.
    #[schema(example = "/url")]
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl FieldError {
    /// An error of the field at `pointer`.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

impl From<Rejection> for FieldError {
    fn from(rejection: Rejection) -> Self {
        Self::new(rejection.pointer, rejection.message)
    }
}

/// An error on its way out: the document and the headers that go with it.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The document.
    pub body: ProblemBody,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a handler returns.
pub(crate) type Answer<T> = Result<T, Problem>;

impl Problem {
    fn new(status: StatusCode, word: &str, title: &'static str, detail: impl Into<String>) -> Self {
        let body = ProblemBody {
            kind: format!("urn:whimbrel:problem:{word}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
        };
        Self { body, headers: Vec::new() }
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.body.errors = errors;
        self
    }

    /// 400: something besides the body's fields is wrong.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", "bad request", detail)
    }

    /// 400: the body is not JSON.
    pub fn malformed_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_json", "the body is not JSON", detail)
    }

    /// 401, with the challenge that RFC 6750 asks for; `code` when a key was given.
    pub fn unauthorized(code: Option<&str>, detail: impl Into<String>) -> Self {
        let challenge = match code {
            Some(code) => format!("Bearer realm=\"whimbrel\", error=\"{code}\""),
            None => "Bearer realm=\"whimbrel\"".to_owned(),
        };
        let challenge = HeaderValue::try_from(challenge).expect("the codes are ASCII words");
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "no valid API key", detail)
            .with_header(WWW_AUTHENTICATE, challenge)
    }

    /// 403: the key does not reach that far.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "the key may not do this", detail)
    }

    /// 403: the key may, but the process itself may not.
    pub fn not_permitted(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not_permitted", "this process may not do this", detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "not found", detail)
    }

    /// 405; the router adds `Allow` unless `allow` is given.
    pub fn method_not_allowed(method: &axum::http::Method, allow: Option<HeaderValue>) -> Self {
        let detail = format!("this address does not know {method}; the Allow header names what it knows");
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "method not allowed", detail);
        match allow {
            Some(allow) => problem.with_header(ALLOW, allow),
            None => problem,
        }
    }

    /// 408: the body did not arrive in time.
    pub fn too_slow(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the request took too long", detail)
    }

    /// 409: the state of things forbids it; `word` says which.
    pub fn conflict(word: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, word, "conflict", detail)
    }

    /// 413.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "oversize", "too large", detail)
    }

    /// 415.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "unsupported media type", detail)
    }

    /// 422: these fields are at fault.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.message.clone(),
            _ => format!("{} fields are invalid, see errors", errors.len()),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "invalid fields", detail).with_errors(errors)
    }

    /// 422 for one field.
    pub fn invalid_field(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(pointer, message)])
    }

    /// 429: the same request may pass after `wait`, told in whole seconds.
    pub fn rate_limited(wait: Duration, detail: impl Into<String>) -> Self {
        let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests", detail)
            .with_header(RETRY_AFTER, HeaderValue::from(secs.max(1)))
    }

    /// 500. The cause is logged by who knows it, never told.
    pub fn internal() -> Self {
        let detail = "something failed inside Whimbrel; its log says more under this request's x-request-id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error", detail)
    }

    /// 503: worth trying again after `retry_after_secs`.
    pub fn unavailable(retry_after_secs: u32, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "temporarily unavailable", detail)
            .with_header(RETRY_AFTER, HeaderValue::from(retry_after_secs))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let document = serde_json::to_vec(&self.body).expect("a problem is plain text and numbers");
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_JSON)], document).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Away(_) | StoreError::Sealed { .. } => {
                tracing::warn!(%error, "a request failed: the store is away");
                Self::unavailable(1, "the store is away for the moment; try again")
            }
            StoreError::Refused(_) => {
                tracing::error!(%error, "a request failed: the store refused a statement");
                Self::internal()
            }
        }
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        tracing::warn!(%error, "a request failed: the queue did not take a message");
        match error {
            QueueError::Full(_) => {
                Self::unavailable(5, "the event queue is full; try again, with the same Idempotency-Key")
            }
            _ => Self::unavailable(1, "the queue is away for the moment; try again, with the same Idempotency-Key"),
        }
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let (status, title) = match rejection.reason {
            "oversize" => (StatusCode::PAYLOAD_TOO_LARGE, "too large"),
            "conflict" => (StatusCode::CONFLICT, "conflict"),
            "unknown_tenant" => (StatusCode::NOT_FOUND, "not found"),
            "not_json" => (StatusCode::BAD_REQUEST, "the body is not JSON"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "invalid fields"),
        };
        let problem = Self::new(status, rejection.reason, title, rejection.message.clone());
        problem.with_errors(vec![rejection.into()])
    }
}
