//! A virtual host of the test's own, and looking at and into its queues.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Broker, Management, upstream};
use crate::servers::unique;
use crate::wait;

/// A virtual host of the test's own; deleted together with this value.
#[must_use = "the virtual host is deleted together with this value"]
pub struct Vhost {
    name: String,
    amqp: Url,
    management: Management,
    users: Mutex<Vec<String>>,
}

/// A message looked at in a queue by [`Vhost::peek`].
#[derive(Debug, Clone, Deserialize)]
pub struct Message {
    /// The exchange it was last published or dead-lettered to.
    pub exchange: String,
    /// Its routing key.
    pub routing_key: String,
    /// Its AMQP properties by name, the headers under `headers`.
    pub properties: Value,
    /// Its body: as it is when that is UTF-8, else in base64.
    pub payload: String,
    /// `string` or `base64`.
    pub payload_encoding: String,
    /// How many messages stand behind it.
    pub message_count: u64,
}

/// A fresh virtual host on the broker named by `TEST_AMQP_URL`, else on one private to this process.
///
/// `TEST_AMQP_MANAGEMENT_URL` names that broker's management API; by default port 15672 of the same host.
///
/// # Errors
/// When RabbitMQ is not installed, does not start, or refuses to create the virtual host.
pub async fn vhost() -> Result<Vhost> {
    static OWN: OnceCell<Broker> = OnceCell::const_new();
    let Ok(url) = std::env::var("TEST_AMQP_URL") else {
        return OWN.get_or_try_init(Broker::start).await?.create_vhost().await;
    };
    let amqp = Url::parse(&url).context("TEST_AMQP_URL is no URL")?;
    let host = amqp.host_str().context("TEST_AMQP_URL names no host")?;
    let management = std::env::var("TEST_AMQP_MANAGEMENT_URL").unwrap_or_else(|_| format!("http://{host}:15672"));
    let (user, password) = credentials(&amqp);
    Vhost::create(Management::new(&management, user, password)?, &url).await
}

impl Vhost {
    /// Creates one on the broker at `amqp_url`, whose path is replaced.
    pub(crate) async fn create(management: Management, amqp_url: &str) -> Result<Self> {
        let name = unique("test");
        management.put_vhost(&name).await?;
        let mut amqp = Url::parse(amqp_url)?;
        amqp.set_path(&name);
        Ok(Self { name, amqp, management, users: Mutex::default() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `amqp://…` of this virtual host, with every right on it.
    pub fn amqp_url(&self) -> &str {
        self.amqp.as_str()
    }

    /// `amqp://…` of this virtual host for another user; see [`Vhost::put_user`].
    pub fn amqp_url_as(&self, user: &str, password: &str) -> String {
        let mut url = self.amqp.clone();
        let replaced = url.set_username(user).and_then(|()| url.set_password(Some(password)));
        replaced.expect("an amqp URL has a host, so it can have a user");
        url.into()
    }

    /// The management API, as the administrator.
    pub fn management(&self) -> &Management {
        &self.management
    }

    /// Creates a user with these rights to configure, write and read here, and gives the URL to connect with.
    ///
    /// The broker's users are shared by all its virtual hosts, so the name is made unique; the user is deleted
    /// together with this virtual host.
    pub async fn put_user(&self, role: &str, rights: [&str; 3]) -> Result<String> {
        let (user, password) = (unique(role), unique("password"));
        self.users.lock().expect("never poisoned").push(user.clone());
        self.management.put_user(&user, &password, "").await?;
        self.management.put_permissions(&user, &self.name, rights).await?;
        Ok(self.amqp_url_as(&user, &password))
    }

    /// Declares a durable queue with these arguments.
    pub async fn declare_queue(&self, queue: &str, arguments: &Value) -> Result<()> {
        let body = json!({"durable": true, "arguments": arguments});
        self.call(Method::PUT, &["queues", &self.name, queue], body).await.map(drop)
    }

    /// Binds a queue to an exchange.
    ///
    /// # Errors
    /// When either does not exist.
    pub async fn bind(&self, exchange: &str, queue: &str, routing_key: &str) -> Result<()> {
        let segments = ["bindings", &self.name, "e", exchange, "q", queue];
        self.call(Method::POST, &segments, json!({"routing_key": routing_key})).await.map(drop)
    }

    /// Publishes a message, as an upstream service would. `properties` by AMQP name, headers under `headers`.
    ///
    /// # Errors
    /// Also when no queue took the message.
    pub async fn publish(&self, exchange: &str, routing_key: &str, properties: &Value, body: &[u8]) -> Result<()> {
        upstream::publish(self.amqp_url(), exchange, routing_key, properties, body).await
    }

    /// The first messages of `queue`, which stay in it (marked as redelivered).
    pub async fn peek(&self, queue: &str, count: u32) -> Result<Vec<Message>> {
        let body = json!({"count": count, "ackmode": "ack_requeue_true", "encoding": "auto"});
        let messages = self.call(Method::POST, &["queues", &self.name, queue, "get"], body).await?;
        Ok(serde_json::from_value(messages)?)
    }

    /// Waits until `queue` shows exactly `count` messages, and gives them. What another consumer has in hand, were it for a
    /// look only, is not shown.
    pub async fn wait_for_messages(&self, queue: &str, count: usize, timeout: Duration) -> Result<Vec<Message>> {
        // Each look counts as a delivery, so there are few in vain.
        self.wait_for_depth(queue, u64::try_from(count)?, timeout).await?;
        let what = format!("queue {queue} shows {count} messages");
        let more = u32::try_from(count)?.saturating_add(1);
        wait::until(&what, timeout, async || self.peek(queue, more).await.ok().filter(|found| found.len() == count))
            .await
    }

    /// How many messages `queue` holds, those handed to consumers included; a fraction of a second old.
    ///
    /// # Errors
    /// Also when there is no such queue.
    pub async fn depth(&self, queue: &str) -> Result<u64> {
        let depths = self.depths().await?;
        depths.get(queue).copied().with_context(|| format!("there is no queue {queue}, only {depths:?}"))
    }

    /// As [`Vhost::depth`], of every queue here by its name.
    pub async fn depths(&self) -> Result<BTreeMap<String, u64>> {
        let queues = self.management.queue_totals(&self.name).await?;
        Ok(queues.into_iter().map(|queue| (queue.name, queue.messages)).collect())
    }

    /// Waits until `queue` holds exactly `depth` messages.
    pub async fn wait_for_depth(&self, queue: &str, depth: u64, timeout: Duration) -> Result<()> {
        let what = format!("queue {queue} holds {depth} messages");
        let probe = async || (self.depth(queue).await.ok() == Some(depth)).then_some(());
        match wait::until(&what, timeout, probe).await {
            Ok(()) => Ok(()),
            Err(timeout) => Err(timeout.context(format!("it holds {:?}", self.depth(queue).await))),
        }
    }

    /// Empties `queue` of all that no consumer holds.
    pub async fn purge(&self, queue: &str) -> Result<()> {
        self.management.call(Method::DELETE, &["queues", &self.name, queue, "contents"], None).await.map(drop)
    }

    async fn call(&self, method: Method, segments: &[&str], body: Value) -> Result<Value> {
        self.management.call(method, segments, Some(body)).await
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        let (management, name) = (self.management.with_connections_of_its_own(), self.name.clone());
        let users = std::mem::take(&mut *self.users.lock().expect("never poisoned"));
        // On a thread of its own: dropping cannot await, and the test's runtime may be ending.
        let deletion = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                for user in users {
                    management.delete_user(&user).await?;
                }
                management.delete_vhost(&name).await
            })
        });
        // The broker may be gone already, and the virtual host with it.
        let _ = deletion.join();
    }
}

fn credentials(amqp: &Url) -> (&str, &str) {
    match amqp.username() {
        "" => ("guest", "guest"),
        user => (user, amqp.password().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn every_test_gets_a_vhost_of_its_own() -> Result<()> {
        let (one, other) = (vhost().await?, vhost().await?);
        one.declare_queue("q", &json!({})).await?;
        assert_eq!(one.depth("q").await?, 0);
        let error = other.depth("q").await.expect_err("no such queue there");
        assert!(error.to_string().contains("no queue q"), "{error}");
        Ok(())
    }

    #[tokio::test]
    async fn messages_are_published_counted_looked_at_and_purged() -> Result<()> {
        let vhost = vhost().await?;
        vhost.declare_queue("q", &json!({"x-queue-type": "quorum"})).await?;
        let properties = json!({"message_id": "m1", "headers": {"tenant": "acme"}});
        vhost.publish("", "q", &properties, b"{\"n\":1}").await?;
        vhost.publish("", "q", &properties, b"\xff\x00").await?;
        let messages = vhost.wait_for_messages("q", 2, TIMEOUT).await?;
        assert_eq!(messages[0].payload, "{\"n\":1}");
        assert_eq!(messages[0].properties["headers"]["tenant"], "acme");
        assert_eq!((messages[1].payload.as_str(), messages[1].payload_encoding.as_str()), ("/wA=", "base64"));
        vhost.wait_for_depth("q", 2, TIMEOUT).await?;

        vhost.purge("q").await?;
        vhost.wait_for_depth("q", 0, TIMEOUT).await
    }

    #[tokio::test]
    async fn a_message_that_no_queue_takes_is_an_error() -> Result<()> {
        let vhost = vhost().await?;
        let error = vhost.publish("amq.topic", "nowhere", &json!({}), b"").await.expect_err("unroutable");
        assert!(error.to_string().contains("amq.topic"), "{error}");
        let error = vhost.publish("no.such.exchange", "", &json!({}), b"").await.expect_err("no exchange");
        assert!(error.to_string().contains("no.such.exchange"), "{error}");
        Ok(())
    }

    #[tokio::test]
    async fn a_dropped_vhost_is_gone() -> Result<()> {
        let (kept, dropped) = (vhost().await?, vhost().await?);
        let name = dropped.name().to_owned();
        drop(dropped);
        let gone = kept.management().call(Method::GET, &["vhosts", &name], None).await;
        assert!(gone.expect_err("deleted").to_string().contains("404"));
        Ok(())
    }

    #[tokio::test]
    async fn users_get_exactly_their_rights() -> Result<()> {
        let vhost = vhost().await?;
        let url = Url::parse(&vhost.put_user("sender", ["^$", "^out$", "^in$"]).await?)?;
        assert_eq!(url.path(), format!("/{}", vhost.name()));
        let path = ["permissions", vhost.name(), url.username()];
        let rights = vhost.management().call(Method::GET, &path, None).await?;
        assert_eq!((&rights["write"], &rights["read"]), (&json!("^out$"), &json!("^in$")));
        Ok(())
    }
}
