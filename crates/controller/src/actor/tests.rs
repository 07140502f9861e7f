use raftsman_metadata::{Durability, EntryOutcome, Listener, MetadataRecord};
use raftsman_types::{BrokerEpoch, DirectoryId, ErrorCode, IncarnationId, Uuid};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::decide::{BrokerReference, CreateTopics, NewTopic, RegisterBroker, RequestError};
use crate::heartbeat::{Heartbeat, ProbeResult, SessionEvent, StreamId};

fn at(ms: u64) -> MonotonicTime {
    MonotonicTime::from_millis(ms)
}

/// An actor and a log in which its proposals are applied when the test says so.
struct Bench {
    actor: Actor<StdRng>,
    log: MetadataImage,
    now: u64,
    open: Vec<(ProposalId, MetadataEntry)>,
    replies: Vec<(u64, Result<Reply, NotDecided>, u64)>,
    other: Vec<Effect>,
    next_id: u64,
}

impl Bench {
    fn new() -> Bench {
        let settings = ClusterSettings { min_insync_replicas: Some(1), ..ClusterSettings::default() };
        let config = ActorConfig {
            node_id: BrokerId(1),
            cluster_id: "cluster".into(),
            settings,
            session_timeout: Duration::from_secs(1),
            queue_limit: 8,
        };
        Bench {
            actor: Actor::new(config, StdRng::seed_from_u64(1)),
            log: MetadataImage::default(),
            now: 0,
            open: Vec::new(),
            replies: Vec::new(),
            other: Vec::new(),
            next_id: 0,
        }
    }

    /// Active, in a formed cluster with broker 1.
    fn with_broker() -> Bench {
        let mut bench = Bench::new();
        bench.step(Event::LeadershipGained);
        bench.commit_all();
        let id = bench.ask(register(1));
        bench.commit_all();
        assert!(matches!(bench.reply(id), (Ok(Reply::RegisterBroker(Ok(_))), _)));
        let unfence = Heartbeat {
            sender: bench.reference(1),
            metadata_version: bench.log.version,
            wants_fence: false,
            wants_shutdown: false,
            offline_directories: Vec::new(),
        };
        bench.step(Event::Session(SessionEvent::Heartbeat { stream: StreamId(1), heartbeat: unfence }));
        bench.commit_all();
        assert!(bench.log.is_active(BrokerId(1)));
        bench
    }

    fn reference(&self, broker: i32) -> BrokerReference {
        let broker = BrokerId(broker);
        BrokerReference { broker, broker_epoch: self.log.broker_epoch(broker).unwrap_or(BrokerEpoch::NONE) }
    }

    fn step(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.actor.step(at(self.now), event, &mut effects);
        for effect in effects {
            match effect {
                Effect::Propose { proposal, entry } => self.open.push((proposal, entry)),
                Effect::Reply { id, reply, version } => self.replies.push((id.0, reply, version)),
                other => self.other.push(other),
            }
        }
    }

    fn ask(&mut self, request: Request) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.step(Event::Request { id: RequestId(id), request });
        id
    }

    /// The one reply to a request.
    fn reply(&self, id: u64) -> (Result<Reply, NotDecided>, u64) {
        let found: Vec<_> = self.replies.iter().filter(|(of, _, _)| *of == id).collect();
        assert_eq!(found.len(), 1, "one reply to request {id}: {found:?}");
        (found[0].1.clone(), found[0].2)
    }

    fn has_no_reply(&self, id: u64) -> bool {
        self.replies.iter().all(|(of, _, _)| *of != id)
    }

    /// Appends the oldest open proposal to the log, everywhere but here.
    fn append(&mut self) -> (ProposalId, ProposalOutcome) {
        let (proposal, entry) = self.open.remove(0);
        let outcome = match self.log.replay(&entry) {
            EntryOutcome::Applied => ProposalOutcome::Applied { version: self.log.version },
            EntryOutcome::Stale => ProposalOutcome::Stale,
        };
        (proposal, outcome)
    }

    fn tell_image(&mut self) {
        self.step(Event::ImageAdvanced(self.log.clone()));
    }

    fn commit(&mut self) {
        let (proposal, outcome) = self.append();
        self.tell_image();
        self.step(Event::Proposed { proposal, outcome });
    }

    fn commit_all(&mut self) {
        while !self.open.is_empty() {
            self.commit();
        }
    }

    fn fail(&mut self, outcome: ProposalOutcome) -> MetadataEntry {
        let (proposal, entry) = self.open.remove(0);
        self.step(Event::Proposed { proposal, outcome });
        entry
    }

    /// Another controller becomes active.
    fn activate_other(&mut self) {
        let entry = MetadataEntry { base_version: 0, records: decide::activate(BrokerId(2)) };
        assert_eq!(self.log.replay(&entry), EntryOutcome::Applied);
    }
}

fn register(broker: i32) -> Request {
    Request::RegisterBroker(RegisterBroker {
        broker: BrokerId(broker),
        incarnation: IncarnationId(Uuid([broker as u8; 16])),
        listeners: vec![Listener { name: "L".into(), host: "h".into(), port: 9, security_protocol: 0 }],
        inter_broker_listener: "L".into(),
        rack: None,
        directories: vec![DirectoryId(Uuid([broker as u8; 16]))],
        offline_directories: 0,
        features: Vec::new(),
        boot_id: "boot".into(),
        clean_shutdown_epoch: BrokerEpoch::NONE,
        min_insync_replicas: None,
        damaged: Vec::new(),
        missing: Vec::new(),
        log_durability: Durability::Flushed,
    })
}

fn create(bench: &Bench, name: &str) -> Request {
    let topic = NewTopic {
        name: name.into(),
        partition_count: 1,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    Request::CreateTopics(CreateTopics { sender: bench.reference(1), topics: vec![topic], validate_only: false })
}

fn error_of(reply: &Result<Reply, NotDecided>) -> ErrorCode {
    match reply {
        Ok(Reply::Administer(Ok(results))) => results[0].error,
        other => panic!("not an administrator's reply: {other:?}"),
    }
}

#[test]
fn nothing_is_decided_before_the_activation_is_applied() {
    let mut bench = Bench::new();
    let early = bench.ask(register(1));
    assert_eq!(bench.reply(early).0, Err(NotDecided::NotActive));
    bench.step(Event::LeadershipGained);
    let waiting = bench.ask(register(1));
    assert_eq!(bench.open.len(), 1);
    assert_eq!(bench.open[0].1.records, decide::activate(BrokerId(1)));
    // Applied, but the image told here is older: still nothing.
    let (proposal, outcome) = bench.append();
    bench.step(Event::Proposed { proposal, outcome });
    assert!(bench.open.is_empty() && !bench.actor.is_active());
    bench.tell_image();
    assert!(bench.actor.is_active());
    // The cluster is formed first; the registration is decided on top of that and joins the entry.
    assert_eq!(bench.open.len(), 1);
    assert!(matches!(bench.open[0].1.records[0], MetadataRecord::FormCluster { .. }));
    assert!(bench.has_no_reply(waiting));
    bench.commit_all();
    assert!(matches!(bench.reply(waiting), (Ok(Reply::RegisterBroker(Ok(_))), 2)));
    assert_eq!(bench.log.broker_epoch(BrokerId(1)), Some(BrokerEpoch(2)));
    assert_eq!(bench.log.cluster_id.as_deref(), Some("cluster"));
}

#[test]
fn requests_are_decided_in_turn_and_their_errors_wait_for_what_they_rest_on() {
    let mut bench = Bench::with_broker();
    let first = bench.ask(create(&bench, "a"));
    let again = bench.ask(create(&bench, "a"));
    let other = bench.ask(create(&bench, "b"));
    // One entry is in flight; the error rests on it and waits with it.
    assert_eq!(bench.open.len(), 1);
    assert!(bench.has_no_reply(first) && bench.has_no_reply(again) && bench.has_no_reply(other));
    bench.commit();
    assert_eq!(error_of(&bench.reply(first).0), ErrorCode::None);
    assert_eq!(error_of(&bench.reply(again).0), ErrorCode::TopicAlreadyExists);
    assert!(bench.has_no_reply(other));
    bench.commit();
    assert_eq!(bench.reply(other).1, bench.log.version);
    // With nothing under way an error leaves at once.
    let late = bench.ask(create(&bench, "a"));
    assert_eq!(error_of(&bench.reply(late).0), ErrorCode::TopicAlreadyExists);
}

#[test]
fn what_waits_goes_out_as_one_entry() {
    let mut bench = Bench::with_broker();
    let ids: Vec<u64> = ["a", "b", "c", "d"].map(|name| bench.ask(create(&bench, name))).into();
    bench.commit();
    assert_eq!(bench.open.len(), 1);
    bench.commit();
    assert!(bench.open.is_empty());
    let versions: Vec<u64> = ids.iter().map(|id| bench.reply(*id).1).collect();
    assert_eq!(versions[1..], [versions[0] + 1; 3]);
}

#[test]
fn a_stale_entry_takes_all_that_rests_on_it_along_and_says_a_definite_no() {
    let mut bench = Bench::with_broker();
    let first = bench.ask(create(&bench, "a"));
    let again = bench.ask(create(&bench, "a"));
    // Another controller was active in between: the entry changes nothing.
    bench.activate_other();
    let (proposal, outcome) = bench.append();
    assert_eq!(outcome, ProposalOutcome::Stale);
    bench.step(Event::Proposed { proposal, outcome });
    assert_eq!(bench.reply(first).0, Err(NotDecided::NotActive));
    assert_eq!(bench.reply(again).0, Err(NotDecided::NotActive));
    assert!(!bench.actor.is_active());
    // Raft still lets it lead: it activates itself anew, and decides against the image as it is.
    let waiting = bench.ask(create(&bench, "a"));
    bench.tell_image();
    bench.now = 200;
    bench.step(Event::Tick);
    assert_eq!(bench.open[0].1.records, decide::activate(BrokerId(1)));
    bench.commit_all();
    assert_eq!(error_of(&bench.reply(waiting).0), ErrorCode::None);
}

#[test]
fn leadership_lost_with_replies_parked_leaves_their_outcome_to_the_log() {
    for (applied, expected) in [(true, None), (false, Some(NotDecided::Unknown))] {
        let mut bench = Bench::with_broker();
        let in_flight = bench.ask(create(&bench, "a"));
        let behind = bench.ask(create(&bench, "b"));
        bench.step(Event::LeadershipLost);
        assert!(bench.has_no_reply(in_flight), "nobody knows yet");
        assert_eq!(bench.reply(behind).0, Err(NotDecided::NotActive), "it was never proposed");
        assert!(bench.other.contains(&Effect::Active(false)));
        if applied {
            let (proposal, outcome) = bench.append();
            bench.step(Event::Proposed { proposal, outcome });
        } else {
            bench.fail(ProposalOutcome::Unknown);
        }
        let (reply, _) = bench.reply(in_flight);
        assert_eq!(reply.err(), expected);
    }
}

#[test]
fn after_an_unknown_outcome_it_activates_itself_anew_before_it_decides_again() {
    let mut bench = Bench::with_broker();
    let unknown = bench.ask(create(&bench, "a"));
    let behind = bench.ask(create(&bench, "b"));
    let late_entry = bench.fail(ProposalOutcome::Unknown);
    assert_eq!(bench.reply(unknown).0, Err(NotDecided::Unknown));
    assert_eq!(bench.reply(behind).0, Err(NotDecided::NotActive));
    assert_eq!(bench.open.len(), 1);
    assert_eq!(bench.open[0].1.records, decide::activate(BrokerId(1)));
    bench.commit();
    // Now it would come too late.
    assert_eq!(bench.log.replay(&late_entry), EntryOutcome::Stale);
    let again = bench.ask(create(&bench, "a"));
    bench.commit_all();
    assert_eq!(error_of(&bench.reply(again).0), ErrorCode::None);
}

#[test]
fn an_unknown_entry_that_was_applied_is_seen_after_the_new_activation() {
    let mut bench = Bench::with_broker();
    let unknown = bench.ask(create(&bench, "a"));
    let (proposal, _) = bench.append();
    bench.step(Event::Proposed { proposal, outcome: ProposalOutcome::Unknown });
    assert_eq!(bench.reply(unknown).0, Err(NotDecided::Unknown));
    bench.commit_all();
    let again = bench.ask(create(&bench, "a"));
    bench.commit_all();
    assert_eq!(error_of(&bench.reply(again).0), ErrorCode::TopicAlreadyExists);
}

#[test]
fn a_deposed_controller_that_sees_another_activation_stops_deciding() {
    let mut bench = Bench::with_broker();
    let in_flight = bench.ask(create(&bench, "a"));
    bench.activate_other();
    bench.tell_image();
    assert!(!bench.actor.is_active());
    assert!(bench.has_no_reply(in_flight), "its outcome is open");
    let (proposal, outcome) = bench.append();
    bench.step(Event::Proposed { proposal, outcome });
    assert_eq!(bench.reply(in_flight).0, Err(NotDecided::NotActive), "it was stale");
}

#[test]
fn an_activation_that_raft_refuses_is_tried_again_later_and_not_in_a_loop() {
    let mut bench = Bench::new();
    bench.step(Event::LeadershipGained);
    for outcome in [ProposalOutcome::NotProposed, ProposalOutcome::Unknown] {
        bench.fail(outcome);
        assert!(bench.open.is_empty());
        let due = bench.actor.next_deadline().expect("it still leads");
        bench.now = due.as_millis();
        bench.step(Event::Tick);
        assert_eq!(bench.open.len(), 1);
    }
    bench.fail(ProposalOutcome::NotProposed);
    bench.step(Event::LeadershipLost);
    assert_eq!(bench.actor.next_deadline(), None);
}

#[test]
fn the_queue_has_an_end() {
    let mut bench = Bench::with_broker();
    let ids: Vec<u64> = (0..12).map(|n| bench.ask(create(&bench, &format!("t{n}")))).collect();
    for id in &ids[8..] {
        assert_eq!(bench.reply(*id).0, Err(NotDecided::Overloaded));
    }
    bench.commit_all();
    for id in &ids[..8] {
        assert_eq!(error_of(&bench.reply(*id).0), ErrorCode::None);
    }
}

#[test]
fn a_dead_broker_is_fenced_and_only_once() {
    let mut bench = Bench::with_broker();
    let created = bench.ask(create(&bench, "a"));
    bench.commit_all();
    assert_eq!(error_of(&bench.reply(created).0), ErrorCode::None);
    bench.other.clear();
    bench.step(Event::Session(SessionEvent::StreamBroken { stream: StreamId(1) }));
    let Some(Effect::Probe { probe, .. }) = bench.other.pop() else { panic!("no probe") };
    let result = SessionEvent::ProbeResult { probe, result: ProbeResult::Refused };
    bench.step(Event::Session(result));
    bench.now = 5000;
    bench.step(Event::Tick);
    assert_eq!(bench.open.len(), 1);
    bench.commit_all();
    assert!(!bench.log.is_active(BrokerId(1)));
    let partition = bench.log.topic_by_name("a").and_then(|t| t.partition(0).cloned()).expect("created");
    assert_eq!((partition.leader, partition.elr.as_slice()), (None, &[BrokerId(1)][..]));
}

#[test]
fn a_stale_sender_is_refused_as_a_whole() {
    let mut bench = Bench::with_broker();
    let sender = BrokerReference { broker: BrokerId(1), broker_epoch: BrokerEpoch(0) };
    let id = bench.ask(Request::AllocateProducerIds(sender));
    let (reply, _) = bench.reply(id);
    let Ok(Reply::AllocateProducerIds(Err(RequestError { code, .. }))) = reply else { panic!("{reply:?}") };
    assert_eq!(code, ErrorCode::StaleBrokerEpoch);
}

#[test]
fn a_preferred_replica_leads_again_once_clients_have_had_time_to_dial_it() {
    let mut bench = Bench::with_broker();
    let id = bench.ask(register(2));
    bench.commit_all();
    assert!(bench.reply(id).0.is_ok());
    let beat = |bench: &Bench, broker| Heartbeat {
        sender: bench.reference(broker),
        metadata_version: bench.log.version,
        wants_fence: false,
        wants_shutdown: false,
        offline_directories: Vec::new(),
    };
    let heartbeat = beat(&bench, 2);
    bench.step(Event::Session(SessionEvent::Heartbeat { stream: StreamId(2), heartbeat }));
    bench.commit_all();
    let mut topics = create(&bench, "a");
    if let Request::CreateTopics(create) = &mut topics {
        create.topics[0].partition_count = -1;
        create.topics[0].replication_factor = -1;
        create.topics[0].assignments = vec![(0, vec![BrokerId(2), BrokerId(1)])];
    }
    bench.ask(topics);
    bench.commit_all();
    bench.ask(Request::FenceBroker(bench.reference(2)));
    bench.commit_all();
    let heartbeat = beat(&bench, 2);
    bench.step(Event::Session(SessionEvent::Heartbeat { stream: StreamId(2), heartbeat }));
    bench.commit_all();
    let topic_id = bench.log.topic_by_name("a").expect("created").id;
    let at = raftsman_types::TopicIdPartition { topic_id, partition: 0 };
    let state = bench.log.partition(at).expect("created").clone();
    assert_eq!(state.leader, Some(BrokerId(1)));
    let alter = decide::AlterPartition {
        sender: bench.reference(1),
        partitions: vec![decide::PartitionIsr {
            at,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            new_isr: vec![bench.reference(1), bench.reference(2)],
            recovered: false,
        }],
    };
    bench.ask(Request::AlterPartition(alter));
    bench.commit_all();
    // Nobody else makes anything happen: only the time that passes.
    let back_at = bench.now;
    while bench.now < back_at + 10_500 {
        let early = bench.now < back_at + 9_900;
        let heartbeat = beat(&bench, 1);
        bench.step(Event::Session(SessionEvent::Heartbeat { stream: StreamId(1), heartbeat }));
        let heartbeat = beat(&bench, 2);
        bench.step(Event::Session(SessionEvent::Heartbeat { stream: StreamId(2), heartbeat }));
        bench.now += 100;
        bench.step(Event::Tick);
        bench.commit_all();
        let leader = bench.log.partition(at).and_then(|p| p.leader);
        assert!(!early || leader == Some(BrokerId(1)), "clients that met it dead have not dialled it again");
    }
    assert_eq!(bench.log.partition(at).and_then(|p| p.leader), Some(BrokerId(2)));
}
