use std::process::Command;

pub use raftsman_testkit::install_client as install;
use raftsman_testkit::installed_clients;

/// A Python of the tests' own, with the pinned clients, set to run a script of `python/`.
pub fn python(script: &str) -> Command {
    raftsman_testkit::python(&format!("compat/python/{script}"))
}

/// A Java set to run a class of Kafka's tools.
pub fn java(class: &str) -> Command {
    let mut command = Command::new("java");
    let classpath = format!("{}/*", installed_clients().join("kafka-tools").display());
    command.args(["-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &classpath, class]);
    command
}
