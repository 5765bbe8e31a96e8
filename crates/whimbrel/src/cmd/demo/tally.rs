//! What has been seen and logged so far.

use std::collections::HashMap;

use anyhow::Context;
use serde::Deserialize;

use super::stage::{Set, Stage};
use crate::cmd::listen::Seen;

/// What the receivers saw, by contract.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    /// Requests that came.
    pub(super) requests: usize,
    /// Those whose signature held.
    pub(super) verified: usize,
}

/// A delivery as the API lists it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Delivery {
    pub(super) id: String,
    pub(super) event_type: String,
    pub(super) status: String,
    pub(super) attempts: u64,
    pub(super) error: Option<String>,
}

/// A POST as the API shows it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Attempt {
    pub(super) number: u64,
    pub(super) started_at: whimbrel_core::Timestamp,
    pub(super) duration_ms: u64,
    pub(super) status_code: Option<u16>,
    pub(super) error: Option<String>,
}

/// All that the demo knows in the end.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// By contract.
    pub(super) tallies: HashMap<String, Tally>,
    /// By contract.
    pub(super) deliveries: HashMap<String, Vec<Delivery>>,
    /// The deliveries that needed more than one attempt, with these.
    pub(super) retried: Vec<(String, Delivery, Vec<Attempt>)>,
}

impl Delivery {
    /// Whether it was delivered.
    pub(super) fn succeeded(&self) -> bool {
        self.status == "success"
    }

    /// Whether nothing more happens to it by itself.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "success" | "failed" | "cancelled")
    }
}

impl Followed {
    /// Counts a request in.
    pub(super) fn add(&mut self, seen: &Seen) {
        let tally = self.tallies.entry(seen.contract.to_string()).or_default();
        tally.requests += 1;
        tally.verified += usize::from(seen.is_verified());
    }

    /// Reads the log anew; true when every delivery is there and final.
    pub(super) async fn read(&mut self, stage: &Stage) -> anyhow::Result<bool> {
        for set in &stage.sets {
            self.deliveries.insert(set.contract.name().to_string(), deliveries(set).await?);
        }
        let deliveries = || self.deliveries.values().flatten();
        Ok(deliveries().count() >= stage.expected() && deliveries().all(Delivery::is_final))
    }

    /// Reads the attempts of what was retried.
    pub(super) async fn read_retried(&mut self, stage: &Stage) -> anyhow::Result<()> {
        for set in &stage.sets {
            let name = set.contract.name().to_string();
            let retried = self.deliveries.get(&name).into_iter().flatten().filter(|delivery| delivery.attempts > 1);
            for delivery in retried {
                let mut detail = set.client.get(&format!("/v1/deliveries/{}", delivery.id)).await?;
                let attempts = serde_json::from_value(detail["attempts"].take()).context("the API's attempts")?;
                self.retried.push((name.clone(), delivery.clone(), attempts));
            }
        }
        Ok(())
    }
}

async fn deliveries(set: &Set) -> anyhow::Result<Vec<Delivery>> {
    let mut page = set.client.get(&format!("/v1/webhooks/{}/deliveries?limit=100", set.webhook)).await?;
    serde_json::from_value(page["deliveries"].take()).context("the API's list of deliveries")
}
