//! The `whimbrel` binary as a child process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Signal;
use tokio::sync::watch;

use crate::child::{self, Child, Sink};
use crate::servers::{Home, build_dir};
use crate::{http, ports, wait};

/// How to start a process of Whimbrel; see [`Whimbrel::command`].
pub struct Builder {
    program: Option<PathBuf>,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
}

/// A process of Whimbrel; dropping it kills it.
///
/// It listens on free ports of 127.0.0.1, keeps its data in a directory of its own that is removed with it, and
/// inherits no `WHIMBREL_*` or `OTEL_*` variable.
pub struct Whimbrel {
    builder: Builder,
    program: PathBuf,
    listen: u16,
    ops: u16,
    lines: Arc<watch::Sender<Vec<String>>>,
    child: Option<Child>,
    // After the child, so that its files are removed when it has ended.
    home: Home,
}

impl Builder {
    /// Runs this program instead of the `whimbrel` that was built together with the tests.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable, `WHIMBREL_AMQP_URL` say.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Starts the process, without waiting until it is ready.
    ///
    /// # Errors
    /// When the binary is not built or cannot be started.
    pub fn start(self) -> Result<Whimbrel> {
        let program = self.program.clone().map_or_else(find_binary, Ok)?;
        let mut process = Whimbrel {
            builder: self,
            program,
            listen: ports::free(),
            ops: ports::free(),
            lines: Arc::new(watch::Sender::new(vec![])),
            child: None,
            home: Home::create("whimbrel")?,
        };
        process.start_again()?;
        Ok(process)
    }
}

impl Whimbrel {
    /// `whimbrel SUBCOMMAND`, to be completed and started.
    pub fn command(subcommand: &str) -> Builder {
        Builder { program: None, arguments: vec![subcommand.to_owned()], variables: BTreeMap::new() }
    }

    /// The URL of `path` (which begins with a slash) of its API.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.listen)
    }

    /// The URL of `path` on its port for health and metrics.
    pub fn ops_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ops)
    }

    /// Where it keeps its data, unless `WHIMBREL_DATA_DIR` was set.
    pub fn data_dir(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.child.as_ref().map(Child::pid)
    }

    /// How it ended, if it has.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child.as_ref().and_then(Child::exit_status)
    }

    /// What it has written to stdout and stderr, over all its starts.
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// Waits until it has written a line that contains `part`, and gives that line.
    ///
    /// # Errors
    /// When `timeout` passes first; the message ends with what it wrote.
    pub async fn wait_for_line(&self, part: &str, timeout: Duration) -> Result<String> {
        let find = |lines: &[String]| lines.iter().find(|line| line.contains(part)).cloned();
        let mut lines = self.lines.subscribe();
        match tokio::time::timeout(timeout, lines.wait_for(|lines| find(lines).is_some())).await {
            Ok(Ok(lines)) => find(&lines).context("the line was just there"),
            _ => Err(self.explain(&format!("no line with {part:?} within {timeout:?}"))),
        }
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Errors
    /// When the process ends or `timeout` passes first; the message ends with what it wrote.
    pub async fn ready(&self, timeout: Duration) -> Result<()> {
        let (client, url) = (http::client(), self.ops_url("/readyz"));
        let probe = async || match self.exit_status() {
            Some(status) => Some(Err(self.explain(&format!("whimbrel ended with {status}")))),
            None => client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200).then_some(Ok(())),
        };
        let ready = wait::until("whimbrel is ready", timeout, probe).await;
        ready.unwrap_or_else(|timeout| Err(self.explain(&timeout.to_string())))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not run, or `timeout` passes first.
    pub async fn exited(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let Some(child) = &self.child else { bail!("whimbrel does not run") };
        let exited = tokio::time::timeout(timeout, child.exited()).await;
        let status = exited.map_err(|_| self.explain(&format!("whimbrel still runs after {timeout:?}")))?;
        self.child = None;
        Ok(status)
    }

    /// Kills it with SIGKILL and waits for its end.
    pub async fn kill9(&mut self) {
        if let Some(child) = self.child.take() {
            child.kill().await;
        }
    }

    /// Asks it with SIGTERM to end, and gives how it did.
    ///
    /// # Errors
    /// When it does not run, or still runs after `grace` (it is then left running).
    pub async fn terminate(&mut self, grace: Duration) -> Result<ExitStatus> {
        if let Some(child) = &self.child {
            child.signal(Signal::TERM);
        }
        self.exited(grace).await
    }

    /// Asks it with SIGHUP to read its configuration again.
    pub fn hang_up(&self) {
        if let Some(child) = &self.child {
            child.signal(Signal::HUP);
        }
    }

    /// Starts it again after its end (or kills and starts it), with the same ports, data and settings.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = None;
        let mut command = child::command(&self.program, &[]);
        command.args(&self.builder.arguments).current_dir(self.home.path());
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command
            .env("WHIMBREL_LISTEN", format!("127.0.0.1:{}", self.listen))
            .env("WHIMBREL_OPS_LISTEN", format!("127.0.0.1:{}", self.ops))
            .env("WHIMBREL_DATA_DIR", self.data_dir())
            .envs(&self.builder.variables);
        self.child = Some(Child::spawn(command, Some(self.sink()))?);
        Ok(())
    }

    /// Keeps each line; under nextest, which shows the output of failed tests only, it is also printed at once.
    fn sink(&self) -> Sink {
        let lines = Arc::clone(&self.lines);
        let echo = std::env::var_os("NEXTEST").is_some();
        Box::new(move |line| {
            if echo {
                eprintln!("whimbrel| {line}");
            }
            lines.send_modify(|lines| lines.push(line));
        })
    }

    fn explain(&self, what: &str) -> anyhow::Error {
        let lines = self.lines.borrow();
        anyhow!("{what}; it wrote:\n{}", lines[lines.len().saturating_sub(50)..].join("\n"))
    }
}

impl Drop for Whimbrel {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("NEXTEST").is_none() {
            eprintln!("whimbrel wrote:\n{}", self.lines.borrow().join("\n"));
        }
    }
}

/// The `whimbrel` that lies beside the tests' own programs.
fn find_binary() -> Result<PathBuf> {
    let binary = build_dir()?.join("whimbrel");
    if binary.is_file() {
        Ok(binary)
    } else {
        bail!("{} is missing: run `cargo build --workspace --bins`", binary.display())
    }
}

fn is_ours(variable: &str) -> bool {
    variable.starts_with("WHIMBREL_") || variable.starts_with("OTEL_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// A shell stands in where only the handling of processes matters.
    fn shell(script: &str) -> Builder {
        Whimbrel::command("-c").program("/bin/sh").arg(script)
    }

    #[tokio::test]
    async fn its_lines_can_be_waited_for() -> Result<()> {
        let mut process = shell("echo listening on $WHIMBREL_LISTEN; echo trouble >&2").start()?;
        let line = process.wait_for_line("listening", SOON).await?;
        assert_eq!(process.url(""), line.replace("listening on ", "http://"));
        assert!(process.exited(SOON).await?.success());
        assert!(process.lines().contains(&"trouble".to_owned()));
        let error = process.wait_for_line("never", Duration::from_millis(20)).await.expect_err("not written");
        assert!(error.to_string().contains("trouble"), "{error}");
        Ok(())
    }

    #[tokio::test]
    async fn terminate_gives_the_exit_status() -> Result<()> {
        let mut process = shell("trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done").start()?;
        process.wait_for_line("up", SOON).await?;
        assert_eq!(process.terminate(SOON).await?.code(), Some(7));
        assert!(process.terminate(SOON).await.is_err());
        Ok(())
    }

    #[tokio::test]
    async fn a_process_that_ignores_sigterm_is_reported_and_can_be_killed() -> Result<()> {
        let mut process = shell("trap '' TERM; echo up; while :; do sleep 0.01; done").start()?;
        process.wait_for_line("up", SOON).await?;
        assert!(process.terminate(Duration::from_millis(50)).await.is_err());
        process.kill9().await;
        assert_eq!(process.pid(), None);
        Ok(())
    }

    #[tokio::test]
    async fn it_starts_again_on_the_same_ports_and_data() -> Result<()> {
        let mut process = shell("mkdir -p data; echo x >>data/starts; wc -l <data/starts; exec sleep 600").start()?;
        process.wait_for_line("1", SOON).await?;
        let url = process.url("/");
        process.kill9().await;
        process.start_again()?;
        process.wait_for_line("2", SOON).await?;
        assert_eq!(process.url("/"), url);
        Ok(())
    }

    #[tokio::test]
    async fn a_process_that_ends_is_not_waited_for() -> Result<()> {
        let process = shell("echo out of luck; exit 2").start()?;
        let error = process.ready(Duration::from_mins(1)).await.expect_err("never ready").to_string();
        assert!(error.contains("exit status: 2") && error.contains("out of luck"), "{error}");
        Ok(())
    }

    #[tokio::test]
    async fn readiness_is_asked_on_the_ops_port() -> Result<()> {
        let server = "exec python3 -m http.server --bind 127.0.0.1 ${WHIMBREL_OPS_LISTEN#*:}";
        let process = shell(&format!("echo ok >readyz; {server}")).start()?;
        process.ready(Duration::from_secs(30)).await
    }
}
