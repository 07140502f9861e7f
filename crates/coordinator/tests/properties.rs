//! Whatever clients send and the log does: the records add up to the state, and everyone is answered once.

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use harness::script::Line;
use harness::{Answer, Bench, Seen};
use proptest::prelude::*;
use raftsman_coordinator::{CoordinatorConfig, DeletedTopic, Record, Reply, RequestId};
use raftsman_types::{ErrorCode, Uuid};

/// What may happen. Members, generations and groups are few, so that they meet.
#[derive(Debug, Clone)]
enum Step {
    Ask { line: String, version: i16 },
    Pass { ms: u64 },
    Hold(bool),
    RefuseNext(ErrorCode),
    TopicDeleted(&'static str),
    Reload,
}

fn member() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        8 => (1..7_u8).prop_map(|n| format!(" member=c~{n}")),
        2 => (1..7_u8).prop_map(|n| format!(" member=i~{n} instance=i")),
        1 => Just(" instance=i".to_owned()),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let group = prop_oneof![3 => Just("g"), 1 => Just("h")];
    let generation = 0..5_i32;
    let verb = prop_oneof![
        4 => prop_oneof![Just("join protocols=range:A"), Just("join protocols=range:A,sticky:B"), Just("join protocols=range:Z")],
        4 => prop_oneof![Just("sync assign=c~1:x,c~2:y,i~1:z"), Just("sync assign=c~2:y")],
        2 => Just("heartbeat"),
        2 => prop_oneof![Just("leave"), Just("leave members=c~1,c~2"), Just("leave members=-:i")],
        3 => prop_oneof![Just("commit offsets=t-0:1,t-1:2"), Just("commit offsets=u-0:3 retention=60000")],
        1 => Just("fetch"),
        1 => prop_oneof![Just("describe"), Just("list"), Just("delete")],
    ];
    (group, verb, member(), generation).prop_map(|(group, verb, member, generation)| {
        let (verb, settings) = verb.split_once(' ').unwrap_or((verb, ""));
        let generation = if verb == "commit" && generation == 0 { -1 } else { generation };
        format!("{verb} {group} {settings}{member} generation={generation}")
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (line(), 3..6_i16).prop_map(|(line, version)| Step::Ask { line, version }),
        4 => prop_oneof![Just(10), Just(3_000), Just(11_000), Just(700_000_000)].prop_map(|ms| Step::Pass { ms }),
        2 => any::<bool>().prop_map(Step::Hold),
        1 => prop_oneof![Just(ErrorCode::NotCoordinator), Just(ErrorCode::CoordinatorNotAvailable)].prop_map(Step::RefuseNext),
        1 => prop_oneof![Just("t"), Just("u")].prop_map(Step::TopicDeleted),
        1 => Just(Step::Reload),
    ]
}

/// Who asked and was answered, and who led which generation.
#[derive(Default)]
struct Witness {
    open: BTreeSet<RequestId>,
    leaders: BTreeMap<(Life, i32), String>,
    asked_in: BTreeMap<RequestId, Life>,
    deaths: BTreeMap<String, usize>,
}

/// A group, and how often it has died. Generations may come again after it was deleted, or in a coordinator that never
/// read of them.
type Life = (String, usize);

impl Witness {
    fn ask(&mut self, id: RequestId, group: &str) {
        let deaths = self.deaths.entry(group.to_owned()).or_default();
        self.asked_in.insert(id, (group.to_owned(), *deaths));
        self.open.insert(id);
    }

    fn everyone_died(&mut self) {
        self.deaths.values_mut().for_each(|deaths| *deaths += 1);
    }

    fn take(&mut self, seen: &[Seen]) {
        for seen in seen {
            match seen {
                Seen::Answered(id, answer) => {
                    assert!(self.open.remove(id), "{id:?} was answered twice, or never asked");
                    self.check_leader(*id, answer);
                }
                Seen::Wrote(Record::Group { group, value: None }) => {
                    *self.deaths.entry(group.to_string()).or_default() += 1
                }
                Seen::Reloaded => self.everyone_died(),
                Seen::Wrote(_) | Seen::NotWritten(_) => {}
            }
        }
    }

    fn check_leader(&mut self, id: RequestId, answer: &Answer) {
        let Answer::Reply(reply) = answer else { return };
        let Reply::JoinGroup(join) = &**reply else { return };
        if join.error_code == 0 && !join.members.is_empty() && !join.skip_assignment {
            let generation = (self.asked_in[&id].clone(), join.generation_id);
            let leader = self.leaders.entry(generation.clone()).or_insert_with(|| join.leader.to_string());
            assert_eq!(*leader, *join.leader, "two leaders in {generation:?}");
        }
    }
}

fn run(bench: &mut Bench, witness: &mut Witness, step: &Step) {
    let seen = match step {
        Step::Ask { line, version } => {
            let parsed = Line::parse(line);
            let request = parsed.request().expect("every line is a request");
            // The request's id is only known with its answer: it is open from before.
            let id = RequestId(bench.next_request());
            witness.ask(id, &parsed.subject);
            bench.ask(*version, "c", &request).1
        }
        Step::Pass { ms } => bench.pass_to(bench.now_ms() + ms).into_iter().flat_map(|(_, seen)| seen).collect(),
        Step::Hold(hold) => {
            bench.commits = !hold;
            if *hold { Vec::new() } else { bench.commit() }
        }
        Step::RefuseNext(error) => {
            bench.refuse_next = Some(*error);
            Vec::new()
        }
        Step::TopicDeleted(name) => bench.delete_topics(&[DeletedTopic { name: (*name).into(), id: Uuid::ZERO }]),
        Step::Reload => {
            let seen = bench.abandon(ErrorCode::NotCoordinator);
            bench.reload();
            witness.everyone_died();
            seen
        }
    };
    witness.take(&seen);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_adds_up_to_the_state_and_everyone_is_answered_once(steps in prop::collection::vec(step(), 1..120)) {
        let mut bench = Bench::new(CoordinatorConfig {
            initial_rebalance_delay: Duration::from_secs(1),
            max_size: 4,
            ..CoordinatorConfig::default()
        });
        let mut witness = Witness::default();
        for step in &steps {
            run(&mut bench, &mut witness, step);
            prop_assert_eq!(&bench.replayed(), bench.shard.state(), "after {:?}", step);
        }
        witness.take(&bench.abandon(ErrorCode::NotCoordinator));
        prop_assert!(witness.open.is_empty(), "never answered: {:?}", witness.open);
    }
}
