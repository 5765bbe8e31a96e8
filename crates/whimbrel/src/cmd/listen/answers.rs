//! What a receiver answers.

use std::time::Duration;

use anyhow::{Context, ensure};

/// The statuses a receiver answers with, and how long it takes.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    statuses: Vec<u16>,
    counting: Counting,
    delay: Duration,
}

/// Which number of a request picks its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counting {
    /// Its place among all requests.
    AllRequests,
    /// Its place among the requests for the first event that came; others get the last status.
    FirstEvent,
}

/// A request's places in what has come so far, each from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Among all requests.
    pub(super) request: usize,
    /// The event's, among the distinct ones.
    pub(super) event: usize,
    /// Among the requests for this event.
    pub(super) attempt: u32,
}

impl Answers {
    /// These in order, and the last of them ever after. There must be one at least.
    pub(crate) fn in_order(statuses: Vec<u16>) -> Self {
        Self { statuses, counting: Counting::AllRequests, delay: Duration::ZERO }
    }

    /// These in order for the first event that comes; the last of them for every other.
    pub(crate) fn for_first_event(statuses: Vec<u16>) -> Self {
        Self { counting: Counting::FirstEvent, ..Self::in_order(statuses) }
    }

    /// The same, each after a while.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// How long an answer takes.
    pub(super) fn delay(&self) -> Duration {
        self.delay
    }

    /// The answer to the request at this place.
    pub(super) fn status(&self, place: Place) -> u16 {
        let nth = match self.counting {
            Counting::AllRequests => place.request,
            Counting::FirstEvent if place.event == 1 => place.attempt as usize,
            Counting::FirstEvent => usize::MAX,
        };
        let last = self.statuses.len().saturating_sub(1);
        self.statuses.get(nth.saturating_sub(1).min(last)).copied().unwrap_or(200)
    }
}

/// Reads a final HTTP status.
pub(super) fn status(text: &str) -> anyhow::Result<u16> {
    let status: u16 = text.trim().parse().with_context(|| format!("`{text}` is not an HTTP status"))?;
    ensure!((200..=599).contains(&status), "{status} is not a final HTTP status: 200 to 599");
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(request: usize, event: usize, attempt: u32) -> Place {
        Place { request, event, attempt }
    }

    #[test]
    fn the_last_status_repeats() {
        let answers = Answers::in_order(vec![500, 503, 200]);
        let given: Vec<u16> = (1..=5).map(|request| answers.status(at(request, request, 1))).collect();
        assert_eq!(given, [500, 503, 200, 200, 200]);
    }

    #[test]
    fn a_script_for_the_first_event_leaves_the_others_alone() {
        let answers = Answers::for_first_event(vec![500, 500, 200]);
        let given = [at(1, 1, 1), at(2, 2, 1), at(3, 1, 2), at(4, 3, 1), at(5, 1, 3), at(6, 1, 4)];
        assert_eq!(given.map(|place| answers.status(place)), [500, 200, 500, 200, 200, 200]);
    }

    #[test]
    fn only_final_statuses_are_taken() {
        assert_eq!(status(" 204").expect("a status"), 204);
        for text in ["", "99", "100", "600", "ok", "-1"] {
            assert!(status(text).is_err(), "{text}");
        }
    }
}
