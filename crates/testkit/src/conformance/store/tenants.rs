//! `Tenants`: the tenants themselves.

use anyhow::ensure;
use whimbrel_core::delivery::{DeliveryState, WaitReason};
use whimbrel_core::port::Page;
use whimbrel_core::tenant::{Tenant, TenantLimits};

use super::world::{contract, tenant_id};
use super::{Checked, World};

/// A taken id is not taken over.
pub async fn a_tenant_is_created_once(world: &World) -> Checked {
    let first =
        Tenant { name: Some("Acme, Inc.".to_owned()), contract: contract("bitbybit"), ..world.new_tenant("acme") };
    ensure!(world.store.create_tenant(&first).await?, "a free id was taken");
    let second = Tenant { name: None, contract: contract("generic"), created_at: world.now(), ..first.clone() };
    ensure!(!world.store.create_tenant(&second).await?, "a taken id was free");
    ensure!(world.store.tenant(&first.id).await?.as_ref() == Some(&first), "the tenant changed");
    ensure!(world.store.tenant(&tenant_id("nobody")).await?.is_none(), "an unknown tenant is there");
    Ok(())
}

/// In byte order of their ids: `-` and digits before `_` before letters.
pub async fn tenants_come_in_pages_by_id(world: &World) -> Checked {
    let ids = ["a-b", "a1", "a_b", "ab", "b"];
    for id in [3, 0, 4, 2, 1].map(|place: usize| ids[place]) {
        world.tenant(id).await?;
    }
    let mut after = None;
    for expected in [&ids[..2], &ids[2..4], &ids[4..], &[]] {
        let page = world.store.tenants(Page { after: after.clone(), limit: 2 }).await?;
        let found: Vec<_> = page.iter().map(|tenant| tenant.id.as_str()).collect();
        ensure!(found == expected, "{found:?} instead of {expected:?}");
        after = page.last().map(|tenant| tenant.id.clone());
    }
    Ok(())
}

/// The rest stays, and the changed tenant comes back; an unknown one is not made.
pub async fn update_tenant_sets_name_and_contract(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let before = world.store.tenant(&acme).await?;
    let wanted = Tenant { name: Some("Acme".to_owned()), contract: contract("eightbit"), ..world.new_tenant("acme") };
    let updated = world.store.update_tenant(&wanted).await?;
    let expected = before.map(|before| Tenant { created_at: before.created_at, ..wanted.clone() });
    ensure!(updated == expected, "{updated:?} instead of {expected:?}");
    ensure!(world.store.tenant(&acme).await? == expected, "it was not stored");
    let stranger = Tenant { id: tenant_id("nobody"), ..wanted };
    ensure!(world.store.update_tenant(&stranger).await?.is_none(), "an unknown tenant was updated");
    ensure!(world.store.tenant(&stranger.id).await?.is_none(), "an unknown tenant was made");
    Ok(())
}

/// While there is an endpoint, the old contract comes back; when the last one is gone, it may change again.
pub async fn rule_26_a_contract_is_fixed_once_endpoints_exist(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let wanted = Tenant { contract: contract("generic"), ..world.new_tenant("acme") };
    let kept = world.store.update_tenant(&wanted).await?.map(|tenant| tenant.contract);
    ensure!(kept == Some(contract("standard")), "{kept:?} although there is an endpoint");
    ensure!(world.stored(&endpoint).await?.contract == contract("standard"), "the endpoint's contract changed");
    world.store.delete_endpoint(&acme, endpoint.id).await?;
    let changed = world.store.update_tenant(&wanted).await?.map(|tenant| tenant.contract);
    ensure!(changed == Some(contract("generic")), "{changed:?} although there is no endpoint");
    Ok(())
}

/// And cancels what waits; other tenants are left alone, the id is free again.
pub async fn delete_tenant_takes_keys_and_endpoints_along(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let other = world.endpoint(&globex).await?;
    let waiting = DeliveryState::Waiting(WaitReason::Manual);
    let (theirs, untouched) = (world.delivery_in(&endpoint, waiting).await?, world.delivery_in(&other, waiting).await?);
    let (key, other_key) = (world.new_key(Some(&acme), 1), world.new_key(Some(&globex), 2));
    world.store.create_key(&key).await?;
    world.store.create_key(&other_key).await?;

    ensure!(world.store.delete_tenant(&acme).await?, "a known tenant was unknown");
    ensure!(world.store.tenant(&acme).await?.is_none(), "the tenant is still there");
    ensure!(world.store.tenant_heads(std::slice::from_ref(&acme)).await?.is_empty(), "its head is still there");
    ensure!(world.store.endpoints(&[endpoint.id]).await?.is_empty(), "its endpoint is still there");
    ensure!(world.store.key_by_hash(&key.hash).await?.is_none(), "its key is still there");
    ensure!(world.position(&theirs).await?.state == DeliveryState::Cancelled, "its delivery still waits");

    ensure!(world.stored(&other).await? == other, "another tenant's endpoint changed");
    ensure!(world.store.key_by_hash(&other_key.hash).await? == Some(other_key), "another tenant's key is gone");
    ensure!(world.position(&untouched).await? == untouched, "another tenant's delivery changed");
    ensure!(!world.store.delete_tenant(&acme).await?, "it was deleted twice");
    world.tenant("acme").await?;
    ensure!(
        world.store.endpoints_of(&acme, Page { after: None, limit: 9 }).await?.is_empty(),
        "the new tenant has endpoints"
    );
    Ok(())
}

/// Each by itself and none; heads carry them, and an update sets them all.
pub async fn limits_survive_the_store_and_change(world: &World) -> Checked {
    let none = TenantLimits::default();
    let limits = [
        TenantLimits { endpoints: Some(3), events_per_second: Some(u32::MAX), payload_bytes: Some(65_536) },
        TenantLimits { endpoints: Some(0), ..none },
        TenantLimits { events_per_second: Some(7), ..none },
        TenantLimits { payload_bytes: Some(1), ..none },
        none,
    ];
    let mut tenant = Tenant { limits: limits[0], ..world.new_tenant("acme") };
    ensure!(world.store.create_tenant(&tenant).await?, "a free id was taken");
    for limits in limits {
        tenant.limits = limits;
        let updated = world.store.update_tenant(&tenant).await?;
        ensure!(updated.as_ref() == Some(&tenant), "{updated:?} instead of {tenant:?}");
        let heads = world.store.tenant_heads(std::slice::from_ref(&tenant.id)).await?;
        ensure!(heads.len() == 1 && heads[0].limits == limits, "{heads:?} instead of {limits:?}");
    }
    let globex = Tenant { limits: limits[0], ..world.new_tenant("globex") };
    world.store.create_tenant(&globex).await?;
    let all = world.store.tenants(Page { after: None, limit: 9 }).await?;
    ensure!(all == [tenant, globex], "{all:?}");
    Ok(())
}
