//! Whatever is killed, nothing accepted is lost, and the log has one row per attempt number.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;
use whimbrel_testkit::receiver::Receiver;
use whimbrel_testkit::wait;

use crate::harness::{Api, Kind, SOON, Servers, System, on_both_engines};

/// Publishes until told to stop, and tries again what was not accepted; gives the accepted ids.
pub(crate) fn load(api: &Api, stop: &CancellationToken) -> tokio::task::JoinHandle<Result<Vec<String>>> {
    let (api, stop) = (api.clone(), stop.clone());
    tokio::spawn(async move {
        let mut accepted = Vec::new();
        while !stop.is_cancelled() {
            match api.try_publish("order.created", r#"{"id":"order_1"}"#).await? {
                Some(id) => accepted.push(id),
                // Not a synchronisation: a client that was turned away waits before it asks again.
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        Ok(accepted)
    })
}

/// Waits until each of these events has arrived at least once.
pub(crate) async fn all_arrive(receiver: &Receiver, accepted: &[String]) -> Result<()> {
    let missing = || -> usize {
        let requests = receiver.requests();
        let seen: HashSet<&str> = requests.iter().filter_map(|request| request.header("webhook-id")).collect();
        accepted.iter().filter(|id| !seen.contains(id.as_str())).count()
    };
    wait::until("every accepted event has arrived", SOON * 3, || async { (missing() == 0).then_some(()) })
        .await
        .with_context(|| format!("{} of {} are missing", missing(), accepted.len()))
}

/// Every delivery succeeded, with one row per attempt number.
pub(crate) async fn the_log_is_right(api: &Api, accepted: &[String]) -> Result<()> {
    for event in accepted {
        let delivery = api.settled(event, "success").await?;
        let attempts = delivery["attempts"].as_array().context("attempts")?;
        let numbers: HashSet<_> = attempts.iter().map(|attempt| attempt["number"].as_u64()).collect();
        assert_eq!(numbers.len(), attempts.len(), "one row per number: {delivery}");
    }
    Ok(())
}

on_both_engines! {
    /// kill -9 of each process under load, restarted.
    async fn killed_processes_lose_nothing(kind: Kind) {
        let receiver = Receiver::start().await?;
        let mut system = System::start(kind).await?;
        system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let stop = CancellationToken::new();
        let loading = load(&system.api, &stop);
        for role in ["ingest", "sender", "tracker", "api"] {
            let before = receiver.count();
            receiver.wait_for(before + 100, SOON).await?;
            let process = system.role(role);
            process.kill9().await;
            process.start_again()?;
            process.ready(SOON).await?;
        }
        let before = receiver.count();
        receiver.wait_for(before + 100, SOON).await?;
        stop.cancel();
        let accepted = loading.await??;
        all_arrive(&receiver, &accepted).await?;
        the_log_is_right(&system.api, &accepted).await?;
    }
}

/// How long after `since` the next request came in.
async fn resumed(receiver: &Receiver, since: tokio::time::Instant) -> Result<Duration> {
    let found = receiver.wait_until(|requests| requests.iter().any(|request| request.arrived > since), SOON).await?;
    let next = found.iter().find(|request| request.arrived > since).context("a request")?;
    Ok(next.arrived - since)
}

/// The broker, then the database, restarted under load: no process needs a restart, delivery resumes within
/// ten seconds of the service's return, and nothing accepted is lost.
#[tokio::test(flavor = "multi_thread")]
async fn restarted_broker_and_database_lose_nothing() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut system = System::on_private_servers(&[]).await?;
    system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
    let stop = CancellationToken::new();
    let loading = load(&system.api, &stop);
    receiver.wait_for(100, SOON).await?;
    for service in ["broker", "database"] {
        let Servers::Private(postgres, broker, vhost) = &mut system.servers else { anyhow::bail!("private servers") };
        if service == "broker" {
            broker.settle(vhost).await?;
            broker.kill().await;
            broker.start_again().await?;
        } else {
            postgres.kill().await;
            postgres.start_again().await?;
        }
        let gap = resumed(&receiver, tokio::time::Instant::now()).await?;
        assert!(gap < Duration::from_secs(10), "{service}: {gap:?}");
        let before = receiver.count();
        receiver.wait_for(before + 100, SOON).await?;
    }
    stop.cancel();
    let accepted = loading.await??;
    all_arrive(&receiver, &accepted).await?;
    the_log_is_right(&system.api, &accepted).await?;
    for process in &system.processes {
        assert_eq!(process.exit_status(), None, "no process needed a restart");
    }
    Ok(())
}

on_both_engines! {
    /// SIGTERM under load: exit 0 within the grace period; what was in hand is finished or handed back, and
    /// POSTs that finished are not repeated.
    async fn a_graceful_stop_repeats_nothing(kind: Kind) {
        let receiver = Receiver::start().await?;
        let mut system = System::start(kind).await?;
        system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let stop = CancellationToken::new();
        let loading = load(&system.api, &stop);
        receiver.wait_for(200, SOON).await?;
        let process = system.role("sender");
        let status = process.terminate(SOON).await?;
        assert!(status.success(), "{status}");
        process.start_again()?;
        process.ready(SOON).await?;
        let before = receiver.count();
        receiver.wait_for(before + 50, SOON).await?;
        stop.cancel();
        let accepted = loading.await??;
        all_arrive(&receiver, &accepted).await?;
        let mut counts: HashMap<String, u32> = HashMap::new();
        for request in receiver.requests() {
            *counts.entry(request.header("webhook-id").unwrap_or_default().to_owned()).or_default() += 1;
        }
        let repeated = counts.values().filter(|count| **count > 1).count();
        assert_eq!(repeated, 0, "of {}", accepted.len());
    }
}

/// Servers that are away at the start are waited for: alive, not ready, one line each; then it goes to work.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_away_at_the_start_are_waited_for() -> Result<()> {
    use whimbrel_testkit::{postgres, process::Whimbrel, proxy::FaultProxy, rabbitmq};
    let (database, vhost) = tokio::try_join!(postgres::database(), rabbitmq::vhost())?;
    let (to_database, to_broker) =
        (FaultProxy::before(database.url()).await?, FaultProxy::before(vhost.amqp_url()).await?);
    let command = |subcommand: &str, database_url: &str, amqp_url: &str| {
        Whimbrel::command(subcommand)
            .env("WHIMBREL_DATABASE_URL", database_url)
            .env("WHIMBREL_AMQP_URL", amqp_url)
            .env("WHIMBREL_SECRETS__KEYS", "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    };
    for mut once in [
        command("migrate", database.url(), vhost.amqp_url()).start()?,
        command("topology", database.url(), vhost.amqp_url()).arg("apply").start()?,
    ] {
        assert!(once.exited(SOON).await?.success(), "{:?}", once.lines());
    }
    to_database.refuse();
    to_broker.refuse();
    let database_url = to_database.url(database.url())?;
    let process = command("serve", &database_url, &to_broker.url(vhost.amqp_url())?).start()?;
    process.wait_for_line("does not answer yet", SOON).await?;
    let client = whimbrel_testkit::http::client();
    assert_eq!(client.get(process.ops_url("/livez")).send().await?.status(), 200);
    assert_eq!(client.get(process.ops_url("/readyz")).send().await?.status(), 503);
    to_database.pass();
    to_broker.pass();
    process.ready(SOON).await?;
    process.wait_for_line("whimbrel is up", SOON).await?;
    Ok(())
}

/// A second server on the same directory is refused with a clear line, and an unwritable one, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_heal_is_one_clear_line_and_an_exit_code() -> Result<()> {
    use whimbrel_testkit::process::Whimbrel;
    let system = System::start(Kind::Embedded).await?;
    let directory = system.processes[0].data_dir().display().to_string();
    let cases = [
        (Whimbrel::command("serve").env("WHIMBREL_DATA_DIR", directory), "another"),
        (Whimbrel::command("serve").env("WHIMBREL_DATA_DIR", "/proc/no/such"), "/proc/no/such"),
        (
            Whimbrel::command("serve").env("WHIMBREL_AMQP_URL", "amqp://localhost"),
            "database_url and amqp_url go together",
        ),
        (Whimbrel::command("serve").env("WHIMBREL_LISTEN", text_address(&system)?), "cannot listen on"),
        (Whimbrel::command("serve").env("WHIMBREL_RETRY_SCALE", "fast"), "retry_scale"),
    ];
    for (command, words) in cases {
        let mut process = command.start()?;
        let status = process.exited(SOON).await?;
        assert!(!status.success(), "{words}");
        let lines = process.lines();
        assert!(lines.iter().any(|line| line.contains(words)), "{words} in {lines:?}");
        assert!(!lines.iter().any(|line| line.contains("panicked")), "{lines:?}");
    }
    Ok(())
}

fn text_address(system: &System) -> Result<String> {
    system.api.base.strip_prefix("http://").map(str::to_owned).context("a base URL")
}
