//! `PATCH /v1/webhooks/{id}`
#![expect(clippy::option_option, reason = "absent, null and a value are three things")]

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use whimbrel_core::contract::Contract;
use whimbrel_core::endpoint::{CustomHeaders, Endpoint, EndpointStatus};
use whimbrel_core::port::EndpointChange;
use whimbrel_core::subscription::Pattern;
use whimbrel_core::{EndpointId, Timestamp};

use super::TAG;
use super::activate::release;
use super::change::{Changed, change};
use super::filter_doc::FilterDoc;
use super::headers::HeaderFields;
use super::options::{OptionsChange, RawOptions};
use super::view::WebhookView;
use super::{events, url};
use crate::auth::Caller;
use crate::extract::{ApiJson, Id, nullable};
use crate::problem::{Answer, FieldError, Problem, ProblemBody};
use crate::state::{ApiState, SharedState};
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
    description: Option<Option<String>>,
    /// False stops deliveries: new events make none, waiting ones are held. True starts them again, lifts a
    /// suspension and releases what is held.
    active: Option<bool>,
    /// The headers that its requests carry besides the contract's, all of them; null removes them. As at creation.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<HashMap<String, String>>)]
    headers: Option<Option<HeaderFields>>,
    /// One deadline from connecting to the status line: `1s` to the contract's; null leaves it to the contract.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, example = "5s")]
    timeout: Option<Option<String>>,
    /// POSTs a second at most, per sender process; null removes the limit.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10000)]
    rate_limit: Option<Option<u32>>,
    /// POSTs under way at most, per sender process; null leaves it to the deployment.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    in_flight_max: Option<Option<u32>>,
    /// The delays between attempts, all of them, as at creation; null leaves them to the contract.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Vec<String>>, max_items = 32, example = json!(["30s", "5m"]))]
    retry_schedule: Option<Option<Vec<String>>>,
    /// Which of the events of its types it gets; null means all.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<FilterDoc>)]
    filter: Option<Option<Value>>,
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
        (status = 409, description = "Others change it all the time", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn update_webhook(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    ApiJson(body): ApiJson<UpdateWebhook>,
) -> Answer<Json<WebhookView>> {
    let wanted = Wanted::try_new(body, &state, caller.contract(&state)?).map_err(Problem::invalid)?;
    let decide = |endpoint: &Endpoint| Ok((wanted.change(endpoint, state.clock.now()), ()));
    let Changed { before, endpoint, note: () } = change(&state, &caller.tenant.id, id, decide).await?;
    tracing::info!(tenant = %caller.tenant.id, endpoint = %id, version = endpoint.version, "endpoint changed");
    if endpoint.status.is_active() && !before.status.is_active() {
        release(&state, &caller.tenant.id, id).await?;
    }
    Ok(Json(WebhookView::new(&state, &endpoint)))
}

/// A checked body.
struct Wanted {
    url: Option<String>,
    events: Option<Vec<Pattern>>,
    description: Option<Option<String>>,
    headers: Option<CustomHeaders>,
    options: OptionsChange,
    active: Option<bool>,
}

impl Wanted {
    fn try_new(mut body: UpdateWebhook, state: &ApiState, contract: &Contract) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let checked_url = body.url.as_deref().map(|text| url::check(text, contract.https_only(), &state.settings));
        if let Some(Err(message)) = checked_url {
            errors.push(FieldError::new("/url", message));
        }
        let events = body.events.take().map(|texts| events::parse(&texts, contract)).transpose();
        if let Some(Some(text)) = &body.description {
            errors.extend(text::check("/description", text, text::DESCRIPTION_BYTES_MAX).err());
        }
        let headers = body.headers.take().map(|fields| fields.unwrap_or_default().check(contract)).transpose();
        let options = raw_options(&mut body).check(state, contract);
        let wanted = Self {
            events: events.unwrap_or_else(|wrong| collect(&mut errors, wrong)),
            headers: headers.unwrap_or_else(|wrong| collect(&mut errors, wrong)),
            options: options.unwrap_or_else(|wrong| collect(&mut errors, wrong)),
            url: body.url,
            description: body.description,
            active: body.active,
        };
        if errors.is_empty() { Ok(wanted) } else { Err(errors) }
    }

    /// The change of an endpoint as it is now.
    fn change(&self, endpoint: &Endpoint, now: Timestamp) -> EndpointChange {
        let status = |active| if active { EndpointStatus::Active } else { EndpointStatus::Disabled };
        EndpointChange {
            url: self.url.clone(),
            events: self.events.clone(),
            description: self.description.clone(),
            headers: self.headers.clone(),
            options: (!self.options.is_empty()).then(|| self.options.apply(&endpoint.options)),
            status: self.active.map(|active| (status(active), now)),
            secrets: None,
            if_version: None,
        }
    }
}

fn raw_options(body: &mut UpdateWebhook) -> RawOptions {
    RawOptions {
        timeout: body.timeout.take(),
        rate_limit: body.rate_limit.take(),
        in_flight_max: body.in_flight_max.take(),
        retry_schedule: body.retry_schedule.take(),
        filter: body.filter.take(),
    }
}

/// Keeps the errors; nobody will look at the value.
fn collect<T: Default>(errors: &mut Vec<FieldError>, wrong: Vec<FieldError>) -> T {
    errors.extend(wrong);
    T::default()
}
