//! The management API, as a client sees it.

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use whimbrel_testkit::{http, wait};

use super::SOON;

/// Calls the API as one tenant.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) base: String,
    pub(crate) key: String,
    pub(crate) tenant: String,
    client: reqwest::Client,
}

impl Api {
    pub(crate) fn new(base: String, key: &str) -> Self {
        Self { base, key: key.to_owned(), tenant: "default".into(), client: http::client() }
    }

    /// The same for another tenant.
    pub(crate) fn tenant(&self, tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), ..self.clone() }
    }

    /// Any call; the answer's status and body (`Null` when empty).
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        request = request.bearer_auth(&self.key).header("Whimbrel-Tenant", &self.tenant);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// A call that must succeed.
    pub(crate) async fn ok(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, answer) = self.call(method.clone(), path, body).await?;
        ensure!(status.is_success(), "{method} {path} answered {status}: {answer}");
        Ok(answer)
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.ok(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ok(Method::POST, path, Some(body)).await
    }

    /// A tenant under a contract; gives the API as that tenant.
    pub(crate) async fn create_tenant(&self, id: &str, contract: &str) -> Result<Self> {
        self.post("/v1/tenants", &json!({"id": id, "contract": contract})).await?;
        Ok(self.tenant(id))
    }

    /// A webhook; gives its id and secret.
    pub(crate) async fn create_webhook(&self, url: &str, events: &[&str]) -> Result<(String, String)> {
        let webhook = self.post("/v1/webhooks", &json!({"url": url, "events": events})).await?;
        Ok((text(&webhook, "id")?, text(&webhook, "secret")?))
    }

    /// Publishes; gives the event's id. `data` goes out as these very bytes.
    pub(crate) async fn publish(&self, event_type: &str, data: &str) -> Result<String> {
        self.try_publish(event_type, data).await?.with_context(|| format!("the event {event_type} was not accepted"))
    }

    /// Publishes so many events of one type, in batches; gives their ids in order.
    pub(crate) async fn publish_many(&self, event_type: &str, count: usize) -> Result<Vec<String>> {
        let mut ids = Vec::with_capacity(count);
        while ids.len() < count {
            let size = (count - ids.len()).min(500);
            let events: Vec<Value> =
                (0..size).map(|place| json!({"type": event_type, "data": {"n": ids.len() + place}})).collect();
            let answer = self.post("/v1/events/batch", &json!({"events": events})).await?;
            let results = answer["results"].as_array().with_context(|| format!("no results in {answer}"))?;
            ids.extend(results.iter().map(|result| text(result, "id")).collect::<Result<Vec<_>>>()?);
        }
        Ok(ids)
    }

    /// Publishes; `None` when the API could not take it.
    pub(crate) async fn try_publish(&self, event_type: &str, data: &str) -> Result<Option<String>> {
        let body = format!(r#"{{"type":{},"data":{data}}}"#, json!(event_type));
        let request = self.client.post(format!("{}/v1/events", self.base)).bearer_auth(&self.key);
        let request =
            request.header("Whimbrel-Tenant", &self.tenant).header("Content-Type", "application/json").body(body);
        let Ok(response) = request.send().await else { return Ok(None) };
        if response.status() != StatusCode::ACCEPTED {
            return Ok(None);
        }
        let answer: Value = response.json().await?;
        text(&answer, "id").map(Some)
    }

    /// The one delivery of an event, once `found` says yes to it.
    pub(crate) async fn delivery_when(&self, event: &str, found: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until("the delivery is as expected", SOON, || async {
            let answer = self.get(&format!("/v1/events/{event}")).await.ok()?;
            let delivery = answer["deliveries"].get(0)?.clone();
            found(&delivery).then_some(delivery)
        })
        .await
    }

    /// Waits until the event's one delivery has this status; gives it with its attempts.
    pub(crate) async fn settled(&self, event: &str, status: &str) -> Result<Value> {
        let delivery = self.delivery_when(event, |delivery| delivery["status"] == status).await;
        let delivery = match delivery {
            Ok(delivery) => delivery,
            Err(error) => {
                let seen = self.get(&format!("/v1/events/{event}")).await;
                return Err(error.context(format!("waiting for {status}: {seen:?}")));
            }
        };
        self.get(&format!("/v1/deliveries/{}", text(&delivery, "id")?)).await
    }

    /// How many of a webhook's deliveries have this status.
    pub(crate) async fn count(&self, webhook: &str, status: &str) -> Result<u64> {
        let stats = self.get(&format!("/v1/webhooks/{webhook}/stats")).await?;
        Ok(stats["deliveries"][status].as_u64().unwrap_or(0))
    }

    /// The statuses of a webhook's deliveries, newest first, over all pages.
    pub(crate) async fn statuses(&self, webhook: &str) -> Result<Vec<String>> {
        let mut statuses = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/v1/webhooks/{webhook}/deliveries?limit=100{cursor}")).await?;
            let rows = page["deliveries"].as_array().context("deliveries is no list")?;
            statuses.extend(rows.iter().filter_map(|row| row["status"].as_str().map(str::to_owned)));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(statuses),
            }
        }
    }
}

/// A text field of an answer.
pub(crate) fn text(answer: &Value, field: &str) -> Result<String> {
    answer[field].as_str().map(str::to_owned).with_context(|| format!("no `{field}` in {answer}"))
}
