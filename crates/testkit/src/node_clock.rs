use std::path::PathBuf;

use crate::ProcessNode;

/// A node's wall clock, moved by libfaketime; its monotonic clock stays what it is.
#[derive(Debug)]
pub struct NodeClock {
    file: PathBuf,
}

impl NodeClock {
    /// What is missing on this machine, if anything.
    pub fn what_is_missing() -> Option<String> {
        library().is_none().then(|| "moving a node's clock needs libfaketime (Debian's package faketime)".to_owned())
    }

    /// Lets a node that is not started yet run with a clock that can be moved.
    ///
    /// # Panics
    /// When libfaketime is not there.
    pub(crate) fn install(node: &mut ProcessNode) -> NodeClock {
        let library = library().expect("libfaketime was looked for before");
        std::fs::create_dir_all(node.directory()).expect("the node's directory can be made");
        let clock = NodeClock { file: node.directory().join("clock") };
        clock.shift(0);
        node.set_environment("LD_PRELOAD", &library.display().to_string());
        node.set_environment("FAKETIME_TIMESTAMP_FILE", &clock.file.display().to_string());
        // Read again each second: a clock that moves while the process runs.
        node.set_environment("FAKETIME_CACHE_DURATION", "1");
        node.set_environment("DONT_FAKE_MONOTONIC", "1");
        node.set_environment("NO_FAKE_STAT", "1");
        clock
    }

    /// Sets the clock to so many seconds after (or before) the machine's. The node notices within about a second.
    ///
    /// # Panics
    /// When the file that says so cannot be written.
    pub fn shift(&self, seconds: i64) {
        // Renamed into place: the node never reads half a number.
        let fresh = self.file.with_extension("new");
        std::fs::write(&fresh, format!("{seconds:+}s\n")).expect("the clock's file can be written");
        std::fs::rename(&fresh, &self.file).expect("the clock's file can be renamed");
    }
}

fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}
