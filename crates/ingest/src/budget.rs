//! How much of the live lane a tenant may take while others want it, too (rule 35): what is over goes to `bulk`.
//!
//! Nothing is refused and nothing waits here. A tenant that is alone may take all there is.

use std::collections::HashMap;
use std::time::Duration;

use whimbrel_core::port::Lane;
use whimbrel_core::{TenantId, Timestamp};

/// How long a tenant that has published counts as one of the others.
const RECENT: Duration = Duration::from_secs(1);
/// How much of its budget a tenant can have saved.
const BURST: Duration = Duration::from_secs(2);
/// Tenants remembered; at the bound those with a full budget are forgotten, and then all.
const TENANTS_MAX: usize = 10_000;

/// Every tenant's budget in this process.
pub(crate) struct Budget {
    /// Deliveries a second.
    per_second: f64,
    accounts: HashMap<TenantId, Account>,
    /// The two tenants that published last, the last first: enough to know whether anyone else does.
    recent: [Option<(TenantId, Timestamp)>; 2],
}

#[derive(Clone, Copy)]
struct Account {
    left: f64,
    at: Timestamp,
}

impl Budget {
    /// `per_second`: deliveries that a tenant may have in the live lane while others publish.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second), accounts: HashMap::new(), recent: [None, None] }
    }

    /// The lane for an event's deliveries.
    pub(crate) fn lane(&mut self, tenant: &TenantId, deliveries: usize, now: Timestamp) -> Lane {
        let contended = self.meet(tenant, now);
        let full = self.per_second * BURST.as_secs_f64();
        if self.accounts.len() >= TENANTS_MAX {
            self.tidy(now);
        }
        let account = self.accounts.entry(tenant.clone()).or_insert(Account { left: full, at: now });
        account.left = (account.left + self.per_second * now.since(account.at).as_secs_f64()).min(full);
        account.at = now;
        #[expect(clippy::cast_precision_loss, reason = "an event has far fewer deliveries than 2^52")]
        let cost = deliveries as f64;
        // An event with more deliveries than the whole budget goes when it is full.
        if account.left >= cost.min(full) {
            account.left -= cost;
            return Lane::Live;
        }
        if contended { Lane::Bulk } else { Lane::Live }
    }

    /// Notes who publishes; says whether someone else has within the last second.
    fn meet(&mut self, tenant: &TenantId, now: Timestamp) -> bool {
        let is_last = self.recent[0].as_ref().is_some_and(|(last, _)| last == tenant);
        if !is_last {
            self.recent.swap(0, 1);
        }
        self.recent[0] = Some((tenant.clone(), now));
        let others = self.recent[1].as_ref().filter(|(other, _)| other != tenant);
        others.is_some_and(|(_, at)| now.since(*at) < RECENT)
    }

    fn tidy(&mut self, now: Timestamp) {
        self.accounts.retain(|_, account| now.since(account.at) < BURST);
        if self.accounts.len() >= TENANTS_MAX {
            self.accounts.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(text: &str) -> TenantId {
        TenantId::try_new(text).expect("a tenant id")
    }

    #[test]
    fn rule_35_what_is_over_the_budget_goes_to_bulk_while_others_publish() {
        let (mut budget, loud, quiet) = (Budget::new(100), tenant("loud"), tenant("quiet"));
        let mut now = Timestamp::from_secs(1_000);
        let mut lanes = Vec::new();
        for _ in 0..1_000 {
            now = now + Duration::from_millis(1);
            lanes.push(budget.lane(&loud, 1, now));
            assert_eq!(budget.lane(&quiet, 0, now), Lane::Live, "who stays below is never sent aside");
        }
        let live = lanes.iter().filter(|lane| **lane == Lane::Live).count();
        assert!((299..=301).contains(&live), "two seconds saved and one earned: {live}");
        assert!(lanes[350..].contains(&Lane::Bulk));
    }

    #[test]
    fn rule_35_a_tenant_that_is_alone_takes_all_there_is() {
        let (mut budget, alone) = (Budget::new(1), tenant("alone"));
        let now = Timestamp::from_secs(1_000);
        assert!((0..1_000).all(|_| budget.lane(&alone, 10, now) == Lane::Live));
        budget.lane(&tenant("other"), 1, now);
        assert_eq!(budget.lane(&alone, 10, now), Lane::Bulk);
        assert_eq!(
            budget.lane(&alone, 10, now + RECENT),
            Lane::Live,
            "the other is gone, and ten are more than all it may save"
        );
    }

    #[test]
    fn three_tenants_know_of_each_other() {
        let mut budget = Budget::new(1);
        let now = Timestamp::from_secs(1_000);
        for name in ["a", "b", "c", "a", "b", "c"] {
            budget.lane(&tenant(name), 2, now);
        }
        for name in ["a", "b", "c"] {
            assert_eq!(budget.lane(&tenant(name), 2, now), Lane::Bulk, "{name}");
        }
    }
}
