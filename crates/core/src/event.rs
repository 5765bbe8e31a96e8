//! Events: what upstream services publish.

use bytes::Bytes;

use crate::id::{EndpointId, EventId};
use crate::subscription::EventType;
use crate::tenant::TenantId;
use crate::time::Timestamp;

/// W3C trace context as it came in: the `traceparent` header's text and, with it, `tracestate`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceContext {
    /// `00-…-…-01`; empty when upstream sent none.
    pub traceparent: String,
    /// Vendors' own; mostly empty.
    pub tracestate: String,
}

/// An accepted event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Given at intake; the same on every attempt and replay.
    pub id: EventId,
    /// Whose.
    pub tenant: TenantId,
    /// What happened.
    pub event_type: EventType,
    /// When it happened. Receivers see whole seconds (rule 34).
    pub occurred_at: Timestamp,
    /// The body that receivers get, rendered once at fan-out.
    pub body: Bytes,
    /// Where the publisher's data lies inside `body`.
    pub data_range: std::ops::Range<usize>,
    /// The publisher's trace, or the span of intake within it.
    pub trace: TraceContext,
    /// When set, only this endpoint gets it (rule 22: test events).
    pub only_endpoint: Option<EndpointId>,
}
