//! One batch of outcomes: look, decide, write, commit. Six round trips where all went well (begin, endpoints,
//! deliveries, states, attempts, commit), one less where all are first attempts that succeeded, and one more per kind of
//! trouble.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;
use whimbrel_core::awaited::{awaited, part};
use whimbrel_core::delivery::{Attempt, Delivery};
use whimbrel_core::id::{DeliveryId, ExecutionId};
use whimbrel_core::judge::{Seen, compare};
use whimbrel_core::outcome::{Fate, Outcome};
use whimbrel_core::port::{Decide, Decision, Facts};

use super::attempts::{self, Key, key};
use super::{endpoints, write};
use crate::fault::{Fault, is_repeat};
use crate::open::PostgresStore;
use crate::rows::{all, bounds, delivery};

impl PostgresStore {
    /// Attempts are nearly always new, and reported while their deliveries await them.
    pub(super) async fn settle_batch(&self, outcomes: &[Outcome], decide: Decide<'_>) -> Result<Decision, Fault> {
        if self.new_attempts.is_given() {
            match self.settle_trusting(outcomes, decide).await {
                Ok(Some(decision)) => return Ok(decision),
                Ok(None) => {}
                Err(fault) if is_repeat(&fault) => {}
                Err(fault) => return Err(fault),
            }
            self.new_attempts.betray();
        }
        self.settle_careful(outcomes, decide).await
    }

    /// Takes for granted that no attempt was recorded before, and that first attempts are still awaited. Both show when
    /// it writes: the first as a repeat, the second as `None`, and then nothing is changed.
    async fn settle_trusting(&self, outcomes: &[Outcome], decide: Decide<'_>) -> Result<Option<Decision>, Fault> {
        let mut transaction = self.keyed.begin().await?;
        let clean = endpoints::clean(&mut transaction, outcomes).await?;
        let mut awaited = awaited(outcomes);
        // They are locked last, when they are written: so none whose endpoint is locked before.
        awaited.retain(|_, delivery| clean.contains_key(&delivery.endpoint));
        let others = outcomes.iter().filter(|outcome| !awaited.contains_key(&outcome.delivery));
        let mut deliveries = awaited.clone();
        deliveries.extend(lock_deliveries(&mut transaction, others).await?);
        let endpoints = endpoints::with_locked(&mut transaction, outcomes, clean).await?;
        let first = first_of_each(outcomes, &deliveries);
        let (seen, duplicates) = seen(outcomes, &deliveries, HashMap::new());
        let decision = decide(&Facts { deliveries, endpoints, seen });

        let (ended, others) = part(&decision.deliveries, &awaited);
        if write::ended(&mut transaction, &ended).await? != awaited.len() as u64 {
            return Ok(None);
        }
        write::deliveries(&mut transaction, &others).await?;
        attempts::insert_new(&mut transaction, &first).await?;
        attempts::count_duplicates(&mut transaction, &duplicates).await?;
        write::health(&mut transaction, &decision.health).await?;
        write::suspensions(&mut transaction, &decision.suspended).await?;
        transaction.commit().await?;
        Ok(Some(decision))
    }

    /// Looks everything up first.
    async fn settle_careful(&self, outcomes: &[Outcome], decide: Decide<'_>) -> Result<Decision, Fault> {
        let mut transaction = self.keyed.begin().await?;
        let clean = endpoints::clean(&mut transaction, outcomes).await?;
        let deliveries = lock_deliveries(&mut transaction, outcomes.iter()).await?;
        let endpoints = endpoints::with_locked(&mut transaction, outcomes, clean).await?;
        // The deliveries are locked, so no one else records an attempt of theirs meanwhile.
        let first = first_of_each(outcomes, &deliveries);
        let inserted = attempts::insert_missing(&mut transaction, &first).await?;
        let missed: Vec<&Attempt> = first.iter().filter(|attempt| !inserted.contains(&key(attempt))).collect();
        let recorded = attempts::executions(&mut transaction, &missed).await?;
        let (seen, duplicates) = seen(outcomes, &deliveries, recorded);
        attempts::count_duplicates(&mut transaction, &duplicates).await?;
        let decision = decide(&Facts { deliveries, endpoints, seen });

        write::deliveries(&mut transaction, &decision.deliveries.iter().collect::<Vec<_>>()).await?;
        write::health(&mut transaction, &decision.health).await?;
        write::suspensions(&mut transaction, &decision.suspended).await?;
        transaction.commit().await?;
        Ok(decision)
    }
}

/// In id order, so that two trackers with the same deliveries wait for each other and do not deadlock.
async fn lock_deliveries(
    connection: &mut PgConnection,
    outcomes: impl Iterator<Item = &Outcome>,
) -> Result<HashMap<DeliveryId, Delivery>, Fault> {
    let ids: Vec<Uuid> = outcomes.map(|outcome| outcome.delivery.uuid()).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let (low, high) = bounds(&ids);
    let rows = sqlx::query(
        "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt FROM deliveries
         WHERE id = ANY($1) AND id BETWEEN $2 AND $3 ORDER BY id FOR UPDATE",
    )
    .bind(ids)
    .bind(low)
    .bind(high)
    .fetch_all(connection)
    .await?;
    Ok(all(&rows, delivery)?.into_iter().map(|delivery| (delivery.id, delivery)).collect())
}

/// The known deliveries' attempts; of two POSTs under the same number, the first.
fn first_of_each(outcomes: &[Outcome], deliveries: &HashMap<DeliveryId, Delivery>) -> Vec<Attempt> {
    let mut keys: HashSet<Key> = HashSet::with_capacity(outcomes.len());
    let known = outcomes.iter().filter(|outcome| deliveries.contains_key(&outcome.delivery));
    known.filter_map(Outcome::attempt_row).filter(|attempt| keys.insert(key(attempt))).collect()
}

/// How each outcome's attempt stands to those that were recorded, and the keys that another POST had taken.
fn seen(
    outcomes: &[Outcome],
    deliveries: &HashMap<DeliveryId, Delivery>,
    recorded: HashMap<Key, ExecutionId>,
) -> (Vec<Seen>, Vec<Key>) {
    let posted = |outcome: &Outcome| match &outcome.fate {
        Fate::Attempted(attempted) if deliveries.contains_key(&outcome.delivery) => {
            Some(((outcome.delivery, outcome.attempt), attempted.execution))
        }
        _ => None,
    };
    compare(outcomes.iter().map(posted), recorded)
}
