use super::source::SourceFile;

/// Where logic lives that a simulator replays from a seed.
const PURE: &[&str] = &[
    "crates/types/",
    "crates/records/",
    "crates/protocol/",
    "crates/metadata/",
    "crates/replication/",
    "crates/coordinator/",
    "crates/controller/src/decide",
    "crates/controller/src/heartbeat",
    "crates/controller/src/actor",
];

/// Time, randomness, threads and I/O by name.
const IMPURE: &[&str] = &[
    "tokio::",
    "tonic::",
    "openraft::",
    "sled::",
    "std::fs",
    "std::net",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
    "rand::rng(",
    "thread_rng",
];

/// A crate (or a folder of one) that alone may name something.
const ONLY_IN: &[(&str, &str)] =
    &[("openraft::", "crates/controller/src/raft"), ("sled::", "crates/controller/src/raft")];

/// Impure names in pure places, and names outside the one place they belong to.
pub fn check(files: &[SourceFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|f| f.path.starts_with("crates/")) {
        let pure = PURE.iter().any(|place| file.path.starts_with(place));
        for (number, line) in file.shipped_lines() {
            let code = line.split("//").next().unwrap_or_default();
            if pure {
                for name in IMPURE.iter().filter(|name| code.contains(**name)) {
                    findings.push(format!(
                        "{}:{number}: {name} in a pure place: pass time, randomness and I/O in from the driver",
                        file.path
                    ));
                }
            }
            for (name, place) in ONLY_IN {
                if code.contains(name) && !file.path.starts_with(place) {
                    findings.push(format!("{}:{number}: {name} may be named in {place} alone", file.path));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_a_pure_crate_is_found() {
        let text = "fn now() {\n    let t = std::time::Instant::now();\n}\n";
        assert_eq!(check(&[SourceFile::new("crates/replication/src/a.rs".into(), text)]).len(), 1);
        assert!(check(&[SourceFile::new("crates/broker/src/a.rs".into(), text)]).is_empty());
    }

    #[test]
    fn openraft_stays_in_its_place() {
        let text = "use openraft::Raft;\n";
        assert_eq!(check(&[SourceFile::new("crates/controller/src/service/a.rs".into(), text)]).len(), 1);
        assert!(check(&[SourceFile::new("crates/controller/src/raft/a.rs".into(), text)]).is_empty());
    }
}
