//! Strangers at the door of one broker: each is turned away in Kafka's way, good clients are served all the while,
//! and memory stays bounded.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use raftsman_records::{BatchBuilder, Compression, DownConverter, LegacyFormat, RecordBatch};
use raftsman_testkit::{ClusterOptions, ProcessCluster, wait_until};
use raftsman_types::LeaderEpoch;

use crate::wire::{answer, connect, frame, hangs_up, serves_good_clients};

const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const DELETE_TOPICS: i16 = 20;
const DESCRIBE_CONFIGS: i16 = 32;
const PRODUCE: i16 = 0;

/// One node that runs for the length of a test.
struct OneNode {
    cluster: ProcessCluster,
    address: SocketAddr,
}

impl OneNode {
    fn start() -> OneNode {
        let cluster = ProcessCluster::start(&ClusterOptions { nodes: 1, ..Default::default() });
        let address = cluster.nodes[0].client_address;
        wait_until("the node to serve", Duration::from_secs(30), || serves_good_clients(address));
        OneNode { cluster, address }
    }

    /// Resident memory in MiB.
    fn memory_mib(&self) -> u64 {
        self.status_mib("VmRSS:")
    }

    fn status_mib(&self, field: &str) -> u64 {
        let process = self.cluster.nodes[0].process_id().expect("the node runs");
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process can be looked at");
        let line = status.lines().find(|l| l.starts_with(field)).expect("a process has resident memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number of KiB") / 1024
    }

    /// The most resident memory there ever was, in MiB.
    fn most_memory_mib(&self) -> u64 {
        self.status_mib("VmHWM:")
    }

    fn assert_unharmed(&mut self) {
        assert!(self.cluster.nodes[0].is_running(), "the broker died");
        assert!(serves_good_clients(self.address), "a good client is not served");
    }
}

#[test]
fn frames_that_make_no_sense_end_their_connection_only() {
    let mut node = OneNode::start();
    let mut noise = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise.to_be_bytes()
    };
    for _ in 0..50 {
        let mut stream = connect(node.address);
        let bytes: Vec<u8> = (0..64).flat_map(|_| random()).collect();
        // The broker may hang up before everything is sent.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        while answer(&mut stream).is_some() {}
    }
    node.assert_unharmed();

    let mut negative = connect(node.address);
    negative.write_all(&(-5i32).to_be_bytes()).expect("four bytes go out");
    assert!(hangs_up(&mut negative), "a negative frame length is refused");

    let mut two_gigabytes = connect(node.address);
    two_gigabytes.write_all(&i32::MAX.to_be_bytes()).expect("four bytes go out");
    assert!(hangs_up(&mut two_gigabytes), "a frame of 2 GB is refused before it is read");
    node.assert_unharmed();
}

#[test]
fn hostile_lengths_allocate_nothing() {
    let mut node = OneNode::start();
    let before = node.memory_mib();
    for length in [i32::MAX, 1_000_000_000, i32::MIN, -2] {
        // Metadata v0: an array of topic names that is said to be enormous and is empty.
        let mut stream = connect(node.address);
        stream.write_all(&frame(METADATA, 0, 1, &length.to_be_bytes())).expect("a small frame goes out");
        assert!(hangs_up(&mut stream), "an array of {length} elements in an empty body is refused");
    }
    // Produce v9 is flexible: its lengths are variable-length integers, here the largest.
    let mut body = vec![0, 0, 0xff, 0xff, 0, 0, 0, 1];
    body.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
    let mut stream = connect(node.address);
    stream.write_all(&frame(PRODUCE, 9, 1, &body)).expect("a small frame goes out");
    assert!(hangs_up(&mut stream), "a compact array longer than the frame is refused");
    node.assert_unharmed();
    assert!(node.memory_mib() < before + 16, "memory went from {before} to {} MiB", node.memory_mib());
}

#[test]
fn unknown_apis_and_versions_get_kafkas_answers() {
    let mut node = OneNode::start();
    for (key, version) in [(999, 0), (-1, 0), (METADATA, 99), (METADATA, -1), (PRODUCE, 2), (4, 0)] {
        let mut stream = connect(node.address);
        stream.write_all(&frame(key, version, 1, &[0; 8])).expect("a small frame goes out");
        assert!(hangs_up(&mut stream), "key {key} version {version} ends its connection");
    }
    // ApiVersions alone answers an unknown version: error 35 in the oldest form, so that the client can step down.
    let mut stream = connect(node.address);
    // The header of so new a version ends with its tagged fields: none.
    stream.write_all(&frame(API_VERSIONS, 99, 5, &[0])).expect("a small frame goes out");
    let body = answer(&mut stream).expect("ApiVersions always answers");
    assert_eq!(body[..6], [0, 0, 0, 5, 0, 35], "correlation id, then UNSUPPORTED_VERSION");
    node.assert_unharmed();
}

/// Elements that are small on the wire and large in memory, and things that are asked for again and again.
#[test]
fn a_request_costs_no_multiple_of_its_bytes() {
    let mut node = OneNode::start();
    let before = node.most_memory_mib();
    // DeleteTopics 1: a million names of no length, which would be 32 bytes each in memory.
    let mut names = 1_000_000i32.to_be_bytes().to_vec();
    names.resize(4 + 2_000_000, 0);
    for _ in 0..4 {
        let mut stream = connect(node.address);
        stream.write_all(&frame(DELETE_TOPICS, 1, 1, &names)).expect("two megabytes go out");
        assert!(hangs_up(&mut stream), "a million empty names are refused");
    }
    // DescribeConfigs 1: the broker's own settings, twenty thousand times in 180 KB.
    let resource = [&[4, 0, 1, b'1'][..], &(-1i32).to_be_bytes()].concat();
    let body = [&20_000i32.to_be_bytes()[..], &resource.repeat(20_000), &[1]].concat();
    let mut stream = connect(node.address);
    stream.write_all(&frame(DESCRIBE_CONFIGS, 1, 2, &body)).expect("a small frame goes out");
    let settings = answer(&mut stream).expect("settings are described");
    assert!(settings.len() < 1 << 20, "an answer of {} bytes", settings.len());
    node.assert_unharmed();
    let most = node.most_memory_mib();
    assert!(most < before + 64, "memory went from {before} to {most} MiB");
}

/// A record of 48 MB in some 50 KB, in a format that has to be converted: it is unpacked, within bounds, and others are
/// served meanwhile.
#[test]
fn bombs_on_their_way_through_a_conversion_are_bounded() {
    let mut node = OneNode::start();
    let mut stream = connect(node.address);
    let topic = [&1i32.to_be_bytes()[..], &[0, 4], b"bomb"].concat();
    wait_until("the topic to have a leader", Duration::from_secs(30), || {
        stream.write_all(&frame(METADATA, 1, 1, &topic)).expect("a frame goes out");
        // The error of its only partition stands right behind name, flag and count.
        let body = answer(&mut stream).expect("Metadata is answered");
        let found = body.windows(4).position(|window| window == b"bomb");
        found.is_some_and(|at| body.get(at + 9..at + 11) == Some(&[0, 0]))
    });
    let before = node.most_memory_mib();
    let wrapper = bomb(48 << 20);
    assert!(wrapper.len() < 1 << 20, "a bomb of {} bytes", wrapper.len());
    let size = (wrapper.len() as i32).to_be_bytes();
    let head = [&[0, 1][..], &30_000i32.to_be_bytes(), &1i32.to_be_bytes(), &[0, 4], b"bomb"].concat();
    let body = [&head[..], &1i32.to_be_bytes(), &0i32.to_be_bytes(), &size, &wrapper].concat();
    let mut bombers: Vec<TcpStream> = (0..6).map(|_| connect(node.address)).collect();
    for stream in &mut bombers {
        stream.write_all(&frame(PRODUCE, 2, 3, &body)).expect("a small frame goes out");
    }
    node.assert_unharmed();
    for stream in &mut bombers {
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a read timeout can be set");
        assert!(answer(stream).is_some(), "each is answered, whichever way");
    }
    node.assert_unharmed();
    let most = node.most_memory_mib();
    assert!(most < before + 1_024, "memory went from {before} to {most} MiB for six bombs of 48");
}

/// A wrapper of format 1 around one message of so many zeros.
fn bomb(bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::Gzip);
    builder.append(1_000, None, Some(&vec![0; bytes]), &[]);
    let batch = RecordBatch::parse(builder.build(0, LeaderEpoch(0))).expect("a good batch");
    let mut converter = DownConverter::new(LegacyFormat::V1, 0, usize::MAX);
    converter.push(&batch, usize::MAX - 1).expect("gzip can be converted");
    converter.into_bytes().to_vec()
}

#[test]
fn a_half_open_connection_keeps_nobody_waiting() {
    let mut node = OneNode::start();
    let mut silent = connect(node.address);
    let mut half = connect(node.address);
    half.write_all(&frame(METADATA, 1, 1, &[0, 0, 0, 0])[..7]).expect("half a frame goes out");
    let mut shut = connect(node.address);
    shut.write_all(&frame(API_VERSIONS, 0, 3, &[])).expect("a frame goes out");
    shut.shutdown(Shutdown::Write).expect("one side can be closed");
    assert!(answer(&mut shut).is_some(), "a client that is done sending still gets its answer");
    node.assert_unharmed();
    // Both are still welcome when they come to the point.
    half.write_all(&frame(METADATA, 1, 1, &[0, 0, 0, 0])[7..]).expect("the other half goes out");
    assert!(answer(&mut half).is_some());
    silent.write_all(&frame(API_VERSIONS, 0, 4, &[])).expect("a frame goes out");
    assert!(answer(&mut silent).is_some());
}

#[test]
fn three_hundred_declared_giants_cost_what_they_sent() {
    let mut node = OneNode::start();
    let before = node.memory_mib();
    let mut giants: Vec<TcpStream> = Vec::new();
    for _ in 0..300 {
        let mut stream = connect(node.address);
        let declared: i32 = 90 << 20;
        let mut bytes = declared.to_be_bytes().to_vec();
        bytes.extend(&frame(PRODUCE, 3, 1, &[])[4..]);
        bytes.resize(1024, 0);
        stream.write_all(&bytes).expect("a kilobyte goes out");
        giants.push(stream);
        if giants.len().is_multiple_of(50) {
            node.assert_unharmed();
        }
    }
    node.assert_unharmed();
    let now = node.memory_mib();
    assert!(now < before + 64, "300 connections that sent 1 KB each took memory from {before} to {now} MiB");
}

#[test]
fn ten_thousand_connects_are_survived() {
    let mut node = OneNode::start();
    for round in 0..10_000 {
        let stream = TcpStream::connect(node.address).expect("the broker takes connections");
        drop(stream);
        if round % 2_000 == 0 {
            node.assert_unharmed();
        }
    }
    node.assert_unharmed();
    let now = node.memory_mib();
    assert!(now < 200, "10,000 connects left {now} MiB");
}
