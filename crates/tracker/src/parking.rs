//! What came too often without being acked is tried again by itself, ever more seldom (rule 19). Its cause may have
//! been a store that was away, a process that ran out of memory, a version that is gone by now.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tracing::{debug, info, warn};
use whimbrel_core::Timestamp;
use whimbrel_core::intake::Format;
use whimbrel_core::message::{decode, decode_jobs, decode_outcomes, v1};
use whimbrel_core::parking::{DELIVERY_LIMIT, Parked};
use whimbrel_core::port::{ParkedFate, Parking, ParkingError, QueueError, Source};

use crate::settle::Tracker;

/// The pause before a message's first way back; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// Messages brought back at a look: what kills a process should not come back by the thousand.
const AT_A_LOOK: usize = 500;

/// The redrive between its looks.
pub(crate) struct Redrive {
    parking: Arc<dyn Parking>,
    /// How many lay there after the last look, and when the first of them is due; a broker counts looks, so there are
    /// none in vain.
    known: Option<(u64, Option<Timestamp>)>,
    /// Said once why it cannot be done.
    said: bool,
}

impl Redrive {
    pub(crate) fn new(parking: Arc<dyn Parking>) -> Self {
        Self { parking, known: None, said: false }
    }

    /// Forgets what it knew: another process did the looking meanwhile.
    pub(crate) fn forget(&mut self) {
        self.known = None;
    }
}

impl Tracker {
    /// Brings back what is due. Parking that cannot be looked at keeps the tracker from nothing else.
    pub(crate) async fn redrive(&self, redrive: &mut Redrive) {
        if let Err(error) = self.try_redrive(redrive).await {
            let lasting = matches!(error, ParkingError::Denied(_) | ParkingError::Queue(QueueError::Fatal(_)));
            if lasting && !std::mem::replace(&mut redrive.said, true) {
                warn!(%error, "parked messages are not brought back by themselves; amqp.redrive_url names who may");
            } else {
                debug!(%error, "parking cannot be looked at");
            }
            if !lasting {
                redrive.forget();
            }
        }
    }

    async fn try_redrive(&self, redrive: &mut Redrive) -> Result<(), ParkingError> {
        let now = self.clock.now();
        let lying = self.lying().await?;
        let is_known = redrive.known.is_some_and(|(count, due)| count == lying && due.is_none_or(|due| due > now));
        if lying == 0 || is_known {
            return Ok(());
        }
        // Unless it comes to something else: what is refused now will be refused again.
        redrive.known = Some((lying, None));
        let mut next = None;
        let mut room = AT_A_LOOK;
        let mut look = |parked: &Parked| {
            let Some(due) = due(parked) else { return ParkedFate::Keep };
            if due <= now && room > 0 {
                room -= 1;
                return ParkedFate::Redrive;
            }
            next = Some(next.map_or(due, |next: Timestamp| next.min(due)));
            ParkedFate::Keep
        };
        let walk = redrive.parking.walk(&mut look).await?;
        redrive.known = Some((lying.saturating_sub(walk.redriven), next));
        metrics::counter!("whimbrel_redriven_total").increment(walk.redriven);
        if walk.redriven > 0 {
            info!(messages = walk.redriven, "messages that had come too often were brought back from parking");
        }
        Ok(())
    }

    async fn lying(&self) -> Result<u64, QueueError> {
        let rows = self.queue.depths().await?;
        Ok(rows.iter().find(|row| row.name == Source::Parking.to_string()).map_or(0, |row| row.ready))
    }
}

/// When it goes back by itself; `None` for never: whatever was parked for another reason, or cannot be read, would only
/// come back.
fn due(parked: &Parked) -> Option<Timestamp> {
    if parked.word() != DELIVERY_LIMIT || !is_well_formed(parked) {
        return None;
    }
    let pause = FIRST_PAUSE.saturating_mul(1 << parked.origin.redriven.min(16)).min(LONGEST_PAUSE);
    Some(parked.parked_at.map_or(Timestamp::from_secs(0), |at| at + pause))
}

fn is_well_formed(parked: &Parked) -> bool {
    let payload = parked.payload.clone();
    match parked.source {
        Some(Source::Events) => is_event(parked, payload),
        Some(Source::Jobs(_)) => decode_jobs(payload).is_ok(),
        Some(Source::Outcomes) => decode_outcomes(payload).is_ok(),
        Some(Source::Notices | Source::Parking) | None => false,
    }
}

/// In one of the forms that ingest reads; whether it is accepted is ingest's to say.
fn is_event(parked: &Parked, payload: Bytes) -> bool {
    match Format::of(&parked.content_type) {
        Format::Json | Format::CloudEvent => serde_json::from_slice::<serde_json::Value>(&payload).is_ok(),
        Format::Event => decode::<v1::Event>("Event", payload).is_ok(),
        Format::Events => decode::<v1::Events>("Events", payload).is_ok(),
        Format::OtherProtobuf | Format::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::message::{PROTOBUF, PROTOBUF_EVENTS, encode_events};
    use whimbrel_core::parking::Origin;
    use whimbrel_core::port::Lane;

    use super::*;

    const AT: i64 = 1_768_478_400;

    fn parked(source: Source, reason: &str, payload: &[u8], redriven: u32) -> Parked {
        parked_as("application/json", source, reason, payload, redriven)
    }

    fn parked_as(content_type: &str, source: Source, reason: &str, payload: &[u8], redriven: u32) -> Parked {
        let origin = Origin { redriven, ..Origin::default() };
        let payload = Bytes::copy_from_slice(payload);
        Parked::new(
            Some(source),
            reason.into(),
            Some(Timestamp::from_secs(AT)),
            content_type.into(),
            payload,
            origin,
            &[],
        )
    }

    #[test]
    fn rule_19_well_formed_messages_go_back_after_a_doubling_pause() {
        let pause = |redriven| {
            let due = due(&parked(Source::Outcomes, "delivery_limit: often", b"", redriven)).expect("it goes back");
            due.since(Timestamp::from_secs(AT)).as_secs() / 60
        };
        assert_eq!([0, 1, 2, 5, 6, 40].map(pause), [1, 2, 4, 32, 60, 60]);
    }

    #[test]
    fn rule_19_what_cannot_be_read_or_was_refused_stays() {
        let limit = "delivery_limit: often";
        assert_eq!(due(&parked(Source::Jobs(Lane::Live), limit, b"\xff\xff", 0)), None);
        assert_eq!(due(&parked(Source::Events, limit, b"{", 0)), None);
        assert!(due(&parked(Source::Events, limit, b"{}", 0)).is_some());
        assert_eq!(due(&parked(Source::Events, "unknown_tenant: acme", b"{}", 0)), None);
        assert_eq!(due(&parked_as(PROTOBUF_EVENTS, Source::Events, limit, b"\xff\xff", 0)), None);
        assert_eq!(due(&parked_as("text/plain", Source::Events, limit, b"{}", 0)), None);
    }

    #[test]
    fn rule_19_events_go_back_in_every_form_that_ingest_reads() {
        let event =
            Bytes::from(prost::Message::encode_to_vec(&v1::Event { tenant: "t".into(), ..v1::Event::default() }));
        let pack = encode_events(vec![event.clone(), event.clone()]);
        for (content_type, payload) in [
            (PROTOBUF, &event[..]),
            (PROTOBUF_EVENTS, &pack[..]),
            ("application/json; charset=utf-8", b"{}"),
            ("application/cloudevents+json", b"{}"),
        ] {
            let parked = parked_as(content_type, Source::Events, "delivery_limit: often", payload, 0);
            assert!(due(&parked).is_some(), "{content_type}");
        }
    }
}
