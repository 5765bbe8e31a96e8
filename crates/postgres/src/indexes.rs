//! Indexes on tables that are in use: a migration makes them on the partitioned table only, and each day's partition
//! gets its own here, without stopping those who write to it.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::fault::Fault;

/// A day's partition without its part of an index. All names are quoted where they need it.
struct Missing {
    index: String,
    definition: String,
    partition: String,
    part: String,
}

/// Makes what is missing on the partitions. Idempotent; a part that was left half made is made again.
pub(crate) async fn complete(connection: &mut PgConnection) -> Result<(), Fault> {
    // Polled: a session that sleeps on the lock would hold a snapshot, for whose end CONCURRENTLY waits.
    while !sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock(hashtext('whimbrel_indexes'))")
        .fetch_one(&mut *connection)
        .await?
    {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for missing in missing(connection).await? {
        make(connection, &missing).await?;
    }
    sqlx::query("SELECT pg_advisory_unlock(hashtext('whimbrel_indexes'))").execute(connection).await?;
    Ok(())
}

async fn missing(connection: &mut PgConnection) -> Result<Vec<Missing>, Fault> {
    let rows = sqlx::query(
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), p.inhrelid::regclass::text,
                quote_ident(child.relname || '_' || replace(name.relname, parent.relname || '_', ''))
         FROM pg_index i
         JOIN pg_class name ON name.oid = i.indexrelid AND name.relkind = 'I'
         JOIN pg_class parent ON parent.oid = i.indrelid
         JOIN pg_inherits p ON p.inhparent = i.indrelid AND NOT p.inhdetachpending
         JOIN pg_class child ON child.oid = p.inhrelid
         WHERE NOT i.indisvalid AND i.indrelid = ANY (ARRAY['events', 'deliveries', 'attempts']::regclass[])
           AND NOT EXISTS (SELECT 1 FROM pg_inherits part JOIN pg_index own ON own.indexrelid = part.inhrelid
                           WHERE part.inhparent = i.indexrelid AND own.indrelid = p.inhrelid)
         ORDER BY 1, 3",
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Missing {
                index: row.try_get(0)?,
                definition: row.try_get(1)?,
                partition: row.try_get(2)?,
                part: row.try_get(3)?,
            })
        })
        .collect()
}

async fn make(connection: &mut PgConnection, missing: &Missing) -> Result<(), Fault> {
    let Missing { index, definition, partition, part } = missing;
    let (_, form) = definition
        .split_once(" USING ")
        .ok_or_else(|| Fault::Row(format!("the index {index} is defined in unknown words: {definition}")))?;
    let statements = [
        format!("DROP INDEX CONCURRENTLY IF EXISTS {part}"),
        format!("CREATE INDEX CONCURRENTLY {part} ON {partition} USING {form}"),
        format!("ALTER INDEX {index} ATTACH PARTITION {part}"),
    ];
    for statement in statements {
        // Each by itself: CONCURRENTLY does not work in a transaction. The names come from the catalogue, quoted.
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(())
}
