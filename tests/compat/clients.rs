use std::process::Command;

pub use raftsman_testkit::install_client as install;
use raftsman_testkit::installed_clients;

/// A Python of the tests' own, with the pinned clients, set to run a script of `python/`.
pub fn python(script: &str) -> Command {
    raftsman_testkit::python(&format!("compat/python/{script}"))
}

/// Runs a client's program to its end and gives what it printed.
///
/// # Panics
/// When it fails.
pub fn succeed(mut command: Command) -> String {
    let output = command.output().expect("the program can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A Java set to run a class of Kafka's tools.
pub fn java(class: &str) -> Command {
    let mut command = Command::new("java");
    let classpath = format!("{}/*", installed_clients().join("kafka-tools").display());
    command.args(["-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &classpath, class]);
    command
}
