//! Bytes as base64 text, for `#[serde(with = "base64")]`.

use std::borrow::Cow;

use data_encoding::BASE64;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<T: AsRef<[u8]>, S: Serializer>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes.as_ref()))
}

pub(super) fn deserialize<'de, T: TryFrom<Vec<u8>>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    let bytes = BASE64.decode(text.as_bytes()).map_err(|error| D::Error::custom(format!("not base64: {error}")))?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| D::Error::custom(format!("{length} bytes are not what belongs here")))
}
