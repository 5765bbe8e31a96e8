//! The export's format: one JSON object a line, `{"kind": {…}}`.

use serde::{Deserialize, Serialize};
use whimbrel_core::Timestamp;

use super::event::EventLine;
use super::owned::{EndpointLine, EventTypeLine, IdempotencyLine, KeyLine, TenantLine};

/// The version of this format; raised by whatever an older reader would get wrong.
pub(super) const FORMAT: u32 = 1;

/// One line. They come in this order: what a line refers to stands before it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Header(Header),
    Tenant(TenantLine),
    Key(KeyLine),
    EventType(EventTypeLine),
    Endpoint(EndpointLine),
    IdempotencyKey(IdempotencyLine),
    Event(EventLine),
    /// Last: without it the file was cut off.
    End(Counts),
}

/// Says what this is.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u32,
    /// The version of the binary that wrote it.
    pub(super) whimbrel: String,
    pub(super) exported_at: Timestamp,
}

/// How many lines of each kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) tenants: u64,
    pub(super) keys: u64,
    pub(super) event_types: u64,
    pub(super) endpoints: u64,
    pub(super) idempotency_keys: u64,
    pub(super) events: u64,
}

impl Counts {
    /// With one more line.
    pub(super) fn add(&mut self, line: &Line) {
        match line {
            Line::Header(_) | Line::End(_) => {}
            Line::Tenant(_) => self.tenants += 1,
            Line::Key(_) => self.keys += 1,
            Line::EventType(_) => self.event_types += 1,
            Line::Endpoint(_) => self.endpoints += 1,
            Line::IdempotencyKey(_) => self.idempotency_keys += 1,
            Line::Event(_) => self.events += 1,
        }
    }

    /// Kind by kind, for people.
    pub(super) fn named(self) -> [(&'static str, u64); 6] {
        [
            ("tenants", self.tenants),
            ("API keys", self.keys),
            ("event types", self.event_types),
            ("endpoints", self.endpoints),
            ("idempotency keys", self.idempotency_keys),
            ("events", self.events),
        ]
    }
}
