//! A contract's parts in words.

use whimbrel_core::contract::{
    BodyFormat, BodyShape, Contract, EnvelopeField, FieldSource, HeaderSource, KeyDerivation, Limits, OldSignature,
    OwnSecret, Piece, Retry, SecretForm, Suspension,
};

use crate::cmd::shared::{brief, bytes, count};

/// `10s 1m 5m`, with the jitter.
pub(super) fn delays(retry: &Retry) -> String {
    let delays: Vec<String> = retry.delays().iter().map(|delay| brief(*delay)).collect();
    let jitter = retry.jitter();
    match (delays.is_empty(), jitter > 0.0) {
        (true, _) => "none".to_owned(),
        (false, false) => delays.join(" "),
        (false, true) => format!("{} (up to {:.0} % later)", delays.join(" "), jitter * 100.0),
    }
}

/// When an endpoint is suspended.
pub(super) fn suspension(rule: &Suspension) -> String {
    let statuses = |statuses: &[u16]| statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let mut rules = Vec::new();
    if let Some(limit) = rule.consecutive_failures {
        rules.push(format!("{limit} failures in a row"));
    }
    if let Some(failing) = rule.failing_for {
        rules.push(format!("{} of failures", brief(failing.period)));
    }
    if !rule.gone_statuses.is_empty() {
        rules.push(format!("status {}", statuses(&rule.gone_statuses)));
    }
    if rules.is_empty() { "off".to_owned() } else { rules.join("; ") }
}

/// What a tenant may have and send.
pub(super) fn limits(limits: &Limits) -> String {
    let payload = format!("{} a payload", bytes(limits.payload_bytes));
    limits.endpoints.map_or(payload.clone(), |endpoints| format!("{}, {payload}", count(endpoints as usize, "webhook")))
}

/// What stands in the body.
pub(super) fn body(contract: &Contract) -> String {
    let shape = match contract.body().shape() {
        BodyShape::Bare => "the event's data".to_owned(),
        BodyShape::Envelope(fields) => {
            let fields: Vec<String> = fields.iter().map(envelope_field).collect();
            format!("an object: {}", fields.join(", "))
        }
    };
    match contract.body().format() {
        BodyFormat::Raw => format!("{shape}; data byte for byte as published"),
        BodyFormat::Compact => format!("{shape}; data as JSON.stringify prints it"),
    }
}

fn envelope_field(field: &EnvelopeField) -> String {
    let holds = match field.value {
        FieldSource::EventId => "the event's id",
        FieldSource::EventType => "its type",
        FieldSource::EventTimeRfc3339 => "when it happened",
        FieldSource::Data => "its data",
    };
    format!("{} ({holds})", field.name)
}

/// What a header holds.
pub(super) fn header(source: &HeaderSource) -> String {
    match source {
        HeaderSource::EventId => "the event's id".to_owned(),
        HeaderSource::EventType => "the event's type".to_owned(),
        HeaderSource::EventTimestampUnix => "when the event happened, Unix seconds".to_owned(),
        HeaderSource::AttemptTimestampUnix => "when this attempt is made, Unix seconds".to_owned(),
        HeaderSource::Literal(text) => format!("`{text}`"),
    }
}

/// What is signed with which key.
pub(super) fn signed(contract: &Contract) -> String {
    let signature = contract.signature();
    let piece = |piece: &Piece| match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Id => "{id}".to_owned(),
        Piece::Timestamp => "{timestamp}".to_owned(),
        Piece::Body => "{body}".to_owned(),
    };
    let content: String = signature.content().iter().map(piece).collect();
    let key = match signature.key() {
        KeyDerivation::Utf8 => "the secret's text",
        KeyDerivation::Base64AfterPrefix => "the bytes that the secret's base64 stands for",
    };
    let ed25519 =
        if signature.ed25519_item().is_some() { "; and Ed25519 where the webhook has such a key" } else { "" };
    format!("HMAC-SHA256 of `{content}`, keyed with {key}{ed25519}")
}

/// What happens while two secrets are in force.
pub(super) fn rotation(contract: &Contract) -> String {
    let place = match contract.rotation().old() {
        OldSignature::SameHeader => "in the same header".to_owned(),
        OldSignature::Header(name) => format!("in {name}"),
    };
    format!("for {} the old secret signs too, {place}", brief(contract.rotation().overlap()))
}

/// What secrets look like.
pub(super) fn secret(form: &SecretForm) -> String {
    let own = match form.own() {
        None => "yours is not taken".to_owned(),
        Some(OwnSecret::Text { chars_min, chars_max }) => {
            format!("or your own of {chars_min} to {chars_max} characters")
        }
        Some(OwnSecret::SameForm { bytes_min, bytes_max }) => {
            format!("or your own in that form, {bytes_min} to {bytes_max} bytes")
        }
    };
    let prefix = if form.prefix().is_empty() { String::new() } else { format!("`{}` and ", form.prefix()) };
    let encoding = match form.encoding() {
        whimbrel_core::contract::Encoding::Hex => "hex",
        whimbrel_core::contract::Encoding::Base64 => "base64",
    };
    let shown = if form.shown_once() { ", shown once" } else { "" };
    format!("{prefix}{encoding} of {} random bytes{shown}; {own}", form.bytes())
}

#[cfg(test)]
mod tests {
    use whimbrel_core::contract::ContractSet;

    use super::*;
    use crate::cmd::shared::named;

    #[test]
    fn the_words_follow_the_contract() {
        let contracts = ContractSet::built_in();
        let standard = named(&contracts, "standard").expect("built in");
        assert_eq!(delays(standard.retry()), "5s 5m 30m 2h 5h 10h 14h 20h 24h (up to 10 % later)");
        assert_eq!(suspension(standard.suspension()), "5d of failures; status 410");
        assert!(signed(&standard).starts_with("HMAC-SHA256 of `{id}.{timestamp}.{body}`"));
        let bitbybit = named(&contracts, "bitbybit").expect("built in");
        assert_eq!(limits(bitbybit.limits()), "10 webhooks, 64 KiB a payload");
        assert_eq!(suspension(bitbybit.suspension()), "10 failures in a row");
        let generic = named(&contracts, "generic").expect("built in");
        assert_eq!(suspension(generic.suspension()), "off");
        assert_eq!(rotation(&generic), "for 24h the old secret signs too, in X-Webhook-Signature-Previous");
    }
}
