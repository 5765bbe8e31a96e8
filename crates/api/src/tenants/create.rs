//! `POST /v1/tenants`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use whimbrel_core::TenantId;
use whimbrel_core::tenant::{Tenant, TenantLimits};

use super::TAG;
use super::limits::LimitsChange;
use super::view::{TenantView, known_contract};
use crate::auth::Admin;
use crate::extract::ApiJson;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::SharedState;
use crate::text;

/// A tenant to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTenant {
    /// Yours to choose; it cannot be changed.
    #[schema(value_type = String, example = "acme", pattern = "^[a-z0-9_-]{1,64}$")]
    id: TenantId,
    /// A name for people.
    #[schema(max_length = 256)]
    name: Option<String>,
    /// The wire contract that its receivers see, such as `standard`.
    #[schema(example = "standard")]
    contract: String,
    /// What it may have and send, where that is less than its contract allows.
    #[serde(default)]
    #[schema(inline)]
    limits: LimitsChange,
}

/// Make a tenant
#[utoipa::path(
    post,
    path = "/v1/tenants",
    tag = TAG,
    request_body = CreateTenant,
    responses(
        (status = 201, description = "The tenant", body = TenantView),
        (status = 409, description = "The id is taken", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create_tenant(
    State(state): State<SharedState>,
    admin: Admin,
    ApiJson(body): ApiJson<CreateTenant>,
) -> Answer<(StatusCode, Json<TenantView>)> {
    if let Some(name) = &body.name {
        text::check("/name", name, text::NAME_BYTES_MAX).map_err(|error| Problem::invalid(vec![error]))?;
    }
    let contract = known_contract(&state, &body.contract)?;
    let limits = body.limits.apply(TenantLimits::default(), contract).map_err(Problem::invalid)?;
    let tenant = Tenant::new(body.id, contract.name().clone(), state.clock.now());
    let tenant = Tenant { name: body.name, limits, ..tenant };
    admin.about(&tenant.id);
    if !state.store.create_tenant(&tenant).await? {
        return Err(Problem::conflict("tenant_exists", format!("there is a tenant `{}` already", tenant.id)));
    }
    tracing::info!(tenant = %tenant.id, contract = %tenant.contract, "tenant created");
    Ok((StatusCode::CREATED, Json(TenantView::new(&state, tenant))))
}
