//! The forms in which an event comes over AMQP.

use super::CLOUD_EVENTS_JSON;
use crate::message::PROTOBUF;

/// The media type's parameter that names the protobuf message, and what it says.
const PROTO: &str = "proto";
const EVENT: &str = "whimbrel.v1.Event";
const EVENTS: &str = "whimbrel.v1.Events";

/// What a content type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The data alone; the rest stands in properties and headers.
    Json,
    /// A CloudEvent in structured mode.
    CloudEvent,
    /// One event in protobuf.
    Event,
    /// Several.
    Events,
    /// Something else in protobuf.
    OtherProtobuf,
    /// Anything else.
    Other,
}

impl Format {
    /// By the media type, and for protobuf by the parameter `proto`; without it, one event.
    pub fn of(content_type: &str) -> Self {
        let is = |known: &str| essence(content_type).eq_ignore_ascii_case(known);
        if is("application/json") {
            return Self::Json;
        }
        if is(CLOUD_EVENTS_JSON) {
            return Self::CloudEvent;
        }
        if !is(PROTOBUF) {
            return Self::Other;
        }
        let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
        let mut named = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case(PROTO));
        match named.next().map(|(_, value)| value.trim().trim_matches('"')) {
            None | Some(EVENT) => Self::Event,
            Some(EVENTS) => Self::Events,
            Some(_) => Self::OtherProtobuf,
        }
    }
}

/// The media type without its parameters.
pub fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::PROTOBUF_EVENTS;

    #[test]
    fn the_parameter_says_what_it_is() {
        for (content_type, expected) in [
            ("application/x-protobuf", Format::Event),
            ("application/x-protobuf; charset=binary", Format::Event),
            ("application/x-protobuf; proto=whimbrel.v1.Event", Format::Event),
            (PROTOBUF_EVENTS, Format::Events),
            ("Application/X-Protobuf;Proto=\"whimbrel.v1.Events\"", Format::Events),
            ("application/x-protobuf; proto=whimbrel.v1.Jobs", Format::OtherProtobuf),
        ] {
            assert_eq!(Format::of(content_type), expected, "{content_type}");
        }
    }
}
