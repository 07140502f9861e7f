//! Idempotent producers: repeats, gaps, epochs, and what a restart remembers.

use raftsman_log::{AppendError, LogConfig};
use raftsman_records::end_transaction_marker;
use raftsman_types::{ErrorCode, LeaderEpoch, ProducerEpoch, ProducerId, WallTime};

use super::rig::{NOW, Rig, batch, producer_batch, small_segments};

fn refused(rig: &mut Rig, id: i64, epoch: i16, sequence: i32) -> AppendError {
    let before = rig.log.log_end_offset();
    let error = rig
        .log
        .append_as_leader(producer_batch(id, epoch, sequence, 2), LeaderEpoch(0), NOW)
        .expect_err("must be refused");
    assert_eq!(rig.log.log_end_offset(), before);
    error
}

#[test]
fn repeats_of_the_last_five_get_the_first_offsets() {
    let mut rig = Rig::new(LogConfig::default());
    for i in 0..7 {
        rig.append(batch(1, i), 0);
        rig.append(producer_batch(5, 0, 2 * i as i32, 2), 0);
    }
    let end = rig.log.log_end_offset();
    for i in 2..7 {
        let info = rig.append(producer_batch(5, 0, 2 * i, 2), 0);
        let original = i64::from(i) * 3 + 1;
        assert_eq!(info.duplicate_of, Some((original, original + 1)));
        assert_eq!((info.first_offset, info.last_offset, info.appended_bytes), (original, original + 1, 0));
    }
    assert_eq!(rig.log.log_end_offset(), end, "a repeat appends nothing");
    // Too old to be known: not written, and not told that it was.
    for i in 0..2 {
        assert_eq!(refused(&mut rig, 5, 0, 2 * i).error_code(), ErrorCode::OutOfOrderSequenceNumber);
    }
}

#[test]
fn gaps_are_refused_and_say_what_was_expected() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append(producer_batch(5, 0, 0, 3), 0);
    let error = refused(&mut rig, 5, 0, 4);
    assert!(matches!(error, AppendError::OutOfOrderSequence { expected: 3, got: 4, .. }), "{error}");
    // Overlapping, but no repeat of a whole batch.
    assert_eq!(refused(&mut rig, 5, 0, 1).error_code(), ErrorCode::OutOfOrderSequenceNumber);
    rig.append(producer_batch(5, 0, 3, 1), 0);
}

#[test]
fn sequences_go_on_at_zero_after_the_largest() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append(producer_batch(5, 0, i32::MAX - 1, 2), 0);
    rig.append(producer_batch(5, 0, 0, 1), 0);
    let mut rig = Rig::new(LogConfig::default());
    rig.append(producer_batch(5, 0, i32::MAX - 1, 4), 0);
    let again = rig.append(producer_batch(5, 0, i32::MAX - 1, 4), 0);
    assert_eq!(again.duplicate_of, Some((0, 3)));
    rig.append(producer_batch(5, 0, 2, 1), 0);
}

#[test]
fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append(producer_batch(5, 0, 0, 3), 0);
    let error = refused(&mut rig, 5, 1, 3);
    assert!(matches!(error, AppendError::OutOfOrderSequence { expected: 0, got: 3, .. }), "{error}");
    rig.append(producer_batch(5, 1, 0, 1), 0);
    assert_eq!(refused(&mut rig, 5, 0, 3).error_code(), ErrorCode::InvalidProducerEpoch);
    // The old epoch's first batch is no repeat of the new epoch's.
    assert_eq!(rig.append(producer_batch(5, 1, 0, 1), 0).duplicate_of, Some((3, 3)));
}

#[test]
fn an_unknown_producer_may_start_anywhere() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append(producer_batch(9, 4, 100, 2), 0);
    rig.append(producer_batch(9, 4, 102, 2), 0);
}

/// The last five batches of each producer must be known again however the log was closed: a client may have had them all in
/// flight, and repeats all of them. Found by the simulator (seed 85).
fn check_after(mut reopen: impl FnMut(&mut Rig)) {
    let mut rig = Rig::new(small_segments());
    for i in 0..12 {
        for id in 1..=3 {
            rig.append(producer_batch(id, 0, 2 * i, 2), 0);
        }
    }
    assert!(rig.log.segment_count() > 2);
    let end = rig.log.log_end_offset();
    reopen(&mut rig);
    assert_eq!((rig.log.log_end_offset(), rig.log.producer_count()), (end, 3));
    for id in 1..=3 {
        for back in 0..5 {
            let info = rig.append(producer_batch(id, 0, 22 - 2 * back, 2), 0);
            let original = end - 8 + 2 * id - 6 * i64::from(back);
            assert_eq!(info.duplicate_of, Some((original, original + 1)), "producer {id}, {back} back");
        }
        assert_eq!(refused(&mut rig, id, 0, 25).error_code(), ErrorCode::OutOfOrderSequenceNumber);
    }
    for id in 1..=3 {
        rig.append(producer_batch(id, 0, 24, 1), 0);
    }
}

#[test]
fn producers_are_known_after_a_clean_stop() {
    check_after(|rig| {
        rig.restart();
    });
}

#[test]
fn producers_are_known_after_a_kill() {
    check_after(|rig| {
        rig.fs.kill();
        rig.open_again(false, 0);
    });
}

#[test]
fn producers_are_rebuilt_when_every_snapshot_is_gone_or_broken() {
    check_after(|rig| {
        rig.log.close(NOW).expect("closed");
        let snapshots = rig.file_names(".snapshot");
        assert!(snapshots.len() > 2);
        for (i, name) in snapshots.iter().enumerate() {
            let mut content = rig.content(name);
            match i % 3 {
                0 => content.truncate(20),
                1 => content[12] ^= 1,
                _ => content.clear(),
            }
            rig.replace(name, &content);
        }
        rig.open_again(true, rig.log.recovery_point());
    });
}

#[test]
fn a_truncation_takes_producers_back_to_where_they_were() {
    let mut rig = Rig::new(small_segments());
    for i in 0..12 {
        rig.append(producer_batch(1, 0, 2 * i, 2), 0);
    }
    rig.append(producer_batch(2, 0, 0, 1), 0);
    for target in [20, 10, 4] {
        rig.log.truncate_to(target).expect("truncated");
        assert_eq!(rig.log.producer_count(), 1, "producer 2 wrote only what was cut");
        let last = target as i32 - 2;
        assert_eq!(rig.append(producer_batch(1, 0, last, 2), 0).duplicate_of, Some((target - 2, target - 1)));
        assert!(matches!(
            refused(&mut rig, 1, 0, last + 4),
            AppendError::OutOfOrderSequence { expected, .. } if expected == last + 2
        ));
    }
    rig.append(producer_batch(1, 0, 4, 2), 0);
}

#[test]
fn followers_learn_producers_and_continue_as_leaders() {
    let mut leader = Rig::new(LogConfig::default());
    let mut follower = Rig::new(LogConfig::default());
    for i in 0..5 {
        let info = leader.append(producer_batch(7, 0, i, 1), 0);
        follower.log.append_as_follower(info.bytes, NOW).expect("copied");
    }
    assert_eq!(follower.append(producer_batch(7, 0, 2, 1), 1).duplicate_of, Some((2, 2)));
    follower.append(producer_batch(7, 0, 5, 1), 1);
}

#[test]
fn idle_producers_expire_but_not_within_a_transaction() {
    let config = LogConfig { producer_id_expiration_ms: 1_000, ..LogConfig::default() };
    let mut rig = Rig::new(config);
    rig.append(producer_batch(1, 0, 0, 1), 0);
    rig.append(transactional_batch(2, 0), 0);
    rig.log.expire_producers(WallTime(NOW.0 + 999));
    assert_eq!(rig.log.producer_count(), 2);
    rig.log.expire_producers(WallTime(NOW.0 + 1_000));
    assert_eq!(rig.log.producer_count(), 1);
    let marker = end_transaction_marker(ProducerId(2), ProducerEpoch(0), true, 0, NOW.0);
    rig.append(marker, 0);
    rig.log.expire_producers(WallTime(NOW.0 + 2_000));
    assert_eq!(rig.log.producer_count(), 0);
}

#[test]
fn a_flood_of_producers_stays_within_the_cap() {
    let config = LogConfig { max_producer_ids: 32, ..LogConfig::default() };
    let mut rig = Rig::new(config);
    for id in 0..200 {
        let at = WallTime(NOW.0 + id);
        rig.log.append_as_leader(producer_batch(id, 0, 0, 1), LeaderEpoch(0), at).expect("appended");
        assert!(rig.log.producer_count() <= 32);
    }
    // The newest are the ones that are remembered.
    assert!(rig.append(producer_batch(199, 0, 0, 1), 0).duplicate_of.is_some());
}

pub fn transactional_batch(id: i64, sequence: i32) -> bytes::Bytes {
    let mut builder = raftsman_records::BatchBuilder::new(raftsman_records::Compression::None)
        .producer(ProducerId(id), ProducerEpoch(0), sequence)
        .transactional(true);
    builder.append(NOW.0, None, Some(b"in a transaction"), &[]);
    builder.build(0, LeaderEpoch(-1))
}

#[test]
fn the_last_stable_offset_waits_for_open_transactions() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(1, 2);
    assert_eq!(rig.log.last_stable_offset(), 2);
    rig.append(transactional_batch(1, 0), 0);
    rig.append(transactional_batch(2, 0), 0);
    rig.append(transactional_batch(1, 1), 0);
    assert_eq!(rig.log.last_stable_offset(), 2);
    rig.restart();
    assert_eq!(rig.log.last_stable_offset(), 2);
    rig.append(end_transaction_marker(ProducerId(1), ProducerEpoch(0), true, 0, NOW.0), 0);
    assert_eq!(rig.log.last_stable_offset(), 3);
    rig.fs.kill();
    rig.open_again(false, 0);
    assert_eq!(rig.log.last_stable_offset(), 3);
    rig.append(end_transaction_marker(ProducerId(2), ProducerEpoch(0), false, 0, NOW.0), 0);
    assert_eq!(rig.log.last_stable_offset(), rig.log.log_end_offset());
    // Cut off the markers: the transactions are open again.
    rig.log.truncate_to(5).expect("truncated");
    assert_eq!(rig.log.last_stable_offset(), 2);
}

#[test]
fn what_is_decided_above_the_high_watermark_is_not_stable() {
    let mut rig = Rig::new(small_segments());
    let marker = |id, commit| end_transaction_marker(ProducerId(id), ProducerEpoch(0), commit, 0, NOW.0);
    rig.append_batches(1, 2);
    rig.append(transactional_batch(1, 0), 0);
    rig.append(transactional_batch(2, 0), 0);
    rig.append(marker(2, false), 0);
    rig.append(marker(1, true), 0);
    rig.append_batches(1, 2);
    let stable = |rig: &Rig| -> Vec<_> { (0..=8).map(|offset| rig.log.last_stable_offset_below(offset)).collect() };
    let expected = [0, 1, 2, 2, 2, 2, 6, 7, 8];
    assert_eq!(stable(&rig), expected, "either marker may yet be cut off");
    rig.fs.kill();
    rig.open_again(false, 0);
    assert_eq!(stable(&rig), expected, "after a crash");
    rig.log.transactions_replicated(5);
    assert_eq!(stable(&rig)[5..], expected[5..]);
    // One marker is cut off, the other one not; another decides of it then.
    rig.log.truncate_to(5).expect("truncated");
    assert_eq!(rig.log.last_stable_offset_below(5), 2);
    rig.append(marker(1, false), 0);
    assert_eq!((rig.log.last_stable_offset_below(5), rig.log.last_stable_offset_below(6)), (2, 6));
    rig.log.reset_to(9).expect("begun anew");
    assert_eq!(rig.log.last_stable_offset_below(9), 9);
}

/// Recovery finds no producers in an empty log; what is appended then has some.
#[test]
fn a_cut_knows_the_producers_of_a_log_that_was_recovered_empty() {
    let mut rig = Rig::new(LogConfig::default());
    rig.open_again(false, 0);
    rig.append(producer_batch(5, 0, 0, 2), 0);
    rig.append(producer_batch(5, 0, 2, 2), 0);
    assert_eq!(rig.log.truncate_to(2).expect("cut"), 2);
    assert_eq!(rig.append(producer_batch(5, 0, 0, 2), 0).duplicate_of, Some((0, 1)), "it is still there");
    assert_eq!(refused(&mut rig, 5, 0, 4).error_code(), ErrorCode::OutOfOrderSequenceNumber);
}

/// What a replica knows of producers whose batches were deleted goes over to one that begins behind them, and stays there.
#[test]
fn producers_of_deleted_records_are_handed_over() {
    let mut leader = Rig::new(LogConfig::default());
    leader.append(producer_batch(5, 0, 0, 2), 0);
    leader.append(producer_batch(6, 0, 0, 2), 0);
    leader.append(producer_batch(6, 0, 2, 2), 0);
    let snapshot = leader.log.producers_below(4);
    let mut follower = Rig::new(LogConfig::default());
    follower.log.reset_to(4).expect("reset");
    // One of another offset, or of nothing, changes nothing.
    follower.log.adopt_producers(&leader.log.producers_below(2)).expect("passed over");
    follower.log.adopt_producers(b"").expect("passed over");
    assert_eq!(follower.log.producer_count(), 0);
    follower.log.adopt_producers(&snapshot).expect("adopted");
    for _ in 0..2 {
        assert_eq!(follower.append(producer_batch(5, 0, 0, 2), 0).duplicate_of, Some((0, 1)));
        assert_eq!(follower.append(producer_batch(6, 0, 0, 2), 0).duplicate_of, Some((2, 3)));
        assert_eq!(refused(&mut follower, 6, 0, 4).error_code(), ErrorCode::OutOfOrderSequenceNumber);
        follower.open_again(false, 4);
    }
    follower.append(producer_batch(6, 0, 2, 2), 0);
}
