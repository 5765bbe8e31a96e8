//! CloudEvents 1.0, structured mode in JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{IDEMPOTENCY_KEY_BYTES_MAX, IdempotencyKey, IncomingEvent, essence, event_type, trace_context};
use crate::event::TraceContext;
use crate::problem::Rejection;
use crate::tenant::TenantId;
use crate::time::Timestamp;

/// The content type of structured mode.
pub const CLOUD_EVENTS_JSON: &str = "application/cloudevents+json";

/// Reads CloudEvents.
///
/// Read are `specversion`, `id`, `source`, `type`, `time`, `datacontenttype`, `data`, and the extensions
/// `tenant`, `traceparent` and `tracestate`. Other attributes are allowed and not delivered.
#[derive(Debug)]
pub struct CloudEvent {
    attributes: BTreeMap<String, Box<RawValue>>,
}

impl CloudEvent {
    /// Reads one event. Only JSON data is possible: `data_base64` is refused (rule 34).
    pub fn parse(text: &[u8]) -> Result<IncomingEvent, Rejection> {
        let attributes = serde_json::from_slice(text)
            .map_err(|error| Rejection::new("not_json", "", format!("not a CloudEvent in JSON: {error}")))?;
        let mut event = Self { attributes };
        event.check_form()?;
        let key = event.identity()?;
        let tenant = event.optional("tenant", "/tenant")?;
        let tenant = tenant.map(|text| TenantId::try_new(&text)).transpose();
        Ok(IncomingEvent {
            tenant: tenant.map_err(|error| Rejection::new("unknown_tenant", "/tenant", error.to_string()))?,
            event_type: event_type(&event.required("type", "/type")?)?,
            occurred_at: event.time()?,
            key: Some(key),
            trace: event.trace()?,
            data: event.data()?,
        })
    }

    fn check_form(&self) -> Result<(), Rejection> {
        let version = self.required("specversion", "/specversion")?;
        if version != "1.0" {
            let message = format!("the specversion is `{version}`; CloudEvents 1.0 is understood");
            return Err(bad("/specversion", message));
        }
        if self.attributes.contains_key("data_base64") {
            return Err(bad("/data_base64", "binary data cannot be delivered; send JSON in `data`"));
        }
        match self.optional("datacontenttype", "/datacontenttype")? {
            Some(media) if !is_json(&media) => {
                Err(bad("/datacontenttype", format!("`{media}` is not JSON; only JSON data can be delivered")))
            }
            _ => Ok(()),
        }
    }

    fn identity(&self) -> Result<IdempotencyKey, Rejection> {
        let (source, id) = (self.required("source", "/source")?, self.required("id", "/id")?);
        if source.len() > IDEMPOTENCY_KEY_BYTES_MAX || id.len() > IDEMPOTENCY_KEY_BYTES_MAX {
            return Err(bad("/id", "source and id may have 1024 bytes each"));
        }
        Ok(IdempotencyKey::CloudEvent { source, id })
    }

    fn time(&self) -> Result<Option<Timestamp>, Rejection> {
        let text = self.optional("time", "/time")?;
        text.map(|text| text.parse().map_err(|_| bad("/time", format!("`{text}` is not an RFC 3339 time")))).transpose()
    }

    /// The distributed tracing extension.
    fn trace(&self) -> Result<TraceContext, Rejection> {
        let traceparent = self.optional("traceparent", "/traceparent")?.unwrap_or_default();
        let tracestate = self.optional("tracestate", "/tracestate")?.unwrap_or_default();
        Ok(trace_context(&traceparent, &tracestate))
    }

    fn data(&mut self) -> Result<Bytes, Rejection> {
        let data = self.attributes.remove("data").map(|raw| Bytes::from(String::from(Box::<str>::from(raw))));
        data.ok_or_else(|| bad("/data", "`data` is missing; there is nothing to deliver"))
    }

    /// An attribute that must be a string that is not empty.
    fn required(&self, name: &str, pointer: &'static str) -> Result<String, Rejection> {
        match self.optional(name, pointer)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(bad(pointer, format!("`{name}` is missing or empty"))),
        }
    }

    /// An attribute that is a string where it is present; null counts as absent.
    fn optional(&self, name: &str, pointer: &'static str) -> Result<Option<String>, Rejection> {
        let Some(raw) = self.attributes.get(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|_| bad(pointer, format!("`{name}` must be a string")))
    }
}

fn bad(pointer: &'static str, message: impl Into<String>) -> Rejection {
    Rejection::new("bad_cloud_event", pointer, message)
}

/// `application/json`, `text/json` or any `…+json`, whatever its parameters.
fn is_json(media: &str) -> bool {
    let essence = essence(media).to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{
        "specversion": "1.0", "id": "A234-1234-1234", "source": "/cloudevents/spec/pull", "type": "user.created",
        "time": "2026-04-05T17:31:00Z", "tenant": "acme", "subject": "123", "comexampleothervalue": 5,
        "datacontenttype": "application/json; charset=utf-8", "data": {"b":1.0,  "a":"\u00e9"}
    }"#;

    #[test]
    fn a_whole_event_is_read_and_its_data_keeps_its_bytes() {
        let event = CloudEvent::parse(WHOLE.as_bytes()).expect("a CloudEvent");
        assert_eq!(event.data, r#"{"b":1.0,  "a":"\u00e9"}"#);
        assert_eq!(event.event_type.as_str(), "user.created");
        assert_eq!(event.tenant, TenantId::try_new("acme").ok());
        assert_eq!(event.occurred_at.map(Timestamp::as_secs), Some(1_775_410_260));
        let key = IdempotencyKey::CloudEvent { source: "/cloudevents/spec/pull".into(), id: "A234-1234-1234".into() };
        assert_eq!(event.key, Some(key));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            (r#""1.0""#, r#""0.3""#, "/specversion"),
            (r#""id": "A234-1234-1234""#, r#""id": """#, "/id"),
            (r#""source": "/cloudevents/spec/pull","#, "", "/source"),
            (r#""user.created""#, r#""user created""#, "/type"),
            (r#""user.created""#, "7", "/type"),
            ("2026-04-05T17:31:00Z", "yesterday", "/time"),
            (r#""acme""#, r#""No Such""#, "/tenant"),
            ("application/json; charset=utf-8", "text/xml", "/datacontenttype"),
            (r#""data": {"b""#, r#""dada": {"b""#, "/data"),
        ];
        for (from, to, pointer) in cases {
            assert!(WHOLE.contains(from), "{from}");
            let rejection = CloudEvent::parse(WHOLE.replace(from, to).as_bytes()).expect_err(to);
            assert_eq!(rejection.pointer, pointer, "{rejection}");
        }
    }

    #[test]
    fn rule_34_base64_data_is_refused() {
        let text = WHOLE.replace(r#""subject": "123""#, r#""data_base64": "AAAA""#);
        assert_eq!(CloudEvent::parse(text.as_bytes()).expect_err("binary").pointer, "/data_base64");
    }

    #[test]
    fn what_is_no_object_is_not_json() {
        for text in ["", "[]", "1", "{\"id\":", "\u{feff}{}"] {
            assert_eq!(CloudEvent::parse(text.as_bytes()).expect_err("no event").reason, "not_json", "{text}");
        }
    }
}
