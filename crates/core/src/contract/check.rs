//! What a contract's file can get wrong, and the checks that several sections share.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What is wrong with a contract's file, e.g. `acme.toml: retry.delays[2]: must be longer than 0`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {field}: {problem}")]
pub struct ContractError {
    /// The file as it was named to the parser.
    pub file: String,
    /// The field, as a path; `line N` where the text is not TOML at all.
    pub field: String,
    /// What must be otherwise.
    pub problem: String,
}

/// A broken invariant, before the file's name is known.
#[derive(Debug)]
pub(super) struct Invalid {
    field: String,
    problem: String,
}

impl Invalid {
    pub(super) fn at(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    pub(super) fn in_file(self, file: &str) -> ContractError {
        ContractError { file: file.to_owned(), field: self.field, problem: self.problem }
    }
}

/// Holds or is refused.
pub(super) fn ensure(holds: bool, field: &str, problem: impl Into<String>) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid::at(field, problem)) }
}

/// A duration such as `30s`, longer than 0 and at most `max`.
pub(super) fn duration(field: &str, text: &str, max: Duration) -> Result<Duration, Invalid> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| Invalid::at(field, format!("`{text}` is not a duration such as 30s, 5m or 2h")))?;
    ensure(!duration.is_zero(), field, "must be longer than 0")?;
    ensure(duration <= max, field, format!("must be at most {}", humantime::format_duration(max)))?;
    Ok(duration)
}

/// A number within bounds.
pub(super) fn within<N: PartialOrd + std::fmt::Display>(
    field: &str,
    value: N,
    bounds: RangeInclusive<N>,
) -> Result<N, Invalid> {
    let holds = bounds.contains(&value);
    ensure(holds, field, format!("must lie between {} and {}", bounds.start(), bounds.end()))?;
    Ok(value)
}

/// One line of printable text.
pub(super) fn line(field: &str, text: String) -> Result<String, Invalid> {
    ensure(!text.trim().is_empty(), field, "must not be empty")?;
    ensure(!text.contains(char::is_control), field, "must be one line without control characters")?;
    Ok(text)
}

/// The headers that HTTP itself sets or that would change how the body is read.
const RESERVED: [&str; 9] = [
    "host",
    "connection",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// A header's name that a contract may set.
pub(super) fn header_name(field: &str, name: String) -> Result<String, Invalid> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    ensure(
        !name.is_empty() && name.len() <= 128 && name.bytes().all(token),
        field,
        format!("`{name}` is not a header name"),
    )?;
    let reserved = RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
    ensure(!reserved, field, format!("`{name}` is set by HTTP itself and cannot be a contract's"))?;
    Ok(name)
}

/// A header's value that can be sent as it stands.
pub(super) fn header_value(field: &str, value: String) -> Result<String, Invalid> {
    let visible = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    ensure(
        !value.is_empty() && visible && value.trim() == value,
        field,
        "must be visible ASCII, neither empty nor padded",
    )?;
    Ok(value)
}
