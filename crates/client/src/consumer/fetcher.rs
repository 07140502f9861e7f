use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use raftsman_protocol::Str;
use raftsman_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData};
use raftsman_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use raftsman_types::{ErrorCode, TopicPartition};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::options::{ConsumerOptions, OffsetReset, StartAt};
use super::partition::{AssignedPartition, Position};
use super::{at, response};
use crate::{BrokerAddress, Client, ClientError, ConsumerRecord, Lane};

/// The last version with topic names.
const FETCH_VERSION: i16 = 12;
const LIST_OFFSETS_VERSION: i16 = 7;

/// What the consumer asks of its task.
#[derive(Debug)]
pub(super) enum Command {
    Assign(Vec<(TopicPartition, StartAt)>),
    HighWatermarks(oneshot::Sender<Vec<(TopicPartition, i64)>>),
}

/// The answer of one leader, for the assignment it was asked under.
struct Fetched {
    leader: i32,
    generation: u64,
    seen: u64,
    asked: Vec<(TopicPartition, Position)>,
    answer: Result<Answer, ClientError>,
}

enum Answer {
    Records(FetchResponse),
    Offsets(Vec<(TopicPartition, ErrorCode, i64)>),
}

/// Keeps a fetch on the way to each leader of an assigned partition.
pub(super) struct Fetcher {
    client: Client,
    options: ConsumerOptions,
    commands: mpsc::Receiver<Command>,
    records: mpsc::Sender<Result<Vec<ConsumerRecord>, ClientError>>,
    assigned: BTreeMap<TopicPartition, AssignedPartition>,
    generation: u64,
    asking: JoinSet<Fetched>,
    busy: HashSet<i32>,
}

impl Fetcher {
    pub fn new(
        client: Client,
        options: ConsumerOptions,
        commands: mpsc::Receiver<Command>,
        records: mpsc::Sender<Result<Vec<ConsumerRecord>, ClientError>>,
    ) -> Fetcher {
        let (assigned, asking, busy) = (BTreeMap::new(), JoinSet::new(), HashSet::new());
        Fetcher { client, options, commands, records, assigned, generation: 0, asking, busy }
    }

    /// Runs until the consumer is dropped or an error ends it.
    pub async fn run(mut self) {
        loop {
            let wake_at = self.ask_idle_leaders().await;
            let wake_at = wake_at.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            let step = tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => { self.obey(command); Ok(Vec::new()) }
                    None => return,
                },
                Some(done) = self.asking.join_next() => match done {
                    Ok(fetched) => self.take_in(fetched).await,
                    Err(_) => return,
                },
                () = tokio::time::sleep_until(wake_at) => Ok(Vec::new()),
            };
            let is_end = step.is_err();
            if step.as_ref().is_ok_and(Vec::is_empty) {
                continue;
            }
            if self.records.send(step).await.is_err() || is_end {
                return;
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Assign(partitions) => {
                self.generation += 1;
                self.assigned =
                    partitions.into_iter().map(|(at, start)| (at.clone(), AssignedPartition::new(at, start))).collect();
            }
            Command::HighWatermarks(answer) => {
                let known = self.assigned.values().filter(|p| p.high_watermark >= 0);
                // The caller may have gone.
                let _ = answer.send(known.map(|p| (p.at.clone(), p.high_watermark)).collect());
            }
        }
    }

    /// Asks every leader that is not being asked already. Answers when a paused partition is due.
    async fn ask_idle_leaders(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let mut metadata = self.client.metadata();
        let unknown: Vec<&str> = self
            .assigned
            .values()
            .filter(|p| is_due(p, now) && metadata.leader(&p.at.topic, p.at.partition).is_none())
            .map(|p| &*p.at.topic)
            .collect();
        if !unknown.is_empty()
            && let Ok(fresh) = self.client.refresh(metadata.version, &unknown).await
        {
            metadata = fresh;
        }
        let mut by_leader: BTreeMap<i32, Vec<AssignedPartition>> = BTreeMap::new();
        let pause = self.client.options().retry_backoff_max.min(Duration::from_millis(50));
        for partition in self.assigned.values_mut().filter(|p| is_due(p, now)) {
            match metadata.leader(&partition.at.topic, partition.at.partition) {
                Some(leader) => by_leader.entry(leader).or_default().push(partition.clone()),
                None => partition.paused_until = Some(now + pause),
            }
        }
        for (leader, partitions) in by_leader {
            if self.busy.insert(leader) {
                let ask = ask(self.client.clone(), self.options.clone(), leader, self.generation, partitions);
                self.asking.spawn(ask);
            }
        }
        self.assigned.values().filter_map(|p| p.paused_until).filter(|until| *until > now).min()
    }

    async fn take_in(&mut self, fetched: Fetched) -> Result<Vec<ConsumerRecord>, ClientError> {
        let Fetched { leader, generation, seen, asked, answer } = fetched;
        self.busy.remove(&leader);
        if generation != self.generation {
            return Ok(Vec::new());
        }
        match answer {
            Ok(Answer::Records(response)) => self.take_records(response, &asked, seen).await,
            Ok(Answer::Offsets(offsets)) => {
                let mut failed = None;
                for (at, code, offset) in offsets {
                    let Some(partition) = self.assigned.get_mut(&at) else { continue };
                    match code {
                        ErrorCode::None => partition.position = Position::Offset(offset),
                        code => failed = Some((at, code)),
                    }
                }
                match failed {
                    Some((at, code)) => self.look_again(&[at], code, seen).await.map(|()| Vec::new()),
                    None => Ok(Vec::new()),
                }
            }
            Err(error) if error.is_retriable() => {
                let all: Vec<TopicPartition> = asked.into_iter().map(|(at, _)| at).collect();
                self.look_again(&all, ErrorCode::NetworkException, seen).await.map(|()| Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    async fn take_records(
        &mut self,
        response: FetchResponse,
        asked: &[(TopicPartition, Position)],
        seen: u64,
    ) -> Result<Vec<ConsumerRecord>, ClientError> {
        let mut records = Vec::new();
        if response.error_code != 0 {
            let all: Vec<TopicPartition> = asked.iter().map(|(at, _)| at.clone()).collect();
            self.look_again(&all, ErrorCode::from_code(response.error_code), seen).await?;
            return Ok(records);
        }
        let endpoints = response.node_endpoints;
        for topic in response.responses {
            let name: Arc<str> = Arc::from(topic.topic.as_str());
            for data in topic.partitions {
                let at = at(&name, data.partition_index);
                let endpoint = endpoints.iter().find(|node| node.node_id == data.current_leader.leader_id);
                let endpoint = endpoint.and_then(|node| {
                    let (host, port) = (node.host.to_string(), u16::try_from(node.port).ok()?);
                    Some(BrokerAddress { node_id: node.node_id, host, port, rack: None })
                });
                self.take_partition(at, data, endpoint, seen, &mut records).await?;
            }
        }
        Ok(records)
    }

    async fn take_partition(
        &mut self,
        at: TopicPartition,
        data: PartitionData,
        endpoint: Option<BrokerAddress>,
        seen: u64,
        records: &mut Vec<ConsumerRecord>,
    ) -> Result<(), ClientError> {
        let Some(partition) = self.assigned.get_mut(&at) else { return Ok(()) };
        let Position::Offset(from) = partition.position else { return Ok(()) };
        match ErrorCode::from_code(data.error_code) {
            ErrorCode::None => {
                partition.high_watermark = data.high_watermark;
                if let Some(bytes) = data.records.filter(|bytes| !bytes.is_empty()) {
                    let aborted = data.aborted_transactions.unwrap_or_default();
                    let (read, next) = response::records_of(&at, bytes.into_contiguous(), from, aborted)?;
                    partition.position = Position::Offset(next);
                    records.extend(read);
                }
                Ok(())
            }
            ErrorCode::OffsetOutOfRange => match self.options.offset_reset {
                OffsetReset::Earliest => {
                    partition.reset(StartAt::Earliest);
                    Ok(())
                }
                OffsetReset::Latest => {
                    partition.reset(StartAt::Latest);
                    Ok(())
                }
                OffsetReset::Fail => {
                    let what = || format!("offset {from} of {at} is out of range");
                    Err(ClientError::server(data.error_code, None, what))
                }
            },
            code => {
                let leader = (data.current_leader.leader_id, data.current_leader.leader_epoch);
                if self.client.learn_leader(&at.topic, at.partition, leader, endpoint) {
                    return Ok(());
                }
                self.look_again(&[at], code, seen).await
            }
        }
    }

    /// Asks for fresh metadata, and leaves the partitions alone for a moment.
    async fn look_again(&mut self, all: &[TopicPartition], code: ErrorCode, seen: u64) -> Result<(), ClientError> {
        if !code.is_retriable() {
            return Err(ClientError::server(code.code(), None, || format!("reading {}", all[0])));
        }
        let topics: Vec<&str> = all.iter().map(|at| &*at.topic).collect();
        let moved = self.client.refresh(seen, &topics).await;
        tracing::debug!(%code, partitions = all.len(), reached = moved.is_ok(), "fetch failed, looking for the leader");
        let until = Instant::now() + self.client.options().retry_backoff;
        for at in all {
            if let Some(partition) = self.assigned.get_mut(at) {
                partition.paused_until = Some(until);
            }
        }
        Ok(())
    }
}

fn is_due(partition: &AssignedPartition, now: Instant) -> bool {
    partition.paused_until.is_none_or(|until| until <= now)
}

/// One exchange with one leader: positions first, where any are missing, else records.
async fn ask(
    client: Client,
    options: ConsumerOptions,
    leader: i32,
    generation: u64,
    partitions: Vec<AssignedPartition>,
) -> Fetched {
    let seen = client.metadata().version;
    let asked = partitions.iter().map(|p| (p.at.clone(), p.position)).collect();
    let answer = match partitions.iter().any(|p| matches!(p.position, Position::Ask(_))) {
        true => ask_offsets(&client, &options, leader, &partitions).await.map(Answer::Offsets),
        false => fetch(&client, &options, leader, &partitions).await.map(Answer::Records),
    };
    Fetched { leader, generation, seen, asked, answer }
}

async fn ask_offsets(
    client: &Client,
    options: &ConsumerOptions,
    leader: i32,
    partitions: &[AssignedPartition],
) -> Result<Vec<(TopicPartition, ErrorCode, i64)>, ClientError> {
    let mut topics: BTreeMap<&Arc<str>, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for partition in partitions {
        let Position::Ask(timestamp) = partition.position else { continue };
        topics.entry(&partition.at.topic).or_default().push(ListOffsetsPartition {
            partition_index: partition.at.partition,
            current_leader_epoch: -1,
            timestamp,
            ..ListOffsetsPartition::default()
        });
    }
    let topics = topics.into_iter();
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: i8::from(options.read_committed),
        topics: topics
            .map(|(name, partitions)| ListOffsetsTopic { name: Str::from(name.clone()), partitions })
            .collect(),
        ..ListOffsetsRequest::default()
    };
    let answer = client.connection(leader, Lane::Fetch).await?.request(&request, LIST_OFFSETS_VERSION).await?;
    let mut offsets = Vec::new();
    for topic in answer.topics {
        let name: Arc<str> = Arc::from(topic.name.as_str());
        offsets.extend(
            topic
                .partitions
                .iter()
                .map(|p| (at(&name, p.partition_index), ErrorCode::from_code(p.error_code), p.offset)),
        );
    }
    Ok(offsets)
}

async fn fetch(
    client: &Client,
    options: &ConsumerOptions,
    leader: i32,
    partitions: &[AssignedPartition],
) -> Result<FetchResponse, ClientError> {
    let metadata = client.metadata();
    let mut topics: BTreeMap<&Arc<str>, Vec<FetchPartition>> = BTreeMap::new();
    for partition in partitions {
        let Position::Offset(fetch_offset) = partition.position else { continue };
        let known = metadata.partition(&partition.at.topic, partition.at.partition);
        topics.entry(&partition.at.topic).or_default().push(FetchPartition {
            partition: partition.at.partition,
            current_leader_epoch: known.map_or(-1, |p| p.leader_epoch),
            fetch_offset,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: options.partition_max_bytes,
            ..FetchPartition::default()
        });
    }
    let request = FetchRequest {
        replica_id: -1,
        max_wait_ms: i32::try_from(options.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: options.min_bytes,
        max_bytes: options.max_bytes,
        isolation_level: i8::from(options.read_committed),
        session_epoch: -1,
        topics: topics
            .into_iter()
            .map(|(topic, partitions)| FetchTopic {
                topic: Str::from(topic.clone()),
                partitions,
                ..FetchTopic::default()
            })
            .collect(),
        ..FetchRequest::default()
    };
    let patience = options.max_wait + client.options().request_timeout;
    client.connection(leader, Lane::Fetch).await?.request_slow(&request, FETCH_VERSION, patience).await
}
