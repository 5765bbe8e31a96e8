//! What a request's extractors tell the audit log: they know who calls, the log stands around them.

use std::sync::{Arc, OnceLock};

use axum::http::request::Parts;
use whimbrel_core::TenantId;

use crate::auth::Actor;

/// Goes with a request that will be recorded, to be filled in on the way.
#[derive(Clone, Default)]
pub(crate) struct Slip(Arc<Entries>);

#[derive(Default)]
struct Entries {
    actor: OnceLock<Actor>,
    tenant: OnceLock<TenantId>,
}

impl Slip {
    /// The request's own, or one that nobody will read.
    pub(crate) fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// Says who calls. The first word holds.
    pub(crate) fn by(&self, actor: Actor) {
        self.0.actor.get_or_init(|| actor);
    }

    /// Says for which tenant. The first word holds.
    pub(crate) fn about(&self, tenant: &TenantId) {
        self.0.tenant.get_or_init(|| tenant.clone());
    }

    /// Who called.
    pub(super) fn actor(&self) -> Option<Actor> {
        self.0.actor.get().copied()
    }

    /// For which tenant.
    pub(super) fn tenant(&self) -> Option<&TenantId> {
        self.0.tenant.get()
    }
}
