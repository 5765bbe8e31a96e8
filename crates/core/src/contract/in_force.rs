//! The contracts of a running process, which a reload may replace.

use std::sync::{Arc, PoisonError, RwLock};

use super::ContractSet;

/// The contracts in force. Clones are the same: whoever holds one sees the set of the last reload.
///
/// Ask once for a batch and keep the answer for its whole length, so that one batch goes by one set.
#[derive(Debug, Clone)]
pub struct Contracts(Arc<RwLock<Arc<ContractSet>>>);

impl Contracts {
    /// With these to begin with.
    pub fn new(set: impl Into<Arc<ContractSet>>) -> Self {
        Self(Arc::new(RwLock::new(set.into())))
    }

    /// The set in force now.
    pub fn current(&self) -> Arc<ContractSet> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another set in force.
    pub fn replace(&self, set: impl Into<Arc<ContractSet>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = set.into();
    }
}

impl From<Arc<ContractSet>> for Contracts {
    fn from(set: Arc<ContractSet>) -> Self {
        Self::new(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_26_every_clone_sees_the_set_of_the_last_reload() {
        let contracts = Contracts::new(ContractSet::default());
        let (clone, before) = (contracts.clone(), contracts.current());
        contracts.replace(ContractSet::built_in());
        assert_eq!(clone.current().iter().count(), 4);
        assert_eq!(before.iter().count(), 0, "a batch goes on with the set it began with");
    }
}
