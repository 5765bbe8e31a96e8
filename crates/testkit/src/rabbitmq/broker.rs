//! A private RabbitMQ node.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Signal;
use tokio::net::TcpStream;

use super::{Management, Vhost};
use crate::child::{self, Child};
use crate::servers::{Home, find_program, unique, versions};
use crate::{ports, wait};

/// Generous: Erlang takes its time on a machine that compiles at the same moment.
const START_TIMEOUT: Duration = Duration::from_mins(2);
const LOG: &str = "output";

/// Statistics and the lengths of quorum queues are refreshed this often, so that tests see them soon.
const FOR_TESTS: Refresh = Refresh(200);
/// RabbitMQ's own default.
const AS_SHIPPED: Refresh = Refresh(5_000);

/// Milliseconds between refreshed figures.
#[derive(Clone, Copy)]
struct Refresh(u32);

/// A private RabbitMQ node on 127.0.0.1 with the management plugin, gone with all its data when dropped.
pub struct Broker {
    node: String,
    ports: Ports,
    scripts: PathBuf,
    management: Management,
    server: Option<Child>,
    _epmd: Child,
    // After the processes, so that their files are removed when they have ended.
    home: Home,
}

#[derive(Clone, Copy)]
struct Ports {
    amqp: u16,
    management: u16,
    distribution: u16,
    epmd: u16,
}

impl Broker {
    /// Creates and starts a node, and waits until AMQP and the management API answer (about five seconds).
    ///
    /// # Errors
    /// When RabbitMQ is not installed or does not come up; the message then ends with its log.
    pub async fn start() -> Result<Self> {
        Self::start_with(FOR_TESTS).await
    }

    /// The same with the statistics' pace of production: for measurements. Depths are then seconds old.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub async fn start_as_shipped() -> Result<Self> {
        Self::start_with(AS_SHIPPED).await
    }

    async fn start_with(refresh: Refresh) -> Result<Self> {
        let scripts = find_scripts()?;
        let home = Home::create("rabbitmq")?;
        let ports = Ports::choose();
        write_configuration(&home, ports, refresh)?;
        let management = Management::new(&format!("http://127.0.0.1:{}", ports.management), "guest", "guest")?;
        let epmd = start_epmd(&home, ports.epmd)?;
        let node = format!("{}@localhost", unique("whimbrel"));
        let mut broker = Self { node, ports, scripts, management, server: None, _epmd: epmd, home };
        broker.start_again().await?;
        Ok(broker)
    }

    /// The process id of the Erlang machine, while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.server.as_ref().map(Child::pid)
    }

    /// `amqp://…` of `vhost` for the administrator. `/` exists from the start.
    pub fn amqp_url(&self, vhost: &str) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/{}", self.ports.amqp, vhost.replace('/', "%2f"))
    }

    /// `http://…` of the management API and its pages.
    pub fn management_url(&self) -> &str {
        self.management.url()
    }

    /// The management API, as the administrator.
    pub fn management(&self) -> &Management {
        &self.management
    }

    /// Creates a vhost of its own on this node.
    ///
    /// # Errors
    /// When the node is down.
    pub async fn create_vhost(&self) -> Result<Vhost> {
        Vhost::create(self.management.clone(), &self.amqp_url("/")).await
    }

    /// Waits until every quorum queue of `vhost` would survive [`Broker::kill`].
    ///
    /// RabbitMQ writes the names of new quorum queues to disk only some seconds after it has declared them. One that
    /// is younger at a crash comes back without a leader, and can then be neither used nor deleted. What is
    /// published to a settled queue and confirmed is safe at once.
    ///
    /// # Errors
    /// When the node is down, or writes nothing for far longer than that.
    pub async fn settle(&self, vhost: &Vhost) -> Result<()> {
        let queues = self.management.queue_totals(vhost.name()).await?;
        let quorum = queues.into_iter().filter(|queue| queue.kind == "quorum");
        let names: Vec<_> = quorum.map(|queue| format!("{}_{}", vhost.name(), queue.name).into_bytes()).collect();
        wait::until("all quorum queues are registered on disk", START_TIMEOUT, async || {
            let register = self.queue_register();
            let has = |name: &Vec<u8>| register.windows(name.len()).any(|part| part == name);
            names.iter().all(has).then_some(())
        })
        .await
    }

    /// Stops the node in order.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.signal(Signal::TERM);
            server.exited().await;
        }
    }

    /// Kills the node with SIGKILL.
    pub async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill().await;
        }
    }

    /// Starts the stopped or killed node on the same ports and data, and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up; the message ends with its log.
    pub async fn start_again(&mut self) -> Result<()> {
        self.stop().await;
        let mut command = child::command(&self.scripts.join("rabbitmq-server"), &[]);
        self.set_environment(&mut command);
        let log = File::options().create(true).append(true).open(self.home.join(LOG))?;
        command.stdout(log.try_clone()?).stderr(log);
        let server = Child::spawn(command, None)?;
        self.await_ready(&server).await?;
        self.server = Some(server);
        Ok(())
    }

    /// Raises the memory alarm, which blocks every connection that publishes, or clears it again.
    ///
    /// # Errors
    /// When `rabbitmqctl` cannot reach the node.
    pub async fn set_memory_alarm(&self, raised: bool) -> Result<()> {
        let watermark = if raised { "0" } else { "0.4" };
        self.rabbitmqctl(&["set_vm_memory_high_watermark", watermark]).await?;
        wait::until("the memory alarm has changed", START_TIMEOUT, async || {
            let alarms = self.management.alarm_is_raised().await;
            alarms.is_ok_and(|alarm| alarm == raised).then_some(())
        })
        .await
    }

    /// Runs `rabbitmqctl` against this node and gives what it prints (takes a second or two).
    ///
    /// # Errors
    /// When it fails; the message is its own.
    pub async fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.scripts.join("rabbitmqctl"));
        self.set_environment(&mut command);
        let output = tokio::process::Command::from(command).arg("-q").args(arguments).output().await?;
        if !output.status.success() {
            bail!("rabbitmqctl {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    async fn await_ready(&self, server: &Child) -> Result<()> {
        let probe = async || match server.exit_status() {
            Some(status) => Some(Err(self.explain(&format!("rabbitmq ended with {status}")))),
            None => self.answers().await.then_some(Ok(())),
        };
        let ready = wait::until("rabbitmq answers", START_TIMEOUT, probe).await;
        ready.unwrap_or_else(|timeout| Err(self.explain(&timeout.to_string())))
    }

    async fn answers(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.ports.amqp)).await.is_ok() && self.management.is_ready().await
    }

    /// The bytes of the file in which the node keeps the names of its quorum queues.
    fn queue_register(&self) -> Vec<u8> {
        let file = format!("mnesia/{node}/quorum/{node}/names.dets", node = self.node);
        fs::read(self.home.join(&file)).unwrap_or_default()
    }

    fn set_environment(&self, command: &mut Command) {
        let Ports { amqp, distribution, epmd, .. } = self.ports;
        command
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", &self.node)
            .env("RABBITMQ_NODE_PORT", amqp.to_string())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", self.home.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", self.home.join("log"))
            .env("RABBITMQ_CONFIG_FILE", self.home.join("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", self.home.join("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.home.join("enabled_plugins"))
            .env("RABBITMQ_PID_FILE", self.home.join("pid"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            // Schedulers that sleep when idle, and no more of them than the tests can spare.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none")
            // The script then becomes the Erlang machine, so that signals reach that itself.
            .env("RUNNING_UNDER_SYSTEMD", "1")
            .env_remove("NOTIFY_SOCKET");
    }

    fn explain(&self, what: &str) -> anyhow::Error {
        anyhow!("{what}; the end of its output:\n{}", self.home.tail(LOG))
    }
}

impl Ports {
    fn choose() -> Self {
        Self { amqp: ports::free(), management: ports::free(), distribution: ports::free(), epmd: ports::free() }
    }
}

fn write_configuration(home: &Home, ports: Ports, Refresh(refresh_ms): Refresh) -> Result<()> {
    let configuration = format!(
        "management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {}\n\
         collect_statistics_interval = {refresh_ms}\n\
         disk_free_limit.absolute = 50MB\n\
         log.file = false\n\
         log.console = true\n\
         log.console.level = warning\n",
        ports.management
    );
    // The second as in what is shipped under `deploy`.
    let settings = format!("{{quorum_tick_interval, {refresh_ms}}}, {{dead_letter_worker_consumer_prefetch, 512}}");
    let advanced = format!("[{{rabbit, [{settings}]}}].\n");
    fs::write(home.join("rabbitmq.conf"), configuration)?;
    fs::write(home.join("advanced.config"), advanced)?;
    fs::write(home.join("enabled_plugins"), "[rabbitmq_management].\n")?;
    Ok(())
}

/// A port mapper of our own, in the foreground: Erlang would leave its own behind as a daemon.
fn start_epmd(home: &Home, port: u16) -> Result<Child> {
    let places = versions("/usr/lib/erlang", "bin");
    let epmd = find_program("epmd", &places).context("epmd is missing: run deploy/dev/install")?;
    let mut command = child::command(&epmd, &[]);
    command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
    let log = File::create(home.join("epmd"))?;
    command.stdout(log.try_clone()?).stderr(log);
    Child::spawn(command, None)
}

/// The directory of RabbitMQ's own scripts; those on `PATH` may be wrappers that change the user.
fn find_scripts() -> Result<PathBuf> {
    let mut places = vec![PathBuf::from("/usr/lib/rabbitmq/bin")];
    places.extend(versions("/usr/lib/rabbitmq/lib", "sbin"));
    places.extend(["/opt/homebrew/sbin".into(), "/usr/local/sbin".into()]);
    let server = find_program("rabbitmq-server", &places);
    let server = server.context("RabbitMQ is missing: run deploy/dev/install")?;
    Ok(server.parent().unwrap_or(Path::new("/")).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_private_broker_keeps_messages_over_kill_and_stop() -> Result<()> {
        let mut broker = Broker::start().await?;
        let vhost = broker.create_vhost().await?;
        vhost.declare_queue("kept", &json!({"x-queue-type": "quorum"})).await?;
        vhost.publish("", "kept", &json!({"delivery_mode": 2}), b"first").await?;
        broker.settle(&vhost).await?;

        broker.kill().await;
        assert!(TcpStream::connect(("127.0.0.1", broker.ports.amqp)).await.is_err());
        broker.start_again().await?;
        vhost.wait_for_depth("kept", 1, START_TIMEOUT).await?;

        broker.stop().await;
        broker.start_again().await?;
        vhost.wait_for_depth("kept", 1, START_TIMEOUT).await?;
        Ok(())
    }

    #[tokio::test]
    async fn the_memory_alarm_is_raised_and_cleared() -> Result<()> {
        let broker = Broker::start().await?;
        broker.set_memory_alarm(true).await?;
        assert!(broker.management().alarm_is_raised().await?);
        broker.set_memory_alarm(false).await?;
        assert!(!broker.management().alarm_is_raised().await?);
        Ok(())
    }
}
