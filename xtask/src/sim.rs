//! The simulator: `tests/sim/campaign.rs`, built in the profile `sim` and run with these arguments.

use std::process::Command;

use crate::root::root;

/// Runs the simulator.
///
/// # Errors
/// If it cannot be built or a seed breaks a rule.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--quiet", "--profile", "sim", "-p", "raftsman-tests", "--example", "sim", "--"])
        .args(arguments)
        .current_dir(root())
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("the simulation did not end well".to_owned()) }
}
