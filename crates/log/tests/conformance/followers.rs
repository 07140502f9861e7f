//! What a follower takes, and what it refuses.

use bytes::{Bytes, BytesMut};
use raftsman_log::{AppendError, LogConfig};
use raftsman_types::Offset;

use super::rig::{NOW, Rig, stored_batch};

#[test]
fn batches_must_go_on_where_the_log_ends() {
    let mut rig = Rig::new(LogConfig::default());
    rig.log.append_as_follower(stored_batch(3, 0, 0), NOW).expect("copied");
    for wrong in [0, 2] {
        let error = rig.log.append_as_follower(stored_batch(1, wrong, 0), NOW).expect_err("refused");
        assert!(matches!(error, AppendError::UnexpectedOffset { expected: 3, got } if got == wrong), "{error}");
    }
    let back = Bytes::from([stored_batch(2, 3, 0), stored_batch(1, 4, 0)].concat());
    assert!(rig.log.append_as_follower(back, NOW).is_err());
    assert_eq!(rig.log.log_end_offset(), 3, "all or nothing");
    let two = Bytes::from([stored_batch(1, 3, 0), stored_batch(2, 4, 1)].concat());
    let info = rig.log.append_as_follower(two.clone(), NOW).expect("copied");
    assert_eq!((info.first_offset, info.last_offset, info.bytes), (3, 5, two));
}

#[test]
fn compacted_logs_may_have_gaps() {
    // Whatever its policy is now: it may have been compacted before.
    let mut rig = Rig::new(LogConfig::default());
    rig.log.append_as_follower(stored_batch(1, 2, 0), NOW).expect("copied");
    rig.log.append_as_follower(stored_batch(1, 7, 0), NOW).expect("copied");
    assert!(rig.log.append_as_follower(stored_batch(1, 7, 0), NOW).is_err());
    let data = rig.log.read(3, 1_000, Offset::MAX, true).expect("readable");
    assert_eq!(data.next_offset, 8);
    rig.fs.kill();
    rig.open_again(false, 0);
    assert_eq!(rig.log.log_end_offset(), 8);
}

#[test]
fn damaged_bytes_are_refused() {
    let good = stored_batch(2, 0, 0);
    for at in 16..good.len() {
        let mut rig = Rig::new(LogConfig::default());
        let mut bytes = BytesMut::from(&good[..]);
        bytes[at] ^= 0x10;
        assert!(rig.log.append_as_follower(bytes.freeze(), NOW).is_err(), "byte {at}");
        assert!(rig.log.append_as_follower(good.slice(..at), NOW).is_err(), "cut at {at}");
        assert_eq!(rig.log.log_end_offset(), 0);
    }
    let mut rig = Rig::new(LogConfig::default());
    assert!(rig.log.append_as_follower(Bytes::new(), NOW).is_err());
    assert!(rig.log.append_as_leader(Bytes::new(), raftsman_types::LeaderEpoch(0), NOW).is_err());
}

#[test]
fn a_log_that_starts_in_mid_batch_takes_the_whole_batch() {
    let mut rig = Rig::new(LogConfig::default());
    rig.log.reset_to(102).expect("reset");
    rig.log.append_as_follower(stored_batch(5, 100, 3), NOW).expect("copied");
    assert_eq!((rig.log.log_start_offset(), rig.log.log_end_offset()), (102, 105));
    assert_eq!(rig.log.read(102, 1_000, Offset::MAX, true).expect("readable").next_offset, 105);
    assert!(rig.log.read(101, 1_000, Offset::MAX, true).is_err());
    // Only an empty log does so.
    assert!(rig.log.append_as_follower(stored_batch(5, 103, 3), NOW).is_err());
}

/// A compacted leader's batches leave gaps. A log that is cut in one ends where its last batch does, and opens again like that.
#[test]
fn a_cut_in_a_gap_ends_at_the_last_batch() {
    for clean in [true, false] {
        let mut rig = Rig::new(LogConfig::default());
        for base_offset in [0, 20] {
            rig.log.append_as_follower(stored_batch(10, base_offset, 0), NOW).expect("continues");
        }
        rig.log.flush(NOW).expect("flushed");
        assert_eq!(rig.log.truncate_to(15).expect("cut"), 10);
        rig.log.flush(NOW).expect("flushed");
        let recovery_point = rig.log.recovery_point();
        if clean {
            rig.log.close(NOW).expect("closed");
        }
        rig.open_again(clean, recovery_point);
        assert_eq!((rig.log.log_end_offset(), recovery_point), (10, 10), "clean: {clean}");
    }
}
