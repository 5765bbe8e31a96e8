//! Opening: the pool, which heals by itself, and the schema.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use whimbrel_core::port::{Clock, Store, StoreError};
use whimbrel_core::sealing::KeyRing;

use crate::fault::Fault;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Sizes of the pool.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Connections at most.
    pub connections_max: u32,
    /// How long a call waits for one.
    pub acquire_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections_max: 8, acquire_timeout: Duration::from_secs(5) }
    }
}

/// Why a store cannot be used. Never shows a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL.
    #[error("database_url cannot be read: {0}")]
    Url(String),
    /// The schema was made by a newer version.
    #[error(
        "the database's schema is at version {found}, this binary knows {known}: run a newer binary, an older one may not touch it"
    )]
    Newer {
        /// In the database.
        found: i64,
        /// In this binary.
        known: i64,
    },
    /// A migration.
    #[error("the schema cannot be brought up to date: {0}")]
    Migrate(String),
    /// The schema is older than this binary needs.
    #[error("the database's schema is at version {found}, this binary needs {known}: run `whimbrel migrate`")]
    Older {
        /// In the database; 0 when there is none.
        found: i64,
        /// In this binary.
        known: i64,
    },
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store on PostgreSQL.
pub struct PostgresStore {
    pub(crate) pool: PgPool,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl PostgresStore {
    /// Opens a pool without connecting: a database that is away is waited for by those who call.
    #[expect(clippy::unused_async, reason = "the pool's tasks need a running runtime")]
    pub async fn connect(
        url: &str,
        options: Options,
        ring: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let connect = PgConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.to_string()))?;
        let connect = connect.application_name("whimbrel").options([
            ("statement_timeout", "30000"),
            ("lock_timeout", "10000"),
            ("idle_in_transaction_session_timeout", "60000"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(options.connections_max)
            .acquire_timeout(options.acquire_timeout)
            // A broken connection shows at the first statement, and every caller tries again.
            .test_before_acquire(false)
            .connect_lazy_with(connect);
        Ok(Self { pool, ring, clock })
    }

    /// Brings the schema up to date, behind a lock, and makes the coming days' partitions.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        let found = self.schema_version().await?;
        let known = known_version();
        if found > known {
            return Err(OpenError::Newer { found, known });
        }
        let mut connection = self.pool.acquire().await.map_err(|error| StoreError::from(Fault::from(error)))?.detach();
        // A migration may take long, and wait long for another one: the pool's limits are not for it.
        sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0")
            .execute(&mut connection)
            .await
            .map_err(|error| StoreError::from(Fault::from(error)))?;
        MIGRATIONS.run(&mut connection).await.map_err(|error| match error {
            MigrateError::Execute(error) => OpenError::Store(Fault::from(error).into()),
            other => OpenError::Migrate(other.to_string()),
        })?;
        Ok(self.ensure_partitions().await?)
    }

    /// Whether the schema fits this binary. Waits for a database that is away, saying so once.
    pub async fn check_schema(&self) -> Result<(), OpenError> {
        let mut said = false;
        let found = loop {
            match self.schema_version().await {
                Ok(found) => break found,
                Err(StoreError::Away(reason)) => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::warn!(reason, "the database does not answer yet; waiting for it");
                    }
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(error) => return Err(error.into()),
            }
        };
        let known = known_version();
        match found.cmp(&known) {
            std::cmp::Ordering::Less => Err(OpenError::Older { found, known }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(OpenError::Newer { found, known }),
        }
    }

    /// The newest migration that was run; 0 when there is none.
    pub async fn schema_version(&self) -> Result<i64, StoreError> {
        let exists: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
            .fetch_one(&self.pool)
            .await
            .map_err(Fault::from)?;
        if !exists {
            return Ok(0);
        }
        let version: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
            .fetch_one(&self.pool)
            .await
            .map_err(Fault::from)?;
        Ok(version.unwrap_or(0))
    }
}

fn known_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

#[async_trait]
impl Store for PostgresStore {
    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map_err(Fault::from)?;
        Ok(())
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
