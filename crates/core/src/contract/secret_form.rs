//! What a contract's secrets look like.

use data_encoding::BASE64;

/// How a secret is generated from random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generate {
    /// Lower-case hexadecimal of so many bytes, after the prefix.
    Hex(usize),
    /// Base64 of so many bytes, after the prefix.
    Base64(usize),
}

/// The form of a contract's secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretForm {
    /// In front of a generated one.
    pub prefix: String,
    /// How one is made.
    pub generate: Generate,
    /// Whether the caller may bring one.
    pub own_allowed: bool,
    /// The fewest characters of the caller's own.
    pub own_chars_min: usize,
    /// The caller's own must have the prefix and so many base64-decoded bytes after it.
    pub own_bytes: Option<(usize, usize)>,
}

impl SecretForm {
    /// Why the caller's own secret cannot be used, in words that say what form is needed.
    pub fn check(&self, secret: &str) -> Result<(), String> {
        if !self.own_allowed {
            return Err("this contract's secrets are generated: leave `secret` out".into());
        }
        if secret.len() > 512 || !secret.chars().all(|c| c.is_ascii_graphic()) {
            return Err("a secret is at most 512 visible ASCII characters, without spaces".into());
        }
        if secret.chars().count() < self.own_chars_min {
            return Err(format!("a secret needs at least {} characters", self.own_chars_min));
        }
        let Some((min, max)) = self.own_bytes else { return Ok(()) };
        let bytes = secret.strip_prefix(&self.prefix).and_then(|text| BASE64.decode(text.as_bytes()).ok());
        match bytes {
            Some(bytes) if (min..=max).contains(&bytes.len()) => Ok(()),
            _ => Err(format!("a secret is `{}` followed by the base64 of {min} to {max} bytes", self.prefix)),
        }
    }
}
