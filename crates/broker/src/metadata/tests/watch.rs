use std::sync::Arc;

use raftsman_metadata::{MetadataEntry, MetadataImage, MetadataRecord};
use raftsman_rpc::controller::{MetadataUpdate, SnapshotPart, metadata_update::Update};
use raftsman_rpc::metadata as pb;
use raftsman_types::{BrokerId, IncarnationId};
use tokio::sync::watch;

use super::fake_controller::{FakeController, Script};
use crate::lifecycle::BrokerIdentity;
use crate::metadata::MetadataWatch;
use crate::metadata::controllers::Controllers;

fn follow(endpoints: Vec<(String, u16)>) -> (tokio::task::JoinHandle<String>, watch::Receiver<Arc<MetadataImage>>) {
    let identity = Arc::new(BrokerIdentity::new(BrokerId(1), IncarnationId::default(), None));
    let (watch, images) = MetadataWatch::new(Arc::new(Controllers::new(endpoints)), identity);
    (tokio::spawn(watch.follow()), images)
}

fn feature(level: i16) -> MetadataRecord {
    MetadataRecord::SetFeatureLevel { name: "metadata.version".into(), level }
}

fn batch(base_version: u64, level: i16) -> MetadataUpdate {
    let entry = MetadataEntry { base_version, records: vec![feature(level)] };
    MetadataUpdate { update: Some(Update::Batch(pb::Batch::from(&entry))) }
}

fn snapshot(version: u64, level: i16, last: bool) -> MetadataUpdate {
    let part = SnapshotPart { version, records: vec![pb::Record::from(&feature(level))], last };
    MetadataUpdate { update: Some(Update::Snapshot(part)) }
}

fn level(image: &MetadataImage) -> i16 {
    image.features.get("metadata.version").copied().unwrap_or(0)
}

#[tokio::test]
async fn a_snapshot_in_parts_is_one_image_and_batches_follow_on_it() {
    let feed = vec![snapshot(10, 1, false), snapshot(10, 2, true), batch(10, 3), batch(11, 4)];
    let controller = FakeController::start(Script { feeds: vec![feed], ..Script::default() });
    let (following, mut images) = follow(vec![controller.endpoint()]);
    let image = images.wait_for(|image| image.version == 12).await.unwrap().clone();
    assert_eq!(level(&image), 4);
    following.abort();
}

#[tokio::test]
async fn after_a_gap_the_stream_is_asked_for_again_from_where_it_broke() {
    let feeds = vec![vec![batch(0, 1), batch(5, 9)], vec![batch(1, 2), batch(2, 3)]];
    let controller = FakeController::start(Script { feeds, ..Script::default() });
    let (following, mut images) = follow(vec![controller.endpoint()]);
    let image = images.wait_for(|image| image.version == 3).await.unwrap().clone();
    assert_eq!(level(&image), 3);
    assert_eq!(controller.script(|s| s.watches.iter().map(|w| w.from_version).collect::<Vec<_>>()), [0, 1]);
    following.abort();
}

#[tokio::test]
async fn a_snapshot_older_than_the_image_is_not_taken() {
    let feeds = vec![vec![batch(0, 1), batch(1, 2)], vec![], vec![]];
    let first = FakeController::start(Script { feeds, ..Script::default() });
    let old = FakeController::start(Script { feeds: vec![vec![snapshot(1, 9, true)]], ..Script::default() });
    let (following, mut images) = follow(vec![first.endpoint(), old.endpoint()]);
    images.wait_for(|image| image.version == 2).await.unwrap();
    first.kill();
    // Asked twice: what it said the first time was refused.
    old.until(|script| script.watches.len() >= 2).await;
    assert_eq!(level(&images.borrow()), 2);
    following.abort();
}

#[tokio::test]
async fn the_next_controller_goes_on_where_the_last_one_died() {
    let first = FakeController::start(Script { feeds: vec![vec![batch(0, 1)]], ..Script::default() });
    let second = FakeController::start(Script { feeds: vec![vec![batch(1, 2)]], ..Script::default() });
    let (following, mut images) = follow(vec![first.endpoint(), second.endpoint()]);
    images.wait_for(|image| image.version == 1).await.unwrap();
    first.kill();
    images.wait_for(|image| image.version == 2).await.unwrap();
    assert_eq!(second.script(|script| script.watches[0].from_version), 1);
    following.abort();
}

#[tokio::test]
async fn a_record_of_a_newer_release_stops_the_broker_with_a_line() {
    let unknown = pb::Batch { base_version: 0, records: vec![pb::Record { record_version: 99, record: None }] };
    let update = MetadataUpdate { update: Some(Update::Batch(unknown)) };
    let controller = FakeController::start(Script { feeds: vec![vec![update]], ..Script::default() });
    let (following, _images) = follow(vec![controller.endpoint()]);
    let line = following.await.unwrap();
    assert!(line.contains("upgrade this node"), "{line}");
}
