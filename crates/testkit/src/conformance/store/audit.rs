//! `Audit`: who did what.

use anyhow::ensure;
use whimbrel_core::port::{AuditEntry, Clock as _, Page};
use whimbrel_core::{AuditId, TenantId, Timestamp};

use super::world::tenant_id;
use super::{Checked, World};

/// An entry of that time, not stored.
pub(super) fn entry(world: &World, at: Timestamp, tenant: Option<&TenantId>) -> AuditEntry {
    let id = AuditId::generate(at, world.clock.random10());
    AuditEntry {
        id,
        actor: "admin".to_owned(),
        tenant: tenant.cloned(),
        action: "POST /v1/webhooks/{id}/activate".to_owned(),
        subject: format!("/v1/webhooks/{id}/activate"),
        status: 200,
        request_id: format!("request of {id}"),
    }
}

/// About one tenant, also one that is gone by then, or about all and none.
pub async fn audit_entries_come_in_pages_newest_first(world: &World) -> Checked {
    let (acme, gone) = (tenant_id("acme"), world.tenant("gone").await?);
    let mut all = Vec::new();
    for tenant in [Some(&acme), None, Some(&gone), Some(&acme), Some(&acme)] {
        let entry =
            AuditEntry { status: if tenant.is_none() { 999 } else { 204 }, ..entry(world, world.now(), tenant) };
        world.store.record(&entry).await?;
        all.insert(0, entry);
    }
    world.store.delete_tenant(&gone).await?;
    let of = |tenant: &TenantId| -> Vec<AuditEntry> {
        all.iter().filter(|entry| entry.tenant.as_ref() == Some(tenant)).cloned().collect()
    };
    for (tenant, expected) in [(None, all.clone()), (Some(&acme), of(&acme)), (Some(&gone), of(&gone))] {
        let mut found: Vec<AuditEntry> = Vec::new();
        loop {
            let after = found.last().map(|entry| entry.id);
            let page = world.store.audit(tenant, Page { after, limit: 2 }).await?;
            ensure!(page.len() <= 2 && found.len() <= all.len(), "{page:?} after {found:?}");
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        ensure!(found == expected, "{found:?} instead of {expected:?}");
    }
    let nobody = tenant_id("nobody");
    ensure!(world.store.audit(Some(&nobody), Page { after: None, limit: 9 }).await?.is_empty(), "nobody has entries");
    Ok(())
}
