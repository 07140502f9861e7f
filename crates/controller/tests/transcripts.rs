//! Steps and the exact records they decide. `UPDATE_TRANSCRIPTS=1` rewrites the files: review the difference.
//!
//! A line that starts with `>` is a step, `#` a comment; what follows a step up to the next is what it decided (`+` a record,
//! `=` a reply, `-` the cut between two entries).

mod support;

use std::path::Path;

use raftsman_controller::decide::{
    AlterConfigs, AssignDirectories, BrokerReference, ClusterSettings, ConfigOperation, ConfigOperationKind,
    CreatePartitions, CreateTopics, DeleteTopics, DirectoryAssignment, MorePartitions, Request, ResourceConfigs,
    TopicReference,
};
use raftsman_metadata::{ConfigResource, Durability};
use raftsman_types::{BrokerEpoch, BrokerId};
use support::{World, directory, new_topic, registration, text};

fn numbers(text: &str) -> Vec<i32> {
    text.split(',').filter(|part| !part.is_empty()).map(|part| part.parse().expect("a number")).collect()
}

fn number(text: &str) -> i32 {
    text.parse().expect("a number")
}

/// `topic-partition`.
fn place(text: &str) -> (&str, i32) {
    let (topic, partition) = text.rsplit_once('-').expect("topic-partition");
    (topic, number(partition))
}

fn pairs<'a>(words: &'a [&'a str]) -> Vec<(&'a str, &'a str)> {
    words.iter().filter_map(|word| word.split_once('=')).collect()
}

/// `register 1 start=2 rack=a disk=1 failed=1 clean boot=b written damaged=t-0 missing=t-1`
fn register(world: &World, words: &[&str]) -> Request {
    let id = number(words[1]);
    let given = |key: &str| pairs(words).into_iter().find(|(k, _)| *k == key).map(|(_, value)| value.to_owned());
    let mut request = registration(id, given("start").map_or(0, |start| number(&start) as u8));
    request.rack = given("rack").map(Into::into);
    if let Some(disks) = given("disk") {
        request.directories = numbers(&disks).into_iter().map(|disk| directory(id, disk as u8)).collect();
    }
    if let Some(failed) = given("failed") {
        request.offline_directories = number(&failed) as usize;
    }
    if let Some(host) = given("host") {
        request.listeners[0].host = host.into();
    }
    if let Some(boot) = given("boot") {
        request.boot_id = boot.into();
    }
    if let Some(min) = given("min-isr") {
        request.min_insync_replicas = Some(number(&min));
    }
    if let Some(damaged) = given("damaged") {
        let (topic, partition) = place(&damaged);
        request.damaged = vec![world.at(topic, partition)];
    }
    if let Some(missing) = given("missing") {
        let (topic, partition) = place(&missing);
        request.missing = vec![world.at(topic, partition)];
    }
    if words.contains(&"clean") {
        request.clean_shutdown_epoch = world.image.broker_epoch(BrokerId(id)).unwrap_or(BrokerEpoch::NONE);
    }
    if words.contains(&"written") {
        request.log_durability = Durability::Written;
    }
    Request::RegisterBroker(request)
}

/// `configs topic t set key=value` with `set`, `delete`, `append`, `subtract` or `replace`.
fn configs(sender: BrokerReference, words: &[&str]) -> Request {
    let (resource, rest) = match words[1] {
        "topic" => (ConfigResource::topic(words[2]), &words[3..]),
        "broker" => (ConfigResource::broker(BrokerId(number(words[2]))), &words[3..]),
        _ => (ConfigResource::cluster(), &words[2..]),
    };
    let kind = match rest[0] {
        "delete" => ConfigOperationKind::Delete,
        "append" => ConfigOperationKind::Append,
        "subtract" => ConfigOperationKind::Subtract,
        _ => ConfigOperationKind::Set,
    };
    let operations = rest[1..].iter().map(|word| {
        let (key, value) = word.split_once('=').map_or((*word, None), |(key, value)| (key, Some(value)));
        ConfigOperation { key: key.into(), value: value.map(Into::into), kind }
    });
    let resources = vec![ResourceConfigs { resource, operations: operations.collect() }];
    Request::AlterConfigs(AlterConfigs { sender, resources, validate_only: false, incremental: rest[0] != "replace" })
}

/// `create t partitions=3 replicas=2 retention.ms=5`, or `create t by-hand=1,2/2,1`
fn create(sender: BrokerReference, words: &[&str], validate_only: bool) -> Request {
    let mut topic = new_topic(words[1], -1, -1, &[]);
    for (key, value) in pairs(&words[2..]) {
        match key {
            "partitions" => topic.partition_count = number(value),
            "replicas" => topic.replication_factor = number(value),
            "by-hand" => {
                let lists = value.split('/').map(|list| numbers(list).into_iter().map(BrokerId).collect());
                topic.assignments = (0..).zip(lists).collect();
            }
            _ => topic.configs.push((key.into(), Some(value.into()))),
        }
    }
    Request::CreateTopics(CreateTopics { sender, topics: vec![topic], validate_only })
}

fn request(world: &World, line: &str) -> Request {
    let words: Vec<&str> = line.split_whitespace().collect();
    let sender = world.any_sender();
    match words[0] {
        "register" => register(world, &words),
        "unfence" => Request::UnfenceBroker(world.reference(number(words[1]))),
        "fence" => Request::FenceBroker(world.reference(number(words[1]))),
        "stand-aside" => Request::StandAside(world.reference(number(words[1]))),
        "shutdown" => Request::ControlledShutdown(world.reference(number(words[1]))),
        "unregister" => Request::UnregisterBroker(world.reference(number(words[1]))),
        "disk-offline" => Request::DirectoriesOffline {
            broker: world.reference(number(words[1])),
            directories: vec![directory(number(words[1]), number(words[2]) as u8)],
        },
        // `assign 1 2 t-0 failed`: broker 1 keeps it in its directory 2, which has failed.
        "assign" => {
            let (id, (topic, partition)) = (number(words[1]), place(words[3]));
            let assignment = DirectoryAssignment {
                directory: directory(id, number(words[2]) as u8),
                partitions: vec![world.at(topic, partition)],
                failed: words.contains(&"failed"),
            };
            let sender = world.reference(id);
            Request::AssignDirectories(AssignDirectories { sender, assignments: vec![assignment] })
        }
        "isr" => {
            let (topic, partition) = place(words[1]);
            let mut request = world.alter_isr(topic, partition, &numbers(words[2]));
            for (key, value) in pairs(&words) {
                match key {
                    "sender" => request.sender = world.reference(number(value)),
                    "leader-epoch" => request.partitions[0].leader_epoch.0 += number(value),
                    "partition-epoch" => request.partitions[0].partition_epoch.0 += number(value),
                    // Of the leader itself, or of all others.
                    _ => {
                        let leader = request.sender.broker;
                        let members = request.partitions[0].new_isr.iter_mut();
                        let meant = members.filter(|m| (m.broker == leader) == (key == "leaders-broker-epoch"));
                        meant.for_each(|m| m.broker_epoch.0 += i64::from(number(value)));
                    }
                }
            }
            request.partitions[0].recovered = words.contains(&"recovered");
            Request::AlterPartition(request)
        }
        "producer-ids" => Request::AllocateProducerIds(world.reference(number(words[1]))),
        "rebalance" => Request::RebalanceLeaders,
        "create" => create(sender, &words, false),
        "validate" => create(sender, &words, true),
        "delete" => {
            let topics = words[1..].iter().map(|name| TopicReference::Name((*name).into())).collect();
            Request::DeleteTopics(DeleteTopics { sender, topics })
        }
        "grow" => {
            let topic =
                MorePartitions { name: words[1].into(), partition_count: number(words[2]), assignments: Vec::new() };
            Request::CreatePartitions(CreatePartitions { sender, topics: vec![topic], validate_only: false })
        }
        "configs" => configs(sender, &words),
        other => panic!("unknown step {other}"),
    }
}

fn perform(world: &mut World, line: &str, written: &mut String) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[0] {
        "live" => {
            world.live = numbers(words.get(1).unwrap_or(&"")).into_iter().map(BrokerId).collect();
            return;
        }
        "unheard" => {
            world.unheard = numbers(words.get(1).unwrap_or(&"")).into_iter().map(BrokerId).collect();
            return;
        }
        "show" => {
            let (topic, partition) = place(words[1]);
            written.push_str(&format!("= {}\n", text::state(&world.partition(topic, partition))));
            return;
        }
        _ => {}
    }
    let request = request(world, line);
    let outcome = world.run(&request);
    for (at, entry) in outcome.entries.iter().enumerate() {
        if at > 0 {
            written.push_str("-\n");
        }
        for record in entry {
            written.push_str(&format!("+ {}\n", text::record(&world.image, record)));
        }
    }
    for line in text::reply(&outcome.reply) {
        written.push_str(&format!("= {line}\n"));
    }
}

fn replayed(transcript: &str) -> String {
    let mut world = World::new(ClusterSettings::default());
    let mut written = String::new();
    for line in transcript.lines() {
        if let Some(step) = line.strip_prefix("> ") {
            written.push_str(line);
            written.push('\n');
            perform(&mut world, step, &mut written);
        } else if line.starts_with('#') || line.is_empty() {
            written.push_str(line);
            written.push('\n');
        }
    }
    written
}

#[test]
fn every_transcript_is_what_is_decided() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let mut seen = 0;
    for file in std::fs::read_dir(&directory).expect("the transcripts are there") {
        let path = file.expect("a directory entry").path();
        let before = std::fs::read_to_string(&path).expect("a transcript");
        let now = replayed(&before);
        if update {
            std::fs::write(&path, &now).expect("a transcript can be written");
        }
        let name = path.display();
        assert!(update || before == now, "{name} differs; UPDATE_TRANSCRIPTS=1 rewrites it. Now:\n{now}");
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} transcripts were found");
}
