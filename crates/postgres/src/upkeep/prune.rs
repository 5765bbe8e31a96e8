//! Retention's second half: a day's partitions are detached and dropped, without stopping those who write (rule 27).

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use time::Date;
use whimbrel_core::Timestamp;
use whimbrel_core::port::{Pruned, StoreError};

use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::partitions::end_of;

const NOTHING: Pruned = Pruned { removed: 0, more: false };

/// A day of one table. All names are quoted where they need it.
struct Part {
    day: Date,
    parent: String,
    table: String,
    bond: Bond,
    /// Whether this role may drop it.
    owned: bool,
}

/// How it hangs on its parent.
enum Bond {
    Attached,
    /// A detaching was interrupted.
    Detaching,
    /// A dropping was interrupted.
    Detached,
}

impl PostgresStore {
    /// Drops the oldest day that ends at or before `before`, and finishes what an earlier call began.
    pub(super) async fn drop_day(&self, before: Timestamp) -> Result<Pruned, StoreError> {
        let mut connection = self.own_connection().await?;
        let mine: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('whimbrel_prune'))")
            .fetch_one(&mut connection)
            .await
            .map_err(Fault::from)?;
        if !mine {
            return Ok(NOTHING);
        }
        // What an open transaction delays for longer is finished by the next call.
        sqlx::raw_sql("SET statement_timeout = '10min'").execute(&mut connection).await.map_err(Fault::from)?;
        let pruned = drop_oldest(&mut connection, before).await;
        // The server may take a while to see that a connection is closed: the next call would find the lock taken.
        sqlx::query("SELECT pg_advisory_unlock(hashtext('whimbrel_prune'))")
            .execute(&mut connection)
            .await
            .map_err(Fault::from)?;
        connection.close().await.map_err(Fault::from)?;
        pruned
    }
}

async fn drop_oldest(connection: &mut PgConnection, before: Timestamp) -> Result<Pruned, StoreError> {
    let mut old = parts(connection).await?;
    old.retain(|part| end_of(part.day) <= before || matches!(part.bond, Bond::Detaching));
    let Some(oldest) = old.first().map(|part| part.day) else { return Ok(NOTHING) };
    let (now, later): (Vec<Part>, Vec<Part>) = old.into_iter().partition(|part| part.day == oldest);
    if let Some(part) = now.iter().find(|part| !part.owned) {
        let table = &part.table;
        return Err(StoreError::Refused(format!(
            "this role does not own {table}, which is past its retention: run whimbrel prune as the owner of the tables"
        )));
    }
    for part in &now {
        remove(connection, part).await?;
    }
    Ok(Pruned { removed: 1, more: !later.is_empty() })
}

/// Every day of every table, oldest first; within a day, what hangs on another comes before it.
async fn parts(connection: &mut PgConnection) -> Result<Vec<Part>, Fault> {
    let rows = sqlx::query(
        "SELECT to_date(right(c.relname, 8), 'YYYYMMDD'), parent.oid::regclass::text, c.oid::regclass::text,
                i.inhrelid IS NOT NULL, coalesce(i.inhdetachpending, false),
                pg_has_role(c.relowner, 'USAGE') AND pg_has_role(parent.relowner, 'USAGE')
         FROM unnest(ARRAY['attempts', 'deliveries', 'events']) WITH ORDINALITY AS t (name, place)
         JOIN pg_class parent ON parent.oid = to_regclass(t.name)
         JOIN pg_class c ON c.relnamespace = parent.relnamespace AND c.relkind = 'r'
              AND c.relname ~ ('^' || t.name || '_[0-9]{8}$')
         LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = parent.oid
         ORDER BY 1, t.place",
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let bond = match (row.try_get(3)?, row.try_get(4)?) {
                (true, true) => Bond::Detaching,
                (true, false) => Bond::Attached,
                (false, _) => Bond::Detached,
            };
            let (parent, table) = (row.try_get(1)?, row.try_get(2)?);
            Ok(Part { day: row.try_get(0)?, parent, table, bond, owned: row.try_get(5)? })
        })
        .collect()
}

async fn remove(connection: &mut PgConnection, part: &Part) -> Result<(), Fault> {
    let Part { parent, table, .. } = part;
    let how = match part.bond {
        Bond::Attached => Some("CONCURRENTLY"),
        Bond::Detaching => Some("FINALIZE"),
        Bond::Detached => None,
    };
    let detach = how.map(|how| format!("ALTER TABLE {parent} DETACH PARTITION {table} {how}"));
    for statement in detach.into_iter().chain([format!("DROP TABLE {table}")]) {
        // Each by itself: CONCURRENTLY does not work in a transaction. The names come from the catalogue, quoted.
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(())
}
