//! Numbers as ECMAScript prints them, where it reads them unchanged.

/// From here on not every integer is a double.
const SAFE: f64 = 9_007_199_254_740_992.0;

/// Prints a JSON number as `JSON.stringify` does; `None` where ECMAScript would change its value: an
/// integer, or any number from 2^53 on, that prints as another one, what overflows to infinity, and what
/// vanishes to zero. Fractions below 2^53 are what their nearest double is, to every reader of doubles.
pub(super) fn reprint(json: &str, out: &mut Vec<u8>) -> Option<()> {
    if is_short_integer(json) {
        out.extend_from_slice(json.as_bytes());
        return Some(());
    }
    let value: f64 = json.parse().ok()?;
    let vanishes = value == 0.0 && json.split(['e', 'E']).next()?.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if !value.is_finite() || vanishes {
        return None;
    }
    let mut buffer = ryu_js::Buffer::new();
    let printed = buffer.format_finite(value);
    if value != 0.0 {
        let published = Decimal::parse(json)?;
        let exact = published.exponent >= 0 || value.abs() >= SAFE;
        if exact && published != Decimal::parse(printed)? {
            return None;
        }
    }
    out.extend_from_slice(printed.as_bytes());
    Some(())
}

/// At most 15 digits: exact, and printed as it stands.
fn is_short_integer(json: &str) -> bool {
    let digits = json.strip_prefix('-').unwrap_or(json);
    digits.len() <= 15 && json != "-0" && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// digits × 10^exponent, without zeros at either end; the sign cannot differ.
#[derive(PartialEq, Eq)]
struct Decimal {
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// `None` for zero and for exponents beyond 64 bits.
    fn parse(json: &str) -> Option<Self> {
        let unsigned = json.strip_prefix('-').unwrap_or(json);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let first = all.iter().position(|digit| *digit != b'0')?;
        let last = all.iter().rposition(|digit| *digit != b'0')?;
        let trailing = i64::try_from(all.len() - 1 - last).ok()?;
        let exponent = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        Some(Self { digits: all[first..=last].to_vec(), exponent: exponent.checked_add(trailing)? })
    }
}
