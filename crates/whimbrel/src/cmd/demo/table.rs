//! The demo's tables, as lines of text.

use comfy_table::{ContentArrangement, Table, presets};
use whimbrel_core::Timestamp;

use super::stage::Stage;
use super::tally::{Attempt, Followed};
use crate::cmd::listen::Seen;
use crate::cmd::shared::{Paint, elapsed};

/// The titles over [`row`].
pub(super) fn heading() -> String {
    format!("{:<30} {:<10} {:>7} {:>6}  {:<9} {:>8}", "EVENT", "ENDPOINT", "ATTEMPT", "STATUS", "SIGNATURE", "AFTER")
}

/// One request; `AFTER` is the time since its event was accepted.
pub(super) fn row(seen: &Seen, paint: Paint) -> String {
    let attempt = format!("{:>7}", seen.attempt);
    let status = format!("{:>6}", seen.status);
    let after = seen.after().map_or_else(|| "–".to_owned(), elapsed);
    let reason = seen.refusal.as_ref().map(|reason| format!("  {}", paint.bad(reason)));
    format!(
        "{:<30} {:<10} {} {}  {} {after:>8}{}",
        seen.event_type.as_deref().unwrap_or("–"),
        seen.contract.as_str(),
        if seen.attempt > 1 { paint.notice(&attempt) } else { attempt },
        if seen.is_accepted() { paint.good(&status) } else { paint.bad(&status) },
        if seen.is_verified() { paint.good("✓        ") } else { paint.bad("✗        ") },
        reason.unwrap_or_default(),
    )
}

/// One row a contract.
pub(super) fn totals(stage: &Stage, followed: &Followed) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["CONTRACT", "EVENTS", "DELIVERED", "FAILED", "UNDER WAY", "REQUESTS", "VERIFIED"]);
    for set in &stage.sets {
        let name = set.contract.name().as_str();
        let deliveries = followed.deliveries.get(name).map_or(&[][..], Vec::as_slice);
        let tally = followed.tallies.get(name).copied().unwrap_or_default();
        let delivered = deliveries.iter().filter(|delivery| delivery.succeeded()).count();
        let ended = deliveries.iter().filter(|delivery| delivery.is_final()).count();
        let (failed, under_way) = (ended - delivered, deliveries.len() - ended);
        let numbers = [set.events.len(), delivered, failed, under_way, tally.requests, tally.verified];
        table.add_row(std::iter::once(name.to_owned()).chain(numbers.map(|number| number.to_string())));
    }
    table
}

/// One line an attempt, with the time since the one before.
pub(super) fn attempts(attempts: &[Attempt]) -> Vec<String> {
    let before = std::iter::once(None).chain(attempts.iter().map(|attempt| Some(attempt.started_at)));
    attempts.iter().zip(before).map(|(attempt, before)| self::attempt(attempt, before)).collect()
}

fn attempt(attempt: &Attempt, before: Option<Timestamp>) -> String {
    let since = before.map(|before| format!("{} later", elapsed(attempt.started_at.since(before))));
    let since = since.unwrap_or_else(|| "at once".to_owned());
    let status = attempt.status_code.map_or_else(|| "no status".to_owned(), |status| status.to_string());
    let why = attempt.error.as_deref().map(|error| format!("  {error}")).unwrap_or_default();
    format!("  #{} {since:<12} {status} in {}ms{why}", attempt.number, attempt.duration_ms)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use bytes::Bytes;
    use whimbrel_core::EventId;

    use super::*;

    #[test]
    fn a_row_stands_under_its_heading() {
        let at = Timestamp::from_micros(1_700_000_006_632_000);
        let id = EventId::generate(Timestamp::from_secs(1_700_000_000), [0; 10]);
        let seen = Seen {
            at,
            contract: "generic".parse().expect("a name"),
            path: "/".into(),
            event_id: Some(id.to_string()),
            event_type: Some("user.created".into()),
            attempt: 3,
            refusal: Some("no".into()),
            status: 200,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let row = row(&seen, Paint::off());
        assert_eq!(row, "user.created                   generic          3    200  ✗             6.6s  no");
        let end = heading().chars().count();
        assert_eq!(row.chars().take(end).collect::<String>().trim_end(), row.trim_end_matches("  no"));
    }

    #[test]
    fn attempts_tell_the_time_between_them() {
        let attempt = |number, secs, status_code, error: Option<&str>| Attempt {
            number,
            started_at: Timestamp::from_secs(secs),
            duration_ms: 2,
            status_code,
            error: error.map(str::to_owned),
        };
        let lines = attempts(&[attempt(1, 0, None, Some("timeout: none")), attempt(2, 30, Some(200), None)]);
        assert_eq!(lines, ["  #1 at once      no status in 2ms  timeout: none", "  #2 30.0s later  200 in 2ms"]);
    }
}
