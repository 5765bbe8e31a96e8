//! `POST /v1/webhooks/{id}/activate`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whimbrel_core::endpoint::{Endpoint, EndpointStatus};
use whimbrel_core::port::{EndpointChange, Page};
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind, ReplayState};
use whimbrel_core::{EndpointId, TenantId};

use super::TAG;
use super::change::{Changed, change};
use super::read::existing;
use super::view::WebhookView;
use crate::auth::Caller;
use crate::extract::{Id, OptionalJson};
use crate::page;
use crate::problem::{Answer, ProblemBody};
use crate::replays::{ReplayView, new_replay};
use crate::state::{ApiState, SharedState};

/// How to activate.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Activate {
    /// What becomes of the deliveries that are held.
    #[serde(default)]
    held: Held,
}

/// What becomes of the deliveries that are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HeldDeliveries, default = "release")]
pub(crate) enum Held {
    /// They go out, a few at a time, in the order of their events.
    #[default]
    Release,
    /// They are cancelled. A delivery whose next attempt waits for its time in a queue is not among them yet: it goes
    /// out when it is due.
    Drop,
}

/// An activated webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActivatedWebhook {
    #[serde(flatten)]
    webhook: WebhookView,
    /// The release, or the drop, of what is held; null when the webhook was deleted meanwhile.
    replay: Option<ReplayView>,
}

/// Activate a webhook
///
/// Ends a suspension, or what `active: false` began. The count of failures starts anew. What is held goes out, a few
/// deliveries at a time, or is cancelled on request; `GET /v1/replays/{id}` shows how far that is.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{id}/activate",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id")),
    request_body = Option<Activate>,
    responses(
        (status = 200, description = "The webhook as it is now", body = ActivatedWebhook),
        (status = 404, description = "No such webhook", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Others change it all the time", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn activate_webhook(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    OptionalJson(body): OptionalJson<Activate>,
) -> Answer<Json<ActivatedWebhook>> {
    let tenant = &caller.tenant.id;
    let (endpoint, replay) = match body.held {
        Held::Release => {
            let endpoint = activate(&state, tenant, id).await?;
            (endpoint, release(&state, tenant, id).await?)
        }
        Held::Drop => {
            // Begun before anything can be released, so that nothing of it goes out.
            let replay = drop_held(&state, tenant, id).await?;
            (activate(&state, tenant, id).await?, replay)
        }
    };
    tracing::info!(%tenant, endpoint = %id, held = ?body.held, "endpoint activated");
    let webhook = WebhookView::new(&state, &endpoint);
    Ok(Json(ActivatedWebhook { webhook, replay: replay.as_ref().map(ReplayView::new) }))
}

async fn activate(state: &ApiState, tenant: &TenantId, id: EndpointId) -> Answer<Endpoint> {
    let decide = |_: &Endpoint| {
        let status = Some((EndpointStatus::Active, state.clock.now()));
        Ok((EndpointChange { status, ..EndpointChange::default() }, ()))
    };
    let Changed { endpoint, .. } = change(state, tenant, id, decide).await?;
    Ok(endpoint)
}

/// Begins to let out what is held. Should this process end before it does, the tracker begins by itself.
pub(super) async fn release(state: &ApiState, tenant: &TenantId, id: EndpointId) -> Answer<Option<Replay>> {
    let release = new_replay(state, tenant, id, ReplayKind::Release, ReplayFilter::default());
    Ok(state.store.start_replay(&release).await?)
}

/// Begins to give up what is held now. What else runs over the same deliveries ends: an earlier drop, which may not
/// reach as far, and a release that an earlier activation began.
async fn drop_held(state: &ApiState, tenant: &TenantId, id: EndpointId) -> Answer<Option<Replay>> {
    existing(state, tenant, id).await?;
    let filter = ReplayFilter { until: Some(state.clock.now()), ..ReplayFilter::default() };
    let drop = new_replay(state, tenant, id, ReplayKind::Drop, filter);
    let mut started = state.store.start_replay(&drop).await?;
    if let Some(earlier) = started.take_if(|running| running.id != drop.id) {
        state.store.cancel_replay(tenant, earlier.id, state.clock.now()).await?;
        started = state.store.start_replay(&drop).await?;
    }
    let latest = Page { after: None, limit: page::MAX };
    for replay in state.store.replays(tenant, Some(id), latest).await? {
        if replay.kind == ReplayKind::Release && replay.state == ReplayState::Running {
            state.store.cancel_replay(tenant, replay.id, state.clock.now()).await?;
        }
    }
    Ok(started)
}
