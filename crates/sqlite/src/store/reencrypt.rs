//! Sealing everything under the ring's first key (rule 31).

use sqlx::{Row as _, SqliteConnection};
use uuid::Uuid;
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::{Clock, Reencrypted};
use whimbrel_core::sealing::KeyRing;

use crate::fault::Fault;

/// See [`whimbrel_core::port::Registry::reencrypt`].
pub(super) async fn reencrypt(
    tx: &mut SqliteConnection,
    ring: &KeyRing,
    clock: &dyn Clock,
    after: Option<EndpointId>,
    limit: u32,
) -> Result<Reencrypted, Fault> {
    let found = sqlx::query("SELECT id, secrets, headers FROM endpoints WHERE id > ?1 ORDER BY id LIMIT ?2")
        .bind(after.map_or(Uuid::nil(), EndpointId::uuid))
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
    let is_old = |sealed: &[u8]| KeyRing::key_of(sealed) != Some(ring.sealing_key());
    let mut done = Reencrypted { changed: 0, last: None };
    for row in &found {
        let id = EndpointId::from_uuid(row.try_get(0)?);
        let (secrets, headers): (&[u8], Option<&[u8]>) = (row.try_get(1)?, row.try_get(2)?);
        if is_old(secrets) || headers.is_some_and(is_old) {
            let secrets = ring.seal(&ring.open(secrets, id)?, id, clock);
            let headers = headers.map(|sealed| ring.open_headers(sealed, id)).transpose()?;
            write(tx, id, &secrets, headers.map(|headers| ring.seal_headers(&headers, id, clock)).as_deref()).await?;
            done.changed += 1;
        }
        done.last = Some(id);
    }
    Ok(done)
}

async fn write(tx: &mut SqliteConnection, id: EndpointId, secrets: &[u8], headers: Option<&[u8]>) -> Result<(), Fault> {
    sqlx::query("UPDATE endpoints SET secrets = ?2, headers = ?3 WHERE id = ?1")
        .bind(id.uuid())
        .bind(secrets)
        .bind(headers)
        .execute(tx)
        .await?;
    Ok(())
}
