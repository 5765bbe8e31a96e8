//! A message as the table and the memory hold it.

use bytes::Bytes;
use whimbrel_core::Timestamp;
use whimbrel_core::parking::{self, Origin, Parked};
use whimbrel_core::port::{Message, Received, Route, Source, Tag};

use super::place::{self, Place};

/// A message with all that its receiver sees.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// Its place in the table; 0 until the writer gives one.
    pub(crate) id: i64,
    /// Its place among those that came into memory; 0 until it did.
    pub(crate) turn: u64,
    pub(crate) redeliveries: u32,
    pub(crate) message_id: String,
    pub(crate) content_type: String,
    pub(crate) kind: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Bytes,
}

impl Stored {
    /// About what it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        size_of::<Self>()
            + self.payload.len()
            + self.message_id.len()
            + self.content_type.len()
            + self.kind.len()
            + headers
    }

    /// As its receiver gets it.
    pub(crate) fn received(&self, tag: Tag) -> Received {
        Received {
            tag,
            payload: self.payload.clone(),
            content_type: self.content_type.clone(),
            message_id: self.message_id.clone(),
            kind: self.kind.clone(),
            timestamp: None,
            user_id: String::new(),
            headers: self.headers.clone(),
            redeliveries: self.redeliveries,
        }
    }

    /// The same message on its way to parking.
    pub(crate) fn parked(mut self, source: Source, reason: &str, at: Timestamp, origin: &Origin) -> Outgoing {
        self.headers = parking::labels(Some(source), reason, Some(at), origin);
        let parking = place::index(Source::Parking).expect("parking is kept");
        Outgoing { place: Place::Ready(parking), message: self }
    }

    /// What it bears, for when it is parked.
    pub(crate) fn origin(&self) -> Origin {
        Origin::new(&self.message_id, &self.kind, None, "", &self.headers)
    }

    /// As people and the redrive see it in parking.
    pub(crate) fn in_parking(&self) -> Parked {
        let (content_type, place) = (self.content_type.clone(), self.id.to_be_bytes());
        Parked::labelled(&self.headers, content_type, self.payload.clone(), &place).unwrap_or_else(|| {
            let (content_type, reason) =
                (self.content_type.clone(), "unknown: it lies here without a label".to_owned());
            Parked::new(None, reason, None, content_type, self.payload.clone(), self.origin(), &place)
        })
    }

    /// The same on its way back; `None` when nothing says where to.
    pub(crate) fn back(self, parked: &Parked) -> Option<Outgoing> {
        let index = place::index(parked.source.filter(|source| *source != Source::Parking)?)?;
        let (message_id, kind) = (parked.origin.message_id.clone(), parked.origin.kind.clone());
        let headers = parked.headers_back();
        Some(Outgoing {
            place: Place::Ready(index),
            message: Self { id: 0, redeliveries: 0, message_id, kind, headers, ..self },
        })
    }
}

/// A message that is to be written.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) place: Place,
    pub(crate) message: Stored,
}

/// What becomes of a published message.
pub(crate) enum Sorted {
    /// It is written.
    Kept(Outgoing),
    /// It is only told, to those who listen.
    Notice(Stored),
}

/// Reads a message's route. `now` is the beginning of a delay.
pub(crate) fn sort(message: Message, now: Timestamp) -> Sorted {
    let Message { route, id, content_type, payload } = message;
    let stored = |kind: String| Stored {
        id: 0,
        turn: 0,
        redeliveries: 0,
        message_id: id.to_string(),
        content_type,
        kind,
        headers: Vec::new(),
        payload,
    };
    let ready = |source, message| {
        let index = place::index(source).expect("every source but notices is kept");
        Sorted::Kept(Outgoing { place: Place::Ready(index), message })
    };
    match route {
        Route::Events(event_type) => ready(Source::Events, stored(event_type)),
        Route::Jobs(lane) => ready(Source::Jobs(lane), stored(String::new())),
        Route::Outcomes => ready(Source::Outcomes, stored(String::new())),
        Route::Parking { source, origin, reason } => {
            Sorted::Kept(stored(String::new()).parked(source, &reason, id.created_at(), &origin))
        }
        Route::Notices(kind) => Sorted::Notice(stored(kind)),
        Route::Delay(tier, lane) => {
            let place = Place::Delayed { tier, lane, due_at: now + tier.delay() };
            Sorted::Kept(Outgoing { place, message: stored(String::new()) })
        }
    }
}
