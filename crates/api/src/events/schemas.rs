//! The tenants' event schemas, compiled and kept as long as nothing about the tenant's subscriptions changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use whimbrel_core::TenantId;
use whimbrel_core::port::{Store, StoreError};
use whimbrel_core::schema::EventSchema;
use whimbrel_core::subscription::EventType;
use whimbrel_core::tenant::TenantHead;

/// Tenants remembered at most.
const TENANTS_MAX: usize = 1_000;

/// A tenant's schemas by event type.
pub(super) type TenantSchemas = Arc<HashMap<EventType, EventSchema>>;

/// What this process has compiled.
#[derive(Default)]
pub(crate) struct Schemas(Mutex<HashMap<TenantId, Compiled>>);

/// As of one version of the tenant's subscriptions.
struct Compiled {
    version: i64,
    schemas: TenantSchemas,
}

impl Schemas {
    /// The tenant's schemas at the version of this head, from the store if need be.
    pub(super) async fn of(&self, store: &dyn Store, tenant: &TenantHead) -> Result<TenantSchemas, StoreError> {
        if let Some(schemas) = self.known(tenant) {
            return Ok(schemas);
        }
        let read = store.subscriptions(&tenant.id).await?;
        let schemas = Arc::new(compile(&tenant.id, read.schemas));
        self.keep(&tenant.id, Compiled { version: read.version, schemas: schemas.clone() });
        Ok(schemas)
    }

    fn known(&self, tenant: &TenantHead) -> Option<TenantSchemas> {
        let tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = tenants.get(&tenant.id)?;
        (compiled.version == tenant.endpoints_version).then(|| compiled.schemas.clone())
    }

    fn keep(&self, tenant: &TenantId, compiled: Compiled) {
        let mut tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= TENANTS_MAX && !tenants.contains_key(tenant) {
            let any = tenants.keys().next().cloned();
            any.and_then(|any| tenants.remove(&any));
        }
        tenants.insert(tenant.clone(), compiled);
    }
}

/// A schema was compiled before it was stored; one that cannot be compiled again is another version's, and checks
/// nothing here.
fn compile(tenant: &TenantId, schemas: Vec<(EventType, String)>) -> HashMap<EventType, EventSchema> {
    let compiled = schemas.into_iter().filter_map(|(event_type, text)| match read(&text) {
        Ok(schema) => Some((event_type, schema)),
        Err(error) => {
            tracing::error!(%tenant, %event_type, error, "a stored schema cannot be used; its events go unchecked");
            None
        }
    });
    compiled.collect()
}

fn read(text: &str) -> Result<EventSchema, String> {
    let source = serde_json::from_str(text).map_err(|error| error.to_string())?;
    EventSchema::compile(&source).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(id: &str, version: i64) -> TenantHead {
        TenantHead {
            id: TenantId::try_new(id).expect("a tenant id"),
            contract: "standard".parse().expect("a name"),
            limits: whimbrel_core::tenant::TenantLimits::default(),
            endpoints_version: version,
        }
    }

    #[test]
    fn only_the_same_version_counts_and_the_memory_is_bounded() {
        let schemas = Schemas::default();
        for number in 0..TENANTS_MAX + 3 {
            let tenant = head(&format!("t{number}"), 7);
            schemas.keep(&tenant.id, Compiled { version: 7, schemas: TenantSchemas::default() });
            assert!(schemas.known(&tenant).is_some());
            assert!(schemas.known(&head(tenant.id.as_str(), 8)).is_none(), "a newer version");
            assert!(schemas.known(&head(tenant.id.as_str(), 1)).is_none(), "a tenant made anew");
        }
        assert_eq!(schemas.0.lock().expect("nothing panicked").len(), TENANTS_MAX);
    }

    #[test]
    fn what_cannot_be_compiled_is_left_out() {
        let event_type = |text| EventType::try_new(text).expect("a type");
        let texts = [("a", r#"{"type": "object"}"#), ("b", r#"{"type": 7}"#), ("c", "oops")];
        let texts = texts.map(|(name, text)| (event_type(name), text.to_owned())).to_vec();
        let compiled = compile(&TenantId::default(), texts);
        assert_eq!(compiled.into_keys().collect::<Vec<_>>(), [event_type("a")]);
    }
}
