//! Runs a command with PostgreSQL and RabbitMQ of its own at hand, and stops both when it ends.
//!
//! `whimbrel-services COMMAND…` tells the command where they are in `TEST_DATABASE_URL`, `TEST_AMQP_URL` and
//! `TEST_AMQP_MANAGEMENT_URL`, and ends with its exit status. Servers that the caller has named in these variables
//! are used instead of new ones. Without a command it runs until it is told to stop, and writes the variables (and
//! those with which Whimbrel itself finds the servers) to the file named by `SERVICES_ENV`.

use std::fmt::Write as _;
use std::fs;
use std::future::Future;
use std::process::{ExitCode, ExitStatus};

use anyhow::{Context, Result};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use whimbrel_testkit::postgres::Postgres;
use whimbrel_testkit::rabbitmq::Broker;
use whimbrel_testkit::servers;

/// What a shell answers for a command ended by SIGTERM.
const TERMINATED: u8 = 128 + 15;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let mut stop = Stop::listen()?;
    servers::sweep()?;
    let started = tokio::select! {
        started = start() => started?,
        () = stop.requested() => return Ok(TERMINATED.into()),
    };
    let mut command = std::env::args_os().skip(1);
    match command.next() {
        Some(program) => {
            let mut child = Command::new(&program);
            child.args(command).envs(started.variables());
            let child = child.spawn().with_context(|| format!("cannot run {}", program.display()))?;
            run(child, &mut stop).await
        }
        None => serve(&started, &mut stop).await,
    }
}

/// The servers that were not named by the caller.
struct Started {
    postgres: Option<Postgres>,
    broker: Option<Broker>,
}

/// The signals that ask a program to end.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

async fn start() -> Result<Started> {
    let postgres = unless_named("TEST_DATABASE_URL", "postgresql", Postgres::start());
    let broker = unless_named("TEST_AMQP_URL", "rabbitmq", Broker::start());
    let (postgres, broker) = futures::try_join!(postgres, broker)?;
    Ok(Started { postgres, broker })
}

async fn unless_named<T>(variable: &str, what: &str, start: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    if std::env::var_os(variable).is_some() {
        eprintln!("services: {what} as named by {variable}");
        return Ok(None);
    }
    let begin = Instant::now();
    let server = start.await?;
    eprintln!("services: {what} up in {:.1} s", begin.elapsed().as_secs_f32());
    Ok(Some(server))
}

/// Waits for the command, handing on requests to stop, so that it can still use the servers while it ends.
async fn run(mut child: tokio::process::Child, stop: &mut Stop) -> Result<ExitCode> {
    loop {
        tokio::select! {
            status = child.wait() => return Ok(exit_code(status?)),
            () = stop.requested() => {
                let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
                if let Some(id) = id {
                    rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
                }
            }
        }
    }
}

async fn serve(started: &Started, stop: &mut Stop) -> Result<ExitCode> {
    let mut exports = String::new();
    for (name, value) in started.variables().into_iter().chain(started.settings().await?) {
        writeln!(exports, "export {name}='{value}'")?;
    }
    match std::env::var("SERVICES_ENV") {
        Ok(file) => fs::write(&file, exports).with_context(|| format!("cannot write {file}"))?,
        Err(_) => print!("{exports}"),
    }
    stop.requested().await;
    Ok(ExitCode::SUCCESS)
}

impl Started {
    fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![];
        if let Some(postgres) = &self.postgres {
            variables.push(("TEST_DATABASE_URL", postgres.url("postgres")));
        }
        if let Some(broker) = &self.broker {
            variables.push(("TEST_AMQP_URL", broker.amqp_url("/")));
            variables.push(("TEST_AMQP_MANAGEMENT_URL", broker.management_url().to_owned()));
        }
        variables
    }

    /// What `whimbrel serve` needs to use these servers.
    async fn settings(&self) -> Result<Vec<(&'static str, String)>> {
        let mut settings = vec![];
        if let Some(postgres) = &self.postgres {
            settings.push(("WHIMBREL_DATABASE_URL", postgres.create_database("whimbrel").await?));
        }
        if let Some(broker) = &self.broker {
            settings.push(("WHIMBREL_AMQP_URL", broker.amqp_url("/")));
        }
        Ok(settings)
    }
}

impl Stop {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// As a shell would: 128 + the signal for a command that a signal ended.
fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(1).into()
}
