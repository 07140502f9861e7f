//! Files of logs, between Kafka and us: a topic that Kafka wrote opens here, and DumpLogSegments reads ours.

use std::path::{Path, PathBuf};
use std::time::Duration;

use raftsman_testkit::{ClusterOptions, ProcessCluster};

use crate::clients::{install, python, succeed};
use crate::dump_tools::{agree, fail_alike};
use crate::real_kafka::RealKafka;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn kafkas_log_opens_here_and_both_dump_tools_agree_on_all_files() {
    if !install("python") || !install("java") {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary folder can be made");
    let kafka = RealKafka::start(directory.path());
    script(&kafka.bootstrap_servers, "orders", &["write", "small-segments", "transactions"]);
    let written = script(&kafka.bootstrap_servers, "orders", &["read"]);
    assert!(written.lines().count() > 600, "{written}");
    let theirs = kafka.stop();

    let ours = take_over(&theirs, &written);
    let damaged = directory.path().join("damaged");
    damage(&ours.join("own-0"), &damaged);

    let mut folders = vec![theirs.join("orders-0"), theirs.join("__consumer_offsets-0")];
    folders.extend(["orders-0", "own-0", "__consumer_offsets-0"].map(|name| ours.join(name)));
    let undamaged: Vec<PathBuf> = folders.iter().flat_map(|folder| files(folder, KINDS)).collect();
    let complaints = agree(&undamaged, &[]);
    assert_eq!(complaints, Vec::<String>::new(), "what Kafka's tool says of files that are whole");
    agree(&undamaged, &["--index-sanity-check"]);
    let indexes: Vec<PathBuf> = undamaged.iter().filter(|file| is_of(file, &["index", "timeindex"])).cloned().collect();
    agree(&indexes, &["--verify-index-only"]);
    agree(&indexes, &["--max-message-size", "200000"]);
    fail_alike(&indexes, &["--max-message-size", "50"]);
    let logs: Vec<PathBuf> = undamaged.iter().filter(|file| is_of(file, &["log"])).cloned().collect();
    agree(&logs, &["--print-data-log"]);
    agree(&logs, &["--deep-iteration"]);
    agree(&logs, &["--deep-iteration", "--skip-record-metadata"]);
    // In the middle of a batch, at its end, in front of all.
    for bytes in ["100", "5000", "70000", "0"] {
        agree(&logs, &["--max-bytes", bytes, "--print-data-log"]);
    }
    let offsets: Vec<PathBuf> =
        logs.iter().filter(|file| file.to_string_lossy().contains("__consumer")).cloned().collect();
    agree(&offsets, &["--offsets-decoder", "--skip-record-metadata"]);
    agree(&files(&theirs.join("__transaction_state-0"), KINDS), &["--transaction-log-decoder"]);
    agree(&files(&damaged, &["index", "timeindex"]), &["--verify-index-only"]);
    let complaints = agree(&files(&damaged, KINDS), &[]);
    assert!(complaints.iter().any(|line| line.contains("Mismatches in")), "{complaints:?}");
    // What cannot be read on ends both.
    agree(&files(&damaged.join("fatal"), &["log"]), &[]);
}

pub const KINDS: &[&str] = &["log", "index", "timeindex", "txnindex", "snapshot"];

pub fn script(bootstrap_servers: &str, topic: &str, arguments: &[&str]) -> String {
    let mut script = python("kafka_written.py");
    script.args([bootstrap_servers, topic]).args(arguments);
    succeed(script)
}

/// Has a node of ours serve what Kafka wrote, through a clean start and one after SIGKILL, and write more; gives back the
/// files it leaves.
fn take_over(theirs: &Path, written: &str) -> PathBuf {
    let settings = [("offsets.topic.num.partitions".to_owned(), "1".to_owned())].to_vec();
    let mut cluster = ProcessCluster::start(&ClusterOptions { nodes: 1, settings, ..ClusterOptions::default() });
    let bootstrap = cluster.bootstrap_servers();
    let create = ["--create", "--topic", "orders", "--partitions", "1", "--replication-factor", "1"];
    let keep = ["--config", "retention.ms=-1", "--config", "segment.bytes=1048576"];
    cluster.tools().run("kafka-topics", &[&create[..], &keep].concat()).expect("a topic can be created");
    let data = cluster.node(1).directory().join("data");
    assert!(cluster.node(1).stop(PATIENCE).is_some_and(|status| status.success()), "a clean stop");
    replace(&data.join("orders-0"), &theirs.join("orders-0"));
    cluster.node(1).start();
    cluster.wait_until_listening(PATIENCE);
    assert_eq!(script(&bootstrap, "orders", &["read"]), written, "after a clean stop");
    cluster.node(1).kill();
    cluster.node(1).start();
    cluster.wait_until_listening(PATIENCE);
    assert_eq!(script(&bootstrap, "orders", &["read"]), written, "recovered after a kill");
    script(&bootstrap, "orders", &["append"]);
    let longer = script(&bootstrap, "orders", &["read"]);
    assert!(longer.starts_with(written) && longer.lines().count() == written.lines().count() + 20, "{longer}");
    script(&bootstrap, "own", &["write", "small-segments"]);
    script(&bootstrap, "own", &["read"]);
    assert!(cluster.node(1).stop(PATIENCE).is_some_and(|status| status.success()), "a clean stop");
    let kept = theirs.with_file_name("our-data");
    copy(&data, &kept);
    kept
}

/// Puts the files of Kafka's partition in place of ours; the topic's id stays ours.
fn replace(ours: &Path, theirs: &Path) {
    for file in files(ours, KINDS) {
        std::fs::remove_file(file).expect("a file can be removed");
    }
    let name = "leader-epoch-checkpoint";
    for file in files(theirs, KINDS).into_iter().chain([theirs.join(name)]) {
        std::fs::copy(&file, ours.join(file.file_name().expect("a file has a name"))).expect("a file can be copied");
    }
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("a folder can be read") {
        let entry = entry.expect("a folder can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// Files as a failing disk leaves them.
fn damage(whole: &Path, damaged: &Path) {
    copy(whole, damaged);
    let change = |name: &str, change: fn(&mut Vec<u8>)| {
        let path = damaged.join(name);
        let mut bytes = std::fs::read(&path).expect("the file is there");
        change(&mut bytes);
        std::fs::write(path, bytes).expect("a file can be written");
    };
    let second = files(damaged, &["snapshot"])[0].file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let second = second.expect("a snapshot is named after an offset");
    // An index entry that names another offset than the batch it points to has, and one that ends in mid-entry.
    change("00000000000000000000.index", |bytes| bytes[3] ^= 1);
    change("00000000000000000000.timeindex", |bytes| bytes[7] ^= 1);
    // A record's value of other bytes than its batch's CRC is of; the end of the log torn off.
    change("00000000000000000000.log", |bytes| bytes[100] ^= 1);
    change(&format!("{second}.log"), |bytes| bytes.truncate(bytes.len() - 7));
    change(&format!("{second}.snapshot"), |bytes| bytes[12] ^= 1);
    for kind in ["index", "timeindex"] {
        std::fs::remove_file(damaged.join(format!("{second}.{kind}"))).expect("a file can be removed");
    }
    let fatal = damaged.join("fatal");
    std::fs::create_dir(&fatal).expect("a folder can be made");
    let mut bytes = std::fs::read(whole.join("00000000000000000000.log")).expect("the file is there");
    // The length of the second batch.
    let second_at = 12 + i32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize;
    bytes[second_at + 8..second_at + 12].fill(0);
    std::fs::write(fatal.join("00000000000000000000.log"), bytes).expect("a file can be written");
}

/// The files of these kinds in a folder, in the order of their names.
pub fn files(folder: &Path, kinds: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder can be read");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a folder can be read").path()).filter(|file| is_of(file, kinds)).collect();
    files.sort();
    files
}

fn is_of(file: &Path, kinds: &[&str]) -> bool {
    file.extension().is_some_and(|extension| kinds.iter().any(|kind| extension == *kind))
}
