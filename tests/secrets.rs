//! No secret is anywhere but where it belongs: not in logs, traces, queues, nor in the database's files.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use data_encoding::{BASE64, HEXLOWER};
use reqwest::{Method, StatusCode};
use serde_json::json;
use whimbrel_testkit::postgres;
use whimbrel_testkit::receiver::{Receiver, Step};

use crate::harness::{SOON, Servers, System, on_both_engines, text};

/// The bytes of an own secret under the contract `standard`.
const OWN: &[u8] = b"the-owners-own-32-byte-secret-00";
const ROTATED: &[u8] = b"the-owners-new-32-byte-secret-11";
const HEADER: &str = "Bearer the-owners-credential-42";
const RING: &[u8] = b"the-ring-under-which-they-lie-32";

/// Every form in which a secret could leak.
fn forms(name: &'static str, bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    vec![(name, bytes.to_vec()), (name, BASE64.encode(bytes).into_bytes()), (name, HEXLOWER.encode(bytes).into_bytes())]
}

/// All that a run leaves behind, by where it lies.
#[derive(Default)]
struct Traces(BTreeMap<String, Vec<u8>>);

impl Traces {
    fn add(&mut self, place: impl Into<String>, bytes: impl AsRef<[u8]>) {
        self.0.entry(place.into()).or_default().extend_from_slice(bytes.as_ref());
    }

    /// Every file below a folder, but for those that keys are kept in on purpose.
    fn add_files(&mut self, folder: &Path) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.add_files(&path)?;
            } else if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("whimbrel.db")) {
                self.add(format!("file {}", path.display()), std::fs::read(&path)?);
            }
        }
        Ok(())
    }

    fn hold_none_of(&self, secrets: &[(&'static str, Vec<u8>)]) {
        for (place, bytes) in &self.0 {
            for (name, secret) in secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_slice());
                assert!(!found, "{name} stands in {place}");
            }
        }
    }
}

on_both_engines! {
    /// Deliveries that succeed, fail and wait, a rotation, refused keys, at the most talkative level.
    async fn nothing_secret_is_left_behind(kind: Kind) {
        let collector = Receiver::start().await?;
        let receiver = Receiver::start().await?;
        receiver.on("/failing", [Step::respond(500, "no")]);
        let ring = format!("k1:{}", BASE64.encode(RING));
        let endpoint = collector.url("");
        let data = tempfile::tempdir()?;
        let data_dir = data.path().display().to_string();
        let mut system = System::with(kind, &[
            ("WHIMBREL_SECRETS__KEYS", &ring),
            ("WHIMBREL_LOG__LEVEL", "debug"),
            ("WHIMBREL_DATA_DIR", &data_dir),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ]).await?;
        let api = system.api.clone();
        let own = |bytes: &[u8]| format!("whsec_{}", BASE64.encode(bytes));
        let webhook = api.post("/v1/webhooks", &json!({"url": receiver.url("/"), "events": ["order.*"], "secret": own(OWN), "headers": {"Authorization": HEADER}})).await?;
        let id = text(&webhook, "id")?;
        api.ok(Method::POST, &format!("/v1/webhooks/{id}/rotate-secret"), Some(&json!({"secret": own(ROTATED)}))).await?;
        api.ok(Method::POST, &format!("/v1/webhooks/{id}/signing-key"), None).await?;
        api.post("/v1/webhooks", &json!({"url": receiver.url("/failing"), "events": ["failing.*"], "secret": own(OWN), "headers": {"Authorization": HEADER}})).await?;
        let made = api.post("/v1/tenants/default/keys", &json!({"name": "a tenant's"})).await?;
        let tenant_key = text(&made, "key")?;
        let wrong = crate::harness::Api::new(api.base.clone(), "whk_a_wrong_key_that_someone_sent");
        assert_eq!(wrong.call(Method::GET, "/v1/webhooks", None).await?.0, StatusCode::UNAUTHORIZED);
        let event = api.publish("order.created", r#"{"n":1}"#).await?;
        let failing = api.publish("failing.event", r#"{"n":2}"#).await?;
        let requests = receiver.wait_until(|all| all.iter().any(|one| one.path() == "/") && all.iter().any(|one| one.path() == "/failing"), SOON).await?;
        assert!(requests.iter().all(|request| request.header("authorization") == Some(HEADER)), "the credential goes to the receiver");
        api.settled(&event, "success").await?;
        api.settled(&failing, "retrying").await?;
        collector.wait_for(1, SOON).await.context("spans were exported")?;

        let mut traces = Traces::default();
        if let Servers::Shared(database, vhost) = &system.servers {
            // Jobs that nobody takes stay where they can be looked at.
            let url = database.url().to_owned();
            let queues = vhost.depths().await?;
            let dump = data.path().join("dump.sql");
            postgres::dump_plain(&url, &dump).await?;
            traces.add("the database's dump", std::fs::read(&dump)?);
            // Those of the notices are their processes' own.
            for (queue, depth) in queues.into_iter().filter(|(queue, _)| !queue.starts_with("whimbrel.notices.")) {
                for message in vhost.peek(&queue, u32::try_from(depth)?.max(1)).await? {
                    let payload = BASE64.decode(message.payload.as_bytes()).unwrap_or_else(|_| message.payload.clone().into_bytes());
                    traces.add(format!("queue {queue}"), payload);
                    traces.add(format!("queue {queue}"), message.properties.to_string());
                }
            }
        }
        let processes = std::mem::take(&mut system.processes);
        for mut process in processes {
            process.terminate(SOON).await?;
            traces.add("the logs", process.lines().join("\n"));
        }
        for request in collector.requests() {
            traces.add("the spans", &request.body);
        }
        traces.add_files(data.path())?;
        assert!(traces.0.len() >= 3, "{:?}", traces.0.keys());
        let mut secrets = [forms("the secret", OWN), forms("the new secret", ROTATED), forms("the key ring", RING), forms("the tenant's key", tenant_key.as_bytes()), forms("the admin key", api.key.as_bytes())].concat();
        secrets.push(("the custom header", b"the-owners-credential-42".to_vec()));
        secrets.push(("a wrong key", b"whk_a_wrong_key_that_someone_sent".to_vec()));
        traces.hold_none_of(&secrets);
    }
}
