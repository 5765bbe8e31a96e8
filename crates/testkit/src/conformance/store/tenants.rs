//! `Tenants`: tenants and keys.

use anyhow::ensure;
use whimbrel_core::delivery::{DeliveryState, WaitReason};
use whimbrel_core::port::{ApiKey, Clock as _, Page};
use whimbrel_core::tenant::Tenant;
use whimbrel_core::{KeyId, TenantId};

use super::world::{contract, tenant_id};
use super::{Checked, World};

/// A taken id is not taken over.
pub async fn a_tenant_is_created_once(world: &World) -> Checked {
    let first = Tenant {
        id: tenant_id("acme"),
        name: Some("Acme, Inc.".to_owned()),
        contract: contract("bitbybit"),
        created_at: world.now(),
    };
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
    let wanted = Tenant {
        id: acme.clone(),
        name: Some("Acme".to_owned()),
        contract: contract("eightbit"),
        created_at: world.now(),
    };
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
    let wanted = Tenant { id: acme.clone(), name: None, contract: contract("generic"), created_at: world.now() };
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
    let (key, other_key) = (key(world, Some(&acme), 1), key(world, Some(&globex), 2));
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

fn key(world: &World, tenant: Option<&TenantId>, hash: u8) -> ApiKey {
    let id = KeyId::generate(world.now(), world.clock.random10());
    ApiKey { id, tenant: tenant.cloned(), name: format!("key {hash}"), hash: [hash; 32], created_at: world.now() }
}

/// A tenant's keys are apart from the admin's; a deleted key is gone; a hash is nobody's twice.
pub async fn keys_are_found_by_hash_and_listed_by_owner(world: &World) -> Checked {
    let (acme, globex) = (world.tenant("acme").await?, world.tenant("globex").await?);
    let keys =
        [key(world, None, 1), key(world, Some(&acme), 2), key(world, Some(&globex), 3), key(world, Some(&acme), 4)];
    for key in &keys {
        world.store.create_key(key).await?;
    }
    for key in &keys {
        ensure!(world.store.key_by_hash(&key.hash).await?.as_ref() == Some(key), "{key:?} is not found");
    }
    ensure!(world.store.key_by_hash(&[9; 32]).await?.is_none(), "an unknown key is found");
    let of_acme = world.store.keys(Some(&acme)).await?;
    ensure!(of_acme == [keys[1].clone(), keys[3].clone()], "{of_acme:?}");
    let of_admin = world.store.keys(None).await?;
    ensure!(of_admin == [keys[0].clone()], "{of_admin:?}");
    ensure!(world.store.keys(Some(&tenant_id("nobody"))).await?.is_empty(), "an unknown tenant has keys");

    let stolen = ApiKey { hash: [1; 32], ..key(world, Some(&acme), 5) };
    ensure!(world.store.create_key(&stolen).await.is_err(), "a hash was stored twice");
    ensure!(world.store.delete_key(keys[1].id).await?, "a known key was unknown");
    ensure!(!world.store.delete_key(keys[1].id).await?, "a key was deleted twice");
    ensure!(world.store.key_by_hash(&keys[1].hash).await?.is_none(), "a deleted key is found");
    Ok(())
}
