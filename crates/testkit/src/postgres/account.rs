//! The account that PostgreSQL's programs run as.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::process::getuid;

/// What `setpriv` must do before a program of PostgreSQL runs in `dir`, which it comes to own.
///
/// PostgreSQL refuses to run as root, so root becomes `postgres`, or failing that `nobody`. That user may be
/// unable to reach `dir` (a checkout below `/root`, say): then it keeps the one capability that lets it.
pub(super) fn privileges(dir: &Path) -> Result<Vec<String>> {
    if !getuid().is_root() {
        return Ok(vec![]);
    }
    let (uid, gid) = account("postgres").or_else(|| account("nobody")).context("no account to run PostgreSQL as")?;
    chown(dir, Some(uid), Some(gid)).with_context(|| format!("cannot give {} away", dir.display()))?;
    let mut options = vec![format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()];
    if !is_reachable(dir)? {
        options.extend(["--inh-caps=+dac_override".to_owned(), "--ambient-caps=+dac_override".to_owned()]);
    }
    Ok(options)
}

/// The user and group id of an account.
fn account(name: &str) -> Option<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut ids = line.split(':').skip(2).map_while(|id| id.parse().ok());
    Some((ids.next()?, ids.next()?))
}

/// Whether every directory above `dir` lets anybody pass.
fn is_reachable(dir: &Path) -> Result<bool> {
    for above in dir.ancestors().skip(1) {
        if fs::metadata(above)?.permissions().mode() & 0o001 == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
