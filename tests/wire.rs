//! What is sent is accepted by verifiers that no one here wrote; what was tampered with is refused.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64;
use reqwest::Method;
use serde_json::{Value, json};
use whimbrel_core::contract::ContractSet;
use whimbrel_testkit::receiver::{Receiver, Request, Step};

use crate::harness::{Kind, SOON, System, text};

const CONTRACTS: [&str; 4] = ["bitbybit", "eightbit", "generic", "standard"];

fn case(name: &str, contract: &str, secret: &str, previous: Option<&str>, request: &Request, expect: &str) -> Value {
    json!({
        "name": name, "contract": contract, "secret": secret, "previous_secret": previous, "public_key": null,
        "headers": request.headers, "body_base64": BASE64.encode(&request.body), "expect": expect,
    })
}

/// Runs the verifiers over the cases; gives the names of the verifiers that spoke for each contract.
pub(crate) fn verify(name: &str, cases: &[Value]) -> Result<BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join(format!("../target/wire-{name}.jsonl"));
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    std::fs::write(&file, lines.join("\n") + "\n")?;
    let output = Command::new(root.join("wire/verify")).arg(&file).output().context("tests/wire/verify")?;
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the verifiers disagree ({}): {report}", output.status);
    let verdicts = String::from_utf8(output.stdout)?;
    let parsed = verdicts.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    parsed.iter().map(|verdict| text(verdict, "verifier")).collect()
}

/// Every sample of every contract, a retry, and a rotation; each also tampered with and with a wrong secret.
#[tokio::test(flavor = "multi_thread")]
async fn everything_sent_is_accepted_by_independent_verifiers() -> Result<()> {
    let receiver = Receiver::start().await?;
    let system = System::with(Kind::Embedded, &[("WHIMBREL_RETRY_SCALE", "0.05")]).await?;
    let mut cases = Vec::new();
    for contract in CONTRACTS {
        let path = format!("/{contract}");
        // The first event's first attempt fails: the second request is a retry, with a fresh timestamp.
        receiver.on(&path, [Step::status(500), Step::status(200)]);
        let api = system.api.create_tenant(contract, contract).await?;
        let (webhook, secret) = api.create_webhook(&receiver.url(&path), &["*"]).await?;
        let samples = samples(contract);
        for (event_type, data) in &samples {
            let event = api.publish(event_type, data).await?;
            api.settled(&event, "success").await?;
            let body = of_path(&receiver, &path).pop().context("a request")?.body.clone();
            let expected = if contract == "generic" { compact(data)? } else { data.clone() };
            let tail = if contract == "bitbybit" { expected } else { format!("\"data\":{expected}}}") };
            assert!(body.ends_with(tail.as_bytes()), "{contract} {event_type}: {body:?}");
        }
        let sent = of_path(&receiver, &path);
        assert_eq!(sent.len(), samples.len() + 1, "{contract}: one retry");
        for (place, request) in sent.iter().enumerate() {
            cases.push(case(&format!("{contract} {place}"), contract, &secret, None, request, "accept"));
        }
        cases.push(case(&format!("{contract} wrong secret"), contract, &wrong(contract), None, &sent[1], "refuse"));
        let mut tampered = (*sent[1]).clone();
        tampered.body = tampered.body.iter().map(|byte| if *byte == b'o' { b'0' } else { *byte }).collect();
        cases.push(case(&format!("{contract} tampered"), contract, &secret, None, &tampered, "refuse"));
        let rotated = api.ok(Method::POST, &format!("/v1/webhooks/{webhook}/rotate-secret"), Some(&json!({}))).await?;
        let event = api.publish(&samples[0].0, &samples[0].1).await?;
        api.settled(&event, "success").await?;
        let last = of_path(&receiver, &path).pop().context("a request")?;
        cases.push(case(
            &format!("{contract} rotation"),
            contract,
            &text(&rotated, "secret")?,
            Some(&secret),
            &last,
            "accept",
        ));
    }
    receiver.wait_for(cases.len() - 2 * CONTRACTS.len(), SOON).await?;
    let verifiers = verify("contracts", &cases)?;
    for expected in [
        "node/stripe",
        "python/stripe",
        "node/octokit",
        "node/documented-receiver",
        "python/documented-receiver",
        "node/standardwebhooks",
        "python/standardwebhooks",
        "node/stripe/previous",
        "python/stripe/previous",
        "node/octokit/previous",
        "node/documented-receiver/previous",
        "python/documented-receiver/previous",
        "node/standardwebhooks/previous",
        "python/standardwebhooks/previous",
    ] {
        assert!(verifiers.contains(expected), "{expected} has not spoken: {verifiers:?}");
    }
    Ok(())
}

/// The crates.io library, too.
#[tokio::test(flavor = "multi_thread")]
async fn the_rust_library_of_standard_webhooks_accepts_it() -> Result<()> {
    let receiver = Receiver::start().await?;
    let system = System::start(Kind::Embedded).await?;
    let (_, secret) = system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
    system.api.publish("order.created", r#"{"b": 1.0}"#).await?;
    let request = receiver.wait_for(1, SOON).await?.remove(0);
    let mut headers = http::HeaderMap::new();
    for (name, value) in &request.headers {
        headers.insert(http::HeaderName::from_bytes(name.as_bytes())?, value.parse()?);
    }
    let webhook = standardwebhooks::Webhook::new(&secret)?;
    webhook.verify(&request.body, &headers)?;
    assert!(webhook.verify(b"{}", &headers).is_err());
    Ok(())
}

/// As `JSON.stringify` prints it: the samples hold nothing that it would print otherwise than serde_json.
fn compact(data: &str) -> Result<String> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut out);
    serde_transcode::transcode(&mut serde_json::Deserializer::from_str(data), &mut serializer)?;
    Ok(String::from_utf8(out)?)
}

fn of_path(receiver: &Receiver, path: &str) -> Vec<std::sync::Arc<Request>> {
    receiver.requests().into_iter().filter(|request| request.path() == path).collect()
}

fn wrong(contract: &str) -> String {
    if contract == "standard" {
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".into()
    } else {
        "a-secret-of-someone-else".into()
    }
}

fn samples(contract: &str) -> Vec<(String, String)> {
    let contracts = ContractSet::built_in();
    let catalogue = contracts.get(&contract.parse().expect("a name")).expect("built in").catalogue();
    let samples: Vec<_> = catalogue
        .types
        .iter()
        .filter_map(|entry| Some((entry.name.to_string(), entry.example.as_ref()?.to_string())))
        .collect();
    if samples.is_empty() {
        vec![("order.created".into(), r#"{"id": "order_1", "total": 1.0}"#.into())]
    } else {
        samples
    }
}
