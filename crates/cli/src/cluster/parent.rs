use std::io;
use std::process::id;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Tells a node who started it: a process id.
pub const PARENT_VARIABLE: &str = "RAFTSMAN_PARENT_PROCESS";

/// Makes this process end when the `cluster` or `demo` that started it ends in whatever way; does nothing in a
/// process that somebody else started. To be called before anything else.
///
/// The end is a SIGKILL, which loses nothing that was acknowledged: a parent that ends in order stops its nodes itself.
///
/// # Errors
/// The kernel refuses, or the parent has gone already.
pub fn die_with_parent() -> io::Result<()> {
    let Ok(parent) = std::env::var(PARENT_VARIABLE) else { return Ok(()) };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before it was asked for the signal.
    let now = getppid().map(|pid| pid.as_raw_nonzero().get().to_string());
    if now.as_deref() == Some(parent.as_str()) {
        return Ok(());
    }
    let message = format!("process {parent}, which started node process {}, is gone", id());
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}
