//! JSON Pointers, RFC 6901, split once so that looking a field up allocates nothing.

use serde_json::Value;

/// A pointer into data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    text: String,
    /// Unescaped.
    tokens: Vec<String>,
}

impl Pointer {
    /// `None` if the text is no JSON Pointer: neither empty nor begun with `/`, or with a `~` that is not
    /// `~0` or `~1`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let tokens = match text.strip_prefix('/') {
            Some(rest) => rest.split('/').map(unescape).collect::<Option<_>>()?,
            None if text.is_empty() => Vec::new(),
            None => return None,
        };
        Some(Self { text: text.to_owned(), tokens })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The value it points at.
    pub(super) fn find<'d>(&self, data: &'d Value) -> Option<&'d Value> {
        self.tokens.iter().try_fold(data, |value, token| match value {
            Value::Object(fields) => fields.get(token),
            Value::Array(items) => items.get(index(token)?),
            _ => None,
        })
    }
}

/// The place of `token` below the place `at`.
pub(super) fn below(at: &str, token: impl std::fmt::Display) -> String {
    format!("{at}/{}", token.to_string().replace('~', "~0").replace('/', "~1"))
}

fn unescape(token: &str) -> Option<String> {
    let mut parts = token.split('~');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (escape, rest) = part.split_at_checked(1)?;
        text.push(match escape {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        text.push_str(rest);
    }
    Some(text)
}

/// An array index: digits without leading zeros. `-`, the place after the last item, is never there.
fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with('0');
    (canonical && token.bytes().all(|byte| byte.is_ascii_digit())).then(|| token.parse().ok())?
}
