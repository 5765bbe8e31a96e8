//! Checks of short texts from callers, and how times are shown.

use whimbrel_core::Timestamp;

use crate::problem::FieldError;

/// Bytes of a name at most.
pub(crate) const NAME_BYTES_MAX: usize = 256;
/// Bytes of a description at most.
pub(crate) const DESCRIPTION_BYTES_MAX: usize = 1024;

/// An error when the text is too long or holds control characters, which stores and logs do not take.
pub(crate) fn check(pointer: &str, text: &str, bytes_max: usize) -> Result<(), FieldError> {
    if text.len() > bytes_max {
        return Err(FieldError::new(pointer, format!("has {} bytes; at most {bytes_max} are possible", text.len())));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(FieldError::new(pointer, format!("holds the control character U+{:04X}", u32::from(c)))),
        None => Ok(()),
    }
}

/// The time in whole seconds, as the API shows `created_at` (rule 34).
pub(crate) fn whole_seconds(at: Timestamp) -> String {
    Timestamp::from_secs(at.as_secs()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_34_times_have_whole_seconds() {
        assert_eq!(whole_seconds(Timestamp::from_micros(1_768_478_400_999_999)), "2026-01-15T12:00:00Z");
    }

    #[test]
    fn long_texts_and_control_characters_are_refused() {
        assert!(check("/name", "Über & Söhne", NAME_BYTES_MAX).is_ok());
        assert!(check("/name", &"x".repeat(257), NAME_BYTES_MAX).is_err());
        assert!(check("/name", "a\0b", NAME_BYTES_MAX).is_err());
    }
}
