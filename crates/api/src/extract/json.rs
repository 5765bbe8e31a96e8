//! JSON bodies. What is wrong with one is said with its place: line and column when it is not JSON,
//! a JSON Pointer when a field is at fault.

use axum::extract::{FromRequest, Request};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny};
use serde_path_to_error::{Path, Segment};

use super::{media_type, read_body};
use crate::problem::{Answer, Problem};
use crate::state::SharedState;

/// A management request's body: `application/json`, within the bounds for management.
pub(crate) struct ApiJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<SharedState> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &SharedState) -> Result<Self, Problem> {
        let media = media_type(request.headers());
        if media != "application/json" {
            return Err(Problem::unsupported_media_type(format!(
                "the content type is `{media}`; send application/json"
            )));
        }
        let body = read_body(request, state.settings.management_bytes_max, &state.settings).await?;
        decode(&body).map(Self)
    }
}

/// Reads a JSON object.
pub(crate) fn decode<T: DeserializeOwned>(text: &[u8]) -> Answer<T> {
    if text.trim_ascii_start().first() != Some(&b'{') {
        // Derived readers would take an array as the fields in their order.
        return Err(malformed(text).unwrap_or_else(|| Problem::invalid_field("", "must be a JSON object")));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        // A field at fault matters only in what is JSON to its end.
        malformed(text).unwrap_or_else(|| invalid(pointer, &error.into_inner()))
    })?;
    match deserializer.end() {
        Ok(()) => Ok(value),
        Err(error) => Err(Problem::malformed_json(error.to_string())),
    }
}

/// For fields where null differs from absence: `Some(None)` is null. Needs `#[serde(default)]` beside it.
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// What is wrong with a text that is no JSON.
fn malformed(text: &[u8]) -> Option<Problem> {
    serde_json::from_slice::<IgnoredAny>(text).err().map(|error| Problem::malformed_json(error.to_string()))
}

fn invalid(parent: String, error: &serde_json::Error) -> Problem {
    let message = without_place(&error.to_string());
    let pointer = match field_of_parent(&message) {
        Some(field) => format!("{parent}/{}", escape(field)),
        None => parent,
    };
    Problem::invalid_field(pointer, message)
}

/// The pointer of a path, RFC 6901.
fn pointer(path: &Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", escape(key)),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

/// A key as a segment of a JSON Pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(words, _)| words).to_owned()
}

/// The field of an error that is told of the object around it.
fn field_of_parent(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("missing field `").or_else(|| message.strip_prefix("duplicate field `"))?;
    rest.strip_suffix('`')
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their decoding is looked at")]
    struct Sample {
        url: String,
        events: Vec<String>,
        data: Box<serde_json::value::RawValue>,
    }

    fn refusal(text: &str) -> (u16, String, String) {
        let body = decode::<Sample>(text.as_bytes()).expect_err("not a sample").body;
        let pointer = body.errors.first().map_or(String::new(), |error| error.pointer.clone());
        (body.status, pointer, body.detail)
    }

    #[test]
    fn what_is_no_json_is_400_with_line_and_column() {
        for text in [
            "",
            "{",
            "{\"url\": \"x\",\n oops}",
            "[1,",
            "{\"x\": 1, oops",
            "\u{1}",
            r#"{"url":"","events":[],"data":1} 2"#,
        ] {
            let (status, _, detail) = refusal(text);
            assert_eq!(status, 400, "{text}: {detail}");
        }
        assert!(refusal("{\"url\": \"x\",\n oops}").2.contains("line 2 column"), "the place is told");
    }

    #[test]
    fn a_field_at_fault_is_422_with_its_pointer() {
        assert_eq!(refusal(r#"{"url":1}"#).1, "/url");
        assert_eq!(refusal(r#"{"url":"x","events":["a",2]}"#).1, "/events/1");
        assert_eq!(refusal(r#"{"url":"x","a/b":2}"#).1, "/a~1b");
        assert_eq!(refusal(r#"{"url":"x","events":[],"url":"y"}"#).1, "/url");
        assert_eq!(refusal(r#"{"url":"x","events":[]}"#), (422, "/data".into(), "missing field `data`".into()));
        for text in ["[]", r#"["x",[],1]"#, "null", "1"] {
            assert_eq!(refusal(text), (422, String::new(), "must be a JSON object".into()), "{text}");
        }
    }

    #[test]
    fn raw_data_keeps_its_bytes() {
        let raw = r#"{"b" : 1.0, "a":1e2,"é":"\u00e9", "a":"again"}"#;
        let sample: Sample =
            decode(format!(r#"{{"url":"x","events":[],"data": {raw} }}"#).as_bytes()).expect("a sample");
        assert_eq!(sample.data.get(), raw);
    }
}
