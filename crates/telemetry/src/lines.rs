//! Log lines on their way out. Each attempt writes one, and a system call for each would cost a sender more than making
//! it: so lines are gathered for a moment and written together. What warns is written at once, after what came before it.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long the first of them waits for others. So much is lost when the process is killed.
const GATHER: Duration = Duration::from_millis(20);
/// With so many bytes, whoever adds a line writes them all, and waits as long as that takes.
const GATHERED_MAX: usize = 64 * 1024;

/// Where lines are gathered. Clones share it.
pub(crate) struct Lines<W>(Arc<Shared<W>>);

struct Shared<W> {
    gathered: Mutex<Vec<u8>>,
    /// There is something to write.
    begun: Condvar,
    output: Mutex<W>,
}

impl<W: Write + Send + 'static> Lines<W> {
    /// To this output, written by a thread of its own.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(crate) fn to(output: W) -> io::Result<Self> {
        let lines =
            Self(Arc::new(Shared { gathered: Mutex::default(), begun: Condvar::new(), output: Mutex::new(output) }));
        let gathered = lines.clone();
        std::thread::Builder::new().name("log".into()).spawn(move || gathered.keep())?;
        Ok(lines)
    }

    /// Writes what was gathered, for ever.
    fn keep(&self) {
        loop {
            drop(self.0.begun.wait_while(held(&self.0.gathered), |gathered| gathered.is_empty()));
            std::thread::sleep(GATHER);
            self.flush();
        }
    }

    fn add(&self, line: &[u8], at_once: bool) {
        let mut gathered = held(&self.0.gathered);
        let is_first = gathered.is_empty();
        gathered.extend_from_slice(line);
        let is_full = gathered.len() >= GATHERED_MAX;
        drop(gathered);
        if at_once || is_full {
            self.flush();
        } else if is_first {
            self.0.begun.notify_one();
        }
    }
}

impl<W: Write> Lines<W> {
    /// Writes what there is.
    pub(crate) fn flush(&self) {
        // Held first, so that lines stay in their order.
        let mut output = held(&self.0.output);
        let gathered = std::mem::take(&mut *held(&self.0.gathered));
        // There is nowhere to say that the log cannot be written.
        let _ = output.write_all(&gathered).and_then(|()| output.flush());
    }
}

impl<W> Clone for Lines<W> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One line's writer.
pub(crate) struct Line<'a, W> {
    lines: &'a Lines<W>,
    at_once: bool,
}

impl<'a, W: Write + Send + 'static> MakeWriter<'a> for Lines<W> {
    type Writer = Line<'a, W>;

    fn make_writer(&'a self) -> Line<'a, W> {
        Line { lines: self, at_once: true }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Line<'a, W> {
        Line { lines: self, at_once: *of.level() <= Level::WARN }
    }
}

impl<W: Write + Send + 'static> Write for Line<'_, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.add(line, self.at_once);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    /// Tells of each write.
    struct Told(Sender<String>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `log` writes, by the call.
    fn written(log: impl FnOnce()) -> Receiver<String> {
        let (told, writes) = mpsc::channel();
        let lines = Lines::to(Told(told)).expect("a thread");
        let layer = tracing_subscriber::fmt::layer().without_time().with_target(false).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(lines));
        tracing::subscriber::with_default(subscriber, log);
        writes
    }

    #[test]
    fn lines_that_come_together_are_written_together_and_in_order() {
        let writes = written(|| (0..100).for_each(|number| tracing::info!("line {number}")));
        let (mut text, mut calls) = (String::new(), 0);
        while text.lines().count() < 100 {
            text += &writes.recv_timeout(SOON).expect("all are written");
            calls += 1;
        }
        let expected: Vec<String> = (0..100).map(|number| format!(" INFO line {number}")).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert!(calls < 100, "a call for each line");
    }

    #[test]
    fn what_warns_is_written_at_once_after_what_came_before_it() {
        let writes = written(|| {
            tracing::info!("before");
            tracing::warn!("now");
        });
        // No wait: by the time the call is back, it has been written.
        let text: String = writes.try_iter().collect();
        assert_eq!(text, " INFO before\n WARN now\n");
    }

    #[test]
    fn much_is_written_without_a_wait() {
        let (told, writes) = mpsc::channel();
        let lines = Lines::to(Told(told)).expect("a thread");
        lines.add(&vec![b'x'; GATHERED_MAX], false);
        assert_eq!(writes.try_iter().map(|write| write.len()).sum::<usize>(), GATHERED_MAX);
    }
}
