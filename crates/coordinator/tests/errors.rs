//! Each error code of the group APIs and what brings it about, one line each.

mod harness;

use std::time::Duration;

use harness::Bench;
use harness::script::{Line, show};
use raftsman_coordinator::CoordinatorConfig;

/// A group `g` in generation 1 with the static member `i~1`, the dynamic `c~2` leading nothing, and `s` storing offsets.
fn bench() -> Bench {
    let mut bench = Bench::new(CoordinatorConfig {
        initial_rebalance_delay: Duration::from_millis(10),
        max_size: 2,
        offset_metadata_max_bytes: 3,
        ..CoordinatorConfig::default()
    });
    for line in ["join g v=5 instance=i protocols=range:A", "join g v=3 protocols=range:B"] {
        run(&mut bench, line);
    }
    bench.pass_to(1_000);
    for line in
        ["sync g v=3 member=i~1 instance=i assign=i~1:x,c~2:y", "sync g v=3 member=c~2", "commit s offsets=t-0:1"]
    {
        run(&mut bench, line);
    }
    bench
}

/// What the line leads to at once, in one line.
fn run(bench: &mut Bench, line: &str) -> String {
    let parsed = Line::parse(line);
    let request = parsed.request().unwrap_or_else(|| panic!("{line} is no request"));
    let (id, seen) = bench.ask(parsed.number("v", 4), "c", &request);
    let own = seen.iter().map(show).find_map(|text| Some(text.strip_prefix(&format!("#{} ", id.0))?.to_owned()));
    own.unwrap_or_else(|| "waits".to_owned())
}

/// (line, what its answer contains)
const CASES: &[(&str, &str)] = &[
    // INVALID_GROUP_ID: members need a name for their group; offsets may be stored without.
    ("join session=10000 protocols=range:A", "INVALID_GROUP_ID"),
    ("heartbeat member=m", "INVALID_GROUP_ID"),
    ("sync member=m", "INVALID_GROUP_ID"),
    ("leave v=2 member=m", "INVALID_GROUP_ID"),
    ("commit offsets=t-0:1", "t-0:NONE"),
    ("fetch", "fetch NONE"),
    // INVALID_SESSION_TIMEOUT
    ("join n session=5999 protocols=range:A", "INVALID_SESSION_TIMEOUT"),
    ("join n session=1800001 protocols=range:A", "INVALID_SESSION_TIMEOUT"),
    // INCONSISTENT_GROUP_PROTOCOL
    ("join n v=3", "INCONSISTENT_GROUP_PROTOCOL"),
    ("join n v=3 type= protocols=range:A", "INCONSISTENT_GROUP_PROTOCOL"),
    ("join g member=c~2 type=connect protocols=range:A", "INCONSISTENT_GROUP_PROTOCOL"),
    ("join g member=c~2 protocols=other:A", "INCONSISTENT_GROUP_PROTOCOL"),
    ("sync g v=5 member=c~2", "INCONSISTENT_GROUP_PROTOCOL"),
    ("sync g v=5 member=c~2 type=connect protocol=range", "INCONSISTENT_GROUP_PROTOCOL"),
    // MEMBER_ID_REQUIRED, from version 4 on and for dynamic members only
    ("join n v=4 protocols=range:A", "MEMBER_ID_REQUIRED"),
    ("join n v=3 protocols=range:A", "waits"),
    ("join n v=5 instance=i protocols=range:A", "waits"),
    // UNKNOWN_MEMBER_ID
    ("join n member=m protocols=range:A", "UNKNOWN_MEMBER_ID"),
    ("join g member=m protocols=range:A", "GROUP_MAX_SIZE_REACHED"),
    ("join g member=c~2 instance=j protocols=range:A", "UNKNOWN_MEMBER_ID"),
    ("sync n member=m", "UNKNOWN_MEMBER_ID"),
    ("sync g member=m", "UNKNOWN_MEMBER_ID"),
    ("heartbeat n member=m", "UNKNOWN_MEMBER_ID"),
    ("heartbeat g member=m", "UNKNOWN_MEMBER_ID"),
    ("leave g v=1 member=m", "UNKNOWN_MEMBER_ID"),
    ("leave g v=3 members=-:j", "UNKNOWN_MEMBER_ID"),
    ("commit g generation=1 member=m offsets=t-0:1", "UNKNOWN_MEMBER_ID"),
    ("commit g offsets=t-0:1", "UNKNOWN_MEMBER_ID"),
    // FENCED_INSTANCE_ID
    ("join g member=i~9 instance=i protocols=range:A", "FENCED_INSTANCE_ID"),
    ("sync g member=i~9 instance=i", "FENCED_INSTANCE_ID"),
    ("heartbeat g member=i~9 instance=i", "FENCED_INSTANCE_ID"),
    ("commit g generation=1 member=i~9 instance=i offsets=t-0:1", "FENCED_INSTANCE_ID"),
    ("leave g v=3 members=i~9:i", "FENCED_INSTANCE_ID"),
    // ILLEGAL_GENERATION
    ("sync g generation=2 member=c~2", "ILLEGAL_GENERATION"),
    ("heartbeat g generation=0 member=c~2", "ILLEGAL_GENERATION"),
    ("commit g generation=2 member=c~2 offsets=t-0:1", "ILLEGAL_GENERATION"),
    ("commit n generation=0 member=m offsets=t-0:1", "ILLEGAL_GENERATION"),
    // GROUP_MAX_SIZE_REACHED
    ("join g v=3 protocols=range:A", "GROUP_MAX_SIZE_REACHED"),
    // OFFSET_METADATA_TOO_LARGE
    ("commit s offsets=t-0:1 metadata=1234", "OFFSET_METADATA_TOO_LARGE"),
    ("commit s offsets=t-0:1 metadata=123", "t-0:NONE"),
    // NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND
    ("delete g", "NON_EMPTY_GROUP"),
    ("delete n", "GROUP_ID_NOT_FOUND"),
    ("delete s", "delete NONE"),
    ("describe n v=5", "NONE Dead"),
    ("describe n v=6", "GROUP_ID_NOT_FOUND Dead"),
];

#[test]
fn every_error_has_its_cause() {
    for (line, expected) in CASES {
        let answer = run(&mut bench(), line);
        assert!(answer.contains(expected), "{line}: {answer}, not {expected}");
    }
}

#[test]
fn a_rebalance_is_told_to_everyone_who_asks() {
    let mut bench = bench();
    // The leader starts a rebalance and the other has not joined it yet.
    assert_eq!(run(&mut bench, "join g member=i~1 instance=i protocols=range:A"), "waits");
    for line in ["heartbeat g member=c~2", "sync g member=c~2"] {
        assert!(run(&mut bench, line).contains("REBALANCE_IN_PROGRESS"), "{line}");
    }
    // Offsets may be committed until the member joins again, but not before it has its new assignment.
    assert!(run(&mut bench, "commit g generation=1 member=c~2 offsets=t-0:1").contains("NONE"));
    run(&mut bench, "join g member=c~2 protocols=range:B");
    let commit = "commit g generation=2 member=c~2 offsets=t-0:2";
    assert!(run(&mut bench, commit).contains("REBALANCE_IN_PROGRESS"));
    run(&mut bench, "sync g generation=2 member=i~1 instance=i");
    assert!(run(&mut bench, commit).contains("NONE"));
}
