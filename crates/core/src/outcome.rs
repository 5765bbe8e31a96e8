//! Outcomes: what became of a job.

use std::time::Duration;

use bytes::Bytes;

use crate::contract::ContractName;
use crate::delivery::Attempt;
use crate::event::TraceContext;
use crate::id::{DeliveryId, EndpointId, EventId, ExecutionId};
use crate::time::Timestamp;

/// Why there was no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The name did not resolve.
    Dns,
    /// No connection.
    Connect,
    /// The certificate or the handshake.
    Tls,
    /// No status line within the contract's deadline.
    Timeout,
    /// The connection broke, or what came was no HTTP.
    Protocol,
    /// The address lies in a network that the deployment does not allow.
    BlockedAddress,
    /// Plain HTTP where the contract or the deployment wants HTTPS.
    InsecureUrl,
    /// The stored URL cannot be used.
    BadUrl,
}

impl ErrorKind {
    const ALL: [Self; 8] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Protocol,
        Self::BlockedAddress,
        Self::InsecureUrl,
        Self::BadUrl,
    ];

    /// The word stored, shown and used as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::BlockedAddress => "blocked_address",
            Self::InsecureUrl => "insecure_url",
            Self::BadUrl => "bad_url",
        }
    }

    /// The reverse of [`Self::as_str`]; a word from a newer version counts as a protocol error.
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).unwrap_or(Self::Protocol)
    }

    /// Whether policy refused it, so that trying again would change nothing.
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::BlockedAddress | Self::InsecureUrl | Self::BadUrl)
    }
}

/// What a POST brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status line within the deadline (rule 5).
    Response {
        /// 100–999.
        status: u16,
        /// The first bytes of the body.
        body: Bytes,
        /// What `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// No response.
    Error {
        /// The class.
        kind: ErrorKind,
        /// The words, without secrets.
        message: String,
    },
}

/// A POST that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// Which POST (rule 2).
    pub execution: ExecutionId,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took to the status line or the failure.
    pub duration: Duration,
    /// What came back.
    pub reply: Reply,
}

impl Attempted {
    /// Any 2xx within the deadline.
    pub fn is_success(&self) -> bool {
        matches!(self.reply, Reply::Response { status: 200..=299, .. })
    }

    /// The status, when there was a response.
    pub fn status_code(&self) -> Option<u16> {
        match self.reply {
            Reply::Response { status, .. } => Some(status),
            Reply::Error { .. } => None,
        }
    }

    /// The failure in words, when it failed.
    pub fn error(&self) -> Option<String> {
        match &self.reply {
            Reply::Response { status: 200..=299, .. } => None,
            Reply::Response { status, .. } => Some(format!("status: the endpoint answered {status}")),
            // PostgreSQL's texts hold no NUL, and one bad byte must not cost a batch.
            Reply::Error { kind, message } => Some(format!("{}: {}", kind.as_str(), message.replace('\0', ""))),
        }
    }
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// A POST was made, or refused by policy.
    Attempted(Attempted),
    /// The endpoint takes no deliveries; no attempt was used (rule 7).
    NotActive,
    /// Over the endpoint's cap for too long; no attempt was used (rule 17).
    Deferred,
}

/// The result of one job, on its way to the tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Of which event.
    pub event: EventId,
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// The job's round.
    pub round: u32,
    /// The job's attempt number.
    pub attempt: u32,
    /// The job's contract.
    pub contract: ContractName,
    /// The attempt's span.
    pub trace: TraceContext,
    /// What happened.
    pub fate: Fate,
}

impl Outcome {
    /// Whether it is an attempt that succeeded.
    pub fn is_success(&self) -> bool {
        matches!(&self.fate, Fate::Attempted(attempted) if attempted.is_success())
    }

    /// The row for the log, when a POST was made.
    pub fn attempt_row(&self) -> Option<Attempt> {
        let Fate::Attempted(attempted) = &self.fate else { return None };
        let response_body = match &attempted.reply {
            Reply::Response { body, .. } => body.clone(),
            Reply::Error { .. } => Bytes::new(),
        };
        Some(Attempt {
            delivery: self.delivery,
            number: self.attempt,
            round: self.round,
            execution: attempted.execution,
            started_at: attempted.started_at,
            duration_ms: u32::try_from(attempted.duration.as_millis()).unwrap_or(u32::MAX),
            status_code: attempted.status_code(),
            error: attempted.error(),
            response_body,
        })
    }
}
