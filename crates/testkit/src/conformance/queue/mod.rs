//! The behaviour of a queue engine, case by case.
//!
//! An engine's crate writes a [`Fixture`] and one line, `queue_conformance!(fixture);`, where `fixture` is an
//! `async fn() -> anyhow::Result<impl Fixture>` that makes a new, empty queue. The crate needs `tokio` and
//! `anyhow` as dependencies of its tests.

use std::future::Future;
use std::sync::Arc;

use whimbrel_core::port::{Parking, Queue};

mod acking;
mod delays;
mod durability;
mod notices;
mod parking;
mod receiving;
mod routing;
mod sharing;
mod support;

pub use acking::*;
pub use delays::*;
pub use durability::*;
pub use notices::*;
pub use parking::*;
pub use receiving::*;
pub use routing::*;
pub use sharing::*;

/// What a case returns: `Err` says what the engine did wrong.
pub type Checked = anyhow::Result<()>;

/// An engine over one place of its own: a file, a virtual host.
pub trait Fixture: Send + Sync {
    /// Opens the engine over that place, empty at first, with the tiers of
    /// [`whimbrel_core::tier::HOPS`] at least. Called again only after the queue it gave last was closed,
    /// and then finds what was left.
    fn open(&self) -> impl Future<Output = anyhow::Result<Arc<dyn Queue>>> + Send;

    /// Parking of the queue that [`Self::open`] gave last.
    fn parking(&self) -> impl Future<Output = anyhow::Result<Arc<dyn Parking>>> + Send;
}

/// One `#[tokio::test]` per case of [`conformance::queue`](crate::conformance::queue).
#[macro_export]
macro_rules! queue_conformance {
    ($fixture:path) => {
        $crate::queue_conformance!(@cases $fixture:
            what_is_acked_is_gone,
            a_tag_of_another_epoch_or_unknown_is_ignored,
            ack_through_acks_what_came_before,
            a_released_message_comes_again_at_once,
            every_route_lands_in_its_source,
            parking_keeps_the_payload_and_says_why,
            depths_count_what_waits,
            a_large_pack_comes_through,
            nobody_is_blocked_in_health,
            what_is_ready_comes_as_one_batch,
            receive_waits_for_the_first_message,
            prefetch_bounds_what_is_unacked,
            a_cancelled_receive_loses_nothing,
            one_consumer_receives_in_order,
            many_messages_with_pipelined_confirms,
            competing_consumers_share,
            a_dropped_consumers_messages_go_to_another,
            a_tiers_delay_is_kept,
            two_lanes_share_a_tier,
            notices_reach_every_listener,
            notices_are_not_kept,
            a_reopened_queue_has_what_was_confirmed,
            a_closed_queue_says_so,
            what_is_parked_is_listed_and_stays,
            an_event_goes_back_as_it_was,
            jobs_and_outcomes_go_back,
            what_is_discarded_is_gone,
            rule_19_what_came_too_often_goes_back_and_is_counted,
        );
    };
    (@cases $fixture:path: $($case:ident),+ $(,)?) => { $(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() -> $crate::conformance::queue::Checked {
            $crate::conformance::queue::$case(&$fixture().await?).await
        }
    )+ };
}
