//! What shares one commit.

use sqlx::SqliteConnection;
use whimbrel_core::port::StoreError;

use super::call::Work;
use super::handed::{Handed, Held, is_brief};
use super::{Done, Inbox, Job, Publish, Relocation, Spent};
use crate::fault::Fault;
use crate::queue::lent::Lent;
use crate::queue::lot::Lots;
use crate::queue::place::{self, Ids, KEPT, Place};
use crate::queue::stored::{Outgoing, Stored};
use crate::queue::{Dispatch, delayed, table};

/// Bounds of one group, so that its first caller is not kept waiting by its last.
const JOBS_MAX: usize = 256;
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Jobs that were ready at the same time.
#[derive(Default)]
pub(super) struct Group {
    calls: Vec<(Box<dyn Work>, Result<(), StoreError>)>,
    relocations: Vec<Relocation>,
    /// As they came.
    publishes: Vec<Publish>,
    /// What consumers get once it is committed.
    messages: Vec<Outgoing>,
    /// What they have already.
    given: Vec<Outgoing>,
    /// Who is told of both.
    published: Vec<Done>,
    bytes: usize,
    /// What may not be given.
    held: Held,
}

/// What a group's commit made ready or late.
pub(super) struct Outcome {
    relocated: Vec<Stored>,
    written: Vec<Outgoing>,
}

impl Group {
    /// Empty; of these sources nothing may be given.
    pub(super) fn new(held: Held) -> Self {
        Self { held, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len() + self.relocations.len() + self.publishes.len() + self.published.len()
    }

    /// Whether more may share its commit.
    pub(super) fn has_room(&self) -> bool {
        self.len() < JOBS_MAX && self.bytes < BYTES_MAX
    }

    /// Whether a consumer has this message, which is only written now.
    pub(super) fn has_given(&self, id: i64) -> bool {
        self.given.iter().any(|outgoing| outgoing.message.id == id)
    }

    pub(super) fn push(&mut self, job: Job) {
        match job {
            Job::Call(call) if call.is_wanted() => self.calls.push((call, Ok(()))),
            Job::Call(_) => {}
            Job::Publish(publish) => {
                self.bytes += publish.messages.iter().map(|outgoing| outgoing.message.bytes()).sum::<usize>();
                self.publishes.push(publish);
            }
            Job::Relocate(relocation) => self.relocations.push(relocation),
        }
    }

    /// Tells these with the others when the group is committed.
    pub(super) fn tell(&mut self, done: Vec<Done>) {
        self.published.extend(done);
    }

    /// Takes in what consumers have had for too long, and all that they have if somebody wants everything written; then
    /// gives them what they can have before it is written, if it may.
    pub(super) fn hand_over(&mut self, handed: &mut Handed, lots: &Lots, ids: &mut Ids, may_give: bool) {
        let may_give = may_give && !self.is_flush();
        for Publish { messages, done } in handed.overdue(!may_give) {
            self.given.extend(messages);
            self.published.push(done);
        }
        // The group before this one has ended.
        self.held = if may_give { Held::by(&self.messages) } else { Held::all() };
        self.give(handed, lots, ids);
    }

    /// Gives consumers that have nothing to do what they can have before it is written. Until the group has ended an ack
    /// could be that of a message which is only written then.
    pub(super) fn give(&mut self, handed: &mut Handed, lots: &Lots, ids: &mut Ids) {
        for Publish { messages, done } in std::mem::take(&mut self.publishes) {
            let (given, others) = self.held.give(messages, lots, ids);
            if others.is_empty() && !given.is_empty() && given.iter().all(is_brief) {
                handed.keep(Publish { messages: given, done });
            } else {
                self.given.extend(given);
                self.messages.extend(others);
                self.published.push(done);
            }
        }
    }

    /// Whether somebody wants everything written.
    pub(super) fn is_flush(&self) -> bool {
        self.publishes.iter().any(|publish| publish.messages.is_empty())
    }

    /// Takes what else is ready.
    pub(super) fn fill(&mut self, inbox: &mut Inbox) {
        while self.has_room()
            && let Ok(job) = inbox.jobs.try_recv()
        {
            self.push(job);
        }
    }

    /// Gives the messages that are written their ids, and says which sources wait for them.
    pub(super) fn number(&mut self, ids: &mut Ids, spent: &mut Spent) -> Held {
        for Relocation { due, .. } in &mut self.relocations {
            for due in due {
                due.new_id = ids.next(due.index);
            }
        }
        for outgoing in spent.parked.iter_mut().chain(&mut self.messages) {
            outgoing.message.id = ids.next(outgoing.place.index());
        }
        let mut held = Held::by(spent.parked.iter().chain(&self.messages));
        for due in self.relocations.iter().flat_map(|relocation| &relocation.due) {
            held.hold(Place::Ready(due.index));
        }
        held
    }

    /// Runs everything in one transaction. After an error it may be open still.
    pub(super) async fn run(
        &mut self,
        tx: &mut SqliteConnection,
        lent: &Lent,
        spent: &mut Spent,
    ) -> Result<Outcome, Fault> {
        table::begin(tx, &spent.acked, !self.calls.is_empty()).await?;
        self.run_calls(tx).await?;
        let mut relocated = Vec::new();
        for Relocation { due, .. } in &self.relocations {
            relocated.extend(delayed::relocate(tx, due).await?);
        }
        let messages: Vec<&Outgoing> = self.given.iter().chain(&spent.parked).chain(&self.messages).collect();
        table::commit(tx, &messages).await?;
        let written: Vec<_> =
            std::mem::take(&mut spent.parked).into_iter().chain(std::mem::take(&mut self.messages)).collect();
        lent.forget(&std::mem::take(&mut spent.acked));
        lent.note(&written);
        Ok(Outcome { relocated, written })
    }

    /// A call that fails by itself is undone by itself, back to its savepoint; the first has one already. They need no
    /// release: the commit takes them all.
    async fn run_calls(&mut self, tx: &mut SqliteConnection) -> Result<(), Fault> {
        for (number, (call, ended)) in self.calls.iter_mut().enumerate() {
            if number > 0 {
                sqlx::query("SAVEPOINT call").execute(&mut *tx).await?;
            }
            match call.run(tx).await {
                Ok(()) => {}
                Err(fault) if fault.is_of_the_engine() => return Err(fault),
                Err(fault) => {
                    sqlx::query("ROLLBACK TO call").execute(&mut *tx).await?;
                    *ended = Err(fault.to_store());
                }
            }
        }
        Ok(())
    }

    /// Tells everyone how it ended.
    pub(super) fn answer(self, ended: Result<(), &Fault>) {
        for (call, by_itself) in self.calls {
            call.answer(ended.map_err(Fault::to_store).and(by_itself));
        }
        let relocated = self.relocations.into_iter().map(|relocation| relocation.done);
        for done in self.published.into_iter().chain(relocated) {
            // Whoever does not wait any more does not need the answer.
            let _ = done.send(ended.map_err(Fault::to_queue));
        }
    }
}

impl Outcome {
    /// Hands what is ready to the consumers, in the order of their ids.
    pub(super) fn dispatch(self, dispatch: &Dispatch) {
        let mut ready: [Vec<Stored>; KEPT.len()] = Default::default();
        for message in self.relocated {
            let index = place::index_of_id(message.id).expect("it has an id in a lane's stretch");
            ready[index].push(message);
        }
        for Outgoing { place, message } in self.written {
            match place {
                Place::Delayed { tier, .. } => dispatch.delay(tier.to_string()),
                Place::Ready(index) => ready[index].push(message),
            }
        }
        for (lot, ready) in dispatch.lots.iter().zip(ready) {
            if !ready.is_empty() {
                lot.add(ready);
            }
        }
    }
}
