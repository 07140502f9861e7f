use std::process::Command;

use crate::root::root;

/// A benchmark that is a program of some crate and takes these arguments.
///
/// # Errors
/// When it cannot be built, or says that it failed.
pub fn run(package: &str, bench: &str, arguments: &[String]) -> Result<(), String> {
    let status = Command::new("cargo")
        .current_dir(root())
        .args(["bench", "--package", package, "--bench", bench, "--"])
        .args(arguments)
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("bench {bench} failed")) }
}
