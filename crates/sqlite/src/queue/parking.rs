//! Parking in the table `messages`: read beside the consumers, changed by the one writer.

use std::sync::Arc;

use async_trait::async_trait;
use whimbrel_core::port::{Look, ParkedFate, Parking, ParkingError, QueueError, Source, WALK_MAX, Walk};

use super::place;
use super::stored::Stored;
use super::table;
use crate::engine::Shared;
use crate::writer::Spent;

/// What is read at once.
const MESSAGES: usize = 100;
const BYTES: usize = 8 * 1024 * 1024;

/// Parking's side of an engine.
pub(crate) struct SqliteParking(pub(crate) Arc<Shared>);

#[async_trait]
impl Parking for SqliteParking {
    async fn walk(&self, look: Look<'_>) -> Result<Walk, ParkingError> {
        // One walk at a time, or two could bring the same message back.
        let _alone = self.0.parking.lock().await;
        let parking = place::index(Source::Parking).expect("parking is kept");
        let (mut from, end) = place::ends(parking);
        // What comes back to parking meanwhile lies beyond and is left to the next walk.
        let to = table::last(&self.0.reads, from, end).await.map_err(|fault| fault.to_queue())?;
        let (mut walk, mut stopped) = (Walk::default(), false);
        while !stopped && from <= to {
            let read = table::read(&self.0.reads, from, to, MESSAGES, BYTES).await;
            let messages = read.map_err(|fault| fault.to_queue())?;
            let Some(last) = messages.last() else { break };
            from = last.id + 1;
            let mut spent = Spent::default();
            for message in messages {
                stopped = walk.seen == WALK_MAX || decide(message, look, &mut walk, &mut spent);
                if stopped {
                    walk.more = true;
                    break;
                }
            }
            self.write(parking, spent).await?;
        }
        Ok(walk)
    }
}

impl SqliteParking {
    async fn write(&self, parking: usize, spent: Spent) -> Result<(), QueueError> {
        if spent.acked.is_empty() {
            return Ok(());
        }
        self.0.dispatch.lots[parking].forget(&spent.acked);
        self.0.writer.spend(spent);
        // Nothing more to write: returns when what was just handed over is committed.
        self.0.writer.publish(Vec::new()).await
    }
}

/// Asks about one message; true when the walk ends before it.
fn decide(message: Stored, look: Look<'_>, walk: &mut Walk, spent: &mut Spent) -> bool {
    let parked = message.in_parking();
    let (id, fate) = (message.id, look(&parked));
    if fate == ParkedFate::Stop {
        return true;
    }
    walk.seen += 1;
    match fate {
        ParkedFate::Keep | ParkedFate::Stop => {}
        ParkedFate::Discard => {
            walk.discarded += 1;
            spent.acked.push(id);
        }
        ParkedFate::Redrive => match message.back(&parked) {
            Some(outgoing) => {
                walk.redriven += 1;
                spent.acked.push(id);
                spent.parked.push(outgoing);
            }
            None => walk.stuck += 1,
        },
    }
    false
}
