//! Where the workspace lies.

use std::path::PathBuf;

/// The workspace this run belongs to. Cargo says it at run time: a checkout that shares its target directory with
/// another may run a program the other one compiled.
pub fn root() -> PathBuf {
    let xtask =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.join("..")
}

/// The target directory of this run.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
