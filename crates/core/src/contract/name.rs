//! A contract's name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A contract's name: 1–64 of `a-z 0-9 _ -`. Cheap to clone: it rides in every job.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContractName(Arc<str>);

/// Why a text is not a contract's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a contract name: 1 to 64 characters of a-z, 0-9, _ and -")]
pub struct ContractNameError(String);

impl ContractName {
    /// Checks the form.
    pub fn try_new(text: &str) -> Result<Self, ContractNameError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(ContractNameError(text.chars().take(80).collect()));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContractName {
    type Err = ContractNameError;

    fn from_str(text: &str) -> Result<Self, ContractNameError> {
        Self::try_new(text)
    }
}

impl fmt::Display for ContractName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ContractName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ContractName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ContractName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::try_new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_checked() {
        assert!(ContractName::try_new("acme_v2-eu").is_ok());
        for text in ["", "Acme", "a.b", "../x", "é", &"a".repeat(65)] {
            assert!(ContractName::try_new(text).is_err(), "{text}");
        }
    }
}
