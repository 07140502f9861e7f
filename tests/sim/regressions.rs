//! Seeds that once found a defect. What a seed leads to changes with the simulator: a test of its own beside the mended code
//! says what was wrong, and these show that the seed runs well.

use raftsman_testkit::simulation::{Scenario, run};

/// Those that were found before there were groups: without them they take the course they took.
fn check(seed: u64) {
    run_well(&Scenario { groups: 0, reshapes: false, living: false, ..before_throttles(seed) });
}

/// What the seed stood for before replication was throttled.
fn before_throttles(seed: u64) -> Scenario {
    Scenario { throttles: false, ..Scenario::from_seed(seed) }
}

fn run_well(scenario: &Scenario) {
    let report = run(scenario, false);
    assert_eq!(report.violation, None, "cargo xtask sim --scenario \"{scenario}\" --trace");
    assert!(report.events > 100, "hardly anything happened: {scenario}");
}

/// A broker that was started since knew only the last batch of each producer, and refused a repetition of the four before it:
/// `producer::snapshot` keeps all that are remembered.
#[test]
fn repeated_batches_are_known_after_a_restart() {
    check(85);
}

/// A follower that came back with all records was not told how far they are committed until the next commit.
#[test]
fn a_follower_without_news_learns_the_watermark() {
    check(19);
    check(38);
}

/// The simulator's own: a commit that a disk failed in the same step as was not seen, and power cuts struck the last replica of
/// two that must be in sync after the other's disk had failed.
#[test]
fn commits_beside_a_failing_disk_are_seen_and_the_last_replica_keeps_its_power() {
    check(410);
    check(2_001_889);
}

/// The simulator's own: what was read of a leader whose disk failed in the same step, and a disk that failed before the
/// replica that had lost power, with what was only written, was back.
#[test]
fn commits_beside_a_failing_disk_are_read_and_disks_wait_for_who_lost_power() {
    check(2_040_187);
    check(2_041_940);
}

/// The simulator's own: a producer went more than the five batches that brokers remember beyond one it had to repeat.
#[test]
fn a_producer_stays_within_what_brokers_remember() {
    check(2_014_321);
}

/// A leader that had been cut off was fenced, came back and served by the metadata it still had: producers were told of gaps
/// (`docs/decisions/2026-11-21-stale-leaders.md`).
#[test]
fn a_leader_that_was_fenced_in_its_absence_does_not_serve_before_it_knows() {
    check(1_000_278);
    check(1_000_467);
    check(1_001_264);
}

/// The simulator's own: what was committed beside a failing disk went unread, for its topic was deleted before the leader came back.
#[test]
fn what_nobody_could_read_before_its_topic_was_deleted_is_not_missed() {
    run_well(&Scenario { living: false, ..before_throttles(3_001_181) });
}

/// The simulator's own: the leader of a group shared out a topic that its last metadata, from a broker that lagged, did not have, and
/// never looked again.
#[test]
fn the_leader_of_a_group_looks_whether_the_topic_is_what_it_shared_out() {
    run_well(&Scenario { living: false, ..before_throttles(2_005_581) });
}

/// A follower that came back kept an old leader's unacknowledged tail where its leader had deleted all records, and what the tail said of
/// producers; the leader takes nothing for agreed now that it cannot compare (`replication::epochs`).
#[test]
fn what_nobody_can_compare_is_not_kept() {
    for seed in [3_100_646, 3_101_722, 3_102_924, 3_103_609] {
        run_well(&before_throttles(seed));
    }
}

/// In a compacted log a follower and its leader knew other beginnings of an epoch, and the follower refused what it was sent, for ever.
#[test]
fn a_follower_of_a_compacted_log_takes_what_its_leader_has() {
    run_well(&before_throttles(3_200_029));
}

/// A replica that copied a compacted log put an epoch's beginning behind the gap: the epoch before it seemed to have what it never
/// had, and a former leader kept its unacknowledged tail.
#[test]
fn an_epoch_begins_in_front_of_a_gap() {
    run_well(&before_throttles(5_009_573));
}

/// A power cut left the file of the leader epochs without its last digit, and it was believed.
#[test]
fn a_torn_file_of_epochs_is_not_believed() {
    run_well(&before_throttles(5_016_058));
}

/// Deleted records were back after a cut above them and a crash: the note of the cut kept the checkpointed log start from being heeded.
#[test]
fn deleted_records_stay_deleted_over_a_cut_and_a_crash() {
    for seed in [3_203_316, 4_005_645] {
        run_well(&before_throttles(seed));
    }
}

/// A replica that began at its leader's log start knew nothing of producers whose batches were deleted, and took a repeated batch for a
/// new one when it led.
#[test]
fn who_begins_behind_deleted_records_knows_their_producers() {
    run_well(&before_throttles(2_000_698));
}

/// What recovery saw of producers in an empty segment was believed after more was appended to it, and a cut forgot them.
#[test]
fn a_cut_knows_the_producers_that_came_after_a_recovery() {
    run_well(&before_throttles(3_500_968));
}

/// A log that was cut within a gap of compaction ended behind the cut.
#[test]
fn a_log_ends_where_it_is_cut() {
    run_well(&before_throttles(2_000_776));
}

/// A broker that lacked replicas which nobody counted on any more asked for another registration for ever.
#[test]
fn who_lacks_replicas_is_registered_anew() {
    for seed in [3_302_073, 3_302_395, 3_302_593] {
        run_well(&before_throttles(seed));
    }
}

/// The simulator's own: disks that failed in the middle of a deletion or a cut, and with `durability=written` a power cut while the
/// other replica's broker was unregistered.
#[test]
fn what_failed_half_way_is_not_read_and_the_unregistered_are_not_counted_on() {
    for seed in [3_100_140, 3_100_517, 3_101_057, 3_404_700] {
        run_well(&before_throttles(seed));
    }
}

/// The simulator's own: with `durability=written` a broker was unregistered before the one that had lost power was back.
#[test]
fn nobody_is_unregistered_before_who_lost_power_is_back() {
    run_well(&Scenario { living: false, ..before_throttles(2_016_317) });
}

/// The simulator's own: with `durability=written` a node lost power while the other replica's broker was about to be unregistered.
#[test]
fn nobody_loses_power_while_the_other_is_about_to_be_unregistered() {
    run_well(&before_throttles(5_045_093));
}

/// What a follower said of a subscription in the frame that brought it was lost at the leader, where acks are taken up first. If it
/// was the last ack, the follower stayed out of the ISR until the next record came.
#[test]
fn an_ack_does_not_overtake_its_subscription() {
    for seed in [5_027_142, 5_035_422, 5_036_244] {
        run_well(&before_throttles(seed));
    }
}

/// A log that was begun anew far ahead when its disk failed showed deleted records again.
#[test]
fn deleted_records_stay_deleted_where_a_log_is_half_begun_anew() {
    run_well(&before_throttles(5_036_470));
}

/// A topic was made while the only log directory of the broker that was to lead it had failed: nobody told the controller, and when
/// the others had gone, too, the partition was nobody's for ever.
#[test]
fn what_cannot_be_made_for_want_of_a_directory_is_led_by_others() {
    run_well(&Scenario::from_seed(7_108_975));
}
