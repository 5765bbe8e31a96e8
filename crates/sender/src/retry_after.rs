//! `Retry-After`, in both of its forms.

use std::time::{Duration, SystemTime};

use whimbrel_core::Timestamp;

/// What is asked beyond this is taken for this. Contracts cap it lower still; a schedule has no longer delay.
pub(crate) const ASKED_MAX: Duration = Duration::from_hours(7 * 24);

/// How long a receiver that answered at `now` asks to be left alone: so many seconds, or until an HTTP date, zero when
/// that has passed. `None` for anything else; at most [`ASKED_MAX`].
pub(crate) fn parse(value: &[u8], now: Timestamp) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let asked = seconds(text).or_else(|| until(text, now))?;
    Some(asked.min(ASKED_MAX))
}

/// Digits and nothing else; more of them than a number holds are merely absurd.
fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().map_or(Duration::MAX, Duration::from_secs))
}

fn until(text: &str, now: Timestamp) -> Option<Duration> {
    let at = httpdate::parse_http_date(text).ok()?;
    let secs = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    Some(Timestamp::from_secs(i64::try_from(secs).unwrap_or(i64::MAX)).since(now))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tue, 15 Nov 1994 12:45:26 GMT.
    const NOW: Timestamp = Timestamp::from_secs(784_903_526);

    fn secs(text: &str) -> Option<u64> {
        parse(text.as_bytes(), NOW).map(|asked| asked.as_secs())
    }

    #[test]
    fn seconds_are_digits() {
        assert_eq!(["0", "1", " 120 ", "007"].map(secs), [Some(0), Some(1), Some(120), Some(7)]);
        assert_eq!(["", " ", "+5", "-5", "1.5", "5s", "soon", "٣", "0x10"].map(secs), [None; 9]);
    }

    #[test]
    fn dates_come_in_three_notations() {
        for date in ["Tue, 15 Nov 1994 12:46:26 GMT", "Tuesday, 15-Nov-94 12:46:26 GMT", "Tue Nov 15 12:46:26 1994"] {
            assert_eq!(secs(date), Some(60), "{date}");
        }
        assert_eq!(secs("Tue, 15 Nov 1994 12:46:26 CET"), None);
    }

    #[test]
    fn a_date_in_the_past_asks_for_nothing() {
        let past = ["Tue, 15 Nov 1994 12:45:26 GMT", "Tue, 15 Nov 1994 12:45:25 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"];
        assert_eq!(past.map(secs), [Some(0); 3]);
    }

    #[test]
    fn absurd_values_are_bounded() {
        let most = Some(ASKED_MAX.as_secs());
        let nines = "9".repeat(400);
        let absurd =
            ["604801", "18446744073709551615", "18446744073709551616", &nines, "Fri, 31 Dec 9999 23:59:59 GMT"];
        assert_eq!(absurd.map(secs), [most; 5]);
    }

    #[test]
    fn a_date_is_not_shortened_by_the_part_of_a_second_that_has_passed() {
        let half = Timestamp::from_micros(NOW.as_micros() + 500_000);
        let asked = parse(b"Tue, 15 Nov 1994 12:45:28 GMT", half);
        assert_eq!(asked, Some(Duration::from_millis(1_500)));
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_panics_and_the_bound_holds(value: Vec<u8>, now: i64) {
            let asked = parse(&value, Timestamp::from_micros(now));
            prop_assert!(asked.is_none_or(|asked| asked <= ASKED_MAX));
        }

        #[test]
        fn every_number_of_seconds_up_to_the_bound_is_taken_as_it_is(secs in 0..=ASKED_MAX.as_secs(), now: i64) {
            let asked = parse(secs.to_string().as_bytes(), Timestamp::from_micros(now));
            prop_assert_eq!(asked, Some(Duration::from_secs(secs)));
        }

        #[test]
        fn every_date_is_waited_for(ahead in 0..=ASKED_MAX.as_secs(), now in 0_u32..=4_000_000_000) {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(now) + ahead);
            let asked = parse(httpdate::fmt_http_date(at).as_bytes(), Timestamp::from_secs(i64::from(now)));
            prop_assert_eq!(asked, Some(Duration::from_secs(ahead)));
        }
    }
}
