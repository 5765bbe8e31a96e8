//! Every route with what its document allows and forbids, by schemathesis: no 5xx, and each answer is as documented.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::harness::{Kind, System, text};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the repository").to_path_buf()
}

/// Runs the tool with this key; its report is the failure's message.
async fn fuzz(base: &str, key: &str) -> Result<()> {
    let setup = tokio::process::Command::new(root().join("tests/fuzz/setup")).status().await?;
    ensure!(setup.success(), "tests/fuzz/setup failed");
    let output = tokio::process::Command::new(root().join("target/fuzz/venv/bin/schemathesis"))
        .arg("run")
        .arg(format!("{base}/openapi.json"))
        .args(["--header", &format!("Authorization: Bearer {key}")])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"])
        .args(["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "15", "--seed", "1"])
        .args(["--continue-on-failure", "--warnings", "off", "--no-color"])
        .current_dir(root().join("target/fuzz"))
        .output()
        .await?;
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    let summary: Vec<&str> = report.lines().rev().take(25).collect();
    println!("{}", summary.into_iter().rev().collect::<Vec<_>>().join("\n"));
    Ok(())
}

/// As an admin, who may do everything.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_keeps_its_document_for_an_admin() -> Result<()> {
    let system = System::start(Kind::Embedded).await?;
    fuzz(&system.api.base, &system.api.key).await
}

/// As a tenant, with something of its own in every list.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_keeps_its_document_for_a_tenant() -> Result<()> {
    let system = System::start(Kind::Embedded).await?;
    let api = system.api.create_tenant("acme", "generic").await?;
    let key = system.api.post("/v1/tenants/acme/keys", &json!({"name": "fuzz"})).await?;
    api.create_webhook("http://127.0.0.1:9/", &["*"]).await?;
    api.publish_many("order.created", 20).await?;
    fuzz(&api.base, &text(&key, "key").context("a key")?).await
}
