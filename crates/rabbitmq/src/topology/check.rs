//! The table, compared with a running broker over its management API: AMQP can ask for existence only.

use std::collections::BTreeSet;
use std::fmt;

use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

use super::{Arguments, Binding, Topology};

/// Why a topology could not be compared.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot read the topology from the management API at {host}: {reason}")]
pub struct CheckError {
    host: String,
    reason: String,
}

/// Where the management API is and who asks it.
#[derive(Clone)]
pub struct Management {
    url: Url,
    http: Client,
}

impl Management {
    /// `http://user:password@host:15672`; the user needs the tag `monitoring` or a higher one. `http` brings
    /// its own limits and TLS.
    pub fn new(url: &str, http: Client) -> Result<Self, CheckError> {
        // The message must not hold the URL, which holds the password.
        let fault = |reason: &str| CheckError { host: "an unreadable URL".to_owned(), reason: reason.to_owned() };
        let url = Url::parse(url).map_err(|error| fault(&error.to_string()))?;
        if matches!(url.scheme(), "http" | "https") && url.has_host() {
            Ok(Self { url, http })
        } else {
            Err(fault("it has to be http://user:password@host:port"))
        }
    }

    async fn list<T: DeserializeOwned>(&self, kind: &str, vhost: &str) -> Result<Vec<T>, CheckError> {
        let mut url = self.url.clone();
        url.path_segments_mut().expect("an http URL has a path").pop_if_empty().extend(["api", kind, vhost]);
        let response = self.http.get(url).send().await.map_err(|error| self.fault(error.without_url().to_string()))?;
        match response.status() {
            StatusCode::OK => response.json().await.map_err(|error| self.fault(error.without_url().to_string())),
            StatusCode::UNAUTHORIZED => Err(self.fault(format!(
                "user `{}` is refused: wrong name or password, or without the tag monitoring",
                self.url.username()
            ))),
            StatusCode::NOT_FOUND => Err(self.fault(format!("there is no vhost `{vhost}`"))),
            other => Err(self.fault(format!("it answered {other} to the list of {kind}"))),
        }
    }

    fn fault(&self, reason: String) -> CheckError {
        let host = self.url.host_str().unwrap_or_default();
        let host = self.url.port_or_known_default().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        CheckError { host, reason }
    }
}

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Management").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

/// One line per difference between the table and the broker; empty when they agree. What the broker has
/// beside the table is no difference, but for further bindings between the table's own.
pub async fn check(topology: &Topology, management: &Management, vhost: &str) -> Result<Vec<String>, CheckError> {
    let exchanges: Vec<Entry> = management.list("exchanges", vhost).await?;
    let queues: Vec<Entry> = management.list("queues", vhost).await?;
    let bindings: Vec<Bound> = management.list("bindings", vhost).await?;

    let mut differences = Vec::new();
    for exchange in &topology.exchanges {
        let found = exchanges.iter().find(|entry| entry.name == exchange.name);
        let kind = Some(exchange.kind.as_str());
        differences.extend(entry(&format!("exchange {}", exchange.name), kind, &exchange.arguments, found));
    }
    for queue in &topology.queues {
        let found = queues.iter().find(|entry| entry.name == queue.name);
        differences.extend(entry(&format!("queue {}", queue.name), None, &queue.arguments, found));
    }
    differences.extend(bound(topology, &bindings));
    Ok(differences)
}

/// An exchange or a queue as the API lists it.
#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    #[serde(rename = "type", default)]
    kind: String,
    durable: bool,
    // An empty table comes as an empty list from some versions.
    arguments: Value,
}

/// A binding as the API lists it.
#[derive(Debug, Deserialize)]
struct Bound {
    source: String,
    destination: String,
    destination_type: String,
    routing_key: String,
}

fn entry(what: &str, kind: Option<&str>, arguments: &Arguments, found: Option<&Entry>) -> Vec<String> {
    let Some(found) = found else { return vec![format!("{what} is missing")] };
    let mut differences = Vec::new();
    if let Some(kind) = kind.filter(|kind| *kind != found.kind) {
        differences.push(format!("{what} is of type {}, not {kind}", found.kind));
    }
    if !found.durable {
        differences.push(format!("{what} is not durable"));
    }
    let nothing = Map::new();
    let actual = found.arguments.as_object().unwrap_or(&nothing);
    let names: BTreeSet<&str> = arguments.keys().copied().chain(actual.keys().map(String::as_str)).collect();
    for name in names {
        let expected = arguments.get(name).map(|value| serde_json::json!(value));
        differences.extend(match (expected, actual.get(name)) {
            (Some(expected), None) => Some(format!("{what} lacks {name} = {expected}")),
            (None, Some(actual)) => Some(format!("{what} has {name} = {actual}, which it must not have")),
            (Some(expected), Some(actual)) if expected != *actual => {
                Some(format!("{what} has {name} = {actual}, not {expected}"))
            }
            _ => None,
        });
    }
    differences
}

fn bound(topology: &Topology, found: &[Bound]) -> Vec<String> {
    let line = |exchange: &str, queue: &str, key: &str| format!("binding of {queue} to {exchange} by key `{key}`");
    let same = |one: &Bound, other: &Binding| {
        one.source == other.exchange && one.destination == other.queue && one.routing_key == other.key
    };
    let missing = topology.bindings.iter().filter(|binding| !found.iter().any(|bound| same(bound, binding)));
    let missing = missing.map(|b| format!("{} is missing", line(b.exchange, &b.queue, &b.key)));
    let known = |bound: &&Bound| {
        bound.destination_type == "queue"
            && topology.exchanges.iter().any(|exchange| exchange.name == bound.source)
            && topology.queues.iter().any(|queue| queue.name == bound.destination)
    };
    let foreign = found.iter().filter(known).filter(|b| !topology.bindings.iter().any(|binding| same(b, binding)));
    let foreign = foreign.map(|b| format!("{} must not be there", line(&b.source, &b.destination, &b.routing_key)));
    missing.chain(foreign).collect()
}

#[cfg(test)]
mod tests {
    use whimbrel_testkit::http::client;

    use super::*;

    #[test]
    fn the_password_stays_out_of_messages() {
        let management = Management::new("http://user:s3cret@host:1", client()).expect("a URL");
        let shown = format!("{management:?} {}", management.fault("down".to_owned()));
        assert!(shown.contains("host:1") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn a_url_that_is_none_is_not_repeated() {
        let error = Management::new("u:s3cret@host", client()).expect_err("no http URL").to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
