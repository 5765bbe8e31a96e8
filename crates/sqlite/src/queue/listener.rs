//! Listening to notices: from memory only, nothing to ack.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast::{Receiver, error::RecvError, error::TryRecvError};
use tokio_util::sync::CancellationToken;
use whimbrel_core::port::{Acker, Consumer, QueueError, Received, Tag};

use super::Dispatch;
use super::stored::Stored;

/// A listener that fell behind hears [`QueueError::Away`] once, so that it forgets what it had cached
/// (rule 10), and goes on with what is left.
pub(super) struct Listener {
    notices: Receiver<Arc<Stored>>,
    closed: CancellationToken,
    epoch: u64,
    heard: u64,
    missed: Option<u64>,
}

impl Listener {
    pub(super) fn new(dispatch: &Dispatch) -> Self {
        let (notices, closed) = (dispatch.notices.subscribe(), dispatch.closed.clone());
        Self { notices, closed, epoch: dispatch.next_epoch(), heard: 0, missed: None }
    }

    fn received(&mut self, notice: &Stored) -> Received {
        self.heard += 1;
        notice.received(Tag { epoch: self.epoch, number: self.heard })
    }

    async fn first(&mut self) -> Result<Received, QueueError> {
        if self.missed.is_none() {
            let heard = tokio::select! {
                heard = self.notices.recv() => heard,
                () = self.closed.cancelled() => Err(RecvError::Closed),
            };
            match heard {
                Ok(notice) => return Ok(self.received(&notice)),
                Err(RecvError::Lagged(count)) => self.missed = Some(count),
                Err(RecvError::Closed) => return Err(QueueError::Closed),
            }
        }
        let count = self.missed.take().unwrap_or(0);
        Err(QueueError::Away(format!("the listener fell behind and missed {count} notices")))
    }
}

#[async_trait]
impl Consumer for Listener {
    async fn receive(&mut self, max: usize) -> Result<Vec<Received>, QueueError> {
        let mut batch = vec![self.first().await?];
        while batch.len() < max {
            match self.notices.try_recv() {
                Ok(notice) => batch.push(self.received(&notice)),
                Err(TryRecvError::Lagged(count)) => {
                    self.missed = Some(count);
                    break;
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        Ok(batch)
    }

    fn acker(&self) -> Arc<dyn Acker> {
        Arc::new(Unacked)
    }
}

/// Notices are not acked.
struct Unacked;

#[async_trait]
impl Acker for Unacked {
    async fn ack(&self, _tags: &[Tag]) -> Result<(), QueueError> {
        Ok(())
    }

    async fn ack_through(&self, _tag: Tag) -> Result<(), QueueError> {
        Ok(())
    }

    async fn release(&self, _tags: &[Tag]) -> Result<(), QueueError> {
        Ok(())
    }
}
