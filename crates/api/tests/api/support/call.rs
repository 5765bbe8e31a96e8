//! Requests and answers.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use serde_json::Value;
use tower::ServiceExt as _;

/// A request.
pub(crate) struct Call {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Body,
}

impl Call {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: Body::empty() }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.with("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.raw("application/json", &body.to_string())
    }

    pub(crate) fn raw(self, content_type: &str, body: &str) -> Self {
        let call = if content_type.is_empty() { self } else { self.with("content-type", content_type) };
        let call = call.with("content-length", &body.len().to_string());
        Self { body: Body::from(body.to_owned()), ..call }
    }

    /// Like [`Self::raw`], in chunks and without a length.
    pub(crate) fn streamed(self, content_type: &str, body: &str) -> Self {
        let chunks: Vec<Result<Bytes, std::io::Error>> =
            body.as_bytes().chunks(4096).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        Self { body: Body::from_stream(futures::stream::iter(chunks)), ..self.with("content-type", content_type) }
    }
}

impl Call {
    /// A body that never ends.
    pub(crate) fn stalled(self, content_type: &str) -> Self {
        let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        Self { body, ..self.with("content-type", content_type) }
    }
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(crate) async fn of(router: Router, call: Call) -> Self {
        let mut request = Request::builder().method(call.method.as_str()).uri(&call.path);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let response = router.oneshot(request.body(call.body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// The header, or nothing.
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The problem document of an answer with this status.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} is missing: {problem}");
        }
        problem
    }
}
