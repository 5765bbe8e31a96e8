//! What could not be processed, as people and the redrive see it.

use async_trait::async_trait;

use super::QueueError;
use crate::parking::{Parked, Selection};

/// What is to become of a parked message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedFate {
    /// It stays.
    Keep,
    /// It goes back to where it came from.
    Redrive,
    /// It is thrown away.
    Discard,
    /// It stays, and nothing behind it is looked at.
    Stop,
}

/// Decides over one parked message after the other.
pub type Look<'l> = &'l mut (dyn FnMut(&Parked) -> ParkedFate + Send);

/// What a walk did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walk {
    /// Messages looked at.
    pub seen: u64,
    /// Messages that went back.
    pub redriven: u64,
    /// Messages thrown away.
    pub discarded: u64,
    /// Messages that were to go back, but nothing says where to.
    pub stuck: u64,
    /// Whether there are more, which were not looked at.
    pub more: bool,
}

/// Why parked messages could not be looked at.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ParkingError {
    /// The engine's user lacks the right.
    #[error("{0}")]
    Denied(String),
    /// As of any queue. Some messages may have been dealt with.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Parking, and on a broker also what was unroutable. Its messages lie in the order in which they came.
#[async_trait]
pub trait Parking: Send + Sync + 'static {
    /// Looks at what is parked when it is called, oldest first, and does with each message what `look` says: at most
    /// [`WALK_MAX`] messages. What goes back is confirmed before it is gone from parking; after a crash between the
    /// two it is in both places.
    async fn walk(&self, look: Look<'_>) -> Result<Walk, ParkingError>;
}

/// Messages that one walk looks at: so many are held back from others meanwhile.
pub const WALK_MAX: u64 = 10_000;

impl dyn Parking {
    /// The first ones that are meant, at most `most` of them; `more` in the answer when there are others.
    pub async fn list(&self, meant: &Selection, most: usize) -> Result<(Vec<Parked>, Walk), ParkingError> {
        let mut found = Vec::new();
        let mut look = |parked: &Parked| {
            if !meant.matches(parked) {
                return ParkedFate::Keep;
            }
            if found.len() == most {
                return ParkedFate::Stop;
            }
            found.push(parked.clone());
            ParkedFate::Keep
        };
        let walk = self.walk(&mut look).await?;
        Ok((found, walk))
    }

    /// Does the same with all that are meant, at most `most` of them.
    pub async fn settle(&self, meant: &Selection, fate: ParkedFate, most: usize) -> Result<Walk, ParkingError> {
        let mut left = most;
        self.walk(&mut |parked| match meant.matches(parked) {
            true if left == 0 => ParkedFate::Stop,
            true => {
                left -= 1;
                fate
            }
            false => ParkedFate::Keep,
        })
        .await
    }
}
