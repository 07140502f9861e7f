//! When segments begin, and the room they set aside.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use raftsman_log::fs::RealFs;
use raftsman_log::{Log, LogConfig};
use raftsman_types::{LeaderEpoch, WallTime};

use super::rig::{NOW, Rig, TOPIC_ID, batch, batch_at};

#[test]
fn jitter_rolls_earlier_but_never_later() {
    let lifetime = |jitter: i64, base_offset: usize| {
        let config = LogConfig { segment_ms: 1_000, segment_jitter_ms: jitter, ..LogConfig::default() };
        let mut rig = Rig::new(config);
        rig.log.reset_to(base_offset as i64).expect("empty");
        rig.append(batch_at(1, 0, NOW.0), 0);
        let rolled = |age: i64, rig: &mut Rig| rig.log.roll_if_due(WallTime(NOW.0 + age)).expect("rolled");
        (0..=1_001).find(|age| rolled(*age, &mut rig)).expect("segment.ms holds whatever the jitter")
    };
    assert_eq!(lifetime(0, 0), 1_001);
    let lifetimes: Vec<i64> = (0..20).map(|base_offset| lifetime(400, base_offset)).collect();
    assert!(lifetimes.iter().all(|lifetime| (601..=1_001).contains(lifetime)), "{lifetimes:?}");
    let distinct: std::collections::BTreeSet<_> = lifetimes.iter().collect();
    assert!(distinct.len() > 10, "they are spread: {lifetimes:?}");
    assert!((0..20).all(|base_offset| (1..=1_001).contains(&lifetime(i64::MAX, base_offset))), "more than segment.ms");
}

#[test]
fn a_segment_is_full_as_soon_as_either_index_is() {
    let limit = 96;
    let config = LogConfig { segment_index_bytes: limit, index_interval_bytes: 1, ..LogConfig::default() };
    let sizes = |timestamp: fn(i64) -> i64| {
        let mut rig = Rig::new(config.clone());
        for seed in 0..100 {
            rig.append(batch_at(1, seed, timestamp(seed)), 0);
        }
        rig.log.close(NOW).expect("closed");
        let largest = |suffix: &str| rig.file_names(suffix).iter().map(|name| rig.content(name).len() as u64).max();
        (largest(".index").expect("indexes"), largest(".timeindex").expect("indexes"))
    };
    // An entry of time has 12 bytes and one of offsets 8, so that the former fills first. The last place is kept for when the
    // segment is sealed, as in Kafka.
    assert_eq!(sizes(|seed| NOW.0 + seed), ((limit / 12 - 1) * 8, limit - 12));
    // Where all are of one time there is one entry, and the offsets decide.
    assert_eq!(sizes(|_| NOW.0), (limit, 12));
}

#[test]
fn a_preallocated_segment_has_its_room_and_gives_it_back() {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let config = LogConfig { segment_bytes: 1 << 20, preallocate: true, ..LogConfig::default() };
    let path = directory.path().join("t-0");
    let open = Log::open(Arc::new(RealFs::new()), path.clone(), TOPIC_ID, config, true, 0, NOW);
    let (mut log, _) = open.expect("a new log");
    let file = |base: i64| std::fs::metadata(path.join(format!("{base:020}.log"))).expect("the segment's file");
    log.append_as_leader(batch(1, 0), LeaderEpoch(0), NOW).expect("appended");
    assert!(file(0).len() < 1_000, "the file is no longer than what is in it");
    if file(0).blocks() * 512 < 1 << 20 {
        eprintln!("skipped: this file system sets no room aside");
        return;
    }
    assert!(log.roll_if_due(WallTime(NOW.0 + 604_800_001)).expect("rolled"));
    assert!(file(0).blocks() * 512 < 1 << 18, "a full segment keeps nothing it does not use");
    assert!(file(1).blocks() * 512 >= 1 << 20);
}
