//! What happens while two secrets are in force.

use std::time::Duration;

use serde::Deserialize;

use super::check::{Invalid, duration, header_name};

const OVERLAP_MAX: Duration = Duration::from_hours(30 * 24);

/// What happens while two secrets are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    old: OldSignature,
    overlap: Duration,
}

/// Where the old secret's signature stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OldSignature {
    /// In the signature header, as a further item after the new one.
    SameHeader,
    /// In a header of this name.
    Header(String),
}

impl Rotation {
    /// Where the old secret's signature stands.
    pub fn old(&self) -> &OldSignature {
        &self.old
    }

    /// How long the old secret signs too, unless the caller says otherwise.
    pub fn overlap(&self) -> Duration {
        self.overlap
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRotation {
    old_signature: OldSignature,
    overlap: String,
}

impl RawRotation {
    pub(super) fn check(self) -> Result<Rotation, Invalid> {
        let old = match self.old_signature {
            OldSignature::SameHeader => OldSignature::SameHeader,
            OldSignature::Header(name) => OldSignature::Header(header_name("rotation.old_signature.header", name)?),
        };
        Ok(Rotation { old, overlap: duration("rotation.overlap", &self.overlap, OVERLAP_MAX)? })
    }
}
