//! Where a run is: a bar on a terminal, a line a step elsewhere.

use std::io::{IsTerminal, Write, stderr};

use tokio::time::Instant;

const WIDTH: usize = 24;

/// The steps of a run.
pub struct Progress {
    steps: usize,
    begun: usize,
    start: Instant,
    terminal: bool,
}

impl Progress {
    /// For so many steps.
    pub fn new(steps: usize) -> Self {
        Self { steps, begun: 0, start: Instant::now(), terminal: stderr().is_terminal() }
    }

    /// Begins the next step.
    pub fn step(&mut self, what: &str) {
        let done = self.begun;
        self.begun += 1;
        self.show(done, what);
    }

    /// Ends the last.
    pub fn done(&mut self) {
        self.show(self.steps, "done");
        if self.terminal {
            eprintln!();
        }
    }

    fn show(&self, done: usize, what: &str) {
        let seconds = self.start.elapsed().as_secs();
        let clock = format!("{}:{:02}", seconds / 60, seconds % 60);
        let line = format!("{} {clock} {what}", bar(done, self.steps));
        let mut out = stderr().lock();
        // Nobody to tell when stderr is closed.
        let _ = if self.terminal { write!(out, "\r\x1b[K{line}") } else { writeln!(out, "{line}") };
        let _ = out.flush();
    }
}

fn bar(done: usize, steps: usize) -> String {
    let full = WIDTH * done.min(steps) / steps.max(1);
    format!("[{}{}]", "#".repeat(full), ".".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills() {
        assert_eq!(bar(0, 8), format!("[{}]", ".".repeat(24)));
        assert_eq!(bar(4, 8), format!("[{}{}]", "#".repeat(12), ".".repeat(12)));
        assert_eq!(bar(9, 8), format!("[{}]", "#".repeat(24)));
    }
}
