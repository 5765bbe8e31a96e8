//! Publishing: durable when it returns.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use whimbrel_core::port::{Message, Publisher, QueueError};

use super::stored::{self, Sorted};
use crate::engine::Shared;

pub(super) struct SqlitePublisher(pub(super) Arc<Shared>);

#[async_trait]
impl Publisher for SqlitePublisher {
    async fn publish(&self, messages: Vec<Message>) -> Result<(), QueueError> {
        let Shared { dispatch, writer, clock, .. } = &*self.0;
        if dispatch.closed.is_cancelled() {
            return Err(QueueError::Closed);
        }
        let now = clock.now();
        let (mut kept, mut notices) = (Vec::with_capacity(messages.len()), Vec::new());
        for message in messages {
            match stored::sort(message, now) {
                Sorted::Kept(outgoing) => kept.push(outgoing),
                Sorted::Notice(notice) => notices.push(notice),
            }
        }
        if !kept.is_empty() {
            writer.publish(kept).await?;
        }
        for notice in notices {
            // An error only means that nobody listens.
            let _ = dispatch.notices.send(Arc::new(notice));
        }
        Ok(())
    }

    fn blocked(&self) -> watch::Receiver<bool> {
        self.0.dispatch.blocked.subscribe()
    }
}
