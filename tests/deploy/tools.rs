//! The tools that setup installs, and the files they work on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// The value sets: from as little as can be to everything.
pub(super) const VALUES: [&str; 5] = ["minimal", "production", "operators", "scaled", "plain"];

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the repository").to_path_buf()
}

pub(super) fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| format!("{path} cannot be read"))
}

/// Runs a command from the repository's root; what it wrote, standard output first, or the same as an error.
pub(super) fn run(command: &mut Command) -> Result<String> {
    let output = command.current_dir(root()).output().with_context(|| format!("{command:?}"))?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    Ok(text)
}

/// One of the installed programs: `bin/helm`, `venv/bin/hadolint`.
pub(super) fn tool(path: &str) -> Result<Command> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    if INSTALLED.get().is_none() {
        run(&mut Command::new(root().join("tests/deploy/setup")))?;
        INSTALLED.get_or_init(|| ());
    }
    Ok(Command::new(root().join("target/deploy").join(path)))
}

/// What helm makes of a value set, as YAML; with more `--set` entries.
pub(super) fn render(values: &str, sets: &[&str]) -> Result<String> {
    let mut helm = tool("bin/helm")?;
    helm.args(["template", "hooks", "deploy/helm/whimbrel", "--namespace", "webhooks", "--values"]);
    helm.arg(format!("tests/deploy/values/{values}.yaml"));
    for set in sets {
        helm.args(["--set", set]);
    }
    run(&mut helm)
}

/// The same as objects.
pub(super) fn objects(values: &str, sets: &[&str]) -> Result<Vec<Value>> {
    documents(&render(values, sets)?)
}

/// Every document of a YAML text that is not empty.
pub(super) fn documents(text: &str) -> Result<Vec<Value>> {
    let parse = |document| Ok(Value::deserialize(document)?);
    let all: Vec<Value> = yaml_serde::Deserializer::from_str(text).map(parse).collect::<Result<_>>()?;
    Ok(all.into_iter().filter(|document| !document.is_null()).collect())
}

/// A file for tools to read, which goes when the value is dropped.
pub(super) fn file(suffix: &str, text: &str) -> Result<tempfile::NamedTempFile> {
    let file = tempfile::Builder::new().suffix(suffix).tempfile()?;
    std::fs::write(file.path(), text)?;
    Ok(file)
}
