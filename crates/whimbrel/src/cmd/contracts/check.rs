//! `whimbrel contracts check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use whimbrel_core::contract::Contract;

/// Checks each file; failure when one of them does not hold.
pub(super) fn files(files: &[PathBuf]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in files {
        match check(file) {
            Ok(contract) => println!("{}: ok ({})", file.display(), contract.title()),
            Err(error) => {
                println!("{error:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn check(file: &Path) -> anyhow::Result<Contract> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(Contract::parse(&name, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_hold_fails_the_whole_check() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/contracts");
        let good = folder.join("generic.toml");
        assert_eq!(files(std::slice::from_ref(&good)), ExitCode::SUCCESS);
        assert_eq!(files(&[good, folder.join("none.toml")]), ExitCode::FAILURE);
        assert_eq!(files(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")]), ExitCode::FAILURE);
    }
}
