//! The schema: brought up to date, and compared with what this binary knows.

use std::cmp::Ordering;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use whimbrel_core::port::StoreError;

use crate::fault::Fault;
use crate::open::{OpenError, PostgresStore};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");
/// The schema that came with binaries that read packs of events.
const READS_PACKS: i64 = 22;

impl PostgresStore {
    /// Brings the schema up to date, behind a lock, and makes the coming days' partitions. A newer schema that this
    /// binary may run against stays as it is.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        if self.compare().await? != Ordering::Greater {
            let mut connection = self.own_connection().await.map_err(StoreError::from)?;
            MIGRATIONS.run(&mut connection).await.map_err(|error| match error {
                MigrateError::Execute(error) => OpenError::Store(Fault::from(error).into()),
                other => OpenError::Migrate(other.to_string()),
            })?;
            crate::indexes::complete(&mut connection).await.map_err(StoreError::from)?;
        }
        Ok(self.ensure_partitions().await?)
    }

    /// Whether the schema fits this binary. Waits for a database that is away, saying so once.
    pub async fn check_schema(&self) -> Result<(), OpenError> {
        let mut said = false;
        loop {
            match self.compare().await {
                Ok(Ordering::Less) => {
                    let found = self.schema_version().await?;
                    return Err(OpenError::Older { found, known: known_version() });
                }
                Ok(Ordering::Equal | Ordering::Greater) => return Ok(()),
                Err(OpenError::Store(StoreError::Away(reason))) => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::warn!(reason, "the database does not answer yet; waiting for it");
                    }
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(error) => return Err(error),
            }
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

    /// Whether every process that may run against this schema reads packs of events.
    pub async fn all_read_packs(&self) -> Result<bool, StoreError> {
        Ok(self.oldest_supported().await? >= READS_PACKS)
    }

    async fn oldest_supported(&self) -> Result<i64, StoreError> {
        let oldest = sqlx::query_scalar("SELECT oldest_supported FROM schema_compatibility");
        Ok(oldest.fetch_one(&self.pool).await.map_err(Fault::from)?)
    }

    /// How the database's schema stands to this binary's; `Greater` is one that this binary may run against.
    async fn compare(&self) -> Result<Ordering, OpenError> {
        let (found, known) = (self.schema_version().await?, known_version());
        if found > known {
            let oldest = self.oldest_supported().await?;
            if oldest > known {
                return Err(OpenError::Newer { found, oldest, known });
            }
        }
        Ok(found.cmp(&known))
    }
}

fn known_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}
