//! Child processes that cannot outlive their parent.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

/// A running (or ended) child process; dropping it kills it.
pub(crate) struct Child {
    pid: Pid,
    exited: watch::Receiver<Option<ExitStatus>>,
    keeper: Option<JoinHandle<()>>,
}

/// What is done with each line that a child writes to stdout or stderr.
pub(crate) type Sink = Box<dyn Fn(String) + Send + Sync>;

/// A command for `program` that the kernel kills when this process dies.
///
/// `setpriv` arranges for that, which also takes `privileges`: options like `--reuid`. Systems without it run the
/// program bare; there a killed test may leave its children behind.
pub(crate) fn command(program: &Path, privileges: &[String]) -> Command {
    let mut command = if Path::new("/usr/bin/setpriv").exists() {
        let mut setpriv = Command::new("/usr/bin/setpriv");
        setpriv.args(privileges).args(["--pdeathsig", "KILL", "--"]).arg(program);
        setpriv
    } else {
        Command::new(program)
    };
    // A group of its own, so that Ctrl-C in the terminal reaches the tests first and them alone.
    command.process_group(0).stdin(Stdio::null());
    command
}

impl Child {
    /// Starts `command`; its output goes where the command says, or line by line to `sink`.
    ///
    /// The kernel's parent-death signal comes when the *thread* that started the child ends, so a thread of its own
    /// starts each child and stays until the child has ended.
    pub(crate) fn spawn(mut command: Command, sink: Option<Sink>) -> Result<Self> {
        let name = format!("{command:?}");
        if sink.is_some() {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let (started, start) = mpsc::channel();
        let (exit, exited) = watch::channel(None);
        let keeper = std::thread::spawn(move || match command.spawn() {
            Ok(child) => {
                let _ = started.send(Ok(child.id()));
                exit.send_replace(Some(keep(child, sink.as_ref())));
            }
            Err(error) => drop(started.send(Err(error))),
        });
        let id = start.recv().context("the child's thread panicked")?;
        let id = id.with_context(|| format!("cannot start {name}"))?;
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
        Ok(Self { pid: pid.context("the child has no valid process id")?, exited, keeper: Some(keeper) })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// How it ended, if it has.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        *self.exited.borrow()
    }

    /// Sends `signal`, unless the process has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.exit_status().is_none() {
            // It may end at this very moment: then there is nothing to signal.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits until the process has ended and everything it wrote has reached the sink.
    pub(crate) async fn exited(&self) -> ExitStatus {
        let mut exited = self.exited.clone();
        let status = exited.wait_for(Option::is_some).await;
        status.ok().and_then(|status| *status).expect("the keeper reports the exit before it ends")
    }

    /// Kills the process and waits for its end.
    pub(crate) async fn kill(&self) -> ExitStatus {
        self.signal(Signal::KILL);
        self.exited().await
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Feeds the child's output to the sink until both streams end, then collects its exit status.
fn keep(mut child: std::process::Child, sink: Option<&Sink>) -> ExitStatus {
    if let Some(sink) = sink {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        std::thread::scope(|readers| {
            readers.spawn(|| stdout.map(|stream| feed(stream, sink)));
            readers.spawn(|| stderr.map(|stream| feed(stream, sink)));
        });
    }
    child.wait().expect("nobody else waits for this child")
}

fn feed(stream: impl Read, sink: &Sink) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
        sink(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Gone, or waiting for the init process to take note.
    fn has_ended(id: i32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"));
        stat.is_ok_and(|stat| stat.contains(") Z ")) || !Path::new(&format!("/proc/{id}")).exists()
    }

    fn shell(script: &str) -> Command {
        let mut shell = command(Path::new("/bin/sh"), &[]);
        shell.args(["-c", script]);
        shell
    }

    #[tokio::test]
    async fn lines_of_both_streams_reach_the_sink_before_the_exit_is_told() -> Result<()> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let sink: Sink = Box::new(move |line| kept.lock().expect("not poisoned").push(line));
        let child = Child::spawn(shell("echo out; echo err >&2; printf rest; exit 3"), Some(sink))?;
        assert_eq!(child.exited().await.code(), Some(3));
        let mut lines = lines.lock().expect("not poisoned").clone();
        lines.sort();
        assert_eq!(lines, ["err", "out", "rest"]);
        Ok(())
    }

    #[test]
    fn dropping_kills() -> Result<()> {
        let child = Child::spawn(shell("exec sleep 600"), None)?;
        let pid = child.pid;
        drop(child);
        assert!(rustix::process::test_kill_process(pid).is_err(), "{pid:?} still runs");
        Ok(())
    }

    /// The parent here is a shell killed without warning, the child bound to it tells its id when it is up.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_child_dies_with_its_parent() -> Result<()> {
        let (send, receive) = mpsc::channel();
        let sink: Sink = Box::new(move |line| drop(send.send(line)));
        let bound = "/usr/bin/setpriv --pdeathsig KILL -- sh -c 'echo $$; exec sleep 600' & wait";
        let parent = Child::spawn(shell(bound), Some(sink))?;
        let orphan: i32 = receive.recv()?.parse()?;
        parent.signal(Signal::KILL);
        crate::wait::until("the orphan is gone", std::time::Duration::from_secs(5), || async {
            has_ended(orphan).then_some(())
        })
        .await
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = Child::spawn(Command::new("/no/such/program"), None).err().expect("fails");
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }
}
