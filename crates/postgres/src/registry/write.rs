//! What is written to an endpoint's row.

use sqlx::PgConnection;
use time::OffsetDateTime;
use whimbrel_core::endpoint::{CustomHeaders, Endpoint};
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::EndpointChange;

use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::rows::{int, status_columns, to_json};

impl PostgresStore {
    pub(super) async fn insert(&self, connection: &mut PgConnection, endpoint: &Endpoint) -> Result<(), Fault> {
        let (status, reason, since) = status_columns(endpoint.status);
        sqlx::query(
            "INSERT INTO endpoints (id, tenant_id, url, events, description, secrets, status, suspend_reason,
                 suspended_since, consecutive_failures, failing_since, activated_at, version, created_at, headers,
                 options, announced_version, announced_status)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16::jsonb, $13, $7)",
        )
        .bind(endpoint.id.uuid())
        .bind(endpoint.tenant.as_str())
        .bind(&endpoint.url)
        .bind(endpoint.events.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(endpoint.description.as_deref())
        .bind(self.ring.seal(&endpoint.secrets, endpoint.id, &*self.clock))
        .bind(status)
        .bind(reason)
        .bind(since)
        .bind(int(endpoint.health.consecutive_failures))
        .bind(endpoint.health.failing_since.map(OffsetDateTime::from))
        .bind(endpoint.activated_at.map(OffsetDateTime::from))
        .bind(endpoint.version)
        .bind(OffsetDateTime::from(endpoint.created_at))
        .bind(self.sealed_headers(&endpoint.headers, endpoint.id))
        .bind(to_json(&endpoint.options))
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Writes what `change` names to an endpoint that is locked.
    pub(super) async fn change(
        &self,
        connection: &mut PgConnection,
        id: EndpointId,
        change: &EndpointChange,
    ) -> Result<(), Fault> {
        let secrets = change.secrets.as_ref().map(|secrets| self.ring.seal(secrets, id, &*self.clock));
        let headers = change.headers.as_ref().map(|headers| self.sealed_headers(headers, id));
        let status = change.status.map(|(status, _)| status_columns(status));
        let activated = change.status.filter(|(status, _)| status.is_active()).map(|(_, at)| OffsetDateTime::from(at));
        sqlx::query(
            "UPDATE endpoints SET
                 url = coalesce($2, url),
                 events = coalesce($3, events),
                 description = CASE WHEN $4 THEN $5 ELSE description END,
                 secrets = coalesce($6, secrets),
                 status = coalesce($7, status),
                 suspend_reason = CASE WHEN $7 IS NULL THEN suspend_reason ELSE $8 END,
                 suspended_since = CASE WHEN $7 IS NULL THEN suspended_since ELSE $9 END,
                 consecutive_failures = CASE WHEN $10::timestamptz IS NULL THEN consecutive_failures ELSE 0 END,
                 failing_since = CASE WHEN $10 IS NULL THEN failing_since END,
                 activated_at = coalesce($10, activated_at),
                 headers = CASE WHEN $11 THEN $12 ELSE headers END,
                 options = coalesce($13::jsonb, options),
                 version = version + 1
             WHERE id = $1",
        )
        .bind(id.uuid())
        .bind(change.url.as_deref())
        .bind(change.events.as_ref().map(|events| events.iter().map(ToString::to_string).collect::<Vec<_>>()))
        .bind(change.description.is_some())
        .bind(change.description.clone().flatten())
        .bind(secrets)
        .bind(status.map(|(word, _, _)| word))
        .bind(status.and_then(|(_, reason, _)| reason))
        .bind(status.and_then(|(_, _, since)| since))
        .bind(activated)
        .bind(headers.is_some())
        .bind(headers.flatten())
        .bind(change.options.as_ref().map(to_json))
        .execute(connection)
        .await?;
        Ok(())
    }

    /// `None` for no headers.
    fn sealed_headers(&self, headers: &CustomHeaders, id: EndpointId) -> Option<Vec<u8>> {
        (!headers.is_empty()).then(|| self.ring.seal_headers(headers, id, &*self.clock))
    }
}
