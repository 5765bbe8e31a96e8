//! What the API has put on the queue.

use std::collections::VecDeque;
use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;
use whimbrel_core::message::{PROTOBUF_EVENTS, decode, v1};
use whimbrel_core::port::{Consumer, Queue, Received, Source};
use whimbrel_core::{EndpointId, EventId};

/// A test that waits longer than this fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// Messages of one source, in order.
pub(crate) struct Stream {
    consumer: Box<dyn Consumer>,
    waiting: VecDeque<Bytes>,
}

impl Stream {
    pub(super) async fn open(queue: &dyn Queue, source: Source) -> Self {
        Self { consumer: queue.consume(source, 2_000).await.unwrap(), waiting: VecDeque::new() }
    }

    async fn payload(&mut self) -> Bytes {
        while self.waiting.is_empty() {
            let received = tokio::time::timeout(PATIENCE, self.consumer.receive(2_000)).await.expect("a message comes");
            self.waiting.extend(received.unwrap().into_iter().flat_map(payloads));
        }
        self.waiting.pop_front().unwrap()
    }

    pub(crate) async fn next(&mut self) -> Published {
        Published(decode("Event", self.payload().await).unwrap())
    }
}

/// What a message holds: the events of a pack, or itself.
fn payloads(received: Received) -> Vec<Bytes> {
    if received.content_type == PROTOBUF_EVENTS {
        return decode::<v1::Events>("Events", received.payload).unwrap().events;
    }
    vec![received.payload]
}

/// An event on the queue.
pub(crate) struct Published(v1::Event);

impl Deref for Published {
    type Target = v1::Event;

    fn deref(&self) -> &v1::Event {
        &self.0
    }
}

impl Published {
    pub(crate) fn event_id(&self) -> EventId {
        EventId::from_slice(&self.0.id).unwrap()
    }

    pub(crate) fn only(&self) -> Option<EndpointId> {
        EndpointId::from_slice(&self.0.only_endpoint).ok()
    }
}

/// Notices, in order.
pub(crate) struct Notices(pub(super) Stream);

impl Notices {
    pub(crate) async fn next(&mut self) -> Notice {
        Notice(decode("Notice", self.0.payload().await).unwrap())
    }
}

/// A notice.
pub(crate) struct Notice(v1::Notice);

impl Deref for Notice {
    type Target = v1::Notice;

    fn deref(&self) -> &v1::Notice {
        &self.0
    }
}

impl Notice {
    pub(crate) fn endpoint(&self) -> String {
        EndpointId::from_slice(&self.0.endpoint_id).unwrap().to_string()
    }
}
