//! Tenants as they were when last read. What is decided by such copies holds only if the store then finds each tenant at
//! its copy's version, so that no batch is handled by what was before it.

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
#[derive(Default)]
pub(crate) struct Tenants {
    known: Kept,
    /// At which versions they must still be when the batch is stored: none if they are as they are now.
    pub(crate) as_of: Vec<(TenantId, i64)>,
}

type Kept = HashMap<TenantId, (TenantHead, Arc<Known>)>;

impl Tenants {
    /// One of them.
    pub(crate) fn get(&self, id: &TenantId) -> Option<(&TenantHead, &Arc<Known>)> {
        self.known.get(id).map(|(head, known)| (head, known))
    }

    /// They need no confirmation.
    pub(crate) fn are_certain(&self) -> bool {
        self.as_of.is_empty()
    }
}

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
    kept: Kept,
}

impl Directory {
    /// Copies of all of these, if there are.
    pub(crate) fn copies(&self, ids: &[TenantId]) -> Option<Tenants> {
        let copy = |id: &TenantId| Some((id.clone(), self.kept.get(id)?.clone()));
        let known: Kept = ids.iter().map(copy).collect::<Option<_>>()?;
        let as_of = known.iter().map(|(id, (head, _))| (id.clone(), head.endpoints_version)).collect();
        Some(Tenants { known, as_of })
    }

    /// The known ones among these, as they are now.
    pub(crate) async fn read(&mut self, store: &dyn Intake, ids: &[TenantId]) -> Result<Tenants, StoreError> {
        let mut tenants = Tenants::default();
        for head in store.tenant_heads(ids).await? {
            let known = self.known(store, &head).await?;
            tenants.known.insert(head.id.clone(), (head, known));
        }
        Ok(tenants)
    }

    async fn known(&mut self, store: &dyn Intake, head: &TenantHead) -> Result<Arc<Known>, StoreError> {
        if let Some((copy, known)) = self.kept.get(&head.id)
            && copy.endpoints_version == head.endpoints_version
        {
            return Ok(known.clone());
        }
        let Subscriptions { version, subscribers, schemas } = store.subscriptions(&head.id).await?;
        let schemas = schemas.into_iter().filter_map(|(name, text)| Some((name.clone(), compile(&name, &text)?)));
        let known = Arc::new(Known { roster: Roster::new(subscribers), schemas: schemas.collect() });
        if self.kept.len() >= TENANTS_MAX {
            self.kept.clear();
        }
        // Both are of one moment, or the next batch reads both anew.
        if version == head.endpoints_version {
            self.kept.insert(head.id.clone(), (head.clone(), known.clone()));
        }
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
