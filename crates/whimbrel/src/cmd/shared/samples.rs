//! Sample events from the contracts' catalogues.

use whimbrel_core::contract::{Contract, ContractSet};

/// The events that a contract's tenants can try it with: its catalogue's samples or, where an open
/// contract has none, those of the other open contracts.
pub(crate) fn samples<'a>(contracts: &'a ContractSet, contract: &'a Contract) -> Vec<(&'a str, &'a str)> {
    let own = of(contract);
    if !own.is_empty() || contract.catalogue().closed {
        return own;
    }
    contracts.iter().filter(|other| !other.catalogue().closed).flat_map(|other| of(other)).collect()
}

/// The sample data of one type, found in the same places.
pub(crate) fn sample<'a>(contracts: &'a ContractSet, contract: &'a Contract, event_type: &str) -> Option<&'a str> {
    samples(contracts, contract).into_iter().find(|(name, _)| *name == event_type).map(|(_, data)| data)
}

fn of(contract: &Contract) -> Vec<(&str, &str)> {
    contract
        .catalogue()
        .types
        .iter()
        .filter_map(|entry| Some((entry.name.as_str(), entry.example.as_deref()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::named;
    use super::*;

    #[test]
    fn every_built_in_contract_has_events_to_try_it_with() {
        let contracts = ContractSet::built_in();
        for contract in &contracts {
            assert!(!samples(&contracts, contract).is_empty(), "{}", contract.name());
        }
        let standard = named(&contracts, "standard").expect("built in");
        assert!(sample(&contracts, &standard, "user.created").is_some(), "borrowed from another open contract");
        assert!(sample(&contracts, &standard, "customer.created").is_none(), "a closed contract lends nothing");
    }
}
