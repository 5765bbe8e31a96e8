//! What the demo shows: a table that grows as requests come, a summary, and what to try next.

use std::io::Write;

use comfy_table::{ContentArrangement, Table, presets};

use super::Server;
use super::stage::Stage;
use super::tally::{Attempt, Followed};
use crate::cmd::listen::Seen;
use crate::cmd::shared::{Paint, brief, count, elapsed};

/// Standard output, as the demo uses it.
pub(super) struct Screen {
    paint: Paint,
}

impl Screen {
    /// Painted or not.
    pub(super) fn new(paint: Paint) -> Self {
        Self { paint }
    }

    /// What is about to happen.
    pub(super) fn opening(&self, stage: &Stage, server: &Server, scale: f64) -> std::io::Result<()> {
        let Self { paint } = self;
        let mut text = format!(
            "{}  one process, embedded engine, API on http://{}\n",
            paint.strong("Whimbrel demo"),
            server.address
        );
        for set in &stage.sets {
            let (name, events) = (set.contract.name().as_str(), count(set.events.len(), "event"));
            text += &format!("  {name:<10} {events:<10} → http://{}/webhooks\n", set.receiver.address());
        }
        let note = format!(
            "Delays before retries are multiplied by {scale}: 30s becomes {}.",
            brief(std::time::Duration::from_secs(30).mul_f64(scale))
        );
        text += &format!("{}\n\n{}", paint.notice(&note), paint.faint(&heading()));
        out(&text)
    }

    /// One request.
    pub(super) fn request(&self, seen: &Seen) -> std::io::Result<()> {
        out(&row(seen, self.paint))
    }

    /// How it went.
    pub(super) fn summary(&self, stage: &Stage, followed: &Followed, faults: &[String]) -> std::io::Result<()> {
        let Self { paint } = self;
        let mut text = format!("\n{}\n", totals(stage, followed));
        for (contract, delivery, attempts) in &followed.retried {
            text += &format!(
                "\n{}\n",
                paint.strong(&format!("Retried: {} to {contract} ({})", delivery.event_type, delivery.id))
            );
            text += &attempts_text(attempts);
        }
        text += "\n";
        if faults.is_empty() {
            text +=
                &paint.good(&format!("Every delivery is final and verified: {}.", count(stage.expected(), "event")));
        }
        let faults: Vec<String> = faults.iter().map(|fault| paint.bad(&format!("✗ {fault}"))).collect();
        out(&(text + &faults.join("\n")))
    }

    /// What to try next.
    pub(super) fn invitation(&self, server: &Server) -> std::io::Result<()> {
        let Self { paint } = self;
        let Server { address, key } = server;
        let curl = |tenant: &str, rest: &str| {
            format!("  curl -sS -H 'Authorization: Bearer {key}' -H 'Whimbrel-Tenant: {tenant}' {rest}")
        };
        let list = curl("generic", &format!("http://{address}/v1/webhooks"));
        let publish = curl(
            "standard",
            &format!(
                "-H 'Content-Type: application/json' \\\n    -d '{{\"type\":\"user.created\",\"data\":{{\"id\":\"user_1\"}}}}' http://{address}/v1/events"
            ),
        );
        let send = format!(
            "  whimbrel send --url http://{address} --key {key} --tenant bitbybit --type order.created --example"
        );
        out(&format!(
            "\n{} http://{address}   {} http://{address}/docs\n{} {key}\n\n{}\n{list}\n{publish}\n{send}\n\n{}\n{}",
            paint.strong("API "),
            paint.strong("Docs"),
            paint.strong("Key "),
            paint.strong("Try"),
            paint.faint("Ctrl-C stops everything and removes its data."),
            paint.faint(&heading()),
        ))
    }
}

fn heading() -> String {
    format!("{:<30} {:<10} {:>7} {:>6}  {:<9} {:>8}", "EVENT", "ENDPOINT", "ATTEMPT", "STATUS", "SIGNATURE", "AFTER")
}

fn row(seen: &Seen, paint: Paint) -> String {
    let status = format!("{:>6}", seen.status);
    let after = seen.after().map_or_else(|| "–".to_owned(), elapsed);
    let attempt = format!("{:>7}", seen.attempt);
    format!(
        "{:<30} {:<10} {} {}  {} {:>8}{}",
        seen.event_type.as_deref().unwrap_or("–"),
        seen.contract.to_string(),
        if seen.attempt > 1 { paint.notice(&attempt) } else { attempt },
        if seen.is_accepted() { paint.good(&status) } else { paint.bad(&status) },
        if seen.is_verified() { paint.good("✓        ") } else { paint.bad("✗        ") },
        after,
        seen.refusal.as_ref().map(|reason| format!("  {}", paint.bad(reason))).unwrap_or_default(),
    )
}

fn totals(stage: &Stage, followed: &Followed) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["CONTRACT", "EVENTS", "DELIVERED", "FAILED", "UNDER WAY", "REQUESTS", "VERIFIED"]);
    for set in &stage.sets {
        let name = set.contract.name().as_str();
        let deliveries = followed.deliveries.get(name).map_or(&[][..], Vec::as_slice);
        let tally = followed.tallies.get(name).copied().unwrap_or_default();
        let delivered = deliveries.iter().filter(|delivery| delivery.succeeded()).count();
        let ended = deliveries.iter().filter(|delivery| delivery.is_final()).count();
        let numbers =
            [set.events.len(), delivered, ended - delivered, deliveries.len() - ended, tally.requests, tally.verified];
        table.add_row(std::iter::once(name.to_owned()).chain(numbers.map(|number| number.to_string())));
    }
    table
}

/// One line an attempt, with the time since the one before.
fn attempts_text(attempts: &[Attempt]) -> String {
    let mut text = String::new();
    let mut before: Option<whimbrel_core::Timestamp> = None;
    for attempt in attempts {
        let since = before.map_or_else(
            || "at once".to_owned(),
            |before| format!("{} later", elapsed(attempt.started_at.since(before))),
        );
        let status = attempt.status_code.map_or_else(|| "no status".to_owned(), |status| status.to_string());
        let why = attempt.error.as_deref().map(|error| format!("  {error}")).unwrap_or_default();
        text += &format!("  #{} {since:<12} {status} in {}ms{why}\n", attempt.number, attempt.duration_ms);
        before = Some(attempt.started_at);
    }
    text
}

fn out(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
