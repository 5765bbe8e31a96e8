//! Strings as ECMAScript's `JSON.stringify` prints them.

/// Prints a string with its quotes.
pub(super) fn write(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    text.chars().for_each(|letter| push(letter, out));
    out.push(b'"');
}

/// Prints a JSON string literal anew: `json` begins with its opening quote and is valid JSON. Returns
/// how many bytes the literal has.
pub(super) fn reprint(json: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(b'"');
    let mut at = 1;
    loop {
        let plain = json[at..].iter().take_while(|byte| !matches!(byte, b'"' | b'\\')).count();
        out.extend_from_slice(&json[at..at + plain]);
        at += plain;
        if json[at] == b'"' {
            out.push(b'"');
            return at + 1;
        }
        at += escape(&json[at..], out);
    }
}

/// Prints one escape sequence anew; returns how many bytes it has.
fn escape(json: &[u8], out: &mut Vec<u8>) -> usize {
    let letter = match json[1] {
        b'u' => return unicode(json, out),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        other => char::from(other),
    };
    push(letter, out);
    2
}

/// `\uXXXX`, or two of them that form a surrogate pair. A lone surrogate stays an escape.
fn unicode(json: &[u8], out: &mut Vec<u8>) -> usize {
    let high = unit(json);
    let low = if json[6..].starts_with(b"\\u") { Some(unit(&json[6..])) } else { None };
    if let Some(Ok(letter)) = low.and_then(|low| char::decode_utf16([high, low]).next())
        && letter.len_utf16() == 2
    {
        push(letter, out);
        return 12;
    }
    match char::from_u32(u32::from(high)) {
        Some(letter) => push(letter, out),
        None => push_unit(high, out),
    }
    6
}

/// The code unit of the `\uXXXX` at the start.
fn unit(json: &[u8]) -> u16 {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).expect("validated as four hex digits");
    let value = json[2..6].iter().fold(0, |value, byte| value << 4 | digit(byte));
    u16::try_from(value).expect("four hex digits")
}

fn push(letter: char, out: &mut Vec<u8>) {
    match letter {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\0'..='\u{1f}' => push_unit(letter as u16, out),
        _ => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn push_unit(unit: u16, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    out.extend([12, 8, 4, 0].map(|shift| HEX[usize::from(unit >> shift & 15)]));
}
