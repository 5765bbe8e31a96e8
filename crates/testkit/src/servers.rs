//! Where private servers keep their files, and how their programs are found.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// The directory of compiled binaries, `target/debug` as a rule, taken from where this program itself lies.
pub fn build_dir() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    let holder = program.parent().context("this program lies in no directory")?;
    let is_nested = holder.ends_with("deps") || holder.ends_with("examples");
    let dir = if is_nested { holder.parent().unwrap_or(holder) } else { holder };
    Ok(dir.to_owned())
}

/// Removes what servers and processes left behind whose owner was killed.
///
/// # Errors
/// When a directory of a dead owner cannot be removed.
pub fn sweep() -> Result<()> {
    let Ok(entries) = fs::read_dir(root()?) else {
        return Ok(());
    };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_abandoned(path)) {
        fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// A name that no other test and no other run uses: letters, digits and underscores.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}_{}_{count}_{:04x}", std::process::id(), crate::ports::random() & 0xffff)
}

/// A directory of its own under `target/test-servers`, removed when dropped, kept when the test panics.
pub(crate) struct Home {
    path: PathBuf,
}

impl Home {
    pub(crate) fn create(kind: &str) -> Result<Self> {
        let path = root()?.join(unique(kind));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The last lines of the file `name`, for messages about servers that did not start.
    pub(crate) fn tail(&self, name: &str) -> String {
        let text = fs::read(self.join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the files are kept in {}", self.path.display());
        } else {
            // A child of a killed server may still be writing its last file; the next sweep gets the rest.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The first of `names` in a directory of `PATH` or of `places`.
pub(crate) fn find_program(name: &str, places: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let of_path = std::env::split_paths(&path);
    places.iter().cloned().chain(of_path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The subdirectories of `dir` that hold `below`, the highest name first: newest versions, as a rule.
pub(crate) fn versions(dir: &str, below: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).map(|entries| entries.flatten().collect()).unwrap_or(vec![]);
    let mut found: Vec<_> = entries.iter().map(|entry| entry.path().join(below)).filter(|path| path.is_dir()).collect();
    found.sort();
    found.reverse();
    found
}

fn root() -> Result<PathBuf> {
    let build = build_dir()?;
    Ok(build.parent().unwrap_or(&build).join("test-servers"))
}

/// Whether the directory bears the id of a process that is no more; see [`unique`].
fn is_abandoned(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let owner = name.split('_').nth(1).and_then(|id| id.parse::<i32>().ok()).and_then(rustix::process::Pid::from_raw);
    owner.is_some_and(|owner| rustix::process::test_kill_process(owner).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_removed_and_the_living_are_not_swept() -> Result<()> {
        let home = Home::create("home")?;
        let path = home.path().to_owned();
        sweep()?;
        assert!(path.is_dir());
        drop(home);
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn the_dead_are_swept() -> Result<()> {
        let dead = root()?.join("home_2147483646_0_abcd");
        fs::create_dir_all(dead.join("data"))?;
        sweep()?;
        assert!(!dead.exists());
        Ok(())
    }

    #[test]
    fn programs_are_looked_for_in_the_places_first() {
        let found = find_program("sh", &["/no/such/place".into(), "/bin".into()]);
        assert_eq!(found, Some("/bin/sh".into()));
        assert_eq!(find_program("no-such-program", &[]), None);
    }
}
