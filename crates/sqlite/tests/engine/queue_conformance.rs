//! The queue suite: with the memory of production, and with so little that most messages wait on disk.

use std::sync::Arc;

use tempfile::TempDir;
use whimbrel_core::port::Queue;
use whimbrel_sqlite::Options;
use whimbrel_testkit::conformance::queue::Fixture;

struct Place {
    dir: TempDir,
    options: Options,
}

impl Fixture for Place {
    async fn open(&self) -> anyhow::Result<Arc<dyn Queue>> {
        Ok(crate::common::open_at(self.dir.path(), self.options.clone()).await?.queue())
    }
}

fn place(options: Options) -> anyhow::Result<Place> {
    Ok(Place { dir: tempfile::tempdir()?, options })
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
