//! Parked messages as they lie on the broker: labelled by Whimbrel, dead-lettered by the broker, or unroutable.

use bytes::Bytes;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use whimbrel_core::Timestamp;
use whimbrel_core::parking::{DELIVERY_LIMIT, Origin, Parked};
use whimbrel_core::port::{Lane, Source};

use crate::envelope;
use crate::topology::{DELAY, EVENTS, JOBS, OUTCOMES, source_of};

/// Reads one. What the broker says of it counts more than labels, which a publisher may have sent himself.
pub(super) fn parked(delivery: &Delivery) -> Parked {
    let properties = &delivery.properties;
    let text = |property: &Option<ShortString>| property.as_ref().map(ToString::to_string).unwrap_or_default();
    let headers = envelope::headers(properties);
    let (content_type, message_id) = (text(properties.content_type()), text(properties.message_id()));
    let payload = Bytes::copy_from_slice(&delivery.data);
    let origin = || {
        Origin::new(&message_id, text(properties.kind()), *properties.timestamp(), text(properties.user_id()), &headers)
    };
    if let Some(death) = properties.headers().as_ref().and_then(Death::last) {
        let reason = death.sentence();
        return Parked::new(source_of(&death.queue), reason, death.at, content_type, payload, origin(), &[]);
    }
    if delivery.exchange.as_str() == crate::topology::PARKING
        && let Some(parked) = Parked::labelled(&headers, content_type.clone(), payload.clone(), &[])
    {
        return parked;
    }
    let (exchange, key) = (delivery.exchange.as_str(), delivery.routing_key.as_str());
    let reason = format!("unroutable: no queue took it from `{exchange}` under `{key}`");
    Parked::new(addressed(exchange, key), reason, None, content_type, payload, origin(), &[])
}

/// Whom a message was meant for. A job whose tier has no queue goes to its lane: it says itself when it is due.
fn addressed(exchange: &str, key: &str) -> Option<Source> {
    match exchange {
        EVENTS => Some(Source::Events),
        OUTCOMES => Some(Source::Outcomes),
        JOBS | DELAY => {
            let (_, lane) = key.split_once('.')?;
            Lane::ALL.into_iter().find(|known| known.as_str() == lane).map(Source::Jobs)
        }
        _ => None,
    }
}

/// The last entry of `x-death`.
struct Death {
    queue: String,
    reason: String,
    at: Option<Timestamp>,
}

impl Death {
    fn last(headers: &FieldTable) -> Option<Self> {
        let AMQPValue::FieldArray(deaths) = headers.inner().get("x-death")? else { return None };
        let AMQPValue::FieldTable(death) = deaths.as_slice().first()? else { return None };
        let text = |name: &str| match death.inner().get(name) {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            Some(AMQPValue::ShortString(text)) => text.to_string(),
            _ => String::new(),
        };
        let at = match death.inner().get("time") {
            Some(AMQPValue::Timestamp(secs)) => i64::try_from(*secs).ok().map(Timestamp::from_secs),
            _ => None,
        };
        Some(Self { queue: text("queue"), reason: text("reason"), at })
    }

    fn sentence(&self) -> String {
        match self.reason.as_str() {
            DELIVERY_LIMIT => format!("{DELIVERY_LIMIT}: it came too often from `{}` and was not acked", self.queue),
            other => format!("{other}: the broker took it out of `{}`", self.queue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_a_missing_tier_was_meant_for_its_lane() {
        assert_eq!(addressed(DELAY, "7s.slow"), Some(Source::Jobs(Lane::Slow)));
        assert_eq!(addressed(JOBS, "now.live"), Some(Source::Jobs(Lane::Live)));
        assert_eq!(addressed(EVENTS, "order.created"), Some(Source::Events));
        assert_eq!(addressed(JOBS, "now.nowhere"), None);
        assert_eq!(addressed("somebody.else", "now.live"), None);
    }
}
