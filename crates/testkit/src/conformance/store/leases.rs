//! `Upkeep`: leases.

use std::time::Duration;

use anyhow::ensure;
use futures::future::try_join_all;
use uuid::Uuid;
use whimbrel_core::port::Clock as _;

use super::world::insist;
use super::{Checked, World};
use crate::wait::until;

const LONG: Duration = Duration::from_hours(1);

fn holder(world: &World) -> Uuid {
    let mut random = [0; 16];
    world.clock.fill(&mut random);
    Uuid::from_bytes(random)
}

/// It can be renewed and given up by its holder only; leases of other names are apart.
pub async fn rule_18_a_lease_is_one_holders(world: &World) -> Checked {
    let (one, two) = (holder(world), holder(world));
    let store = &world.store;
    ensure!(store.lease("sweep", one, LONG).await?, "a free lease was refused");
    ensure!(!store.lease("sweep", two, LONG).await?, "it has two holders");
    ensure!(store.lease("sweep", one, LONG).await?, "its holder could not renew it");
    ensure!(store.lease("retention", two, LONG).await?, "a lease of another name was refused");
    store.release_lease("sweep", two).await?;
    ensure!(!store.lease("sweep", two, LONG).await?, "someone else gave it up");
    store.release_lease("sweep", one).await?;
    store.release_lease("sweep", one).await?;
    ensure!(store.lease("sweep", two, LONG).await?, "it was given up, but is not free");
    ensure!(!store.lease("sweep", one, LONG).await?, "it went back to its former holder");
    Ok(())
}

/// On the store's own clock, which nobody can set: so the case waits until it is free. A renewal counts from then.
pub async fn rule_18_an_expired_lease_is_free(world: &World) -> Checked {
    let (dead, next) = (holder(world), holder(world));
    ensure!(world.store.lease("sweep", dead, LONG).await?, "a free lease was refused");
    ensure!(world.store.lease("sweep", dead, Duration::from_millis(200)).await?, "its holder could not renew it");
    let take = async || match world.store.lease("sweep", next, LONG).await {
        Ok(false) => None,
        taken => Some(taken),
    };
    let taken = until("the lease has expired", Duration::from_secs(20), take).await??;
    ensure!(taken && !world.store.lease("sweep", dead, LONG).await?, "it was taken back");
    Ok(())
}

/// Trackers that start together: one has it.
pub async fn rule_18_concurrent_takers_of_a_lease_leave_one(world: &World) -> Checked {
    let takers: Vec<_> = (0..8).map(|_| holder(world)).collect();
    let take = async |holder| insist(async || world.store.lease("sweep", holder, LONG).await).await;
    let taken = try_join_all(takers.iter().map(|holder| take(*holder))).await?;
    let holders = taken.iter().filter(|taken| **taken).count();
    ensure!(holders == 1, "{holders} hold it");
    Ok(())
}
