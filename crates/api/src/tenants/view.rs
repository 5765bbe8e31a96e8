//! A tenant as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::contract::ContractName;
use whimbrel_core::tenant::Tenant;

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
    /// The limits that its contract sets.
    limits: Limits,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// What a contract limits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Limits {
    /// Webhooks at most; null when there is no limit.
    webhooks: Option<u32>,
    /// Bytes of a rendered payload at most.
    payload_bytes: usize,
}

impl TenantView {
    /// Shows a tenant; the limits are empty when its contract is not loaded here.
    pub(crate) fn new(state: &ApiState, tenant: Tenant) -> Self {
        let contract = state.contracts.get(&tenant.contract);
        Self {
            id: tenant.id.to_string(),
            name: tenant.name,
            contract: tenant.contract.to_string(),
            limits: Limits {
                webhooks: contract.and_then(|contract| contract.limits().endpoints),
                payload_bytes: contract.map_or(0, |contract| contract.limits().payload_bytes),
            },
            created_at: text::whole_seconds(tenant.created_at),
        }
    }
}

/// The contract of this name, or 422 with the names there are.
pub(crate) fn known_contract(state: &ApiState, text: &str) -> Answer<ContractName> {
    let known = text.parse::<ContractName>().ok().filter(|name| state.contracts.get(name).is_some());
    known.ok_or_else(|| {
        let names: Vec<String> = state.contracts.iter().map(|contract| contract.name().to_string()).collect();
        Problem::invalid_field("/contract", format!("there is no contract `{text}`; there are {}", names.join(", ")))
    })
}
