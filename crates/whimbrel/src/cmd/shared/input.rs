//! Arguments that hold a text or say where it is.

use std::io::Read;

use anyhow::Context;

/// The bytes that an argument means: `@FILE` a file's, `-` standard input's, anything else its own.
///
/// # Errors
/// When the file or standard input cannot be read.
pub(crate) fn read_input(argument: &str) -> anyhow::Result<Vec<u8>> {
    if argument == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("standard input cannot be read")?;
        return Ok(bytes);
    }
    match argument.strip_prefix('@') {
        Some(path) => std::fs::read(path).with_context(|| format!("the file {path} cannot be read")),
        None => Ok(argument.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_itself_and_a_missing_file_is_named() {
        assert_eq!(read_input(r#"{"a":1}"#).expect("its own bytes"), br#"{"a":1}"#);
        let error = read_input("@/no/such/file").expect_err("there is no such file");
        assert_eq!(error.to_string(), "the file /no/such/file cannot be read");
    }
}
