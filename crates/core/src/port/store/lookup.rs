//! What the sender needs of the store, and whoever shows deliveries.

use std::collections::HashMap;

use async_trait::async_trait;

use super::StoreError;
use crate::delivery::Delivery;
use crate::endpoint::{Endpoint, EndpointStatus};
use crate::id::{DeliveryId, EndpointId};

/// What the sender needs.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// The existing ones among `ids`, in any order.
    async fn endpoints(&self, ids: &[EndpointId]) -> Result<Vec<Endpoint>, StoreError>;

    /// Whether the existing ones among `ids` take deliveries. Opens no secret, so it works whatever keys there are.
    async fn statuses(&self, ids: &[EndpointId]) -> Result<HashMap<EndpointId, EndpointStatus>, StoreError>;

    /// Where these deliveries stand; unknown ones are missing (rule 4).
    async fn positions(&self, ids: &[DeliveryId]) -> Result<Vec<Delivery>, StoreError>;
}
