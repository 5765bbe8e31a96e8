//! What could not be processed: how it is labelled when it is parked, and how it goes back.
//!
//! Both engines write the same labels, as headers of their own making. Nothing that a publisher sent as a header is
//! ever sent on under its own name while the message is parked: a foreign `x-death` would stop a delay tier.

use bytes::Bytes;

use crate::id::ParkedId;
use crate::port::{Route, Source};
use crate::time::Timestamp;

/// Header of a parked message: where it came from.
const SOURCE: &str = "source";
/// Header of a parked message: a stable word and what was wrong.
const REASON: &str = "reason";
/// Header of a parked message: since when, in microseconds.
const PARKED_AT: &str = "parked-at";
/// In front of what the message bore when it came.
const ORIGIN: &str = "origin-";

/// Header of a message that was brought back: how often.
pub const REDRIVEN: &str = "whimbrel-redriven";
/// Header of an event that was brought back: the broker user that published it first, empty for none. Believed of
/// trusted users only (rule 33).
pub const PUBLISHER: &str = "whimbrel-publisher";

/// The word of what came too often without being acked.
pub const DELIVERY_LIMIT: &str = "delivery_limit";

/// The headers that an event is read with; others are not kept.
const KEPT: [&str; 3] = ["tenant", "traceparent", "tracestate"];
/// The longest kept value and the longest reason, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// What a message bore beside its bytes, kept while it is parked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The publisher's id.
    pub message_id: String,
    /// The publisher's `type` property.
    pub kind: String,
    /// The publisher's `timestamp` property, seconds since the epoch.
    pub timestamp: Option<u64>,
    /// The validated `user_id` property.
    pub user_id: String,
    /// Those headers that an event is read with.
    pub headers: Vec<(String, String)>,
    /// How often it was brought back before.
    pub redriven: u32,
}

impl Origin {
    /// From the properties of a message as it came. Of the headers only what an event is read with stays, and nothing
    /// that is longer than 1 KiB.
    pub fn new(
        message_id: impl Into<String>,
        kind: impl Into<String>,
        timestamp: Option<u64>,
        user_id: impl Into<String>,
        headers: &[(String, String)],
    ) -> Self {
        let kept = |(name, value): &&(String, String)| KEPT.contains(&name.as_str()) && value.len() <= TEXT_BYTES_MAX;
        Self {
            message_id: message_id.into(),
            kind: kind.into(),
            timestamp,
            user_id: user_id.into(),
            headers: headers.iter().filter(kept).cloned().collect(),
            redriven: find(headers, REDRIVEN).and_then(|count| count.parse().ok()).unwrap_or(0),
        }
    }

    fn read(headers: &[(String, String)]) -> Self {
        let text = |name: &str| find(headers, &format!("{ORIGIN}{name}")).unwrap_or_default().to_owned();
        let own = |name: &&str| Some(((*name).to_owned(), find(headers, &format!("{ORIGIN}{name}"))?.to_owned()));
        Self {
            message_id: text("message-id"),
            kind: text("type"),
            timestamp: text("timestamp").parse().ok(),
            user_id: text("user-id"),
            headers: KEPT.iter().filter_map(own).collect(),
            redriven: find(headers, REDRIVEN).and_then(|count| count.parse().ok()).unwrap_or(0),
        }
    }

    fn labels(&self) -> impl Iterator<Item = (String, String)> {
        let timestamp = self.timestamp.map(|secs| secs.to_string()).unwrap_or_default();
        let properties = [
            ("message-id", self.message_id.as_str()),
            ("type", &self.kind),
            ("timestamp", &timestamp),
            ("user-id", &self.user_id),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let all = properties.into_iter().chain(self.headers.iter().cloned());
        let labels = all.filter(|(_, value)| !value.is_empty()).map(|(name, value)| (format!("{ORIGIN}{name}"), value));
        let redriven = (self.redriven > 0).then(|| (REDRIVEN.to_owned(), self.redriven.to_string()));
        labels.chain(redriven).collect::<Vec<_>>().into_iter()
    }
}

/// The headers of a message that is parked. A reason may quote what came from outside: control characters go, and
/// what is beyond 1 KiB.
pub fn labels(
    source: Option<Source>,
    reason: &str,
    parked_at: Option<Timestamp>,
    origin: &Origin,
) -> Vec<(String, String)> {
    let mut reason: String = reason.chars().filter(|char| !char.is_control()).take(TEXT_BYTES_MAX).collect();
    reason.truncate(reason.floor_char_boundary(TEXT_BYTES_MAX));
    let source = source.map_or_else(|| "unknown".to_owned(), |source| source.to_string());
    let mut labels = vec![(SOURCE.to_owned(), source), (REASON.to_owned(), reason)];
    labels.extend(parked_at.map(|at| (PARKED_AT.to_owned(), at.as_micros().to_string())));
    labels.extend(origin.labels());
    labels
}

/// A message that lies in parking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Names it as long as it lies there.
    pub id: ParkedId,
    /// Where it came from; `None` when that cannot be told, and then it has no way back.
    pub source: Option<Source>,
    /// A stable word and what was wrong.
    pub reason: String,
    /// Since when, as far as it is known.
    pub parked_at: Option<Timestamp>,
    /// How to read it.
    pub content_type: String,
    /// The bytes.
    pub payload: Bytes,
    /// What it bore when it came.
    pub origin: Origin,
}

impl Parked {
    /// From the [`labels`] it was parked under; `None` when it has none. `place` is what else the engine knows it by:
    /// it goes into the id.
    pub fn labelled(headers: &[(String, String)], content_type: String, payload: Bytes, place: &[u8]) -> Option<Self> {
        let source = Source::parse(find(headers, SOURCE)?);
        let reason = find(headers, REASON)?.to_owned();
        let parked_at = find(headers, PARKED_AT).and_then(|micros| micros.parse().ok()).map(Timestamp::from_micros);
        Some(Self::new(source, reason, parked_at, content_type, payload, Origin::read(headers), place))
    }

    /// From its parts.
    pub fn new(
        source: Option<Source>,
        reason: String,
        parked_at: Option<Timestamp>,
        content_type: String,
        payload: Bytes,
        origin: Origin,
        place: &[u8],
    ) -> Self {
        let at = parked_at.map_or(0, Timestamp::as_micros).to_be_bytes();
        let parts = [place, &at, reason.as_bytes(), origin.message_id.as_bytes(), origin.kind.as_bytes(), &payload];
        Self { id: ParkedId::of(parts), source, reason, parked_at, content_type, payload, origin }
    }

    /// The stable word of its reason: `unknown_tenant`, `malformed`, `delivery_limit`, …
    pub fn word(&self) -> &str {
        self.reason.split(':').next().unwrap_or_default()
    }

    /// Where it goes when it is brought back; `None` when that cannot be told.
    pub fn route_back(&self) -> Option<Route> {
        match self.source? {
            Source::Events if self.origin.kind.is_empty() => Some(Route::Events("redriven".to_owned())),
            Source::Events => Some(Route::Events(self.origin.kind.clone())),
            Source::Jobs(lane) => Some(Route::Jobs(lane)),
            Source::Outcomes => Some(Route::Outcomes),
            Source::Notices | Source::Parking => None,
        }
    }

    /// The headers it goes back with: what an event is read with, how often it was brought back, and for whom its
    /// publisher spoke. All of them fresh.
    pub fn headers_back(&self) -> Vec<(String, String)> {
        let mut headers = self.origin.headers.clone();
        headers.push((REDRIVEN.to_owned(), (self.origin.redriven + 1).to_string()));
        if self.source == Some(Source::Events) {
            headers.push((PUBLISHER.to_owned(), self.origin.user_id.clone()));
        }
        headers
    }
}

/// Which parked messages are meant: all that match every field that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// These; any when empty.
    pub ids: Vec<ParkedId>,
    /// Those that came from here.
    pub source: Option<Source>,
    /// Those whose reason has this word.
    pub reason: Option<String>,
}

impl Selection {
    /// Whether it means this one.
    pub fn matches(&self, parked: &Parked) -> bool {
        (self.ids.is_empty() || self.ids.contains(&parked.id))
            && self.source.is_none_or(|source| parked.source == Some(source))
            && self.reason.as_deref().is_none_or(|word| parked.word() == word)
    }

    /// Whether it means everything.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

fn find<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Lane;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn parked(headers: &[(String, String)]) -> Parked {
        Parked::labelled(headers, "application/json".into(), Bytes::from_static(b"{}"), b"1").expect("labels")
    }

    #[test]
    fn an_origin_survives_parking_and_goes_back_without_foreign_headers() {
        let sent = [pair("tenant", "acme"), pair("x-death", "evil"), pair("tracestate", &"x".repeat(2_000))];
        let origin = Origin::new("o-1", "order.created", Some(7), "acme-shop", &sent);
        let at = Timestamp::from_secs(9);
        let labels = labels(Some(Source::Events), "unknown_tenant: there is no tenant `acme`", Some(at), &origin);
        assert!(labels.iter().all(|(name, _)| name != "x-death" && name != "tenant"), "{labels:?}");
        let parked = parked(&labels);
        assert_eq!((&parked.origin, parked.parked_at), (&origin, Some(at)));
        assert_eq!(parked.word(), "unknown_tenant");
        assert_eq!(parked.route_back(), Some(Route::Events("order.created".into())));
        let back = [pair("tenant", "acme"), pair(REDRIVEN, "1"), pair(PUBLISHER, "acme-shop")];
        assert_eq!(parked.headers_back(), back);
        assert_eq!(Origin::new("o-1", "order.created", Some(7), "", &back).redriven, 1);
    }

    #[test]
    fn a_selection_means_what_matches_all_of_it() {
        let one = parked(&labels(Some(Source::Jobs(Lane::Slow)), "malformed: no", None, &Origin::default()));
        let of = |ids: &[ParkedId], source, reason: Option<&str>| {
            Selection { ids: ids.to_vec(), source, reason: reason.map(str::to_owned) }.matches(&one)
        };
        assert!(of(&[], None, None) && of(&[one.id], Some(Source::Jobs(Lane::Slow)), Some("malformed")));
        assert!(!of(&[one.id], Some(Source::Events), None) && !of(&[], None, Some("malform")));
        assert!(!of(&[ParkedId::of([&b"another"[..]])], None, None));
    }

    #[test]
    fn a_reason_is_made_harmless_and_cut_between_characters() {
        let labels = labels(None, &format!("\n{}", "é".repeat(2_000)), None, &Origin::default());
        assert_eq!(find(&labels, REASON), Some("é".repeat(512).as_str()));
    }
}
