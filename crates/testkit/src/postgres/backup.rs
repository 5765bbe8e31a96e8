//! `pg_dump` and `pg_restore`.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::server::find_programs;

/// Writes everything in the database at `url` to `file`, as of one moment.
///
/// # Errors
/// When the server cannot be reached or the file not be written; the message is `pg_dump`'s.
pub async fn dump(url: &str, file: &Path) -> Result<()> {
    let mut command = Command::new(find_programs()?.join("pg_dump"));
    command.args(["--format=custom", "-d", url, "-f"]).arg(file);
    run(command, "pg_dump").await
}

/// The same as SQL text, for looking into.
///
/// # Errors
/// As [`dump`].
pub async fn dump_plain(url: &str, file: &Path) -> Result<()> {
    let mut command = Command::new(find_programs()?.join("pg_dump"));
    command.args(["--format=plain", "-d", url, "-f"]).arg(file);
    run(command, "pg_dump").await
}

/// Fills the empty database at `url` with what [`dump`] wrote.
///
/// # Errors
/// At the first statement that the server refuses; the message is `pg_restore`'s.
pub async fn restore(url: &str, file: &Path) -> Result<()> {
    let mut command = Command::new(find_programs()?.join("pg_restore"));
    command.args(["--exit-on-error", "-d", url]).arg(file);
    run(command, "pg_restore").await
}

async fn run(mut command: Command, name: &str) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().await.with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{database, psql};
    use crate::servers::Home;

    #[tokio::test]
    async fn what_was_dumped_is_restored_elsewhere() -> Result<()> {
        let (one, other) = (database().await?, database().await?);
        psql(one.url(), "CREATE TABLE t (x int); INSERT INTO t VALUES (1)").await?;
        let folder = Home::create("dump")?;
        let file = folder.join("dump");
        dump(one.url(), &file).await?;
        psql(one.url(), "INSERT INTO t VALUES (2)").await?;
        restore(other.url(), &file).await?;
        assert_eq!(psql(other.url(), "SELECT x FROM t").await?, "1");
        assert!(restore(other.url(), &file).await.is_err(), "it is not empty any more");
        Ok(())
    }
}
