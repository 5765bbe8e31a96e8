//! Publishing over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use hyper::{Request, StatusCode};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection::{Connection, Outgoing};
use super::events::Events;
use crate::receiver::Receiver;

/// Idle connections, the one used last on top.
type Idle = Mutex<Vec<(Instant, Connection)>>;

/// How long an idle connection is used again; the API closes it some time later.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Where and as whom events are published.
#[derive(Debug, Clone)]
pub struct HttpIntake {
    /// `http://host:port` of the API.
    pub base: String,
    /// An API key.
    pub key: String,
}

impl HttpIntake {
    /// Publishes all events, `concurrency` at a time; gives the time at which each was begun.
    ///
    /// # Errors
    /// When one is not accepted.
    pub async fn flood(&self, events: &Events, concurrency: usize, receiver: &Receiver) -> Result<Vec<u64>> {
        let next = AtomicUsize::new(0);
        let worker = async || -> Result<Vec<(usize, u64)>> {
            let mut connection = Connection::open(&self.base).await?;
            let mut begun = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= events.count() {
                    return Ok(begun);
                }
                begun.push((number, receiver.now_us()));
                self.publish(&mut connection, events, events.first() + number).await?;
            }
        };
        let of_workers = try_join_all((0..concurrency).map(|_| worker())).await?;
        let mut sent = vec![0; events.count()];
        for (number, at) in of_workers.into_iter().flatten() {
            sent[number] = at;
        }
        Ok(sent)
    }

    /// Publishes all events at a rate, however long the answers take: nobody waits for an earlier answer, so a slow
    /// intake shows as latency. Gives the time at which each was begun.
    ///
    /// # Errors
    /// When one is not accepted.
    pub async fn paced(&self, events: &Events, per_second: f64, receiver: &Receiver) -> Result<Vec<u64>> {
        let start = receiver.now_us();
        let mut begun = Vec::with_capacity(events.count());
        let (pool, mut publishing) = (Arc::new(Idle::default()), JoinSet::new());
        let mut offset = Duration::ZERO;
        for number in 0..events.count() {
            let at = start + crate::receiver::micros(offset);
            offset += Duration::from_secs_f64(1.0 / per_second);
            tokio::time::sleep_until(receiver.instant(at)).await;
            // The timer is late by up to a millisecond, which is not what is measured.
            begun.push(receiver.now_us());
            let (intake, events, pool) = (self.clone(), events.clone(), pool.clone());
            let number = events.first() + number;
            publishing.spawn(async move { intake.publish_pooled(&pool, &events, number).await });
            while let Some(published) = publishing.try_join_next() {
                published??;
            }
        }
        while let Some(published) = publishing.join_next().await {
            published??;
        }
        Ok(begun)
    }

    /// Publishes all events in batches of up to 500, the fastest way in.
    ///
    /// # Errors
    /// When one is not accepted.
    pub async fn batches(&self, events: &Events, receiver: &Receiver) -> Result<Vec<u64>> {
        let mut connection = Connection::open(&self.base).await?;
        let mut sent = Vec::with_capacity(events.count());
        while sent.len() < events.count() {
            let first = sent.len();
            let last = (first + 500).min(events.count());
            let bodies: Vec<String> = (first..last).map(|number| event(events, events.first() + number)).collect();
            sent.resize(last, receiver.now_us());
            let body = format!(r#"{{"events":[{}]}}"#, bodies.join(","));
            let (status, answer) = connection.send(self.request("/v1/events/batch", body)).await?;
            ensure!(status.is_success(), "a batch was answered {status}: {}", String::from_utf8_lossy(&answer));
        }
        Ok(sent)
    }

    /// Over an idle connection of the pool, or a new one.
    async fn publish_pooled(&self, pool: &Idle, events: &Events, number: usize) -> Result<()> {
        let idle = pool.lock().await.pop().filter(|(since, _)| since.elapsed() < IDLE_MAX);
        let mut connection = match idle {
            Some((_, connection)) => connection,
            None => Connection::open(&self.base).await?,
        };
        self.publish(&mut connection, events, number).await?;
        pool.lock().await.push((Instant::now(), connection));
        Ok(())
    }

    async fn publish(&self, connection: &mut Connection, events: &Events, number: usize) -> Result<()> {
        let (status, answer) = connection.send(self.request("/v1/events", event(events, number))).await?;
        let text = String::from_utf8_lossy(&answer);
        ensure!(status == StatusCode::ACCEPTED, "event {number} was answered {status}: {text}");
        Ok(())
    }

    fn request(&self, path: &str, body: String) -> Outgoing {
        let host = self.base.trim_start_matches("http://");
        Request::post(path)
            .header("host", host)
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(Bytes::from(body).into())
            .expect("the parts are constant but for host and key, which are header values")
    }
}

fn event(events: &Events, number: usize) -> String {
    format!(r#"{{"type":"{}","data":{}}}"#, events.event_type(number), Events::data(number))
}
