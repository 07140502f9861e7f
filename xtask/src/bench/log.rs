use std::process::Command;

use crate::root::root;

/// The log's own benchmark: a program of its crate, which takes these arguments.
///
/// # Errors
/// When it cannot be built, or says that it failed.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let status = Command::new("cargo")
        .current_dir(root())
        .args(["bench", "--package", "raftsman-log", "--bench", "log", "--"])
        .args(arguments)
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err("bench log failed".into()) }
}
