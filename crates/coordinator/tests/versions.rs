//! Every answer can be written in every version it is asked in, errors included.

mod harness;

use std::ops::RangeInclusive;
use std::time::Duration;

use harness::Bench;
use harness::script::Line;
use raftsman_coordinator::{CoordinatorConfig, Reply, Request};
use raftsman_protocol::messages::describe_groups::DescribeGroupsResponse;
use raftsman_protocol::messages::list_groups::ListGroupsResponse;
use raftsman_protocol::messages::offset_fetch::OffsetFetchResponse;
use raftsman_protocol::{Message, Reader, Writer};
use raftsman_types::ErrorCode;

/// A stable group `g` of one static member, `i~1`.
fn bench() -> Bench {
    let config = CoordinatorConfig { initial_rebalance_delay: Duration::ZERO, ..CoordinatorConfig::default() };
    let mut bench = Bench::new(config);
    ask(&mut bench, 5, "join g instance=i protocols=range:A");
    ask(&mut bench, 3, "sync g member=i~1 instance=i assign=i~1:x");
    bench
}

fn request(line: &str) -> Request {
    Line::parse(line).request().unwrap_or_else(|| panic!("{line} is no request"))
}

fn ask(bench: &mut Bench, version: i16, line: &str) -> Reply {
    bench.answer(version, "c", &request(line))
}

/// Writes a message in a version and reads it back.
fn round_trip<M: Message + PartialEq + std::fmt::Debug>(message: &M, version: i16, line: &str) {
    let mut w = Writer::new();
    message.encode(&mut w, version).unwrap_or_else(|e| panic!("{line} in version {version}: {e}; {message:?}"));
    let mut r = Reader::new(w.into_bytes());
    M::decode(&mut r, version).unwrap_or_else(|e| panic!("{line} in version {version} cannot be read: {e}"));
    r.expect_end().expect("a message ends where it says");
}

fn check(reply: Reply, version: i16, line: &str) {
    match reply {
        Reply::JoinGroup(response) => round_trip(&response, version, line),
        Reply::SyncGroup(response) => round_trip(&response, version, line),
        Reply::Heartbeat(response) => round_trip(&response, version, line),
        Reply::LeaveGroup(response) => round_trip(&response, version, line),
        Reply::OffsetCommit(response) => round_trip(&response, version, line),
        // Versions with one group only have a form of their own, which the handler makes.
        Reply::OffsetFetch(group) if version >= 8 => {
            round_trip(&OffsetFetchResponse { groups: vec![group], ..Default::default() }, version, line);
        }
        Reply::DescribeGroup(group) => {
            round_trip(&DescribeGroupsResponse { groups: vec![*group], ..Default::default() }, version, line);
        }
        Reply::ListGroups(Ok(groups)) => {
            round_trip(&ListGroupsResponse { groups, ..Default::default() }, version, line);
        }
        Reply::OffsetFetch(_) | Reply::ListGroups(Err(_)) | Reply::DeleteGroup(_) => {}
    }
}

const LINES: &[(&str, RangeInclusive<i16>)] = &[
    ("join n protocols=range:A", 0..=9),
    ("join g member=i~1 instance=i protocols=range:A,sticky:B", 0..=9),
    ("join g instance=i protocols=range:A", 5..=9),
    ("join g member=m protocols=range:A", 0..=9),
    ("sync g member=i~1 instance=i type=consumer protocol=range", 0..=5),
    ("sync g member=m", 0..=5),
    ("heartbeat g member=i~1 instance=i", 0..=4),
    ("heartbeat g member=m", 0..=4),
    ("leave g member=m", 0..=2),
    ("leave n member=m", 0..=2),
    ("leave g members=i~1:i,m", 3..=5),
    ("leave n members=m", 3..=5),
    ("commit g generation=1 member=i~1 instance=i offsets=t-0:1 topic-id=1", 0..=10),
    ("commit g generation=9 member=m offsets=t-0:1", 0..=10),
    ("fetch g topics=t:0", 0..=10),
    ("fetch g", 2..=10),
    ("describe g", 0..=6),
    ("describe n", 0..=6),
    ("list", 0..=5),
];

#[test]
fn every_answer_fits_every_version() {
    for (line, versions) in LINES {
        for version in versions.clone() {
            check(ask(&mut bench(), version, line), version, line);
            check(request(line).refusal(version, ErrorCode::NotCoordinator), version, line);
        }
    }
}
