//! The generated file for platform teams.

use std::path::Path;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::Value;
use whimbrel_core::contract::ContractSet;
use whimbrel_core::tier::Tiers;
use whimbrel_rabbitmq::Topology;
use whimbrel_rabbitmq::topology::{Management, check};
use whimbrel_testkit::http;
use whimbrel_testkit::rabbitmq::Broker;

const VHOST: &str = "whimbrel";

/// Of the four built-in contracts.
fn topology() -> Topology {
    Topology::new(&Tiers::new(ContractSet::built_in().distinct_delays()))
}

/// `WHIMBREL_GENERATE=1` writes the file instead.
#[test]
fn generated_definitions_json_is_in_step() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/rabbitmq/definitions.json");
    let generated = topology().definitions_json(VHOST);
    if std::env::var_os("WHIMBREL_GENERATE").is_some() {
        std::fs::create_dir_all(path.parent().context("a file in a directory")?)?;
        std::fs::write(&path, &generated)?;
    }
    let file = std::fs::read_to_string(&path).with_context(|| format!("{} is missing", path.display()))?;
    ensure!(
        file == generated,
        "deploy/rabbitmq/definitions.json is not what the topology says: \
         run this test with WHIMBREL_GENERATE=1"
    );
    Ok(())
}

#[tokio::test]
async fn a_broker_takes_the_definitions() -> anyhow::Result<()> {
    // A broker of its own, because definitions bring users.
    let broker = Broker::start().await?;
    let definitions: Value = serde_json::from_str(&topology().definitions_json(VHOST))?;
    broker.management().call(Method::POST, &["definitions"], Some(definitions)).await?;
    let url = broker.management_url().replacen("://", "://guest:guest@", 1);
    let found = check(&topology(), &Management::new(&url, http::client())?, VHOST).await?;
    ensure!(found.is_empty(), "{found:#?}");
    let rights = broker.management().call(Method::GET, &["permissions", VHOST, "whimbrel-tracker"], None).await?;
    assert_eq!(rights["read"], r"^whimbrel\.outcomes\.v[0-9]+$");
    Ok(())
}
