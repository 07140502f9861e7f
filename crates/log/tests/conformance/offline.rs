//! After a failed write a log answers nothing any more until it is opened anew.

use std::io::ErrorKind;

use raftsman_log::fs::{Fault, FaultPlan, FaultTarget};
use raftsman_types::{LeaderEpoch, Offset};

use super::rig::{NOW, Rig, batch, small_segments, stored_batch};

#[test]
fn every_call_gives_the_first_error() {
    let mut rig = Rig::new(small_segments());
    rig.append_batches(3, 2);
    let fault = Fault::Error(ErrorKind::PermissionDenied);
    rig.fs.inject(FaultPlan { target: FaultTarget::Write, skip: 0, fault });
    let first = rig.log.append_as_leader(batch(1, 0), LeaderEpoch(0), NOW).expect_err("refused").to_string();
    let log = &mut rig.log;
    let later = [
        log.append_as_leader(batch(1, 0), LeaderEpoch(0), NOW).expect_err("offline").to_string(),
        log.append_as_follower(stored_batch(1, 6, 0), NOW).expect_err("offline").to_string(),
        log.read(0, 100, Offset::MAX, true).expect_err("offline").to_string(),
        log.truncate_to(2).expect_err("offline").to_string(),
        log.reset_to(0).expect_err("offline").to_string(),
        log.assign_epoch_start(LeaderEpoch(1), 6).expect_err("offline").to_string(),
        log.advance_log_start_offset(2, NOW).expect_err("offline").to_string(),
        log.delete_old_segments(6, NOW).expect_err("offline").to_string(),
        log.roll_if_due(NOW).expect_err("offline").to_string(),
        log.flush(NOW).expect_err("offline").to_string(),
        log.close(NOW).expect_err("offline").to_string(),
        log.offset_for_timestamp(0).expect_err("offline").to_string(),
        log.max_timestamp().expect_err("offline").to_string(),
        log.recovery_point_checkpointed(0).expect_err("offline").to_string(),
    ];
    assert!(later.iter().all(|error| *error == first), "{first}: {later:?}");
    assert_eq!(rig.log.log_end_offset(), 6);
    rig.fs.kill();
    rig.open_again(false, 0);
    assert_eq!(rig.all().len(), 3);
}

#[test]
fn a_failing_change_takes_the_log_offline_wherever_it_strikes() {
    type Act = fn(&mut Rig) -> bool;
    let acts: [(&str, Act); 5] = [
        ("truncate", |rig| rig.log.truncate_to(3).is_err()),
        ("reset", |rig| rig.log.reset_to(50).is_err()),
        ("assign", |rig| rig.log.assign_epoch_start(LeaderEpoch(2), 40).is_err()),
        ("advance", |rig| rig.log.advance_log_start_offset(30, NOW).is_err()),
        ("close", |rig| rig.log.close(NOW).is_err()),
    ];
    for (what, act) in acts {
        for skip in 0.. {
            let mut rig = Rig::new(small_segments());
            rig.append_batches(20, 2);
            let fault = Fault::Error(ErrorKind::Other);
            rig.fs.inject(FaultPlan { target: FaultTarget::AnyChange, skip, fault });
            let failed = act(&mut rig);
            assert_eq!(failed, rig.log.offline_error().is_some(), "{what} with a fault after {skip}");
            if !failed {
                assert!(skip > 0, "{what} should touch the disk");
                break;
            }
            rig.fs.kill();
            rig.open_again(false, 0);
            rig.append(batch(1, 1), 2);
        }
    }
}

#[test]
fn refused_batches_do_not_take_it_offline() {
    let mut rig = Rig::new(raftsman_log::LogConfig { max_message_bytes: 200, ..small_segments() });
    let error = rig.log.append_as_leader(batch(20, 0), LeaderEpoch(0), NOW).expect_err("too large");
    assert_eq!(error.error_code(), raftsman_types::ErrorCode::MessageTooLarge);
    let many = bytes::Bytes::from((0..8).map(|i| batch(1, i)).collect::<Vec<_>>().concat());
    let error = rig.log.append_as_leader(many, LeaderEpoch(0), NOW).expect_err("too large");
    assert_eq!(error.error_code(), raftsman_types::ErrorCode::RecordListTooLarge);
    assert!(rig.log.offline_error().is_none());
    rig.append_batches(1, 1);
}
