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
    java_of(&kafkas_jars(), class)
}

/// Where Kafka's classes are.
pub fn kafkas_jars() -> String {
    format!("{}/*", installed_clients().join("kafka-tools").display())
}

/// A Java set to run a class that is found on a path.
pub fn java_of(classpath: &str, class: &str) -> Command {
    let mut command = Command::new("java");
    // Whatever the locale is, it prints what is in the records.
    // These run for a moment: what pays off later costs more than it brings.
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    command.args(["-Xmx256m", "-Dfile.encoding=UTF-8", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
    command.args(["-cp", classpath, class]);
    command
}
