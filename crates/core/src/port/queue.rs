//! The queue as the roles see it: durable messages, confirmed publishes, acks, delays.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::id::PackId;
use crate::parking::Origin;
use crate::tier::Tier;

/// Which share of the sender a delivery uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// First attempts.
    Live,
    /// Retries, and what was deferred or asked for by hand.
    Slow,
    /// Replays and releases.
    Bulk,
}

impl Lane {
    /// Every lane, most urgent first.
    pub const ALL: [Self; 3] = [Self::Live, Self::Slow, Self::Bulk];

    /// The word in routing keys, queue names and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Slow => "slow",
            Self::Bulk => "bulk",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// An event for ingest, keyed by its type.
    Events(String),
    /// Jobs to attempt now.
    Jobs(Lane),
    /// Jobs to attempt when the tier's delay is over; they come out in the same lane.
    Delay(Tier, Lane),
    /// Outcomes for the tracker.
    Outcomes,
    /// A notice to whoever listens, keyed by its kind. Not kept for those who are away.
    Notices(String),
    /// What cannot be processed, kept for people.
    Parking {
        /// Where it came from.
        source: Source,
        /// What it bore when it came, so that it can go back as it was.
        origin: Origin,
        /// A stable word and what was wrong: goes into the header `reason`, beside `source`. The engine
        /// strips control characters and cuts it to 1 KiB.
        reason: String,
    },
}

/// A message to publish. Persistent but for notices.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where to.
    pub route: Route,
    /// The pack's id.
    pub id: PackId,
    /// `application/x-protobuf`, or an upstream's own when it is parked as it came.
    pub content_type: String,
    /// The bytes.
    pub payload: Bytes,
}

/// What can be consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Events, from upstream and from the API.
    Events,
    /// Jobs of one lane.
    Jobs(Lane),
    /// Outcomes.
    Outcomes,
    /// Notices published from now on; nothing to ack.
    Notices,
    /// What was parked.
    Parking,
}

impl fmt::Display for Source {
    /// The word of [`DepthRow`]s and of parked messages: `jobs.live`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events => f.write_str("events"),
            Self::Jobs(lane) => write!(f, "jobs.{lane}"),
            Self::Outcomes => f.write_str("outcomes"),
            Self::Notices => f.write_str("notices"),
            Self::Parking => f.write_str("parking"),
        }
    }
}

impl Source {
    /// The reverse of the text form.
    pub fn parse(text: &str) -> Option<Self> {
        let jobs = Lane::ALL.map(Self::Jobs).into_iter();
        jobs.chain([Self::Events, Self::Outcomes, Self::Notices, Self::Parking])
            .find(|source| source.to_string() == text)
    }
}

/// Identifies a received message to its consumer. Ordered by arrival; one of an earlier connection is
/// ignored by `ack`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// Rises with every reconnect.
    pub epoch: u64,
    /// The engine's number within the epoch.
    pub number: u64,
}

/// A message as received. Properties that an engine or a publisher left out are empty.
#[derive(Debug, Clone)]
pub struct Received {
    /// For the ack.
    pub tag: Tag,
    /// The bytes.
    pub payload: Bytes,
    /// How to read them.
    pub content_type: String,
    /// The publisher's id: for events, the idempotency key (rule 6).
    pub message_id: String,
    /// The publisher's `type` property.
    pub kind: String,
    /// The publisher's `timestamp` property, seconds since the epoch.
    pub timestamp: Option<u64>,
    /// The validated `user_id` property.
    pub user_id: String,
    /// String headers, as sent; filled for upstream's events, and for what was parked: `source` and
    /// `reason`.
    pub headers: Vec<(String, String)>,
    /// How often it was delivered before and not acked.
    pub redeliveries: u32,
}

impl Received {
    /// What it bears, for when it is parked.
    pub fn origin(&self) -> Origin {
        Origin::new(&self.message_id, &self.kind, self.timestamp, &self.user_id, &self.headers)
    }
}

/// Why a queue operation did not work.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// It is away, or did not answer in time: whether a publish arrived is unknown, so it is to be
    /// repeated under the same ids.
    #[error("the queue is away: {0}")]
    Away(String),
    /// The queue refused the message for lack of room.
    #[error("the queue refused the message: {0}")]
    Full(String),
    /// It cannot heal by waiting: wrong credentials, a missing queue, a damaged file.
    #[error("{0}")]
    Fatal(String),
    /// The queue was closed by this process.
    #[error("the queue is closed")]
    Closed,
}

/// Publishes with confirms.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Publishes all of them; returns when each is confirmed, that is durable. On an error any part of
    /// them may have been published.
    async fn publish(&self, messages: Vec<Message>) -> Result<(), QueueError>;

    /// True while the broker blocks publishers (rule 16).
    fn blocked(&self) -> watch::Receiver<bool>;
}

/// The longest pause between tries of [`insist`].
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Publishes until it works: what the queue cannot take at the moment is published again under the same ids.
///
/// # Errors
/// `Closed` when `stop` resolves first, and what cannot heal.
pub async fn insist(
    publisher: &dyn Publisher,
    messages: Vec<Message>,
    stop: impl Future<Output = ()>,
) -> Result<(), QueueError> {
    let mut stop = std::pin::pin!(stop);
    let mut pause = Duration::from_millis(50);
    if messages.is_empty() {
        return Ok(());
    }
    loop {
        match publisher.publish(messages.clone()).await {
            Err(error @ (QueueError::Away(_) | QueueError::Full(_))) => {
                tracing::warn!(%error, messages = messages.len(), "cannot publish at the moment; tried again");
            }
            answer => return answer,
        }
        tokio::select! {
            () = &mut stop => return Err(QueueError::Closed),
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
        }
    }
}

/// A stream of messages from one source. Reconnects by itself, for ever; after that the unacked ones
/// come again under a new epoch.
#[async_trait]
pub trait Consumer: Send {
    /// Waits for a message, then takes what else is ready, up to `max`; never lingers.
    /// Cancelling the future loses nothing.
    async fn receive(&mut self, max: usize) -> Result<Vec<Received>, QueueError>;

    /// A handle that acks what this consumer received.
    fn acker(&self) -> Arc<dyn Acker>;
}

/// Acks messages.
#[async_trait]
pub trait Acker: Send + Sync {
    /// Acks these. One of an earlier epoch, or acked before, is ignored.
    async fn ack(&self, tags: &[Tag]) -> Result<(), QueueError>;

    /// Acks everything received up to and including `tag`.
    async fn ack_through(&self, tag: Tag) -> Result<(), QueueError>;

    /// Hands these back at once: they come again, to this consumer or another.
    async fn release(&self, tags: &[Tag]) -> Result<(), QueueError>;
}

/// How many messages wait where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepthRow {
    /// `events`, `jobs.live`, `delay.30s`, `outcomes`, `parking`, …
    pub name: String,
    /// Messages ready.
    pub ready: u64,
}

/// A queue engine.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// A publisher. Clones share one connection for publishing.
    fn publisher(&self) -> Arc<dyn Publisher>;

    /// A consumer with at most `prefetch` unacked messages.
    async fn consume(&self, source: Source, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError>;

    /// Whether it answers.
    async fn ping(&self) -> Result<(), QueueError>;

    /// What waits.
    async fn depths(&self) -> Result<Vec<DepthRow>, QueueError>;

    /// Closes connections after what is under way.
    async fn close(&self);
}
