//! The store suite.

use std::sync::Arc;

use tempfile::TempDir;
use whimbrel_core::port::Store;
use whimbrel_sqlite::{Engine, Options};
use whimbrel_testkit::conformance::store::Fixture;

struct Place {
    _dir: TempDir,
    engine: Engine,
}

impl Fixture for Place {
    fn store(&self) -> Arc<dyn Store> {
        self.engine.store()
    }
}

async fn place() -> anyhow::Result<Place> {
    let (dir, engine) = crate::common::open(Options::default()).await?;
    Ok(Place { _dir: dir, engine })
}

whimbrel_testkit::store_conformance!(place);
