//! The wish to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at the first SIGINT (Ctrl-C) or SIGTERM.
///
/// # Errors
/// When the process cannot listen to signals.
pub(crate) async fn interrupted() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
