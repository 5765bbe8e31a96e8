//! The behaviour of every queue engine.

use std::sync::Arc;

use whimbrel_core::port::{Parking, Queue};
use whimbrel_rabbitmq::RabbitParking;
use whimbrel_testkit::conformance::queue::Fixture;
use whimbrel_testkit::queue_conformance;
use whimbrel_testkit::rabbitmq::Vhost;

use crate::support;

struct Broker(Vhost);

impl Fixture for Broker {
    async fn open(&self) -> anyhow::Result<Arc<dyn Queue>> {
        Ok(support::connect(self.0.amqp_url()).await?)
    }

    async fn parking(&self) -> anyhow::Result<Arc<dyn Parking>> {
        Ok(Arc::new(RabbitParking::new(&support::options(self.0.amqp_url()))?))
    }
}

async fn broker() -> anyhow::Result<Broker> {
    Ok(Broker(support::declared().await?))
}

queue_conformance!(broker);
