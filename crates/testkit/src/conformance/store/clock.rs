//! A clock that every run reads alike.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use whimbrel_core::Timestamp;
use whimbrel_core::port::Clock;

/// Begins on 2026-01-15 at noon, UTC, and moves on by one millisecond whenever it is read, so that ids made
/// one after the other are in order. Its randomness is a sequence.
#[derive(Debug)]
pub struct TestClock {
    micros: AtomicI64,
    drawn: AtomicU64,
}

impl Default for TestClock {
    fn default() -> Self {
        Self { micros: AtomicI64::new(1_768_478_400_000_000), drawn: AtomicU64::new(1) }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.fetch_add(1_000, Ordering::SeqCst))
    }

    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = scramble(self.drawn.fetch_add(1, Ordering::SeqCst)).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// SplitMix64's last step: distinct numbers give distinct, evenly spread words.
fn scramble(number: u64) -> u64 {
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
