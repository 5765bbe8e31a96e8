//! `JSON.stringify(JSON.parse(x))` without a JavaScript engine.

use super::{number, text};

/// Data nested deeper stays as published.
const DEPTH_MAX: u32 = 128;

/// What ECMAScript prints for valid JSON; `None` where it would not give back what was published.
pub(super) fn compact(json: &str) -> Option<Vec<u8>> {
    let mut printer = Printer { json, at: 0, out: Vec::with_capacity(json.len()) };
    printer.value(DEPTH_MAX)?;
    Some(printer.out)
}

struct Printer<'a> {
    json: &'a str,
    at: usize,
    out: Vec<u8>,
}

impl Printer<'_> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> u8 {
        let rest = &self.json.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.json.as_bytes()[self.at]
    }

    /// Copies the byte that [`Self::peek`] showed.
    fn copy(&mut self, byte: u8) {
        self.out.push(byte);
        self.at += 1;
    }

    fn value(&mut self, depth: u32) -> Option<()> {
        match self.peek() {
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b'-' | b'0'..=b'9' => self.number(),
            first => {
                match first {
                    b'"' => self.string(),
                    b't' => self.word("true"),
                    b'f' => self.word("false"),
                    _ => self.word("null"),
                }
                Some(())
            }
        }
    }

    fn string(&mut self) {
        self.at += text::reprint(&self.json.as_bytes()[self.at..], &mut self.out);
    }

    fn word(&mut self, word: &str) {
        self.out.extend_from_slice(word.as_bytes());
        self.at += word.len();
    }

    fn number(&mut self) -> Option<()> {
        let rest = &self.json[self.at..];
        let end =
            rest.find(|letter: char| !matches!(letter, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        self.at += end;
        number::reprint(&rest[..end], &mut self.out)
    }

    fn array(&mut self, depth: u32) -> Option<()> {
        self.copy(b'[');
        while self.peek() != b']' {
            if self.peek() == b',' {
                self.copy(b',');
            }
            self.value(depth)?;
        }
        self.copy(b']');
        Some(())
    }

    fn object(&mut self, depth: u32) -> Option<()> {
        let mut keys = Vec::new();
        self.copy(b'{');
        while self.peek() != b'}' {
            if self.peek() == b',' {
                self.copy(b',');
            }
            self.peek();
            let start = self.out.len();
            self.string();
            keys.push(start + 1..self.out.len() - 1);
            self.peek();
            self.copy(b':');
            self.value(depth)?;
        }
        self.copy(b'}');
        let keys = keys.into_iter().map(|range| &self.out[range]).collect();
        keeps_keys(keys).then_some(())
    }
}

/// Whether an ECMAScript object has these keys, each once and in this order: it puts integer-like ones
/// first, ascending, and of duplicates only the last value is left.
fn keeps_keys(mut keys: Vec<&[u8]>) -> bool {
    let order = |key: &[u8]| array_index(key).map_or(u64::MAX, u64::from);
    let ordered = keys.is_sorted_by_key(|key| order(key));
    keys.sort_unstable();
    ordered && keys.windows(2).all(|pair| pair[0] != pair[1])
}

/// An array index in ECMAScript's sense: the canonical decimal form of 0 to 2^32 − 2.
fn array_index(key: &[u8]) -> Option<u32> {
    let canonical = key == b"0" || (key.first()? != &b'0' && key.iter().all(u8::is_ascii_digit));
    let index = std::str::from_utf8(key).ok().filter(|_| canonical)?.parse().ok()?;
    (index != u32::MAX).then_some(index)
}
