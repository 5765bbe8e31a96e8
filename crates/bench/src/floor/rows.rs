//! Rows written with synchronous commit.

use anyhow::Result;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection};

use super::{Rows, quarter_ms};
use crate::meter::{float, float_of};
use crate::process::{self, Cpu};
use crate::receiver::Receiver;

/// Rows of one statement.
const BATCH: usize = 100;
const LARGE_BYTES: usize = 1024;
const SMALL_BYTES: usize = 200;

/// A database that takes rows of an id and a payload.
trait Table {
    /// Writes these ids, each with `payload`, in one transaction.
    async fn write(&mut self, ids: &[i64], payload: &[u8]) -> Result<()>;
}

struct Postgres(PgConnection);

struct Sqlite(SqliteConnection);

/// On PostgreSQL: one statement with UNNEST. Without the server's process id its CPU is left out.
pub(super) async fn postgres(url: &str, server: Option<i32>, receiver: &Receiver, repeats: usize) -> Result<Rows> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query("CREATE TABLE floor (id bigint PRIMARY KEY, payload bytea NOT NULL)").execute(&mut connection).await?;
    let mut table = Postgres(connection);
    let rows = measure(&mut table, server, receiver, repeats).await?;
    table.0.close().await?;
    Ok(rows)
}

/// On SQLite with the engine's settings: one statement with many values.
pub(super) async fn sqlite(receiver: &Receiver, repeats: usize) -> Result<Rows> {
    let directory = tempfile::tempdir_in(whimbrel_testkit::servers::build_dir()?)?;
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("floor.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "8192");
    let mut connection = options.connect().await?;
    sqlx::query("CREATE TABLE floor (id INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT")
        .execute(&mut connection)
        .await?;
    let mut table = Sqlite(connection);
    let rows = measure(&mut table, None, receiver, repeats).await?;
    table.0.close().await?;
    Ok(rows)
}

impl Table for Postgres {
    async fn write(&mut self, ids: &[i64], payload: &[u8]) -> Result<()> {
        let payloads: Vec<&[u8]> = ids.iter().map(|_| payload).collect();
        let insert = sqlx::query("INSERT INTO floor SELECT * FROM UNNEST($1::bigint[], $2::bytea[])");
        insert.bind(ids).bind(payloads).execute(&mut self.0).await?;
        Ok(())
    }
}

impl Table for Sqlite {
    async fn write(&mut self, ids: &[i64], payload: &[u8]) -> Result<()> {
        let sql = format!("INSERT INTO floor VALUES {}", vec!["(?, ?)"; ids.len()].join(", "));
        let insert = sqlx::query(AssertSqlSafe(sql));
        let insert = ids.iter().fold(insert, |insert, id| insert.bind(*id).bind(payload));
        insert.execute(&mut self.0).await?;
        Ok(())
    }
}

async fn measure(table: &mut impl Table, server: Option<i32>, receiver: &Receiver, repeats: usize) -> Result<Rows> {
    let cpu = || process::own_cpu().and(server.map_or_else(Cpu::default, process::tree_cpu));
    let mut next = 0_i64;
    let mut ids = |count: usize| -> Vec<i64> {
        (0..count)
            .map(|_| {
                next += 1;
                next
            })
            .collect()
    };
    // Statements are prepared and pages made.
    table.write(&ids(BATCH), &[0; SMALL_BYTES]).await?;
    table.write(&ids(1), &[0; SMALL_BYTES]).await?;

    let mut batches = async |bytes: usize| -> Result<f64> {
        let (payload, count) = (vec![0; bytes], repeats.div_ceil(BATCH).max(4));
        let before = cpu();
        for _ in 0..count {
            table.write(&ids(BATCH), &payload).await?;
        }
        Ok(float(cpu().since(before)) / float_of(count * BATCH))
    };
    let (large_us, small_us) = (batches(LARGE_BYTES).await?, batches(SMALL_BYTES).await?);

    let (count, before, mut times) = (repeats.min(400), cpu(), Vec::new());
    for _ in 0..count {
        let begun = receiver.now_us();
        table.write(&ids(1), &[0; SMALL_BYTES]).await?;
        times.push(receiver.now_us() - begun);
    }
    let single_us = float(cpu().since(before)) / float_of(count);
    Ok(Rows { large_us, small_us, single_us, commit_ms: quarter_ms(times) })
}
