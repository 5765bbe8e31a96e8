//! The queue: a table that keeps, and memory that dispatches.

use std::sync::Arc;

use async_trait::async_trait;
use whimbrel_core::port::{Consumer, DepthRow, Publisher, Queue, QueueError, Source};

use crate::engine::Shared;
use crate::fault::Fault;

mod acker;
mod consumer;
pub(crate) mod delayed;
mod dispatch;
pub(crate) mod lent;
mod listener;
pub(crate) mod lot;
mod parking;
pub(crate) mod place;
mod promoter;
mod publisher;
pub(crate) mod stored;
pub(crate) mod table;

pub(crate) use dispatch::Dispatch;
pub(crate) use parking::SqliteParking;
pub(crate) use promoter::Promoter;

/// The queue's side of an engine.
pub(crate) struct SqliteQueue(pub(crate) Arc<Shared>);

#[async_trait]
impl Queue for SqliteQueue {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(publisher::SqlitePublisher(self.0.clone()))
    }

    async fn consume(&self, source: Source, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        if self.0.dispatch.closed.is_cancelled() {
            return Err(QueueError::Closed);
        }
        Ok(match place::index(source) {
            Some(index) => Box::new(consumer::LotConsumer::new(self.0.clone(), index, prefetch)),
            None => Box::new(listener::Listener::new(&self.0.dispatch)),
        })
    }

    async fn ping(&self) -> Result<(), QueueError> {
        if self.0.dispatch.closed.is_cancelled() {
            return Err(QueueError::Closed);
        }
        if *self.0.dispatch.blocked.borrow() {
            return Err(QueueError::Away("the last commit failed".to_owned()));
        }
        sqlx::query("SELECT 1").execute(&self.0.reads).await.map_err(Fault::from)?;
        Ok(())
    }

    async fn depths(&self) -> Result<Vec<DepthRow>, QueueError> {
        Ok(self.0.dispatch.depths())
    }

    async fn close(&self) {
        self.0.close(&self.0.dispatch.closed).await;
    }
}
