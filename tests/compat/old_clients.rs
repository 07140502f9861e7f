//! Clients of protocols from before Kafka 0.11, which new clients share a topic with.

use std::process::Command;

use crate::clients::{install, python};
use crate::lost_node::start_cluster;

const CODECS: [&str; 4] = ["none", "gzip", "snappy", "lz4"];
const RECORDS_OF_EACH_CODEC: usize = 40;

/// What a client printed it had read: offsets and values.
fn run(mut client: Command) -> Vec<(i64, String)> {
    let output = client.output().expect("the client can be started");
    assert!(output.status.success(), "the client failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("what it prints is text");
    let read = |line: &str| {
        let (offset, value) = line.split_once(' ').expect("an offset and a value");
        (offset.parse().expect("an offset"), value.to_owned())
    };
    text.lines().map(read).collect()
}

/// Where what was read leaves what was written, with what came before and after, to tell a loss from a repetition.
fn first_difference(read: &[(i64, String)], written: &[String]) -> Option<String> {
    let fits = |at: usize| matches!((read.get(at), written.get(at)), (Some((offset, value)), Some(expected)) if *offset == at as i64 && value == expected);
    let at = (0..read.len().max(written.len())).find(|at| !fits(*at))?;
    let around = &read[at.saturating_sub(2).min(read.len())..(at + 3).min(read.len())];
    Some(format!("{} records read; at {at} {:?} is expected, around it is {around:?}", read.len(), written.get(at)))
}

#[test]
fn clients_of_every_protocol_age_share_a_topic() {
    if !install("python") {
        return;
    }
    let cluster = start_cluster();
    cluster.tools().create_topic("shared", 1, 3).expect("a topic can be created");
    let bootstrap = cluster.bootstrap_servers();
    // Each writes under every codec, then reads what all before it wrote, and its own.
    let clients = [
        ("kafka-python", "0.8.2"),
        ("pykafka", "0.8.2"),
        ("kafka-python", "0.9"),
        ("kafka-python", "0.10"),
        ("pykafka", "0.10.2"),
        ("kafka-python", "new"),
        // Again one of the oldest, after all the others wrote; in a group of its own.
        ("pykafka", "0.9.0"),
    ];
    let mut written = Vec::new();
    for (client, version) in clients {
        let script = if client == "pykafka" { "pykafka_share.py" } else { "kafka_python_share.py" };
        let mut command = python(script);
        command.args([bootstrap.as_str(), "shared", version, &RECORDS_OF_EACH_CODEC.to_string()]);
        let read = run(command);
        for codec in CODECS {
            written.extend((0..RECORDS_OF_EACH_CODEC).map(|n| format!("{client}-{version}-{codec}-{n}")));
        }
        if let Some(difference) = first_difference(&read, &written) {
            panic!("{client} {version}, of {} records written: {difference}", written.len());
        }
    }
}
