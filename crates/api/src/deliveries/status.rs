//! The word that a delivery's state is shown as, and the reverse for filters.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whimbrel_core::delivery::DeliveryState;
use whimbrel_core::endpoint::EndpointStatus;

/// Where a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeliveryStatus)]
pub(crate) enum ShownStatus {
    /// Waits for its attempt.
    Pending,
    /// The last attempt failed; another follows by itself at `next_attempt_at`.
    Retrying,
    /// Waits until its webhook is activated.
    Held,
    /// The receiver answered 2xx.
    Success,
    /// Not tried again by itself.
    Failed,
    /// Its webhook was deleted, or it was given up while it was held.
    Cancelled,
}

impl ShownStatus {
    const ALL: [Self; 6] = [Self::Pending, Self::Retrying, Self::Held, Self::Success, Self::Failed, Self::Cancelled];

    /// What waits for an endpoint that takes no deliveries shows as held before its job has met the
    /// sender (rule 7). `endpoint` is `None` when it was deleted.
    pub(crate) fn of(state: &DeliveryState, endpoint: Option<EndpointStatus>) -> Self {
        match (state, endpoint) {
            (DeliveryState::Succeeded { .. }, _) => Self::Success,
            (DeliveryState::Failed { .. }, _) => Self::Failed,
            (DeliveryState::Cancelled, _) | (_, None) => Self::Cancelled,
            (_, Some(EndpointStatus::Suspended { .. } | EndpointStatus::Disabled)) | (DeliveryState::Held, _) => {
                Self::Held
            }
            (DeliveryState::Retrying { .. }, _) => Self::Retrying,
            (DeliveryState::Pending | DeliveryState::Waiting(_), _) => Self::Pending,
        }
    }

    /// The same from a state's stored word; `None` for what no state gives.
    pub(crate) fn of_stored(word: &str, endpoint: EndpointStatus) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.stored(endpoint).contains(&word))
    }

    /// The stored words that show as this status while the endpoint is as given; none when nothing can.
    pub(crate) fn stored(self, endpoint: EndpointStatus) -> &'static [&'static str] {
        match (self, endpoint.is_active()) {
            (Self::Success, _) => &["succeeded"],
            (Self::Failed, _) => &["failed"],
            (Self::Cancelled, _) => &["cancelled"],
            (Self::Pending, true) => &["pending", "waiting"],
            (Self::Retrying, true) => &["retrying"],
            (Self::Held, true) => &["held"],
            (Self::Held, false) => &["pending", "retrying", "waiting", "held"],
            (Self::Pending | Self::Retrying, false) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::Timestamp;
    use whimbrel_core::delivery::{FailReason, WaitReason};
    use whimbrel_core::endpoint::SuspendReason;

    use super::*;

    const AT: Timestamp = Timestamp::from_secs(1);

    fn states() -> Vec<DeliveryState> {
        vec![
            DeliveryState::Pending,
            DeliveryState::Retrying { at: AT },
            DeliveryState::Waiting(WaitReason::Manual),
            DeliveryState::Held,
            DeliveryState::Succeeded { at: AT },
            DeliveryState::Failed { reason: FailReason::Exhausted, at: AT },
            DeliveryState::Cancelled,
        ]
    }

    #[test]
    fn rule_07_what_waits_for_an_inactive_endpoint_shows_as_held() {
        let suspended = EndpointStatus::Suspended { reason: SuspendReason::Gone, since: AT };
        for endpoint in [suspended, EndpointStatus::Disabled] {
            for state in states().iter().filter(|state| !state.is_final()) {
                assert_eq!(ShownStatus::of(state, Some(endpoint)), ShownStatus::Held, "{state:?}");
            }
        }
    }

    #[test]
    fn a_filter_finds_exactly_what_shows_as_it() {
        for endpoint in [EndpointStatus::Active, EndpointStatus::Disabled] {
            for state in states() {
                for status in ShownStatus::ALL {
                    let found = status.stored(endpoint).contains(&state.as_str());
                    assert_eq!(
                        found,
                        ShownStatus::of(&state, Some(endpoint)) == status,
                        "{status:?} {state:?} {endpoint:?}"
                    );
                }
                let shown = ShownStatus::of(&state, Some(endpoint));
                assert_eq!(ShownStatus::of_stored(state.as_str(), endpoint), Some(shown));
            }
        }
    }
}
