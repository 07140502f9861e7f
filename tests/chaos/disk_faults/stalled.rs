use raftsman_testkit::disk_faults::{DiskCall, DiskFault, DiskPlace};
use raftsman_testkit::wait_until_some;

use super::rig::{PATIENCE, Rig};

#[test]
fn a_leader_whose_flushes_stall_is_relieved_and_comes_back() {
    let rig = Rig::start(|_| {});
    let leader = rig.leader(0);
    rig.disk(leader).break_down(DiskFault::Stalled(DiskCall::Flush, DiskPlace::Logs));
    rig.wait_until_relieved(leader);
    rig.wait_for_acks();
    assert!(rig.disk(leader).hits() > 0);

    rig.disk(leader).repair();
    rig.wait_until_in_sync();
    rig.wait_for_acks();
    println!("a stalled leader: a partition waited for {:?} at the most", rig.finish());
}

/// The write holds a thread that serves clients: it is not waited for, either.
#[test]
fn a_leader_whose_writes_stall_is_relieved_and_its_other_clients_are_served() {
    let mut rig = Rig::start(|_| {});
    let leader = rig.leader(0);
    rig.disk(leader).break_down(DiskFault::Stalled(DiskCall::Write, DiskPlace::Logs));
    rig.wait_until_relieved(leader);
    rig.wait_for_acks();
    assert!(rig.disk(leader).hits() > 0);
    rig.wait_until_served(leader);
    rig.cluster.node(leader).wait_until_said("stands still", PATIENCE);

    rig.disk(leader).repair();
    rig.wait_until_in_sync();
    rig.wait_for_acks();
    println!("stalled writes: a partition waited for {:?} at the most", rig.finish());
}

#[test]
fn a_stalled_disk_of_controller_and_leader_holds_nobody_up() {
    let rig = Rig::start(|_| {});
    let controller = active_controller(&rig);
    rig.disk(controller).break_down(DiskFault::Stalled(DiskCall::Flush, DiskPlace::Everywhere));
    rig.wait_until_relieved(controller);
    rig.wait_for_acks();
    let took = rig.create_topic("made-meanwhile");
    assert_ne!(active_controller(&rig), controller);

    rig.disk(controller).repair();
    rig.wait_until_in_sync();
    rig.wait_for_acks();
    println!("a stalled node: a topic took {took:?}; a partition waited for {:?} at the most", rig.finish());
}

#[test]
fn a_stalled_store_of_the_active_controller_does_not_hold_the_quorum_up() {
    let rig = Rig::start(|_| {});
    let controller = active_controller(&rig);
    rig.disk(controller).break_down(DiskFault::Stalled(DiskCall::Flush, DiskPlace::Metadata));
    let took = rig.create_topic("made-meanwhile");
    rig.wait_for_acks();
    assert_ne!(active_controller(&rig), controller);

    rig.disk(controller).repair();
    rig.create_topic("made-afterwards");
    rig.wait_until_in_sync();
    rig.wait_for_acks();
    println!("a stalled controller: a topic took {took:?}; a partition waited for {:?} at the most", rig.finish());
}

fn active_controller(rig: &Rig) -> i32 {
    wait_until_some("an active controller", PATIENCE, || rig.cluster.tools().active_controller().ok())
}
