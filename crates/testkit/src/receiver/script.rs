//! What a receiver does about a request.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

/// What the receiver does about one request.
#[derive(Debug, Clone)]
pub enum Step {
    /// Answers. `Content-Length` is added.
    Respond {
        /// The status code.
        status: u16,
        /// Further headers, sent as written.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// Does nothing for that long, then the step.
    Delay(Duration, Box<Step>),
    /// Never answers, and keeps the connection open.
    Hang,
    /// Closes the connection without an answer.
    CloseConnection,
    /// Answers with this status at once, then sends one byte of body at each interval, for ever.
    DripBody {
        /// The status code.
        status: u16,
        /// The time between two bytes.
        every: Duration,
    },
    /// Answers with this status and a body of so many zero bytes, as fast as it is read.
    HugeBody {
        /// The status code.
        status: u16,
        /// The length of the body.
        bytes: u64,
    },
    /// Answers 302 with this `Location`.
    Redirect(String),
    /// Sends these bytes, which need not be HTTP, and closes the connection.
    Raw(Bytes),
}

impl Step {
    /// An answer with an empty body.
    pub fn status(status: u16) -> Self {
        Self::respond(status, Bytes::new())
    }

    /// An answer with a body and no further headers.
    pub fn respond(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Respond { status, headers: vec![], body: body.into() }
    }

    /// This answer with one more header; other steps stay as they are.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Respond { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// This step after a delay.
    pub fn after(self, delay: Duration) -> Self {
        Self::Delay(delay, Box::new(self))
    }
}

/// Steps in order; the last one repeats.
pub(super) struct Script {
    steps: VecDeque<Step>,
}

impl Script {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let steps: VecDeque<_> = steps.into_iter().collect();
        assert!(!steps.is_empty(), "a script has at least one step");
        Self { steps }
    }

    pub(super) fn next_step(&mut self) -> Step {
        let next = if self.steps.len() > 1 { self.steps.pop_front() } else { self.steps.front().cloned() };
        next.expect("a script has at least one step")
    }
}
