//! A node whose one small disk, with the metadata on it as well, is filled: it refuses writes, goes on with everything
//! else, and takes writes again when there is room.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use raftsman_client::{
    Client, ClientOptions, Consumer, ConsumerOptions, Delivery, Producer, ProducerOptions, ProducerRecord, StartAt,
};
use raftsman_testkit::{ClusterOptions, ProcessCluster, free_port, skip, wait_until_some};
use raftsman_types::TopicPartition;

const PATIENCE: Duration = Duration::from_secs(60);
const RECORDS: usize = 200;
const RECORD_BYTES: usize = 100_000;

/// A file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, megabytes: usize) -> SmallDisk {
        std::fs::create_dir_all(at).expect("a folder can be made");
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        assert!(mounted.is_ok_and(|status| status.success()), "root can mount a tmpfs");
        SmallDisk(at.to_owned())
    }

    /// Somebody else fills it, up to so many bytes.
    fn fill(&self, free_bytes: usize) {
        let volume = rustix::fs::statvfs(&self.0).expect("the disk can be asked");
        let free = (volume.f_bavail * volume.f_frsize) as usize;
        std::fs::write(self.0.join("filler"), vec![1; free - free_bytes]).expect("there is room for the filler");
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("the filler is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a node may not have ended yet.
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.0.display());
        }
    }
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can mount a small disk");
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let disk = SmallDisk::mount(&folder.path().join("disk"), 64);
    let data = disk.0.join("data").display().to_string();
    let told_at = free_port(Ipv4Addr::LOCALHOST);
    let settings = vec![("log.dirs".to_owned(), data.clone()), ("health.listener".to_owned(), told_at.to_string())];
    let mut cluster = ProcessCluster::start(&ClusterOptions { nodes: 1, settings, ..Default::default() });
    cluster.tools().create_topic("orders", 1, 1).expect("a topic can be created");
    disk.fill(10 << 20);

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bootstrap = cluster.bootstrap_servers();
    let client = runtime.block_on(Client::connect(&bootstrap, ClientOptions::default())).expect("the node is there");
    let producer = Producer::new(client.clone(), ProducerOptions::default());
    let sending = runtime.spawn(async move {
        let mut deliveries: Vec<Delivery> = Vec::new();
        for number in 0..RECORDS {
            let mut value = number.to_string().into_bytes();
            value.resize(RECORD_BYTES, b' ');
            let record = ProducerRecord { topic: "orders".into(), value: Some(value.into()), ..Default::default() };
            deliveries.push(producer.send(record).await.expect("the topic is there"));
        }
        for delivery in deliveries {
            delivery.await.expect("acknowledged in the end");
        }
    });
    cluster.node(1).wait_until_said("the disk is full up to its reserve", PATIENCE);
    // The controller, on the same disk, goes on, and so do reads.
    cluster.tools().create_topic("more", 1, 1).expect("a topic can be created on a full disk");
    let written = runtime.block_on(read(&client, 1));
    assert!((1..RECORDS).contains(&written.len()), "{} records were read", written.len());
    assert!(!sending.is_finished(), "there is no room for all of them");

    assert!(get(told_at, "/health").contains(&format!("full: the disk of log directory {data}")));
    let full = |value: u8| format!("\nraftsman_log_directory_full{{directory=\"{data}\"}} {value}\n");
    assert!(get(told_at, "/metrics").contains(&full(1)));

    disk.make_room();
    runtime
        .block_on(async { tokio::time::timeout(PATIENCE, sending).await })
        .expect("in time")
        .expect("all acknowledged");
    cluster.node(1).wait_until_said("the disk has room again", PATIENCE);
    let numbers: Vec<usize> = (0..RECORDS).collect();
    assert_eq!(runtime.block_on(read(&client, RECORDS)), numbers, "each once and in order");

    // Nothing half written: it opens again.
    cluster.node(1).kill();
    cluster.node(1).start();
    cluster.wait_until_listening(PATIENCE);
    assert_eq!(runtime.block_on(read(&client, RECORDS)), numbers);
    assert!(get(told_at, "/metrics").contains(&full(0)));

    // Nor does it need room to open: what is there is served, and everybody is told.
    disk.fill(1 << 20);
    cluster.node(1).kill();
    cluster.node(1).start();
    cluster.wait_until_listening(PATIENCE);
    assert_eq!(runtime.block_on(read(&client, RECORDS)), numbers);
    assert!(get(told_at, "/metrics").contains(&full(1)), "it has looked before anybody wrote");
}

/// What the node answers over HTTP.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = wait_until_some("the health listener to be open", PATIENCE, || TcpStream::connect(address).ok());
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    answer
}

/// The numbers of the topic's records, once there are so many.
async fn read(client: &Client, at_least: usize) -> Vec<usize> {
    let mut consumer = Consumer::new(client.clone(), ConsumerOptions::default());
    let partition = TopicPartition { topic: "orders".into(), partition: 0 };
    consumer.assign(vec![(partition, StartAt::Earliest)]).await.expect("a partition can be assigned");
    let mut numbers = Vec::new();
    let reading = async {
        while numbers.len() < at_least {
            for record in consumer.poll(Duration::from_secs(1)).await.expect("reads go on") {
                let value = record.value.expect("every record has a value");
                let text = std::str::from_utf8(&value).expect("digits").trim_end();
                numbers.push(text.parse().expect("a number"));
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("records come in time");
    numbers
}
