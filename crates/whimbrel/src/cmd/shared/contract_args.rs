//! The contracts that a command without a server knows.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use whimbrel_core::contract::{Contract, ContractName, ContractSet};

use crate::config::Config;

/// Where contracts come from, besides the built-in ones.
#[derive(Debug, Default, Args)]
pub(crate) struct ContractsDirArgs {
    /// TOML files that add contracts to the built-in ones, or replace them.
    #[arg(long, env = "WHIMBREL_CONTRACTS_DIR", value_name = "DIR")]
    contracts_dir: Option<PathBuf>,
}

impl ContractsDirArgs {
    /// The built-in contracts and the directory's.
    ///
    /// # Errors
    /// When the directory cannot be read or holds a contract that does not hold.
    pub(crate) fn load(&self) -> anyhow::Result<ContractSet> {
        crate::engine::contracts(&Config { contracts_dir: self.contracts_dir.clone(), ..Config::default() })
    }
}

/// The contract of this name.
///
/// # Errors
/// When there is none; the message names those there are.
pub(crate) fn named(contracts: &ContractSet, name: &str) -> anyhow::Result<Arc<Contract>> {
    let found = name.parse::<ContractName>().ok().and_then(|name| contracts.get(&name).cloned());
    found.ok_or_else(|| {
        let names: Vec<&str> = contracts.iter().map(|contract| contract.name().as_str()).collect();
        anyhow!("there is no contract `{name}`; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let contracts = ContractSet::built_in();
        assert_eq!(named(&contracts, "generic").expect("built in").name().as_str(), "generic");
        let error = named(&contracts, "Generic").expect_err("names are lower case").to_string();
        assert_eq!(error, "there is no contract `Generic`; there are bitbybit, eightbit, generic, standard");
    }
}
