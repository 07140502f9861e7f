use raftsman_testkit::disk_faults::{DiskCall, DiskFault, DiskPlace};
use raftsman_testkit::power::{self, Shelf};
use raftsman_testkit::skip;
use rustix::io::Errno;

use super::rig::{PATIENCE, Rig};

#[test]
fn a_failing_flush_takes_the_leadership_away_until_the_node_restarts() {
    loses_its_directory(DiskFault::Failing(DiskCall::Flush, DiskPlace::Logs, Errno::IO));
}

#[test]
fn a_failing_write_takes_the_leadership_away_until_the_node_restarts() {
    loses_its_directory(DiskFault::Failing(DiskCall::Write, DiskPlace::Logs, Errno::IO));
}

fn loses_its_directory(fault: DiskFault) {
    let mut rig = Rig::start(|_| {});
    let leader = rig.leader(0);
    rig.disk(leader).break_down(fault);
    rig.wait_until_relieved(leader);
    // A disk that works again proves nothing about what was written before.
    rig.disk(leader).repair();
    rig.wait_for_acks();
    assert!(!rig.is_in_sync(), "the directory is offline until the node restarts");
    // What is made meanwhile is led by others, whoever was to lead it.
    rig.create_topic("made-meanwhile");
    rig.wait_until_leads_nothing_of("made-meanwhile", leader);
    rig.cluster.node(leader).wait_until_said("the log directory is offline", PATIENCE);

    restart(&mut rig, leader);
    rig.wait_until_in_sync();
    rig.wait_for_acks();
    println!("{fault:?}: a partition waited for {:?} at the most", rig.finish());
}

/// A disk that is full in truth, for logs and the controller's store alike: the node fails, its clients go on elsewhere, and
/// with space it starts again.
#[test]
fn a_full_disk_is_no_loss_and_starts_again_once_there_is_space() {
    if !power::power_can_be_cut() {
        return skip("a small file system takes root to mount");
    }
    let shelf = Shelf::new();
    let disk = shelf.disk("small", 64 << 20);
    let node = 1;
    let mut rig = Rig::start(|cluster| {
        cluster.node(node).set("log.dirs", &disk.path().join("data").display().to_string());
    });
    let ballast = disk.path().join("ballast");
    fill(&ballast);
    rig.wait_until_relieved_by_new_topics(node);
    rig.wait_for_acks();

    std::fs::remove_file(&ballast).expect("the ballast can be removed");
    restart(&mut rig, node);
    rig.wait_until_in_sync();
    rig.wait_for_acks();
    println!("a full disk: a partition waited for {:?} at the most", rig.finish());
}

/// Nobody waits for it, though it may lag for an hour.
#[test]
fn a_follower_without_room_leaves_at_once_and_comes_back_by_itself() {
    if !power::power_can_be_cut() {
        return skip("a small file system takes root to mount");
    }
    let shelf = Shelf::new();
    let disk = shelf.disk("small", 64 << 20);
    let small = 1;
    let mut rig = Rig::start(|cluster| {
        for node in &mut cluster.nodes {
            node.set("replica.lag.time.max.ms", "3600000");
            // The disk is looked at as often.
            node.set("replica.high.watermark.checkpoint.interval.ms", "500");
        }
        let node = cluster.node(small);
        let metadata = node.directory().join("metadata").display().to_string();
        node.set("metadata.log.dir", &metadata);
        node.set("log.dirs", &disk.path().join("data").display().to_string());
    });
    let ballast = disk.path().join("ballast");
    fill_but_for(&ballast, 1 << 20);
    rig.wait_until_out_of_isrs(small);
    rig.wait_for_acks();

    std::fs::remove_file(&ballast).expect("the ballast can be removed");
    rig.wait_until_in_sync();
    rig.wait_for_acks();
    assert!(!rig.cluster.node(small).output().contains("is offline"), "nothing failed");
    println!("a follower without room: a partition waited for {:?} at the most", rig.finish());
}

/// Fills the file system of a file by that file, but for so many bytes.
fn fill_but_for(path: &std::path::Path, left_bytes: u64) {
    let file = std::fs::File::create(path).expect("a file can be made");
    let space = rustix::fs::fstatvfs(&file).expect("a file system can be asked");
    let length = space.f_bavail * space.f_frsize - left_bytes;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, length).expect("there is room");
}

/// Writes to a file until there is no space left.
fn fill(path: &std::path::Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).expect("a file can be made");
    let block = vec![b'x'; 64 << 10];
    let error = loop {
        if let Err(error) = file.write_all(&block).and_then(|()| file.sync_data()) {
            break error;
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

fn restart(rig: &mut Rig, node: i32) {
    rig.cluster.node(node).kill();
    rig.cluster.node(node).start();
    rig.cluster.wait_until_listening(PATIENCE);
}
