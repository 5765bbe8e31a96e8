//! How an endpoint is read.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use whimbrel_core::endpoint::{CustomHeaders, Endpoint};
use whimbrel_core::id::EndpointId;

use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::rows::{at, contract, endpoint_status, health, maybe_at, options, patterns, tenant_id};

/// The statement up to its `WHERE`: what [`PostgresStore::endpoint_row`] reads.
macro_rules! endpoint_columns {
    () => {
        "SELECT e.id, e.tenant_id, (SELECT contract FROM tenants t WHERE t.id = e.tenant_id), e.url, e.events,
                e.description, e.secrets, e.status, e.suspend_reason, e.suspended_since, e.consecutive_failures,
                e.failing_since, e.version, e.activated_at, e.created_at, e.headers, e.options::text
         FROM endpoints e"
    };
}
pub(crate) use endpoint_columns;

impl PostgresStore {
    /// Reads a row of `endpoint_columns`.
    pub(crate) fn endpoint_row(&self, row: &PgRow) -> Result<Endpoint, Fault> {
        let id = EndpointId::from_uuid(row.try_get(0)?);
        let headers: Option<&[u8]> = row.try_get(15)?;
        Ok(Endpoint {
            id,
            tenant: tenant_id(row.try_get(1)?)?,
            contract: contract(row.try_get(2)?)?,
            url: row.try_get(3)?,
            events: patterns(&row.try_get::<Vec<String>, _>(4)?)?,
            description: row.try_get(5)?,
            secrets: self.ring.open(row.try_get(6)?, id)?,
            headers: headers.map_or(Ok(CustomHeaders::default()), |sealed| self.ring.open_headers(sealed, id))?,
            options: options(row, 16)?,
            status: endpoint_status(row, 7)?,
            health: health(row, 10)?,
            version: row.try_get(12)?,
            activated_at: maybe_at(row, 13)?,
            created_at: at(row, 14)?,
        })
    }
}
