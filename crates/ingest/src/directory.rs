//! Each tenant's subscriptions and schemas, kept as long as the tenant's version stands: the version is read with
//! every batch, so a copy is never older than the batch.

use std::collections::HashMap;
use std::sync::Arc;

use tracing::error;
use whimbrel_core::TenantId;
use whimbrel_core::port::{Intake, StoreError, Subscriptions};
use whimbrel_core::schema::EventSchema;
use whimbrel_core::subscription::EventType;
use whimbrel_core::tenant::TenantHead;

use crate::roster::Roster;

/// Tenants kept; at the bound all are read anew.
const TENANTS_MAX: usize = 10_000;

/// What a batch needs of its tenants.
pub(crate) type Tenants = HashMap<TenantId, (TenantHead, Arc<Known>)>;

/// A tenant's side of fan-out.
#[derive(Default)]
pub(crate) struct Known {
    /// Its endpoints.
    pub(crate) roster: Roster,
    /// What its events' data must match.
    pub(crate) schemas: HashMap<EventType, EventSchema>,
}

/// The copies.
#[derive(Default)]
pub(crate) struct Directory {
    kept: HashMap<TenantId, (i64, Arc<Known>)>,
}

impl Directory {
    /// The known ones among `ids`, as they are now.
    pub(crate) async fn read(&mut self, store: &dyn Intake, ids: &[TenantId]) -> Result<Tenants, StoreError> {
        let heads = store.tenant_heads(ids).await?;
        let mut tenants = HashMap::with_capacity(heads.len());
        for head in heads {
            let known = self.known(store, &head).await?;
            tenants.insert(head.id.clone(), (head, known));
        }
        Ok(tenants)
    }

    async fn known(&mut self, store: &dyn Intake, head: &TenantHead) -> Result<Arc<Known>, StoreError> {
        if let Some((version, known)) = self.kept.get(&head.id)
            && *version == head.endpoints_version
        {
            return Ok(known.clone());
        }
        let Subscriptions { version, subscribers, schemas } = store.subscriptions(&head.id).await?;
        let schemas = schemas.into_iter().filter_map(|(name, text)| Some((name.clone(), compile(&name, &text)?)));
        let known = Arc::new(Known { roster: Roster::new(subscribers), schemas: schemas.collect() });
        if self.kept.len() >= TENANTS_MAX {
            self.kept.clear();
        }
        self.kept.insert(head.id.clone(), (version, known.clone()));
        Ok(known)
    }
}

/// The API compiled it before it was stored; one that does not compile here was made by another version.
fn compile(name: &EventType, text: &str) -> Option<EventSchema> {
    let compiled = serde_json::from_str(text)
        .map_err(|error| error.to_string())
        .and_then(|source| EventSchema::compile(&source).map_err(|error| error.to_string()));
    compiled
        .inspect_err(|error| error!(event_type = %name, error, "a stored schema cannot be used and is ignored"))
        .ok()
}
