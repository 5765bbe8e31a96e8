//! Acks, each only for what is unacked in the present epoch: the broker closes a channel that acks anything else.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::sync::Notify;
use whimbrel_core::port::{Acker, QueueError, Tag};

/// What a consumer was given and has not acked.
#[derive(Default)]
pub(crate) struct Unacked {
    state: Mutex<State>,
    /// Told when an ack failed: the channel is to be replaced.
    pub(crate) failed: Notify,
}

#[derive(Default)]
struct State {
    epoch: u64,
    /// None between channels.
    channel: Option<Channel>,
    numbers: BTreeSet<u64>,
}

impl Unacked {
    /// A new channel: what was unacked before comes again.
    pub(crate) fn begin_epoch(&self, channel: Channel) -> u64 {
        let mut state = self.lock();
        state.epoch += 1;
        state.channel = Some(channel);
        state.epoch
    }

    /// The channel is lost or closed.
    pub(crate) fn end_epoch(&self) -> Option<Channel> {
        let mut state = self.lock();
        state.numbers.clear();
        state.channel.take()
    }

    pub(crate) fn add(&self, tag: Tag) {
        let mut state = self.lock();
        if state.epoch == tag.epoch {
            state.numbers.insert(tag.number);
        }
    }

    /// Whether what has this tag is still this consumer's.
    pub(crate) fn holds(&self, epoch: u64) -> bool {
        let state = self.lock();
        state.epoch == epoch && state.channel.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("never poisoned")
    }

    /// An ack that fails needs no answer: its message comes again, as one of another epoch.
    async fn finish(&self, begun: Vec<Begun>) -> Result<(), QueueError> {
        for acking in begun {
            if acking.await.is_err() {
                self.failed.notify_one();
                break;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Acker for Unacked {
    async fn ack(&self, tags: &[Tag]) -> Result<(), QueueError> {
        let begun = self.lock().take(tags, |channel, number| begin(ack(channel, number, false)));
        self.finish(begun).await
    }

    async fn ack_through(&self, tag: Tag) -> Result<(), QueueError> {
        let begun = self.lock().take_through(tag, |channel, number| begin(ack(channel, number, true)));
        self.finish(begun.into_iter().collect()).await
    }

    async fn release(&self, tags: &[Tag]) -> Result<(), QueueError> {
        let begun = self.lock().take(tags, |channel, number| begin(release(channel, number)));
        self.finish(begun).await
    }
}

impl State {
    /// Does `act` for each of the tags that is unacked. The frames are queued before the lock is given up, so
    /// that no other ack overtakes them.
    fn take(&mut self, tags: &[Tag], act: impl Fn(Channel, u64) -> Begun) -> Vec<Begun> {
        let Some(channel) = &self.channel else { return Vec::new() };
        let ours = tags.iter().filter(|tag| tag.epoch == self.epoch && self.numbers.remove(&tag.number));
        ours.map(|tag| act(channel.clone(), tag.number)).collect()
    }

    /// Does `act` for the last unacked one up to the tag, and takes those before with it.
    fn take_through(&mut self, tag: Tag, act: impl Fn(Channel, u64) -> Begun) -> Option<Begun> {
        let channel = self.channel.as_ref().filter(|_| tag.epoch == self.epoch)?;
        let last = *self.numbers.range(..=tag.number).next_back()?;
        self.numbers = self.numbers.split_off(&(last + 1));
        Some(act(channel.clone(), last))
    }
}

type Begun = Pin<Box<dyn Future<Output = lapin::Result<()>> + Send>>;

/// Queues the frame: lapin does so at the first poll.
fn begin(acking: impl Future<Output = lapin::Result<()>> + Send + 'static) -> Begun {
    let mut acking: Begun = Box::pin(acking);
    match acking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => acking,
        Poll::Ready(done) => Box::pin(async { done }),
    }
}

async fn ack(channel: Channel, number: u64, multiple: bool) -> lapin::Result<()> {
    channel.basic_ack(number, BasicAckOptions { multiple }).await
}

async fn release(channel: Channel, number: u64) -> lapin::Result<()> {
    channel.basic_nack(number, BasicNackOptions { multiple: false, requeue: true }).await
}
