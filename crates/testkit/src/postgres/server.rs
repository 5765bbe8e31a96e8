//! A private PostgreSQL server.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use super::account::privileges;
use super::psql;
use crate::child::{self, Child};
use crate::servers::{Home, find_program, versions};
use crate::{ports, wait};

const START_TIMEOUT: Duration = Duration::from_mins(1);
const LOG: &str = "log";

/// The options of every server.
const SETTINGS: &[&str] =
    &["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300", "log_min_messages=warning"];

/// The data need not survive the machine, only the server: no fsync.
const FOR_TESTS: &[&str] = &["fsync=off", "shared_buffers=64MB", "max_wal_size=512MB"];

/// As PostgreSQL comes: a commit is on the disk.
const DURABLE: &[&str] = &["fsync=on", "synchronous_commit=on", "max_wal_size=1GB"];

/// A private PostgreSQL server on 127.0.0.1, gone with all its data when dropped.
pub struct Postgres {
    port: u16,
    programs: PathBuf,
    privileges: Vec<String>,
    settings: &'static [&'static str],
    postmaster: Option<Child>,
    // After the postmaster, so that its files are removed when it has ended.
    home: Home,
}

impl Postgres {
    /// Creates and starts a server, and waits until it answers (about two seconds).
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not come up; the message then ends with its log.
    pub async fn start() -> Result<Self> {
        Self::start_with(FOR_TESTS).await
    }

    /// The same with fsync, as in production: for measurements.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_durable() -> Result<Self> {
        Self::start_with(DURABLE).await
    }

    async fn start_with(settings: &'static [&'static str]) -> Result<Self> {
        let programs = find_programs()?;
        let home = Home::create("postgres")?;
        let privileges = privileges(home.path())?;
        let mut server = Self { port: ports::free(), programs, privileges, settings, postmaster: None, home };
        server.init().await?;
        server.start_again().await?;
        Ok(server)
    }

    /// The process id of the postmaster, the parent of all others, while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.postmaster.as_ref().map(Child::pid)
    }

    /// `postgres://…` of `database` on this server, as its superuser. `postgres` exists from the start.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates the empty database `name` (letters, digits, underscores) and gives its URL.
    ///
    /// # Errors
    /// When the server is down or has a database of that name.
    pub async fn create_database(&self, name: &str) -> Result<String> {
        psql(&self.url("postgres"), &format!("CREATE DATABASE \"{name}\"")).await?;
        Ok(self.url(name))
    }

    /// Stops the server in order, ending all sessions.
    pub async fn stop(&mut self) {
        if let Some(postmaster) = self.postmaster.take() {
            postmaster.signal(Signal::INT);
            postmaster.exited().await;
        }
    }

    /// Kills the server and all its processes with SIGKILL, as a crash of the machine would.
    pub async fn kill(&mut self) {
        if let Some(postmaster) = self.postmaster.take() {
            // Stopped first, so that it makes no other backend between the look and the end.
            postmaster.signal(Signal::STOP);
            let backends = children_of(postmaster.pid());
            for backend in &backends {
                let _ = kill_process(*backend, Signal::KILL);
            }
            postmaster.kill().await;
            // One that still holds the shared memory keeps the next server from starting.
            let gone = || async { backends.iter().all(|backend| !is_there(*backend)).then_some(()) };
            let _ = wait::until("the killed backends are gone", Duration::from_secs(10), gone).await;
        }
    }

    /// Starts the stopped or killed server on the same port and data, and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up; the message ends with its log.
    pub async fn start_again(&mut self) -> Result<()> {
        self.stop().await;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        for setting in SETTINGS.iter().chain(self.settings) {
            command.args(["-c", setting]);
        }
        let log = fs::File::options().create(true).append(true).open(self.home.join(LOG))?;
        command.stdout(log.try_clone()?).stderr(log);
        let postmaster = Child::spawn(command, None)?;
        self.await_ready(&postmaster).await?;
        self.postmaster = Some(postmaster);
        Ok(())
    }

    async fn init(&self) -> Result<()> {
        let mut command = self.command("initdb");
        command.arg("-D").arg(self.data());
        command.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]);
        let log = fs::File::create(self.home.join(LOG))?;
        command.stdout(log.try_clone()?).stderr(log);
        let status = Child::spawn(command, None)?.exited().await;
        if status.success() { Ok(()) } else { Err(self.explain(&format!("initdb failed with {status}"))) }
    }

    async fn await_ready(&self, postmaster: &Child) -> Result<()> {
        let probe = async || match postmaster.exit_status() {
            Some(status) => Some(Err(self.explain(&format!("postgres ended with {status}")))),
            None => self.answers().await.then_some(Ok(())),
        };
        let ready = wait::until("postgres accepts connections", START_TIMEOUT, probe).await;
        ready.unwrap_or_else(|timeout| Err(self.explain(&timeout.to_string())))
    }

    async fn answers(&self) -> bool {
        let mut pg_isready = Command::new(self.programs.join("pg_isready"));
        pg_isready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        pg_isready.status().await.is_ok_and(|status| status.success())
    }

    fn command(&self, program: &str) -> std::process::Command {
        let mut command = child::command(&self.programs.join(program), &self.privileges);
        command.current_dir(self.home.path()).env("LC_ALL", "C");
        command
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn explain(&self, what: &str) -> anyhow::Error {
        anyhow!("{what}; the end of its log:\n{}", self.home.tail(LOG))
    }
}

fn children_of(parent: i32) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|id| parent_of(*id) == Some(parent)).filter_map(Pid::from_raw).collect()
}

/// The fourth field of `/proc/ID/stat`; the second, the name in brackets, may contain spaces.
/// Whether a process exists, and is not only waiting for its parent to hear of its end.
fn is_there(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z') && !rest.is_empty())
}

fn parent_of(id: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}

/// The directory of the server's programs.
pub(super) fn find_programs() -> Result<PathBuf> {
    let places = [
        versions("/usr/lib/postgresql", "bin"),
        versions("/opt/homebrew/opt", "bin"),
        versions("/usr/local/opt", "bin"),
    ];
    let initdb = find_program("initdb", &places.concat());
    let initdb = initdb.context("PostgreSQL's server programs are missing: run deploy/dev/install")?;
    let initdb = fs::canonicalize(initdb)?;
    Ok(initdb.parent().context("initdb lies in no directory")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_server_keeps_commits_over_kill_and_stop() -> Result<()> {
        let mut server = Postgres::start().await?;
        let url = server.create_database("kept").await?;
        psql(&url, "CREATE TABLE t (x int); INSERT INTO t VALUES (1)").await?;

        server.kill().await;
        assert!(psql(&url, "SELECT 1").await.is_err());
        server.start_again().await?;
        psql(&url, "INSERT INTO t VALUES (2)").await?;

        server.stop().await;
        server.start_again().await?;
        assert_eq!(psql(&url, "SELECT x FROM t ORDER BY x").await?, "1\n2");
        Ok(())
    }

    #[tokio::test]
    async fn a_dropped_server_leaves_nothing() -> Result<()> {
        let server = Postgres::start().await?;
        let (url, dir) = (server.url("postgres"), server.home.path().to_owned());
        drop(server);
        assert!(psql(&url, "SELECT 1").await.is_err());
        assert!(!dir.exists());
        Ok(())
    }
}
