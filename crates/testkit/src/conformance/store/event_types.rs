//! `Tenants`: what a tenant says about its event types.

use anyhow::ensure;
use whimbrel_core::TenantId;
use whimbrel_core::port::EventTypeRow;
use whimbrel_core::subscription::EventType;

use super::world::tenant_id;
use super::{Checked, World};

fn event_type(name: &str) -> EventType {
    EventType::try_new(name).expect("an event type")
}

fn row(world: &World, name: &str, schema: Option<&str>) -> EventTypeRow {
    EventTypeRow {
        event_type: event_type(name),
        description: schema.map(|_| format!("What {name} means, \"precisely\"")),
        schema: schema.map(str::to_owned),
        updated_at: world.now(),
    }
}

/// Said again, it is as said last; an unknown tenant has nothing to say.
pub async fn event_types_come_by_name(world: &World) -> Checked {
    let (acme, globex) = (world.tenant("acme").await?, world.tenant("globex").await?);
    let schema = Some(r#"{ "type":"object","properties": {"ü": {"const":1.0}} }"#);
    let mut rows = [("order.paid", None), ("customer.created", schema), ("order.created", schema)]
        .map(|(name, schema)| row(world, name, schema));
    for row in &rows {
        ensure!(world.store.put_event_type(&acme, row).await?, "a known tenant was unknown");
    }
    let theirs = row(world, "order.paid", schema);
    world.store.put_event_type(&globex, &theirs).await?;
    for (place, schema) in [(0, schema), (1, None)] {
        rows[place] = row(world, rows[place].event_type.as_str(), schema);
        ensure!(world.store.put_event_type(&acme, &rows[place]).await?, "a known tenant was unknown");
    }
    rows.sort_by(|one, other| one.event_type.as_str().cmp(other.event_type.as_str()));
    let listed = world.store.event_types(&acme).await?;
    ensure!(listed == rows, "{listed:?} instead of {rows:?}");
    ensure!(world.store.event_types(&globex).await? == [theirs.clone()], "another tenant's changed");

    let nobody = tenant_id("nobody");
    ensure!(!world.store.put_event_type(&nobody, &theirs).await?, "an unknown tenant said something");
    ensure!(world.store.event_types(&nobody).await?.is_empty(), "an unknown tenant's is stored");
    Ok(())
}

/// Once; another tenant's of the same name stays.
pub async fn an_event_type_is_forgotten_once(world: &World) -> Checked {
    let (acme, globex) = (world.tenant("acme").await?, world.tenant("globex").await?);
    let row = row(world, "order.paid", None);
    world.store.put_event_type(&acme, &row).await?;
    world.store.put_event_type(&globex, &row).await?;
    ensure!(world.store.delete_event_type(&acme, &row.event_type).await?, "it was not forgotten");
    ensure!(!world.store.delete_event_type(&acme, &row.event_type).await?, "it was forgotten twice");
    ensure!(world.store.event_types(&acme).await?.is_empty(), "it is still there");
    ensure!(world.store.event_types(&globex).await? == [row], "another tenant's changed");
    Ok(())
}

/// The schemas come with the subscriptions, at a version that every word about a type raises.
pub async fn rule_10_event_types_raise_the_version_and_come_with_the_subscriptions(world: &World) -> Checked {
    let (acme, globex) = (world.tenant("acme").await?, world.tenant("globex").await?);
    let theirs = world.endpoints_version(&globex).await?;
    let mut versions = vec![world.endpoints_version(&acme).await?];
    let mut check = async |expected: &[(EventType, String)]| {
        let found = world.store.subscriptions(&acme).await?;
        ensure!(found.schemas == expected, "{:?} instead of {expected:?}", found.schemas);
        ensure!(found.version == world.endpoints_version(&acme).await?, "version {} is not the head's", found.version);
        versions.push(found.version);
        anyhow::Ok(())
    };
    let one = (event_type("order.created"), r#"{"type": "object"}"#.to_owned());
    let other = (one.0.clone(), r#"{"type":"object"}"#.to_owned());
    world.store.put_event_type(&acme, &row(world, "order.created", Some(&one.1))).await?;
    check(std::slice::from_ref(&one)).await?;
    world.store.put_event_type(&acme, &row(world, "order.paid", None)).await?;
    check(std::slice::from_ref(&one)).await?;
    world.store.put_event_type(&acme, &row(world, "order.created", Some(&other.1))).await?;
    check(std::slice::from_ref(&other)).await?;
    world.store.delete_event_type(&acme, &other.0).await?;
    check(&[]).await?;
    ensure!(versions.is_sorted_by(|one, next| one < next), "the tenant's versions: {versions:?}");
    ensure!(world.endpoints_version(&globex).await? == theirs, "another tenant's version rose");
    Ok(())
}

/// A new tenant of the same id has said nothing.
pub async fn a_deleted_tenants_event_types_are_gone(world: &World) -> Checked {
    let acme: TenantId = world.tenant("acme").await?;
    world.store.put_event_type(&acme, &row(world, "order.paid", Some("{}"))).await?;
    world.store.delete_tenant(&acme).await?;
    world.tenant("acme").await?;
    let left = world.store.event_types(&acme).await?;
    ensure!(left.is_empty(), "{left:?}");
    ensure!(world.store.subscriptions(&acme).await?.schemas.is_empty(), "its schemas are still there");
    Ok(())
}
