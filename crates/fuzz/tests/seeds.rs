//! Every target over its seeds, its regressions and simple mutations of both, without a fuzzer.

use std::path::{Path, PathBuf};

use raftsman_broker::api::registry::APIS;
use raftsman_fuzz::seeds::Mutator;
use raftsman_fuzz::{TARGETS, Target};

/// Mutations of each target's inputs, all in all.
const MUTATIONS: usize = 4_000;

/// What was found once: `fuzz/regressions/<target>/<what it was>`.
fn regressions_home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/regressions")
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.expect("an entry is readable").path()).collect();
    paths.sort();
    paths
}

/// A target of which nothing was found has no directory.
fn regressions(target: &Target) -> Vec<Vec<u8>> {
    let directory = regressions_home().join(target.name);
    let paths = if directory.exists() { entries(&directory) } else { Vec::new() };
    paths.iter().map(|path| std::fs::read(path).expect("a regression is readable")).collect()
}

fn check(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("every target is in the table");
    let mut inputs = (target.seeds)();
    assert!(!inputs.is_empty(), "{name} has no seeds");
    inputs.extend(regressions(target));
    inputs.push(Vec::new());
    inputs.iter().for_each(|input| (target.run)(input));
    let mut mutator = Mutator::new(7);
    for input in inputs.iter().cycle().take(MUTATIONS) {
        let mutated = mutator.mutated(input);
        let failed = std::panic::catch_unwind(|| (target.run)(&mutated)).is_err();
        assert!(!failed, "{name} fails on {mutated:02x?}");
    }
}

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        #[test]
        fn every_target_is_tested() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), tested);
        }
    };
}

tests![
    request_frame,
    response_frame,
    record_batch,
    compressed_batch,
    message_set,
    segment_recovery,
    index_file,
    producer_snapshot,
    checkpoint_file,
    group_blob,
    grpc_message,
    metadata_store,
    properties,
    coordinator_sequence,
];

#[test]
fn what_was_found_is_there_and_is_of_a_target() {
    let directories = entries(&regressions_home());
    assert!(!directories.is_empty(), "{} is empty", regressions_home().display());
    for directory in directories {
        let name = directory.file_name().and_then(|name| name.to_str()).expect("a name");
        let target = TARGETS.iter().find(|target| target.name == name);
        let target = target.unwrap_or_else(|| panic!("{}: no target has this name", directory.display()));
        assert!(!regressions(target).is_empty(), "{} is empty", directory.display());
    }
}

#[test]
fn every_api_that_is_served_is_thrown_at() {
    for api in APIS {
        let frames = (TARGETS[0].seeds)();
        let key = api.key.code().to_be_bytes();
        assert!(frames.iter().any(|frame| frame.starts_with(&key)), "{} has no seed", api.key);
    }
}
