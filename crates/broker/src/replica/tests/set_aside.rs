//! Replicas that are deleted go after a while, those that nobody knows stay: both under another name.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use raftsman_metadata::ConfigResource;
use raftsman_types::BrokerId;

use super::cluster::{AT, Cluster, await_condition};
use crate::replica::Acks;

fn cluster(brokers: i32) -> Cluster {
    Cluster::configured(brokers, 1, |config| config.checkpoint_interval = Duration::from_millis(20))
}

/// The replica's directories on a broker but for the one in use.
fn set_aside(cluster: &Cluster, id: i32) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(cluster.path(id)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("orders-0.")).collect()
}

fn delete_topic(cluster: &Cluster) {
    cluster.controller.change(|image| {
        image.topics.remove(&AT.topic_id);
        image.topic_ids.remove("orders");
        image.configs.remove(&ConfigResource::topic("orders"));
    });
}

fn set_delete_delay(cluster: &Cluster, delay_ms: &str) {
    cluster.controller.change(|image| {
        let settings = [("file.delete.delay.ms".into(), delay_ms.into())];
        image.configs.insert(ConfigResource::topic("orders"), Arc::new(settings.into()));
    });
}

fn first_segment(directory: &Path) -> Vec<u8> {
    std::fs::read(directory.join("00000000000000000000.log")).unwrap()
}

#[test]
fn a_deleted_replica_is_renamed_at_once_and_removed_after_its_delay() {
    let cluster = cluster(1);
    set_delete_delay(&cluster, "100");
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    delete_topic(&cluster);
    assert!(!cluster.path(1).join("orders-0").exists());
    await_condition("its files are gone", || set_aside(&cluster, 1).is_empty());
    assert!(cluster.controller.offline().is_empty());
}

#[test]
fn a_delay_that_a_restart_cuts_short_is_over() {
    let mut cluster = cluster(1);
    set_delete_delay(&cluster, "3600000");
    cluster.produce(1, Acks::All, &["a"]).unwrap();
    let written = first_segment(&cluster.path(1).join("orders-0"));
    delete_topic(&cluster);
    let deleted = set_aside(&cluster, 1);
    assert_eq!(deleted.len(), 1);
    assert!(deleted[0].to_str().unwrap().ends_with("-delete"), "{deleted:?}");
    assert_eq!(first_segment(&deleted[0]), written);
    cluster.kill(1);
    assert_eq!(set_aside(&cluster, 1), deleted, "an hour is not over");
    cluster.boot(1);
    await_condition("its files are gone", || set_aside(&cluster, 1).is_empty());
}

/// A topic that was deleted while the broker was away and one whose id was damaged on the disk look the same.
#[test]
fn a_replica_whose_topic_id_nobody_knows_is_kept_and_copied_anew() {
    let mut cluster = cluster(2);
    cluster.produce(1, Acks::All, &["a", "b"]).unwrap();
    let place = cluster.path(2).join("orders-0");
    await_condition("broker 2 has it", || cluster.state(2).flushed_offset == 2);
    cluster.kill(2);
    cluster.controller.elect(1, &[1]);
    let written = first_segment(&place);
    let metadata = std::fs::read_to_string(place.join("partition.metadata")).unwrap();
    let (head, id) = metadata.split_once("topic_id: ").unwrap();
    let flipped = if id.starts_with('B') { id.replacen('B', "C", 1) } else { id.replacen(&id[..1], "B", 1) };
    std::fs::write(place.join("partition.metadata"), format!("{head}topic_id: {flipped}")).unwrap();

    cluster.boot(2);
    await_condition("broker 2 is in sync again", || cluster.controller.partition().isr.contains(&BrokerId(2)));
    assert_eq!(cluster.state(2).flushed_offset, 2);
    let strays = set_aside(&cluster, 2);
    assert_eq!(strays.len(), 1);
    assert!(strays[0].to_str().unwrap().ends_with("-stray"), "{strays:?}");
    assert_eq!(first_segment(&strays[0]), written, "it may be the only copy");
    // It outlives restarts, and is in nobody's way.
    cluster.stop(2);
    cluster.boot(2);
    assert_eq!(set_aside(&cluster, 2), strays);
    assert_eq!(cluster.state(2).flushed_offset, 2);
}
