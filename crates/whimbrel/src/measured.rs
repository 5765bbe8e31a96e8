//! The queue with a clock beside it: how long confirms take, and when what went into a tier should come out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;
use whimbrel_core::port::{Consumer, DepthRow, Message, Publisher, Queue, QueueError, Route, Source};
use whimbrel_core::tier::Tier;

/// A queue that measures what is published.
pub(crate) struct Measured {
    queue: Arc<dyn Queue>,
    dues: Arc<Dues>,
}

impl Measured {
    pub(crate) fn new(queue: Arc<dyn Queue>, dues: Arc<Dues>) -> Self {
        Self { queue, dues }
    }
}

#[async_trait]
impl Queue for Measured {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(MeasuredPublisher { publisher: self.queue.publisher(), dues: self.dues.clone() })
    }

    async fn consume(&self, source: Source, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        self.queue.consume(source, prefetch).await
    }

    async fn ping(&self) -> Result<(), QueueError> {
        self.queue.ping().await
    }

    async fn depths(&self) -> Result<Vec<DepthRow>, QueueError> {
        self.queue.depths().await
    }

    async fn close(&self) {
        self.queue.close().await;
    }
}

struct MeasuredPublisher {
    publisher: Arc<dyn Publisher>,
    dues: Arc<Dues>,
}

#[async_trait]
impl Publisher for MeasuredPublisher {
    async fn publish(&self, messages: Vec<Message>) -> Result<(), QueueError> {
        let begun = Instant::now();
        let tiers: Vec<Tier> = messages.iter().filter_map(tier).collect();
        self.publisher.publish(messages).await?;
        metrics::histogram!("whimbrel_publish_seconds").record(begun.elapsed().as_secs_f64());
        self.dues.put(Instant::now(), &tiers);
        Ok(())
    }

    fn blocked(&self) -> watch::Receiver<bool> {
        self.publisher.blocked()
    }
}

fn tier(message: &Message) -> Option<Tier> {
    match message.route {
        Route::Delay(tier, _) => Some(tier),
        _ => None,
    }
}

/// What this process put into tiers, by when it should come out. An engine does not tell: RabbitMQ shows nothing of what
/// it cannot dead-letter. Forgotten with the process, so that it counts too little, never too much.
pub(crate) struct Dues {
    begun: Instant,
    waiting: Mutex<BTreeMap<(Duration, Tier), u64>>,
}

/// Messages of one tier that are due within this fraction of its delay are counted together: that bounds the memory.
const STEPS: u32 = 64;

impl Dues {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), waiting: Mutex::default() }
    }

    fn put(&self, now: Instant, tiers: &[Tier]) {
        if tiers.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for tier in tiers {
            *waiting.entry((due(now.duration_since(self.begun), *tier), *tier)).or_default() += 1;
        }
    }

    /// What has become due since the last call.
    pub(crate) fn take(&self, now: Instant) -> Vec<(Tier, u64)> {
        let now = now.duration_since(self.begun);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        while let Some(first) = waiting.first_entry().filter(|first| first.key().0 <= now) {
            let ((_, tier), count) = first.remove_entry();
            taken.push((tier, count));
        }
        taken
    }
}

/// When a message that goes into the tier now is due, or up to a step later.
fn due(now: Duration, tier: Tier) -> Duration {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let step = millis(tier.delay() / STEPS).max(1_000);
    Duration::from_millis((millis(now) + millis(tier.delay())).next_multiple_of(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(secs: u64) -> Tier {
        Tier::new(Duration::from_secs(secs))
    }

    #[test]
    fn what_went_into_a_tier_is_due_once_its_delay_is_over() {
        let dues = Dues::new();
        let at = |secs| dues.begun + Duration::from_secs(secs);
        dues.put(at(0), &[tier(300), tier(30), tier(300)]);
        assert!(dues.take(at(29)).is_empty());
        assert_eq!(dues.take(at(31)), [(tier(30), 1)]);
        assert!(dues.take(at(299)).is_empty());
        assert_eq!(dues.take(at(305)), [(tier(300), 2)]);
        assert!(dues.take(at(1_000)).is_empty(), "counted once");
    }

    #[test]
    fn a_tier_takes_a_bounded_number_of_entries() {
        let dues = Dues::new();
        for secs in 0..80_000 {
            dues.put(dues.begun + Duration::from_secs(secs), &[tier(86_400)]);
        }
        let entries = dues.waiting.lock().expect("never poisoned").len();
        assert!(entries <= STEPS as usize + 1, "{entries}");
    }
}
