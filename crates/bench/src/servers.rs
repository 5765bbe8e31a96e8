//! The PostgreSQL and the RabbitMQ that the distributed engine is measured on.

use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use futures::future::try_join_all;
use whimbrel_testkit::postgres::{self, Database, Postgres, psql};
use whimbrel_testkit::rabbitmq::{self, Broker, Vhost};
use whimbrel_testkit::servers::unique;

/// The database that the systems' own are copies of.
const TEMPLATE: &str = "bench_template";

/// Both servers.
pub enum Servers {
    /// Of this bench alone, durable as in production: for figures.
    Private {
        /// A virtual host that has been used before: making one takes longer than emptying it.
        used: Box<Mutex<Option<Vhost>>>,
        /// The database server.
        postgres: Box<Postgres>,
        /// The broker.
        broker: Box<Broker>,
    },
    /// Those of the tests, which others use at the same time: for correctness. Their CPU and memory are not measured.
    Shared,
    /// None, when only the embedded engine is measured.
    None,
}

/// A database and a virtual host of one system's own.
pub struct Corner {
    database_url: String,
    database: Guard,
    vhost: Vhost,
    /// Whether the virtual host may be used again.
    plain: bool,
    /// Whether the database has the schema.
    pub is_migrated: bool,
    /// Whether the virtual host has the topology.
    pub has_topology: bool,
}

/// How the database is dropped.
enum Guard {
    /// By a statement on this server.
    Named { name: String, maintenance_url: String },
    /// Together with this value.
    Owned { _database: Database },
}

impl Servers {
    /// Starts private ones (about eight seconds).
    ///
    /// # Errors
    /// When one does not start.
    pub async fn private() -> Result<Self> {
        let (postgres, broker) = tokio::try_join!(Postgres::start_durable(), Broker::start_as_shipped())?;
        Ok(Self::Private { used: Box::default(), postgres: Box::new(postgres), broker: Box::new(broker) })
    }

    /// Makes the database that those of systems will be copies of, and gives its URL; `None` where there is none.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn create_template(&self) -> Result<Option<String>> {
        match self {
            Self::Private { postgres, .. } => postgres.create_database(TEMPLATE).await.map(Some),
            Self::Shared | Self::None => Ok(None),
        }
    }

    /// The process ids of PostgreSQL and RabbitMQ, where they are ours.
    pub fn pids(&self) -> Option<(i32, i32)> {
        match self {
            Self::Private { postgres, broker, .. } => Some((postgres.pid()?, broker.pid()?)),
            Self::Shared | Self::None => None,
        }
    }

    /// A fresh database, and an empty virtual host; `plain` when it will hold Whimbrel's topology and nothing else.
    ///
    /// # Errors
    /// When a server refuses.
    pub async fn corner(&self, plain: bool) -> Result<Corner> {
        let Self::Private { postgres, broker, used } = self else { return shared().await };
        let (name, maintenance_url) = (unique("bench"), postgres.url("postgres"));
        psql(&maintenance_url, &format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await?;
        let database_url = postgres.url(&name);
        let again = if plain { used.lock().unwrap_or_else(PoisonError::into_inner).take() } else { None };
        let has_topology = again.is_some();
        let vhost = match again {
            Some(vhost) => emptied(vhost).await?,
            None => broker.create_vhost().await?,
        };
        let database = Guard::Named { name, maintenance_url };
        Ok(Corner { database_url, database, vhost, plain, is_migrated: true, has_topology })
    }

    /// Takes back what a system used, so that what is in it costs nothing any more.
    ///
    /// # Errors
    /// When a server is down.
    pub async fn take_back(&self, corner: Corner) -> Result<()> {
        if let Guard::Named { name, maintenance_url } = corner.database {
            psql(&maintenance_url, &format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        }
        if let (Self::Private { used, .. }, true) = (self, corner.plain) {
            let vhost = emptied(corner.vhost).await?;
            *used.lock().unwrap_or_else(PoisonError::into_inner) = Some(vhost);
        }
        Ok(())
    }
}

async fn shared() -> Result<Corner> {
    let (database, vhost) = tokio::try_join!(postgres::database(), rabbitmq::vhost())?;
    let database_url = database.url().to_owned();
    let database = Guard::Owned { _database: database };
    Ok(Corner { database_url, database, vhost, plain: false, is_migrated: false, has_topology: false })
}

/// Without a message in any queue.
async fn emptied(vhost: Vhost) -> Result<Vhost> {
    let queues: Vec<String> = vhost.depths().await?.into_keys().collect();
    try_join_all(queues.iter().filter(|queue| queue.starts_with("whimbrel.")).map(|queue| vhost.purge(queue))).await?;
    Ok(vhost)
}

impl Corner {
    /// `postgres://…`.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The virtual host.
    pub fn vhost(&self) -> &Vhost {
        &self.vhost
    }
}
