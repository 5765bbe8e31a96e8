//! Checking signatures as a receiver does.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use clap::builder::{StringValueParser, TypedValueParser};
use whimbrel_core::Timestamp;
use whimbrel_core::contract::Contract;
use whimbrel_core::secret::Secret;
use whimbrel_core::signing::{Keys, PublicKey, VerifyError, verify};

use super::{ContractsDirArgs, named};

/// How far a signed timestamp may lie from now, where the caller does not say.
const TOLERANCE: Duration = Duration::from_mins(5);

/// What to verify with.
#[derive(Debug, Args)]
pub(crate) struct VerifierArgs {
    /// The contract under which requests are signed; `whimbrel contracts list` names them.
    #[arg(long, value_name = "NAME")]
    contract: String,

    #[command(flatten)]
    contracts_dir: ContractsDirArgs,

    /// The webhook's signing secret.
    #[arg(long, value_parser = secret(), value_name = "SECRET", required_unless_present = "public_key")]
    secret: Option<Secret>,

    /// The secret before the last rotation: one of the two must match.
    #[arg(long, value_parser = secret(), value_name = "SECRET", requires = "secret")]
    previous_secret: Option<Secret>,

    /// The webhook's Ed25519 public key (`whpk_…`): its signature must match, too.
    #[arg(long, value_name = "KEY")]
    public_key: Option<String>,

    /// How far a signed timestamp may lie from now.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "5m", value_name = "DURATION")]
    tolerance: Duration,
}

fn secret() -> impl TypedValueParser<Value = Secret> {
    StringValueParser::new().map(Secret::new)
}

/// Verifies requests under one contract.
pub(crate) struct Verifier {
    contract: Arc<Contract>,
    secrets: Vec<Secret>,
    public_key: Option<PublicKey>,
    tolerance: Duration,
}

impl VerifierArgs {
    /// The verifier that these arguments describe.
    ///
    /// # Errors
    /// When the contract is unknown, or a secret or key has not the contract's form.
    pub(crate) fn verifier(&self) -> anyhow::Result<Verifier> {
        let contract = named(&self.contracts_dir.load()?, &self.contract)?;
        let secrets: Vec<Secret> = self.secret.iter().chain(&self.previous_secret).cloned().collect();
        for secret in &secrets {
            secret.key(&contract)?;
        }
        let public_key = self.public_key.as_deref().map(str::parse::<PublicKey>).transpose().context("--public-key")?;
        ensure!(
            public_key.is_none() || contract.signature().ed25519_item().is_some(),
            "the contract `{}` has no Ed25519 signatures: verify with --secret",
            contract.name()
        );
        Ok(Verifier { contract, secrets, public_key, tolerance: self.tolerance })
    }
}

impl Verifier {
    /// With one secret and the usual tolerance.
    pub(crate) fn new(contract: Arc<Contract>, secret: Secret) -> Self {
        Self { contract, secrets: vec![secret], public_key: None, tolerance: TOLERANCE }
    }

    /// The contract it verifies under.
    pub(crate) fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Whether the request is the sender's: by one of the secrets and, where one was given, by the public
    /// key. `header` finds a header by name, whatever the case.
    pub(crate) fn verify<'a>(
        &self,
        header: &dyn Fn(&str) -> Option<&'a str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), VerifyError> {
        let check = |keys: Keys<'_>| verify(&self.contract, keys, header, body, now, self.tolerance);
        if !self.secrets.is_empty() {
            check(Keys::Secrets(&self.secrets))?;
        }
        self.public_key.as_ref().map_or(Ok(()), |key| check(Keys::Public(key)))
    }
}
