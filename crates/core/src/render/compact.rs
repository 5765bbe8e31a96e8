//! `JSON.stringify(JSON.parse(text))` without a JavaScript engine: no white space, the keys' order kept,
//! strings and numbers as ECMAScript prints them.

use std::collections::HashSet;

/// Deeper data is left as it was published.
const DEPTH_MAX: usize = 128;

/// The compact form of a valid JSON text; `None` when JavaScript would not give the same values back:
/// integers it cannot hold, numbers that overflow, keys that stand twice, or integer-like keys that are
/// not in front and ascending (JavaScript puts them there).
pub fn compact(json: &str) -> Option<String> {
    let mut writer = Writer { input: json.as_bytes(), at: 0, out: String::with_capacity(json.len()) };
    writer.value(0)?;
    writer.space();
    (writer.at == writer.input.len()).then_some(writer.out)
}

struct Writer<'a> {
    input: &'a [u8],
    at: usize,
    out: String,
}

impl Writer<'_> {
    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.space();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.space();
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => {
                let units = self.string()?;
                print(&units, &mut self.out);
                Some(())
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.at += word.len();
        self.out.push_str(word);
        Some(())
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.take(b'[')?;
        self.out.push('[');
        self.space();
        if self.peek()? != b']' {
            loop {
                self.value(depth + 1)?;
                if self.take(b',').is_none() {
                    break;
                }
                self.out.push(',');
            }
        }
        self.take(b']')?;
        self.out.push(']');
        Some(())
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.take(b'{')?;
        self.out.push('{');
        let mut keys = Keys::default();
        self.space();
        if self.peek()? != b'}' {
            loop {
                self.space();
                let key = self.string()?;
                print(&key, &mut self.out);
                keys.add(key)?;
                self.take(b':')?;
                self.out.push(':');
                self.value(depth + 1)?;
                if self.take(b',').is_none() {
                    break;
                }
                self.out.push(',');
            }
        }
        self.take(b'}')?;
        self.out.push('}');
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.input[start..self.at]).ok()?;
        let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
        let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if is_integer && !held_exactly(text, value) {
            return None;
        }
        // JavaScript prints minus zero as 0.
        self.out.push_str(ryu_js::Buffer::new().format(if value == 0.0 { 0.0 } else { value }));
        Some(())
    }

    /// The string's UTF-16 code units: JavaScript's strings are these, lone surrogates included.
    fn string(&mut self) -> Option<Vec<u16>> {
        self.take(b'"')?;
        let mut units = Vec::new();
        loop {
            let start = self.at;
            while !matches!(self.peek()?, b'"' | b'\\') {
                self.at += 1;
            }
            units.extend(std::str::from_utf8(&self.input[start..self.at]).ok()?.encode_utf16());
            self.at += 1;
            if self.input[self.at - 1] == b'"' {
                return Some(units);
            }
            units.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Option<u16> {
        let letter = self.peek()?;
        self.at += 1;
        Some(match letter {
            b'b' => 0x08,
            b't' => 0x09,
            b'n' => 0x0a,
            b'f' => 0x0c,
            b'r' => 0x0d,
            b'u' => {
                let digits = std::str::from_utf8(self.input.get(self.at..self.at + 4)?).ok()?;
                self.at += 4;
                u16::from_str_radix(digits, 16).ok()?
            }
            other => u16::from(other),
        })
    }
}

/// Whether a double holds the integer that stands there.
fn held_exactly(text: &str, value: f64) -> bool {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    value.abs() <= EXACT_MAX && (value.abs() < EXACT_MAX || text.trim_start_matches('-') == "9007199254740992")
}

/// The keys of one object so far.
#[derive(Default)]
struct Keys {
    seen: HashSet<Vec<u16>>,
    last_index: Option<u32>,
    has_names: bool,
}

impl Keys {
    fn add(&mut self, key: Vec<u16>) -> Option<()> {
        match index(&key) {
            Some(index) if self.has_names || self.last_index.is_some_and(|last| last >= index) => return None,
            Some(index) => self.last_index = Some(index),
            None => self.has_names = true,
        }
        // `__proto__` is an ordinary key to JSON.parse.
        self.seen.insert(key).then_some(())
    }
}

/// An array index in ECMAScript's sense: 0 to 2^32 − 2, written without leading zeros.
fn index(key: &[u16]) -> Option<u32> {
    let text = String::from_utf16(key).ok()?;
    let digits = !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten().filter(|index| *index != u32::MAX)
}

/// As ECMAScript's QuoteJSONString.
fn print(units: &[u16], out: &mut String) {
    out.push('"');
    for decoded in char::decode_utf16(units.iter().copied()) {
        match decoded {
            Ok('"') => out.push_str("\\\""),
            Ok('\\') => out.push_str("\\\\"),
            Ok('\u{8}') => out.push_str("\\b"),
            Ok('\t') => out.push_str("\\t"),
            Ok('\n') => out.push_str("\\n"),
            Ok('\u{c}') => out.push_str("\\f"),
            Ok('\r') => out.push_str("\\r"),
            Ok(control) if control < ' ' => escape_unit(u32::from(control), out),
            Ok(other) => out.push(other),
            Err(lone) => escape_unit(u32::from(lone.unpaired_surrogate()), out),
        }
    }
    out.push('"');
}

fn escape_unit(unit: u32, out: &mut String) {
    use std::fmt::Write as _;
    write!(out, "\\u{unit:04x}").expect("a String takes what is written");
}
