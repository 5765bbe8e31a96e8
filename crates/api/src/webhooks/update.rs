//! `PATCH /v1/webhooks/{id}`

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use whimbrel_core::contract::Contract;
use whimbrel_core::endpoint::EndpointStatus;
use whimbrel_core::port::EndpointChange;
use whimbrel_core::{EndpointId, Timestamp};

use super::TAG;
use super::read::unknown;
use super::view::WebhookView;
use super::{events, url};
use crate::auth::Caller;
use crate::extract::{ApiJson, Id, nullable};
use crate::outlet::announce;
use crate::problem::{Answer, FieldError, Problem, ProblemBody};
use crate::state::{ApiState, Settings};
use crate::text;

/// What to change; fields left out stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateWebhook {
    /// Where events are POSTed to.
    #[schema(max_length = 2048, example = "https://yourapp.com/webhook")]
    url: Option<String>,
    /// The event types it gets, all of them.
    #[schema(min_items = 1, max_items = 100)]
    events: Option<Vec<String>>,
    /// A note; null removes it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, max_length = 1024)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    description: Option<Option<String>>,
    /// False stops deliveries: new events make none, waiting ones are held. True starts them again and
    /// lifts a suspension.
    active: Option<bool>,
}

/// Change a webhook
#[utoipa::path(
    patch,
    path = "/v1/webhooks/{id}",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id")),
    request_body = UpdateWebhook,
    responses(
        (status = 200, description = "The webhook as it is now", body = WebhookView),
        (status = 404, description = "No such webhook", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn update_webhook(
    State(state): State<ApiState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    ApiJson(body): ApiJson<UpdateWebhook>,
) -> Answer<Json<WebhookView>> {
    let change =
        change(body, caller.contract(&state)?, &state.settings, state.clock.now()).map_err(Problem::invalid)?;
    let endpoint = state.store.update_endpoint(&caller.tenant.id, id, &change).await?.ok_or_else(|| unknown(id))?;
    tracing::info!(tenant = %caller.tenant.id, endpoint = %id, version = endpoint.version, "endpoint changed");
    announce(&state, &endpoint).await;
    Ok(Json(WebhookView::new(&state, &endpoint)))
}

fn change(
    body: UpdateWebhook,
    contract: &Contract,
    settings: &Settings,
    now: Timestamp,
) -> Result<EndpointChange, Vec<FieldError>> {
    let mut errors = Vec::new();
    if let Some(Err(message)) = body.url.as_deref().map(|text| url::check(text, contract.https_only(), settings)) {
        errors.push(FieldError::new("/url", message));
    }
    let events = body.events.map(|texts| events::parse(&texts, contract)).transpose().unwrap_or_else(|wrong| {
        errors.extend(wrong);
        None
    });
    if let Some(Some(text)) = &body.description {
        errors.extend(text::check("/description", text, text::DESCRIPTION_BYTES_MAX).err());
    }
    let status = |active| if active { EndpointStatus::Active } else { EndpointStatus::Disabled };
    let change = EndpointChange {
        url: body.url,
        events,
        description: body.description,
        secrets: None,
        status: body.active.map(|active| (status(active), now)),
    };
    if errors.is_empty() { Ok(change) } else { Err(errors) }
}
