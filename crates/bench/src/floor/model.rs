//! From the limits to the floor of a delivery.

use serde::Serialize;

use super::{Limits, Queue, Rows, Sizes};
use crate::meter::float_of;
use crate::system::Engine;

/// Jobs in a pack, outcomes in a pack, as the design has them.
pub(super) const JOBS: f64 = 16.0;
pub(super) const OUTCOMES: f64 = 64.0;
/// Bytes of a job without its body, and of an outcome.
pub(super) const JOB_KIB: f64 = 0.15;
pub(super) const OUTCOME_KIB: f64 = 0.15;

/// How events come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Intake {
    /// One request an event.
    Http,
    /// Many events a request.
    Batch,
    /// One message an event.
    Amqp,
}

/// Whether there is enough to do for messages and transactions to be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Full packs, transactions of a hundred rows.
    Full,
    /// Each delivery by itself.
    Single,
}

/// What is done for a delivery.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Work {
    /// On which engine.
    pub engine: Engine,
    /// From where.
    pub intake: Intake,
    /// Deliveries of each event.
    pub fan_out: usize,
    /// How much at a time.
    pub packing: Packing,
    /// Attempts of a delivery.
    pub attempts: f64,
}

impl Limits {
    /// CPU microseconds a delivery of this work takes at least.
    pub fn floor_us(&self, work: Work) -> f64 {
        let fan_out = float_of(work.fan_out.max(1));
        let intake = match work.intake {
            Intake::Http => self.post.server_us / fan_out,
            Intake::Batch | Intake::Amqp => 0.0,
        };
        let inside = match (work.engine, self.queue, self.postgres) {
            (Engine::Distributed, Some(queue), Some(rows)) => distributed(queue, rows, work, fan_out),
            _ => embedded(self.sqlite, work, fan_out),
        };
        intake + inside + self.post.client_us * work.attempts
    }

    /// The part of it that the event's way in takes.
    pub fn intake_us(&self, work: Work) -> f64 {
        self.floor_us(work) - self.floor_us(Work { intake: Intake::Batch, ..work })
    }

    /// Milliseconds from publish to receipt at least: half an intake, the hops through a broker, a commit, half a POST.
    pub fn floor_ms(&self, engine: Engine) -> f64 {
        let inside = match (engine, self.queue, self.postgres) {
            (Engine::Distributed, Some(queue), Some(rows)) => 2.0 * queue.hop_ms + rows.commit_ms,
            _ => self.sqlite.commit_ms,
        };
        self.post.round_trip_ms + inside
    }
}

/// Event, jobs and outcomes as messages; event, delivery, attempt and the delivery's new state as rows.
fn distributed(queue: Queue, rows: Rows, work: Work, fan_out: f64) -> f64 {
    let upstream_us = match work.intake {
        // Its publisher is not Whimbrel: half of the client's part.
        Intake::Amqp => (queue.small_us - queue.small_broker_us) / 2.0,
        Intake::Http | Intake::Batch => 0.0,
    };
    // The key under which a repeat is known, unique and with a time to forget it.
    let key_us = match work.intake {
        Intake::Amqp => rows.listed.small_us,
        Intake::Http | Intake::Batch => 0.0,
    };
    let event = (queue.message_us(1.0) - upstream_us + key_us) / fan_out;
    let (jobs, outcomes) = match work.packing {
        Packing::Full => (
            queue.message_us(JOBS * (1.0 / fan_out + JOB_KIB)) / JOBS,
            queue.message_us(OUTCOMES * OUTCOME_KIB) / OUTCOMES,
        ),
        Packing::Single => (queue.message_us(1.0 + JOB_KIB), queue.message_us(OUTCOME_KIB)),
    };
    event + (jobs + outcomes) * work.attempts + written(rows, work, fan_out)
}

/// The same, with messages as rows that are written and removed.
fn embedded(rows: Rows, work: Work, fan_out: f64) -> f64 {
    let message = |kib: f64| rows.bare.row_us(kib) + rows.bare.small_us;
    let event = message(1.0) / fan_out;
    let (jobs, outcomes) = match work.packing {
        Packing::Full => (message(JOBS * (1.0 / fan_out + JOB_KIB)) / JOBS, message(OUTCOMES * OUTCOME_KIB) / OUTCOMES),
        Packing::Single => (message(1.0 + JOB_KIB), message(OUTCOME_KIB)),
    };
    event + (jobs + outcomes) * work.attempts + written(rows, work, fan_out)
}

fn written(rows: Rows, work: Work, fan_out: f64) -> f64 {
    let event = rows.listed.row_us(1.0) / fan_out + rows.listed.small_us;
    let outcome = (rows.listed.small_us + rows.change_us) * work.attempts;
    let commits = match work.packing {
        // In the rows' figures.
        Packing::Full => 0.0,
        Packing::Single => (rows.single_us - rows.bare.small_us).max(0.0) * (1.0 / fan_out + work.attempts),
    };
    event + outcome + commits
}

impl Queue {
    /// Through the two sizes that were measured.
    fn message_us(self, kib: f64) -> f64 {
        self.small_us + (self.large_us - self.small_us).max(0.0) / 15.0 * (kib - 1.0).max(0.0)
    }
}

impl Sizes {
    /// Through the two sizes that were measured, 0.2 and 1 KiB.
    fn row_us(self, kib: f64) -> f64 {
        self.small_us + (self.large_us - self.small_us).max(0.0) / 0.8 * (kib - 0.2).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Post, Rows, Sizes};
    use super::*;

    fn rows(large_us: f64, small_us: f64, single_us: f64, commit_ms: f64) -> Rows {
        let sizes = Sizes { large_us, small_us };
        Rows { bare: sizes, listed: sizes, change_us: small_us, single_us, commit_ms }
    }

    /// The design's cost model, as measured when it was written.
    fn limits() -> Limits {
        Limits {
            post: Post { client_us: 28.0, server_us: 17.0, round_trip_ms: 0.2 },
            queue: Some(Queue { small_us: 115.0, small_broker_us: 74.0, large_us: 190.0, hop_ms: 1.0 }),
            postgres: Some(rows(17.0, 10.0, 130.0, 0.3)),
            sqlite: rows(10.0, 4.0, 60.0, 0.1),
        }
    }

    fn work(engine: Engine, fan_out: usize, packing: Packing) -> Work {
        Work { engine, intake: Intake::Http, fan_out, packing, attempts: 1.0 }
    }

    #[test]
    fn the_floor_is_that_of_the_cost_model() {
        let floor = |engine, fan_out| limits().floor_us(work(engine, fan_out, Packing::Full));
        assert!((190.0..260.0).contains(&floor(Engine::Distributed, 1)), "{}", floor(Engine::Distributed, 1));
        assert!((70.0..130.0).contains(&floor(Engine::Distributed, 10)), "{}", floor(Engine::Distributed, 10));
        assert!((60.0..130.0).contains(&floor(Engine::Embedded, 1)), "{}", floor(Engine::Embedded, 1));
    }

    #[test]
    fn over_amqp_an_event_needs_its_key_and_half_a_client_less() {
        let http = limits().floor_us(work(Engine::Distributed, 1, Packing::Full));
        let amqp = limits().floor_us(Work { intake: Intake::Amqp, ..work(Engine::Distributed, 1, Packing::Full) });
        assert!((http - 17.0 - 41.0 / 2.0 + 10.0 - amqp).abs() < 1e-9, "{http} {amqp}");
    }

    #[test]
    fn sharing_is_cheaper_and_a_second_attempt_is_not_free() {
        for engine in [Engine::Distributed, Engine::Embedded] {
            let full = limits().floor_us(work(engine, 1, Packing::Full));
            assert!(limits().floor_us(work(engine, 1, Packing::Single)) > 1.5 * full);
            let twice = Work { attempts: 2.0, ..work(engine, 1, Packing::Full) };
            assert!(limits().floor_us(twice) > full + 28.0);
        }
    }
}
