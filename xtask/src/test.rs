//! `cargo xtask test`: the one command that runs every test.

use std::process::Command;

use crate::root::root;

/// Runs everything; further arguments go to `cargo test`.
///
/// # Errors
/// Names the first step that failed.
pub fn run(arguments: &[String]) -> Result<(), String> {
    step("generated messages are up to date", cargo(&["xtask", "codegen", "--check"]))?;
    step("generated gRPC code is up to date", cargo(&["xtask", "proto", "--check"]))?;
    // Once here, so that the tests of processes do not each wait for it.
    step("the binary", cargo(&["build", "--package", "raftsman-cli"]))?;
    let mut faults = Command::new("bash");
    faults.args(["tests/compat/install.sh", "faults"]);
    if let Err(error) = step("what tests of faults need", faults) {
        if std::env::var("CI").as_deref() == Ok("true") {
            return Err(error);
        }
        eprintln!("skipped: some tests of faults: {error}");
    }
    // One run is to name everything that fails, not only the first program with a failure.
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
    tests.args(arguments);
    if let Some(corpus) = codec_corpus()? {
        tests.env("RAFTSMAN_CODEC_CORPUS", corpus);
    }
    step("the tests", tests)
}

/// Lets Kafka's own classes write every message in every version, for the codec to be held against.
fn codec_corpus() -> Result<Option<String>, String> {
    let mut install = Command::new("bash");
    install.args(["tests/compat/install.sh", "jdk"]);
    if let Err(error) = step("a JDK and Maven", install) {
        return if std::env::var("CI").as_deref() == Ok("true") {
            Err(error)
        } else {
            eprintln!("skipped: the codec is not held against Kafka's own: {error}");
            Ok(None)
        };
    }
    let mut oracle = Command::new("sh");
    oracle.args(["tests/compat/codec-oracle/run.sh", "--corpus-only"]).current_dir(root());
    let output = oracle.output().map_err(|error| format!("sh cannot be started: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    match printed.lines().last() {
        Some(corpus) if output.status.success() => Ok(Some(corpus.to_owned())),
        _ => Err(format!("Kafka's corpus was not written: {printed}{}", String::from_utf8_lossy(&output.stderr))),
    }
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command.args(arguments);
    command
}

fn step(what: &str, mut command: Command) -> Result<(), String> {
    command.current_dir(root());
    let status = command.status().map_err(|error| format!("{what}: {command:?} cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what}: {command:?} failed")) }
}
