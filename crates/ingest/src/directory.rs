//! Each tenant's subscriptions, kept as long as the tenant's version stands: the version is read with
//! every batch, so a copy is never older than the batch.

use std::collections::HashMap;
use std::sync::Arc;

use whimbrel_core::TenantId;
use whimbrel_core::endpoint::Subscriber;
use whimbrel_core::port::{Intake, StoreError};
use whimbrel_core::tenant::TenantHead;

/// Tenants kept; at the bound all are read anew.
const TENANTS_MAX: usize = 10_000;

/// What a batch needs of its tenants.
pub(crate) type Tenants = HashMap<TenantId, (TenantHead, Arc<Vec<Subscriber>>)>;

/// The copies.
#[derive(Default)]
pub(crate) struct Directory {
    kept: HashMap<TenantId, (i64, Arc<Vec<Subscriber>>)>,
}

impl Directory {
    /// The known ones among `ids`, as they are now.
    pub(crate) async fn read(&mut self, store: &dyn Intake, ids: &[TenantId]) -> Result<Tenants, StoreError> {
        let heads = store.tenant_heads(ids).await?;
        let mut tenants = HashMap::with_capacity(heads.len());
        for head in heads {
            let subscribers = self.subscribers(store, &head).await?;
            tenants.insert(head.id.clone(), (head, subscribers));
        }
        Ok(tenants)
    }

    async fn subscribers(&mut self, store: &dyn Intake, head: &TenantHead) -> Result<Arc<Vec<Subscriber>>, StoreError> {
        if let Some((version, subscribers)) = self.kept.get(&head.id)
            && *version == head.endpoints_version
        {
            return Ok(subscribers.clone());
        }
        let (version, subscribers) = store.subscribers(&head.id).await?;
        let subscribers = Arc::new(subscribers);
        if self.kept.len() >= TENANTS_MAX {
            self.kept.clear();
        }
        self.kept.insert(head.id.clone(), (version, subscribers.clone()));
        Ok(subscribers)
    }
}
