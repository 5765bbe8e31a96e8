//! What crosses the queue, in our own types: jobs, outcomes, events, notices, and their protobuf packs
//! (rule 14). Unknown or missing fields of another version are refused with words, never by a panic.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use crate::contract::ContractName;
use crate::event::TraceContext;
use crate::id::{DeliveryId, EndpointId, EventId, ExecutionId};
use crate::outcome::{Attempted, ErrorKind, Fate, Outcome, Reply};
use crate::time::Timestamp;

/// The generated protobuf types of `proto/whimbrel/v1`.
#[expect(missing_docs, reason = "generated; the .proto files carry the docs")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/whimbrel.v1.rs"));
}

/// The content type of everything in this module but [`v1::Events`].
pub const PROTOBUF: &str = "application/x-protobuf";
/// The content type of [`v1::Events`], which share a queue with single events.
pub const PROTOBUF_EVENTS: &str = "application/x-protobuf; proto=whimbrel.v1.Events";

/// Events in one pack.
pub const PACK_EVENTS_MAX: usize = 64;
/// Jobs in one pack.
pub const PACK_JOBS_MAX: usize = 16;
/// Outcomes in one pack.
pub const PACK_OUTCOMES_MAX: usize = 64;
/// Bytes in one pack, unless a single job is larger.
pub const PACK_BYTES_MAX: usize = 256 * 1024;

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// No protobuf of this kind.
    #[error("not a {kind} message: {reason}")]
    Malformed {
        /// Which message was expected.
        kind: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// A field does not hold what it must.
    #[error("{kind}.{field} is missing or malformed")]
    Field {
        /// Which message.
        kind: &'static str,
        /// Which field.
        field: &'static str,
    },
}

/// One event as its receivers get it, shared by the jobs of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Which event.
    pub event: EventId,
    /// Its type.
    pub event_type: String,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The bytes to send.
    pub bytes: Bytes,
    /// The event's trace.
    pub trace: TraceContext,
}

/// One delivery to attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Where to.
    pub endpoint: EndpointId,
    /// What.
    pub body: std::sync::Arc<Body>,
    /// See [`crate::delivery::Delivery::round`].
    pub round: u32,
    /// The attempt's number.
    pub attempt: u32,
    /// The contract in force at fan-out.
    pub contract: ContractName,
    /// The endpoint's version at fan-out (rule 10).
    pub endpoint_version: i64,
    /// Not before this.
    pub not_before: Option<Timestamp>,
    /// Times it was parked over its endpoint's cap (rule 17).
    pub hops: u32,
    /// How much of the delay before `not_before` is jitter.
    pub jitter: Duration,
    /// The span that made the job.
    pub trace: TraceContext,
}

impl Job {
    /// About what it adds to a pack, its body aside.
    const OVERHEAD_BYTES: usize = 160;
}

/// Splits jobs, in order, into encoded packs within the bounds; bodies shared by neighbours travel once.
pub fn encode_jobs(jobs: &[Job]) -> Vec<Bytes> {
    let mut packs = Vec::new();
    let mut pack = v1::Jobs::default();
    let mut bytes = 0;
    for job in jobs {
        let known = pack.bodies.last().is_some_and(|body| body.event_id.as_ref() == job.body.event.uuid().as_bytes());
        let added = Job::OVERHEAD_BYTES + if known { 0 } else { job.body.bytes.len() };
        if !pack.jobs.is_empty() && (pack.jobs.len() == PACK_JOBS_MAX || bytes + added > PACK_BYTES_MAX) {
            packs.push(std::mem::take(&mut pack).encode_to_vec().into());
            bytes = 0;
        }
        if pack.bodies.last().is_none_or(|body| body.event_id.as_ref() != job.body.event.uuid().as_bytes()) {
            pack.bodies.push(body_to_wire(&job.body));
        }
        bytes += added;
        let index = u32::try_from(pack.bodies.len() - 1).expect("a pack holds at most 16 bodies");
        pack.jobs.push(job_to_wire(job, index));
    }
    if !pack.jobs.is_empty() {
        packs.push(pack.encode_to_vec().into());
    }
    packs
}

/// A pack of encoded [`v1::Event`]s, which the caller keeps within the bounds.
pub fn encode_events(events: Vec<Bytes>) -> Bytes {
    v1::Events { events }.encode_to_vec().into()
}

fn body_to_wire(body: &Body) -> v1::Body {
    v1::Body {
        event_id: id_bytes(body.event.uuid()),
        event_type: body.event_type.clone(),
        occurred_at_us: body.occurred_at.as_micros(),
        body: body.bytes.clone(),
        trace: trace_to_wire(&body.trace),
    }
}

fn job_to_wire(job: &Job, body: u32) -> v1::Job {
    v1::Job {
        delivery_id: id_bytes(job.delivery.uuid()),
        endpoint_id: id_bytes(job.endpoint.uuid()),
        body,
        round: job.round,
        attempt: job.attempt,
        contract: job.contract.to_string(),
        endpoint_version: job.endpoint_version,
        not_before_us: job.not_before.map_or(0, Timestamp::as_micros),
        hops: job.hops,
        jitter_us: u64::try_from(job.jitter.as_micros()).unwrap_or(u64::MAX),
        trace: trace_to_wire(&job.trace),
    }
}

/// Reads a pack of jobs. Bodies are slices of `payload`, not copies.
pub fn decode_jobs(payload: Bytes) -> Result<Vec<Job>, MessageError> {
    let pack: v1::Jobs = decode("Jobs", payload)?;
    let bodies = pack
        .bodies
        .into_iter()
        .map(|body| body_from_wire(body).map(std::sync::Arc::new))
        .collect::<Result<Vec<_>, _>>()?;
    pack.jobs.into_iter().map(|job| job_from_wire(job, &bodies)).collect()
}

fn body_from_wire(body: v1::Body) -> Result<Body, MessageError> {
    Ok(Body {
        event: EventId::from_slice(&body.event_id).map_err(|_| field("Body", "event_id"))?,
        event_type: body.event_type,
        occurred_at: Timestamp::from_micros(body.occurred_at_us),
        bytes: body.body,
        trace: trace_from_wire(body.trace),
    })
}

fn job_from_wire(job: v1::Job, bodies: &[std::sync::Arc<Body>]) -> Result<Job, MessageError> {
    Ok(Job {
        delivery: DeliveryId::from_slice(&job.delivery_id).map_err(|_| field("Job", "delivery_id"))?,
        endpoint: EndpointId::from_slice(&job.endpoint_id).map_err(|_| field("Job", "endpoint_id"))?,
        body: bodies.get(job.body as usize).ok_or(field("Job", "body"))?.clone(),
        round: job.round,
        attempt: job.attempt,
        contract: job.contract.parse().map_err(|_| field("Job", "contract"))?,
        endpoint_version: job.endpoint_version,
        not_before: (job.not_before_us != 0).then(|| Timestamp::from_micros(job.not_before_us)),
        hops: job.hops,
        jitter: Duration::from_micros(job.jitter_us),
        trace: trace_from_wire(job.trace),
    })
}

/// Splits outcomes, in order, into encoded packs within the bounds.
pub fn encode_outcomes(outcomes: &[Outcome]) -> Vec<Bytes> {
    let mut packs = Vec::new();
    let mut pack = v1::Outcomes::default();
    let mut bytes = 0;
    for outcome in outcomes {
        let wire = outcome_to_wire(outcome);
        let added = wire.encoded_len();
        if !pack.outcomes.is_empty() && (pack.outcomes.len() == PACK_OUTCOMES_MAX || bytes + added > PACK_BYTES_MAX) {
            packs.push(std::mem::take(&mut pack).encode_to_vec().into());
            bytes = 0;
        }
        bytes += added;
        pack.outcomes.push(wire);
    }
    if !pack.outcomes.is_empty() {
        packs.push(pack.encode_to_vec().into());
    }
    packs
}

fn outcome_to_wire(outcome: &Outcome) -> v1::Outcome {
    let result = match &outcome.fate {
        Fate::NotActive => v1::outcome::Result::NotActive(v1::NotActive {}),
        Fate::Deferred => v1::outcome::Result::Deferred(v1::Deferred {}),
        Fate::Attempted(attempted) => v1::outcome::Result::Attempted(attempted_to_wire(attempted)),
    };
    v1::Outcome {
        delivery_id: id_bytes(outcome.delivery.uuid()),
        event_id: id_bytes(outcome.event.uuid()),
        endpoint_id: id_bytes(outcome.endpoint.uuid()),
        round: outcome.round,
        attempt: outcome.attempt,
        contract: outcome.contract.to_string(),
        trace: trace_to_wire(&outcome.trace),
        result: Some(result),
    }
}

fn attempted_to_wire(attempted: &Attempted) -> v1::Attempted {
    let mut wire = v1::Attempted {
        execution_id: id_bytes(attempted.execution.uuid()),
        started_at_us: attempted.started_at.as_micros(),
        duration_ms: u32::try_from(attempted.duration.as_millis()).unwrap_or(u32::MAX),
        ..v1::Attempted::default()
    };
    match &attempted.reply {
        Reply::Response { status, body, retry_after } => {
            wire.status_code = u32::from(*status);
            wire.response_body = body.clone();
            wire.retry_after_ms = retry_after.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        }
        Reply::Error { kind, message } => {
            kind.as_str().clone_into(&mut wire.error_kind);
            wire.error_message.clone_from(message);
        }
    }
    wire
}

/// Reads a pack of outcomes.
pub fn decode_outcomes(payload: Bytes) -> Result<Vec<Outcome>, MessageError> {
    let pack: v1::Outcomes = decode("Outcomes", payload)?;
    pack.outcomes.into_iter().map(outcome_from_wire).collect()
}

fn outcome_from_wire(outcome: v1::Outcome) -> Result<Outcome, MessageError> {
    let fate = match outcome.result.ok_or(field("Outcome", "result"))? {
        v1::outcome::Result::NotActive(_) => Fate::NotActive,
        v1::outcome::Result::Deferred(_) => Fate::Deferred,
        v1::outcome::Result::Attempted(attempted) => Fate::Attempted(attempted_from_wire(attempted)?),
    };
    Ok(Outcome {
        delivery: DeliveryId::from_slice(&outcome.delivery_id).map_err(|_| field("Outcome", "delivery_id"))?,
        event: EventId::from_slice(&outcome.event_id).map_err(|_| field("Outcome", "event_id"))?,
        endpoint: EndpointId::from_slice(&outcome.endpoint_id).map_err(|_| field("Outcome", "endpoint_id"))?,
        round: outcome.round,
        attempt: outcome.attempt,
        contract: outcome.contract.parse().map_err(|_| field("Outcome", "contract"))?,
        trace: trace_from_wire(outcome.trace),
        fate,
    })
}

fn attempted_from_wire(wire: v1::Attempted) -> Result<Attempted, MessageError> {
    let reply = match u16::try_from(wire.status_code).map_err(|_| field("Attempted", "status_code"))? {
        0 => Reply::Error { kind: ErrorKind::parse(&wire.error_kind), message: wire.error_message },
        status => Reply::Response {
            status,
            body: wire.response_body,
            retry_after: (wire.retry_after_ms != 0).then(|| Duration::from_millis(wire.retry_after_ms)),
        },
    };
    Ok(Attempted {
        execution: ExecutionId::from_slice(&wire.execution_id).map_err(|_| field("Attempted", "execution_id"))?,
        started_at: Timestamp::from_micros(wire.started_at_us),
        duration: Duration::from_millis(u64::from(wire.duration_ms)),
        reply,
    })
}

/// Reads one event or notice: the generated type is close enough to use as it is.
pub fn decode<M: prost::Message + Default>(kind: &'static str, payload: Bytes) -> Result<M, MessageError> {
    M::decode(payload).map_err(|error| MessageError::Malformed { kind, reason: error.to_string() })
}

fn field(kind: &'static str, field: &'static str) -> MessageError {
    MessageError::Field { kind, field }
}

/// An id as it travels.
pub fn id_bytes(uuid: uuid::Uuid) -> Bytes {
    Bytes::copy_from_slice(uuid.as_bytes())
}

/// A trace as it travels; nothing when empty.
pub fn trace_to_wire(trace: &TraceContext) -> Option<v1::Trace> {
    (!trace.traceparent.is_empty())
        .then(|| v1::Trace { traceparent: trace.traceparent.clone(), tracestate: trace.tracestate.clone() })
}

/// The reverse of [`trace_to_wire`].
pub fn trace_from_wire(trace: Option<v1::Trace>) -> TraceContext {
    trace.map_or_else(TraceContext::default, |trace| TraceContext {
        traceparent: trace.traceparent,
        tracestate: trace.tracestate,
    })
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
