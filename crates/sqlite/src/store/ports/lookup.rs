use std::collections::HashMap;

use async_trait::async_trait;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::endpoint::{Endpoint, EndpointStatus};
use whimbrel_core::id::{DeliveryId, EndpointId};
use whimbrel_core::port::Lookup;

use super::super::{Answer, SqliteStore, lookup};

#[async_trait]
impl Lookup for SqliteStore {
    async fn endpoints(&self, ids: &[EndpointId]) -> Answer<Vec<Endpoint>> {
        Ok(lookup::endpoints(self.reads(), &self.0.ring, ids).await?)
    }

    async fn statuses(&self, ids: &[EndpointId]) -> Answer<HashMap<EndpointId, EndpointStatus>> {
        Ok(lookup::statuses(self.reads(), ids).await?)
    }

    async fn positions(&self, ids: &[DeliveryId]) -> Answer<Vec<Delivery>> {
        Ok(lookup::positions(self.reads(), ids).await?)
    }
}
