use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::disk_faults::FaultyDisk;
use crate::{raftsman_binary, wait_until, wait_until_some};

/// One `raftsman server` process that a test can kill and start again on the same addresses and data.
pub struct ProcessNode {
    /// Its `node.id`.
    pub id: i32,
    /// Where clients reach it.
    pub client_address: SocketAddr,
    directory: PathBuf,
    settings: Vec<(String, String)>,
    launcher: Vec<String>,
    disk: Option<FaultyDisk>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl ProcessNode {
    /// A node that is not started yet. `directory` holds its data and its log.
    pub fn new(
        id: i32,
        client_address: SocketAddr,
        directory: PathBuf,
        settings: Vec<(String, String)>,
    ) -> ProcessNode {
        let (launcher, environment) = (Vec::new(), Vec::new());
        ProcessNode { id, client_address, directory, settings, launcher, environment, disk: None, child: None }
    }

    /// Starts the process.
    ///
    /// # Panics
    /// When it runs already or cannot be started.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "node {} runs already", self.id);
        std::fs::create_dir_all(&self.directory).expect("the node's directory can be made");
        let output = self.output_file();
        let mut words = self.launcher.iter().map(OsString::from).chain([raftsman_binary().into(), "server".into()]);
        let mut command = Command::new(words.next().expect("there is the program at least"));
        command.args(words).envs(self.environment.iter().cloned());
        for (key, value) in &self.settings {
            command.arg("--override").arg(format!("{key}={value}"));
        }
        command.env("RUST_LOG", std::env::var("RAFTSMAN_TEST_LOG").unwrap_or_else(|_| "info,openraft=off".into()));
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a file can be shared")).stderr(output);
        let filter = self.disk.as_ref().map(|disk| disk.install(&mut command));
        self.child = Some(command.spawn().expect("the raftsman binary can be started"));
        if let Some(filter) = filter {
            filter.supervise();
        }
    }

    /// Sets a variable of the node's environment from its next start on.
    pub fn set_environment(&mut self, key: &str, value: &str) {
        self.environment.push((key.to_owned(), value.to_owned()));
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a killed child can be waited for");
        }
    }

    /// SIGTERM, and waits for the process to end by itself.
    ///
    /// # Panics
    /// When it takes longer than `at_most`.
    pub fn stop(&mut self, at_most: Duration) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        self.signal_child(&child, rustix::process::Signal::TERM);
        let mut status = None;
        wait_until(&format!("node {} to stop", self.id), at_most, || {
            status = child.try_wait().expect("a child can be asked");
            status.is_some()
        });
        status
    }

    /// Sends the running process a signal, SIGSTOP for one.
    ///
    /// # Panics
    /// When the node does not run.
    pub fn signal(&self, signal: rustix::process::Signal) {
        self.signal_child(self.child.as_ref().expect("the node runs"), signal);
    }

    /// Waits for a process that ends by itself.
    ///
    /// # Panics
    /// When it is still there after `at_most`.
    pub fn wait_for_exit(&mut self, at_most: Duration) -> ExitStatus {
        let child = self.child.as_mut().expect("the node was started");
        let status = wait_until_some("the node to exit", at_most, || child.try_wait().expect("a child can be asked"));
        self.child = None;
        status
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The process id, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// A setting it is started with.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// Changes a setting for its next start.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.retain(|(k, _)| k != key);
        self.settings.push((key.to_owned(), value.to_owned()));
    }

    /// Has its next starts go through a command that sets something up and then becomes the program named behind it
    /// (`unshare`, `prlimit`, `env`): the process id stays the node's. Empty: start it as it is.
    pub fn launch_through(&mut self, launcher: &[&str]) {
        self.launcher = launcher.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Has its next starts use a disk that can be made to fail.
    pub fn use_disk(&mut self, disk: &FaultyDisk) {
        self.disk = Some(disk.clone());
    }

    /// Where its data lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Everything it printed so far, over all its starts.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.directory.join("output.log")).unwrap_or_default()
    }

    /// Waits until it has printed this: what it does may be seen before it says so.
    pub fn wait_until_said(&self, text: &str, at_most: Duration) {
        wait_until(&format!("node {} to say {text:?}", self.id), at_most, || self.output().contains(text));
    }

    fn output_file(&self) -> File {
        let path = self.directory.join("output.log");
        OpenOptions::new().create(true).append(true).open(path).expect("the node's log can be opened")
    }

    fn signal_child(&self, child: &Child, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a child has a process id");
        rustix::process::kill_process(pid, signal).expect("a child can be signalled");
    }
}

impl Drop for ProcessNode {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            eprintln!("--- node {}: the last of what it printed ---", self.id);
            for line in &lines[lines.len().saturating_sub(60)..] {
                eprintln!("{line}");
            }
        }
        self.kill();
    }
}
