//! Leader epochs: what replicas compare to find where their logs part.

use raftsman_log::{AppendError, LogConfig, LogError};
use raftsman_types::{LeaderEpoch, Offset};

use super::rig::{NOW, Rig, batch, stored_batch};

fn ask(rig: &Rig, epoch: i32) -> Option<(i32, Offset)> {
    rig.log.end_offset_for(LeaderEpoch(epoch)).map(|(epoch, end)| (epoch.0, end))
}

#[test]
fn a_leader_that_wrote_nothing_is_remembered() {
    let mut rig = Rig::new(LogConfig::default());
    rig.log.assign_epoch_start(LeaderEpoch(0), 0).expect("assigned");
    rig.append_batches(3, 2);
    rig.log.assign_epoch_start(LeaderEpoch(4), 6).expect("assigned");
    // Written down before it returned: a power cut does not undo it, but takes the unflushed batches.
    let written = rig.content("leader-epoch-checkpoint");
    assert_eq!(String::from_utf8_lossy(&written), "0\n2\n0 0\n4 6\n");
    rig.restart();
    assert_eq!((ask(&rig, 0), ask(&rig, 4)), (Some((0, 6)), Some((4, 6))));
    assert_eq!(rig.log.latest_epoch(), Some(LeaderEpoch(4)));
    rig.fs.kill();
    rig.open_again(false, 0);
    assert_eq!(rig.log.latest_epoch(), Some(LeaderEpoch(4)));
}

#[test]
fn epoch_zero_is_known_after_recovery() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append_batches(2, 1);
    rig.fs.kill();
    rig.open_again(false, 0);
    assert_eq!((rig.log.latest_epoch(), ask(&rig, 0)), (Some(LeaderEpoch(0)), Some((0, 2))));
}

#[test]
fn a_truncation_that_cuts_nothing_still_forgets_epochs() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append_batches(2, 1);
    rig.log.assign_epoch_start(LeaderEpoch(3), 2).expect("assigned");
    rig.log.truncate_to(2).expect("truncated");
    assert_eq!(rig.log.latest_epoch(), Some(LeaderEpoch(0)));
    rig.restart();
    assert_eq!(rig.log.latest_epoch(), Some(LeaderEpoch(0)));
}

#[test]
fn stale_leaders_are_refused() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append(batch(1, 0), 5);
    let error = rig.log.append_as_leader(batch(1, 1), LeaderEpoch(4), NOW).expect_err("stale");
    assert!(matches!(error, AppendError::StaleLeaderEpoch { .. }), "{error}");
    let error = rig.log.assign_epoch_start(LeaderEpoch(4), 1).expect_err("stale");
    assert!(matches!(error, LogError::StaleLeaderEpoch { .. }), "{error}");
    let error = rig.log.append_as_follower(stored_batch(1, 1, 4), NOW).expect_err("stale");
    assert!(matches!(error, AppendError::StaleLeaderEpoch { .. }), "{error}");
    let error = rig.log.assign_epoch_start(LeaderEpoch(6), 9).expect_err("not the end");
    assert!(matches!(error, LogError::OffsetOutOfRange { offset: 9, start: 0, end: 1 }), "{error}");
    rig.log.assign_epoch_start(LeaderEpoch(5), 1).expect("the same epoch goes on");
    assert_eq!(rig.all().len(), 1);
}

#[test]
fn the_file_is_rebuilt_when_it_is_lost_or_broken() {
    let contents: [Option<&[u8]>; 6] =
        [None, Some(b""), Some(b"7\n0\n"), Some(b"0\n1\n3 9\n5 2\n"), Some(b"0\n2\n3 9\n5 2\n"), Some(b"0\n1\nx y\n")];
    for content in contents {
        let mut rig = Rig::new(LogConfig::default());
        for epoch in [0, 0, 2, 5] {
            rig.append(batch(2, 0), epoch);
        }
        rig.log.close(NOW).expect("closed");
        match content {
            Some(content) => rig.replace("leader-epoch-checkpoint", content),
            None => {
                let path = std::path::Path::new(super::rig::DIRECTORY).join("leader-epoch-checkpoint");
                raftsman_log::fs::FileSystem::remove_file(&rig.fs, &path).expect("removed");
            }
        }
        rig.open_again(true, 8);
        assert_eq!((ask(&rig, 0), ask(&rig, 3), ask(&rig, 5)), (Some((0, 4)), Some((2, 6)), Some((5, 8))));
    }
}

/// A follower and its leader as KIP-595 has them talk: the follower says its end and its last epoch, the
/// leader answers where that epoch ends with it, the follower cuts and asks again.
fn converge(leader: &Rig, follower: &mut Rig) -> usize {
    for round in 0.. {
        assert!(round < 20, "the loop must end");
        let end = follower.log.log_end_offset();
        let Some(last) = follower.log.latest_epoch().filter(|_| end > follower.log.log_start_offset()) else {
            return round;
        };
        let (epoch, leader_end) = leader.log.end_offset_for(last).expect("the leader knows epochs");
        if epoch == last && leader_end >= end {
            return round;
        }
        let own_end = follower.log.end_offset_for(epoch).map_or(end, |(_, end)| end);
        follower.log.truncate_to(own_end.min(leader_end)).expect("truncated");
    }
    unreachable!()
}

/// The ways two logs can part: (leader's batches per epoch, follower's, offset of the common point).
#[test]
fn diverged_logs_find_their_common_point_whatever_the_shape() {
    type Shape = (&'static [(i32, usize)], &'static [(i32, usize)], Offset);
    let shapes: [Shape; 8] = [
        (&[(1, 5)], &[(1, 5)], 5),
        (&[(1, 5)], &[(1, 3)], 3),
        (&[(1, 5)], &[(1, 8)], 5),
        (&[(1, 5), (3, 4)], &[(1, 5), (2, 4)], 5),
        (&[(1, 5), (3, 4)], &[(1, 7), (2, 4)], 5),
        (&[(1, 7), (3, 4)], &[(1, 5), (2, 4)], 5),
        (&[(1, 5), (2, 4), (5, 9)], &[(1, 5), (3, 1), (4, 7)], 5),
        (&[(2, 5), (5, 9)], &[(1, 5), (3, 1), (4, 7)], 0),
    ];
    for (leader_epochs, follower_epochs, common) in shapes {
        let fill = |epochs: &[(i32, usize)]| {
            let mut rig = Rig::new(super::rig::small_segments());
            for (epoch, count) in epochs {
                for _ in 0..*count {
                    let end = rig.log.log_end_offset();
                    rig.append(batch(1, end * 100 + i64::from(*epoch)), *epoch);
                }
            }
            rig
        };
        let (leader, mut follower) = (fill(leader_epochs), fill(follower_epochs));
        converge(&leader, &mut follower);
        assert_eq!(follower.log.log_end_offset(), common, "{leader_epochs:?} {follower_epochs:?}");
        let copied = leader.log.read(common, 1 << 20, Offset::MAX, true).expect("readable");
        for chunk in copied.chunks {
            follower.log.append_as_follower(chunk, NOW).expect("copied");
        }
        assert_eq!(follower.all(), leader.all());
        assert_eq!(follower.log.latest_epoch(), leader.log.latest_epoch());
    }
}

#[test]
fn a_start_that_moves_up_takes_old_epochs_with_it() {
    let mut rig = Rig::new(LogConfig::default());
    for epoch in [0, 1, 1, 4] {
        rig.append(batch(2, 0), epoch);
    }
    rig.log.advance_log_start_offset(3, NOW).expect("advanced");
    assert_eq!((rig.log.epoch_of(2), rig.log.epoch_of(3)), (None, Some(LeaderEpoch(1))));
    assert_eq!(ask(&rig, 0), Some((0, 3)), "that data is gone; what there is begins at 3");
    assert_eq!(ask(&rig, 1), Some((1, 6)));
}

/// What is not synced may be torn by a power cut, in the middle of a number, too.
#[test]
fn a_torn_file_of_epochs_is_not_believed() {
    let mut rig = Rig::new(LogConfig::default());
    rig.append(batch(12, 0), 0);
    rig.append(batch(1, 1), 1);
    rig.log.flush(NOW).expect("flushed");
    assert_eq!(rig.content("leader-epoch-checkpoint"), b"0\n2\n0 0\n1 12\n");
    rig.replace("leader-epoch-checkpoint", b"0\n2\n0 0\n1 1");
    rig.open_again(false, 0);
    assert_eq!(rig.log.end_offset_for(LeaderEpoch(0)), Some((LeaderEpoch(0), 12)));
    assert_eq!(rig.all().len(), 2);
}
