//! `Tenants`: API keys.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use whimbrel_core::port::ApiKey;

use super::world::tenant_id;
use super::{Checked, World};

/// A tenant's keys are apart from the admin's; a deleted key is gone; a hash is nobody's twice.
pub async fn keys_are_found_by_hash_and_listed_by_owner(world: &World) -> Checked {
    let (acme, globex) = (world.tenant("acme").await?, world.tenant("globex").await?);
    let keys = [(None, 1), (Some(&acme), 2), (Some(&globex), 3), (Some(&acme), 4)]
        .map(|(tenant, hash)| world.new_key(tenant, hash));
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

    let stolen = ApiKey { hash: [1; 32], ..world.new_key(Some(&acme), 5) };
    ensure!(world.store.create_key(&stolen).await.is_err(), "a hash was stored twice");
    ensure!(world.store.delete_key(keys[1].id).await?, "a known key was unknown");
    ensure!(!world.store.delete_key(keys[1].id).await?, "a key was deleted twice");
    ensure!(world.store.key_by_hash(&keys[1].hash).await?.is_none(), "a deleted key is found");
    Ok(())
}

/// Both times come back wherever a key does, also when there are none.
pub async fn a_keys_expiry_and_last_use_survive_the_store(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let plain = world.new_key(Some(&acme), 1);
    let expires_at = Some(world.now() + Duration::from_hours(24));
    let expiring = ApiKey { expires_at, ..world.new_key(Some(&acme), 2) };
    let used = ApiKey { expires_at, last_used_at: Some(world.now()), ..world.new_key(Some(&acme), 3) };
    let keys = [plain, expiring, used];
    for key in &keys {
        world.store.create_key(key).await?;
        let stored = world.store.key_by_hash(&key.hash).await?;
        ensure!(stored.as_ref() == Some(key), "{stored:?} instead of {key:?}");
    }
    let listed = world.store.keys(Some(&acme)).await?;
    ensure!(listed == keys, "{listed:?}");
    Ok(())
}

/// The first use, a later one, and one that two processes report the wrong way round. Other keys are left alone, and
/// a key that is gone is no error.
pub async fn a_keys_last_use_never_goes_back(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let (key, other) = (world.new_key(Some(&acme), 1), world.new_key(None, 2));
    world.store.create_key(&key).await?;
    world.store.create_key(&other).await?;
    let first = world.now();
    let later = first + Duration::from_mins(2);
    for (at, expected) in [(first, first), (later, later), (first + Duration::from_mins(1), later)] {
        world.store.touch_key(key.id, at).await?;
        let stored = world.store.key_by_hash(&key.hash).await?.context("it was stored")?;
        ensure!(stored.last_used_at == Some(expected), "{:?} after a use at {at}", stored.last_used_at);
    }
    ensure!(world.store.keys(None).await? == [other], "another key changed");
    world.store.delete_key(key.id).await?;
    world.store.touch_key(key.id, later).await?;
    ensure!(world.store.keys(Some(&acme)).await?.is_empty(), "a use brought a deleted key back");
    Ok(())
}
