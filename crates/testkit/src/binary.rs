use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// Makes this process use a binary of its own choice; before the first node starts.
///
/// # Panics
/// When a binary was used already.
pub fn use_raftsman_binary(path: PathBuf) {
    assert!(BINARY.set(path).is_ok(), "a raftsman binary is in use already");
}

/// The `raftsman` binary of the profile that the calling test was built with, built first if need be.
///
/// # Panics
/// When it cannot be built: the test cannot run without it.
pub fn raftsman_binary() -> PathBuf {
    BINARY.get_or_init(build).clone()
}

fn build() -> PathBuf {
    if let Ok(given) = std::env::var("RAFTSMAN_BINARY") {
        return PathBuf::from(given);
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    // target/<profile>/deps/<test>: the binary stands two folders up.
    let profile = test.ancestors().nth(2).expect("tests run from the target directory").to_path_buf();
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "raftsman-cli", "--bin", "raftsman"]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo can be started");
    assert!(status.success(), "building the raftsman binary failed");
    profile.join("raftsman")
}
