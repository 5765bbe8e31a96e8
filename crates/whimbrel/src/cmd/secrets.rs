//! `whimbrel secrets`: the keys that endpoints' secrets are sealed under.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use whimbrel_core::EndpointId;
use whimbrel_core::port::{Clock, Reencrypted, Registry, StoreError, SystemClock};
use whimbrel_core::sealing::KeyRing;

use super::shared::{count, open_store};
use crate::config::Config;

/// The keys that endpoints' secrets are sealed under: generate, reencrypt.
///
/// To replace a key: generate one and put it behind the old one in secrets.keys of every process; then put it first,
/// everywhere; then reencrypt; then take the old one out.
#[derive(Debug, Args)]
pub(crate) struct SecretsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Prints a new ID:KEY entry for WHIMBREL_SECRETS__KEYS.
    Generate,
    /// Seals the secrets and headers of all endpoints under the first of secrets.keys.
    Reencrypt,
}

/// `load` is asked only by what works on stored secrets: a key can be made before anything is configured.
pub(crate) async fn run(args: SecretsArgs, load: impl FnOnce() -> anyhow::Result<Config>) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    match args.action {
        Action::Generate => {
            println!("{}", KeyRing::generate_entry(&*clock));
            Ok(ExitCode::SUCCESS)
        }
        Action::Reencrypt => {
            let store = open_store(&load()?, &clock).await?;
            let done = reencrypt(&*store).await;
            store.close().await;
            Ok(done?.report())
        }
    }
}

/// What became of the endpoints.
#[derive(Debug, Default)]
struct Done {
    seen: usize,
    changed: usize,
    sealed: Vec<(EndpointId, String)>,
}

impl Done {
    fn report(&self) -> ExitCode {
        println!("{} sealed anew, of {}", count(self.changed, "endpoint"), self.seen);
        for (endpoint, reason) in &self.sealed {
            eprintln!("whimbrel: {endpoint} was left as it is: {reason}");
        }
        if self.sealed.is_empty() {
            return ExitCode::SUCCESS;
        }
        eprintln!(
            "whimbrel: {} cannot be opened: add the missing key to the end of secrets.keys and run this again",
            count(self.sealed.len(), "endpoint")
        );
        ExitCode::FAILURE
    }
}

/// One endpoint at a time, so that one which cannot be opened keeps no other from being sealed anew.
async fn reencrypt<R: Registry + ?Sized>(registry: &R) -> Result<Done, StoreError> {
    let mut done = Done::default();
    let mut after = None;
    loop {
        after = match registry.reencrypt(after, 1).await {
            Ok(Reencrypted { last: None, .. }) => return Ok(done),
            Ok(Reencrypted { changed, last }) => {
                done.changed += usize::from(changed > 0);
                last
            }
            Err(StoreError::Sealed { endpoint, reason }) => {
                done.sealed.push((endpoint, reason));
                Some(endpoint)
            }
            Err(error) => return Err(error),
        };
        done.seen += 1;
    }
}
