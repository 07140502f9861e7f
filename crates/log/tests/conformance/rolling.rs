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
