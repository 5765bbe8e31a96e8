//! A data directory of an earlier version opens, and what is in it is what it was.

use std::path::Path;

use anyhow::{Context as _, ensure};
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, Row as _, SqliteConnection};
use uuid::Uuid;
use whimbrel_core::delivery::DeliveryState;
use whimbrel_core::endpoint::{EndpointOptions, EndpointStatus};
use whimbrel_core::id::{KeyId, ReplayId};
use whimbrel_core::port::{Clock as _, Forgotten, Lane, Page, SystemClock};
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind, ReplayState};
use whimbrel_core::sealing::KeyRing;
use whimbrel_core::tenant::TenantLimits;
use whimbrel_core::{DeliveryId, EndpointId, EventId, TenantId, Timestamp};
use whimbrel_sqlite::Options;

/// The last migration of the first release.
const FIRST_RELEASE: i64 = 8;

/// What the first release left behind.
struct Left {
    active: EndpointId,
    suspended: EndpointId,
    pending: DeliveryId,
    held: DeliveryId,
    deferred: DeliveryId,
    key: KeyId,
}

async fn first_release(dir: &Path) -> anyhow::Result<Left> {
    let migrator = Migrator::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")).await?;
    let mut db = crate::common::look_into(dir).await?;
    sqlx::query("PRAGMA journal_mode = wal").execute(&mut db).await?;
    migrator.run_direct(Some(FIRST_RELEASE), &mut db, false).await?;
    let left = fill(&mut db).await?;
    db.close().await?;
    Ok(left)
}

async fn fill(db: &mut SqliteConnection) -> anyhow::Result<Left> {
    sqlx::query("INSERT INTO tenants VALUES ('acme', 'Acme', 'standard', 7, 1000)").execute(&mut *db).await?;
    let key = KeyId::generate(SystemClock.now(), SystemClock.random10());
    sqlx::query("INSERT INTO api_keys VALUES (?1, 'acme', 'ci', ?2, 1000)")
        .bind(key.uuid())
        .bind(&[7_u8; 32][..])
        .execute(&mut *db)
        .await?;
    let active = endpoint(db, "active", None).await?;
    let suspended = endpoint(db, "suspended", Some("gone")).await?;
    Ok(Left {
        active,
        suspended,
        pending: delivery(db, active, "pending", None).await?,
        held: delivery(db, active, "held", None).await?,
        deferred: delivery(db, suspended, "waiting", Some("deferred")).await?,
        key,
    })
}

async fn endpoint(db: &mut SqliteConnection, status: &str, reason: Option<&str>) -> anyhow::Result<EndpointId> {
    let endpoint = crate::common::endpoint(&TenantId::try_new("acme")?)?;
    let ring = KeyRing::parse(&format!("test:{}", "ab".repeat(32)))?;
    sqlx::query(
        "INSERT INTO endpoints (id, tenant_id, url, events, secrets, status, suspend_reason, suspended_since, version,
             created_at) VALUES (?1, 'acme', 'https://receiver.example', '[\"*\"]', ?2, ?3, ?4, iif(?4 IS NULL, NULL, 5),
             3, 1000)",
    )
    .bind(endpoint.id.uuid())
    .bind(ring.seal(&endpoint.secrets, endpoint.id, &SystemClock))
    .bind(status)
    .bind(reason)
    .execute(db)
    .await?;
    Ok(endpoint.id)
}

async fn delivery(
    db: &mut SqliteConnection,
    endpoint: EndpointId,
    state: &str,
    reason: Option<&str>,
) -> anyhow::Result<DeliveryId> {
    let event = EventId::generate(SystemClock.now(), SystemClock.random10());
    let id = DeliveryId::of(event, endpoint);
    sqlx::query("INSERT INTO events VALUES (?1, 'acme', 'order.created', 1000, x'7b7d', 0, 2, '', '', NULL)")
        .bind(event.uuid())
        .execute(&mut *db)
        .await?;
    sqlx::query(
        "INSERT INTO deliveries (id, event_id, endpoint_id, tenant_id, event_type, state, reason, round, first_attempt,
             attempt, sweep_at) VALUES (?1, ?2, ?3, 'acme', 'order.created', ?4, ?5, 1, 1, 1, iif(?4 = 'pending', 9, NULL))",
    )
    .bind(id.uuid())
    .bind(event.uuid())
    .bind(endpoint.uuid())
    .bind(state)
    .bind(reason)
    .execute(db)
    .await?;
    Ok(id)
}

#[tokio::test]
async fn a_directory_of_the_first_release_keeps_its_rows() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let left = first_release(dir.path()).await?;
    let store = crate::common::open_at(dir.path(), Options::default()).await?.store();

    let acme = TenantId::try_new("acme")?;
    let tenant = store.tenant(&acme).await?.context("the tenant is gone")?;
    ensure!(tenant.name.as_deref() == Some("Acme") && tenant.erasing_before.is_none(), "{tenant:?}");
    ensure!(tenant.limits == TenantLimits::default(), "{tenant:?} has limits");
    let key = store.key_by_hash(&[7; 32]).await?.context("the key is gone")?;
    ensure!(key.id == left.key && key.expires_at.is_none() && key.last_used_at.is_none(), "{key:?}");
    let endpoint = store.endpoint(&acme, left.active).await?.context("the endpoint is gone")?;
    ensure!(endpoint.version == 3 && endpoint.headers.is_empty(), "{endpoint:?}");
    ensure!(
        endpoint.options == EndpointOptions::default() && endpoint.status == EndpointStatus::Active,
        "{endpoint:?}"
    );
    let unannounced = store.unannounced(10).await?;
    ensure!(unannounced.is_empty(), "{unannounced:?} would be announced");

    let (now, base) = (SystemClock.now(), crate::common::PATIENCE);
    let overdue = store.overdue(Lane::Live, now, now, base, 10).await?;
    ensure!(overdue.len() == 1 && overdue[0].id == left.pending, "{overdue:?}");
    let page = store.log_page(Page { after: None, limit: 10 }).await?;
    ensure!(page.len() == 3 && page.iter().all(|logged| logged.deliveries.len() == 1), "{page:?}");
    Ok(())
}

#[tokio::test]
async fn what_the_first_release_stopped_is_found_and_taken() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let left = first_release(dir.path()).await?;
    let store = crate::common::open_at(dir.path(), Options::default()).await?.store();
    let acme = TenantId::try_new("acme")?;
    let forgotten = store.forgotten(10).await?;
    let expected = [(left.active, ReplayKind::Release), (left.suspended, ReplayKind::Deferred)]
        .map(|(endpoint, kind)| Forgotten { tenant: acme.clone(), endpoint, kind });
    ensure!(forgotten == expected, "{forgotten:?}");
    for (Forgotten { tenant, endpoint, kind }, delivery) in forgotten.into_iter().zip([left.held, left.deferred]) {
        let id = ReplayId::from_uuid(Uuid::from_u128(u128::from(endpoint == left.active)));
        let filter = ReplayFilter::default();
        let replay = Replay::new(id, tenant, endpoint, kind, filter, SystemClock.now());
        ensure!(store.start_replay(&replay).await?.is_some_and(|started| started.total == 1), "not one was found");
        let advance = store.advance_replay(id, 10, SystemClock.now(), Timestamp::from_secs(9)).await?;
        ensure!(advance.state == ReplayState::Running && advance.taken.len() == 1, "{advance:?}");
        ensure!(advance.taken[0].id == delivery && advance.taken[0].state == DeliveryState::Pending, "{advance:?}");
    }
    Ok(())
}

/// The last migration before checks were written without lists.
const WITH_LISTS: i64 = 22;

async fn migrated(dir: &Path, to: Option<i64>) -> anyhow::Result<SqliteConnection> {
    let migrator = Migrator::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")).await?;
    let mut db = crate::common::look_into(dir).await?;
    migrator.run_direct(to, &mut db, false).await?;
    Ok(db)
}

/// Whether the table takes a delivery with these.
async fn takes_delivery(
    db: &mut SqliteConnection,
    (state, reason): (&str, Option<&str>),
    state_at: Option<i64>,
    sweep_at: Option<i64>,
) -> anyhow::Result<bool> {
    let tried = sqlx::query(
        "REPLACE INTO deliveries (id, event_id, endpoint_id, tenant_id, event_type, state, reason, state_at, round,
             first_attempt, attempt, sweep_at) VALUES (zeroblob(16), x'', x'', '', '', ?1, ?2, ?3, 1, 1, 1, ?4)",
    )
    .bind(state)
    .bind(reason)
    .bind(state_at)
    .bind(sweep_at)
    .execute(db)
    .await;
    match tried {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.is_check_violation() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn takes_lane(db: &mut SqliteConnection, lane: Option<&str>) -> anyhow::Result<bool> {
    let tried = sqlx::query(
        "REPLACE INTO messages (id, due_at, tier, lane, message_id, content_type, kind, payload)
         VALUES (iif(?1 IS NULL, 1, 7) << 48, iif(?1 IS NULL, NULL, 1), iif(?1 IS NULL, NULL, '1s'), ?1, '', '', '', x'')",
    );
    match tried.bind(lane).execute(db).await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.is_check_violation() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[tokio::test]
async fn rewritten_checks_take_and_refuse_what_they_did() -> anyhow::Result<()> {
    let (before, after) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut before = migrated(before.path(), Some(WITH_LISTS)).await?;
    // The way of a file that is there already: its schema is known to the connection when it is rewritten.
    let mut after = {
        migrated(after.path(), Some(WITH_LISTS)).await?.close().await?;
        migrated(after.path(), None).await?
    };
    let states = ["pending", "retrying", "waiting", "held", "succeeded", "failed", "cancelled", "lost", ""];
    let given_up = ["exhausted", "gone", "refused", "expired"];
    let reasons = given_up.into_iter().chain(["manual", "deferred", "release", "replay", "bored"]);
    let reasons: Vec<_> = reasons.map(Some).chain([None]).collect();
    let (mut taken, mut tried) = (0, 0);
    for state in states {
        for reason in &reasons {
            for (state_at, sweep_at) in [(None, None), (None, Some(1)), (Some(1), None), (Some(1), Some(1))] {
                let was = takes_delivery(&mut before, (state, *reason), state_at, sweep_at).await?;
                let is = takes_delivery(&mut after, (state, *reason), state_at, sweep_at).await?;
                ensure!(was == is, "{state} for {reason:?}, at {state_at:?}, swept at {sweep_at:?}: {was}, now {is}");
                (taken, tried) = (taken + usize::from(is), tried + 1);
            }
        }
    }
    ensure!((taken, tried) == (15, 360), "{taken} of {tried} were taken");
    for (lane, expected) in [(None, true), (Some("live"), true), (Some("bulk"), true), (Some("fast"), false)] {
        ensure!(takes_lane(&mut before, lane).await? == expected, "{lane:?}");
        ensure!(takes_lane(&mut after, lane).await? == expected, "{lane:?} now");
    }
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut after).await?;
    ensure!(sound == "ok", "{sound}");
    Ok(())
}

#[tokio::test]
async fn no_row_is_checked_with_a_temporary_index() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut db = migrated(dir.path(), None).await?;
    for table in ["events", "deliveries", "attempts", "messages"] {
        let columns: Vec<String> =
            sqlx::query_scalar("SELECT name FROM pragma_table_info(?1)").bind(table).fetch_all(&mut db).await?;
        let values = vec!["?"; columns.len()].join(", ");
        let insert = format!("EXPLAIN INSERT INTO {table} ({}) VALUES ({values})", columns.join(", "));
        let steps = sqlx::query(sqlx::AssertSqlSafe(insert)).fetch_all(&mut db).await?;
        let steps: Vec<String> = steps.iter().map(|step| step.try_get("opcode")).collect::<Result<_, _>>()?;
        ensure!(steps.iter().any(|step| step == "Halt"), "{table}: {steps:?}");
        ensure!(!steps.iter().any(|step| step == "OpenEphemeral"), "{table}: {steps:?}");
    }
    Ok(())
}
