//! The behaviour of a store engine, case by case.
//!
//! An engine's crate writes a [`Fixture`] and one line, `store_conformance!(fixture);`, where `fixture` is an
//! `async fn() -> anyhow::Result<impl Fixture>` that makes a new, empty store. The crate needs `tokio` and
//! `anyhow` as dependencies of its tests. [`TestClock`] is the clock that the cases take their times from; an
//! engine that wants one of its own takes another of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use whimbrel_core::Timestamp;
use whimbrel_core::port::Store;

use crate::wait::unix_now;

mod announcements;
mod audit;
mod clock;
mod erasure;
mod event_types;
mod intake;
mod keys;
mod leases;
mod ledger;
mod life;
mod log;
mod lookup;
mod options;
mod registry;
mod releases;
mod replay_event;
mod replay_lists;
mod replay_races;
mod replays;
mod settle;
mod settle_firsts;
mod settle_races;
mod stats;
mod tenants;
mod transfer;
mod upkeep;
mod world;

pub use announcements::*;
pub use audit::*;
pub use clock::TestClock;
pub use erasure::*;
pub use event_types::*;
pub use intake::*;
pub use keys::*;
pub use leases::*;
pub use ledger::*;
pub use log::*;
pub use lookup::*;
pub use options::*;
pub use registry::*;
pub use releases::*;
pub use replay_event::*;
pub use replay_lists::*;
pub use replay_races::*;
pub use replays::*;
pub use settle::*;
pub use settle_firsts::*;
pub use settle_races::*;
pub use stats::*;
pub use tenants::*;
pub use transfer::*;
pub use upkeep::*;
pub use world::World;

/// What a case returns: `Err` says what the engine did wrong.
pub type Checked = anyhow::Result<()>;

/// A store of its own, empty at first, with whatever keeps it alive.
pub trait Fixture: Send + Sync {
    /// The store: always the same one.
    fn store(&self) -> Arc<dyn Store>;

    /// The same as another process has it; itself where there can be one only.
    fn other(&self) -> Arc<dyn Store> {
        self.store()
    }
}

/// One `#[tokio::test]` per case of [`conformance::store`](crate::conformance::store).
#[macro_export]
macro_rules! store_conformance {
    ($fixture:path) => {
        $crate::store_conformance!(@cases $fixture:
            it_answers,
            // intake
            tenant_heads_are_those_that_exist,
            subscriptions_come_with_their_version,
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
            a_repeated_event_stands_alone_in_a_large_batch,
            a_batch_is_stored_as_of_its_tenants_versions,
            every_change_of_a_tenant_raises_its_version,
            rule_21_concurrent_accepts_freeze_one_set,
            // lookup
            endpoints_are_those_that_exist,
            positions_are_those_that_exist,
            // settle
            settle_of_nothing_changes_nothing,
            rule_02_an_attempt_is_new_then_the_same_then_another,
            rule_02_twice_in_one_batch,
            rule_02_recorded_attempts_in_a_large_batch,
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
            first_successes_end_their_deliveries,
            rule_03_a_first_success_finds_what_became_of_its_delivery,
            rule_02_first_successes_told_twice_count_once,
            rule_07_first_successes_and_a_deletion_agree,
            // ledger
            to_publish_carries_what_the_job_needs,
            to_publish_without_endpoint_has_version_zero,
            rule_18_overdue_doubles,
            rule_18_overdue_is_per_lane,
            rule_18_the_next_sweep_counts_from_now,
            overdue_takes_the_oldest_first,
            last_overdue_is_the_latest_and_claims_nothing,
            rule_18_two_sweeps_claim_each_delivery_once,
            take_waiting_makes_pending_what_someone_asked_for,
            take_waiting_takes_the_oldest_first,
            two_takers_take_each_waiting_delivery_once,
            // tenants
            a_tenant_is_created_once,
            tenants_come_in_pages_by_id,
            update_tenant_sets_name_and_contract,
            rule_26_a_contract_is_fixed_once_endpoints_exist,
            delete_tenant_takes_keys_and_endpoints_along,
            limits_survive_the_store_and_change,
            // keys
            keys_are_found_by_hash_and_listed_by_owner,
            a_keys_expiry_and_last_use_survive_the_store,
            a_keys_last_use_never_goes_back,
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
            // registry: options
            headers_and_options_survive_the_store,
            headers_and_options_are_changed_as_a_whole,
            retry_delays_come_with_the_facts,
            a_change_on_a_stale_version_is_refused,
            two_changes_of_one_version_leave_one,
            rule_31_reencrypt_looks_at_every_endpoint,
            // event types
            event_types_come_by_name,
            an_event_type_is_forgotten_once,
            rule_10_event_types_raise_the_version_and_come_with_the_subscriptions,
            a_deleted_tenants_event_types_are_gone,
            // log: one event again
            replay_event_makes_a_delivery_that_was_not_there,
            rule_01_replay_event_begins_a_new_round,
            replay_event_needs_an_active_endpoint,
            replay_event_stays_within_its_tenant,
            two_replays_of_an_event_make_one_delivery,
            // log: figures
            stats_count_deliveries_and_attempts,
            stats_show_how_long_successes_took,
            // replays: releases and drops
            a_release_counts_its_total_at_the_start,
            a_second_release_of_an_endpoint_is_the_running_one,
            rule_08_a_release_keeps_its_window,
            rule_08_the_endpoints_own_cap_bounds_the_window,
            rule_01_a_release_begins_a_new_round,
            rule_08_a_release_ends_only_when_nothing_is_held,
            a_release_of_an_endpoint_that_is_not_active_is_cancelled,
            replays_of_a_deleted_endpoint_are_cancelled,
            a_drop_cancels_what_was_held_before_its_time,
            a_drop_goes_on_in_bounded_steps,
            // replays: past and deferred deliveries
            rule_01_a_replay_takes_past_deliveries_in_a_new_round,
            a_replay_is_filtered_by_type_and_time,
            rule_08_a_replay_never_goes_back,
            a_replay_leaves_out_erased_payloads,
            a_replay_waits_while_its_endpoint_is_not_active,
            rule_17_deferred_deliveries_keep_round_and_attempt,
            a_cancelled_replay_takes_nothing_more,
            rule_17_a_deferred_delivery_keeps_its_place_in_the_window,
            a_manual_retry_leaves_the_replay_that_took_it,
            // replays: which there are
            replays_come_in_pages_newest_first,
            a_tenant_never_reaches_a_foreign_replay,
            running_replays_come_in_pages_by_id,
            rule_08_held_deliveries_without_a_release_are_found,
            rule_17_deferred_deliveries_without_a_replay_are_found,
            forgotten_finds_endpoints_of_every_tenant,
            // replays, concurrently
            rule_08_concurrent_advances_keep_the_window,
            concurrent_starts_of_a_release_begin_one,
            rule_08_a_release_beside_outcomes_loses_nothing,
            // ledger: announcements
            rule_11_a_suspension_and_its_end_are_announced,
            rule_11_a_version_that_rose_meanwhile_stays_to_be_announced,
            rule_11_every_change_is_announced,
            // upkeep: leases
            rule_18_a_lease_is_one_holders,
            rule_18_an_expired_lease_is_free,
            rule_18_concurrent_takers_of_a_lease_leave_one,
            // upkeep: partitions, retention, counts
            rule_27_preparing_days_again_is_no_error,
            rule_28_what_is_not_at_its_end_expires,
            rule_28_prune_removes_what_is_older,
            prune_removes_used_up_keys,
            prune_removes_ended_replays,
            prune_removes_audit_entries_after_a_year,
            usage_is_counted_by_tenant_and_day,
            usage_comes_oldest_first,
            endpoints_are_counted_by_status,
            // erasure
            an_erased_event_keeps_its_rows,
            an_erased_event_is_not_retried,
            a_tenant_never_erases_a_foreign_event,
            a_tenants_payloads_are_erased_step_by_step,
            the_later_of_two_requests_to_erase_counts,
            // audit
            audit_entries_come_in_pages_newest_first,
            // transfer
            the_log_comes_in_pages_by_event,
            loading_what_is_there_changes_nothing,
            a_log_that_is_gone_comes_back_whole,
            a_loaded_retry_is_swept_when_it_is_due,
            rule_06_keys_come_in_pages_by_tenant_and_hash,
            rule_06_loaded_keys_are_claimed_still,
        );
    };
    (@cases $fixture:path: $($case:ident),+ $(,)?) => { $(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() -> $crate::conformance::store::Checked {
            let fixture = $fixture().await?;
            $crate::conformance::store::$case(&$crate::conformance::store::World::new(&fixture)).await
        }
    )+ };
}

/// The store answers a ping with the time by its own clock, which is close to this machine's (rule 36).
pub async fn it_answers(world: &World) -> Checked {
    let (told, here) = (world.store.ping().await?, Timestamp::default() + unix_now());
    let apart = told.since(here).max(here.since(told));
    ensure!(apart < Duration::from_mins(5), "the store's clock says {told}, this machine's {here}");
    Ok(())
}
