//! A webhook as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::EndpointId;
use whimbrel_core::endpoint::{Endpoint, EndpointStatus};
use whimbrel_core::filter::Filter;

use super::filter_doc::FilterDoc;
use super::options::shown;
use crate::state::ApiState;
use crate::text;

/// Stands for the value of a header.
const MASK: &str = "…";

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookView {
    /// Names it.
    #[schema(value_type = String, example = "hook_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: EndpointId,
    /// Where events are POSTed to.
    #[schema(example = "https://yourapp.com/webhook")]
    url: String,
    /// The event types it gets.
    #[schema(example = json!(["user.created", "project.*"]))]
    events: Vec<String>,
    /// The signing secret: shown when the webhook is made, later only where its contract says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    secret: Option<String>,
    /// The Ed25519 key that receivers can verify with, where the webhook has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    public_key: Option<String>,
    /// Whether deliveries go out.
    active: bool,
    /// When it was made.
    #[schema(format = DateTime, example = "2026-01-15T12:00:00Z")]
    created_at: String,
    /// `active`; `suspended` by Whimbrel after failures; `disabled` by its owner.
    status: Status,
    /// Why it is suspended: `consecutive_failures`, `failing_too_long` or `gone`.
    suspended_reason: Option<&'static str>,
    /// Since when it is suspended.
    #[schema(format = DateTime)]
    suspended_since: Option<String>,
    /// Failed attempts in a row, over all of its deliveries.
    consecutive_failures: u32,
    /// A note by its owner.
    description: Option<String>,
    /// The headers that its requests carry besides the contract's: their names, each with `…` for a value. Values may
    /// be credentials and are never shown.
    #[schema(value_type = HashMap<String, String>, example = json!({"Authorization": "…"}))]
    headers: BTreeMap<String, &'static str>,
    /// Its own deadline; null leaves it to the contract.
    #[schema(example = "5s")]
    timeout: Option<String>,
    /// POSTs a second at most, per sender process; null means no limit.
    rate_limit: Option<u32>,
    /// POSTs under way at most, per sender process; null leaves it to the deployment.
    in_flight_max: Option<u32>,
    /// Its own delays between attempts; null leaves them to the contract.
    #[schema(example = json!(["30s", "5m"]))]
    retry_schedule: Option<Vec<String>>,
    /// Which of the events of its types it gets; null means all.
    #[schema(value_type = Option<FilterDoc>)]
    filter: Option<Filter>,
}

/// Whether a webhook takes deliveries.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookStatus)]
pub(crate) enum Status {
    /// Deliveries go out.
    Active,
    /// Whimbrel stopped after failures; deliveries are held.
    Suspended,
    /// Its owner stopped it; new events make no deliveries, waiting ones are held.
    Disabled,
}

impl WebhookView {
    /// Shows an endpoint, with its secret only where the contract lets it be shown again.
    pub(super) fn new(state: &ApiState, endpoint: &Endpoint) -> Self {
        let shown_again =
            state.contracts.get(&endpoint.contract).is_some_and(|contract| !contract.secret().shown_once());
        let secret = shown_again.then(|| endpoint.secrets.current.expose().to_owned());
        let (status, reason, since) = match endpoint.status {
            EndpointStatus::Active => (Status::Active, None, None),
            EndpointStatus::Suspended { reason, since } => (Status::Suspended, Some(reason.as_str()), Some(since)),
            EndpointStatus::Disabled => (Status::Disabled, None, None),
        };
        let options = endpoint.options.clone();
        Self {
            id: endpoint.id,
            url: endpoint.url.clone(),
            events: endpoint.events.iter().map(ToString::to_string).collect(),
            secret,
            public_key: endpoint.secrets.public_key_text(),
            active: endpoint.status.is_active(),
            created_at: text::whole_seconds(endpoint.created_at),
            status,
            suspended_reason: reason,
            suspended_since: since.map(|since| since.to_string()),
            consecutive_failures: endpoint.health.consecutive_failures,
            description: endpoint.description.clone(),
            headers: endpoint.headers.names().map(|name| (name.to_owned(), MASK)).collect(),
            timeout: options.timeout.map(shown),
            rate_limit: options.rate_limit,
            in_flight_max: options.in_flight_max,
            retry_schedule: options.retry_delays.map(|delays| delays.into_iter().map(shown).collect()),
            filter: options.filter,
        }
    }

    /// With its secret, for the answer to its creation.
    pub(super) fn with_secret(state: &ApiState, endpoint: &Endpoint) -> Self {
        Self { secret: Some(endpoint.secrets.current.expose().to_owned()), ..Self::new(state, endpoint) }
    }
}
