//! How delayed messages come into their lanes.
//!
//! A pack of jobs with its bodies is large, and fresh events wait for whatever the writer writes. So a message that
//! finds room in its lane's memory is only lent to it: it stays where it lies until it is acked. What finds none moves to
//! the lane's stretch, from which it is read when there is room.

use std::collections::{HashMap, HashSet};

use sqlx::{Row as _, SqliteConnection};
use whimbrel_core::Timestamp;
use whimbrel_core::port::Source;

use super::lot::Lots;
use super::place::{self, DELAYED, Ids, Place};
use super::stored::{Outgoing, Stored};
use super::table::stored;
use crate::batch::Batch;
use crate::fault::Fault;

/// Messages that leave their tiers in one transaction: the others' turn must come soon.
pub(crate) const PROMOTED_MAX: usize = 32;

/// A message that left its tier.
pub(crate) struct Promoted {
    /// The tier's name.
    pub(crate) tier: String,
    /// The lane's index.
    pub(crate) index: usize,
    /// Under its new id, or under its old one when it is lent.
    pub(crate) message: Stored,
}

/// What left the tiers in one transaction, and how far that went.
#[derive(Default)]
pub(crate) struct Promotion {
    /// The earliest first.
    pub(crate) promoted: Vec<Promoted>,
    passed: Option<Mark>,
}

/// A delayed message's place in the order of due times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    due_at: i64,
    id: i64,
}

/// Which delayed messages are lent.
#[derive(Debug)]
pub(crate) struct Lent {
    ids: HashSet<i64>,
    /// Nothing up to here is left to promote.
    passed: Mark,
    /// What was due by then may have been lent, and delivered, before the file was opened.
    opened_at: Timestamp,
}

/// A delayed message whose time has come.
struct Due {
    mark: Mark,
    tier: String,
    index: usize,
}

impl Lent {
    /// Nothing is, when the file is opened.
    pub(crate) fn new(opened_at: Timestamp) -> Self {
        Self { ids: HashSet::new(), passed: Mark { due_at: i64::MIN, id: 0 }, opened_at }
    }

    /// Moves up to [`PROMOTED_MAX`] messages whose time has come into their lanes, the earliest first.
    pub(crate) async fn promote(
        &self,
        tx: &mut SqliteConnection,
        now: Timestamp,
        lots: &Lots,
        ids: &mut Ids,
    ) -> Result<Promotion, Fault> {
        let (due, passed) = self.due(&mut *tx, now).await?;
        let open = lots.each_ref().map(|lot| lot.is_open());
        let (lent, moved): (Vec<&Due>, Vec<&Due>) = due.iter().partition(|due| open[due.index]);
        let mut messages = self.lend(&mut *tx, &lent).await?;
        messages.extend(relocate(tx, &moved, ids).await?);
        let promoted = |Due { mark, tier, index }| Some(Promoted { tier, index, message: messages.remove(&mark.id)? });
        Ok(Promotion { promoted: due.into_iter().filter_map(promoted).collect(), passed })
    }

    /// Once a promotion is committed.
    pub(crate) fn keep(&mut self, promotion: &Promotion) {
        self.passed = promotion.passed.unwrap_or(self.passed);
        let ids = promotion.promoted.iter().map(|promoted| promoted.message.id);
        self.ids.extend(ids.filter(|id| place::index_of_id(*id) == Some(DELAYED)));
    }

    /// Once messages are committed. One may be due before what was promoted already: its delay is shorter than it
    /// waited for the writer, or the clock was set back.
    pub(crate) fn note(&mut self, written: &[Outgoing]) {
        for outgoing in written {
            if let Place::Delayed { due_at, .. } = outgoing.place {
                self.passed = self.passed.min(Mark { due_at: due_at.as_micros(), id: 0 });
            }
        }
    }

    /// Once acks are committed.
    pub(crate) fn forget(&mut self, acked: &[i64]) {
        for id in acked {
            self.ids.remove(id);
        }
    }

    /// When the next delayed message is due.
    pub(crate) async fn next_due(&self, tx: &mut SqliteConnection) -> Result<Option<Timestamp>, Fault> {
        let at: Option<i64> = sqlx::query_scalar(
            "SELECT due_at FROM messages WHERE due_at >= ?1 AND (due_at > ?1 OR id > ?2) ORDER BY due_at, id LIMIT 1",
        )
        .bind(self.passed.due_at)
        .bind(self.passed.id)
        .fetch_optional(tx)
        .await?;
        Ok(at.map(Timestamp::from_micros))
    }

    /// What is due and not lent, and how far that was looked for.
    async fn due(&self, tx: &mut SqliteConnection, now: Timestamp) -> Result<(Vec<Due>, Option<Mark>), Fault> {
        let mut passed = self.passed;
        loop {
            let found = due_after(&mut *tx, passed, now).await?;
            let Some(last) = found.last().map(|due| due.mark) else { return Ok((found, Some(passed))) };
            passed = last;
            let fresh: Vec<Due> = found.into_iter().filter(|due| !self.ids.contains(&due.mark.id)).collect();
            if !fresh.is_empty() {
                return Ok((fresh, Some(passed)));
            }
        }
    }

    /// Reads messages that stay where they are, by their ids.
    async fn lend(&self, tx: &mut SqliteConnection, due: &[&Due]) -> Result<HashMap<i64, Stored>, Fault> {
        static SELECT: Batch = Batch::new(
            "SELECT id, redeliveries, message_id, content_type, kind, headers, payload FROM messages WHERE id IN (",
            "?",
            ")",
        );
        let mut messages = HashMap::with_capacity(due.len());
        if due.is_empty() {
            return Ok(messages);
        }
        let mut query = sqlx::query(SELECT.sql(due.len()));
        for due in due {
            query = query.bind(due.mark.id);
        }
        for row in query.fetch_all(tx).await? {
            let message = stored(&row)?;
            messages.insert(message.id, message);
        }
        for due in due.iter().filter(|due| due.mark.due_at <= self.opened_at.as_micros()) {
            messages.entry(due.mark.id).and_modify(|message| message.redeliveries += 1);
        }
        Ok(messages)
    }
}

async fn due_after(tx: &mut SqliteConnection, after: Mark, now: Timestamp) -> Result<Vec<Due>, Fault> {
    let rows = sqlx::query(
        "SELECT due_at, id, tier, lane FROM messages
         WHERE due_at >= ?1 AND (due_at > ?1 OR id > ?2) AND due_at <= ?3 ORDER BY due_at, id LIMIT ?4",
    )
    .bind(after.due_at)
    .bind(after.id)
    .bind(now.as_micros())
    .bind(i64::try_from(PROMOTED_MAX).unwrap_or(i64::MAX))
    .fetch_all(tx)
    .await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let (id, word): (i64, &str) = (row.try_get(1)?, row.try_get(3)?);
        let lane =
            place::lane(word).ok_or_else(|| Fault::Row(format!("message {id} waits for an unknown lane `{word}`")))?;
        let index = place::index(Source::Jobs(lane)).expect("jobs are kept");
        Ok(Due { mark: Mark { due_at: row.try_get(0)?, id }, tier: row.try_get(2)?, index })
    };
    rows.iter().map(read).collect()
}

/// Writes messages anew at the end of their lanes' stretches; by their old ids.
async fn relocate(tx: &mut SqliteConnection, due: &[&Due], ids: &mut Ids) -> Result<HashMap<i64, Stored>, Fault> {
    static MOVE: Batch = Batch::new(
        "UPDATE messages SET id = v.column2, due_at = NULL, tier = NULL, lane = NULL FROM (VALUES ",
        "(?,?)",
        ") AS v WHERE messages.id = v.column1
         RETURNING id, redeliveries, message_id, content_type, kind, headers, payload",
    );
    if due.is_empty() {
        return Ok(HashMap::new());
    }
    let mut query = sqlx::query(MOVE.sql(due.len()));
    let mut old = HashMap::with_capacity(due.len());
    for Due { mark, index, .. } in due {
        let new = ids.next(*index);
        query = query.bind(mark.id).bind(new);
        old.insert(new, mark.id);
    }
    let mut messages = HashMap::with_capacity(due.len());
    for row in query.fetch_all(tx).await? {
        let message = stored(&row)?;
        messages.extend(old.get(&message.id).map(|old| (*old, message)));
    }
    Ok(messages)
}
