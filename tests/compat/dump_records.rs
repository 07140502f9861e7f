//! `dump-log` shows every record that Kafka keeps in topics of its own as Kafka's tool does: what Kafka's classes write of every
//! type and version is shown by both.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::{install, java_of, kafkas_jars, succeed};
use crate::dump_tools::agree;

const INTEGERS: &str = "org.apache.kafka.tools.api.IntegerDecoder";
const LONGS: &str = "org.apache.kafka.tools.api.LongDecoder";

#[test]
fn records_of_all_types_and_formats_are_shown_as_by_kafkas_tool() {
    if !install("java") || !install("jdk") {
        return;
    }
    let temporary = tempfile::tempdir().expect("a temporary folder can be made");
    let logs = temporary.path().join("logs");
    write_logs(temporary.path(), &logs);
    let log = |name: &str| [logs.join(name).join("00000000000000000000.log")];

    let decoders = [
        ("group", "--offsets-decoder"),
        ("transaction", "--transaction-log-decoder"),
        ("share", "--share-group-state-decoder"),
        ("metadata", "--cluster-metadata-decoder"),
    ];
    for (name, decoder) in decoders {
        agree(&log(name), &[decoder]);
        agree(&log(name), &[decoder, "--skip-record-metadata"]);
    }
    // Of several decoders Kafka's order decides.
    agree(
        &log("transaction"),
        &["--share-group-state-decoder", "--cluster-metadata-decoder", "--transaction-log-decoder"],
    );
    for flags in [&["--cluster-metadata-decoder"][..], &["--deep-iteration"], &[]] {
        agree(&log("controls"), flags);
    }
    for name in ["old-formats", "old-formats-damaged"] {
        for flags in
            [&["--print-data-log"][..], &["--deep-iteration"], &[], &["--max-bytes", "700", "--print-data-log"]]
        {
            agree(&log(name), flags);
        }
    }
    for flags in
        [&["--key-decoder-class", INTEGERS, "--value-decoder-class", LONGS][..], &["--key-decoder-class", INTEGERS]]
    {
        agree(&log("numbers"), flags);
    }
    // Without an argument they are what they are without the flag, but what records say is printed.
    agree(&log("old-formats"), &["--key-decoder-class"]);
}

/// Has Kafka's classes write them.
fn write_logs(work: &Path, logs: &Path) {
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("compat/codec-oracle");
    let jars = kafkas_jars();
    let mut compile = Command::new("javac");
    compile.args(["-nowarn", "-encoding", "UTF-8", "-cp", &jars, "-d"]).arg(work);
    compile.args([sources.join("Corpus.java"), sources.join("Logs.java")]);
    succeed(compile);
    let mut write = java_of(&format!("{}:{jars}", work.display()), "Logs");
    write.arg(logs);
    succeed(write);
}
