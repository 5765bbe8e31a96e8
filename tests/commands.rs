//! The command line, as people use it.

use std::time::Duration;

use anyhow::Result;
use whimbrel_testkit::process::Whimbrel;

use crate::harness::{Kind, SOON, System};

/// `whimbrel demo --once` ends well by itself, having shown a delivery that needed three attempts.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_everything_and_ends() -> Result<()> {
    let mut demo = Whimbrel::command("demo").arg("--once").start()?;
    let status = demo.exited(Duration::from_secs(90)).await?;
    let text = demo.lines().join("\n");
    assert!(status.success(), "{status}: {text}");
    for contract in ["bitbybit", "eightbit", "generic", "standard"] {
        assert!(text.contains(contract), "{contract} in {text}");
    }
    Ok(())
}

/// `listen` verifies what a server sends, and `send` publishes it.
#[tokio::test(flavor = "multi_thread")]
async fn listen_and_send_work_together() -> Result<()> {
    let system = System::start(Kind::Embedded).await?;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let address = format!("127.0.0.1:{}", whimbrel_testkit::ports::free());
    let listen = Whimbrel::command("listen")
        .arg("--contract")
        .arg("standard")
        .arg("--secret")
        .arg(secret)
        .arg("--addr")
        .arg(&address)
        .arg("--json")
        .start()?;
    let body = serde_json::json!({"url": format!("http://{address}/"), "events": ["*"], "secret": secret});
    system.api.post("/v1/webhooks", &body).await?;
    let mut send = Whimbrel::command("send")
        .arg("--url")
        .arg(&system.api.base)
        .arg("--key")
        .arg(&system.api.key)
        .arg("--type")
        .arg("order.created")
        .arg("--data")
        .arg(r#"{"a":1}"#)
        .start()?;
    let status = send.exited(SOON).await?;
    assert!(status.success(), "{:?}", send.lines());
    let line = listen.wait_for_line("order.created", SOON).await?;
    assert!(line.contains("evt_"), "{line}");
    Ok(())
}

/// The topology that was applied agrees with the table; the definitions name every queue.
#[tokio::test(flavor = "multi_thread")]
async fn the_topology_is_printed_and_checked() -> Result<()> {
    let mut print = Whimbrel::command("topology").arg("print").start()?;
    assert!(print.exited(SOON).await?.success());
    assert!(print.lines().iter().any(|line| line.contains("whimbrel.delay.24h.v1")), "{:?}", print.lines());
    let mut config = Whimbrel::command("config").env("WHIMBREL_ADMIN_KEY", "whk_hidden").start()?;
    assert!(config.exited(SOON).await?.success());
    assert!(!config.lines().iter().any(|line| line.contains("hidden")), "{:?}", config.lines());
    Ok(())
}

/// `topology check` names what is missing, and agrees once `topology apply` has run.
#[tokio::test(flavor = "multi_thread")]
async fn the_topology_is_checked_against_a_live_broker() -> Result<()> {
    let vhost = whimbrel_testkit::rabbitmq::vhost().await?;
    let amqp = reqwest::Url::parse(vhost.amqp_url())?;
    let mut management = reqwest::Url::parse(vhost.management().url())?;
    management.set_username(amqp.username()).expect("a URL with a host");
    management.set_password(amqp.password()).expect("a URL with a host");
    let topology = |action: &str| Whimbrel::command("topology").arg(action).env("WHIMBREL_AMQP_URL", vhost.amqp_url());
    let check = || topology("check").arg("--management-url").arg(management.as_str());
    let mut before = check().start()?;
    assert_eq!(before.exited(SOON).await?.code(), Some(1));
    assert!(before.lines().iter().any(|line| line.contains("whimbrel.jobs.live.v1")), "{:?}", before.lines());
    assert!(topology("apply").start()?.exited(SOON).await?.success());
    let mut after = check().start()?;
    assert!(after.exited(SOON).await?.success(), "{:?}", after.lines());
    Ok(())
}
