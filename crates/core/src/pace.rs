//! Batches at an even pace: what comes while one rests shares the next one.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// What each message of a batch adds to the rest after it.
const REST: Duration = Duration::from_millis(1);

/// How long a batch of so many messages may rest, at most `rest_max`: hundreds a second hardly wait, thousands share
/// what each batch costs.
pub fn rest(messages: usize, rest_max: Duration) -> Duration {
    u32::try_from(messages).map_or(rest_max, |messages| REST.saturating_mul(messages).min(rest_max))
}

/// A loop's pace. The first batch after a quiet time starts at once; under load batches begin at least a gap apart.
///
/// Without it a loop on a busy machine is woken for every single message, and each of those wakes costs a transaction,
/// a publish and an ack that dozens could share.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    /// The next batch does not begin before.
    next: Option<Instant>,
}

impl Pace {
    /// Batches begin at least `gap` apart: no message waits longer for company.
    pub fn new(gap: Duration) -> Self {
        Self { gap, next: None }
    }

    /// Rests until the gap is over, then waits for `batch`. As safe to cancel as `batch` is.
    pub async fn keep<T>(&mut self, batch: impl Future<Output = T>) -> T {
        if let Some(next) = self.next {
            sleep_until(next).await;
        }
        let batch = batch.await;
        self.next = Some(Instant::now() + self.gap);
        batch
    }

    /// The batch that has just begun holds as much as one may: there is more, and no gap would bring it better company.
    pub fn hurry(&mut self) {
        self.next = None;
    }

    /// The batch that has just begun is followed after `gap`, if that is less than the one between any two.
    pub fn ease(&mut self, gap: Duration) {
        self.next = self.next.min(Some(Instant::now() + gap));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    const GAP: Duration = Duration::from_millis(5);

    #[tokio::test(start_paused = true)]
    async fn a_message_after_a_quiet_time_does_not_wait_and_a_crowd_shares_batches() {
        let (sender, mut receiver) = mpsc::channel(64);
        let mut pace = Pace::new(GAP);
        let begun = Instant::now();
        for number in 0..2 {
            sender.send(number).await.expect("open");
            pace.keep(receiver.recv()).await.expect("a message");
            assert_eq!(begun.elapsed(), Duration::from_millis(20 * number));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let crowd = tokio::spawn(async move {
            for number in 0..20 {
                sender.send(number).await.expect("open");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let mut sizes = Vec::new();
        let mut batch = Vec::new();
        while pace.keep(receiver.recv_many(&mut batch, 64)).await > 0 {
            sizes.push(batch.len());
            batch.clear();
        }
        crowd.await.expect("no panic");
        assert_eq!(sizes.iter().sum::<usize>(), 20);
        assert_eq!(sizes[0], 1, "the first one goes at once: {sizes:?}");
        assert!(sizes.len() <= 6, "{sizes:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn full_batches_follow_one_another_at_once() {
        let (sender, mut receiver) = mpsc::channel(64);
        let mut pace = Pace::new(GAP);
        for number in 0..40 {
            sender.send(number).await.expect("open");
        }
        drop(sender);
        let begun = Instant::now();
        let mut batch = Vec::new();
        for expected in [16, 16, 8] {
            assert_eq!(pace.keep(receiver.recv_many(&mut batch, 16)).await, expected);
            assert_eq!(begun.elapsed(), Duration::ZERO);
            if batch.len() == 16 {
                pace.hurry();
            }
            batch.clear();
        }
        assert_eq!(pace.keep(receiver.recv_many(&mut batch, 16)).await, 0);
        assert_eq!(begun.elapsed(), GAP, "after one that is not full");
    }

    #[tokio::test(start_paused = true)]
    async fn an_eased_batch_is_followed_earlier_and_never_later() {
        let mut pace = Pace::new(GAP);
        let begun = Instant::now();
        for (eased, expected) in [(1, 0), (20, 1), (0, 6), (5, 6)] {
            pace.keep(std::future::ready(())).await;
            assert_eq!(begun.elapsed(), Duration::from_millis(expected));
            pace.ease(Duration::from_millis(eased));
        }
    }
}
