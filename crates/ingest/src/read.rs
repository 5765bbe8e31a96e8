//! What upstream published → an incoming event, by content type (rule 6: AMQP events need an id of
//! their own).

use bytes::Bytes;
use whimbrel_core::event::TraceContext;
use whimbrel_core::intake::{CloudEvent, Format, IdempotencyKey, IncomingEvent, essence, event_type, trace_context};
use whimbrel_core::message::{decode, trace_from_wire, v1};
use whimbrel_core::port::Received;
use whimbrel_core::problem::Rejection;
use whimbrel_core::{EndpointId, EventId, TenantId, Timestamp};

use crate::unpack::events;

/// An event that could be read.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// As published.
    pub(crate) event: IncomingEvent,
    /// Whose.
    pub(crate) tenant: TenantId,
    /// Given by the API, which checked it and claimed its key; `None` for upstream's own.
    pub(crate) id: Option<EventId>,
    /// See [`whimbrel_core::event::Event::only_endpoint`].
    pub(crate) only_endpoint: Option<EndpointId>,
    /// An endpoint that does not get it, because it is about that endpoint.
    pub(crate) except_endpoint: Option<EndpointId>,
}

/// Reads a message; a rejection says why it cannot be accepted.
pub(crate) fn read(message: &Received) -> Result<Incoming, Rejection> {
    match Format::of(&message.content_type) {
        Format::Json => plain(message),
        Format::CloudEvent => cloud_event(message),
        Format::Event => protobuf(message.payload.clone()),
        // Unpacked before, if that was possible.
        Format::Events => events(message.payload.clone())
            .and_then(|_| Err(Rejection::new("malformed", "", "a pack of events stands where one event is expected"))),
        Format::OtherProtobuf => Err(Rejection::new(
            "bad_content_type",
            "",
            format!("`{}` is neither whimbrel.v1.Event nor whimbrel.v1.Events", message.content_type),
        )),
        Format::Other => Err(Rejection::new(
            "bad_content_type",
            "",
            format!(
                "the content type `{}` is not application/json, application/cloudevents+json or application/x-protobuf",
                essence(&message.content_type).to_ascii_lowercase()
            ),
        )),
    }
}

fn plain(message: &Received) -> Result<Incoming, Rejection> {
    let tenant = tenant(
        header(message, "tenant")
            .ok_or_else(|| Rejection::new("unknown_tenant", "", "the header `tenant` is missing"))?,
    )?;
    if message.message_id.is_empty() {
        return Err(Rejection::new(
            "missing_id",
            "",
            "the property `message_id` is missing: it is the event's idempotency key",
        ));
    }
    let event = IncomingEvent {
        tenant: Some(tenant.clone()),
        event_type: event_type(&message.kind)?,
        data: message.payload.clone(),
        occurred_at: message.timestamp.and_then(|secs| i64::try_from(secs).ok()).map(Timestamp::from_secs),
        key: Some(IdempotencyKey::plain(&message.message_id)?),
        trace: trace_of(message),
    };
    Ok(Incoming { event, tenant, id: None, only_endpoint: None, except_endpoint: None })
}

fn cloud_event(message: &Received) -> Result<Incoming, Rejection> {
    let mut event = CloudEvent::parse(&message.payload)?;
    if event.trace.traceparent.is_empty() {
        event.trace = trace_of(message);
    }
    let tenant = match (&event.tenant, header(message, "tenant")) {
        (Some(tenant), _) => tenant.clone(),
        (None, Some(text)) => tenant(text)?,
        (None, None) => {
            return Err(Rejection::new("unknown_tenant", "/tenant", "the extension attribute `tenant` is missing"));
        }
    };
    Ok(Incoming { event, tenant, id: None, only_endpoint: None, except_endpoint: None })
}

fn protobuf(payload: Bytes) -> Result<Incoming, Rejection> {
    let malformed = |message: String| Rejection::new("malformed", "", message);
    let wire: v1::Event = decode("Event", payload).map_err(|error| malformed(error.to_string()))?;
    let id = optional(&wire.id, EventId::from_slice).map_err(|()| malformed("Event.id has not 16 bytes".into()))?;
    let only_endpoint = optional(&wire.only_endpoint, EndpointId::from_slice)
        .map_err(|()| malformed("Event.only_endpoint has not 16 bytes".into()))?;
    let except_endpoint = optional(&wire.except_endpoint, EndpointId::from_slice)
        .map_err(|()| malformed("Event.except_endpoint has not 16 bytes".into()))?;
    let key = match (id, wire.idempotency_key.as_str()) {
        (Some(_), _) => None,
        (None, "") => {
            let message = "Event.idempotency_key is missing: upstream's events need one";
            return Err(Rejection::new("missing_id", "/idempotency_key", message));
        }
        (None, key) => Some(IdempotencyKey::plain(key)?),
    };
    let tenant = tenant(&wire.tenant)?;
    let event = IncomingEvent {
        tenant: Some(tenant.clone()),
        event_type: event_type(&wire.r#type)?,
        data: wire.data,
        occurred_at: (wire.occurred_at_us != 0).then(|| Timestamp::from_micros(wire.occurred_at_us)),
        key,
        trace: trace_from_wire(wire.trace),
    };
    Ok(Incoming { event, tenant, id, only_endpoint, except_endpoint })
}

fn optional<T, E>(bytes: &[u8], read: impl Fn(&[u8]) -> Result<T, E>) -> Result<Option<T>, ()> {
    if bytes.is_empty() { Ok(None) } else { read(bytes).map(Some).map_err(|_| ()) }
}

fn tenant(text: &str) -> Result<TenantId, Rejection> {
    TenantId::try_new(text).map_err(|error| Rejection::new("unknown_tenant", "/tenant", error.to_string()))
}

/// The trace that a message's headers name, whatever its body is.
pub(crate) fn trace_of(message: &Received) -> TraceContext {
    let text = |name| header(message, name).unwrap_or_default();
    trace_context(text("traceparent"), text("tracestate"))
}

fn header<'m>(message: &'m Received, name: &str) -> Option<&'m str> {
    message.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
