//! The part of RabbitMQ's management API that tests use.

use anyhow::{Context, Result, bail};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

/// A client of the management API of one node.
#[derive(Clone)]
pub struct Management {
    url: String,
    user: String,
    password: String,
    http: reqwest::Client,
}

/// A queue's name, its type and how many messages it holds, handed to consumers or not.
#[derive(Deserialize)]
pub(super) struct QueueTotals {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Missing while the queue is just coming up.
    #[serde(default)]
    pub(super) messages: u64,
}

impl Management {
    /// For the API at `url` (`http://host:port`), acting as `user`.
    ///
    /// # Errors
    /// When `url` is no URL.
    pub fn new(url: &str, user: &str, password: &str) -> Result<Self> {
        Url::parse(url).with_context(|| format!("{url:?} is no URL of a management API"))?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            http: crate::http::client(),
        })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Creates the vhost `name` and gives this client's user every right on it.
    pub async fn put_vhost(&self, name: &str) -> Result<()> {
        self.call(Method::PUT, &["vhosts", name], Some(json!({}))).await?;
        self.put_permissions(&self.user, name, [".*", ".*", ".*"]).await
    }

    /// Deletes a vhost with all that is in it, closing its connections.
    pub async fn delete_vhost(&self, name: &str) -> Result<()> {
        self.call(Method::DELETE, &["vhosts", name], None).await.map(drop)
    }

    /// Creates or changes a user. `tags` are separated by commas: `""`, `"monitoring"`, `"administrator"`, ….
    pub async fn put_user(&self, name: &str, password: &str, tags: &str) -> Result<()> {
        let user = json!({"password": password, "tags": tags});
        self.call(Method::PUT, &["users", name], Some(user)).await.map(drop)
    }

    /// Deletes a user.
    pub async fn delete_user(&self, name: &str) -> Result<()> {
        self.call(Method::DELETE, &["users", name], None).await.map(drop)
    }

    /// Gives `user` the rights to configure, write and read, each a regular expression over names.
    pub async fn put_permissions(&self, user: &str, vhost: &str, rights: [&str; 3]) -> Result<()> {
        let [configure, write, read] = rights;
        let rights = json!({"configure": configure, "write": write, "read": read});
        self.call(Method::PUT, &["permissions", vhost, user], Some(rights)).await.map(drop)
    }

    /// The names and lengths of the queues of `vhost`.
    ///
    /// The statistics that the API gives by default are seconds old; these figures are the queues' own.
    pub(super) async fn queue_totals(&self, vhost: &str) -> Result<Vec<QueueTotals>> {
        let mut url = self.endpoint(&["queues", vhost])?;
        url.set_query(Some("disable_stats=true&enable_queue_totals=true"));
        let queues = self.execute(Method::GET, url, None).await?;
        Ok(serde_json::from_value(queues)?)
    }

    /// Whether a memory or disk alarm is in force on any node.
    pub async fn alarm_is_raised(&self) -> Result<bool> {
        let url = self.endpoint(&["health", "checks", "alarms"])?;
        let response = self.send(Method::GET, url, None).await?;
        match response.status() {
            StatusCode::OK => Ok(false),
            StatusCode::SERVICE_UNAVAILABLE => Ok(true),
            other => bail!("the alarm check answered {other}"),
        }
    }

    /// Whether the API answers and every vhost is up.
    pub async fn is_ready(&self) -> bool {
        let Ok(url) = self.endpoint(&["health", "checks", "virtual-hosts"]) else {
            return false;
        };
        let check = self.send(Method::GET, url, None).await;
        check.is_ok_and(|response| response.status() == StatusCode::OK)
    }

    /// Calls the API at `/api/SEGMENT/SEGMENT…` (segments unescaped) and gives the JSON it answers, if any.
    ///
    /// # Errors
    /// When the API cannot be reached or answers anything but a 2xx status; the message holds its reason.
    pub async fn call(&self, method: Method, segments: &[&str], body: Option<Value>) -> Result<Value> {
        self.execute(method, self.endpoint(segments)?, body).await
    }

    /// The same client without the connections of this one, which belong to the runtime that opened them.
    pub(super) fn with_connections_of_its_own(&self) -> Self {
        Self { http: crate::http::client(), ..self.clone() }
    }

    async fn execute(&self, method: Method, url: Url, body: Option<Value>) -> Result<Value> {
        let what = format!("{method} {}", url.path());
        let response = self.send(method, url, body).await?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("{what} answered {status}: {text}");
        }
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }

    async fn send(&self, method: Method, url: Url, body: Option<Value>) -> Result<reqwest::Response> {
        let request = self.http.request(method, url).basic_auth(&self.user, Some(&self.password));
        let request = if let Some(body) = body { request.json(&body) } else { request };
        request.send().await.with_context(|| format!("cannot reach the management API at {}", self.url))
    }

    fn endpoint(&self, segments: &[&str]) -> Result<Url> {
        let mut url = Url::parse(&self.url)?;
        let mut path = url.path_segments_mut().ok().context("the URL takes no path")?;
        path.pop_if_empty().push("api").extend(segments);
        drop(path);
        Ok(url)
    }
}
