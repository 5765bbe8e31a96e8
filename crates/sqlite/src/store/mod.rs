//! The store's side. `ports` leads each of the port's methods to the function that runs its statements; reads go to
//! the pool, writes to the writer, which needs what it writes as its own.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{SqliteConnection, SqlitePool};
use whimbrel_core::port::{Store, StoreError};
use whimbrel_core::time::Timestamp;

use crate::engine::Shared;
use crate::fault::Fault;
use crate::writer::Step;

mod accept;
mod announce;
mod audit;
mod cancel;
mod claim;
mod endpoint_rows;
mod erase;
mod event_types;
mod intake;
mod keys;
mod log;
mod lookup;
mod ports;
mod reencrypt;
mod registry;
mod replay;
mod retry;
mod rows;
mod settle;
mod stats;
mod sweep;
mod tenants;
mod to_publish;
mod transfer;
mod upkeep;
mod waiting;

/// The store's side of an engine.
pub(crate) struct SqliteStore(pub(crate) Arc<Shared>);

type Answer<T> = Result<T, StoreError>;

impl SqliteStore {
    fn reads(&self) -> &SqlitePool {
        &self.0.reads
    }

    /// Runs statements in the writer's next transaction.
    async fn write<T, F>(&self, work: F) -> Answer<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Step<'c, T> + Send + 'static,
    {
        self.0.writer.call(work).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Answer<Timestamp> {
        sqlx::query("SELECT 1").execute(self.reads()).await.map_err(Fault::from)?;
        Ok(self.0.clock.now())
    }

    async fn close(&self) {
        self.0.close(&self.0.store_closed).await;
    }
}
