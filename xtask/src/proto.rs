//! Generates the gRPC code of `crates/rpc` from `proto/`. The output is checked in, so that building Raftsman needs
//! neither this step nor a protobuf compiler (protox is one, written in Rust).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Generates, or with `--check` compares with what is checked in.
///
/// # Errors
/// A proto that does not compile, a file that cannot be written, or with `--check` output that is out of date.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("cargo xtask proto [--check]".to_owned()),
    };
    let root = crate::root::root();
    let generated = generate(&root.join("proto"))?;
    let directory = root.join("crates/rpc/src/generated");
    let current = read_all(&directory)?;
    if generated == current {
        return Ok(());
    }
    if check {
        return Err(
            "crates/rpc/src/generated is not what proto/ says: run `cargo xtask proto` and commit it".to_owned()
        );
    }
    fs::create_dir_all(&directory).map_err(|e| format!("cannot create {}: {e}", directory.display()))?;
    for name in current.keys().filter(|name| !generated.contains_key(*name)) {
        fs::remove_file(directory.join(name)).map_err(|e| format!("cannot remove {name}: {e}"))?;
    }
    for (name, text) in generated {
        fs::write(directory.join(&name), text).map_err(|e| format!("cannot write {name}: {e}"))?;
    }
    Ok(())
}

/// The generated files by name, `metadata.rs` for the package `raftsman.metadata.v1`.
fn generate(protos: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut sources: Vec<PathBuf> = fs::read_dir(protos)
        .map_err(|e| format!("cannot read {}: {e}", protos.display()))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "proto"))
        .collect();
    sources.sort();
    let descriptors = protox::compile(&sources, [protos]).map_err(|e| format!("proto/ does not compile: {e}"))?;
    let scratch = env::temp_dir().join(format!("raftsman-xtask-proto-{}", std::process::id()));
    fs::create_dir_all(&scratch).map_err(|e| format!("cannot create {}: {e}", scratch.display()))?;
    let outcome = tonic_prost_build::configure()
        .out_dir(&scratch)
        .bytes(".")
        .compile_fds(descriptors)
        .map_err(|e| format!("code generation failed: {e}"))
        .and_then(|()| read_all(&scratch));
    fs::remove_dir_all(&scratch).map_err(|e| format!("cannot remove {}: {e}", scratch.display()))?;
    Ok(outcome?
        .into_iter()
        .map(|(name, text)| (name.replace("raftsman.", "").replace(".v1.rs", ".rs"), text))
        .collect())
}

fn read_all(directory: &Path) -> Result<BTreeMap<String, String>, String> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(BTreeMap::new()) };
    entries
        .map(|entry| {
            let path = entry.map_err(|e| e.to_string())?.path();
            let text = fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            Ok((name, text))
        })
        .collect()
}
