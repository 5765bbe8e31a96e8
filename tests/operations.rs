//! What operators do: stop, reload, watch servers go away, and look after what could not be processed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use whimbrel_core::contract::ContractSet;
use whimbrel_core::delivery::SWEEP_GRACE;
use whimbrel_core::id::PackId;
use whimbrel_core::message::{PROTOBUF, v1};
use whimbrel_core::parking::Selection;
use whimbrel_core::port::{Clock, Lane, Message, Queue, Route, Source, SystemClock};
use whimbrel_core::tier::Tiers;
use whimbrel_core::time::Timestamp;
use whimbrel_testkit::process::{Builder, Whimbrel};
use whimbrel_testkit::proxy::FaultProxy;
use whimbrel_testkit::receiver::{Receiver, Step};
use whimbrel_testkit::{http, postgres, rabbitmq, wait};

use crate::chaos::{all_arrive, load, the_log_is_right};
use crate::harness::{Kind, Roles, SOON, System, command, finish, metric, on_both_engines, urls};

/// `terminationGracePeriodSeconds` of the chart is longer; `sender.grace` is 25 seconds.
const GRACE: Duration = Duration::from_secs(30);

/// SIGTERM to one role after the other under load: each ends with 0 in its grace, nothing accepted is lost, and no POST
/// that finished is made again.
#[tokio::test(flavor = "multi_thread")]
async fn a_sigterm_to_each_role_under_load_loses_and_repeats_nothing() -> Result<()> {
    let receiver = Receiver::start().await?;
    // So that POSTs are under way whenever the signal comes.
    receiver.otherwise([Step::status(200).after(Duration::from_millis(200))]);
    let mut system = System::start(Kind::Distributed).await?;
    system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
    let stop = CancellationToken::new();
    let loading = load(&system.api, &stop);
    for role in ["ingest", "sender", "tracker", "api"] {
        receiver.wait_for(receiver.count() + 100, SOON).await.with_context(|| format!("before the {role} stops"))?;
        let process = system.role(role);
        let status = process.terminate(GRACE).await?;
        ensure!(status.success(), "{role} ended with {status}: {}", process.lines().join("\n"));
        process.start_again()?;
        process.ready(SOON).await?;
    }
    receiver.wait_for(receiver.count() + 100, SOON).await?;
    stop.cancel();
    let accepted = loading.await??;
    all_arrive(&receiver, &accepted).await?;
    the_log_is_right(&system.api, &accepted).await?;
    let mut posts: HashMap<String, u32> = HashMap::new();
    for request in receiver.requests() {
        *posts.entry(request.header("webhook-id").unwrap_or_default().to_owned()).or_default() += 1;
    }
    let repeated = posts.values().filter(|count| **count > 1).count();
    assert_eq!(repeated, 0, "of {}", accepted.len());
    Ok(())
}

/// What a process answers on its operations port.
async fn answers(process: &Whimbrel, path: &str) -> Option<(u16, String)> {
    let response = http::client().get(process.ops_url(path)).send().await.ok()?;
    let status = response.status().as_u16();
    Some((status, response.text().await.ok()?))
}

async fn all_answer(processes: &[Whimbrel], ready: u16, part: &str) -> Result<()> {
    for process in processes {
        wait::until(&format!("readiness is {ready} with {part}"), SOON, || async {
            let (status, text) = answers(process, "/readyz").await?;
            (status == ready && text.contains(part)).then_some(())
        })
        .await?;
        let alive = answers(process, "/livez").await.context("no answer from /livez")?;
        assert_eq!(alive.0, 200, "alive whatever is away");
    }
    Ok(())
}

/// Broker or database away: not ready, which names it, but alive; and ready again by itself.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_drops_with_a_server_and_liveness_does_not() -> Result<()> {
    let (database, vhost) = tokio::try_join!(postgres::database(), rabbitmq::vhost())?;
    let direct = urls(database.url(), vhost.amqp_url());
    finish(command("migrate", &direct)).await?;
    finish(command("topology", &direct).arg("apply")).await?;
    let to_database = FaultProxy::before(database.url()).await?;
    let to_broker = FaultProxy::before(vhost.amqp_url()).await?;
    let proxied = urls(&to_database.url(database.url())?, &to_broker.url(vhost.amqp_url())?);
    let start = |role: &&str| command("serve", &proxied).arg("--role").arg(*role).start();
    let processes = ["api", "ingest", "sender", "tracker"].iter().map(start).collect::<Result<Vec<_>>>()?;
    all_answer(&processes, 200, "\"ready\"").await?;
    for (proxy, healthy) in [(&to_database, "\"queue\":\"ok\""), (&to_broker, "\"store\":\"ok\"")] {
        proxy.refuse();
        proxy.cut();
        all_answer(&processes, 503, healthy).await?;
        proxy.pass();
        all_answer(&processes, 200, "\"ready\"").await?;
    }
    for process in &processes {
        assert_eq!(process.exit_status(), None, "no process needed a restart");
    }
    Ok(())
}

/// Sends SIGHUP to every process and waits until each has said so.
async fn reloaded(system: &System, word: &str) -> Result<String> {
    let said = |process: &Whimbrel| process.lines().iter().filter(|line| line.contains(word)).count();
    let before: Vec<usize> = system.processes.iter().map(said).collect();
    system.processes.iter().for_each(Whimbrel::hang_up);
    for (process, before) in system.processes.iter().zip(before) {
        wait::until(word, SOON, || async { (said(process) > before).then_some(()) })
            .await
            .with_context(|| process.lines().join("\n"))?;
    }
    let lines = system.processes[0].lines();
    lines.into_iter().rfind(|line| line.contains(word)).context("it was just there")
}

const APPLIED: &str = "reloaded";
const REFUSED: &str = "the reload is refused";

/// The standard contract under another title, its retries after this.
fn contract(delays: &str) -> String {
    let standard = include_str!("../proto/contracts/standard.toml");
    let (begin, rest) = standard.split_once("delays = [").expect("a list of delays");
    let (_, end) = rest.split_once(']').expect("its end");
    format!("{begin}delays = [{delays}]{end}")
}

async fn delivers(system: &System, tenant: &str, receiver: &Receiver) -> Result<()> {
    let api = system.api.tenant(tenant);
    api.create_webhook(&receiver.url("/"), &["*"]).await?;
    let event = api.publish("order.created", "{}").await?;
    api.settled(&event, "success").await.map(drop)
}

on_both_engines! {
    /// SIGHUP puts a new contract in force and another level of the log. A contract whose delay has no queue is refused,
    /// and so is the loss of one that a tenant has; what was in force stays.
    async fn rule_26_a_reload_takes_what_fits_and_refuses_the_rest(kind: Kind) {
        let receiver = Receiver::start().await?;
        let folder = tempfile::tempdir()?;
        let (contracts, file) = (folder.path().join("contracts"), folder.path().join("whimbrel.toml"));
        std::fs::create_dir(&contracts)?;
        std::fs::write(&file, "[log]\nlevel = \"info\"\n")?;
        let text = |path: &Path| path.display().to_string();
        let variables = [("WHIMBREL_CONTRACTS_DIR", text(&contracts)), ("WHIMBREL_CONFIG", text(&file))];
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let system = System::with(kind, &variables).await?;
        let asked = json!({"id": "acme", "contract": "mine"});
        let (status, _) = system.api.call(Method::POST, "/v1/tenants", Some(&asked)).await?;
        assert_eq!(status, 422, "nobody knows the contract yet");

        std::fs::write(contracts.join("mine.toml"), contract("\"30s\", \"5m\""))?;
        // As Kubernetes mounts a ConfigMap: the folder behind the files is none of ours.
        std::fs::create_dir(contracts.join("..data"))?;
        std::fs::write(contracts.join("..data/broken.toml"), "no contract")?;
        std::fs::write(&file, "[log]\nlevel = \"debug\"\n[sender]\ngrace = \"20s\"\n")?;
        let line = reloaded(&system, APPLIED).await?;
        assert!(line.contains("debug"), "{line}");
        system.processes[0].wait_for_line("sender.grace", SOON).await?;
        system.api.post("/v1/tenants", &asked).await?;
        delivers(&system, "acme", &receiver).await?;
        assert!(metric(&system.processes[0], "whimbrel_reloads_total{result=\"applied\"}").await? >= 1.0);

        std::fs::write(contracts.join("slow.toml"), contract("\"7m\""))?;
        let slow = json!({"id": "slow", "contract": "slow"});
        if kind == Kind::Distributed {
            let line = reloaded(&system, REFUSED).await?;
            assert!(line.contains("whimbrel.delay.7m.v1") && line.contains("topology apply"), "{line}");
            let (status, _) = system.api.call(Method::POST, "/v1/tenants", Some(&slow)).await?;
            assert_eq!(status, 422, "the set of before is in force");
            delivers(&system, "acme", &receiver).await?;
            let apply = system.command("topology").arg("apply");
            finish(variables.iter().fold(apply, |command, (name, value)| command.env(name, *value))).await?;
        }
        reloaded(&system, APPLIED).await?;
        system.api.post("/v1/tenants", &slow).await?;
        delivers(&system, "slow", &receiver).await?;

        std::fs::remove_file(contracts.join("mine.toml"))?;
        let line = reloaded(&system, REFUSED).await?;
        assert!(line.contains("`mine`") && line.contains("`acme`"), "{line}");
        std::fs::write(contracts.join("mine.toml"), "retry = 7")?;
        let line = reloaded(&system, REFUSED).await?;
        assert!(line.contains("mine.toml"), "{line}");
        delivers(&system, "acme", &receiver).await?;
        assert!(metric(&system.processes[0], "whimbrel_reloads_total{result=\"refused\"}").await? >= 2.0);
        for process in &system.processes {
            assert_eq!(process.exit_status(), None);
        }
    }
}

/// An event for a tenant that is not there yet, as upstream publishes it.
fn early() -> v1::Event {
    v1::Event {
        tenant: "late".into(),
        r#type: "order.created".into(),
        data: r#"{"early":true}"#.into(),
        idempotency_key: "early-1".into(),
        ..v1::Event::default()
    }
}

fn pack(route: Route, payload: Vec<u8>) -> Message {
    let id = PackId::generate(SystemClock.now(), SystemClock.random10());
    Message { route, id, content_type: PROTOBUF.into(), payload: payload.into() }
}

/// A system that has the event in its queue.
async fn with_an_early_event(kind: Kind, folder: &Path) -> Result<System> {
    let payload = prost::Message::encode_to_vec(&early());
    if kind == Kind::Distributed {
        let system = System::start(kind).await?;
        let headers = json!({"content_type": PROTOBUF});
        system.servers.vhost().publish("whimbrel.events", "upstream", &headers, &payload).await?;
        return Ok(system);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ring = whimbrel_core::sealing::KeyRing::parse(&whimbrel_core::sealing::KeyRing::generate_entry(&*clock))?;
    let options = whimbrel_sqlite::Options::default();
    let engine = whimbrel_sqlite::Engine::open(folder, options, Arc::new(ring), clock).await?;
    engine.queue().publisher().publish(vec![pack(Route::Events("order.created".into()), payload)]).await?;
    engine.queue().close().await;
    engine.store().close().await;
    drop(engine);
    System::with(kind, &[("WHIMBREL_DATA_DIR", &folder.display().to_string())]).await
}

fn parking(system: &System, action: &str) -> Builder {
    system.command("parking").arg(action).arg("--url").arg(system.api.base.clone())
}

on_both_engines! {
    /// An event of an unknown tenant is parked and shown; once the tenant is there it is brought back and delivered.
    async fn what_is_parked_is_shown_and_brought_back(kind: Kind) {
        let receiver = Receiver::start().await?;
        let folder = tempfile::tempdir()?;
        let system = with_an_early_event(kind, folder.path()).await?;
        let id = wait::until("it is parked", SOON, || async {
            let page = system.api.get("/v1/parking?reason=unknown_tenant").await.ok()?;
            page["messages"][0]["id"].as_str().map(str::to_owned)
        })
        .await?;
        let listed = finish(parking(&system, "list")).await?.join("\n");
        assert!(listed.contains(&id) && listed.contains("there is no tenant `late`"), "{listed}");
        let shown = finish(parking(&system, "show").arg(id.clone())).await?.join("\n");
        assert!(shown.contains("unknown_tenant") && shown.contains("base64"), "{shown}");

        let late = system.api.create_tenant("late", "standard").await?;
        late.create_webhook(&receiver.url("/"), &["*"]).await?;
        let redrive = match kind {
            Kind::Embedded => parking(&system, "redrive").arg("--reason").arg("unknown_tenant"),
            Kind::Distributed => {
                let url = system.servers.vhost().amqp_url().to_owned();
                system.command("parking").arg("redrive").arg(id).arg("--amqp-url").arg(url)
            }
        };
        let said = finish(redrive).await?.join("\n");
        assert!(said.contains("1 message brought back"), "{said}");
        let requests = receiver.wait_for(1, SOON).await?;
        assert!(String::from_utf8_lossy(&requests[0].body).contains(r#"{"early":true}"#), "{:?}", requests[0]);
        let page = system.api.get("/v1/parking").await?;
        assert_eq!(page["messages"], json!([]));
    }
}

/// The machine's clock, some minutes ahead.
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + Duration::from_mins(5)
    }

    fn fill(&self, bytes: &mut [u8]) {
        SystemClock.fill(bytes);
    }
}

/// Takes a message and does not ack it, as often as the engine lets one.
async fn wear_out(queue: &dyn Queue, payload: &[u8]) -> Result<()> {
    let mut consumer = queue.consume(Source::Jobs(Lane::Bulk), 1).await?;
    queue.publisher().publish(vec![pack(Route::Jobs(Lane::Bulk), payload.to_vec())]).await?;
    loop {
        let received = tokio::time::timeout(SOON, consumer.receive(1)).await??;
        let message = received.first().context("a message")?;
        consumer.acker().release(&[message.tag]).await?;
        if message.redeliveries >= 20 {
            return Ok(());
        }
    }
}

on_both_engines! {
    /// A message that came too often is brought back by the tracker's duty; one that cannot be read stays.
    async fn rule_19_what_came_too_often_is_brought_back_by_itself(kind: Kind) {
        let contracts = Arc::new(ContractSet::built_in());
        let tiers = Arc::new(Tiers::new(contracts.distinct_delays()));
        let roles = Roles::open(kind, contracts.clone(), tiers.clone()).await?;
        // No jobs at all are a pack, too.
        wear_out(&*roles.queue, b"").await?;
        wear_out(&*roles.queue, b"\xff not a pack").await?;
        wait::until("both are parked", SOON, || async {
            let (parked, _) = roles.parking.list(&Selection::default(), 10).await.ok()?;
            (parked.len() == 2).then_some(())
        })
        .await?;
        let tracker = whimbrel_tracker::Tracker {
            store: roles.store.clone(),
            queue: roles.queue.clone(),
            contracts: contracts.into(),
            tiers,
            clock: Arc::new(Ahead),
            sweep_grace: SWEEP_GRACE,
        };
        let stop = CancellationToken::new();
        let config = whimbrel_tracker::DutyConfig { parking_interval: Duration::from_millis(100), ..Default::default() };
        let duty = tokio::spawn(whimbrel_tracker::run_duty(tracker, roles.parking.clone(), config, stop.clone()));
        let mut consumer = roles.queue.consume(Source::Jobs(Lane::Bulk), 1).await?;
        let back = tokio::time::timeout(SOON, consumer.receive(1)).await??;
        assert_eq!(&back[0].payload[..], b"", "{back:?}");
        consumer.acker().ack(&[back[0].tag]).await?;
        stop.cancel();
        duty.await?;
        let (parked, _) = roles.parking.list(&Selection::default(), 10).await?;
        assert_eq!(parked.iter().map(|parked| &parked.payload[..]).collect::<Vec<_>>(), [b"\xff not a pack"]);
    }
}
