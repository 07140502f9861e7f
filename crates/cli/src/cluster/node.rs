use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::layout::NodeLayout;
use super::parent::PARENT_VARIABLE;

/// A log beyond this is put aside when its node starts.
const LOG_BYTES: u64 = 16 << 20;
/// Where the last words of a process are looked for.
const LAST_BYTES: u64 = 8 << 10;

/// A node of a cluster on this machine: a child process of this executable, which dies with us.
#[derive(Debug)]
pub struct Node {
    layout: NodeLayout,
    child: Option<Child>,
    /// How long its log was when it started.
    log_start: u64,
}

/// A node could not be started.
#[derive(Debug, thiserror::Error)]
#[error("node {id} cannot be started: {what}: {cause}")]
pub struct StartError {
    id: i32,
    what: String,
    cause: io::Error,
}

impl Node {
    /// A node that is not started yet.
    pub fn new(layout: NodeLayout) -> Node {
        Node { layout, child: None, log_start: 0 }
    }

    /// Its `node.id`.
    pub fn id(&self) -> i32 {
        self.layout.id
    }

    /// Where it lives and what it is told.
    pub fn layout(&self) -> &NodeLayout {
        &self.layout
    }

    /// Starts the process. Must be called on the main thread: the child ends with the thread that started it.
    ///
    /// # Errors
    /// Its folder or log cannot be written, or the process cannot be made.
    pub fn start(&mut self) -> Result<(), StartError> {
        let id = self.layout.id;
        let failed = |what: String| move |cause| StartError { id, what, cause };
        let directory = &self.layout.place.directory;
        std::fs::create_dir_all(directory).map_err(failed(directory.display().to_string()))?;
        let path = self.layout.log_file();
        let (log, length) = open_log(&path).map_err(failed(path.display().to_string()))?;
        let executable = std::env::current_exe().map_err(failed("this executable".to_owned()))?;
        let second = log.try_clone().map_err(failed(path.display().to_string()))?;
        let mut command = Command::new(&executable);
        command.arg("server");
        for (key, value) in &self.layout.settings {
            command.arg("--override").arg(format!("{key}={value}"));
        }
        // A group of its own: Ctrl-C is for us, and we stop the nodes in order.
        command.process_group(0).env(PARENT_VARIABLE, std::process::id().to_string()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(log).stderr(second);
        let child = command.spawn().map_err(failed(executable.display().to_string()))?;
        self.child = Some(child);
        self.log_start = length;
        Ok(())
    }

    /// The process id, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// How the process ended, told once; `None` while it runs or is not started.
    ///
    /// # Errors
    /// The kernel cannot say.
    pub fn take_exit(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(child) = self.child.as_mut() else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// SIGTERM: the node hands its work over and ends.
    pub fn terminate(&self) {
        if let Some(pid) = self.process_id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // One that has just ended needs no signal.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// SIGKILL, and waits until the process is gone.
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn kill(&mut self) -> io::Result<()> {
        match self.child.take() {
            Some(mut child) => child.kill().await,
            None => Ok(()),
        }
    }

    /// Waits until the process has ended.
    ///
    /// # Errors
    /// The kernel cannot say.
    pub async fn ended(&mut self) -> io::Result<()> {
        if let Some(child) = self.child.as_mut() {
            child.wait().await?;
            self.child = None;
        }
        Ok(())
    }

    /// The last line that the process printed since it was started, or that it printed none.
    pub fn last_words(&self) -> String {
        let path = self.layout.log_file();
        match last_line(&path, self.log_start) {
            Ok(Some(line)) => line,
            Ok(None) => "it printed nothing".to_owned(),
            Err(error) => format!("its log {} cannot be read: {error}", path.display()),
        }
    }
}

/// Opens a log to add to it, and says how long it is. One that has grown too long becomes `raftsman.log.1`.
fn open_log(path: &Path) -> io::Result<(File, u64)> {
    let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if length > LOG_BYTES {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

fn last_line(path: &Path, from: u64) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(end.saturating_sub(LAST_BYTES))))?;
    let mut bytes = Vec::new();
    file.take(LAST_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_of_this_start_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("raftsman.log");
        std::fs::write(&path, "an old line\n").unwrap();
        assert_eq!(last_line(&path, 12).unwrap(), None);
        std::fs::write(&path, "an old line\nfirst\nport 9092 is in use\n\n").unwrap();
        assert_eq!(last_line(&path, 12).unwrap().as_deref(), Some("port 9092 is in use"));
        let long = "x".repeat(3 * LAST_BYTES as usize) + "\nthe end";
        std::fs::write(&path, long).unwrap();
        assert_eq!(last_line(&path, 0).unwrap().as_deref(), Some("the end"));
    }

    #[test]
    fn a_long_log_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("raftsman.log");
        std::fs::write(&path, "short\n").unwrap();
        assert_eq!(open_log(&path).unwrap().1, 6);
        File::create(&path).unwrap().set_len(LOG_BYTES + 1).unwrap();
        assert_eq!(open_log(&path).unwrap().1, 0);
        assert!(folder.path().join("raftsman.log.1").exists());
    }
}
