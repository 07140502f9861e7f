//! A few cells of the matrix for every run of the tests.

use raftsman_testkit::skip;

use crate::fault::Fault;
use crate::run::Run;

/// Runs one cell with a fixed seed.
fn one(fault: &str, workload: &'static str, seed: u64) {
    let fault = Fault::named(fault).expect("the fault has a name");
    if let Some(missing) = fault.what_is_missing() {
        return skip(&missing);
    }
    let run = Run { fault, workload, seed };
    if let Err(error) = run.execute() {
        panic!("{}: {error}", run.command());
    }
}

#[test]
fn a_stopped_leader_under_librdkafka() {
    one("stop-leader", "rdkafka", 1);
}

#[test]
fn a_killed_coordinator_under_a_group() {
    one("kill-coordinator", "group", 1);
}

#[test]
fn a_leader_cut_off_its_peers_under_idempotent_producers() {
    one("cut-leader-from-peers", "produce", 1);
}

#[test]
fn a_controller_cut_off_its_peers_under_topic_churn() {
    one("cut-controller-from-peers", "topics", 1);
}
