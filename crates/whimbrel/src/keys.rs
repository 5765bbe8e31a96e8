//! Key material that the embedded engine makes for itself: files of mode 0600 in its folder.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use data_encoding::BASE32_NOPAD;
use secrecy::{ExposeSecret, SecretString};
use whimbrel_core::port::Clock;
use whimbrel_core::sealing::KeyRing;

use crate::config::Config;

/// Where `whimbrel send` looks for the key of a server on the same machine.
pub(crate) const ADMIN_KEY_FILE: &str = "admin.key";
const RING_FILE: &str = "secrets.key";

/// The ring from the configuration; the embedded engine makes one of its own (rule 31).
pub(crate) fn ring(config: &Config, clock: &dyn Clock) -> anyhow::Result<KeyRing> {
    if let Some(keys) = &config.secrets.keys {
        return Ok(KeyRing::parse(keys.expose_secret())?);
    }
    anyhow::ensure!(
        config.database_url.is_none(),
        "secrets.keys is not set: with PostgreSQL the keys for secrets at rest must be given (WHIMBREL_SECRETS__KEYS), the same to every process"
    );
    let path = config.data_dir.join(RING_FILE);
    let text = read_or_make(&path, || KeyRing::generate_entry(clock))?;
    KeyRing::parse(&text).with_context(|| format!("{} is damaged", path.display()))
}

/// A new admin key, in the form of every API key.
pub(crate) fn new_admin_key(clock: &dyn Clock) -> SecretString {
    let mut random = [0; 20];
    clock.fill(&mut random);
    format!("whk_{}", BASE32_NOPAD.encode(&random).to_lowercase()).into()
}

/// The file's text; made with mode 0600 when it is not there.
pub(crate) fn read_or_make(path: &Path, make: impl Fn() -> String) -> anyhow::Result<String> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("the data directory {} cannot be made", dir.display()))?;
    }
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let text = make();
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .with_context(|| format!("{} cannot be written", path.display()))?;
            Ok(text)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
            Ok(text.trim().to_owned())
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be written", path.display())),
    }
}
