//! Calls to the store, each tried until it answers: meanwhile the batch stays unacked.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use whimbrel_core::TenantId;
use whimbrel_core::event::Event;
use whimbrel_core::port::{Accepted, Fanout, QueueError, StoreError};
use whimbrel_core::problem::Rejection;

use crate::admit::{check, claim};
use crate::batch::Batch;
use crate::directory::{Directory, Tenants};
use crate::ingest::Ingest;

const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Why a batch is left unacked.
pub(crate) enum Halt {
    /// The process ends.
    Stopping,
    /// The queue cannot be used.
    Queue(QueueError),
}

impl From<QueueError> for Halt {
    fn from(error: QueueError) -> Self {
        Self::Queue(error)
    }
}

impl Ingest {
    /// A batch's tenants as they are now.
    pub(crate) async fn tenants(
        &self,
        directory: &mut Directory,
        ids: &[TenantId],
        stop: &CancellationToken,
    ) -> Result<Tenants, Halt> {
        let mut backoff = BACKOFF;
        loop {
            match directory.read(&*self.store, ids).await {
                Ok(tenants) => return Ok(tenants),
                Err(error) => pause(&error, &mut backoff, stop).await?,
            }
        }
    }

    /// What can be accepted, under the id it gets.
    pub(crate) async fn admit(
        &self,
        batch: &Batch,
        tenants: &Tenants,
        stop: &CancellationToken,
    ) -> Result<Vec<Result<Event, Rejection>>, Halt> {
        let contracts = self.contracts.current();
        let mut backoff = BACKOFF;
        loop {
            let mut candidates = check(&batch.incoming, tenants, &contracts, self.retention, &*self.clock);
            let now = self.clock.now();
            match claim(&*self.store, &batch.incoming, &mut candidates, tenants, &contracts, now).await {
                Ok(()) => return Ok(candidates),
                Err(error) => pause(&error, &mut backoff, stop).await?,
            }
        }
    }

    /// A chunk that the store refuses is taken event by event, and the one at fault is parked (rule 19). `None`, and
    /// nothing is stored, if a tenant is not at its version any more, or if that was asked for and the store refuses.
    pub(crate) async fn accept(
        &self,
        as_of: &[(TenantId, i64)],
        chunk: &[Fanout],
        stop: &CancellationToken,
    ) -> Result<Option<Vec<Result<Accepted, Rejection>>>, Halt> {
        let mut backoff = BACKOFF;
        let mut uncertain = false;
        loop {
            let begun = tokio::time::Instant::now();
            let accepted = self.store.accept_as_of(as_of, chunk).await;
            metrics::histogram!("whimbrel_store_commit_seconds", "call" => "accept")
                .record(begun.elapsed().as_secs_f64());
            match accepted {
                Ok(None) => return Ok(None),
                Ok(Some(accepted)) => {
                    // What an earlier try has stored without an answer has jobs that nobody has published.
                    let answer =
                        |accepted: Accepted| Accepted { repeated: accepted.repeated && !uncertain, ..accepted };
                    return Ok(Some(accepted.into_iter().map(answer).map(Ok).collect()));
                }
                Err(StoreError::Refused(_)) if !as_of.is_empty() => return Ok(None),
                Err(StoreError::Refused(reason)) if chunk.len() == 1 => {
                    error!(event = %chunk[0].event.id, reason, "the store refuses this event");
                    let message = format!("the store cannot take it: {reason}");
                    return Ok(Some(vec![Err(Rejection::new("store_refused", "", message))]));
                }
                Err(StoreError::Refused(_)) => {
                    let (first, second) = chunk.split_at(chunk.len() / 2);
                    let Some(mut accepted) = Box::pin(self.accept(as_of, first, stop)).await? else { return Ok(None) };
                    let Some(others) = Box::pin(self.accept(as_of, second, stop)).await? else { return Ok(None) };
                    accepted.extend(others);
                    return Ok(Some(accepted));
                }
                Err(error) => {
                    uncertain = true;
                    pause(&error, &mut backoff, stop).await?;
                }
            }
        }
    }
}

/// Waits before the next try.
async fn pause(error: &StoreError, backoff: &mut Duration, stop: &CancellationToken) -> Result<(), Halt> {
    warn!(%error, "ingest cannot use the store at the moment; tried again");
    tokio::select! {
        () = stop.cancelled() => Err(Halt::Stopping),
        () = tokio::time::sleep(*backoff) => {
            *backoff = (*backoff * 2).min(BACKOFF_MAX);
            Ok(())
        }
    }
}
