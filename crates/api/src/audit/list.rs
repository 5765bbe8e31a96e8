//! `GET /v1/audit`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use whimbrel_core::TenantId;
use whimbrel_core::id::AuditId;
use whimbrel_core::port::AuditEntry;

use super::TAG;
use crate::auth::Reach;
use crate::extract::ApiQuery;
use crate::page::Asked;
use crate::problem::{Answer, ProblemBody};
use crate::state::SharedState;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Only changes for this tenant, which may be deleted by now.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    tenant: Option<TenantId>,
    /// Items on the page.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of an earlier page.
    #[param(pattern = "^aud_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    cursor: Option<String>,
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditList {
    /// Newest first.
    entries: Vec<AuditView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A change that someone made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditView {
    /// Names the entry.
    #[schema(value_type = String, example = "aud_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: AuditId,
    /// When the change was made.
    #[schema(format = DateTime)]
    at: String,
    /// Whose key: its id, or `admin` for the configured admin key.
    #[schema(example = "key_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    actor: String,
    /// For which tenant, if for one.
    #[schema(example = "acme")]
    tenant: Option<String>,
    /// What was done: method and route.
    #[schema(example = "POST /v1/webhooks/{id}/activate")]
    action: String,
    /// To what: the address.
    #[schema(example = "/v1/webhooks/hook_01jb3h2k9fe8yaw3cvj6s5n7qt/activate")]
    subject: String,
    /// What was answered.
    #[schema(example = 200)]
    status: u16,
    /// The request's `x-request-id`.
    request_id: String,
}

impl AuditView {
    fn new(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.id.created_at().to_string(),
            actor: entry.actor,
            tenant: entry.tenant.map(|tenant| tenant.to_string()),
            action: entry.action,
            subject: entry.subject,
            status: entry.status,
            request_id: entry.request_id,
        }
    }
}

/// The audit log
///
/// Every change made over this API, but for the events sent. An admin key sees those of all tenants or of one; a
/// tenant's key those for its own tenant, whoever made them. Entries are kept for a year.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = TAG,
    params(AuditQuery),
    responses(
        (status = 200, description = "A page of entries, newest first", body = AuditList),
        (status = 403, description = "The key does not reach that tenant", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_audit(
    State(state): State<SharedState>,
    reach: Reach,
    ApiQuery(query): ApiQuery<AuditQuery>,
) -> Answer<Json<AuditList>> {
    let tenant = reach.narrowed(query.tenant)?;
    let asked = Asked::try_new(query.limit, query.cursor.as_deref())?;
    let (entries, next_cursor) =
        asked.cut(state.store.audit(tenant.as_ref(), asked.request()).await?, |entry| entry.id);
    Ok(Json(AuditList { entries: entries.into_iter().map(AuditView::new).collect(), next_cursor }))
}
