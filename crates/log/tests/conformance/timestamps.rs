//! Finding offsets by time.

use raftsman_log::{Log, LogConfig, TimestampLookup};
use raftsman_records::{BatchBuilder, Compression, TimestampType};
use raftsman_types::{LeaderEpoch, WallTime};

use super::rig::{NOW, Rig, batch_at, small_segments};

/// What a walk over all records finds.
fn expected(all: &[(i64, i64, LeaderEpoch)], timestamp: i64) -> Option<(i64, i64, LeaderEpoch)> {
    all.iter().find(|(_, at, _)| *at >= timestamp).copied()
}

/// Offset, timestamp and epoch of each record of the log.
fn all_records(rig: &Rig) -> Vec<(i64, i64, LeaderEpoch)> {
    let start = rig.log.log_start_offset();
    let of_batch = |batch: &raftsman_records::RecordBatch| {
        let epoch = batch.header().partition_leader_epoch;
        let records = batch.records().map(move |record| record.map(|r| (r.offset, r.timestamp, epoch)));
        records.collect::<Result<Vec<_>, _>>().expect("records")
    };
    rig.all().iter().flat_map(of_batch).filter(|(offset, ..)| *offset >= start).collect()
}

/// Goes through the batches without the log, as a broker does.
fn looked_up(log: &Log, timestamp: i64) -> (usize, TimestampLookup) {
    for brought_in in 0..100 {
        match log.timestamp_lookup_without_waiting(timestamp).expect("no error") {
            Ok(lookup) => return (brought_in, lookup.expect("there is such a timestamp")),
            Err(cold) => assert!(cold.bring_in(), "it can be told"),
        }
    }
    panic!("what was brought in is not found");
}

#[test]
fn a_lookup_waits_for_no_disk_before_it_reads_batches_and_knows_of_a_cut() {
    let mut rig = Rig::new(small_segments());
    for i in 0..20 {
        rig.append(batch_at(3, i, NOW.0 + i * 10), 0);
    }
    rig.restart();
    let all = all_records(&rig);
    assert_eq!(rig.log.largest_timestamp(), all.iter().map(|(_, timestamp, _)| *timestamp).max());
    for timestamp in [0, NOW.0 + 55, NOW.0 + 190] {
        rig.fs.make_cold(true);
        let (brought_in, lookup) = looked_up(&rig.log, timestamp);
        assert!(brought_in > 0, "it was on the disk");
        assert_eq!(lookup.find().expect("readable"), expected(&all, timestamp));
        assert_eq!(looked_up(&rig.log, timestamp).0, 0, "it is in memory now");
    }
    let none = rig.log.timestamp_lookup_without_waiting(NOW.0 + 10_000).expect("no error");
    assert!(none.expect("in memory").is_none());
    let (_, lookup) = looked_up(&rig.log, NOW.0);
    rig.append(batch_at(3, 20, NOW.0), 0);
    assert!(rig.log.stands(&lookup), "an append takes nothing away");
    rig.log.truncate_to(30).expect("cut");
    assert!(!rig.log.stands(&lookup));
}

#[test]
fn lookups_agree_with_a_walk_over_all_records() {
    let mut rig = Rig::new(small_segments());
    // Timestamps that rise, fall and repeat; compressed batches among plain ones.
    let mut random = 12_345u64;
    for i in 0..60 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let codec = if i % 3 == 0 { Compression::Lz4 } else { Compression::None };
        let mut builder = BatchBuilder::new(codec);
        for k in 0..3 {
            let timestamp = i * 50 + ((random >> (20 + k)) % 400) as i64;
            builder.append(timestamp, None, Some(b"a value of some length"), &[]);
        }
        rig.append(builder.build(0, LeaderEpoch(-1)), (i / 20) as i32);
    }
    assert!(rig.log.segment_count() > 5);
    for restarted in [false, true] {
        if restarted {
            rig.restart();
        }
        let all = all_records(&rig);
        for timestamp in (-1..3_600).step_by(3) {
            let found = rig.log.offset_for_timestamp(timestamp).expect("readable");
            assert_eq!(found, expected(&all, timestamp), "{timestamp}");
        }
        let largest = rig.all().iter().map(|batch| batch.header().max_timestamp).max().expect("batches");
        let found = rig.log.max_timestamp().expect("readable").expect("a record");
        assert_eq!(Some((found.0, found.1)), expected(&all, largest).map(|(offset, at, _)| (offset, at)));
    }
    rig.log.advance_log_start_offset(77, NOW).expect("advanced");
    let all = all_records(&rig);
    for timestamp in (-1..3_600).step_by(7) {
        let found = rig.log.offset_for_timestamp(timestamp).expect("readable");
        assert_eq!(found, expected(&all, timestamp), "{timestamp} after the start moved");
    }
}

#[test]
fn an_empty_log_has_no_time() {
    let rig = Rig::new(LogConfig::default());
    assert_eq!(rig.log.max_timestamp().expect("readable"), None);
    assert_eq!(rig.log.offset_for_timestamp(0).expect("readable"), None);
}

#[test]
fn broker_time_stands_for_all_records() {
    let config = LogConfig { message_timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() };
    let mut rig = Rig::new(config);
    let at = WallTime(5_000_000);
    let info = rig.log.append_as_leader(batch_at(3, 0, 17), LeaderEpoch(0), at).expect("appended");
    assert_eq!(info.log_append_time, Some(at.0));
    let batches = rig.all();
    let timestamps: Vec<i64> = batches[0].records().map(|record| record.expect("a record").timestamp).collect();
    assert_eq!(timestamps, [at.0; 3]);
    assert_eq!(rig.log.max_timestamp().expect("readable"), Some((0, at.0)));
}
