use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raftsman_log::fs::{Fault, FaultPlan, FaultTarget, MemoryFs};
use raftsman_log::{CompactionError, Pace, Stopped};
use raftsman_metadata::ConfigResource;
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::{BrokerId, LeaderEpoch};

use super::cluster::{AT, Cluster, await_condition};
use crate::replica::cleaner::Cleaner;
use crate::replica::{Acks, AppendOrigin, FetchRead, Isolation};

const KEYS: usize = 10;

fn compacted(brokers: i32) -> Cluster {
    let cluster = Cluster::configured(brokers, brokers.min(2) as u32, |config| {
        config.cleaner.backoff = Duration::from_millis(20);
        config.checkpoint_interval = Duration::from_millis(20);
    });
    set_policy(&cluster, "compact");
    cluster
}

fn set_policy(cluster: &Cluster, policy: &str) {
    let settings = [
        ("cleanup.policy", policy),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.1"),
        ("file.delete.delay.ms", "0"),
    ];
    cluster.controller.change(|image| {
        let topic = ConfigResource::topic("orders");
        let settings = settings.map(|(key, value)| (key.into(), value.into()));
        image.configs.insert(topic, Arc::new(settings.into()));
    });
}

/// Rounds of one large record for each key; returns the last offset.
fn fill(cluster: &Cluster, leader: i32, rounds: std::ops::Range<usize>) {
    for round in rounds {
        let mut builder = BatchBuilder::new(Compression::None);
        for key in 0..KEYS {
            let value = format!("{round}:{}", "x".repeat(20_000));
            builder.append(-1, Some(format!("key {key}").as_bytes()), Some(value.as_bytes()), &[]);
        }
        let batch = builder.build(0, LeaderEpoch::NONE);
        let appended = cluster.manager(leader).append(AT, batch, Acks::All, AppendOrigin::Client).unwrap();
        cluster.committed(leader, appended, Duration::from_secs(20)).unwrap();
    }
}

/// The newest round of each key, and how many records there are.
fn table(cluster: &Cluster, leader: i32) -> (BTreeMap<String, String>, usize) {
    let (mut table, mut count, mut fetch_offset) = (BTreeMap::new(), 0, 0);
    loop {
        let (current_leader_epoch, last_fetched_epoch) = (None, None);
        let (max_bytes, at_least_one, isolation) = (1 << 20, true, Isolation::ReadCommitted);
        let read =
            FetchRead { fetch_offset, current_leader_epoch, last_fetched_epoch, max_bytes, at_least_one, isolation };
        let fetched = cluster.manager(leader).fetch(AT, read).unwrap();
        if fetched.chunks.is_empty() {
            return (table, count);
        }
        assert!(fetched.next_offset > fetch_offset, "a reader gets on");
        fetch_offset = fetched.next_offset;
        for batch in fetched.chunks.into_iter().flat_map(|chunk| raftsman_records::split_batches(chunk, false)) {
            for record in batch.unwrap().records() {
                let record = record.unwrap();
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let value = text(&record.value.unwrap());
                table.insert(text(&record.key.unwrap()), value.split(':').next().unwrap_or_default().to_owned());
                count += 1;
            }
        }
    }
}

/// Bytes of a replica's log files, those of deleted segments included.
fn bytes_on_disk(cluster: &Cluster, id: i32) -> u64 {
    let files = std::fs::read_dir(cluster.path(id).join("orders-0")).unwrap();
    files
        .map(|file| file.unwrap())
        .filter(|file| file.file_name().to_string_lossy().contains(".log"))
        .filter_map(|file| file.metadata().ok().map(|metadata| metadata.len()))
        .sum()
}

#[test]
fn every_replica_compacts_its_log_and_readers_go_on() {
    let mut cluster = compacted(3);
    let newest =
        |round: usize| (0..KEYS).map(|key| (format!("key {key}"), round.to_string())).collect::<BTreeMap<_, _>>();
    for begin in [0, 30, 60] {
        fill(&cluster, 1, begin..begin + 30);
        assert_eq!(table(&cluster, 1).0, newest(begin + 29));
    }
    // 18 MB came; a segment and the newest of each key are left, nothing aside.
    for id in 1..=3 {
        await_condition("the log is compacted, and nothing is kept aside", || bytes_on_disk(&cluster, id) < 3_000_000);
    }
    let (left, count) = table(&cluster, 1);
    assert_eq!(left, newest(89));
    assert!(count < 15 * KEYS, "{count} records");

    // It is known after a kill how far it was compacted, and a replica that begins anew gets all of it.
    await_condition("the checkpoint is written", || {
        std::fs::read_to_string(cluster.path(2).join("cleaner-offset-checkpoint"))
            .is_ok_and(|text| text.contains("orders 0 "))
    });
    cluster.kill(2);
    cluster.controller.fence(&[2]);
    cluster.kill(3);
    cluster.controller.fence(&[3]);
    std::fs::remove_dir_all(cluster.path(3).join("orders-0")).unwrap();
    cluster.boot(2);
    cluster.boot(3);
    await_condition("both are in sync", || {
        [2, 3].iter().all(|id| cluster.controller.partition().isr.contains(&BrokerId(*id)))
    });
    for leader in [2, 3] {
        cluster.controller.elect(leader, &[1, 2, 3]);
        // A new leader learns how far its predecessor had committed once its followers answer.
        await_condition("the new leader shows it all", || table(&cluster, leader).0 == newest(89));
    }
    // No policy any more: the gaps stay, and a replica that begins anew takes them.
    set_policy(&cluster, "delete");
    cluster.kill(1);
    cluster.controller.fence(&[1]);
    std::fs::remove_dir_all(cluster.path(1).join("orders-0")).unwrap();
    cluster.boot(1);
    await_condition("broker 1 is in sync", || cluster.controller.partition().isr.contains(&BrokerId(1)));
    cluster.controller.elect(1, &[1, 2, 3]);
    await_condition("broker 1 shows it all", || table(&cluster, 1).0 == newest(89));
}

#[test]
fn a_topic_that_is_not_compacted_stays_as_it_is() {
    let cluster = compacted(1);
    set_policy(&cluster, "delete");
    fill(&cluster, 1, 0..30);
    // Another topic setting that the cleaner acts on shows that it had its turns.
    let before = table(&cluster, 1).1;
    set_policy(&cluster, "compact");
    fill(&cluster, 1, 30..31);
    await_condition("it is compacted once it should be", || table(&cluster, 1).1 < before);
    assert_eq!(before, 30 * KEYS);
}

struct Free;

impl Pace for Free {
    fn moved(&self, _bytes: u64) -> Result<(), Stopped> {
        Ok(())
    }
}

/// A compacted segment that finds no room on its way into its place is given up, and made again.
#[test]
fn a_compaction_without_room_is_tried_again() {
    let disk = MemoryFs::new();
    let cluster = Cluster::on(1, 1, BTreeMap::from([(1, Arc::new(disk.clone()) as _)]), |config| {
        config.cleaner.enabled = false;
        config.checkpoint_interval = Duration::from_millis(20);
    });
    set_policy(&cluster, "compact");
    fill(&cluster, 1, 0..30);
    let inner = &cluster.manager(1).inner;
    let cleaner = Cleaner::new(inner.core.config.cleaner, [7; 16]);
    let choose = || cleaner.choose(inner).expect("there is something to compact");
    await_condition("what was flushed is checkpointed", || {
        cleaner.choose(inner).map(|run| cleaner.ended(&run, &Ok(()))).is_some()
    });
    let before = table(&cluster, 1);
    // Begun, keys read, a group written: it is to be announced; then that is synced: it is to be swapped in.
    for steps_before in [3, 5] {
        let mut run = choose();
        for _ in 0..steps_before {
            assert!(run.step(&Free).unwrap());
        }
        let fault = Fault::ErrorFromHere(std::io::ErrorKind::StorageFull);
        disk.inject(FaultPlan { target: FaultTarget::Write, skip: 0, fault });
        let outcome = run.step(&Free);
        assert!(disk.disarm(), "it needs some room");
        let error = outcome.map(|_| ()).unwrap_err();
        assert!(matches!(&error, CompactionError::Storage(error) if error.is_out_of_space()), "{error}");
        cleaner.ended(&run, &Err(error));
        assert_eq!(cluster.controller.offline(), []);
        assert_eq!(table(&cluster, 1), before);
    }
    let mut run = choose();
    while run.step(&Free).unwrap() {}
    cleaner.ended(&run, &Ok(()));
    let (newest, count) = table(&cluster, 1);
    assert_eq!(newest, before.0);
    assert!(count < before.1, "{count} records");
    assert_eq!(cluster.controller.offline(), []);
}
