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

#[test]
fn all_nodes_killed_at_once_under_a_group() {
    one("kill-all", "group", 1);
}

#[test]
fn a_leader_that_is_heard_no_more_under_idempotent_producers() {
    one("cut-leader-outgoing", "produce", 1);
}

#[test]
fn a_leader_whose_clock_goes_back_an_hour_under_a_group() {
    one("clock-leader-back", "group", 1);
}

#[test]
fn a_failing_flush_of_the_coordinator_under_a_group() {
    one("failing-flush-coordinator", "group", 1);
}

#[test]
fn a_stalled_store_of_the_controller_under_topic_churn() {
    one("stalled-store", "topics", 1);
}

#[test]
fn a_failing_store_of_the_controller_under_a_group() {
    one("failing-store", "group", 1);
}
