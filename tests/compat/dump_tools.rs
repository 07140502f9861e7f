//! Kafka's DumpLogSegments and our `dump-log`, on the same files.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::clients::java;

/// Kafka's tool and ours print the same and end alike; what they have to complain of comes back, but for the logs
/// that Kafka's tool takes for torn because they do not start at 0.
pub fn agree(files: &[PathBuf], flags: &[&str]) -> Vec<String> {
    let [theirs, ours] = printing_the_same(files, flags);
    let complaints = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let (their_complaints, our_complaints) = (complaints(&theirs), complaints(&ours));
    let codes = (ours.status.code(), theirs.status.code());
    assert_eq!(codes.0, codes.1, "{flags:?}: {our_complaints} {their_complaints}");
    let mut lines: Vec<String> = our_complaints.lines().map(str::to_owned).collect();
    if codes.0 == Some(0) {
        let mut expected: Vec<&str> = their_complaints.lines().collect();
        lines.sort_unstable();
        expected.sort_unstable();
        // Of a damaged snapshot each says in its own words what is wrong.
        expected.retain(|line| !line.contains("napshot"));
        lines.retain(|line| !line.contains("napshot"));
        assert_eq!(lines, expected, "{flags:?}");
    }
    let starts_late =
        |line: &str| line.contains("Non-consecutive offsets in ") || line.starts_with("  -1 is followed by");
    lines.retain(|line| !starts_late(line));
    lines
}

/// Both give up, and print the same up to there.
pub fn fail_alike(files: &[PathBuf], flags: &[&str]) {
    let codes = printing_the_same(files, flags).map(|output| output.status.code());
    assert_eq!(codes, [Some(1); 2], "{flags:?}");
}

/// Theirs and ours.
fn printing_the_same(files: &[PathBuf], flags: &[&str]) -> [Output; 2] {
    let list = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(",");
    let run = |mut tool: Command| tool.args(["--files", &list]).args(flags).output().expect("a tool can be started");
    let mut own = Command::new(raftsman_testkit::raftsman_binary());
    own.arg("dump-log");
    let outputs = [run(java("org.apache.kafka.tools.DumpLogSegments")), run(own)];
    let [theirs, ours] = outputs.each_ref().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    for (number, (their_line, our_line)) in theirs.lines().zip(ours.lines()).enumerate() {
        assert_eq!(our_line, their_line, "line {} of {flags:?}", number + 1);
    }
    assert_eq!(ours.len(), theirs.len(), "{flags:?}: one tool prints more");
    outputs
}
