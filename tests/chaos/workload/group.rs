//! Writers, and a group of two members that reads what they write and commits. No record may be left out, nothing
//! committed may be read again by a later owner of a partition, and no member may be led back or past a record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use raftsman_client::{Client, ClientError, ConsumerOptions, GroupConsumer, GroupOptions, OffsetReset};
use raftsman_testkit::Found;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::produce::{Writers, Written};
use super::{GROUP, Judgement, PARTITIONS, TOPIC, Waits, Workload, impatient, judge, read_back};
use crate::waiting::until;

const MEMBERS: usize = 2;
const POLL: Duration = Duration::from_millis(100);
const COMMIT_EVERY: Duration = Duration::from_millis(250);
/// The least that brokers accept (`group.min.session.timeout.ms`).
const SESSION: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(60);

/// The workload.
pub struct Group {
    bootstrap: String,
    runtime: Handle,
    writers: Writers,
    members: Vec<JoinHandle<Result<(), String>>>,
    stop: Arc<AtomicBool>,
    waits: Waits,
}

impl Group {
    /// Starts writers and members.
    pub fn start(bootstrap: &str, runtime: &Handle) -> Group {
        // How old a record is when the group first gets it.
        let waits = Waits::of(PARTITIONS as usize);
        let writers = Writers::start(bootstrap, runtime, None);
        let stop = Arc::new(AtomicBool::new(false));
        let member = |_| {
            let member = Member {
                bootstrap: bootstrap.to_owned(),
                written: writers.written.clone(),
                stop: Arc::clone(&stop),
                waits: waits.clone(),
            };
            runtime.spawn(member.run())
        };
        let members = (0..MEMBERS).map(member).collect();
        Group { bootstrap: bootstrap.to_owned(), runtime: runtime.clone(), writers, members, stop, waits }
    }
}

impl Workload for Group {
    fn waits(&self) -> &Waits {
        &self.waits
    }

    fn finish(self: Box<Self>) -> Result<Judgement, String> {
        let written = self.writers.finish(&self.runtime)?;
        let log = read_back(&self.runtime, &self.bootstrap)?;
        // Where they do not come that far, the verdict names what is unread.
        let read = until("the group to read everything", PATIENCE, || written.history().reads().has_all(&log));
        self.stop.store(true, Ordering::Relaxed);
        let mut faults: Vec<String> = read.err().into_iter().collect();
        for member in self.members {
            let ended = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, member).await });
            match ended {
                Err(_) => faults.push("a member does not come to its end".to_owned()),
                Ok(ended) => faults.extend(ended.map_err(|error| error.to_string())?.err()),
            }
        }
        let history = written.history();
        let judged = judge(&self.runtime, &self.bootstrap, &history)?;
        Ok(Judgement { faults, ..judged })
    }
}

struct Member {
    bootstrap: String,
    written: Written,
    stop: Arc<AtomicBool>,
    waits: Waits,
}

impl Member {
    /// Reads until told to stop. A member that its client gives up begins anew, as a process would that restarts.
    async fn run(self) -> Result<(), String> {
        let mut failures = 0;
        while !self.stop.load(Ordering::Relaxed) {
            match self.read().await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_retriable() || matches!(error, ClientError::TimedOut { .. }) => failures += 1,
                Err(error) => return Err(format!("a member fails: {error}")),
            }
            if failures > 100 {
                return Err("a member fails again and again".to_owned());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    async fn read(&self) -> Result<(), ClientError> {
        let client = Client::connect(&self.bootstrap, impatient()).await?;
        let options = GroupOptions {
            group_id: GROUP.to_owned(),
            session_timeout: SESSION,
            rebalance_timeout: SESSION,
            heartbeat_interval: Duration::from_millis(500),
            auto_commit: false,
            ..GroupOptions::default()
        };
        let consumer = ConsumerOptions { offset_reset: OffsetReset::Earliest, ..ConsumerOptions::default() };
        let mut consumer = GroupConsumer::new(client, vec![TOPIC.into()], options, consumer);
        let mut reading = None;
        let mut commit_at = Instant::now() + COMMIT_EVERY;
        while !self.stop.load(Ordering::Relaxed) {
            let floor = self.written.history().reads().floor();
            let records = consumer.poll(POLL).await?;
            let place = (consumer.place().0.to_owned(), consumer.place().1);
            let reading = match &reading {
                Some((at, number)) if *at == place => *number,
                _ => {
                    let number = self.written.history().reads().begin(floor);
                    reading = Some((place, number));
                    number
                }
            };
            for record in &records {
                let name = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
                if let Some(begun) = self.written.begun(&name) {
                    self.waits.done(record.partition as usize, begun);
                }
                let found = Found { partition: record.partition, offset: record.offset, name };
                self.written.history().reads().give(reading, found);
                consumer.processed(record);
            }
            if Instant::now() >= commit_at {
                commit_at = Instant::now() + COMMIT_EVERY;
                consumer.commit().await?;
                for (at, offset) in consumer.committed() {
                    self.written.history().reads().commit(at.partition, *offset);
                }
            }
        }
        consumer.close().await
    }
}
