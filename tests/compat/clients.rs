use std::path::PathBuf;
use std::process::Command;

use raftsman_testkit::skip;

/// Installs a client by `install.sh`; `false` when it cannot be had here, which is said.
pub fn install(client: &str) -> bool {
    let output = Command::new("bash")
        .arg(folder().join("install.sh"))
        .arg(client)
        .output()
        .expect("bash is there, the build used it too");
    if !output.status.success() {
        skip(&format!("{client} cannot be installed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    output.status.success()
}

/// A Python of the tests' own, with the pinned clients, set to run a script of `python/`.
pub fn python(script: &str) -> Command {
    let mut command = Command::new(installed().join("venv/bin/python"));
    command.arg(folder().join("python").join(script));
    command
}

/// A Java set to run a class of Kafka's tools.
pub fn java(class: &str) -> Command {
    let mut command = Command::new("java");
    let classpath = format!("{}/*", installed().join("kafka-tools").display());
    command.args(["-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &classpath, class]);
    command
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("compat")
}

fn installed() -> PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target")).join("compat")
}
