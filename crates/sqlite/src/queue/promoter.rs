//! How delayed messages come into their lanes, beside the writer.
//!
//! A pack of jobs with its bodies is large, and its pages may not have been touched for hours; fresh events wait for
//! whatever the writer does. So a message that finds room in its lane's memory is only lent to it: it is read here, and
//! stays where it lies until it is acked. What finds none is moved to the lane's stretch by the writer, from which it is
//! read when there is room.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use tokio_util::sync::CancellationToken;
use whimbrel_core::Timestamp;
use whimbrel_core::port::{Clock, QueueError};

use super::Dispatch;
use super::delayed::{self, Due};
use super::lent::{Lent, Mark};
use super::place::KEPT;
use super::stored::Stored;
use crate::writer::Writer;

/// Messages that leave their tiers at once: those that do not find room keep the writer for so long.
const PROMOTED_MAX: usize = 32;

/// The longest sleep towards a due time, so that a step of the wall clock is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// The one that promotes.
pub(crate) struct Promoter {
    pub(crate) reads: SqlitePool,
    pub(crate) writer: Writer,
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) lent: Arc<Lent>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What was due by then may have been lent, and delivered, before the file was opened.
    pub(crate) opened_at: Timestamp,
    pub(crate) stop: CancellationToken,
}

impl Promoter {
    /// Promotes what is due until the queue is closed or the engine dropped.
    pub(crate) async fn run(self) {
        let (closed, stop) = (self.dispatch.closed.clone(), self.stop.clone());
        closed.run_until_cancelled(stop.run_until_cancelled(self.promote_all())).await;
    }

    async fn promote_all(self) {
        loop {
            self.wait().await;
            if let Err(error) = self.promote().await {
                tracing::error!(%error, "delayed messages cannot be promoted, trying again");
                tokio::time::sleep(SLEEP_MAX).await;
            }
        }
    }

    /// Until one is due, and commits work: what comes of a job could not be written down.
    async fn wait(&self) {
        loop {
            let left = self.lent.next_due().map(|due| due.since(self.clock.now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            tokio::select! {
                () = self.lent.earlier.notified() => {}
                () = tokio::time::sleep(left.unwrap_or_default().min(SLEEP_MAX)), if left.is_some() => {}
            }
        }
        // An error only means that nobody commits any more.
        let _ = self.dispatch.blocked.subscribe().wait_for(|blocked| !blocked).await;
    }

    /// Up to [`PROMOTED_MAX`], the earliest first.
    async fn promote(&self) -> Result<(), QueueError> {
        let (now, from) = (self.clock.now(), self.lent.begin());
        match self.look(from, now).await {
            Ok(Found { passed, lent, next }) => {
                // Before consumers have them, and may ack them.
                self.lent.end(passed, lent.iter().map(|(_, message)| message.id), next);
                self.lend(lent);
                Ok(())
            }
            Err(error) => {
                self.lent.end(from, [], Some(now));
                Err(error)
            }
        }
    }

    /// Reads what is due behind `from` and finds room in its lane; has the rest moved.
    async fn look(&self, from: Mark, now: Timestamp) -> Result<Found, QueueError> {
        let mut passed = from;
        let (due, next) = loop {
            let mut due = delayed::due(&self.reads, passed, now, PROMOTED_MAX).await?;
            passed = due.last().map_or(passed, |last| last.mark);
            let is_full = due.len() == PROMOTED_MAX;
            due.retain(|due| !self.lent.has(due.mark.id));
            if !is_full {
                break (due, delayed::next_due(&self.reads, passed).await?);
            }
            if !due.is_empty() {
                // There may be more.
                break (due, Some(now));
            }
        };
        let open = self.dispatch.lots.each_ref().map(|lot| lot.is_open());
        let (lent, moved): (Vec<Due>, Vec<Due>) = due.into_iter().partition(|due| open[due.index]);
        let messages = delayed::read(&self.reads, &lent).await?;
        if !moved.is_empty() {
            let tiers: Vec<String> = moved.iter().map(|due| due.tier.clone()).collect();
            self.writer.relocate(moved).await?;
            for tier in &tiers {
                self.dispatch.undelay(tier);
            }
        }
        let mut messages: HashMap<i64, Stored> = messages.into_iter().map(|message| (message.id, message)).collect();
        let lent = lent.into_iter().filter_map(|due| messages.remove(&due.mark.id).map(|message| (due, message)));
        Ok(Found { passed, lent: lent.collect(), next })
    }

    /// Hands them to their lanes, in the order of their due times.
    fn lend(&self, lent: Vec<(Due, Stored)>) {
        let mut by_lot: [Vec<Stored>; KEPT.len()] = Default::default();
        for (Due { mark, tier, index, .. }, mut message) in lent {
            self.dispatch.undelay(&tier);
            message.redeliveries += u32::from(mark.due_at <= self.opened_at.as_micros());
            by_lot[index].push(message);
        }
        for (lot, messages) in self.dispatch.lots.iter().zip(by_lot) {
            if !messages.is_empty() {
                lot.add_lent(messages);
            }
        }
    }
}

/// What a look has found.
struct Found {
    /// How far it went.
    passed: Mark,
    lent: Vec<(Due, Stored)>,
    /// When to look next.
    next: Option<Timestamp>,
}
