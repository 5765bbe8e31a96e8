//! The least that a delivery can cost on this machine, computed from limits measured in the same run.

use anyhow::Result;
use serde::Serialize;

use crate::receiver::Receiver;
use crate::result::median;
use crate::servers::Servers;

pub mod at_once;
mod model;
mod post;
mod queue;
mod rows;

pub use model::{Intake, Packing, Work};

/// The limits; CPU counts both sides, client and server.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Limits {
    /// Signed POSTs.
    pub post: Post,
    /// Quorum queues; `None` without a broker.
    pub queue: Option<Queue>,
    /// PostgreSQL; `None` without one.
    pub postgres: Option<Rows>,
    /// SQLite.
    pub sqlite: Rows,
}

/// A signed 1 KB POST over a bare keep-alive connection.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Post {
    /// CPU microseconds of the client, signature included.
    pub client_us: f64,
    /// CPU microseconds of the receiver, which verifies.
    pub server_us: f64,
    /// From the request's first byte to the answer's last, one at a time, in milliseconds.
    pub round_trip_ms: f64,
}

/// A message through a quorum queue: published, confirmed, consumed, acked; pipelined.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Queue {
    /// CPU microseconds with 1 KB, of broker and client.
    pub small_us: f64,
    /// The broker's part of it.
    pub small_broker_us: f64,
    /// CPU microseconds with 16 KB.
    pub large_us: f64,
    /// From the publish to the consumer, one at a time, in milliseconds.
    pub hop_ms: f64,
}

/// Rows written in transactions that are on the disk when they return.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rows {
    /// CPU microseconds of a row with a number and nothing else, among a hundred in one statement.
    pub bare: Sizes,
    /// The same of a row that can be found again: by an id of 16 bytes, and in a list by its owner.
    pub listed: Sizes,
    /// CPU microseconds of a new state for a listed row of 200 bytes, a hundred by their ids in one statement.
    pub change_us: f64,
    /// CPU microseconds of a transaction of one bare row of 200 bytes.
    pub single_us: f64,
    /// How long that takes, in milliseconds.
    pub commit_ms: f64,
}

/// What a row costs by its size, in CPU microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sizes {
    /// With 1 KB.
    pub large_us: f64,
    /// With 200 bytes.
    pub small_us: f64,
}

impl Limits {
    /// Measures all of them, `repeats` times each.
    ///
    /// # Errors
    /// When a server refuses.
    pub async fn measure(servers: &Servers, receiver: &Receiver, repeats: usize) -> Result<Self> {
        let post = post::measure(receiver, repeats).await?;
        let sqlite = rows::sqlite(receiver, repeats).await?;
        let (queue, postgres) = match servers {
            Servers::None => (None, None),
            servers => {
                let corner = servers.corner(false).await?;
                let pids = servers.pids();
                let broker = pids.map(|(_, broker)| broker);
                let queue = queue::measure(corner.vhost().amqp_url(), broker, receiver, repeats).await?;
                let database = pids.map(|(postgres, _)| postgres);
                let postgres = rows::postgres(corner.database_url(), database, receiver, repeats).await?;
                servers.take_back(corner).await?;
                (Some(queue), Some(postgres))
            }
        };
        Ok(Self { post, queue, postgres, sqlite })
    }

    /// Of limits measured several times, the median of each figure; `None` without any.
    pub fn median(all: &[Self]) -> Option<Self> {
        let last = all.last()?;
        let posts: Vec<Post> = all.iter().map(|limits| limits.post).collect();
        let queues: Vec<Queue> = all.iter().filter_map(|limits| limits.queue).collect();
        let postgres: Vec<Rows> = all.iter().filter_map(|limits| limits.postgres).collect();
        let sqlite: Vec<Rows> = all.iter().map(|limits| limits.sqlite).collect();
        let post = Post {
            client_us: middle(&posts, |post| post.client_us),
            server_us: middle(&posts, |post| post.server_us),
            round_trip_ms: middle(&posts, |post| post.round_trip_ms),
        };
        let queue = last.queue.map(|_| Queue {
            small_us: middle(&queues, |queue| queue.small_us),
            small_broker_us: middle(&queues, |queue| queue.small_broker_us),
            large_us: middle(&queues, |queue| queue.large_us),
            hop_ms: middle(&queues, |queue| queue.hop_ms),
        });
        Some(Self {
            post,
            queue,
            postgres: last.postgres.map(|_| Rows::median(&postgres)),
            sqlite: Rows::median(&sqlite),
        })
    }
}

impl Rows {
    fn median(all: &[Self]) -> Self {
        let sizes = |of: fn(&Self) -> Sizes| Sizes {
            large_us: middle(all, |rows| of(rows).large_us),
            small_us: middle(all, |rows| of(rows).small_us),
        };
        Self {
            bare: sizes(|rows| rows.bare),
            listed: sizes(|rows| rows.listed),
            change_us: middle(all, |rows| rows.change_us),
            single_us: middle(all, |rows| rows.single_us),
            commit_ms: middle(all, |rows| rows.commit_ms),
        }
    }
}

fn middle<T>(all: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    median(all.iter().map(figure).collect()).unwrap_or_default()
}

/// Of wall-clock times in microseconds the one that a quarter keep below, in milliseconds: what else the machine does
/// only ever adds to them.
fn quarter_ms(mut times_us: Vec<u64>) -> f64 {
    times_us.sort_unstable();
    times_us.get(times_us.len() / 4).map_or(0.0, |us| crate::meter::float(*us) / 1e3)
}
