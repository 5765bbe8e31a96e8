//! What `listen` prints.

use std::fmt;
use std::io::Write;

use serde::Serialize;
use whimbrel_core::Timestamp;

use super::Seen;
use crate::cmd::shared::{Paint, bytes, clock_time, count};

/// One line for people.
pub(super) fn text(seen: &Seen, paint: Paint) -> String {
    let word = |text: &Option<String>| text.as_deref().unwrap_or("–").to_owned();
    let status = seen.status.to_string();
    let signature = match &seen.refusal {
        None => paint.good("✓ verified"),
        Some(reason) => paint.bad(&format!("✗ {reason}")),
    };
    format!(
        "{}  {}  {}  #{}  {}  {}  {}",
        paint.faint(&clock_time(seen.at)),
        paint.strong(&format!("{:<24}", word(&seen.event_type))),
        word(&seen.event_id),
        seen.attempt,
        if seen.is_accepted() { paint.good(&status) } else { paint.bad(&status) },
        paint.faint(&format!("{:>8}", bytes(seen.body.len()))),
        signature,
    )
}

/// One line for programs.
pub(super) fn json(seen: &Seen) -> String {
    let headers = seen
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned().into()));
    let line = JsonLine {
        at: seen.at,
        contract: seen.contract.as_str(),
        path: &seen.path,
        event_id: seen.event_id.as_deref(),
        event_type: seen.event_type.as_deref(),
        attempt: seen.attempt,
        verified: seen.is_verified(),
        reason: seen.refusal.as_deref(),
        status: seen.status,
        body_bytes: seen.body.len(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&seen.body),
    };
    serde_json::to_string(&line).expect("text, numbers and a map of texts")
}

#[derive(Serialize)]
struct JsonLine<'a> {
    at: Timestamp,
    contract: &'a str,
    path: &'a str,
    event_id: Option<&'a str>,
    event_type: Option<&'a str>,
    attempt: u32,
    verified: bool,
    reason: Option<&'a str>,
    status: u16,
    body_bytes: usize,
    headers: serde_json::Map<String, serde_json::Value>,
    body: std::borrow::Cow<'a, str>,
}

/// Writes a line at once: a reader at the other end of a pipe waits for it.
pub(super) fn out(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// What came over the whole time.
#[derive(Debug, Default)]
pub(super) struct Totals {
    requests: usize,
    verified: usize,
    accepted: usize,
}

impl Totals {
    /// Counts one in.
    pub(super) fn add(&mut self, seen: &Seen) {
        self.requests += 1;
        self.verified += usize::from(seen.is_verified());
        self.accepted += usize::from(seen.is_accepted());
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, verified, accepted } = *self;
        write!(
            f,
            "{}: {verified} verified, {} not; {accepted} answered with 2xx",
            count(requests, "request"),
            requests - verified
        )
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};
    use bytes::Bytes;

    use super::*;

    fn seen() -> Seen {
        Seen {
            at: Timestamp::from_micros(1_700_000_000_250_000),
            contract: "generic".parse().expect("a name"),
            path: "/hooks".into(),
            event_id: Some("evt_1".into()),
            event_type: Some("user.created".into()),
            attempt: 2,
            refusal: None,
            status: 500,
            headers: HeaderMap::from_iter([(axum::http::header::USER_AGENT, HeaderValue::from_static("x"))]),
            body: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn a_line_for_people() {
        let line = text(&seen(), Paint::off());
        assert_eq!(line, "22:13:20.250  user.created              evt_1  #2  500       2 B  ✓ verified");
        let forged = Seen { refusal: Some("no".into()), event_id: None, ..seen() };
        assert!(text(&forged, Paint::off()).ends_with("✗ no"));
    }

    #[test]
    fn a_line_for_programs() {
        let expected = concat!(
            r#"{"at":"2023-11-14T22:13:20.25Z","contract":"generic","path":"/hooks","event_id":"evt_1","event_type":"user.created","attempt":2,"#,
            r#""verified":true,"reason":null,"status":500,"body_bytes":2,"headers":{"user-agent":"x"},"body":"{}"}"#
        );
        assert_eq!(json(&seen()), expected);
    }

    #[test]
    fn totals_are_told_in_words() {
        let mut totals = Totals::default();
        totals.add(&seen());
        totals.add(&Seen { refusal: Some("no".into()), status: 204, ..seen() });
        assert_eq!(totals.to_string(), "2 requests: 1 verified, 1 not; 1 answered with 2xx");
    }
}
