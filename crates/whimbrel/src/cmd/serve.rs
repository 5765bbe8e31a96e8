//! `whimbrel serve`.

use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::config::{Config, LogFormat};
use crate::wiring::{self, Role};

/// Runs Whimbrel.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// A role of this process; can be given several times. All of them when none is named.
    #[arg(long = "role", value_enum, value_name = "ROLE")]
    roles: Vec<Role>,
}

/// Until SIGTERM or SIGINT, or until a role cannot go on. SIGHUP reads contracts and the log's level again, with what
/// `load` gives then.
pub(crate) async fn run(args: ServeArgs, load: impl Fn() -> anyhow::Result<Config>) -> anyhow::Result<ExitCode> {
    let config = load()?;
    let format = match config.log.format {
        LogFormat::Text => whimbrel_telemetry::LogFormat::Text,
        LogFormat::Json => whimbrel_telemetry::LogFormat::Json,
    };
    let roles = if args.roles.is_empty() { Role::ALL.to_vec() } else { args.roles };
    let telemetry = whimbrel_telemetry::init(&Role::service(&roles, &config)?, format, &config.log.level)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let stopped = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(stopped);
    let mut running = tokio::select! {
        () = &mut stopped => return Ok(ExitCode::SUCCESS),
        running = wiring::start(config, &roles) => running?,
    };
    if let Some(key) = running.new_admin_key.take() {
        println!("admin key (shown once): {key}");
    }
    info!(api = ?running.api_addr, ops = ?running.ops_addr, ?roles, "whimbrel is up");
    let failed = loop {
        tokio::select! {
            () = &mut stopped => break None,
            failed = running.failed() => break Some(failed),
            _ = hangup.recv() => {
                // Not while stopping: what is checked may be away for long.
                let reload = running.live.reload(&running.engine, &load);
                tokio::select! {
                    () = &mut stopped => break None,
                    () = reload => {}
                }
            }
        }
    };
    info!("stopping");
    let stopped = running.stop().await;
    info!("stopped");
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
    match failed {
        Some(error) => Err(error),
        None => stopped.map(|()| ExitCode::SUCCESS),
    }
}
