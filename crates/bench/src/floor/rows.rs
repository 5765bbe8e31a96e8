//! Rows written with synchronous commit.

use std::path::Path;

use anyhow::Result;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection};

use super::{Rows, Sizes, quarter_ms};
use crate::meter::{float, float_of};
use crate::process::{self, Cpu};
use crate::receiver::Receiver;

/// Rows of one statement.
pub(super) const BATCH: usize = 100;
pub(super) const LARGE_BYTES: usize = 1024;
pub(super) const SMALL_BYTES: usize = 200;

/// Rows of the list that a listed row is in.
const OWNERS: i64 = 10;

/// A database with a table of bare rows and one of listed rows.
pub(super) trait Tables {
    /// Writes bare rows with these numbers, each with `payload`, in one transaction.
    async fn bare(&mut self, numbers: &[i64], payload: &[u8]) -> Result<()>;

    /// The same with listed ones.
    async fn listed(&mut self, numbers: &[i64], payload: &[u8]) -> Result<()>;

    /// Gives these listed rows another state, in one transaction.
    async fn change(&mut self, numbers: &[i64]) -> Result<()>;
}

pub(super) struct Postgres(PgConnection);

pub(super) struct Sqlite(SqliteConnection);

/// On PostgreSQL: one statement with UNNEST. Without the server's process id its CPU is left out.
pub(super) async fn postgres(url: &str, server: Option<i32>, receiver: &Receiver, repeats: usize) -> Result<Rows> {
    let mut tables = Postgres::create(url).await?;
    let rows = measure(&mut tables, server, receiver, repeats).await?;
    tables.0.close().await?;
    Ok(rows)
}

/// On SQLite with the engine's settings: one statement with many values.
pub(super) async fn sqlite(receiver: &Receiver, repeats: usize) -> Result<Rows> {
    let directory = tempfile::tempdir_in(whimbrel_testkit::servers::build_dir()?)?;
    let mut tables = Sqlite::create(directory.path()).await?;
    let rows = measure(&mut tables, None, receiver, repeats).await?;
    tables.0.close().await?;
    Ok(rows)
}

impl Postgres {
    /// Makes the tables.
    pub(super) async fn create(url: &str) -> Result<Self> {
        let mut tables = Self::open(url).await?;
        for sql in [
            "CREATE TABLE bare (number bigint PRIMARY KEY, payload bytea NOT NULL)",
            "CREATE TABLE listed (id uuid PRIMARY KEY, owner bigint NOT NULL, state bigint NOT NULL, payload bytea NOT NULL)",
            "CREATE INDEX listed_of_owner ON listed (owner, id)",
        ] {
            sqlx::query(sql).execute(&mut tables.0).await?;
        }
        Ok(tables)
    }

    /// Another connection to them.
    pub(super) async fn open(url: &str) -> Result<Self> {
        Ok(Self(PgConnection::connect(url).await?))
    }
}

impl Sqlite {
    /// Makes the tables.
    pub(super) async fn create(directory: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(directory.join("floor.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", "8192");
        let mut connection = options.connect().await?;
        for sql in [
            "CREATE TABLE bare (number INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT",
            "CREATE TABLE listed (id BLOB NOT NULL PRIMARY KEY, owner INTEGER NOT NULL, state INTEGER NOT NULL,
                 payload BLOB NOT NULL) STRICT",
            "CREATE INDEX listed_of_owner ON listed (owner, id)",
        ] {
            sqlx::query(sql).execute(&mut connection).await?;
        }
        Ok(Self(connection))
    }
}

impl Tables for Postgres {
    async fn bare(&mut self, numbers: &[i64], payload: &[u8]) -> Result<()> {
        let payloads: Vec<&[u8]> = numbers.iter().map(|_| payload).collect();
        let insert = sqlx::query("INSERT INTO bare SELECT * FROM UNNEST($1::bigint[], $2::bytea[])");
        insert.bind(numbers).bind(payloads).execute(&mut self.0).await?;
        Ok(())
    }

    async fn listed(&mut self, numbers: &[i64], payload: &[u8]) -> Result<()> {
        let payloads: Vec<&[u8]> = numbers.iter().map(|_| payload).collect();
        let owners: Vec<i64> = numbers.iter().map(|number| number % OWNERS).collect();
        let insert = "INSERT INTO listed SELECT id, owner, 0, payload \
                      FROM UNNEST($1::uuid[], $2::bigint[], $3::bytea[]) AS new (id, owner, payload)";
        sqlx::query(insert).bind(ids(numbers)).bind(owners).bind(payloads).execute(&mut self.0).await?;
        Ok(())
    }

    async fn change(&mut self, numbers: &[i64]) -> Result<()> {
        let update = "UPDATE listed SET state = state + 1 FROM UNNEST($1::uuid[]) AS new (id) WHERE listed.id = new.id";
        sqlx::query(update).bind(ids(numbers)).execute(&mut self.0).await?;
        Ok(())
    }
}

impl Tables for Sqlite {
    async fn bare(&mut self, numbers: &[i64], payload: &[u8]) -> Result<()> {
        let sql = format!("INSERT INTO bare VALUES {}", vec!["(?, ?)"; numbers.len()].join(", "));
        let insert = sqlx::query(AssertSqlSafe(sql));
        let insert = numbers.iter().fold(insert, |insert, number| insert.bind(*number).bind(payload));
        insert.execute(&mut self.0).await?;
        Ok(())
    }

    async fn listed(&mut self, numbers: &[i64], payload: &[u8]) -> Result<()> {
        let sql = format!("INSERT INTO listed VALUES {}", vec!["(?, ?, 0, ?)"; numbers.len()].join(", "));
        let insert = sqlx::query(AssertSqlSafe(sql));
        let insert = numbers
            .iter()
            .zip(ids(numbers))
            .fold(insert, |insert, (number, id)| insert.bind(id).bind(number % OWNERS).bind(payload));
        insert.execute(&mut self.0).await?;
        Ok(())
    }

    async fn change(&mut self, numbers: &[i64]) -> Result<()> {
        let places = vec!["?"; numbers.len()].join(", ");
        let update = sqlx::query(AssertSqlSafe(format!("UPDATE listed SET state = state + 1 WHERE id IN ({places})")));
        ids(numbers).into_iter().fold(update, sqlx::query::Query::bind).execute(&mut self.0).await?;
        Ok(())
    }
}

/// Ids as Whimbrel has them: of the time, and within a millisecond of chance.
fn ids(numbers: &[i64]) -> Vec<Uuid> {
    let id = |number: &i64| {
        let number = u64::from_ne_bytes(number.to_ne_bytes());
        // SplitMix64's last steps: neighbours end up far apart.
        let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Uuid::from_u64_pair((number / 16) << 16, mixed ^ (mixed >> 31))
    };
    numbers.iter().map(id).collect()
}

async fn measure(tables: &mut impl Tables, server: Option<i32>, receiver: &Receiver, repeats: usize) -> Result<Rows> {
    let cpu = || process::own_cpu().and(server.map_or_else(Cpu::default, process::tree_cpu));
    let mut next = 0_i64;
    let mut numbers = |count: usize| -> Vec<i64> {
        (0..count)
            .map(|_| {
                next += 1;
                next
            })
            .collect()
    };
    let count = repeats.div_ceil(BATCH).max(4);
    let (large, small) = (vec![0; LARGE_BYTES], vec![0; SMALL_BYTES]);
    let each = |before: Cpu| float(cpu().since(before)) / float_of(count * BATCH);

    // Statements are prepared and pages made.
    tables.bare(&numbers(BATCH), &small).await?;
    tables.bare(&numbers(1), &small).await?;
    let warm = numbers(BATCH);
    tables.listed(&warm, &small).await?;
    tables.change(&warm).await?;

    let mut bare = async |payload: &[u8]| -> Result<f64> {
        let before = cpu();
        for _ in 0..count {
            tables.bare(&numbers(BATCH), payload).await?;
        }
        Ok(each(before))
    };
    let bare = Sizes { large_us: bare(&large).await?, small_us: bare(&small).await? };

    let mut batches: Vec<Vec<i64>> = Vec::new();
    let mut listed = async |payload: &[u8]| -> Result<f64> {
        batches = (0..count).map(|_| numbers(BATCH)).collect();
        let before = cpu();
        for batch in &batches {
            tables.listed(batch, payload).await?;
        }
        Ok(each(before))
    };
    let listed = Sizes { large_us: listed(&large).await?, small_us: listed(&small).await? };
    let before = cpu();
    for batch in &batches {
        tables.change(batch).await?;
    }
    let change_us = each(before);

    let (single_us, commit_ms) = singles(tables, &mut numbers, &cpu, receiver, repeats.min(400)).await?;
    Ok(Rows { bare, listed, change_us, single_us, commit_ms })
}

/// Transactions of one row: CPU microseconds and milliseconds.
async fn singles(
    tables: &mut impl Tables,
    numbers: &mut impl FnMut(usize) -> Vec<i64>,
    cpu: &impl Fn() -> Cpu,
    receiver: &Receiver,
    count: usize,
) -> Result<(f64, f64)> {
    let (before, mut times) = (cpu(), Vec::new());
    for _ in 0..count {
        let begun = receiver.now_us();
        tables.bare(&numbers(1), &[0; SMALL_BYTES]).await?;
        times.push(receiver.now_us() - begun);
    }
    Ok((float(cpu().since(before)) / float_of(count), quarter_ms(times)))
}
