//! Roles in the test's own process, over the real engines: for scenarios that reach inside.

use std::sync::Arc;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use whimbrel_core::contract::ContractSet;
use whimbrel_core::delivery::SWEEP_GRACE;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::id::PackId;
use whimbrel_core::message::{PROTOBUF, id_bytes, v1};
use whimbrel_core::port::{Clock, Message, Parking, Queue, Route, Store, SystemClock};
use whimbrel_core::sealing::KeyRing;
use whimbrel_core::secret::{Secret, SecretPair};
use whimbrel_core::tenant::Tenant;
use whimbrel_core::tier::Tiers;
use whimbrel_core::{EndpointId, EventId, TenantId};
use whimbrel_sender::EgressPolicy;
use whimbrel_testkit::postgres::{self, Database};
use whimbrel_testkit::proxy::FaultProxy;
use whimbrel_testkit::rabbitmq::{self, Vhost};

use super::Kind;

/// An engine and what its roles need.
pub(crate) struct Roles {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) parking: Arc<dyn Parking>,
    contracts: Arc<ContractSet>,
    tiers: Arc<Tiers>,
    clock: Arc<dyn Clock>,
    place: Place,
}

/// Where the engine keeps its data.
enum Place {
    Directory(TempDir),
    Servers(Box<(Database, Vhost)>),
}

impl Roles {
    /// A new, empty one.
    pub(crate) async fn open(kind: Kind, contracts: Arc<ContractSet>, tiers: Arc<Tiers>) -> Result<Self> {
        whimbrel_testkit::http::install_tls();
        match kind {
            Kind::Embedded => Self::embedded(tempfile::tempdir()?, contracts, tiers).await,
            Kind::Distributed => {
                let clock: Arc<dyn Clock> = Arc::new(SystemClock);
                let ring = Arc::new(KeyRing::parse(&KeyRing::generate_entry(&*clock))?);
                let (database, vhost) = tokio::try_join!(postgres::database(), rabbitmq::vhost())?;
                let options = whimbrel_postgres::Options::default();
                let store =
                    whimbrel_postgres::PostgresStore::connect(database.url(), options, ring, clock.clone()).await?;
                store.migrate().await?;
                whimbrel_rabbitmq::topology::declare(vhost.amqp_url(), &whimbrel_rabbitmq::Topology::new(&tiers))
                    .await?;
                let options = whimbrel_rabbitmq::Options {
                    url: vhost.amqp_url().to_owned(),
                    role: "test".into(),
                    name_user: false,
                };
                let parking = Arc::new(whimbrel_rabbitmq::RabbitParking::new(&options)?);
                let queue = whimbrel_rabbitmq::RabbitQueue::connect(options, (*tiers).clone(), clock.clone()).await?;
                let place = Place::Servers(Box::new((database, vhost)));
                Ok(Self { store: Arc::new(store), queue, parking, contracts, tiers, clock, place })
            }
        }
    }

    async fn embedded(directory: TempDir, contracts: Arc<ContractSet>, tiers: Arc<Tiers>) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ring = Arc::new(KeyRing::parse(&KeyRing::generate_entry(&*clock))?);
        let options = whimbrel_sqlite::Options::default();
        let engine = whimbrel_sqlite::Engine::open(directory.path(), options, ring, clock.clone()).await?;
        let (store, queue, parking) = (engine.store(), engine.queue(), engine.parking());
        Ok(Self { store, queue, parking, contracts, tiers, clock, place: Place::Directory(directory) })
    }

    /// The same data under a ring that lacks the key of before; embedded only.
    pub(crate) async fn with_another_ring(self) -> Result<Self> {
        self.queue.close().await;
        self.store.close().await;
        let Place::Directory(directory) = self.place else { anyhow::bail!("an embedded engine") };
        Self::embedded(directory, self.contracts, self.tiers).await
    }

    /// Another store on the same database, through this proxy; distributed only.
    pub(crate) async fn store_through(&self, proxy: &FaultProxy) -> Result<Arc<dyn Store>> {
        let ring = Arc::new(KeyRing::parse(&KeyRing::generate_entry(&*self.clock))?);
        let options = whimbrel_postgres::Options::default();
        let url = proxy.url(self.database_url()?)?;
        Ok(Arc::new(whimbrel_postgres::PostgresStore::connect(&url, options, ring, self.clock.clone()).await?))
    }

    /// Distributed only.
    pub(crate) fn database_url(&self) -> Result<&str> {
        let Place::Servers(servers) = &self.place else { anyhow::bail!("a distributed engine") };
        Ok(servers.0.url())
    }

    /// Until `stop` is cancelled.
    pub(crate) fn start_ingest(&self, stop: &CancellationToken) {
        self.start_ingest_on(self.store.clone(), stop);
    }

    /// The same on another store.
    pub(crate) fn start_ingest_on(&self, store: Arc<dyn Store>, stop: &CancellationToken) {
        let ingest = whimbrel_ingest::Ingest {
            store,
            queue: self.queue.clone(),
            contracts: self.contracts.clone().into(),
            clock: self.clock.clone(),
            retention: std::time::Duration::from_hours(24),
            sweep_grace: SWEEP_GRACE,
            publishers: whimbrel_ingest::Publishers::Trusted,
            tenant_budget: 1_000,
        };
        tokio::spawn(whimbrel_ingest::run(ingest, stop.clone()));
    }

    /// Until `stop` is cancelled; over `queue`, which may be the engine's in other clothes.
    pub(crate) fn start_sender(&self, queue: Arc<dyn Queue>, stop: &CancellationToken) {
        self.start_sender_with(queue, stop, whimbrel_sender::SenderConfig::default().endpoint_in_flight_max);
    }

    /// The same with a cap of its own for POSTs to one endpoint.
    pub(crate) fn start_sender_with(&self, queue: Arc<dyn Queue>, stop: &CancellationToken, cap: usize) {
        let networks = vec!["127.0.0.0/8".parse().expect("a network")];
        let sender = whimbrel_sender::Sender {
            store: self.store.clone(),
            queue,
            contracts: self.contracts.clone().into(),
            tiers: self.tiers.clone(),
            clock: self.clock.clone(),
            egress: Arc::new(EgressPolicy { allow_http: true, allow_networks: networks, proxy: None }),
            config: whimbrel_sender::SenderConfig { endpoint_in_flight_max: cap, ..Default::default() },
        };
        tokio::spawn(whimbrel_sender::run(sender, stop.clone()));
    }
}

/// An endpoint of the tenant `default` under a contract, with these secrets or a generated one.
pub(crate) async fn subscribe(
    roles: &Roles,
    contract: &str,
    url: String,
    secrets: Option<SecretPair>,
) -> Result<EndpointId> {
    subscribe_to(roles, contract, url, secrets, "*").await
}

/// The same, for some events only.
pub(crate) async fn subscribe_to(
    roles: &Roles,
    contract: &str,
    url: String,
    secrets: Option<SecretPair>,
    events: &str,
) -> Result<EndpointId> {
    let clock = &*roles.clock;
    let tenant = Tenant::new(TenantId::default(), contract.parse()?, clock.now());
    roles.store.create_tenant(&tenant).await?;
    let rules = roles.contracts.get(&tenant.contract).context("a contract")?;
    let generated = || SecretPair::new(Secret::generate(rules, &mut |bytes| clock.fill(bytes)));
    let endpoint = Endpoint::new(
        EndpointId::generate(clock.now(), clock.random10()),
        tenant.id,
        tenant.contract,
        url,
        vec![events.parse()?],
        secrets.unwrap_or_else(generated),
        clock.now(),
    );
    roles.store.create_endpoint(&endpoint, None).await?;
    Ok(endpoint.id)
}

/// An event of the tenant `default`, as the API publishes it.
pub(crate) async fn publish(queue: &dyn Queue) -> Result<EventId> {
    publish_of_type(queue, "order.created").await
}

/// The same, of any type.
pub(crate) async fn publish_of_type(queue: &dyn Queue, event_type: &str) -> Result<EventId> {
    let clock = SystemClock;
    let event = EventId::generate(clock.now(), clock.random10());
    let wire = v1::Event {
        id: id_bytes(event.uuid()),
        tenant: "default".into(),
        r#type: event_type.into(),
        data: "{}".into(),
        ..v1::Event::default()
    };
    let payload = prost::Message::encode_to_vec(&wire).into();
    let id = PackId::generate(clock.now(), clock.random10());
    let route = Route::Events(wire.r#type);
    queue.publisher().publish(vec![Message { route, id, content_type: PROTOBUF.into(), payload }]).await?;
    Ok(event)
}
