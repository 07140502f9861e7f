//! The driver over a log that does what a test says.

mod fake_log;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fake_log::FakeLog;
use raftsman_coordinator::{CoordinatorConfig, Record, Reply, Request};
use raftsman_metadata::{MetadataDelta, MetadataEntry, MetadataImage, MetadataRecord, PartitionChange, PartitionImage};
use raftsman_protocol::messages::heartbeat::HeartbeatRequest;
use raftsman_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use raftsman_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use raftsman_protocol::messages::offset_commit_record::OffsetCommitValue;
use raftsman_protocol::messages::offset_fetch::OffsetFetchRequestGroup;
use raftsman_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use raftsman_records::{BatchBuilder, Compression, end_transaction_marker};
use raftsman_types::{
    BrokerId, DirectoryId, ErrorCode, LeaderEpoch, ProducerEpoch, ProducerId, TopicId, TopicIdPartition, Uuid, WallTime,
};
use tokio::runtime::Handle;

use super::{Asker, CoordinatorService, OFFSETS_TOPIC, batches};
use crate::replica::AppendError;

const ME: BrokerId = BrokerId(1);
const OFFSETS: TopicId = TopicId(Uuid([7; 16]));
const DATA: TopicId = TopicId(Uuid([8; 16]));

struct Bench {
    log: Arc<FakeLog>,
    service: CoordinatorService,
    image: Arc<MetadataImage>,
}

impl Bench {
    /// A coordinator that has not heard of any partition.
    fn new(log: FakeLog) -> Bench {
        Bench::with(log, CoordinatorConfig { initial_rebalance_delay: Duration::ZERO, ..Default::default() })
    }

    fn with(log: FakeLog, config: CoordinatorConfig) -> Bench {
        let log = Arc::new(log);
        let timeout = Duration::from_millis(200);
        let service = CoordinatorService::over(log.clone(), config, ME, timeout, Handle::current());
        Bench { log, service, image: Arc::default() }
    }

    fn publish(&mut self, records: Vec<MetadataRecord>) {
        let mut image = (*self.image).clone();
        image.replay(&MetadataEntry { base_version: image.version, records });
        let delta = MetadataDelta::between(&self.image, &image);
        self.image = Arc::new(image);
        self.service.publish(&delta, &self.image);
    }

    /// There is an offsets topic of one partition, led by this broker, and a topic `t`.
    async fn lead(&mut self) {
        self.publish(vec![
            MetadataRecord::CreateTopic { name: OFFSETS_TOPIC.into(), topic_id: OFFSETS },
            partition_of(OFFSETS),
            MetadataRecord::CreateTopic { name: "t".into(), topic_id: DATA },
            partition_of(DATA),
        ]);
        self.loaded().await;
    }

    async fn loaded(&self) {
        let heartbeat = Request::Heartbeat(HeartbeatRequest { group_id: "probe".into(), ..Default::default() });
        let loading = ErrorCode::CoordinatorLoadInProgress.code();
        while matches!(self.ask(&heartbeat).await, Reply::Heartbeat(reply) if reply.error_code == loading) {
            tokio::task::yield_now().await;
        }
    }

    async fn ask(&self, request: &Request) -> Reply {
        let asker = Asker { version: 3, client_id: "c".into(), client_host: "/127.0.0.1".into() };
        self.service.ask(&asker, request).await
    }

    async fn commit(&self, offset: i64) -> ErrorCode {
        let Reply::OffsetCommit(reply) = self.ask(&commit(offset)).await else { panic!("another reply") };
        ErrorCode::from_code(reply.topics[0].partitions[0].error_code)
    }

    /// The committed offset, or the group's error.
    async fn fetch(&self) -> Result<i64, ErrorCode> {
        let Reply::OffsetFetch(reply) = self.ask(&fetch_all()).await else { panic!("another reply") };
        match ErrorCode::from_code(reply.error_code) {
            ErrorCode::None => Ok(reply.topics.first().map_or(-1, |topic| topic.partitions[0].committed_offset)),
            error => Err(error),
        }
    }

    async fn join(&self, member_id: &str) -> (ErrorCode, String) {
        let Reply::JoinGroup(reply) = self.ask(&join(member_id)).await else { panic!("another reply") };
        (ErrorCode::from_code(reply.error_code), reply.member_id.to_string())
    }
}

/// A partition led by this broker in epoch 1.
fn partition_of(topic_id: TopicId) -> MetadataRecord {
    let state = PartitionImage {
        replicas: vec![ME, BrokerId(2)],
        directories: vec![DirectoryId::ZERO; 2],
        isr: vec![ME, BrokerId(2)],
        leader: Some(ME),
        leader_epoch: LeaderEpoch(1),
        ..Default::default()
    };
    MetadataRecord::CreatePartition { topic_id, partition: 0, state: Arc::new(state) }
}

/// The offsets partition moves, and its leader epoch rises by one.
fn moved_to(leader: BrokerId) -> MetadataRecord {
    MetadataRecord::ChangePartition(PartitionChange {
        topic_id: OFFSETS,
        leader: Some(Some(leader)),
        bump_leader_epoch: true,
        ..Default::default()
    })
}

fn commit(offset: i64) -> Request {
    let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    let topic = OffsetCommitRequestTopic { topic_id: DATA.0, name: "t".into(), partitions: vec![partition] };
    Request::OffsetCommit(OffsetCommitRequest { group_id: "g".into(), topics: vec![topic], ..Default::default() })
}

fn fetch_all() -> Request {
    Request::OffsetFetch(OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() })
}

fn join(member_id: &str) -> Request {
    let protocol = JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::from_static(b"s") };
    Request::JoinGroup(JoinGroupRequest {
        group_id: "m".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member_id.to_owned().into(),
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    })
}

fn sync(member_id: &str) -> Request {
    let assignment = Bytes::from_static(b"all");
    Request::SyncGroup(SyncGroupRequest {
        group_id: "m".into(),
        generation_id: 1,
        member_id: member_id.to_owned().into(),
        assignments: vec![SyncGroupRequestAssignment { member_id: member_id.to_owned().into(), assignment }],
        ..Default::default()
    })
}

fn stored(offset: i64) -> Record {
    let value = OffsetCommitValue { offset, topic_id: DATA.0, ..Default::default() };
    Record::Offset { group: "g".into(), topic: "t".into(), partition: 0, value: Some(value) }
}

fn batch(records: &[Record]) -> Bytes {
    batches::encode(records, WallTime(0), 1 << 20).unwrap().remove(0)
}

fn transactional(producer: i64, record: &Record) -> Bytes {
    let (key, value) = record.encode().unwrap();
    let mut builder =
        BatchBuilder::new(Compression::None).producer(ProducerId(producer), ProducerEpoch(0), 0).transactional(true);
    builder.append(0, Some(&key), value.as_deref(), &[]);
    builder.build(0, LeaderEpoch::NONE)
}

fn end_of_transaction(producer: i64, commit: bool) -> Bytes {
    end_transaction_marker(ProducerId(producer), ProducerEpoch(0), commit, 0, 0)
}

#[tokio::test]
async fn nothing_is_served_before_all_that_was_written_is_committed_and_read() {
    let log = FakeLog::default();
    log.put(batch(&[stored(1), stored(2)]));
    log.hold_commits();
    log.put(batch(&[stored(3)]));
    let mut bench = Bench::new(log);
    assert_eq!(bench.fetch().await, Err(ErrorCode::NotCoordinator), "before it is known who leads");
    bench.publish(vec![
        MetadataRecord::CreateTopic { name: OFFSETS_TOPIC.into(), topic_id: OFFSETS },
        partition_of(OFFSETS),
        MetadataRecord::CreateTopic { name: "t".into(), topic_id: DATA },
    ]);
    tokio::task::yield_now().await;
    assert_eq!(bench.fetch().await, Err(ErrorCode::CoordinatorLoadInProgress));
    bench.log.release_commits();
    bench.loaded().await;
    assert_eq!(bench.fetch().await, Ok(3));
}

#[tokio::test]
async fn offsets_of_transactions_count_once_they_are_committed() {
    let log = FakeLog::default();
    log.put(transactional(1, &stored(1)));
    log.put(transactional(2, &stored(2)));
    log.put(end_of_transaction(1, true));
    log.put(end_of_transaction(2, false));
    log.put(transactional(3, &stored(3)));
    let mut bench = Bench::new(log);
    bench.lead().await;
    assert_eq!(bench.fetch().await, Ok(1));
}

#[tokio::test]
async fn a_commit_is_answered_when_it_is_committed_and_survives_a_move() {
    let mut bench = Bench::new(FakeLog::default());
    bench.lead().await;
    bench.log.hold_commits();
    let (committed, ()) = tokio::join!(bench.commit(5), async {
        while bench.log.batch_count() == 0 {
            tokio::task::yield_now().await;
        }
        bench.log.release_commits();
    });
    assert_eq!(committed, ErrorCode::None);

    bench.publish(vec![moved_to(BrokerId(2))]);
    assert_eq!(bench.fetch().await, Err(ErrorCode::NotCoordinator));
    bench.log.lead(3, true);
    bench.publish(vec![moved_to(ME)]);
    bench.loaded().await;
    assert_eq!(bench.fetch().await, Ok(5));
}

#[tokio::test]
async fn a_commit_that_cannot_be_had_in_time_may_be_repeated() {
    let mut bench = Bench::new(FakeLog::default());
    bench.lead().await;
    bench.log.hold_commits();
    assert_eq!(bench.commit(5).await, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(bench.fetch().await, Err(ErrorCode::CoordinatorNotAvailable), "what may be lost is not shown");
    bench.log.release_commits();
    assert_eq!(bench.commit(6).await, ErrorCode::None);
    assert_eq!(bench.fetch().await, Ok(6));
}

#[tokio::test]
async fn a_refused_write_takes_back_nothing_but_itself() {
    let mut bench = Bench::new(FakeLog::default());
    bench.lead().await;
    assert_eq!(bench.commit(1).await, ErrorCode::None);
    bench.log.fail_next_append(AppendError::NotEnoughReplicas { in_sync: 1, required: 2 });
    assert_eq!(bench.commit(2).await, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(bench.fetch().await, Ok(1));
}

#[tokio::test]
async fn a_commit_too_large_for_the_log_is_told_so() {
    let mut bench = Bench::new(FakeLog::default());
    bench.lead().await;
    assert_eq!(bench.commit(1).await, ErrorCode::None);
    for code in [ErrorCode::MessageTooLarge, ErrorCode::RecordListTooLarge] {
        bench.log.fail_next_append(AppendError::Invalid { code, message: "too large".to_owned(), records: Vec::new() });
        assert_eq!(bench.commit(2).await, ErrorCode::InvalidCommitOffsetSize);
    }
    bench.log.fail_next_append(AppendError::Invalid {
        code: ErrorCode::CorruptMessage,
        message: "?".to_owned(),
        records: Vec::new(),
    });
    assert_eq!(bench.commit(3).await, ErrorCode::UnknownServerError);
    assert_eq!(bench.fetch().await, Ok(1));
}

#[tokio::test]
async fn a_write_that_may_have_happened_has_the_log_read_again() {
    let mut bench = Bench::new(FakeLog::default());
    bench.lead().await;
    let (error, member) = bench.join("").await;
    assert_eq!(error, ErrorCode::None);
    bench.log.fail_next_append(AppendError::Storage);
    let Reply::SyncGroup(reply) = bench.ask(&sync(&member)).await else { panic!("another reply") };
    assert_eq!(reply.error_code, ErrorCode::CoordinatorNotAvailable.code());
    bench.loaded().await;
    assert_eq!(bench.join(&member).await.0, ErrorCode::UnknownMemberId, "nobody was written down");
}

#[tokio::test]
async fn losing_the_partition_answers_everyone() {
    let mut bench = Bench::new(FakeLog::default());
    bench.lead().await;
    let (_, member) = bench.join("").await;
    assert!(matches!(bench.ask(&sync(&member)).await, Reply::SyncGroup(reply) if reply.error_code == 0));
    let service = bench.service.clone();
    let second = tokio::spawn(async move {
        let asker = Asker { version: 3, client_id: "d".into(), client_host: "/127.0.0.1".into() };
        service.ask(&asker, &join("")).await
    });
    // The first member learns of the second as soon as that waits.
    let heartbeat =
        HeartbeatRequest { group_id: "m".into(), generation_id: 1, member_id: member.into(), ..Default::default() };
    let heartbeat = Request::Heartbeat(heartbeat);
    while matches!(bench.ask(&heartbeat).await, Reply::Heartbeat(reply) if reply.error_code == 0) {
        tokio::task::yield_now().await;
    }
    bench.publish(vec![moved_to(BrokerId(2))]);
    let Reply::JoinGroup(reply) = second.await.unwrap() else { panic!("another reply") };
    assert_eq!(reply.error_code, ErrorCode::NotCoordinator.code());
}

#[tokio::test]
async fn a_leader_out_of_touch_serves_nothing() {
    let mut bench = Bench::new(FakeLog::default());
    bench.lead().await;
    bench.log.lead(1, false);
    assert_eq!(bench.fetch().await, Err(ErrorCode::NotCoordinator));
    bench.log.lead(1, true);
    assert_eq!(bench.fetch().await, Ok(-1));
}

#[tokio::test]
async fn records_that_will_not_be_committed_here_have_the_log_read_again() {
    let mut bench = Bench::new(FakeLog::default());
    bench.lead().await;
    bench.log.hold_commits();
    let (committed, ()) = tokio::join!(bench.commit(5), async {
        while bench.log.batch_count() == 0 {
            tokio::task::yield_now().await;
        }
        bench.log.fail_commits(AppendError::NotLeaderOrFollower);
    });
    assert_eq!(committed, ErrorCode::NotCoordinator);
    bench.log.release_commits();
    bench.loaded().await;
    assert_eq!(bench.fetch().await, Ok(5), "it was in the log after all");
}

#[tokio::test]
async fn one_timer_ends_every_groups_delay() {
    let delay = Duration::from_millis(30);
    let config = CoordinatorConfig { initial_rebalance_delay: delay, ..Default::default() };
    let mut bench = Bench::with(FakeLog::default(), config);
    bench.lead().await;
    let started = std::time::Instant::now();
    assert_eq!(bench.join("").await.0, ErrorCode::None);
    assert!(started.elapsed() >= delay);
}

#[tokio::test]
async fn deleted_topics_take_their_offsets_along() {
    let mut bench = Bench::new(FakeLog::default());
    bench.lead().await;
    assert_eq!(bench.commit(5).await, ErrorCode::None);
    bench.publish(vec![MetadataRecord::DeleteTopic { topic_id: DATA }]);
    assert_eq!(bench.fetch().await, Ok(-1));

    // And when the coordinator was away: its successor sees it when it loads.
    let log = FakeLog::default();
    log.put(batch(&[stored(9)]));
    let mut bench = Bench::new(log);
    bench.publish(vec![
        MetadataRecord::CreateTopic { name: OFFSETS_TOPIC.into(), topic_id: OFFSETS },
        partition_of(OFFSETS),
        MetadataRecord::CreateTopic { name: "t".into(), topic_id: TopicId(Uuid([9; 16])) },
    ]);
    bench.loaded().await;
    assert_eq!(bench.fetch().await, Ok(-1), "another topic has the name now");
}

/// The replicas hear of metadata first: this broker leads again, after another one that has committed offsets.
#[tokio::test]
async fn a_shard_that_another_leader_came_after_writes_nothing() {
    let mut bench = Bench::new(FakeLog::default());
    bench.lead().await;
    assert_eq!(bench.commit(5).await, ErrorCode::None);
    bench.log.lead(3, true);
    bench.log.put(batch(&[stored(9)]));
    let before = bench.log.batch_count();
    bench.publish(vec![MetadataRecord::DeleteTopic { topic_id: DATA }]);
    assert_eq!(bench.log.batch_count(), before, "it does not know of what it would delete");
}

#[test]
fn many_records_make_several_batches_in_order() {
    let records: Vec<Record> = (0..100).map(stored).collect();
    let batches = batches::encode(&records, WallTime(5), 500).unwrap();
    assert!(batches.len() > 5);
    let at = TopicIdPartition { topic_id: OFFSETS, partition: 0 };
    let log = FakeLog::default();
    let mut last = -1;
    for batch in batches {
        last = log.put(batch);
    }
    assert_eq!(last, 99);
    let state = super::loader::read_all(&log, at, LeaderEpoch(1), 0, 100).unwrap();
    assert_eq!(state.group("g").unwrap().offsets["t"][&0].offset, 99);
}
