//! `whimbrel contracts list`.

use comfy_table::{ContentArrangement, Table, presets};
use whimbrel_core::contract::{Contract, ContractSet};

use super::describe;
use crate::cmd::shared::brief;

/// One row a contract.
pub(super) fn table(contracts: &ContractSet) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["NAME", "TIMEOUT", "DELAYS BEFORE RETRIES", "SUSPENSION", "LIMITS", "HTTPS", "EVENT TYPES"]);
    table.add_rows(contracts.iter().map(|contract| row(contract)));
    table
}

fn row(contract: &Contract) -> [String; 7] {
    let catalogue = contract.catalogue();
    let open = if catalogue.closed { "closed" } else { "open" };
    [
        contract.name().to_string(),
        brief(contract.timeout()),
        describe::delays(contract.retry()),
        describe::suspension(contract.suspension()),
        describe::limits(contract.limits()),
        if contract.https_only() { "required" } else { "optional" }.to_owned(),
        format!("{}, {open}", catalogue.types.len()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_has_its_row() {
        let mut table = table(&ContractSet::built_in());
        let text = table.set_content_arrangement(ContentArrangement::Disabled).to_string();
        for name in ["bitbybit", "eightbit", "generic", "standard"] {
            assert_eq!(text.lines().filter(|line| line.trim_start().starts_with(name)).count(), 1, "{text}");
        }
        assert!(text.contains("30s 5m 30m 2h"), "{text}");
    }
}
