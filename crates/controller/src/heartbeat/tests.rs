use std::sync::Arc;

use raftsman_metadata::{BrokerRegistration, Durability, Listener, MetadataImage, MetadataRecord, PartitionImage};
use raftsman_types::{IncarnationId, TopicId, Uuid};

use super::*;
use crate::decide::{BrokerReference, Liveness};
use raftsman_metadata::BrokerState;
use raftsman_types::{BrokerEpoch, BrokerId, ErrorCode, MonotonicTime};

const SESSION: Duration = Duration::from_secs(1);

fn at(ms: u64) -> MonotonicTime {
    MonotonicTime::from_millis(ms)
}

fn broker(id: i32, epoch: i64, state: BrokerState) -> Arc<BrokerRegistration> {
    Arc::new(BrokerRegistration {
        id: BrokerId(id),
        broker_epoch: BrokerEpoch(epoch),
        incarnation: IncarnationId::ZERO,
        listeners: vec![Listener { name: "L".into(), host: "h".into(), port: 9000 + id as u16, security_protocol: 0 }],
        inter_broker_listener: "L".into(),
        rack: None,
        directories: Vec::new(),
        offline_directories: Vec::new(),
        state,
        features: Vec::new(),
        boot_id: "".into(),
        log_durability: Durability::Flushed,
    })
}

fn reference(id: i32, epoch: i64) -> BrokerReference {
    BrokerReference { broker: BrokerId(id), broker_epoch: BrokerEpoch(epoch) }
}

/// Sessions of an active controller, with what they wanted so far.
struct Bench {
    sessions: Sessions,
    image: MetadataImage,
}

impl Bench {
    fn new(brokers: &[(i32, i64, BrokerState)]) -> (Bench, Vec<SessionEffect>) {
        let mut image = MetadataImage { version: 50, ..MetadataImage::default() };
        for (id, epoch, state) in brokers {
            image.replay_record(&MetadataRecord::RegisterBroker(broker(*id, *epoch, *state)));
        }
        let mut bench = Bench { sessions: Sessions::new(SESSION), image };
        let mut effects = Vec::new();
        bench.sessions.activate(at(0), &bench.image, &mut effects);
        (bench, effects)
    }

    fn step(&mut self, ms: u64, event: SessionEvent) -> Vec<SessionEffect> {
        let mut effects = Vec::new();
        self.sessions.step(at(ms), &self.image, event, &mut effects);
        effects
    }

    fn tick(&mut self, ms: u64) -> Vec<SessionEffect> {
        let mut effects = Vec::new();
        self.sessions.tick(at(ms), &self.image, &mut effects);
        effects
    }

    fn hear(&mut self, ms: u64, stream: u64, sender: BrokerReference) -> Vec<SessionEffect> {
        self.hear_with(ms, stream, Heartbeat { metadata_version: 50, ..heartbeat(sender) })
    }

    fn hear_with(&mut self, ms: u64, stream: u64, heartbeat: Heartbeat) -> Vec<SessionEffect> {
        self.step(ms, SessionEvent::Heartbeat { stream: StreamId(stream), heartbeat })
    }

    fn broken(&mut self, ms: u64, stream: u64) -> Vec<SessionEffect> {
        self.step(ms, SessionEvent::StreamBroken { stream: StreamId(stream) })
    }

    fn probed(&mut self, ms: u64, probe: ProbeId, result: ProbeResult) -> Vec<SessionEffect> {
        self.step(ms, SessionEvent::ProbeResult { probe, result })
    }
}

fn heartbeat(sender: BrokerReference) -> Heartbeat {
    Heartbeat {
        sender,
        metadata_version: 0,
        wants_fence: false,
        wants_shutdown: false,
        offline_directories: Vec::new(),
    }
}

fn answer(stream: u64, error: ErrorCode, fenced: bool, may_shut_down: bool) -> SessionEffect {
    let reply = HeartbeatReply { error, fenced, may_shut_down };
    SessionEffect::Answer { stream: StreamId(stream), reply }
}

fn only_probe(effects: &[SessionEffect]) -> ProbeId {
    match effects {
        [SessionEffect::Probe { probe, .. }] => *probe,
        other => panic!("expected one probe: {other:?}"),
    }
}

#[test]
fn on_activation_every_broker_that_may_lead_is_dialled_and_the_unreachable_expire() {
    let (mut bench, effects) = Bench::new(&[
        (1, 10, BrokerState::Unfenced),
        (2, 11, BrokerState::Fenced),
        (3, 12, BrokerState::ControlledShutdown),
        (4, 13, BrokerState::Unfenced),
    ]);
    let ports: Vec<u16> =
        effects.iter().map(|e| if let SessionEffect::Probe { port, .. } = e { *port } else { 0 }).collect();
    assert_eq!(ports, [9001, 9003, 9004]);
    assert_eq!(bench.probed(5, ProbeId(0), ProbeResult::Refused), [SessionEffect::Expire(reference(1, 10))]);
    assert_eq!(bench.probed(100, ProbeId(1), ProbeResult::Unanswered), [SessionEffect::Expire(reference(3, 12))]);
    assert_eq!(bench.probed(6, ProbeId(2), ProbeResult::Answered), []);
    // Whoever answers has a full session to be heard, and no longer.
    assert_eq!(bench.sessions.next_deadline(), Some(at(1000)));
    assert_eq!(bench.tick(999), []);
    assert_eq!(bench.tick(1000), [SessionEffect::Expire(reference(4, 13))]);
    assert_eq!(bench.tick(5000), [], "once is enough");
}

#[test]
fn a_broken_stream_alone_is_no_death() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced)]);
    assert_eq!(bench.probed(1, ProbeId(0), ProbeResult::Answered), []);
    assert_eq!(bench.hear(100, 7, reference(1, 10)), [answer(7, ErrorCode::None, false, false)]);
    assert_eq!(bench.sessions.liveness(BrokerId(1)), Liveness::Lives);
    let probe = only_probe(&bench.broken(200, 7));
    assert_eq!(bench.sessions.liveness(BrokerId(1)), Liveness::Unheard);
    assert_eq!(bench.probed(210, probe, ProbeResult::Answered), []);
    // It comes back on another stream; its old one, breaking late, means nothing.
    bench.hear(220, 8, reference(1, 10));
    assert_eq!(bench.broken(230, 7), []);
    assert_eq!(bench.tick(1219), []);
    assert_eq!(bench.tick(1220), [SessionEffect::Expire(reference(1, 10))]);
}

#[test]
fn a_broken_stream_and_a_refused_or_unanswered_redial_are() {
    for result in [ProbeResult::Refused, ProbeResult::Unanswered] {
        let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced)]);
        bench.hear(100, 7, reference(1, 10));
        let probe = only_probe(&bench.broken(150, 7));
        assert_eq!(bench.probed(151, probe, result), [SessionEffect::Expire(reference(1, 10))]);
    }
}

#[test]
fn a_probe_is_void_once_the_broker_was_heard_again_or_registered_anew() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced)]);
    bench.hear(100, 7, reference(1, 10));
    let probe = only_probe(&bench.broken(150, 7));
    bench.hear(160, 8, reference(1, 10));
    assert_eq!(bench.probed(250, probe, ProbeResult::Unanswered), []);

    let probe = only_probe(&bench.broken(300, 8));
    bench.image.replay_record(&MetadataRecord::RegisterBroker(broker(1, 60, BrokerState::Unfenced)));
    assert_eq!(bench.probed(310, probe, ProbeResult::Refused), []);
}

#[test]
fn a_peers_report_only_makes_this_controller_look_for_itself() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced)]);
    bench.probed(1, ProbeId(0), ProbeResult::Answered);
    bench.hear(100, 7, reference(1, 10));
    let report = SessionEvent::PeerReport { unreachable: BrokerId(1) };
    let probe = only_probe(&bench.step(150, report.clone()));
    assert_eq!(bench.step(151, report.clone()), [], "one probe at a time");
    // Unanswered, but its stream stands and spoke just now: look again.
    let probe = only_probe(&bench.probed(250, probe, ProbeResult::Unanswered));
    bench.hear(260, 7, reference(1, 10));
    assert_eq!(bench.probed(350, probe, ProbeResult::Unanswered), []);
    // It went silent, and a dial is refused.
    let probe = only_probe(&bench.step(400, report));
    assert_eq!(bench.probed(401, probe, ProbeResult::Refused), [SessionEffect::Expire(reference(1, 10))]);
}

#[test]
fn a_stopped_process_is_noticed_by_its_silence_and_may_come_back() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced)]);
    bench.probed(1, ProbeId(0), ProbeResult::Answered);
    bench.hear(100, 7, reference(1, 10));
    assert_eq!(bench.tick(1100), [SessionEffect::Expire(reference(1, 10))]);
    bench.image.replay_record(&MetadataRecord::FenceBroker { broker: BrokerId(1), broker_epoch: BrokerEpoch(10) });
    assert_eq!(bench.tick(9000), []);
    assert_eq!(bench.sessions.next_deadline(), None);
    assert_eq!(
        bench.hear(9001, 7, reference(1, 10)),
        [SessionEffect::Unfence(reference(1, 10)), answer(7, ErrorCode::None, true, false)]
    );
}

#[test]
fn a_broker_is_unfenced_once_it_has_caught_up_and_wants_to() {
    let (mut bench, _) = Bench::new(&[(1, 49, BrokerState::Fenced)]);
    let fenced = || answer(7, ErrorCode::None, true, false);
    let beat =
        |metadata_version, wants_fence| Heartbeat { metadata_version, wants_fence, ..heartbeat(reference(1, 49)) };
    assert_eq!(bench.hear_with(1, 7, beat(50, true)), [fenced()]);
    assert_eq!(bench.hear_with(2, 7, beat(49, false)), [fenced()]);
    // What is decided from now on it may learn later.
    bench.image.version = 60;
    assert_eq!(bench.hear_with(3, 7, beat(50, false)), [SessionEffect::Unfence(reference(1, 49)), fenced()]);
}

#[test]
fn a_broker_that_was_fenced_in_its_absence_has_to_know_that_first() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced)]);
    bench.hear(100, 7, reference(1, 10));
    assert_eq!(bench.tick(1100), [SessionEffect::Expire(reference(1, 10))]);
    bench.image.replay_record(&MetadataRecord::FenceBroker { broker: BrokerId(1), broker_epoch: BrokerEpoch(10) });
    bench.image.version = 51;
    // It is back, and believes to lead what it led; others do by now.
    assert_eq!(bench.hear(2000, 7, reference(1, 10)), [answer(7, ErrorCode::None, true, false)]);
    let knows = Heartbeat { metadata_version: 51, ..heartbeat(reference(1, 10)) };
    let unfence = SessionEffect::Unfence(reference(1, 10));
    assert_eq!(bench.hear_with(2001, 7, knows), [unfence, answer(7, ErrorCode::None, true, false)]);
}

#[test]
fn a_broker_that_serves_may_ask_to_be_relieved() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced)]);
    let wish = Heartbeat { wants_fence: true, ..heartbeat(reference(1, 10)) };
    let unfenced = answer(7, ErrorCode::None, false, false);
    assert_eq!(bench.hear_with(1, 7, wish), [SessionEffect::StandAside(reference(1, 10)), unfenced]);
}

#[test]
fn an_older_registration_is_told_to_register_again() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced)]);
    assert_eq!(bench.hear(1, 7, reference(1, 9)), [answer(7, ErrorCode::StaleBrokerEpoch, true, false)]);
    assert_eq!(bench.hear(1, 8, reference(2, 9)), [answer(8, ErrorCode::BrokerIdNotRegistered, true, false)]);
    assert_eq!(bench.sessions.liveness(BrokerId(1)), Liveness::Unheard, "a stale heartbeat keeps nobody alive");
}

#[test]
fn a_new_incarnation_takes_the_session_over() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced)]);
    bench.hear(100, 7, reference(1, 10));
    bench.image.replay_record(&MetadataRecord::RegisterBroker(broker(1, 60, BrokerState::Unfenced)));
    let effects = bench.hear(110, 8, reference(1, 60));
    let close = SessionEffect::Close { stream: StreamId(7) };
    assert_eq!(effects, [close, answer(8, ErrorCode::None, false, false)]);
    assert_eq!(bench.broken(120, 7), []);
    assert_eq!(bench.sessions.liveness(BrokerId(1)), Liveness::Lives);
}

#[test]
fn a_stopping_broker_may_go_when_it_leads_nothing_and_the_others_know() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced), (2, 11, BrokerState::Unfenced)]);
    let topic_id = TopicId(Uuid([1; 16]));
    let state = |leader: i32| PartitionImage {
        replicas: vec![BrokerId(1), BrokerId(2)],
        directories: vec![Default::default(); 2],
        isr: vec![BrokerId(leader)],
        leader: Some(BrokerId(leader)),
        ..PartitionImage::default()
    };
    let put = |image: &mut MetadataImage, leader| {
        image.replay_record(&MetadataRecord::DeleteTopic { topic_id });
        image.replay_record(&MetadataRecord::CreateTopic { name: "t".into(), topic_id });
        let state = Arc::new(state(leader));
        image.replay_record(&MetadataRecord::CreatePartition { topic_id, partition: 0, state });
    };
    put(&mut bench.image, 1);
    let stop = || Heartbeat { wants_shutdown: true, metadata_version: 50, ..heartbeat(reference(1, 10)) };
    bench.hear(1, 8, reference(2, 11));
    let wants = bench.hear_with(2, 7, stop());
    assert_eq!(wants, [SessionEffect::StartShutdown(reference(1, 10)), answer(7, ErrorCode::None, false, false)]);
    bench
        .image
        .replay_record(&MetadataRecord::StartControlledShutdown { broker: BrokerId(1), broker_epoch: BrokerEpoch(10) });
    assert_eq!(bench.hear_with(3, 7, stop()), [answer(7, ErrorCode::None, false, false)], "it leads still");
    put(&mut bench.image, 2);
    bench.image.version = 51;
    assert_eq!(bench.hear_with(4, 7, stop()), [answer(7, ErrorCode::None, false, false)], "2 does not know yet");
    bench.hear_with(5, 8, Heartbeat { metadata_version: 51, ..heartbeat(reference(2, 11)) });
    assert_eq!(bench.hear_with(6, 7, stop()), [answer(7, ErrorCode::None, false, true)]);
}

#[test]
fn offline_directories_are_told_once() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced)]);
    let directory = raftsman_types::DirectoryId(Uuid([9; 16]));
    let beat = || Heartbeat { offline_directories: vec![directory], ..heartbeat(reference(1, 10)) };
    assert_eq!(
        bench.hear_with(1, 7, beat()),
        [
            SessionEffect::DirectoriesOffline(reference(1, 10), vec![directory]),
            answer(7, ErrorCode::None, false, false)
        ]
    );
    assert_eq!(bench.hear_with(2, 7, beat()), [answer(7, ErrorCode::None, false, false)]);
}

#[test]
fn a_controller_that_is_not_active_closes_streams() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced)]);
    bench.hear(1, 7, reference(1, 10));
    let mut effects = Vec::new();
    bench.sessions.deactivate(&mut effects);
    assert_eq!(effects, [SessionEffect::Close { stream: StreamId(7) }]);
    assert_eq!(bench.hear(2, 8, reference(1, 10)), [SessionEffect::Close { stream: StreamId(8) }]);
    assert_eq!(bench.tick(9000), []);
    assert_eq!(bench.sessions.next_deadline(), None);
}

#[test]
fn activated_anew_it_keeps_the_streams_that_stand() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced), (2, 11, BrokerState::Unfenced)]);
    bench.hear(900, 7, reference(1, 10));
    let mut effects = Vec::new();
    bench.sessions.activate(at(950), &bench.image, &mut effects);
    assert!(matches!(effects.as_slice(), [SessionEffect::Probe { port: 9002, .. }]), "{effects:?}");
    assert_eq!(bench.sessions.liveness(BrokerId(1)), Liveness::Lives);
    assert_eq!(bench.probed(960, only_probe(&effects), ProbeResult::Answered), []);
    assert_eq!(bench.tick(1949), []);
    assert_eq!(bench.tick(1950).len(), 2);
}

#[test]
fn a_probe_nobody_reports_on_counts_as_unanswered() {
    let (mut bench, _) = Bench::new(&[(1, 10, BrokerState::Unfenced)]);
    assert_eq!(bench.tick(499), []);
    assert_eq!(bench.tick(500), [SessionEffect::Expire(reference(1, 10))]);
}
