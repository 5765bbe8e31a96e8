//! `PATCH /v1/tenants/{id}`

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use whimbrel_core::TenantId;
use whimbrel_core::tenant::{Tenant, TenantLimits};

use super::TAG;
use super::limits::LimitsChange;
use super::read::{existing, unknown};
use super::view::{TenantView, known_contract};
use crate::auth::Admin;
use crate::extract::{ApiJson, Id, nullable};
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::{ApiState, SharedState};
use crate::text;

/// What to change; fields left out stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateTenant {
    /// A name for people; null removes it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, max_length = 256)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    name: Option<Option<String>>,
    /// Another contract, as long as the tenant has no webhook.
    contract: Option<String>,
    /// What it may have and send; null leaves all of it to the contract.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<LimitsChange>)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    limits: Option<Option<LimitsChange>>,
}

/// Change a tenant
///
/// The contract can change only while the tenant has no webhook.
#[utoipa::path(
    patch,
    path = "/v1/tenants/{id}",
    tag = TAG,
    params(("id" = String, Path, description = "The tenant's id")),
    request_body = UpdateTenant,
    responses(
        (status = 200, description = "The tenant as it is now", body = TenantView),
        (status = 404, description = "No such tenant", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "It has webhooks, so its contract is fixed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn update_tenant(
    State(state): State<SharedState>,
    admin: Admin,
    Id(id): Id<TenantId>,
    ApiJson(body): ApiJson<UpdateTenant>,
) -> Answer<Json<TenantView>> {
    admin.about(&id);
    let mut tenant = existing(&state, &id).await?;
    if let Some(name) = body.name {
        let checked = text::check("/name", name.as_deref().unwrap_or_default(), text::NAME_BYTES_MAX);
        checked.map_err(|error| Problem::invalid(vec![error]))?;
        tenant.name = name;
    }
    if let Some(contract) = &body.contract {
        tenant.contract = known_contract(&state, contract)?.name().clone();
    }
    if let Some(limits) = body.limits {
        tenant.limits = changed(&state, &tenant, limits)?;
    }
    let stored = state.store.update_tenant(&tenant).await?.ok_or_else(|| unknown(&id))?;
    if stored.contract != tenant.contract {
        let detail = format!("`{id}` has webhooks, so its contract stays `{}`; delete them first", stored.contract);
        return Err(Problem::conflict("contract_fixed", detail));
    }
    tracing::info!(tenant = %id, "tenant changed");
    Ok(Json(TenantView::new(&state, stored)))
}

fn changed(state: &ApiState, tenant: &Tenant, change: Option<LimitsChange>) -> Answer<TenantLimits> {
    let Some(change) = change else { return Ok(TenantLimits::default()) };
    let contract = known_contract(state, tenant.contract.as_str())?;
    change.apply(tenant.limits, contract).map_err(Problem::invalid)
}
