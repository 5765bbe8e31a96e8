//! Retries: each contract's schedule, manual retry, stale jobs.

use std::time::Duration;

use anyhow::Result;
use reqwest::Method;
use whimbrel_testkit::receiver::{Receiver, Request, Step};
use whimbrel_testkit::wait;

use crate::harness::{Kind, SOON, System, metric, on_both_engines, text};

/// The gaps between the arrivals of successive attempts.
fn gaps(requests: &[std::sync::Arc<Request>]) -> Vec<Duration> {
    requests.windows(2).map(|pair| pair[1].arrived - pair[0].arrived).collect()
}

/// Publishes one event to an endpoint that always fails; holds every gap against the contract's table.
async fn schedule(kind: Kind, contract: &str, scale: &str, delays_secs: &[u64], jitter: f64) -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise([Step::status(500)]);
    let system = System::with(kind, &[("WHIMBREL_RETRY_SCALE", scale)]).await?;
    let api = system.api.create_tenant("scheduled", contract).await?;
    let event_type = if contract == "eightbit" { "message.received" } else { "order.created" };
    api.create_webhook(&receiver.url("/"), &["*"]).await?;
    let event = api.publish(event_type, "{}").await?;
    let delivery = api.settled(&event, "failed").await?;
    let requests = receiver.requests();
    assert_eq!(requests.len(), delays_secs.len() + 1, "{delivery}");
    assert_eq!(delivery["attempts"].as_array().map(Vec::len), Some(requests.len()));
    let factor: f64 = scale.parse()?;
    for (gap, delay) in gaps(&requests).into_iter().zip(delays_secs) {
        let delay = Duration::from_secs(*delay).mul_f64(factor);
        // The receiver sees the retry a request's flight after the delay began: never early.
        let earliest = delay.saturating_sub(Duration::from_millis(5));
        let latest = delay.mul_f64(1.0 + jitter) + Duration::from_secs(1);
        assert!((earliest..=latest).contains(&gap), "{gap:?} after a delay of {delay:?}; all: {:?}", gaps(&requests));
    }
    Ok(())
}

on_both_engines! {
    async fn bitbybits_schedule_is_kept(kind: Kind) {
        schedule(kind, "bitbybit", "0.001", &[30, 300, 1800, 7200], 0.0).await?;
    }

    async fn eightbits_schedule_is_kept(kind: Kind) {
        schedule(kind, "eightbit", "0.0003", &[10, 60, 300, 900, 3600, 21600], 0.0).await?;
    }

    async fn generics_schedule_is_kept(kind: Kind) {
        schedule(kind, "generic", "0.001", &[30, 300, 1800, 7200], 0.0).await?;
    }

    async fn standards_schedule_is_kept(kind: Kind) {
        let hours = [2, 5, 10, 14, 20, 24].map(|hours| hours * 3600);
        let delays: Vec<u64> = [5, 300, 1800].into_iter().chain(hours).collect();
        schedule(kind, "standard", "0.00003", &delays, 0.1).await?;
    }

    /// Unscaled: the tiers of five and ten seconds are kept within a second.
    async fn the_unscaled_tiers_of_5_and_10_seconds_are_kept(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise([Step::status(500)]);
        let system = System::start(kind).await?;
        let eightbit = system.api.create_tenant("eight", "eightbit").await?;
        system.api.create_webhook(&receiver.url("/standard"), &["*"]).await?;
        eightbit.create_webhook(&receiver.url("/eightbit"), &["*"]).await?;
        system.api.publish("order.created", "{}").await?;
        eightbit.publish("message.received", "{}").await?;
        let requests = receiver.wait_for(4, SOON).await?;
        for (path, delay, jitter) in [("/standard", 5.0, 1.1), ("/eightbit", 10.0, 1.0)] {
            let of_path: Vec<_> = requests.iter().filter(|request| request.path() == path).cloned().collect();
            let gap = gaps(&of_path)[0].as_secs_f64();
            assert!((delay - 0.005..=delay * jitter + 1.0).contains(&gap), "{path}: {gap}");
        }
    }

    /// Rule 4: after a manual retry succeeded, the old retry's job comes out of its tier and is not sent.
    async fn rule_04_a_stale_tier_job_is_not_sent(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise([Step::status(500), Step::status(200)]);
        let mut system = System::with(kind, &[("WHIMBREL_RETRY_SCALE", "0.1")]).await?;
        let api = system.api.create_tenant("manual", "generic").await?;
        api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let event = api.publish("order.created", "{}").await?;
        let delivery = api.settled(&event, "retrying").await?;
        let id = text(&delivery, "id")?;
        api.ok(Method::POST, &format!("/v1/deliveries/{id}/retry"), None).await?;
        let delivery = api.settled(&event, "success").await?;
        assert_eq!(delivery["attempts"].as_array().map(Vec::len), Some(2), "{delivery}");
        let sender = system.role("sender");
        wait::until("the stale job was dropped", SOON, || async {
            metric(sender, "whimbrel_jobs_stale_total").await.ok().filter(|dropped| *dropped >= 1.0)
        })
        .await?;
        assert_eq!(receiver.count(), 2);
    }

    /// A delivery that failed for good stays in the log and can be sent again by hand.
    async fn a_failed_delivery_can_be_retried_by_hand(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise((0..5).map(|_| Step::status(500)).chain([Step::status(200)]));
        let system = System::with(kind, &[("WHIMBREL_RETRY_SCALE", "0.0001")]).await?;
        let api = system.api.create_tenant("again", "generic").await?;
        api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let event = api.publish("order.created", "{}").await?;
        let delivery = api.settled(&event, "failed").await?;
        let path = format!("/v1/deliveries/{}/retry", text(&delivery, "id")?);
        api.ok(Method::POST, &path, None).await?;
        let delivery = api.settled(&event, "success").await?;
        let numbers: Vec<_> = delivery["attempts"].as_array().into_iter().flatten().filter_map(|a| a["number"].as_u64()).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    }
}
