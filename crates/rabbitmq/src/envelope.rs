//! Our messages as AMQP has them, and back. Headers are always made fresh.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use whimbrel_core::parking::labels;
use whimbrel_core::port::{Message, QueueError, Received, Route, Source, Tag};
use whimbrel_core::tier::Tiers;

use crate::topology::{DELAY, EVENTS, JOBS, NOTICES, OUTCOMES, PARKING};

/// AMQP's limit for short strings.
const SHORT_BYTES_MAX: usize = 255;

/// What `basic.publish` takes.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) exchange: &'static str,
    pub(crate) key: ShortString,
    pub(crate) properties: BasicProperties,
    pub(crate) payload: Bytes,
}

impl Envelope {
    /// An error for a tier without a queue: the message would be confirmed and never come out. Events bear `user`, which
    /// the broker holds against the connection's.
    pub(crate) fn seal(message: Message, tiers: &Tiers, user: Option<&str>) -> Result<Self, QueueError> {
        if let Route::Delay(tier, _) = message.route
            && !tiers.has(tier)
        {
            return Err(QueueError::Fatal(format!(
                "there is no delay queue for {tier}: run `whimbrel topology apply`"
            )));
        }
        let (exchange, key) = address(&message.route);
        let properties = BasicProperties::default()
            .with_message_id(short(&message.id.to_string()))
            .with_content_type(short(&message.content_type))
            .with_delivery_mode(if exchange == NOTICES { 1 } else { 2 });
        let properties = match &message.route {
            Route::Events(kind) => {
                let properties = properties.with_type(short(kind));
                user.map_or(properties.clone(), |user| properties.with_user_id(short(user)))
            }
            Route::Notices(kind) => properties.with_type(short(kind)),
            Route::Parking { source, origin, reason } => {
                properties.with_headers(table(labels(Some(*source), reason, Some(message.id.created_at()), origin)))
            }
            _ => properties,
        };
        Ok(Self { exchange, key, properties, payload: message.payload })
    }
}

/// Exchange and routing key.
pub(crate) fn address(route: &Route) -> (&'static str, ShortString) {
    match route {
        Route::Events(kind) => (EVENTS, short(kind)),
        Route::Jobs(lane) => (JOBS, short(&format!("now.{lane}"))),
        Route::Delay(tier, lane) => (DELAY, short(&format!("{tier}.{lane}"))),
        Route::Outcomes => (OUTCOMES, short("attempted")),
        Route::Notices(kind) => (NOTICES, short(kind)),
        Route::Parking { .. } => (PARKING, short("")),
    }
}

/// Headers as AMQP has them.
pub(crate) fn table(headers: Vec<(String, String)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert(short(&name), AMQPValue::LongString(value.into()));
    }
    table
}

/// A delivery as its consumer gets it.
pub(crate) fn open(delivery: Delivery, source: Source, epoch: u64) -> Received {
    let properties = &delivery.properties;
    let text = |property: &Option<ShortString>| property.as_ref().map(ToString::to_string).unwrap_or_default();
    Received {
        tag: Tag { epoch, number: delivery.delivery_tag },
        content_type: text(properties.content_type()),
        message_id: text(properties.message_id()),
        kind: text(properties.kind()),
        timestamp: *properties.timestamp(),
        user_id: text(properties.user_id()),
        headers: if matches!(source, Source::Events | Source::Parking) { headers(properties) } else { Vec::new() },
        redeliveries: redeliveries(&delivery),
        payload: Bytes::from(delivery.data),
    }
}

/// Those headers that are texts.
pub(crate) fn headers(properties: &BasicProperties) -> Vec<(String, String)> {
    let headers = properties.headers().iter().flat_map(FieldTable::inner);
    headers
        .filter_map(|(name, value)| match value {
            AMQPValue::LongString(text) => Some((name.to_string(), text.to_string())),
            AMQPValue::ShortString(text) => Some((name.to_string(), text.to_string())),
            _ => None,
        })
        .collect()
}

/// Quorum queues count in a header; where it is missing the flag says once.
pub(crate) fn redeliveries(delivery: &Delivery) -> u32 {
    let headers = delivery.properties.headers().as_ref();
    let counted = headers.and_then(|headers| headers.inner().get("x-delivery-count")).and_then(number);
    counted.unwrap_or(0).max(u32::from(delivery.redelivered))
}

fn number(value: &AMQPValue) -> Option<u32> {
    match *value {
        AMQPValue::ShortShortInt(number) => number.try_into().ok(),
        AMQPValue::ShortShortUInt(number) => Some(number.into()),
        AMQPValue::ShortInt(number) => number.try_into().ok(),
        AMQPValue::ShortUInt(number) => Some(number.into()),
        AMQPValue::LongInt(number) => number.try_into().ok(),
        AMQPValue::LongUInt(number) => Some(number),
        AMQPValue::LongLongInt(number) => number.try_into().ok(),
        _ => None,
    }
}

/// Cut to what a short string may hold.
pub(crate) fn short(text: &str) -> ShortString {
    cut(text, SHORT_BYTES_MAX).into()
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use whimbrel_core::id::PackId;
    use whimbrel_core::port::{Clock as _, Lane, SystemClock};
    use whimbrel_core::tier::Tier;

    use super::*;

    fn seal(route: Route) -> Result<Envelope, QueueError> {
        let id = PackId::generate(SystemClock.now(), SystemClock.random10());
        let message = Message { route, id, content_type: "text/plain".to_owned(), payload: Bytes::new() };
        Envelope::seal(message, &Tiers::new([]), Some("api"))
    }

    #[test]
    fn rule_33_only_events_bear_the_user() {
        let user = |route| seal(route).expect("known").properties.user_id().as_ref().map(ToString::to_string);
        assert_eq!(user(Route::Events("order.created".into())), Some("api".to_owned()));
        assert_eq!(user(Route::Outcomes), None);
    }

    #[test]
    fn routes() {
        let keyed = |route| seal(route).map(|envelope| (envelope.exchange, envelope.key.to_string())).expect("known");
        assert_eq!(keyed(Route::Events("a.b".to_owned())), (EVENTS, "a.b".to_owned()));
        assert_eq!(keyed(Route::Jobs(Lane::Bulk)), (JOBS, "now.bulk".to_owned()));
        let delayed = Route::Delay(Tier::new(Duration::from_secs(10)), Lane::Slow);
        assert_eq!(keyed(delayed), (DELAY, "10s.slow".to_owned()));
    }

    #[test]
    fn a_tier_without_a_queue_is_refused() {
        let unknown = seal(Route::Delay(Tier::new(Duration::from_secs(7)), Lane::Slow));
        assert!(matches!(unknown, Err(QueueError::Fatal(sentence)) if sentence.contains("7s")));
    }

    #[test]
    fn only_notices_are_not_persistent() {
        let mode = |route| *seal(route).expect("known").properties.delivery_mode();
        assert_eq!([mode(Route::Notices("x".to_owned())), mode(Route::Outcomes)], [Some(1), Some(2)]);
    }
}
