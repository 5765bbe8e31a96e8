//! Moving from one engine to another, and the keys that secrets are sealed under.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use whimbrel_testkit::process::{Builder, Whimbrel};
use whimbrel_testkit::receiver::{Receiver, Request, Step};
use whimbrel_testkit::{postgres, rabbitmq, wait};

use crate::harness::{Api, Kind, SOON, System, command, finish, on_both_engines, refused, text, urls};

/// The key that the harness gives to every process.
const FIRST: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// Another one.
const SECOND: &str = "k2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// First attempts and ten seconds: time enough to stop a source whose first retry is not due yet.
const SCALE: (&str, &str) = ("WHIMBREL_RETRY_SCALE", "2");

fn export(data_dir: &Path, file: &Path) -> Builder {
    let command = command("export", &[]).env("WHIMBREL_DATA_DIR", data_dir.display().to_string());
    command.arg("--out").arg(file.display().to_string()).env(SCALE.0, SCALE.1)
}

fn import(command: Builder, file: &Path) -> Builder {
    command.arg("--in").arg(file.display().to_string())
}

/// Publishes under an idempotency key; gives status and answer.
async fn publish_keyed(api: &Api, data: &str) -> Result<(u16, Value)> {
    let request = whimbrel_testkit::http::client().post(format!("{}/v1/events", api.base)).bearer_auth(&api.key);
    let request = request.header("Idempotency-Key", "order-1").header("Content-Type", "application/json");
    let response = request.body(format!(r#"{{"type":"order.ok","data":{data}}}"#)).send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}

/// Checks a Standard Webhooks signature as receivers do.
fn verify(request: &Request, secret: &str) -> Result<()> {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &request.headers {
        headers.insert(http::HeaderName::from_bytes(name.as_bytes())?, value.parse()?);
    }
    Ok(standardwebhooks::Webhook::new(secret)?.verify(&request.body, &headers)?)
}

fn last_of(receiver: &Receiver, path: &str) -> Result<std::sync::Arc<Request>> {
    let of_path = |request: &std::sync::Arc<Request>| request.path() == path;
    receiver.requests().into_iter().rfind(of_path).with_context(|| format!("nothing came to {path}"))
}

/// What a source is full of.
struct Filled {
    /// A secret by path.
    secrets: Vec<(&'static str, String)>,
    /// The endpoint at `/gone`, suspended.
    suspended: String,
    delivered: String,
    retrying: String,
    held: String,
    /// Accepted, and at the kill anywhere between the queue of events and the log.
    slow: Vec<String>,
}

async fn fill(api: &Api, receiver: &Receiver) -> Result<Filled> {
    receiver.on("/flaky", [Step::status(500), Step::status(200)]);
    receiver.on("/gone", [Step::status(410), Step::status(200)]);
    receiver.on("/slow", [Step::status(200).after(Duration::from_millis(300))]);
    let mut webhooks = Vec::new();
    for (path, event_type) in
        [("/ok", "order.ok"), ("/flaky", "order.flaky"), ("/gone", "order.gone"), ("/slow", "order.slow")]
    {
        webhooks.push((path, api.create_webhook(&receiver.url(path), &[event_type]).await?));
    }
    let (status, answer) = publish_keyed(api, "{\"n\":1}").await?;
    assert_eq!(status, 202, "{answer}");
    let delivered = text(&answer, "id")?;
    api.settled(&delivered, "success").await?;
    let gone = api.publish("order.gone", "{}").await?;
    api.settled(&gone, "failed").await?;
    let held = api.publish("order.gone", "{\"held\":true}").await?;
    api.settled(&held, "held").await?;
    let slow: Vec<_> = (0..300).map(|number| json!({"type": "order.slow", "data": {"number": number}})).collect();
    let retrying = api.publish("order.flaky", "{}").await?;
    api.settled(&retrying, "retrying").await?;
    let answer = api.post("/v1/events/batch", &json!({"events": slow})).await?;
    let results = answer["results"].as_array().context("results")?;
    let slow = results.iter().map(|result| text(result, "id")).collect::<Result<Vec<_>>>()?;
    let suspended = webhooks[2].1.0.clone();
    let secrets = webhooks.into_iter().map(|(path, (_, secret))| (path, secret)).collect();
    Ok(Filled { secrets, suspended, delivered, retrying, held, slow })
}

/// From a killed embedded process to RabbitMQ and PostgreSQL: what waited goes on there, what was held is released,
/// signatures are as before, and the log and the idempotency keys have come along.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_the_distributed_engine_loses_nothing() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("export.jsonl");
    let receiver = Receiver::start().await?;
    let mut source = System::with(Kind::Embedded, &[SCALE]).await?;
    let filled = fill(&source.api, &receiver).await?;
    let data_dir = source.role("api").data_dir();
    let lines = refused(export(&data_dir, &file)).await?;
    assert!(lines.iter().any(|line| line.contains("stop its servers first")), "{lines:?}");
    source.role("api").kill9().await;
    finish(export(&data_dir, &file)).await?;
    let exported = fs::read_to_string(&file)?;
    for (_, secret) in &filled.secrets {
        assert!(!exported.contains(secret.as_str()), "secrets leave sealed");
    }

    let (database, vhost) = tokio::try_join!(postgres::database(), rabbitmq::vhost())?;
    let target = urls(database.url(), vhost.amqp_url());
    let keys = format!("{SECOND},{FIRST}");
    finish(command("migrate", &target)).await?;
    let lines = refused(import(command("import", &target).env("WHIMBREL_SECRETS__KEYS", SECOND), &file)).await?;
    assert!(lines.iter().any(|line| line.contains("k1") && line.contains("secrets.keys")), "{lines:?}");
    let whole = || import(command("import", &target).env("WHIMBREL_SECRETS__KEYS", &keys), &file);
    let lines = finish(whole()).await?;
    assert!(lines.iter().any(|line| line == "events: 304, new: 304"), "{lines:?}");
    let lines = finish(whole()).await?;
    assert!(lines.iter().all(|line| !line.contains("new:") || line.ends_with("new: 0")), "{lines:?}");

    let target = System::on(database, vhost, &[SCALE, ("WHIMBREL_SECRETS__KEYS", &keys)]).await?;
    goes_on(&target.api, &receiver, &filled).await
}

async fn goes_on(api: &Api, receiver: &Receiver, filled: &Filled) -> Result<()> {
    let retried = api.settled(&filled.retrying, "success").await?;
    let numbers: Vec<_> = retried["attempts"].as_array().context("attempts")?.iter().collect();
    assert_eq!(numbers.iter().map(|attempt| &attempt["number"]).collect::<Vec<_>>(), [1, 2], "{retried}");
    assert_eq!(numbers[0]["status_code"], 500, "the first attempt was made at the source");

    let shown = api.settled(&filled.held, "held").await?;
    assert_eq!(shown["attempts"], json!([]));
    api.ok(Method::POST, &format!("/v1/webhooks/{}/activate", filled.suspended), None).await?;
    api.settled(&filled.held, "success").await?;

    for event in &filled.slow {
        api.settled(event, "success").await?;
    }
    let requests = receiver.requests();
    let arrived: HashSet<_> = requests.iter().filter_map(|request| request.header("webhook-id")).collect();
    assert!(filled.slow.iter().all(|event| arrived.contains(event.as_str())));

    let old = api.settled(&filled.delivered, "success").await?;
    assert_eq!(old["attempts"].as_array().map(Vec::len), Some(1), "{old}");
    let (status, same) = publish_keyed(api, "{\"n\":1}").await?;
    assert_eq!((status, &same["id"]), (202, &json!(filled.delivered)));
    let (status, conflict) = publish_keyed(api, "{\"n\":2}").await?;
    assert_eq!(status, 409, "{conflict}");
    for (path, secret) in &filled.secrets {
        let request = last_of(receiver, path)?;
        verify(&request, secret).with_context(|| format!("a signature at {path}"))?;
    }
    Ok(())
}

/// An export's lines without what differs by nature: when it was made, and random bytes around what is sealed.
fn comparable(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file)?;
    let mut lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    for line in &mut lines {
        line.as_object_mut().context("an object")?.remove("header");
        if let Some(endpoint) = line.get_mut("endpoint").and_then(Value::as_object_mut) {
            assert!(endpoint.remove("sealed_secrets").is_some() && endpoint.remove("sealed_headers").is_some());
        }
    }
    Ok(lines)
}

/// From the embedded engine to the distributed one and back: each export says the same.
#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_nothing_changes() -> Result<()> {
    let folder = TempDir::new()?;
    let file = |name: &str| folder.path().join(name);
    let receiver = Receiver::start().await?;
    receiver.on("/fails", [Step::respond(500, "sorry \u{1F40C}")]);
    let mut source = System::with(Kind::Embedded, &[SCALE]).await?;
    let limits = json!({"webhooks": 7, "events_per_second": 1000});
    source.api.post("/v1/tenants", &json!({"id": "acme", "contract": "bitbybit", "limits": limits})).await?;
    source.api.post("/v1/tenants/acme/keys", &json!({"name": "ci"})).await?;
    let acme = source.api.tenant("acme");
    let webhook = json!({
        "url": receiver.url("/fails"), "events": ["order.*"], "description": "räksmörgås",
        "headers": {"X-Token": "s3cret"}, "timeout": "3s", "rate_limit": 50,
        "filter": {"pointer": "/n", "op": "gt", "value": 0.5},
    });
    acme.post("/v1/webhooks", &webhook).await?;
    let failing = acme.publish("order.created", "{\"n\":1e0}").await?;
    acme.settled(&failing, "retrying").await?;
    source.api.create_webhook(&receiver.url("/ok"), &["*"]).await?;
    let (_, answer) = publish_keyed(&source.api, "{\"n\": 1}").await?;
    source.api.settled(&text(&answer, "id")?, "success").await?;
    let data_dir = source.role("api").data_dir();
    source.role("api").terminate(SOON).await?;
    finish(export(&data_dir, &file("source"))).await?;

    let (database, vhost) = tokio::try_join!(postgres::database(), rabbitmq::vhost())?;
    let urls = urls(database.url(), vhost.amqp_url());
    finish(command("migrate", &urls)).await?;
    finish(command("topology", &urls).arg("apply").env(SCALE.0, SCALE.1)).await?;
    finish(import(command("import", &urls), &file("source"))).await?;
    let there = command("export", &urls).arg("--out").arg(file("there").display().to_string());
    finish(there.env(SCALE.0, SCALE.1)).await?;

    let back = folder.path().join("data");
    let into = command("import", &[]).env("WHIMBREL_DATA_DIR", back.display().to_string());
    finish(import(into, &file("there"))).await?;
    finish(export(&back, &file("back"))).await?;
    let first = comparable(&file("source"))?;
    assert!(first.len() >= 9, "header, tenants, keys, endpoints, an idempotency key, events, end: {first:?}");
    assert_eq!(first, comparable(&file("there"))?);
    assert_eq!(first, comparable(&file("back"))?);
    Ok(())
}

/// What is no whole export is refused, in words.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_export_is_refused() -> Result<()> {
    let folder = TempDir::new()?;
    let header = r#"{"header":{"format":1,"whimbrel":"0.0.0","exported_at":"2026-01-15T12:30:00Z"}}"#;
    let newer = header.replace("\"format\":1", "\"format\":2");
    let cases = [
        ("{\"a\":1}\n".to_owned(), "no export"),
        (format!("{newer}\n"), "format 2"),
        (format!("{header}\n"), "cut off"),
        (
            format!(
                "{header}\n{{\"end\":{{\"tenants\":1,\"keys\":0,\"event_types\":0,\"endpoints\":0,\"idempotency_keys\":0,\"events\":0}}}}\n"
            ),
            "damaged",
        ),
    ];
    for (text, words) in cases {
        let file = folder.path().join("export.jsonl");
        fs::write(&file, text)?;
        let lines = refused(import(command("import", &[]), &file)).await?;
        assert!(lines.iter().any(|line| line.contains(words)), "{words} in {lines:?}");
        assert!(!lines.iter().any(|line| line.contains("panicked")), "{lines:?}");
    }
    Ok(())
}

on_both_engines! {
    /// Rule 31, a key's whole life: without the old key deliveries wait and none fails; `reencrypt` says what it cannot
    /// open; sealed anew, the old key can go, and what waited is sent with a good signature.
    async fn rule_31_a_key_is_replaced(kind: Kind) {
        let folder = TempDir::new()?;
        let data_dir = folder.path().join("data").display().to_string();
        let both = format!("{SECOND},{FIRST}");
        let variables = |keys: &'static str| [("WHIMBREL_SECRETS__KEYS", keys), ("WHIMBREL_DATA_DIR", &data_dir)];
        let receiver = Receiver::start().await?;
        let system = System::with(kind, &variables(FIRST)).await?;
        let (_, secret) = system.api.create_webhook(&receiver.url("/"), &["*"]).await?;

        let system = system.again(&variables(SECOND)).await?;
        let event = system.api.publish("order.created", "{}").await?;
        wait::until("the sender has put it off", SOON, || async {
            let lines = system.processes.iter().flat_map(Whimbrel::lines);
            lines.into_iter().find(|line| line.contains("wait for the key") && line.contains("`k1`"))
        })
        .await?;
        assert_eq!(receiver.count(), 0);

        let commands = |system: &System, keys: &str| {
            system.command("secrets").arg("reencrypt").env("WHIMBREL_SECRETS__KEYS", keys).env("WHIMBREL_DATA_DIR", &data_dir)
        };
        let (without, with) = (commands(&system, SECOND), [commands(&system, &both), commands(&system, &both)]);
        let servers = system.stop().await?;
        let lines = refused(without).await?;
        assert!(lines.iter().any(|line| line.contains("`k1`")), "{lines:?}");
        assert!(lines.iter().any(|line| line == "0 endpoints sealed anew, of 1"), "{lines:?}");
        let [first, second] = with;
        assert!(finish(first).await?.contains(&"1 endpoint sealed anew, of 1".to_owned()));
        assert!(finish(second).await?.contains(&"0 endpoints sealed anew, of 1".to_owned()));

        let system = System::on_servers(servers, &variables(SECOND)).await?;
        let waited = system.api.settled(&event, "success").await?;
        assert_eq!(waited["attempts"].as_array().map(Vec::len), Some(1), "no attempt was used up: {waited}");
        let late = system.api.publish("order.created", "{}").await?;
        system.api.settled(&late, "success").await?;
        for request in receiver.requests() {
            verify(&request, &secret)?;
        }
        assert_eq!(receiver.count(), 2);
    }
}

/// A generated entry is one that a server takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_generated_key_can_be_used() -> Result<()> {
    let generate = || command("secrets", &[]).arg("generate");
    let (one, other) = (finish(generate()).await?, finish(generate()).await?);
    assert_eq!(one.len(), 1, "{one:?}");
    assert_ne!(one, other);
    let system = System::with(Kind::Embedded, &[("WHIMBREL_SECRETS__KEYS", &one[0])]).await?;
    system.api.create_webhook("https://example.com/", &["*"]).await?;
    Ok(())
}
