//! Time and randomness as a port, so that tests decide both.

use crate::time::Timestamp;

/// Where time and randomness come from.
pub trait Clock: Send + Sync + 'static {
    /// Now, UTC.
    fn now(&self) -> Timestamp;

    /// Fills `bytes` from a cryptographic source.
    fn fill(&self, bytes: &mut [u8]);

    /// Ten random bytes, as an id needs.
    fn random10(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.fill(&mut bytes);
        bytes
    }

    /// A number in `0.0..1.0`.
    fn fraction(&self) -> f64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// The machine's clock, and randomness that a generator in each thread stretches from the operating system's: a delivery
/// needs several ids, and asking the system for each costs a call. The one place that reads them.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the ambient clock is read here and nowhere else")]
    fn now(&self) -> Timestamp {
        time::OffsetDateTime::now_utc().into()
    }

    #[expect(clippy::disallowed_methods, reason = "ambient randomness is drawn here and nowhere else")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}
