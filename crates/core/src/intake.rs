//! What an event from outside must be before it is queued: the same over HTTP and AMQP.

mod cloud_event;
mod format;
mod idempotency;
mod trace;
mod validate;

use bytes::Bytes;

pub use cloud_event::{CLOUD_EVENTS_JSON, CloudEvent};
pub use format::{Format, essence};
pub use idempotency::{IDEMPOTENCY_KEY_BYTES_MAX, IDEMPOTENCY_WINDOW, IdempotencyKey, content_hash};
pub use trace::trace_context;
pub use validate::{Window, check_payload, render_within, validate};

use crate::event::TraceContext;
use crate::problem::Rejection;
use crate::subscription::EventType;
use crate::tenant::TenantId;
use crate::time::Timestamp;

/// An event as its publisher sent it, in whatever form it came.
#[derive(Debug, Clone)]
pub struct IncomingEvent {
    /// The tenant, where the message itself names one.
    pub tenant: Option<TenantId>,
    /// What happened.
    pub event_type: EventType,
    /// The publisher's JSON, byte for byte.
    pub data: Bytes,
    /// When it happened, if the publisher says so.
    pub occurred_at: Option<Timestamp>,
    /// What makes a repeat of it known as one.
    pub key: Option<IdempotencyKey>,
    /// The publisher's trace, where the message itself carries one.
    pub trace: TraceContext,
}

/// Reads an event type.
pub fn event_type(text: &str) -> Result<EventType, Rejection> {
    EventType::try_new(text).map_err(|error| Rejection::new("bad_type", "/type", error.to_string()))
}
