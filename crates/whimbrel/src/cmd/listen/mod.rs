//! `whimbrel listen`: a receiver to try webhooks with.

mod answers;
mod print;
mod receiver;
mod seen;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::shared::{Paint, VerifierArgs, interrupted};

pub(crate) use answers::Answers;
pub(crate) use receiver::Receiver;
pub(crate) use seen::Seen;

use print::Totals;

/// Receives webhooks, verifies their signatures and prints one line for each.
#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    #[command(flatten)]
    verifier: VerifierArgs,

    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    addr: SocketAddr,

    /// Answer every request with this status.
    #[arg(long, value_parser = answers::status, default_value = "200", value_name = "STATUS")]
    status: u16,

    /// Answer with these statuses in order, and with the last one ever after.
    #[arg(long, value_parser = answers::status, value_delimiter = ',', conflicts_with = "status", value_name = "STATUSES")]
    script: Vec<u16>,

    /// Wait this long before each answer.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0s", value_name = "DURATION")]
    delay: Duration,

    /// Print one JSON object a line, with the headers and the body.
    #[arg(long)]
    json: bool,
}

/// How many lines may wait to be printed before answers wait too.
const LINES_MAX: usize = 1024;

/// Until Ctrl-C.
pub(crate) async fn run(args: ListenArgs) -> anyhow::Result<ExitCode> {
    let verifier = args.verifier.verifier()?;
    let listener =
        TcpListener::bind(args.addr).await.with_context(|| format!("cannot listen on {} (--addr)", args.addr))?;
    let statuses = if args.script.is_empty() { vec![args.status] } else { args.script };
    eprintln!(
        "listening on http://{} for webhooks under the contract `{}`; Ctrl-C stops",
        listener.local_addr()?,
        verifier.contract().name()
    );
    let (seen, mut lines) = mpsc::channel(LINES_MAX);
    let receiver = Receiver::start(listener, verifier, Answers::in_order(statuses).after(args.delay), seen)?;
    let mut totals = Totals::default();
    let stopped = interrupted();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            stopped = &mut stopped => break stopped?,
            Some(seen) = lines.recv() => {
                totals.add(&seen);
                let line = if args.json { print::json(&seen) } else { print::text(&seen, Paint::stdout()) };
                print::out(&line)?;
            }
        }
    }
    receiver.stop().await;
    eprintln!("{totals}");
    Ok(ExitCode::SUCCESS)
}
