//! A database of the test's own, and `psql`.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::Postgres;
use super::server::find_programs;
use crate::servers::{find_program, unique};

/// A database of the test's own; dropped together with this value.
#[must_use = "the database is dropped together with this value"]
pub struct Database {
    url: String,
    maintenance_url: String,
    name: String,
}

/// A fresh, empty database on the server named by `TEST_DATABASE_URL`, else on one private to this process.
///
/// # Errors
/// When PostgreSQL is not installed, does not start, or refuses to create the database.
pub async fn database() -> Result<Database> {
    static OWN: OnceCell<Postgres> = OnceCell::const_new();
    let maintenance_url = match std::env::var("TEST_DATABASE_URL") {
        Ok(url) => url,
        Err(_) => OWN.get_or_try_init(Postgres::start).await?.url("postgres"),
    };
    let name = unique("test");
    psql(&maintenance_url, &format!("CREATE DATABASE {name}")).await?;
    let url = with_database(&maintenance_url, &name)?;
    Ok(Database { url, maintenance_url, name })
}

/// Runs `sql` against `url` with `psql` and gives what it prints: one line a row, `|` between columns.
///
/// # Errors
/// When the server cannot be reached or refuses a statement; the message is psql's.
pub async fn psql(url: &str, sql: &str) -> Result<String> {
    let mut psql = Command::from(psql_command(url, sql)?);
    let output = psql.output().await.context("cannot run psql")?;
    if !output.status.success() {
        bail!("psql failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

impl Database {
    /// `postgres://…` of this database, with every right on it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        if let Ok(mut psql) = psql_command(&self.maintenance_url, &sql) {
            // The server may be gone already, and the database with it.
            let _ = psql.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

fn psql_command(url: &str, sql: &str) -> Result<std::process::Command> {
    let psql = find_program("psql", &[]).map_or_else(|| find_programs().map(|dir| dir.join("psql")), Ok)?;
    let mut command = std::process::Command::new(psql);
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]).stdin(Stdio::null());
    Ok(command)
}

fn with_database(url: &str, name: &str) -> Result<String> {
    let mut url: reqwest::Url = url.parse().context("TEST_DATABASE_URL is no URL")?;
    url.set_path(name);
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_test_gets_a_database_of_its_own() -> Result<()> {
        let (one, other) = (database().await?, database().await?);
        psql(one.url(), "CREATE TABLE t (x int); INSERT INTO t VALUES (1), (2)").await?;
        assert_eq!(psql(one.url(), "SELECT x FROM t ORDER BY x").await?, "1\n2");
        let error = psql(other.url(), "SELECT x FROM t").await.expect_err("no such table there");
        assert!(error.to_string().contains("does not exist"), "{error}");
        Ok(())
    }

    #[tokio::test]
    async fn dropping_a_database_removes_it() -> Result<()> {
        let database = database().await?;
        let (server, name) = (database.maintenance_url.clone(), database.name.clone());
        let count = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
        assert_eq!(psql(&server, &count).await?, "1");
        drop(database);
        assert_eq!(psql(&server, &count).await?, "0");
        Ok(())
    }

    #[test]
    fn a_database_url_keeps_everything_but_the_name() -> Result<()> {
        let url = with_database("postgres://u:p@host:5/postgres?sslmode=disable", "mine")?;
        assert_eq!(url, "postgres://u:p@host:5/mine?sslmode=disable");
        Ok(())
    }
}
