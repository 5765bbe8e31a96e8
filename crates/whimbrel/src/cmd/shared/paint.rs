//! Colours, where they help: on a terminal, and never when `NO_COLOR` is set.

use std::io::IsTerminal;

use owo_colors::{OwoColorize, Style};

/// Paints words, or leaves them as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { on: std::io::stdout().is_terminal() && !unwanted }
    }

    /// Without colours.
    #[cfg(test)]
    pub(crate) const fn off() -> Self {
        Self { on: false }
    }

    /// As it should be.
    pub(crate) fn good(self, text: &str) -> String {
        self.with(Style::new().green(), text)
    }

    /// Not as it should be.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with(Style::new().red(), text)
    }

    /// Worth a look.
    pub(crate) fn notice(self, text: &str) -> String {
        self.with(Style::new().yellow(), text)
    }

    /// Headings and names.
    pub(crate) fn strong(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// Of less weight.
    pub(crate) fn faint(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.on { text.style(style).to_string() } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_added_when_colours_are_off() {
        assert_eq!(Paint::off().bad("500"), "500");
        assert_eq!(Paint { on: true }.bad("500"), "\u{1b}[31m500\u{1b}[0m");
    }
}
