//! What clients do while faults happen, and what must hold afterwards.

mod group;
mod produce;
mod rdkafka;
mod topics;
mod waits;

use std::time::{Duration, Instant};

use raftsman_client::{ClientError, ClientOptions, Found, History, Indeterminate, Verdict};
use raftsman_testkit::read_log;
use tokio::runtime::Handle;

pub use rdkafka::Rdkafka;
pub use waits::Waits;

/// The topic that is written and read.
pub const TOPIC: &str = "orders";
/// How many partitions it has.
pub const PARTITIONS: i32 = 3;
/// The group that reads it.
pub const GROUP: &str = "readers";

/// An acked record beyond the high watermark of a leader that has only just been elected is asked for again.
const READ_AGAIN: Duration = Duration::from_secs(20);
const READ_PATIENCE: Duration = Duration::from_secs(60);

/// What a workload finds when it is over.
#[derive(Debug, Default)]
pub struct Judgement {
    /// What was acknowledged: records, or changes of topics.
    pub acked: usize,
    /// The records whose outcome nobody knows.
    pub indeterminate: Indeterminate,
    /// Faults of records.
    pub verdict: Verdict,
    /// Other faults, one line each.
    pub faults: Vec<String>,
    /// What somebody looking for the cause will want, kept when there are faults.
    pub evidence: String,
}

impl Judgement {
    /// What clients saw and must not see, if anything.
    pub fn failure(&self) -> Option<String> {
        if self.verdict.is_clean() && self.faults.is_empty() {
            return None;
        }
        Some(format!("{}; {}", self.verdict, self.faults.join("; ")))
    }
}

/// Clients at work, until [`finish`](Workload::finish).
pub trait Workload {
    /// How long things took so far.
    fn waits(&self) -> &Waits;

    /// Ends the clients and judges what they saw.
    ///
    /// # Errors
    /// It cannot be judged: a client or the final reader does not come to its end.
    fn finish(self: Box<Self>) -> Result<Judgement, String>;
}

/// Every workload with its name.
pub const WORKLOADS: &[&str] = &["produce", "rdkafka", "group", "topics"];

/// Starts a workload by its name.
///
/// # Errors
/// There is none of that name, or its clients cannot be started.
pub fn start(name: &str, bootstrap: &str, runtime: &Handle) -> Result<Box<dyn Workload>, String> {
    match name {
        "produce" => Ok(Box::new(produce::Produce::start(bootstrap, runtime))),
        "rdkafka" => Ok(Box::new(rdkafka::Rdkafka::start(bootstrap, runtime, &[])?)),
        "group" => Ok(Box::new(group::Group::start(bootstrap, runtime))),
        "topics" => Ok(Box::new(topics::Topics::start(bootstrap, runtime))),
        unknown => Err(format!("{unknown} is none of {}", WORKLOADS.join(", "))),
    }
}

/// A client that gives a silent server up after a second, as its users set where they mind.
pub fn impatient() -> ClientOptions {
    ClientOptions { request_timeout: Duration::from_secs(1), ..ClientOptions::default() }
}

/// Whether a call that may have failed for now is tried again. What it asks for may be done already.
pub fn is_worth_a_try(error: &ClientError) -> bool {
    error.is_retriable() || matches!(error, ClientError::TimedOut { .. })
}

/// Reads the whole log and holds it against what was sent, and against what readers were given meanwhile.
fn judge(runtime: &Handle, bootstrap: &str, history: &History) -> Result<Judgement, String> {
    let started = Instant::now();
    loop {
        let found = read_back(runtime, bootstrap)?;
        let verdict = history.judge(&found);
        if verdict.unseen.is_empty() || started.elapsed() > READ_AGAIN {
            let evidence =
                if verdict.is_clean() { String::new() } else { format!("{history:#?}\nfound: {found:#?}\n") };
            let (acked, indeterminate) = (history.len(), history.indeterminate(&found));
            return Ok(Judgement { acked, indeterminate, verdict, evidence, ..Judgement::default() });
        }
    }
}

fn read_back(runtime: &Handle, bootstrap: &str) -> Result<Vec<Found>, String> {
    let started = Instant::now();
    loop {
        match runtime.block_on(read_log(bootstrap, TOPIC, PARTITIONS, READ_PATIENCE)) {
            Ok(found) => return Ok(found),
            Err(error) if error.is_retriable() && started.elapsed() < READ_AGAIN => (),
            Err(error) => return Err(format!("the log cannot be read back: {error}")),
        }
    }
}
