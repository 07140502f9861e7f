use std::time::Duration;

use raftsman_testkit::disk_faults::{DiskCall, DiskFault, DiskPlace};

use super::rig::Rig;

#[test]
fn a_slow_disk_slows_and_nothing_else() {
    let rig = Rig::start(|_| {});
    let leader = rig.leader(0);
    let delay = Duration::from_millis(50);
    rig.disk(leader).break_down(DiskFault::Slow(DiskCall::Flush, DiskPlace::Everywhere, delay));
    rig.wait_for_acks();
    assert!(rig.disk(leader).hits() > 0);
    assert!(rig.is_in_sync(), "it is slow, not dead");
    assert_eq!(rig.leader(0), leader);
    rig.disk(leader).repair();
    rig.wait_for_acks();
    println!("a slow disk: a partition waited for {:?} at the most", rig.finish());
}
