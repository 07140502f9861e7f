use std::path::Path;

/// Which of our crates each crate may name (`ARCHITECTURE.md`, "The crates and their arrows").
const ARROWS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("records", &["types"]),
    ("protocol", &["types", "records"]),
    ("metadata", &["types"]),
    ("replication", &["types"]),
    ("coordinator", &["types", "records", "protocol", "metadata"]),
    ("log", &["types", "records"]),
    ("rpc", &["types", "metadata"]),
    ("controller", &["types", "metadata", "rpc"]),
    ("broker", &["types", "records", "protocol", "metadata", "replication", "coordinator", "log", "rpc"]),
    ("client", &["types", "records", "protocol"]),
    ("server", &["types", "metadata", "log", "broker", "controller"]),
    ("cli", &["types", "records", "protocol", "client", "rpc", "log", "metadata", "server"]),
];

/// Outside crates that pure crates may not even depend on.
const IMPURE_CRATES: &[&str] = &["tokio", "tonic", "openraft", "sled", "rustix", "socket2", "hyper"];
const PURE_CRATES: &[&str] = &["types", "records", "protocol", "metadata", "replication", "coordinator"];

/// Dependencies that point the wrong way, read from the crates' manifests.
pub fn check(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, allowed) in ARROWS {
        let path = root.join("crates").join(name).join("Cargo.toml");
        match std::fs::read_to_string(&path) {
            Ok(manifest) => findings.extend(check_manifest(name, allowed, &manifest)),
            Err(error) => findings.push(format!("crates/{name}/Cargo.toml: {error}")),
        }
    }
    findings
}

fn check_manifest(name: &str, allowed: &[&str], manifest: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut section = "";
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]" {
            let dependency = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if let Some(ours) = dependency.strip_prefix("raftsman-") {
                if !allowed.contains(&ours) {
                    findings.push(format!("crates/{name}/Cargo.toml: {name} may not name {ours}"));
                }
            } else if PURE_CRATES.contains(&name) && IMPURE_CRATES.contains(&dependency) {
                findings.push(format!("crates/{name}/Cargo.toml: {name} is pure and may not depend on {dependency}"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_arrow_and_an_impure_dependency_are_found() {
        let manifest = "[dependencies]\nraftsman-broker.workspace = true\ntokio.workspace = true\n\n[dev-dependencies]\nraftsman-log = \"1\"\n";
        let findings = check_manifest("metadata", &["types"], manifest);
        assert_eq!(findings.len(), 2, "{findings:?}");
    }
}
