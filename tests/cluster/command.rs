use std::fs::File;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use raftsman_testkit::{raftsman_binary, wait_until_some};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

/// A `raftsman` command that runs beside the test and is killed with it.
pub struct RunningCommand {
    child: Child,
    output: NamedTempFile,
}

impl RunningCommand {
    /// Starts it; `prepare` adds to the command what it needs.
    pub fn start(arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> RunningCommand {
        let output = NamedTempFile::new().expect("a temporary file can be made");
        let both: [File; 2] = [(); 2].map(|()| output.reopen().expect("the file can be opened again"));
        let [stdout, stderr] = both;
        let mut command = Command::new(raftsman_binary());
        command.args(arguments).stdout(stdout).stderr(stderr);
        prepare(&mut command);
        let child = command.spawn().expect("the raftsman binary can be started");
        RunningCommand { child, output }
    }

    /// Everything it printed so far, to stdout and stderr.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.output.path()).unwrap_or_default()
    }

    /// Its process id.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        signal_process(self.child.id(), signal);
    }

    /// Waits for its end.
    pub fn wait(&mut self, at_most: Duration) -> ExitStatus {
        wait_until_some("the command to end", at_most, || self.child.try_wait().expect("a child can be asked"))
    }

    /// Waits until it printed something that `look` finds.
    pub fn wait_for<T>(&mut self, what: &str, at_most: Duration, mut look: impl FnMut(&str) -> Option<T>) -> T {
        wait_until_some(what, at_most, || {
            let ended = self.child.try_wait().expect("a child can be asked");
            let found = look(&self.output());
            assert!(found.is_some() || ended.is_none(), "it ended ({ended:?}) instead:\n{}", self.output());
            found
        })
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what the command printed ---\n{}", self.output());
        }
        // One that ended by itself cannot be killed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends any process a signal.
pub fn signal_process(process_id: u32, signal: Signal) {
    let pid = Pid::from_raw(process_id.cast_signed()).expect("process ids are positive");
    kill_process(pid, signal).expect("the process can be signalled");
}

/// Whether a process is there, and is no corpse that nobody has buried.
pub fn is_alive(process_id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process_id}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
