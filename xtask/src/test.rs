//! `cargo xtask test`: the one command that runs every test.

use std::process::Command;

/// Runs everything; further arguments go to `cargo test`.
///
/// # Errors
/// Names the first step that failed.
pub fn run(arguments: &[String]) -> Result<(), String> {
    step("generated messages are up to date", cargo(&["xtask", "codegen", "--check"]))?;
    step("generated gRPC code is up to date", cargo(&["xtask", "proto", "--check"]))?;
    // Once here, so that the tests of processes do not each wait for it.
    step("the binary", cargo(&["build", "--package", "raftsman-cli"]))?;
    let mut oracle = Command::new("bash");
    oracle.arg("tests/compat/codec-oracle/run.sh");
    step("the codec against Kafka's own", oracle)?;
    let mut tests = cargo(&["test", "--workspace"]);
    tests.args(arguments);
    step("the tests", tests)
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command.args(arguments);
    command
}

fn step(what: &str, mut command: Command) -> Result<(), String> {
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let status = command.status().map_err(|error| format!("{what}: {command:?} cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what}: {command:?} failed")) }
}
