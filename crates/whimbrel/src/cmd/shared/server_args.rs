//! Which server a command talks to, and as whom.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::ApiClient;
use crate::keys::ADMIN_KEY_FILE;

/// The variables that may hold an API key, in this order.
const KEY_VARIABLES: [&str; 2] = ["WHIMBREL_KEY", "WHIMBREL_ADMIN_KEY"];

/// Where the API is, and a key for it.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Where the server's API is.
    #[arg(long, global = true, env = "WHIMBREL_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: String,

    /// An API key. Left out: WHIMBREL_KEY, WHIMBREL_ADMIN_KEY, or the key that a server on this machine
    /// keeps in its data directory.
    #[arg(long, global = true, value_name = "KEY")]
    key: Option<SecretString>,

    /// The data directory of a server on this machine.
    #[arg(long, global = true, env = "WHIMBREL_DATA_DIR", default_value = "./whimbrel-data", value_name = "DIR")]
    data_dir: PathBuf,
}

impl ServerArgs {
    /// Calls that server with that key.
    ///
    /// # Errors
    /// When the URL is none, or no key is found.
    pub(crate) fn client(&self) -> anyhow::Result<ApiClient> {
        ApiClient::new(&self.url, self.find_key()?.expose_secret())
    }

    fn find_key(&self) -> anyhow::Result<SecretString> {
        let given =
            self.key.clone().or_else(|| KEY_VARIABLES.iter().find_map(|name| std::env::var(name).ok()).map(Into::into));
        if let Some(key) = given {
            return Ok(key);
        }
        let file = self.data_dir.join(ADMIN_KEY_FILE);
        let text = std::fs::read_to_string(&file).with_context(|| {
            format!("no API key: give one with --key or {}, since {} cannot be read", KEY_VARIABLES[0], file.display())
        })?;
        Ok(text.trim().into())
    }
}
