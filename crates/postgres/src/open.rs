//! Opening: the pool, which heals by itself.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use time::OffsetDateTime;
use whimbrel_core::Timestamp;
use whimbrel_core::port::{Clock, Store, StoreError};
use whimbrel_core::sealing::KeyRing;

use crate::fault::Fault;
use crate::trust::Trust;

/// Sizes of the pools.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Connections at most, at least 2: half of them for an event's way, the others for whatever searches.
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
    /// The schema was made by a newer version, which says that this one may not run against it.
    #[error(
        "the database's schema is at version {found} and needs a binary that knows version {oldest}, \
         this one knows {known}: run a newer binary"
    )]
    Newer {
        /// In the database.
        found: i64,
        /// The oldest version whose binaries may run against it.
        oldest: i64,
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
    /// For whatever searches: each statement is planned for its values, so that it leaves out other days.
    pub(crate) pool: PgPool,
    /// One connection, of the same kind, for what the tracker does by the clock, one thing after the other. Its searches
    /// are over all days, and a connection that has planned such a one stays megabytes larger.
    pub(crate) duties: PgPool,
    /// For an event's way to its receivers, whose statements insert, or find rows by their ids: see [`keyed`].
    pub(crate) keyed: PgPool,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) clock: Arc<dyn Clock>,
    /// That events are new.
    pub(crate) new_events: Trust,
    /// That attempts are new, and their deliveries await them.
    pub(crate) new_attempts: Trust,
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
        let pools = PgPoolOptions::new()
            .acquire_timeout(options.acquire_timeout)
            // A broken connection shows at the first statement, and every caller tries again.
            .test_before_acquire(false);
        let pool_of = |connections_max: u32, connect: PgConnectOptions| {
            pools.clone().max_connections(connections_max.max(1)).connect_lazy_with(connect)
        };
        let searching = connect.clone().options([("plan_cache_mode", "force_custom_plan")]);
        let half = options.connections_max / 2;
        let keyed = pool_of(options.connections_max - half, keyed(connect));
        let duties = pool_of(1, searching.clone());
        // With one connection for both, they share it.
        let pool = if half > 1 { pool_of(half - 1, searching) } else { duties.clone() };
        Ok(Self { pool, keyed, duties, ring, clock, new_events: Trust::default(), new_attempts: Trust::default() })
    }

    /// A connection outside the pool, for what may take long and wait long: the pool's limits are not for it.
    pub(crate) async fn own_connection(&self) -> Result<PgConnection, Fault> {
        let mut connection = self.pool.acquire().await?.detach();
        sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0").execute(&mut connection).await?;
        Ok(connection)
    }
}

/// A statement is planned once for a connection and not once for every batch, which over tables of many partitions
/// takes longer than running it. Such a plan does not know how many rows it will meet, nor how large the tables will
/// become, so it must be one that does not care: an insert, a look-up by key, a look that one small index serves, and
/// rows joined with what is bound, never in a nested loop.
fn keyed(connect: PgConnectOptions) -> PgConnectOptions {
    connect.options([("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("enable_nestloop", "off")])
}

#[async_trait]
impl Store for PostgresStore {
    async fn ping(&self) -> Result<Timestamp, StoreError> {
        let now: OffsetDateTime =
            sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&self.pool).await.map_err(Fault::from)?;
        Ok(now.into())
    }

    async fn close(&self) {
        for pool in [&self.keyed, &self.pool, &self.duties] {
            pool.close().await;
        }
    }
}
