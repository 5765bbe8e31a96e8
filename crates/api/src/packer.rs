//! Events of requests that come at the same time share messages: one costs a broker little more than another.
//!
//! While nothing is under way an event goes at once. Behind it gathers what goes next, when that has been confirmed and
//! has had its rest; a full pack goes whatever is under way.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use whimbrel_core::id::PackId;
use whimbrel_core::message::{PACK_BYTES_MAX, PACK_EVENTS_MAX, PROTOBUF, PROTOBUF_EVENTS, encode_events};
use whimbrel_core::pace;
use whimbrel_core::port::{Clock, Message, Publisher, QueueError, Route};

/// The `type` of a message with several events.
const PACK_KIND: &str = "whimbrel.events";

/// Where events are gathered.
pub(crate) struct Packer {
    publisher: Arc<dyn Publisher>,
    clock: Arc<dyn Clock>,
    /// See [`pace::rest`].
    rest_max: Duration,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    pack: Pack,
    /// Packs that were full are among them.
    under_way: usize,
}

/// Events that will share a message, and who waits for it.
#[derive(Default)]
struct Pack {
    /// The only event's type, while there is one.
    kind: String,
    events: Vec<Bytes>,
    bytes: usize,
    callers: Vec<oneshot::Sender<Result<(), QueueError>>>,
}

impl Packer {
    pub(crate) fn new(publisher: Arc<dyn Publisher>, clock: Arc<dyn Clock>, rest_max: Duration) -> Self {
        Self { publisher, clock, rest_max, waiting: Mutex::default() }
    }

    /// Publishes encoded events, each with its type; returns when all are durable. On an error any part of them may have
    /// been published. A caller that gives up takes nothing back.
    ///
    /// # Panics
    /// When publishing did.
    pub(crate) async fn publish(self: &Arc<Self>, events: Vec<(Bytes, String)>) -> Result<(), QueueError> {
        let (packs, answers) = self.add(events);
        for pack in packs {
            // A task of its own: others wait for it, too.
            tokio::spawn(self.clone().send(pack));
        }
        for answer in answers {
            answer.await.expect("a bug in publishing is the request's, as if it had published alone")?;
        }
        Ok(())
    }

    /// The packs that are to go now, and what tells when each pack with one of the events is durable.
    fn add(&self, events: Vec<(Bytes, String)>) -> (Vec<Pack>, Vec<oneshot::Receiver<Result<(), QueueError>>>) {
        let mut waiting = self.lock();
        let (mut ready, mut answers) = (Vec::new(), Vec::new());
        let mut is_told = false;
        for (event, kind) in events {
            if !waiting.pack.has_room(event.len()) {
                ready.push(std::mem::take(&mut waiting.pack));
                is_told = false;
            }
            waiting.pack.push(event, kind);
            if !std::mem::replace(&mut is_told, true) {
                let (caller, answer) = oneshot::channel();
                waiting.pack.callers.push(caller);
                answers.push(answer);
            }
        }
        let is_free = waiting.under_way + ready.len() == 0;
        if !waiting.pack.events.is_empty() && (is_free || waiting.pack.is_full()) {
            ready.push(std::mem::take(&mut waiting.pack));
        }
        waiting.under_way += ready.len();
        (ready, answers)
    }

    /// Publishes a pack, and then what has gathered meanwhile, if this was the last one under way.
    async fn send(self: Arc<Self>, first: Pack) {
        let mut next = Some(first);
        while let Some(pack) = next {
            let next_at = Instant::now() + pace::rest(pack.events.len(), self.rest_max);
            let Pack { kind, events, callers, .. } = pack;
            let message = message(&*self.clock, kind, events);
            // A panic must not keep this pack's turn for ever. Its callers panic, for nobody answers them.
            let published = AssertUnwindSafe(self.publisher.publish(vec![message])).catch_unwind().await;
            if let Ok(published) = published {
                for caller in callers {
                    // Nobody there: the caller gave up.
                    let _ = caller.send(published.clone());
                }
            }
            sleep_until(next_at).await;
            next = self.next();
        }
    }

    /// What one that has been published makes room for.
    fn next(&self) -> Option<Pack> {
        let mut waiting = self.lock();
        if waiting.under_way == 1 && !waiting.pack.events.is_empty() {
            return Some(std::mem::take(&mut waiting.pack));
        }
        waiting.under_way -= 1;
        None
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("never poisoned")
    }
}

impl Pack {
    fn has_room(&self, bytes: usize) -> bool {
        self.events.is_empty() || (!self.is_full() && self.bytes + bytes <= PACK_BYTES_MAX)
    }

    fn is_full(&self) -> bool {
        self.events.len() >= PACK_EVENTS_MAX || self.bytes >= PACK_BYTES_MAX
    }

    fn push(&mut self, event: Bytes, kind: String) {
        self.bytes += event.len();
        self.events.push(event);
        self.kind = kind;
    }
}

/// Encoded events as a message. One goes as it is, under its own type, which is `kind`.
pub(crate) fn message(clock: &dyn Clock, kind: String, mut events: Vec<Bytes>) -> Message {
    let id = PackId::generate(clock.now(), clock.random10());
    let (kind, content_type, payload) = match events.len() {
        1 => (kind, PROTOBUF, events.swap_remove(0)),
        _ => (PACK_KIND.to_owned(), PROTOBUF_EVENTS, encode_events(events)),
    };
    Message { route: Route::Events(kind), id, content_type: content_type.to_owned(), payload }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use prost::Message as _;
    use tokio::sync::{Semaphore, watch};
    use tokio::task::JoinHandle;
    use whimbrel_core::message::{decode, v1};
    use whimbrel_core::port::SystemClock;

    use super::*;

    const REST_MAX: Duration = Duration::from_millis(3);

    /// Confirms as many messages as it was told to; refuses those with an event of the type `full`, and panics at `bug`.
    struct Broker {
        sent: Mutex<Vec<Message>>,
        confirms: Semaphore,
    }

    #[async_trait]
    impl Publisher for Broker {
        async fn publish(&self, messages: Vec<Message>) -> Result<(), QueueError> {
            let has = |kind: &str| messages.iter().flat_map(types).any(|known| known == kind);
            let (is_refused, is_bug) = (has("full"), has("bug"));
            self.sent.lock().expect("not poisoned").extend(messages);
            self.confirms.acquire().await.expect("open").forget();
            assert!(!is_bug, "a bug");
            if is_refused { Err(QueueError::Full("the queue".into())) } else { Ok(()) }
        }

        fn blocked(&self) -> watch::Receiver<bool> {
            watch::channel(false).1
        }
    }

    fn types(message: &Message) -> Vec<String> {
        let events = if message.content_type == PROTOBUF_EVENTS {
            decode::<v1::Events>("Events", message.payload.clone()).expect("a pack").events
        } else {
            vec![message.payload.clone()]
        };
        events.into_iter().map(|event| decode::<v1::Event>("Event", event).expect("an event").r#type).collect()
    }

    fn event(kind: &str) -> (Bytes, String) {
        let event = v1::Event { r#type: kind.to_owned(), ..v1::Event::default() };
        (event.encode_to_vec().into(), event.r#type)
    }

    struct World {
        packer: Arc<Packer>,
        broker: Arc<Broker>,
    }

    impl World {
        fn new() -> Self {
            let broker = Arc::new(Broker { sent: Mutex::default(), confirms: Semaphore::new(0) });
            Self { packer: Arc::new(Packer::new(broker.clone(), Arc::new(SystemClock), REST_MAX)), broker }
        }

        /// A request that publishes events of these types; returns when it waits.
        async fn request(&self, types: &[&str]) -> JoinHandle<Result<(), QueueError>> {
            let (packer, events) = (self.packer.clone(), types.iter().map(|kind| event(kind)).collect());
            let request = tokio::spawn(async move { packer.publish(events).await });
            settle().await;
            request
        }

        async fn confirm(&self, messages: usize) {
            self.broker.confirms.add_permits(messages);
            settle().await;
        }

        fn sent(&self) -> Vec<Vec<String>> {
            self.broker.sent.lock().expect("not poisoned").iter().map(types).collect()
        }
    }

    /// Until every task waits: the clock is paused, so time passes only then.
    async fn settle() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_goes_at_once_and_alone_while_nothing_is_under_way() {
        let world = World::new();
        for kind in ["a", "b"] {
            let request = world.request(&[kind]).await;
            let last = world.broker.sent.lock().expect("not poisoned").last().map(|message| message.route.clone());
            assert_eq!(last, Some(Route::Events(kind.into())));
            assert!(!request.is_finished(), "not before the confirm");
            world.confirm(1).await;
            assert!(request.await.expect("no panic").is_ok());
        }
        assert_eq!(world.sent(), [["a"], ["b"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_meanwhile_goes_together() {
        let world = World::new();
        let mut requests = Vec::new();
        for kind in ["a", "b", "c", "d"] {
            requests.push(world.request(&[kind]).await);
        }
        assert_eq!(world.sent(), [["a"]]);
        world.confirm(1).await;
        assert_eq!(world.sent()[1..], [["b", "c", "d"]]);
        assert_eq!(world.broker.sent.lock().expect("not poisoned")[1].route, Route::Events(PACK_KIND.into()));
        assert_eq!(requests.iter().filter(|request| request.is_finished()).count(), 1);
        world.confirm(1).await;
        for request in requests {
            assert!(request.await.expect("no panic").is_ok());
        }
        tokio::time::sleep(REST_MAX).await;
        world.request(&["e"]).await;
        assert_eq!(world.sent()[2..], [["e"]], "and all is free again");
    }

    /// Three requests come every millisecond, and confirms at once.
    #[tokio::test(start_paused = true)]
    async fn a_pack_has_its_rest_before_the_next_begins() {
        let world = World::new();
        world.broker.confirms.add_permits(1_000);
        let begun = Instant::now();
        for number in 0..300 {
            let packer = world.packer.clone();
            tokio::spawn(async move { packer.publish(vec![event("a")]).await });
            if number % 3 == 2 {
                settle().await;
            }
        }
        let sizes: Vec<usize> = world.sent().iter().map(Vec::len).collect();
        assert_eq!(sizes[0], 1);
        let packs = u128::try_from(sizes.len()).expect("few");
        assert!(packs <= begun.elapsed().as_millis() / REST_MAX.as_millis() + 5, "{sizes:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn full_packs_do_not_wait_and_a_batch_is_durable_as_a_whole() {
        let world = World::new();
        let batch = vec!["x"; 2 * PACK_EVENTS_MAX + 3];
        let _first = world.request(&["a"]).await;
        let batch = world.request(&batch).await;
        assert_eq!(world.sent().iter().map(Vec::len).collect::<Vec<_>>(), [1, PACK_EVENTS_MAX, PACK_EVENTS_MAX]);
        world.confirm(3).await;
        tokio::time::sleep(REST_MAX).await;
        assert_eq!(world.sent()[3..], [["x"; 3]], "when nothing else is under way");
        assert!(!batch.is_finished());
        world.confirm(1).await;
        assert!(batch.await.expect("no panic").is_ok());
        tokio::time::sleep(REST_MAX).await;
        let _last = world.request(&["b"]).await;
        assert_eq!(world.sent()[4..], [["b"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn packs_are_bounded_in_bytes_and_one_large_event_goes_alone() {
        let packer = World::new().packer;
        let of = |bytes: usize| (Bytes::from(vec![0; bytes]), "k".to_owned());
        let sizes = |packs: &[Pack]| packs.iter().map(|pack| pack.events.len()).collect::<Vec<_>>();
        let (packs, answers) =
            packer.add(vec![of(PACK_BYTES_MAX + 1), of(PACK_BYTES_MAX / 2), of(PACK_BYTES_MAX / 2), of(1)]);
        assert_eq!((sizes(&packs), answers.len()), (vec![1, 2], 3), "the last one waits");
        let (packs, _) = packer.add(vec![of(PACK_BYTES_MAX)]);
        assert_eq!(sizes(&packs), [1, 1], "a full one pushes it out, and goes itself");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_to_those_whom_it_concerns() {
        let world = World::new();
        let good = world.request(&["a"]).await;
        let (bad, with) = (world.request(&["full"]).await, world.request(&["b"]).await);
        world.confirm(1).await;
        let after = world.request(&["c"]).await;
        world.confirm(2).await;
        tokio::time::sleep(REST_MAX).await;
        assert!(good.await.expect("no panic").is_ok());
        for request in [bad, with] {
            assert!(matches!(request.await.expect("no panic"), Err(QueueError::Full(_))));
        }
        assert!(after.await.expect("no panic").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_its_callers_and_holds_up_nobody_else() {
        let world = World::new();
        let one = world.request(&["bug"]).await;
        let after = world.request(&["a"]).await;
        world.confirm(2).await;
        assert!(one.await.expect_err("panics").is_panic());
        assert!(after.await.expect("no panic").is_ok());
        tokio::time::sleep(REST_MAX).await;
        world.request(&["b"]).await;
        assert_eq!(world.sent(), [["bug"], ["a"], ["b"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_takes_nothing_back_and_holds_up_nobody() {
        let world = World::new();
        let impatient = world.request(&["a"]).await;
        let (also, patient) = (world.request(&["b"]).await, world.request(&["c"]).await);
        impatient.abort();
        also.abort();
        world.confirm(2).await;
        assert_eq!(world.sent(), [vec!["a"], vec!["b", "c"]]);
        assert!(patient.await.expect("no panic").is_ok());
    }
}
