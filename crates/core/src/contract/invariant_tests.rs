//! Every invariant of a contract's file, by the message that its breach gives.

use super::*;

const GENERIC: &str = include_str!("../../../../proto/contracts/generic.toml");
const STANDARD: &str = include_str!("../../../../proto/contracts/standard.toml");
const BITBYBIT: &str = include_str!("../../../../proto/contracts/bitbybit.toml");

/// What parsing says once `from` stands as `to` in `text`.
fn refusal_of(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "`{from}` is to be found in the contract");
    Contract::parse("acme.toml", &text.replacen(from, to, 1)).expect_err("an invariant is broken").to_string()
}

#[track_caller]
fn refused(text: &str, from: &str, to: &str, message: &str) {
    assert_eq!(refusal_of(text, from, to), format!("acme.toml: {message}"));
}

#[test]
fn file_and_text() {
    let name = |file: &str| Contract::parse(file, GENERIC).expect_err("no name").to_string();
    assert_eq!(name("acme.json"), "acme.json: name: the file must be named NAME.toml");
    assert_eq!(
        name("Acme.toml"),
        "Acme.toml: name: `Acme` is not a contract name: 1 to 64 characters of a-z, 0-9, _ and -"
    );
    refused(GENERIC, "title = \"Generic\"", "title = \" \"", "title: must not be empty");
    refused(GENERIC, "title = \"Generic\"", "title = \"a\\nb\"", "title: must be one line without control characters");
    let broken = Contract::parse("acme.toml", "title = \"x\"\n\n[body\n").expect_err("not TOML").to_string();
    assert!(broken.starts_with("acme.toml: line 3: "), "{broken}");
}

#[test]
fn unknown_missing_and_mistyped_fields() {
    let unknown = refusal_of(GENERIC, "[retry]", "[retry]\ndelay = \"5s\"");
    assert!(unknown.starts_with("acme.toml: retry.delay: unknown field `delay`, expected"), "{unknown}");
    let unknown = refusal_of(GENERIC, "title =", "colour = \"red\"\ntitle =");
    assert!(unknown.starts_with("acme.toml: colour: unknown field `colour`, expected"), "{unknown}");
    let unknown = refusal_of(STANDARD, "bytes_max = 64", "bytes_max = 64, chars = 3");
    assert_eq!(
        unknown,
        "acme.toml: secret.own.same_form: unexpected keys in table: chars, available keys: bytes_min, bytes_max"
    );
    let missing = refusal_of(GENERIC, "timeout = \"30s\"", "");
    assert_eq!(missing, "acme.toml: delivery: missing field `timeout`");
    let mistyped = refusal_of(GENERIC, "https_only = false", "https_only = \"no\"");
    assert!(mistyped.starts_with("acme.toml: delivery.https_only: invalid type"), "{mistyped}");
    let word = refusal_of(GENERIC, "value = \"event_id\"", "value = \"id\"");
    assert!(word.starts_with("acme.toml: body.fields[0].value: unknown variant `id`"), "{word}");
}

#[test]
fn body() {
    refused(
        BITBYBIT,
        "format = \"raw\"",
        "format = \"raw\"\nfields = [{ name = \"x\", value = \"data\" }]",
        "body.fields: must be left out where body.kind is `bare`",
    );
    refused(
        GENERIC,
        "  { name = \"data\", value = \"data\" },\n",
        "",
        "body.fields: must have the value `data` exactly once",
    );
    refused(GENERIC, "name = \"type\"", "name = \"id\"", "body.fields[1].name: `id` stands there twice");
    refused(
        GENERIC,
        "name = \"type\"",
        "name = \"1\"",
        "body.fields[1].name: `1` must be a letter followed by letters, digits and _",
    );
}

#[test]
fn headers() {
    refused(GENERIC, "Whimbrel/{version}", "Whimbrel/{id}", "headers.user_agent: knows no placeholder but {version}");
    refused(GENERIC, "application/json", "", "headers.content_type: must be visible ASCII, neither empty nor padded");
    refused(STANDARD, "\"webhook-id\"", "\"webhook id\"", "headers.fields[0].name: `webhook id` is not a header name");
    refused(
        STANDARD,
        "\"webhook-id\"",
        "\"Host\"",
        "headers.fields[0].name: `Host` is set by HTTP itself and cannot be a contract's",
    );
    refused(
        STANDARD,
        "\"webhook-timestamp\"",
        "\"Webhook-Id\"",
        "headers.fields[1].name: `Webhook-Id` is sent already",
    );
    refused(STANDARD, "\"webhook-id\"", "\"User-Agent\"", "headers.fields[0].name: `User-Agent` is sent already");
    refused(
        BITBYBIT,
        "value = \"event_type\"",
        "value = { literal = \"a\\nb\" }",
        "headers.fields[1].value.literal: must be visible ASCII, neither empty nor padded",
    );
}

#[test]
fn signature() {
    refused(GENERIC, "header = \"X-Webhook-Signature\"", "header = \"\"", "signature.header: `` is not a header name");
    refused(
        STANDARD,
        "header = \"webhook-signature\"",
        "header = \"webhook-id\"",
        "signature.header: `webhook-id` is sent already",
    );
    let placeholders = "signature.content: knows no placeholders but {id}, {timestamp} and {body}";
    refused(GENERIC, "content = \"{body}\"", "content = \"{body}{url}\"", placeholders);
    refused(GENERIC, "content = \"{body}\"", "content = \"{body}{\"", placeholders);
    refused(GENERIC, "content = \"{body}\"", "content = \"body\"", "signature.content: must have {body} exactly once");
    refused(
        GENERIC,
        "content = \"{body}\"",
        "content = \"{id}{body}\"",
        "signature.content: signs {id}, so headers.fields must carry `event_id`",
    );
    refused(
        GENERIC,
        "content = \"{body}\"",
        "content = \"{timestamp}{body}\"",
        "signature.content: signs {timestamp}, so signature.lead or a header with `attempt_timestamp_unix` must carry it",
    );
    refused(GENERIC, "item = \"{signature}\"", "item = \"x\"", "signature.item: must have the placeholder {signature}");
    let one = "must be visible ASCII with no placeholder but one {signature}";
    refused(GENERIC, "item = \"{signature}\"", "item = \"{signature}{signature}\"", &format!("signature.item: {one}"));
    refused(STANDARD, "v1a,{signature}", "é{signature}", &format!("signature.ed25519_item: {one}"));
    refused(BITBYBIT, "\"t={timestamp}\"", "\"t=\"", "signature.lead: must have the placeholder {timestamp}");
}

#[test]
fn separator_and_rotation() {
    let field = "signature.separator:";
    refused(
        BITBYBIT,
        "separator = \",\"",
        "",
        &format!("{field} must be set where there is a lead or an ed25519_item"),
    );
    refused(
        BITBYBIT,
        "separator = \",\"",
        "separator = \"=\"",
        &format!("{field} must not have characters that a signature can have"),
    );
    refused(
        STANDARD,
        "separator = \" \"",
        "separator = \",\"",
        &format!("{field} must not occur in lead, item or ed25519_item"),
    );
    let same_header = "old_signature = { header = \"X-Webhook-Signature-Previous\" }";
    refused(
        GENERIC,
        same_header,
        "old_signature = \"same_header\"",
        "rotation.old_signature: `same_header` needs signature.separator",
    );
    refused(
        GENERIC,
        "X-Webhook-Signature-Previous",
        "x-webhook-signature",
        "rotation.old_signature.header: `x-webhook-signature` is sent already",
    );
    refused(
        GENERIC,
        "X-Webhook-Signature-Previous",
        "Content-Length",
        "rotation.old_signature.header: `Content-Length` is set by HTTP itself and cannot be a contract's",
    );
    refused(
        GENERIC,
        "overlap = \"24h\"",
        "overlap = \"soon\"",
        "rotation.overlap: `soon` is not a duration such as 30s, 5m or 2h",
    );
}

#[test]
fn secret() {
    refused(GENERIC, "bytes = 32", "bytes = 8", "secret.bytes: must lie between 16 and 64");
    refused(
        GENERIC,
        "prefix = \"whsec_\"",
        "prefix = \"é\"",
        "secret.prefix: must be visible ASCII, neither empty nor padded",
    );
    refused(GENERIC, "chars_min = 12", "chars_min = 0", "secret.own.text.chars_min: must lie between 1 and 1024");
    refused(GENERIC, "chars_max = 256", "chars_max = 11", "secret.own.text.chars_max: must lie between 12 and 1024");
    refused(STANDARD, "bytes_min = 24", "bytes_min = 1", "secret.own.same_form.bytes_min: must lie between 16 and 64");
    refused(STANDARD, "bytes_max = 64", "bytes_max = 23", "secret.own.same_form.bytes_max: must lie between 24 and 64");
    refused(STANDARD, "bytes = 32", "bytes = 16", "secret.bytes: must lie within secret.own.same_form's bounds");
    let decodable =
        "signature.key: `base64_after_prefix` needs secret.encoding `base64`, a secret.prefix and no secret.own.text";
    refused(
        STANDARD,
        "[secret]\nprefix = \"whsec_\"\nencoding = \"base64\"",
        "[secret]\nprefix = \"whsec_\"\nencoding = \"hex\"",
        decodable,
    );
    refused(STANDARD, "prefix = \"whsec_\"\n", "", decodable);
    refused(
        STANDARD,
        "{ same_form = { bytes_min = 24, bytes_max = 64 } }",
        "{ text = { chars_min = 12, chars_max = 64 } }",
        decodable,
    );
}

#[test]
fn delivery_and_limits() {
    refused(GENERIC, "timeout = \"30s\"", "timeout = \"0s\"", "delivery.timeout: must be longer than 0");
    refused(GENERIC, "timeout = \"30s\"", "timeout = \"3m\"", "delivery.timeout: must be at most 2m");
    refused(
        GENERIC,
        "bytes = 4096",
        "bytes = 1000000",
        "delivery.response_capture_bytes: must lie between 0 and 65536",
    );
    refused(GENERIC, "max = 262144", "max = 0", "limits.payload_bytes_max: must lie between 1 and 1048576");
    refused(STANDARD, "warn = 20000", "warn = 300000", "limits.payload_bytes_warn: must lie between 1 and 262144");
    refused(BITBYBIT, "tenant = 10", "tenant = 0", "limits.endpoints_per_tenant: must lie between 1 and 4294967295");
}

#[test]
fn retry() {
    refused(GENERIC, "\"30m\"", "\"0s\"", "retry.delays[2]: must be longer than 0");
    refused(GENERIC, "\"30m\"", "\"8d\"", "retry.delays[2]: must be at most 7days");
    refused(GENERIC, "\"30m\"", "\"later\"", "retry.delays[2]: `later` is not a duration such as 30s, 5m or 2h");
    let many = format!("delays = [{}]", "\"1s\",".repeat(33));
    refused(GENERIC, "delays = [\"30s\", \"5m\", \"30m\", \"2h\"]", &many, "retry.delays: must be at most 32");
    for jitter in ["0.2", "-0.1", "nan"] {
        refused(STANDARD, "jitter = 0.1", &format!("jitter = {jitter}"), "retry.jitter: must lie between 0 and 0.1");
    }
}

#[test]
fn suspension() {
    refused(
        BITBYBIT,
        "failures = 10",
        "failures = 0",
        "suspension.consecutive_failures: must lie between 1 and 4294967295",
    );
    refused(STANDARD, "\"5d\"", "\"5h\"", "suspension.failing_for.period: must be at least 1d");
    refused(
        STANDARD,
        "attempts_min = 5",
        "attempts_min = 0",
        "suspension.failing_for.attempts_min: must lie between 1 and 4294967295",
    );
    refused(STANDARD, "[410]", "[200]", "suspension.gone_statuses[0]: must lie between 300 and 599");
    refused(STANDARD, "502", "600", "suspension.throttle_statuses[1]: must lie between 300 and 599");
    refused(STANDARD, "502", "410", "suspension.throttle_statuses: 410 stands in suspension.gone_statuses too");
}

#[test]
fn catalogue() {
    refused(
        STANDARD,
        "closed = false",
        "closed = true",
        "catalogue.types: must name a type, since catalogue.closed is true",
    );
    refused(
        GENERIC,
        "\"user.updated\"",
        "\"user.created\"",
        "catalogue.types[1].name: `user.created` stands there twice",
    );
    refused(
        GENERIC,
        "\"user.updated\"",
        "\"webhook.test\"",
        "catalogue.types[1].name: `webhook.test` is one of Whimbrel's own events, which every contract has",
    );
    refused(GENERIC, "New user registered", "", "catalogue.types[0].description: must not be empty");
    let message = refusal_of(GENERIC, "\"user.updated\"", "\"user.*\"");
    assert!(message.starts_with("acme.toml: catalogue.types[1].name: `user.*` is not an event type"), "{message}");
}

#[test]
fn a_deployment_adds_and_replaces() {
    let quicker = GENERIC.replace("timeout = \"30s\"", "timeout = \"3s\"");
    let files =
        [("samples/acme/user.created.json", "{ \"id\": 1 }\n"), ("acme.toml", GENERIC), ("generic.toml", &quicker)];
    let set = ContractSet::load(files).expect("both are right");
    let get = |name: &str| set.get(&name.parse().expect("a name")).expect("loaded").clone();
    assert_eq!(set.iter().count(), 5);
    assert_eq!(get("acme").catalogue().example("user.created"), Some("{ \"id\": 1 }"));
    assert_eq!(get("generic").timeout().as_secs(), 3);
}

#[test]
fn a_deployments_stray_files_are_named() {
    let refusal = |name: &str, text: &str| ContractSet::load([(name, text)]).expect_err("a stray file").to_string();
    assert_eq!(refusal("notes.md", ""), "notes.md: sample: the file is neither NAME.toml nor samples/NAME/TYPE.json");
    assert_eq!(refusal("samples/acme/a.json", "1"), "samples/acme/a.json: sample: there is no contract `acme`");
    assert_eq!(
        refusal("samples/generic/a.b.json", "1"),
        "samples/generic/a.b.json: sample: the contract names no event type `a.b`"
    );
    let broken = refusal("samples/generic/user.created.json", "{");
    assert!(broken.starts_with("samples/generic/user.created.json: sample: is not JSON: "), "{broken}");
}
