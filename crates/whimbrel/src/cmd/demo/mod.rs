//! `whimbrel demo`: the newcomer's first minute. A server, a receiver per contract, real events through
//! the real API, and a retry.

mod folder;
mod follow;
mod screen;
mod stage;
mod table;
mod tally;
mod verdict;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use whimbrel_core::contract::ContractSet;

use super::listen::Seen;
use super::shared::{ApiClient, Paint, interrupted};
use crate::config::{Config, Egress};
use crate::wiring::{self, Role};

use folder::Folder;
use screen::Screen;
use stage::Stage;

/// How long the whole demonstration may take.
const DEADLINE: Duration = Duration::from_mins(1);
/// How much of it is kept for the verdict, when deliveries do not become final.
const VERDICT: Duration = Duration::from_secs(10);
/// How many requests may wait to be shown.
const LINES_MAX: usize = 1024;

/// Shows the whole way once: a server, receivers, events, a retry.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Exit once everything is delivered: 0 when every delivery succeeded, was verified and one of them
    /// needed three attempts, 1 otherwise.
    #[arg(long)]
    once: bool,

    /// What the delays before retries are multiplied with.
    #[arg(long, default_value_t = 0.02, value_parser = scale, value_name = "FACTOR")]
    scale: f64,
}

fn scale(text: &str) -> anyhow::Result<f64> {
    let scale: f64 = text.parse()?;
    ensure!(scale.is_finite() && scale > 0.0 && scale <= 1.0, "the factor must lie above 0 and not above 1");
    Ok(scale)
}

/// Until everything is delivered (`--once`), or until Ctrl-C.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let deadline = Instant::now() + DEADLINE;
    let stopped = interrupted();
    tokio::pin!(stopped);
    let folder = Folder::create()?;
    let mut running = tokio::select! {
        stopped = &mut stopped => return stopped.map(|()| stopped_early(&args)),
        running = wiring::start(config(&folder, args.scale), &Role::ALL) => running?,
    };
    let server = Server {
        address: running.api_addr.ok_or_else(|| anyhow!("the server has no api role"))?,
        key: running.admin_key.clone().ok_or_else(|| anyhow!("the server knows no admin key"))?,
    };
    let result = tokio::select! {
        stopped = &mut stopped => stopped.map(|()| stopped_early(&args)),
        failed = running.failed() => Err(failed),
        code = show(&args, &server, deadline) => code,
    };
    let ended = running.stop().await;
    result.and_then(|code| ended.map(|()| code))
}

/// Where the demo's server is, and how to talk to it.
struct Server {
    address: SocketAddr,
    key: String,
}

fn config(folder: &Folder, retry_scale: f64) -> Config {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let loopback = "127.0.0.0/8".parse().expect("a network");
    Config {
        listen: free,
        ops_listen: free,
        data_dir: folder.path().to_owned(),
        retry_scale,
        egress: Egress { allow_http: true, allow_networks: vec![loopback], proxy: None },
        ..Config::default()
    }
}

/// Stopping by hand is how a demo ends, unless it was asked for its verdict.
fn stopped_early(args: &DemoArgs) -> ExitCode {
    if args.once { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn show(args: &DemoArgs, server: &Server, deadline: Instant) -> anyhow::Result<ExitCode> {
    let screen = Screen::new(Paint::stdout());
    let contracts = ContractSet::built_in();
    let client = ApiClient::new(&format!("http://{}", server.address), &server.key)?;
    let (seen, mut lines) = mpsc::channel(LINES_MAX);
    let played = async {
        let stage = Stage::set(&client, &contracts, seen).await?;
        screen.opening(&stage, server, args.scale)?;
        let followed = follow::until_final(&stage, &mut lines, &screen, deadline - VERDICT);
        let ((), followed) = tokio::try_join!(stage.publish(), followed)?;
        let faults = verdict::faults(&stage, &followed);
        screen.summary(&stage, &followed, &faults)?;
        anyhow::Ok((stage, faults))
    };
    let played = timeout_at(deadline, played).await;
    // The stage is kept: its receivers answer for as long as the demo stays up.
    let (_stage, faults) = played.with_context(|| format!("the server did not answer within {DEADLINE:?}"))??;
    if args.once {
        return Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    screen.invitation(server)?;
    stay(&mut lines, &screen).await
}

/// Shows what else comes, until the caller ends it.
async fn stay(lines: &mut mpsc::Receiver<Seen>, screen: &Screen) -> anyhow::Result<ExitCode> {
    while let Some(seen) = lines.recv().await {
        screen.request(&seen)?;
    }
    Err(anyhow!("the receivers ended"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_must_shorten() {
        assert!(scale("0.02").is_ok() && scale("1").is_ok());
        for text in ["0", "-1", "1.5", "NaN", "inf", "x"] {
            assert!(scale(text).is_err(), "{text}");
        }
    }
}
