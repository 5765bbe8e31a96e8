//! Where messages lie: one stretch of ids per queue.

use whimbrel_core::Timestamp;
use whimbrel_core::port::{Lane, Source};
use whimbrel_core::tier::Tier;

/// What has a stretch of its own and can be consumed, in the order of its numbers.
pub(crate) const KEPT: [Source; 6] = [
    Source::Events,
    Source::Jobs(Lane::Live),
    Source::Jobs(Lane::Slow),
    Source::Jobs(Lane::Bulk),
    Source::Outcomes,
    Source::Parking,
];

/// The index of the stretch of delayed messages, after those of [`KEPT`].
pub(crate) const DELAYED: usize = KEPT.len();

/// Bits of an id below the queue's number.
const RISING_BITS: u32 = 48;

/// The index in [`KEPT`]; `None` for notices, which nothing keeps.
pub(crate) fn index(source: Source) -> Option<usize> {
    KEPT.iter().position(|kept| *kept == source)
}

/// The lowest and the highest id of a stretch.
pub(crate) fn ends(index: usize) -> (i64, i64) {
    let number = i64::try_from(index).unwrap_or(0) + 1;
    (number << RISING_BITS, ((number + 1) << RISING_BITS) - 1)
}

/// The index of the stretch that an id lies in.
pub(crate) fn index_of_id(id: i64) -> Option<usize> {
    usize::try_from((id >> RISING_BITS) - 1).ok().filter(|index| *index <= DELAYED)
}

/// The lane with this word.
pub(crate) fn lane(word: &str) -> Option<Lane> {
    Lane::ALL.into_iter().find(|lane| lane.as_str() == word)
}

/// Where a new message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// To whoever consumes the source at this index of [`KEPT`].
    Ready(usize),
    /// Into a lane, later.
    Delayed {
        /// The delay.
        tier: Tier,
        /// The lane it comes out in.
        lane: Lane,
        /// When.
        due_at: Timestamp,
    },
}

impl Place {
    /// The index of the stretch.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Ready(index) => index,
            Self::Delayed { .. } => DELAYED,
        }
    }
}

/// Gives out ids, rising within each stretch. One that was given for a commit that failed stays unused.
#[derive(Debug, Clone)]
pub(crate) struct Ids([i64; DELAYED + 1]);

impl Ids {
    /// With nothing given out yet.
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|index| (i64::try_from(index).unwrap_or(0) + 1) << RISING_BITS))
    }

    /// Passes over an id that is in use, and all below it.
    pub(crate) fn pass(&mut self, index: usize, id: i64) {
        self.0[index] = self.0[index].max(id);
    }

    /// The next id of a stretch.
    pub(crate) fn next(&mut self, index: usize) -> i64 {
        self.0[index] += 1;
        self.0[index]
    }
}
