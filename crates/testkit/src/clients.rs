use std::path::PathBuf;
use std::process::Command;

use crate::skip;

/// Installs a client by `tests/compat/install.sh`; `false` when it cannot be had here, which is said.
///
/// # Panics
/// With `CI=true`, when it cannot be had.
pub fn install_client(client: &str) -> bool {
    let output = Command::new("bash")
        .arg(tests_folder().join("compat/install.sh"))
        .arg(client)
        .output()
        .expect("bash is there, the build used it too");
    if !output.status.success() {
        skip(&format!("{client} cannot be installed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    output.status.success()
}

/// Where [`install_client`] puts clients.
pub fn installed_clients() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| tests_folder().join("../target")).join("compat")
}

/// A Python of the tests' own, with the pinned clients, set to run a script below `tests/`.
pub fn python(script: &str) -> Command {
    let mut command = Command::new(installed_clients().join("venv/bin/python"));
    command.arg(tests_folder().join(script));
    command
}

fn tests_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}
