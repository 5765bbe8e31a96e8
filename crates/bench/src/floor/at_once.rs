//! What deliveries need, all of it at once, done by a program that does nothing else.
//!
//! The limits are measured one by one, each with the processor's caches to itself; a delivery's parts take turns in them.
//! What the same parts cost side by side says how much of a case's cost that is.

use anyhow::Result;

use super::model::{JOB_KIB, JOBS, OUTCOME_KIB, OUTCOMES};
use super::post::Posts;
use super::queue::Probe;
use super::rows::{self, BATCH, LARGE_BYTES, SMALL_BYTES, Tables};
use crate::meter::{float, float_of};
use crate::process::{self, Cpu};
use crate::receiver::Receiver;
use crate::servers::Servers;
use crate::system::Engine;

/// Deliveries whose parts go on side by side before the next ones begin: whole packs and whole statements.
const STRETCH: usize = 1_600;

/// CPU microseconds a delivery, of about `repeats`, without the event's way in.
///
/// # Errors
/// When a server refuses.
pub async fn measure(
    servers: &Servers,
    receiver: &Receiver,
    engine: Engine,
    fan_out: usize,
    repeats: usize,
) -> Result<f64> {
    let stretches = repeats.div_ceil(STRETCH);
    let posts = Posts::expect(receiver, STRETCH * (stretches + 1))?;
    let needs = Needs::of(fan_out);
    let us = match engine {
        Engine::Distributed => distributed(servers, receiver, &posts, &needs, stretches).await?,
        Engine::Embedded => embedded(receiver, &posts, &needs, stretches).await?,
    };
    posts.check(receiver)?;
    Ok(us)
}

async fn distributed(
    servers: &Servers,
    receiver: &Receiver,
    posts: &Posts,
    needs: &Needs,
    stretches: usize,
) -> Result<f64> {
    let corner = servers.corner(false).await?;
    let url = corner.vhost().amqp_url();
    let mut events = Probe::open(url, "floor.once.events", None).await?;
    let mut jobs = Probe::open(url, "floor.once.jobs", None).await?;
    let mut outcomes = Probe::open(url, "floor.once.outcomes", None).await?;
    let mut first = rows::Postgres::create(corner.database_url()).await?;
    let mut last = rows::Postgres::open(corner.database_url()).await?;
    let mut connections = posts.connect().await?;
    let mut cpu = Spent::new(receiver, servers.pids().map_or(vec![], |(postgres, broker)| vec![postgres, broker]));
    for stretch in 0..=stretches {
        cpu.begin_at(stretch);
        let numbers = Numbers::of(stretch);
        tokio::try_join!(
            posts.send(&mut connections, stretch * STRETCH..(stretch + 1) * STRETCH),
            accept(&mut first, &numbers, needs),
            settle(&mut last, &numbers),
            events.pump(needs.events, LARGE_BYTES),
            jobs.pump(needs.job_packs, needs.job_pack_bytes),
            outcomes.pump(needs.outcome_packs, needs.outcome_pack_bytes),
        )?;
    }
    let us = cpu.each(stretches * STRETCH);
    servers.take_back(corner).await?;
    Ok(us)
}

/// A message is a row that is written, and one that is removed, which costs about as much as writing a small one.
async fn embedded(receiver: &Receiver, posts: &Posts, needs: &Needs, stretches: usize) -> Result<f64> {
    let directory = tempfile::tempdir_in(whimbrel_testkit::servers::build_dir()?)?;
    let mut tables = rows::Sqlite::create(directory.path()).await?;
    let mut connections = posts.connect().await?;
    let mut cpu = Spent::new(receiver, vec![]);
    for stretch in 0..=stretches {
        cpu.begin_at(stretch);
        let numbers = Numbers::of(stretch);
        let rows = async {
            let messages = [
                (needs.events, LARGE_BYTES),
                (needs.job_packs, needs.job_pack_bytes),
                (needs.outcome_packs, needs.outcome_pack_bytes),
            ];
            let mut next = numbers.messages;
            for (count, bytes) in messages {
                for bytes in [bytes, SMALL_BYTES] {
                    for chunk in run_of(next, count).chunks(BATCH) {
                        tables.bare(chunk, &vec![b'x'; bytes]).await?;
                    }
                    next += i64::try_from(count)?;
                }
            }
            accept(&mut tables, &numbers, needs).await?;
            settle(&mut tables, &numbers).await
        };
        tokio::try_join!(posts.send(&mut connections, stretch * STRETCH..(stretch + 1) * STRETCH), rows)?;
    }
    Ok(cpu.each(stretches * STRETCH))
}

/// The rows of a fan-out: events, deliveries.
async fn accept(tables: &mut impl Tables, numbers: &Numbers, needs: &Needs) -> Result<()> {
    for (from, count, bytes) in
        [(numbers.events, needs.events, LARGE_BYTES), (numbers.deliveries, STRETCH, SMALL_BYTES)]
    {
        for chunk in run_of(from, count).chunks(BATCH) {
            tables.listed(chunk, &vec![b'x'; bytes]).await?;
        }
    }
    Ok(())
}

/// Those of results: attempts, and a new state.
async fn settle(tables: &mut impl Tables, numbers: &Numbers) -> Result<()> {
    for chunk in run_of(numbers.attempts, STRETCH).chunks(BATCH) {
        tables.listed(chunk, &[b'x'; SMALL_BYTES]).await?;
        tables.change(chunk).await?;
    }
    Ok(())
}

/// What a stretch needs.
struct Needs {
    events: usize,
    job_packs: usize,
    job_pack_bytes: usize,
    outcome_packs: usize,
    outcome_pack_bytes: usize,
}

impl Needs {
    fn of(fan_out: usize) -> Self {
        let bodies_kib = JOBS / float_of(fan_out);
        Self {
            events: STRETCH / fan_out,
            job_packs: STRETCH / whole(JOBS),
            job_pack_bytes: whole((bodies_kib + JOBS * JOB_KIB) * 1024.0),
            outcome_packs: STRETCH / whole(OUTCOMES),
            outcome_pack_bytes: whole(OUTCOMES * OUTCOME_KIB * 1024.0),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small figures above zero")]
fn whole(figure: f64) -> usize {
    figure as usize
}

/// Where the numbers of a stretch's rows begin.
struct Numbers {
    messages: i64,
    events: i64,
    deliveries: i64,
    attempts: i64,
}

impl Numbers {
    fn of(stretch: usize) -> Self {
        let [messages, events, deliveries, attempts] =
            std::array::from_fn(|kind| i64::try_from((4 * stretch + kind + 1) * 10 * STRETCH).unwrap_or(i64::MAX));
        Self { messages, events, deliveries, attempts }
    }
}

fn run_of(from: i64, count: usize) -> Vec<i64> {
    (from..).take(count).collect()
}

/// CPU from a moment on.
struct Spent<'a> {
    receiver: &'a Receiver,
    servers: Vec<i32>,
    before: (Cpu, u64),
}

impl<'a> Spent<'a> {
    fn new(receiver: &'a Receiver, servers: Vec<i32>) -> Self {
        Self { receiver, servers, before: (Cpu::default(), 0) }
    }

    /// Counts from now on, before the second stretch: the first makes pages, connections and plans.
    fn begin_at(&mut self, stretch: usize) {
        if stretch == 1 {
            self.before = self.look();
        }
    }

    fn look(&self) -> (Cpu, u64) {
        let servers = self.servers.iter().map(|id| process::tree_cpu(*id));
        (servers.fold(process::own_cpu(), Cpu::and), self.receiver.cpu_us())
    }

    /// Microseconds a delivery, without the receiver's.
    fn each(&self, deliveries: usize) -> f64 {
        let (cpu, receiver) = self.look();
        float(cpu.since(self.before.0).saturating_sub(receiver - self.before.1)) / float_of(deliveries)
    }
}
