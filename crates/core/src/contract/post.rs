//! One request: its deadline, where it may go, what is kept of the answer. Success is any 2xx under every
//! contract, and redirects are never followed (rule 5), so neither is a field.

use std::time::Duration;

use serde::Deserialize;

use super::check::{Invalid, duration, within};

const TIMEOUT_MAX: Duration = Duration::from_mins(2);
const RESPONSE_CAPTURE_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Post {
    timeout: Duration,
    https_only: bool,
    response_capture_bytes: usize,
}

impl Post {
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn https_only(&self) -> bool {
        self.https_only
    }

    pub(super) fn response_capture_bytes(&self) -> usize {
        self.response_capture_bytes
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPost {
    timeout: String,
    https_only: bool,
    response_capture_bytes: usize,
}

impl RawPost {
    pub(super) fn check(self) -> Result<Post, Invalid> {
        let field = "delivery.response_capture_bytes";
        Ok(Post {
            timeout: duration("delivery.timeout", &self.timeout, TIMEOUT_MAX)?,
            https_only: self.https_only,
            response_capture_bytes: within(field, self.response_capture_bytes, 0..=RESPONSE_CAPTURE_BYTES_MAX)?,
        })
    }
}
