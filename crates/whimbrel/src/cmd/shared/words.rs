//! Quantities in few characters.

use std::time::Duration;

use time::OffsetDateTime;
use whimbrel_core::Timestamp;

/// `30s`, `5m`, `2h`, `1h30m`, `600ms`: at most two units, the smaller ones cut off.
pub(crate) fn brief(duration: Duration) -> String {
    const UNITS: [(u128, &str); 5] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let millis = duration.as_millis();
    // A day is still told in hours: `24h` is how schedules are written.
    let units = if millis == UNITS[0].0 { &UNITS[1..] } else { &UNITS[..] };
    let mut rest = millis;
    let parts = units.iter().filter_map(|(unit, name)| {
        let number = rest / unit;
        rest %= unit;
        (number > 0).then(|| format!("{number}{name}"))
    });
    let words: String = parts.take(2).collect();
    if words.is_empty() { "0s".to_owned() } else { words }
}

/// `628ms`, `6.6s`: what was measured.
pub(crate) fn elapsed(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{}ms", duration.as_millis())
    } else {
        format!("{:.1}s", duration.as_secs_f64())
    }
}

/// `412 B`, `64 KiB`: whole kibibytes where it comes out even, bytes otherwise.
pub(crate) fn bytes(size: usize) -> String {
    if size >= 1024 && size.is_multiple_of(1024) { format!("{} KiB", size / 1024) } else { format!("{size} B") }
}

/// `1 event`, `3 events`.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// `12:30:01.250`, UTC.
pub(crate) fn clock_time(at: Timestamp) -> String {
    let time = OffsetDateTime::from(at).time();
    format!("{:02}:{:02}:{:02}.{:03}", time.hour(), time.minute(), time.second(), time.millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_brief() {
        let cases = [(0, "0s"), (1, "1ms"), (600, "600ms"), (6_000, "6s"), (90_000, "1m30s"), (7_200_000, "2h")];
        let days = [(86_400_000, "24h"), (432_000_000, "5d"), (90_061_001, "1d1h")];
        for (millis, words) in cases.into_iter().chain(days) {
            assert_eq!(brief(Duration::from_millis(millis)), words);
        }
    }

    #[test]
    fn sizes_counts_and_times_are_readable() {
        assert_eq!((bytes(412), bytes(65_536), bytes(20_000)), ("412 B".into(), "64 KiB".into(), "20000 B".into()));
        assert_eq!((count(1, "event"), count(0, "event")), ("1 event".to_owned(), "0 events".to_owned()));
        assert_eq!([628, 6_632].map(|millis| elapsed(Duration::from_millis(millis))), ["628ms", "6.6s"]);
        assert_eq!(clock_time(Timestamp::from_micros(1_700_000_000_250_000)), "22:13:20.250");
    }
}
