//! A rolling upgrade: the previous version's processes beside the new ones, over one schema and one broker, under load.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio_util::sync::CancellationToken;
use whimbrel_testkit::process::{Builder, Whimbrel};
use whimbrel_testkit::receiver::{Receiver, Step};
use whimbrel_testkit::{postgres, rabbitmq, wait};

use crate::harness::{ADMIN_KEY, Api, ROLES, SOON, command, finish, urls};

/// The previous version's binary, built by `tests/upgrade/setup`.
async fn previous() -> Result<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("tests lies in the repository")?;
    let setup = tokio::process::Command::new(root.join("tests/upgrade/setup")).output().await?;
    ensure!(
        setup.status.success(),
        "{}{}",
        String::from_utf8_lossy(&setup.stdout),
        String::from_utf8_lossy(&setup.stderr)
    );
    Ok(root.join("target/previous/whimbrel"))
}

/// Publishes until told to stop; gives what was accepted.
fn load(api: Api, stop: &CancellationToken) -> tokio::task::JoinHandle<Result<Vec<String>>> {
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut accepted = Vec::new();
        while !stop.is_cancelled() {
            match api.try_publish("order.created", r#"{"id":"order_1"}"#).await {
                Ok(Some(id)) => accepted.push(id),
                // It is stopped, or not there yet.
                Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        Ok(accepted)
    })
}

/// Both versions work on one schema, the old one's and then the new one's, and nothing accepted is lost.
#[tokio::test(flavor = "multi_thread")]
async fn old_and_new_processes_work_side_by_side() -> Result<()> {
    let previous = previous().await?;
    let (database, vhost) = tokio::try_join!(postgres::database(), rabbitmq::vhost())?;
    let urls = urls(database.url(), vhost.amqp_url());
    let new = |subcommand: &str| command(subcommand, &urls).env("WHIMBREL_RETRY_SCALE", "0.01");
    let old = |subcommand: &str| new(subcommand).program(&previous);
    let receiver = Receiver::start().await?;
    // One in ten fails at first, so that retries cross from one version to the other.
    receiver.otherwise(
        (0..40).flat_map(|_| (0..9).map(|_| Step::status(200)).chain([Step::status(503)])).chain([Step::status(200)]),
    );
    finish(old("migrate")).await?;
    finish(old("topology").arg("apply")).await?;
    let start = |command: &dyn Fn(&str) -> Builder| -> Result<Vec<Whimbrel>> {
        ROLES.iter().map(|role| command("serve").arg("--role").arg(*role).start()).collect()
    };
    let mut elder = start(&old)?;
    for process in &elder {
        process.ready(SOON).await?;
    }
    let old_api = Api::new(elder[0].url(""), ADMIN_KEY);
    old_api.create_webhook(&receiver.url("/"), &["*"]).await?;
    let stop = CancellationToken::new();
    let mut loads = vec![load(old_api, &stop)];
    receiver.wait_for(200, SOON).await?;

    finish(new("migrate")).await?;
    finish(new("topology").arg("apply")).await?;
    receiver.wait_for(receiver.count() + 200, SOON).await.context("the old version beside the new schema")?;
    let newer = start(&new)?;
    for process in &newer {
        process.ready(SOON).await?;
    }
    let new_api = Api::new(newer[0].url(""), ADMIN_KEY);
    loads.push(load(new_api.clone(), &stop));
    receiver.wait_for(receiver.count() + 400, SOON).await.context("both versions beside each other")?;
    for process in &mut elder {
        let status = process.terminate(SOON).await?;
        ensure!(status.success(), "{status}: {}", process.lines().join("\n"));
        receiver.wait_for(receiver.count() + 50, SOON).await?;
    }
    stop.cancel();
    let mut accepted = Vec::new();
    for load in loads {
        accepted.extend(load.await??);
    }
    println!("{} events accepted over both versions", accepted.len());
    let missing = || -> usize {
        let requests = receiver.requests();
        let seen: HashSet<&str> = requests.iter().filter_map(|request| request.header("webhook-id")).collect();
        accepted.iter().filter(|id| !seen.contains(id.as_str())).count()
    };
    wait::until("every accepted event has arrived", SOON, || async { (missing() == 0).then_some(()) }).await?;
    for event in &accepted {
        new_api.settled(event, "success").await?;
    }
    Ok(())
}

/// The previous version's data directory opens, and what waited in it is delivered.
#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_data_directory_is_taken_over() -> Result<()> {
    let previous = previous().await?;
    let receiver = Receiver::start().await?;
    receiver.otherwise([Step::status(500), Step::status(200)]);
    let directory = tempfile::tempdir()?;
    let serve = || {
        let serve = command("serve", &[]).env("WHIMBREL_RETRY_SCALE", "0.01");
        serve.env("WHIMBREL_DATA_DIR", directory.path().display().to_string())
    };
    let mut old = serve().program(&previous).start()?;
    old.ready(SOON).await?;
    let api = Api::new(old.url(""), ADMIN_KEY);
    api.create_webhook(&receiver.url("/"), &["*"]).await?;
    let waiting = api.publish("order.created", "{}").await?;
    receiver.wait_for(1, SOON).await?;
    old.kill9().await;
    let new = serve().start()?;
    new.ready(SOON).await?;
    let api = Api::new(new.url(""), ADMIN_KEY);
    api.settled(&waiting, "success").await?;
    let fresh = api.publish("order.created", "{}").await?;
    api.settled(&fresh, "success").await?;
    Ok(())
}
