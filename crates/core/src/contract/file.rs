//! The TOML form of a contract, and its checks: every message names file and field.

use std::time::Duration;

use serde::Deserialize;

use super::{
    BodyForm, CatalogueEntry, Contract, ContractName, DataFormat, Encoding, EnvelopeField, FailingFor, Generate,
    HeaderValue, KeyForm, Rotation, SecretForm, SignatureForm, SignatureRule, Suspension, Template,
};
use crate::contract::headers::Part;

/// Why a contract file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// No TOML, an unknown or missing field, or a wrong type.
    #[error("{file}: {reason}")]
    Syntax {
        /// Which file.
        file: String,
        /// What the parser said; names line and field.
        reason: String,
    },
    /// A field holds what it must not.
    #[error("{file}: {field}: {reason}")]
    Field {
        /// Which file.
        file: String,
        /// Which field, dotted.
        field: String,
        /// What it must hold.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    title: String,
    #[serde(default)]
    description: String,
    body: Body,
    #[serde(default)]
    headers: Vec<Header>,
    signature: Signature,
    secret: Secret,
    delivery: Delivery,
    retry: Retry,
    #[serde(default)]
    suspension: SuspensionFile,
    #[serde(default)]
    limits: Limits,
    catalogue: Catalogue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    kind: BodyKind,
    #[serde(default)]
    data_format: DataFormat,
    #[serde(default)]
    fields: Vec<Field>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum BodyKind {
    Bare,
    Envelope,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    name: String,
    from: EnvelopeField,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    from: Option<HeaderSource>,
    value: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum HeaderSource {
    EventId,
    EventType,
    EventTimestamp,
    AttemptTimestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    header: String,
    content: String,
    key: KeyForm,
    encoding: Encoding,
    #[serde(default)]
    prefix: String,
    each: String,
    #[serde(default)]
    separator: String,
    previous_header: Option<String>,
    ed25519: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    #[serde(default)]
    prefix: String,
    generate: GenerateKind,
    bytes: usize,
    own: bool,
    #[serde(default)]
    own_chars_min: usize,
    own_bytes: Option<[usize; 2]>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum GenerateKind {
    Hex,
    Base64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    #[serde(with = "humantime_text")]
    timeout: Duration,
    https_only: bool,
    response_capture_bytes: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    delays: Vec<String>,
    #[serde(default)]
    jitter: f64,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct SuspensionFile {
    consecutive_failures: Option<u32>,
    failing_for: Option<String>,
    failing_attempts_min: Option<u32>,
    #[serde(default)]
    gone_statuses: Vec<u16>,
    #[serde(default)]
    throttle_statuses: Vec<u16>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Limits {
    payload_bytes_max: Option<usize>,
    payload_bytes_warn: Option<usize>,
    endpoints_per_tenant: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    closed: bool,
    #[serde(default)]
    types: Vec<Type>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Type {
    name: String,
    #[serde(default)]
    description: String,
    example: Option<String>,
}

mod humantime_text {
    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<std::time::Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|_| serde::de::Error::custom(format!("`{text}` is not a duration such as 30s or 2h")))
    }
}

/// The largest body a contract may allow.
const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
const DAY: Duration = Duration::from_hours(24);

/// Where errors are placed.
struct At<'a>(&'a str);

impl At<'_> {
    fn error(&self, field: impl Into<String>, reason: impl Into<String>) -> ContractError {
        ContractError::Field { file: self.0.to_owned(), field: field.into(), reason: reason.into() }
    }

    fn ensure(&self, holds: bool, field: &str, reason: &str) -> Result<(), ContractError> {
        if holds { Ok(()) } else { Err(self.error(field, reason)) }
    }

    fn template(&self, field: &str, text: &str) -> Result<Template, ContractError> {
        Template::parse(text).ok_or_else(|| {
            self.error(field, format!("`{text}` has a placeholder other than {{id}}, {{timestamp}}, {{body}} and {{signature}}"))
        })
    }

    fn header_name(&self, field: &str, name: &str) -> Result<String, ContractError> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        self.ensure(!name.is_empty() && name.len() <= 128 && name.bytes().all(token), field, "is not a header name")?;
        Ok(name.to_owned())
    }
}

impl Contract {
    /// Reads one file and checks every invariant.
    ///
    /// # Errors
    /// With the file's name and the field at fault.
    pub fn parse(file: &str, text: &str) -> Result<Self, ContractError> {
        let at = At(file);
        let raw: File = toml::from_str(text)
            .map_err(|error| ContractError::Syntax { file: file.to_owned(), reason: error.to_string().trim_end().to_owned() })?;
        let name: ContractName = raw.name.parse().map_err(|error: super::ContractNameError| at.error("name", error.to_string()))?;
        let payload_bytes_max = raw.limits.payload_bytes_max.unwrap_or(256 * 1024);
        at.ensure((1..=PAYLOAD_BYTES_MAX).contains(&payload_bytes_max), "limits.payload_bytes_max", "must lie between 1 and 1048576")?;
        let timeout = raw.delivery.timeout;
        at.ensure(!timeout.is_zero() && timeout <= Duration::from_mins(5), "delivery.timeout", "must be longer than 0 and at most 5m")?;
        at.ensure(raw.delivery.response_capture_bytes <= 65_536, "delivery.response_capture_bytes", "must be at most 65536")?;
        Ok(Self {
            name,
            title: raw.title,
            description: raw.description,
            body: body(&at, &raw.body)?,
            data_format: raw.body.data_format,
            headers: headers(&at, raw.headers)?,
            signature: signature(&at, raw.signature)?,
            secret: secret(&at, raw.secret)?,
            timeout,
            https_only: raw.delivery.https_only,
            response_capture_bytes: raw.delivery.response_capture_bytes,
            payload_bytes_max,
            payload_bytes_warn: raw.limits.payload_bytes_warn,
            delays: delays(&at, &raw.retry)?,
            jitter: raw.retry.jitter,
            suspension: suspension(&at, raw.suspension)?,
            endpoints_per_tenant: raw.limits.endpoints_per_tenant,
            catalogue_closed: raw.catalogue.closed,
            catalogue: catalogue(&at, raw.catalogue)?,
        })
    }
}

fn body(at: &At<'_>, raw: &Body) -> Result<BodyForm, ContractError> {
    if raw.kind == BodyKind::Bare {
        at.ensure(raw.fields.is_empty(), "body.fields", "a bare body has no fields")?;
        return Ok(BodyForm::Bare);
    }
    let data = raw.fields.iter().filter(|field| field.from == EnvelopeField::Data).count();
    at.ensure(data == 1, "body.fields", "exactly one field must come from `data`")?;
    for (place, field) in raw.fields.iter().enumerate() {
        let named = !field.name.is_empty() && field.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        at.ensure(named, &format!("body.fields[{place}].name"), "must be letters, digits, _ and -")?;
        let twice = raw.fields[..place].iter().any(|earlier| earlier.name == field.name);
        at.ensure(!twice, &format!("body.fields[{place}].name"), "stands twice")?;
    }
    Ok(BodyForm::Envelope(raw.fields.iter().map(|field| (field.name.clone(), field.from)).collect()))
}

fn headers(at: &At<'_>, raw: Vec<Header>) -> Result<Vec<(String, HeaderValue)>, ContractError> {
    let mut headers: Vec<(String, HeaderValue)> = Vec::with_capacity(raw.len());
    for (place, header) in raw.into_iter().enumerate() {
        let name = at.header_name(&format!("headers[{place}].name"), &header.name)?;
        let twice = headers.iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(&name));
        at.ensure(!twice, &format!("headers[{place}].name"), "stands twice")?;
        let value = match (header.from, header.value) {
            (Some(HeaderSource::EventId), None) => HeaderValue::EventId,
            (Some(HeaderSource::EventType), None) => HeaderValue::EventType,
            (Some(HeaderSource::EventTimestamp), None) => HeaderValue::EventTimestamp,
            (Some(HeaderSource::AttemptTimestamp), None) => HeaderValue::AttemptTimestamp,
            (None, Some(value)) => {
                let visible = value.chars().all(|c| c.is_ascii_graphic() || c == ' ');
                at.ensure(visible, &format!("headers[{place}].value"), "must be visible ASCII")?;
                HeaderValue::Literal(value.replace("{version}", env!("CARGO_PKG_VERSION")))
            }
            _ => return Err(at.error(format!("headers[{place}]"), "needs either `from` or `value`")),
        };
        headers.push((name, value));
    }
    Ok(headers)
}

fn signature(at: &At<'_>, raw: Signature) -> Result<SignatureRule, ContractError> {
    let content = at.template("signature.content", &raw.content)?;
    at.ensure(content.has(&Part::Body), "signature.content", "must contain {body}")?;
    at.ensure(!content.has(&Part::Signature), "signature.content", "cannot contain {signature}")?;
    let each = at.template("signature.each", &raw.each)?;
    at.ensure(each.has(&Part::Signature), "signature.each", "must contain {signature}")?;
    let rotation = match &raw.previous_header {
        Some(name) => Rotation::OwnHeader(at.header_name("signature.previous_header", name)?),
        None => {
            at.ensure(!raw.separator.is_empty(), "signature.separator", "is needed without a previous_header: both signatures share the header")?;
            Rotation::SameHeader
        }
    };
    let ed25519 = raw.ed25519.as_deref().map(|text| at.template("signature.ed25519", text)).transpose()?;
    if let Some(template) = &ed25519 {
        at.ensure(template.has(&Part::Signature), "signature.ed25519", "must contain {signature}")?;
    }
    Ok(SignatureRule {
        header: at.header_name("signature.header", &raw.header)?,
        content,
        key: raw.key,
        encoding: raw.encoding,
        form: SignatureForm { prefix: at.template("signature.prefix", &raw.prefix)?, each, separator: raw.separator },
        rotation,
        ed25519,
    })
}

fn secret(at: &At<'_>, raw: Secret) -> Result<SecretForm, ContractError> {
    at.ensure((16..=64).contains(&raw.bytes), "secret.bytes", "must lie between 16 and 64")?;
    let generate = match raw.generate {
        GenerateKind::Hex => Generate::Hex(raw.bytes),
        GenerateKind::Base64 => Generate::Base64(raw.bytes),
    };
    Ok(SecretForm {
        prefix: raw.prefix,
        generate,
        own_allowed: raw.own,
        own_chars_min: raw.own_chars_min,
        own_bytes: raw.own_bytes.map(|[min, max]| (min, max)),
    })
}

fn delays(at: &At<'_>, raw: &Retry) -> Result<Vec<Duration>, ContractError> {
    at.ensure((0.0..=0.5).contains(&raw.jitter), "retry.jitter", "must lie between 0 and 0.5")?;
    at.ensure(raw.delays.len() <= 32, "retry.delays", "must be at most 32")?;
    let parse = |(place, text): (usize, &String)| {
        let field = format!("retry.delays[{place}]");
        let delay = humantime::parse_duration(text).map_err(|_| at.error(&field, format!("`{text}` is not a duration such as 30s or 2h")))?;
        at.ensure(!delay.is_zero(), &field, "must be longer than 0")?;
        at.ensure(delay <= 7 * DAY, &field, "must be at most 7days")?;
        Ok(delay)
    };
    raw.delays.iter().enumerate().map(parse).collect()
}

fn suspension(at: &At<'_>, raw: SuspensionFile) -> Result<Suspension, ContractError> {
    at.ensure(raw.consecutive_failures != Some(0), "suspension.consecutive_failures", "must be at least 1")?;
    let failing_for = match &raw.failing_for {
        None => {
            at.ensure(raw.failing_attempts_min.is_none(), "suspension.failing_attempts_min", "needs failing_for")?;
            None
        }
        Some(text) => {
            let period = humantime::parse_duration(text).map_err(|_| at.error("suspension.failing_for", format!("`{text}` is not a duration such as 5days")))?;
            at.ensure(period >= DAY, "suspension.failing_for", "must be at least 1day")?;
            Some(FailingFor { period, attempts_min: raw.failing_attempts_min.unwrap_or(5) })
        }
    };
    for (field, statuses) in [("suspension.gone_statuses", &raw.gone_statuses), ("suspension.throttle_statuses", &raw.throttle_statuses)] {
        let failures = statuses.iter().all(|status| (300..=599).contains(status));
        at.ensure(failures, field, "must be statuses from 300 to 599")?;
    }
    Ok(Suspension {
        consecutive_failures: raw.consecutive_failures,
        failing_for,
        gone_statuses: raw.gone_statuses,
        throttle_statuses: raw.throttle_statuses,
    })
}

fn catalogue(at: &At<'_>, raw: Catalogue) -> Result<Vec<CatalogueEntry>, ContractError> {
    at.ensure(!raw.closed || !raw.types.is_empty(), "catalogue.types", "a closed catalogue needs types")?;
    let entry = |(place, entry): (usize, Type)| {
        let field = format!("catalogue.types[{place}]");
        let event_type = entry.name.parse().map_err(|error: crate::subscription::TypeError| at.error(format!("{field}.name"), error.to_string()))?;
        if let Some(example) = &entry.example {
            let json: Result<&serde_json::value::RawValue, _> = serde_json::from_str(example);
            at.ensure(json.is_ok(), &format!("{field}.example"), "is not JSON")?;
        }
        Ok(CatalogueEntry { event_type, description: entry.description, example: entry.example })
    };
    raw.types.into_iter().enumerate().map(entry).collect()
}
