//! A data directory that goes with the demo.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use data_encoding::HEXLOWER;
use whimbrel_core::port::{Clock, SystemClock};

/// A new folder of mode 0700, removed when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes one among the system's temporary files.
    ///
    /// # Errors
    /// When it cannot be made there.
    pub(super) fn create() -> anyhow::Result<Self> {
        let mut random = [0; 8];
        SystemClock.fill(&mut random);
        let path = std::env::temp_dir().join(format!("whimbrel-demo-{}", HEXLOWER.encode(&random)));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("the folder {} cannot be made", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind lies among temporary files and holds a key to nothing.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_all_that_is_in_it() {
        let folder = Folder::create().expect("a folder");
        let path = folder.path().to_owned();
        std::fs::write(path.join("file"), "x").expect("a file");
        drop(folder);
        assert!(!path.exists());
    }
}
