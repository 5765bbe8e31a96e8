//! The behaviour of a store engine, case by case.
//!
//! An engine's crate writes a [`Fixture`] and one line, `store_conformance!(fixture);`, where `fixture` is an
//! `async fn() -> anyhow::Result<impl Fixture>` that makes a new, empty store. The crate needs `tokio` and
//! `anyhow` as dependencies of its tests. [`TestClock`] is the clock that the cases take their times from; an
//! engine that wants one of its own takes another of them.

use std::sync::Arc;

use whimbrel_core::port::Store;

mod clock;
mod intake;
mod ledger;
mod log;
mod lookup;
mod registry;
mod settle;
mod settle_races;
mod tenants;
mod world;

pub use clock::TestClock;
pub use intake::*;
pub use ledger::*;
pub use log::*;
pub use lookup::*;
pub use registry::*;
pub use settle::*;
pub use settle_races::*;
pub use tenants::*;
pub use world::World;

/// What a case returns: `Err` says what the engine did wrong.
pub type Checked = anyhow::Result<()>;

/// A store of its own, empty at first, with whatever keeps it alive.
pub trait Fixture: Send + Sync {
    /// The store: always the same one.
    fn store(&self) -> Arc<dyn Store>;
}

/// One `#[tokio::test]` per case of [`conformance::store`](crate::conformance::store).
#[macro_export]
macro_rules! store_conformance {
    ($fixture:path) => {
        $crate::store_conformance!(@cases $fixture:
            it_answers,
            // intake
            tenant_heads_are_those_that_exist,
            subscribers_come_with_their_version,
            a_claim_is_fresh_then_a_repeat_or_a_conflict,
            rule_06_keys_are_a_tenants_own,
            an_expired_key_is_free,
            a_key_twice_in_a_batch_is_fresh_the_first_time,
            two_claimers_of_a_key_agree,
            accept_stores_a_fanout_of_many,
            accept_answers_in_order,
            rule_21_a_repeated_event_keeps_its_deliveries,
            a_repeated_event_gives_first_attempts_only,
            an_event_twice_in_a_batch_is_repeated_the_second_time,
            rule_21_concurrent_accepts_freeze_one_set,
            // lookup
            endpoints_are_those_that_exist,
            positions_are_those_that_exist,
            // settle
            settle_of_nothing_changes_nothing,
            rule_02_an_attempt_is_new_then_the_same_then_another,
            rule_02_twice_in_one_batch,
            an_outcome_without_an_attempt_is_new_and_recorded_nowhere,
            rule_28_an_unknown_delivery_is_recorded_nowhere,
            decide_sees_locked_facts,
            a_deleted_endpoint_is_missing_in_the_facts,
            a_decision_is_written_and_returned,
            every_state_survives_the_store,
            a_healthy_endpoint_costs_no_write,
            a_suspension_raises_both_versions,
            an_attempt_survives_the_store,
            // settle, concurrently
            rule_13_concurrent_failures_are_counted_one_by_one,
            rule_02_concurrent_settles_record_one_execution,
            settles_of_overlapping_batches_all_commit,
            // ledger
            to_publish_carries_what_the_job_needs,
            to_publish_without_endpoint_has_version_zero,
            rule_18_overdue_doubles,
            overdue_takes_the_oldest_first,
            rule_18_two_sweeps_claim_each_delivery_once,
            take_waiting_makes_pending_and_says_why,
            take_waiting_takes_the_oldest_first,
            two_takers_take_each_waiting_delivery_once,
            // tenants
            a_tenant_is_created_once,
            tenants_come_in_pages_by_id,
            update_tenant_sets_name_and_contract,
            rule_26_a_contract_is_fixed_once_endpoints_exist,
            delete_tenant_takes_keys_and_endpoints_along,
            keys_are_found_by_hash_and_listed_by_owner,
            // registry
            an_endpoint_survives_the_store,
            endpoints_come_in_pages_oldest_first,
            update_changes_only_what_it_names,
            rule_10_every_change_raises_both_versions,
            rule_09_activate_zeroes_health,
            delete_endpoint_cancels_what_waits,
            rule_30_the_endpoint_limit_is_counted,
            rule_30_concurrent_creations_keep_the_limit,
            a_tenant_never_reaches_anothers_endpoint,
            // log
            an_event_survives_the_store,
            events_come_in_pages_newest_first,
            deliveries_of_an_event,
            deliveries_come_in_pages_newest_first,
            deliveries_are_filtered,
            a_delivery_comes_with_its_attempts,
            rule_01_retry_begins_a_new_round,
            retry_only_from_settled_states,
            retry_needs_an_active_endpoint,
            two_retries_begin_one_round,
            a_tenant_never_reads_anothers_log,
        );
    };
    (@cases $fixture:path: $($case:ident),+ $(,)?) => { $(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() -> $crate::conformance::store::Checked {
            let fixture = $fixture().await?;
            let store = $crate::conformance::store::Fixture::store(&fixture);
            $crate::conformance::store::$case(&$crate::conformance::store::World::new(store)).await
        }
    )+ };
}

/// The store answers a ping.
pub async fn it_answers(world: &World) -> Checked {
    Ok(world.store.ping().await?)
}
