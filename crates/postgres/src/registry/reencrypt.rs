//! Sealing everything anew, after the ring got another first key.

use sqlx::{PgConnection, Row as _};
use uuid::Uuid;
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::Reencrypted;
use whimbrel_core::sealing::KeyRing;

use crate::fault::Fault;
use crate::open::PostgresStore;

/// What an endpoint has sealed.
struct Sealed {
    id: EndpointId,
    secrets: Vec<u8>,
    headers: Option<Vec<u8>>,
}

impl PostgresStore {
    pub(super) async fn reencrypt_page(&self, after: Option<EndpointId>, limit: u32) -> Result<Reencrypted, Fault> {
        let mut transaction = self.pool.begin().await?;
        let page = lock_page(&mut transaction, after, limit).await?;
        let last = page.last().map(|sealed| sealed.id);
        let anew = page
            .into_iter()
            .filter(|sealed| {
                self.is_old(&sealed.secrets) || sealed.headers.as_deref().is_some_and(|it| self.is_old(it))
            })
            .map(|sealed| self.seal_anew(&sealed))
            .collect::<Result<Vec<_>, _>>()?;
        write(&mut transaction, &anew).await?;
        transaction.commit().await?;
        Ok(Reencrypted { changed: anew.len() as u64, last })
    }

    fn is_old(&self, sealed: &[u8]) -> bool {
        KeyRing::key_of(sealed) != Some(self.ring.sealing_key())
    }

    fn seal_anew(&self, sealed: &Sealed) -> Result<Sealed, Fault> {
        let (id, clock) = (sealed.id, &*self.clock);
        let secrets = self.ring.seal(&self.ring.open(&sealed.secrets, id)?, id, clock);
        let headers = sealed.headers.as_deref().map(|headers| self.ring.open_headers(headers, id)).transpose()?;
        Ok(Sealed { id, secrets, headers: headers.map(|headers| self.ring.seal_headers(&headers, id, clock)) })
    }
}

async fn lock_page(connection: &mut PgConnection, after: Option<EndpointId>, limit: u32) -> Result<Vec<Sealed>, Fault> {
    let rows = sqlx::query(
        "SELECT id, secrets, headers FROM endpoints WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2 FOR UPDATE",
    )
    .bind(after.map(EndpointId::uuid))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let id = EndpointId::from_uuid(row.try_get(0)?);
            Ok(Sealed { id, secrets: row.try_get(1)?, headers: row.try_get(2)? })
        })
        .collect()
}

async fn write(connection: &mut PgConnection, rows: &[Sealed]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE endpoints e SET secrets = s.secrets, headers = s.headers
         FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS s (id, secrets, headers) WHERE e.id = s.id",
    )
    .bind(rows.iter().map(|row| row.id.uuid()).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|row| row.secrets.as_slice()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.headers.as_deref()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
