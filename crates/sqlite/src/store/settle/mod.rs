//! Settling a batch of outcomes: facts, a decision, and its rows, in one transaction.
//!
//! The decision is made by the caller, who may borrow what it decides with; so the writer sends it the facts and
//! waits for the answer. Nobody else writes meanwhile, which is all the locking there is.

use std::time::Duration;

use sqlx::SqliteConnection;
use tokio::sync::oneshot;
use whimbrel_core::awaited::{Awaited, awaited, part};
use whimbrel_core::delivery::Attempt;
use whimbrel_core::id::{DeliveryId, EndpointId};
use whimbrel_core::outcome::Outcome;
use whimbrel_core::port::{Decide, Decision, Facts, StoreError};

use crate::fault::Fault;
use crate::writer::Writer;

mod facts;
pub(super) mod record;
mod write;

/// How long a decision may take before the writer goes on without it. It is a pure function: only a caller
/// that is no longer polled takes long.
const DECISION_MAX: Duration = Duration::from_secs(5);

/// What the transaction needs of one outcome.
struct Settled {
    delivery: DeliveryId,
    endpoint: EndpointId,
    attempt: Option<Attempt>,
}

/// See [`whimbrel_core::port::Ledger::settle`].
pub(super) async fn settle(writer: &Writer, outcomes: &[Outcome], decide: Decide<'_>) -> Result<Decision, StoreError> {
    let settled = |outcome: &Outcome| Settled {
        delivery: outcome.delivery,
        endpoint: outcome.endpoint,
        attempt: outcome.attempt_row(),
    };
    let batch: Vec<Settled> = outcomes.iter().map(settled).collect();
    let (ask, asked) = oneshot::channel();
    let (tell, told) = oneshot::channel();
    let awaited = awaited(outcomes);
    let settling = writer.call(move |tx| Box::pin(run(tx, batch, awaited, ask, told)));
    let deciding = async {
        if let Ok(facts) = asked.await {
            // The writer may have given up waiting; then settling says so.
            let _ = tell.send(decide(&facts));
        }
    };
    tokio::join!(settling, deciding).0
}

async fn run(
    tx: &mut SqliteConnection,
    batch: Vec<Settled>,
    mut awaited: Awaited,
    ask: oneshot::Sender<Facts>,
    told: oneshot::Receiver<Decision>,
) -> Result<Decision, Fault> {
    if !facts::all_await(tx, &awaited).await? {
        awaited.clear();
    }
    let mut deliveries = awaited.clone();
    deliveries.extend(facts::deliveries(tx, &batch, &awaited).await?);
    let endpoints = facts::endpoints(tx, &batch).await?;
    let seen = record::attempts(tx, &batch, &deliveries).await?;
    ask.send(Facts { deliveries, endpoints, seen }).map_err(|_| Fault::Undecided)?;
    let decision = tokio::time::timeout(DECISION_MAX, told).await;
    let decision = decision.map_err(|_| Fault::Undecided)?.map_err(|_| Fault::Undecided)?;
    let (ended, others) = part(&decision.deliveries, &awaited);
    write::ended(tx, &ended).await?;
    write::deliveries(tx, &others).await?;
    write::health(tx, &decision.health).await?;
    write::suspended(tx, &decision.suspended).await?;
    Ok(decision)
}
