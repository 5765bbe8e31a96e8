//! `POST /v1/webhooks`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use whimbrel_core::EndpointId;
use whimbrel_core::contract::Contract;
use whimbrel_core::endpoint::{CustomHeaders, Endpoint, EndpointOptions, EndpointStatus};
use whimbrel_core::port::Clock;
use whimbrel_core::secret::{Secret, SecretPair};

use super::TAG;
use super::events;
use super::filter_doc::FilterDoc;
use super::headers::HeaderFields;
use super::options::RawOptions;
use super::url;
use super::view::WebhookView;
use crate::auth::Caller;
use crate::extract::ApiJson;
use crate::outlet::announce;
use crate::problem::{Answer, FieldError, Problem, ProblemBody};
use crate::state::{ApiState, SharedState};
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
    /// Headers that its requests carry besides the contract's, by name: 32 at most, 4 KiB in all, visible ASCII.
    /// `Authorization` is possible; what HTTP, tracing or the contract sets is not. Their values are never shown.
    #[schema(value_type = Option<HashMap<String, String>>, example = json!({"Authorization": "Basic d2hpbWJyZWw="}))]
    headers: Option<HeaderFields>,
    /// One deadline from connecting to the response's status line: `1s` to the contract's. Left out, the contract says.
    #[schema(example = "5s")]
    timeout: Option<String>,
    /// POSTs a second at most, per sender process.
    #[schema(minimum = 1, maximum = 10000)]
    rate_limit: Option<u32>,
    /// POSTs under way at most, per sender process. Releases and replays keep to it too.
    #[schema(minimum = 1, maximum = 1000)]
    in_flight_max: Option<u32>,
    /// The delays between attempts, instead of the contract's: each one that some contract of the deployment has. Empty
    /// means one attempt only.
    #[schema(max_items = 32, example = json!(["30s", "5m"]))]
    retry_schedule: Option<Vec<String>>,
    /// Which of the events of its types it gets, by their data.
    #[schema(value_type = Option<FilterDoc>)]
    filter: Option<Value>,
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
        (status = 409, description = "The tenant has as many webhooks as it may have", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create_webhook(
    State(state): State<SharedState>,
    caller: Caller,
    ApiJson(body): ApiJson<CreateWebhook>,
) -> Answer<(StatusCode, Json<WebhookView>)> {
    let contract = caller.contract(&state)?;
    let endpoint = endpoint(&state, &caller, contract, body).map_err(Problem::invalid)?;
    let limit = caller.endpoints_limit(contract);
    if !state.store.create_endpoint(&endpoint, limit).await? {
        return Err(limit_reached(limit.unwrap_or_default()));
    }
    tracing::info!(tenant = %endpoint.tenant, endpoint = %endpoint.id, "endpoint created");
    announce(&state, &endpoint).await;
    Ok((StatusCode::CREATED, Json(WebhookView::with_secret(&state, &endpoint))))
}

fn endpoint(
    state: &ApiState,
    caller: &Caller,
    contract: &Contract,
    mut body: CreateWebhook,
) -> Result<Endpoint, Vec<FieldError>> {
    let mut errors = Vec::new();
    if let Err(message) = url::check(&body.url, contract.https_only(), &state.settings) {
        errors.push(FieldError::new("/url", message));
    }
    let events = events::parse(&body.events, contract).map_err(|wrong| errors.extend(wrong));
    let secret = secret(contract, body.secret.as_deref(), state.clock.as_ref()).map_err(|wrong| errors.push(wrong));
    if let Some(text) = &body.description {
        errors.extend(text::check("/description", text, text::DESCRIPTION_BYTES_MAX).err());
    }
    let headers = chosen_headers(&mut body, contract).map_err(|wrong| errors.extend(wrong));
    let options = chosen_options(&mut body, state, contract).map_err(|wrong| errors.extend(wrong));
    let (Ok(events), Ok(secret), Ok(headers), Ok(options), true) =
        (events, secret, headers, options, errors.is_empty())
    else {
        return Err(errors);
    };
    let now = state.clock.now();
    let id = EndpointId::generate(now, state.clock.random10());
    let (tenant, contract) = (caller.tenant.id.clone(), caller.tenant.contract.clone());
    let status = if body.active { EndpointStatus::Active } else { EndpointStatus::Disabled };
    let endpoint = Endpoint::new(id, tenant, contract, body.url, events, SecretPair::new(secret), now);
    Ok(Endpoint { description: body.description, headers, options, status, ..endpoint })
}

fn chosen_headers(body: &mut CreateWebhook, contract: &Contract) -> Result<CustomHeaders, Vec<FieldError>> {
    body.headers.take().unwrap_or_default().check(contract)
}

fn chosen_options(
    body: &mut CreateWebhook,
    state: &ApiState,
    contract: &Contract,
) -> Result<EndpointOptions, Vec<FieldError>> {
    let raw = RawOptions {
        timeout: body.timeout.take().map(Some),
        rate_limit: body.rate_limit.take().map(Some),
        in_flight_max: body.in_flight_max.take().map(Some),
        retry_schedule: body.retry_schedule.take().map(Some),
        filter: body.filter.take().map(Some),
    };
    Ok(raw.check(state, contract)?.apply(&EndpointOptions::default()))
}

/// The caller's own secret if its form is right, else a new one.
pub(super) fn secret(contract: &Contract, own: Option<&str>, clock: &dyn Clock) -> Result<Secret, FieldError> {
    match own {
        Some(text) => Secret::accept(contract, text).map_err(|error| FieldError::new("/secret", error.to_string())),
        None => Ok(Secret::generate(contract, &mut |bytes| clock.fill(bytes))),
    }
}

fn limit_reached(limit: u32) -> Problem {
    Problem::conflict("webhook_limit", format!("the tenant may have {limit} webhooks and has them; delete one first"))
}
