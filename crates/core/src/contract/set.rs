//! The loaded contracts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Contract, ContractError, ContractName, samples};

/// Contracts by name.
#[derive(Debug, Clone)]
pub struct ContractSet(BTreeMap<ContractName, Arc<Contract>>);

const BUILT_IN: [(&str, &str); 4] = [
    ("bitbybit.toml", include_str!("../../../../proto/contracts/bitbybit.toml")),
    ("eightbit.toml", include_str!("../../../../proto/contracts/eightbit.toml")),
    ("generic.toml", include_str!("../../../../proto/contracts/generic.toml")),
    ("standard.toml", include_str!("../../../../proto/contracts/standard.toml")),
];

impl ContractSet {
    /// The four that come with Whimbrel.
    pub fn built_in() -> Self {
        Self::load(std::iter::empty::<(&str, &str)>()).expect("a test parses the built-in contracts")
    }

    /// The built-in ones, and a deployment's own files (name and text), which may replace them.
    pub fn load<N: AsRef<str>, T: AsRef<str>>(own: impl IntoIterator<Item = (N, T)>) -> Result<Self, ContractError> {
        let mut contracts = BTreeMap::new();
        for (file, text) in BUILT_IN {
            let mut contract = Contract::parse(file, text)?;
            samples::fill(contract.name.as_str(), &mut contract.catalogue);
            contracts.insert(contract.name().clone(), Arc::new(contract));
        }
        for (file, text) in own {
            let contract = Contract::parse(file.as_ref(), text.as_ref())?;
            contracts.insert(contract.name().clone(), Arc::new(contract));
        }
        Ok(Self(contracts))
    }

    /// Every retry delay of every contract multiplied.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self(self.0.into_iter().map(|(name, contract)| (name, Arc::new(Arc::unwrap_or_clone(contract).scaled(factor)))).collect())
    }

    /// One contract.
    pub fn get(&self, name: &ContractName) -> Option<&Arc<Contract>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Contract>> {
        self.0.values()
    }

    /// Every retry delay there is, shortest first.
    pub fn distinct_delays(&self) -> Vec<Duration> {
        let mut delays: Vec<Duration> = self.iter().flat_map(|contract| contract.delays().iter().copied()).collect();
        delays.sort_unstable();
        delays.dedup();
        delays
    }
}
