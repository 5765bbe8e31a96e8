//! `Lookup`: what the sender needs.

use anyhow::ensure;
use whimbrel_core::DeliveryId;
use whimbrel_core::delivery::DeliveryState;

use super::world::sorted;
use super::{Checked, World};

/// Whole endpoints, of whatever tenants; unknown ids are left out.
pub async fn endpoints_are_those_that_exist(world: &World) -> Checked {
    let (_, one) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let (other, absent) = (world.endpoint(&globex).await?, world.new_endpoint(&globex));
    let mut endpoints = world.store.endpoints(&[other.id, absent.id, one.id]).await?;
    endpoints.sort_by_key(|endpoint| endpoint.id);
    let statuses = world.store.statuses(&[other.id, absent.id, one.id]).await?;
    ensure!(statuses == endpoints.iter().map(|endpoint| (endpoint.id, endpoint.status)).collect(), "{statuses:?}");
    ensure!(endpoints == [one, other], "{endpoints:?}");
    ensure!(world.store.endpoints(&[]).await?.is_empty(), "endpoints of no id");
    Ok(())
}

/// As they stand now; unknown ids are left out.
pub async fn positions_are_those_that_exist(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let pending = world.delivery(&endpoint).await?;
    let held = world.delivery_in(&endpoint, DeliveryState::Held).await?;
    let absent = DeliveryId::of(pending.event, world.new_endpoint(&endpoint.tenant).id);
    let positions = world.store.positions(&[held.id, absent, pending.id]).await?;
    ensure!(sorted(positions.clone()) == [pending, held], "{positions:?}");
    ensure!(world.store.positions(&[]).await?.is_empty(), "positions of no id");
    Ok(())
}
