//! What the demo shows: a table that grows as requests come, a summary, and what to try next.

use std::io::Write;
use std::time::Duration;

use super::Server;
use super::stage::Stage;
use super::table;
use super::tally::Followed;
use crate::cmd::listen::Seen;
use crate::cmd::shared::{Paint, brief, count};

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
        let title = self.paint.strong("Whimbrel demo");
        let mut lines = vec![format!("{title}  one process, embedded engine, API on http://{}", server.address)];
        lines.extend(stage.sets.iter().map(|set| {
            let events = count(set.events.len(), "event");
            format!("  {:<10} {events:<10} → http://{}/webhooks", set.contract.name().as_str(), set.receiver.address())
        }));
        let shortened = brief(Duration::from_secs(30).mul_f64(scale));
        let note = format!("Delays before retries are multiplied by {scale}: 30s becomes {shortened}.");
        lines.extend([self.paint.notice(&note), String::new(), self.paint.faint(&table::heading())]);
        out(&lines)
    }

    /// One request.
    pub(super) fn request(&self, seen: &Seen) -> std::io::Result<()> {
        out(&[table::row(seen, self.paint)])
    }

    /// How it went.
    pub(super) fn summary(&self, stage: &Stage, followed: &Followed, faults: &[String]) -> std::io::Result<()> {
        let mut lines = vec![String::new(), table::totals(stage, followed).to_string(), String::new()];
        for (contract, delivery, attempts) in &followed.retried {
            let title = format!("Retried: {} to {contract} ({})", delivery.event_type, delivery.id);
            lines.push(self.paint.strong(&title));
            lines.extend(table::attempts(attempts));
            lines.push(String::new());
        }
        if faults.is_empty() {
            let words = format!("Every delivery is final and verified: {}.", count(stage.expected(), "event"));
            lines.push(self.paint.good(&words));
        }
        lines.extend(faults.iter().map(|fault| self.paint.bad(&format!("✗ {fault}"))));
        out(&lines)
    }

    /// What to try next.
    pub(super) fn invitation(&self, server: &Server) -> std::io::Result<()> {
        let Self { paint } = self;
        let Server { address, key } = server;
        let curl = format!("  curl -sS -H 'Authorization: Bearer {key}' -H 'Whimbrel-Tenant: generic'");
        let data = r#"{"type":"user.created","data":{"id":"user_1"}}"#;
        out(&[
            String::new(),
            format!("{}  http://{address}   {} http://{address}/docs", paint.strong("API"), paint.strong("Docs")),
            format!("{}  {key}", paint.strong("Key")),
            String::new(),
            paint.strong("Try"),
            format!("{curl} http://{address}/v1/webhooks"),
            format!("{curl} -H 'Content-Type: application/json' \\"),
            format!("    -d '{data}' http://{address}/v1/events"),
            format!("  whimbrel send --url http://{address} --key {key} \\"),
            "    --tenant bitbybit --type order.created --example".to_owned(),
            String::new(),
            paint.faint("Ctrl-C stops everything and removes its data."),
            paint.faint(&table::heading()),
        ])
    }
}

fn out(lines: &[String]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}
