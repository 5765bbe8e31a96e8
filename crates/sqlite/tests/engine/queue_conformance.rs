//! The queue suite: with the memory of production, and with so little that most messages wait on disk.

use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use tempfile::TempDir;
use whimbrel_core::port::{Parking, Queue};
use whimbrel_sqlite::Options;
use whimbrel_testkit::conformance::queue::Fixture;

struct Place {
    dir: TempDir,
    options: Options,
    parking: Mutex<Option<Arc<dyn Parking>>>,
}

impl Fixture for Place {
    async fn open(&self) -> anyhow::Result<Arc<dyn Queue>> {
        // The engine of before lets its folder go when nothing of it is held.
        *self.parking.lock().expect("never poisoned") = None;
        let engine = crate::common::open_at(self.dir.path(), self.options.clone()).await?;
        *self.parking.lock().expect("never poisoned") = Some(engine.parking());
        Ok(engine.queue())
    }

    async fn parking(&self) -> anyhow::Result<Arc<dyn Parking>> {
        self.parking.lock().expect("never poisoned").clone().context("the queue is open")
    }
}

fn place(options: Options) -> anyhow::Result<Place> {
    Ok(Place { dir: tempfile::tempdir()?, options, parking: Mutex::default() })
}

mod production {
    async fn place() -> anyhow::Result<super::Place> {
        super::place(super::Options::default())
    }

    whimbrel_testkit::queue_conformance!(place);
}

mod little_memory {
    async fn place() -> anyhow::Result<super::Place> {
        super::place(super::Options {
            memory_messages_max: 16,
            memory_bytes_max: 16 * 1024,
            ..super::Options::default()
        })
    }

    whimbrel_testkit::queue_conformance!(place);
}
