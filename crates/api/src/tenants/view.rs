//! A tenant as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::contract::{Contract, ContractName};
use whimbrel_core::tenant::Tenant;

use super::limits::Limits;
use crate::problem::{Answer, Problem};
use crate::state::ApiState;
use crate::text;

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantView {
    /// The caller's own id.
    #[schema(example = "acme", pattern = "^[a-z0-9_-]{1,64}$")]
    id: String,
    /// A name for people.
    name: Option<String>,
    /// The wire contract that its receivers see.
    #[schema(example = "standard")]
    contract: String,
    /// What it may have and send: the smaller of its own limits and its contract's.
    limits: Limits,
    /// While payloads are being erased: those of all events accepted before this.
    #[schema(format = DateTime)]
    erasing_before: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl TenantView {
    /// Shows a tenant.
    pub(crate) fn new(state: &ApiState, tenant: Tenant) -> Self {
        let contract = state.contracts.get(&tenant.contract);
        Self {
            id: tenant.id.to_string(),
            name: tenant.name,
            contract: tenant.contract.to_string(),
            limits: Limits::of(contract.map(AsRef::as_ref), &tenant.limits),
            erasing_before: tenant.erasing_before.map(|before| before.to_string()),
            created_at: text::whole_seconds(tenant.created_at),
        }
    }
}

/// The contract of this name, or 422 with the names there are.
pub(crate) fn known_contract<'a>(state: &'a ApiState, text: &str) -> Answer<&'a Contract> {
    let known = text.parse::<ContractName>().ok().and_then(|name| state.contracts.get(&name));
    known.map(AsRef::as_ref).ok_or_else(|| {
        let names: Vec<String> = state.contracts.iter().map(|contract| contract.name().to_string()).collect();
        Problem::invalid_field("/contract", format!("there is no contract `{text}`; there are {}", names.join(", ")))
    })
}
