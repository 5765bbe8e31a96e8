//! Roles in the test's own process, over the real engines: for scenarios that reach inside.

use std::sync::Arc;

use anyhow::Result;
use tokio_util::sync::CancellationToken;
use whimbrel_core::contract::ContractSet;
use whimbrel_core::port::{Clock, Queue, Store, SystemClock};
use whimbrel_core::sealing::KeyRing;
use whimbrel_core::tier::Tiers;
use whimbrel_sender::EgressPolicy;
use whimbrel_testkit::postgres::{self, Database};
use whimbrel_testkit::rabbitmq::{self, Vhost};

use super::Kind;

/// An engine and what its roles need.
pub(crate) struct Roles {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: Arc<dyn Queue>,
    contracts: Arc<ContractSet>,
    tiers: Arc<Tiers>,
    clock: Arc<dyn Clock>,
    #[expect(dead_code, reason = "held for its drop")]
    place: Place,
}

/// Where the engine keeps its data.
#[expect(dead_code, reason = "held for their drop")]
enum Place {
    Directory(tempfile::TempDir),
    Servers(Box<(Database, Vhost)>),
}

impl Roles {
    pub(crate) async fn open(kind: Kind, contracts: Arc<ContractSet>, tiers: Arc<Tiers>) -> Result<Self> {
        whimbrel_testkit::http::install_tls();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ring = Arc::new(KeyRing::parse(&KeyRing::generate_entry(&*clock))?);
        match kind {
            Kind::Embedded => {
                let directory = tempfile::tempdir()?;
                let options = whimbrel_sqlite::Options::default();
                let engine = whimbrel_sqlite::Engine::open(directory.path(), options, ring, clock.clone()).await?;
                let (store, queue) = (engine.store(), engine.queue());
                Ok(Self { store, queue, contracts, tiers, clock, place: Place::Directory(directory) })
            }
            Kind::Distributed => {
                let (database, vhost) = tokio::try_join!(postgres::database(), rabbitmq::vhost())?;
                let options = whimbrel_postgres::Options::default();
                let store =
                    whimbrel_postgres::PostgresStore::connect(database.url(), options, ring, clock.clone()).await?;
                store.migrate().await?;
                whimbrel_rabbitmq::topology::declare(vhost.amqp_url(), &whimbrel_rabbitmq::Topology::new(&tiers))
                    .await?;
                let options = whimbrel_rabbitmq::Options { url: vhost.amqp_url().to_owned(), role: "test".into() };
                let queue = whimbrel_rabbitmq::RabbitQueue::connect(options, (*tiers).clone(), clock.clone()).await?;
                let place = Place::Servers(Box::new((database, vhost)));
                Ok(Self { store: Arc::new(store), queue, contracts, tiers, clock, place })
            }
        }
    }

    /// Until `stop` is cancelled.
    pub(crate) fn start_ingest_and_sender(&self, stop: &CancellationToken) {
        let ingest = whimbrel_ingest::Ingest {
            store: self.store.clone(),
            queue: self.queue.clone(),
            contracts: self.contracts.clone(),
            clock: self.clock.clone(),
            retention: std::time::Duration::from_hours(24),
        };
        let sender = whimbrel_sender::Sender {
            store: self.store.clone(),
            queue: self.queue.clone(),
            contracts: self.contracts.clone(),
            tiers: self.tiers.clone(),
            clock: self.clock.clone(),
            egress: Arc::new(EgressPolicy {
                allow_http: true,
                allow_networks: vec!["127.0.0.0/8".parse().expect("a network")],
            }),
            config: whimbrel_sender::SenderConfig::default(),
        };
        tokio::spawn(whimbrel_ingest::run(ingest, stop.clone()));
        tokio::spawn(whimbrel_sender::run(sender, stop.clone()));
    }
}
