//! `POST /v1/webhooks`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use whimbrel_core::EndpointId;
use whimbrel_core::contract::Contract;
use whimbrel_core::endpoint::{Endpoint, EndpointStatus, Health};
use whimbrel_core::port::Clock;
use whimbrel_core::secret::{Secret, SecretPair};

use super::TAG;
use super::view::WebhookView;
use super::{events, url};
use crate::auth::Caller;
use crate::extract::ApiJson;
use crate::outlet::announce;
use crate::problem::{Answer, FieldError, Problem, ProblemBody};
use crate::state::ApiState;
use crate::text;

/// A webhook to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateWebhook {
    /// Where events are POSTed to: an absolute https URL without user name, password and fragment.
    #[schema(max_length = 2048, example = "https://yourapp.com/webhook")]
    url: String,
    /// The event types it gets: exact ones, prefixes such as `order.*`, or `*`.
    #[schema(min_items = 1, max_items = 100, example = json!(["user.created", "project.*"]))]
    events: Vec<String>,
    /// Your own signing secret, in the form that the tenant's contract asks for. Left out, one is made.
    #[schema(max_length = 512)]
    secret: Option<String>,
    /// Whether deliveries go out from the start.
    #[serde(default = "yes")]
    #[schema(default = true)]
    active: bool,
    /// A note.
    #[schema(max_length = 1024)]
    description: Option<String>,
}

fn yes() -> bool {
    true
}

/// Make a webhook
///
/// The answer is the only one that shows the secret, besides that of a rotation.
#[utoipa::path(
    post,
    path = "/v1/webhooks",
    tag = TAG,
    request_body = CreateWebhook,
    responses(
        (status = 201, description = "The webhook with its secret", body = WebhookView),
        (status = 409, description = "The tenant has as many webhooks as its contract allows", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create_webhook(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<CreateWebhook>,
) -> Answer<(StatusCode, Json<WebhookView>)> {
    let contract = caller.contract(&state)?;
    let endpoint = endpoint(&state, &caller, contract, body).map_err(Problem::invalid)?;
    let limit = contract.limits().endpoints;
    if !state.store.create_endpoint(&endpoint, limit).await? {
        return Err(limit_reached(contract));
    }
    tracing::info!(tenant = %endpoint.tenant, endpoint = %endpoint.id, "endpoint created");
    announce(&state, &endpoint).await;
    Ok((StatusCode::CREATED, Json(WebhookView::with_secret(&state, &endpoint))))
}

fn endpoint(
    state: &ApiState,
    caller: &Caller,
    contract: &Contract,
    body: CreateWebhook,
) -> Result<Endpoint, Vec<FieldError>> {
    let mut errors = Vec::new();
    if let Err(message) = url::check(&body.url, contract.https_only(), &state.settings) {
        errors.push(FieldError::new("/url", message));
    }
    let events = events::parse(&body.events, contract).unwrap_or_else(|wrong| {
        errors.extend(wrong);
        Vec::new()
    });
    let secret = secret(contract, body.secret.as_deref(), state.clock.as_ref());
    if let Some(text) = &body.description {
        errors.extend(text::check("/description", text, text::DESCRIPTION_BYTES_MAX).err());
    }
    let secret = match secret {
        Ok(secret) if errors.is_empty() => secret,
        Ok(_) => return Err(errors),
        Err(error) => {
            errors.push(error);
            return Err(errors);
        }
    };
    let now = state.clock.now();
    Ok(Endpoint {
        id: EndpointId::generate(now, state.clock.random10()),
        tenant: caller.tenant.id.clone(),
        contract: caller.tenant.contract.clone(),
        url: body.url,
        events,
        description: body.description,
        secrets: SecretPair::new(secret),
        status: if body.active { EndpointStatus::Active } else { EndpointStatus::Disabled },
        health: Health::default(),
        version: 1,
        activated_at: None,
        created_at: now,
    })
}

/// The caller's own secret if its form is right, else a new one.
pub(super) fn secret(contract: &Contract, own: Option<&str>, clock: &dyn Clock) -> Result<Secret, FieldError> {
    match own {
        Some(text) => Secret::accept(contract, text).map_err(|error| FieldError::new("/secret", error.to_string())),
        None => Ok(Secret::generate(contract, &mut |bytes| clock.fill(bytes))),
    }
}

fn limit_reached(contract: &Contract) -> Problem {
    let limit = contract.limits().endpoints.unwrap_or_default();
    let detail = format!("the contract `{}` allows {limit} webhooks per tenant; delete one first", contract.name());
    Problem::conflict("webhook_limit", detail)
}
