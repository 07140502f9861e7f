//! librdkafka's idempotent producer, pipelining as it does by default, and everything read back.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use raftsman_testkit::{History, Outcome, install_client, python};
use tokio::runtime::Handle;

use super::{Judgement, PARTITIONS, TOPIC, Waits, Workload, judge};
use crate::waiting::until;

const RECORDS_PER_SECOND: &str = "600";
const PATIENCE: Duration = Duration::from_secs(120);

/// The producer's process and what it said.
pub struct Rdkafka {
    bootstrap: String,
    runtime: Handle,
    child: Child,
    listener: JoinHandle<Result<(), String>>,
    history: Arc<Mutex<History>>,
    waits: Waits,
}

impl Rdkafka {
    /// Starts the producer, with settings over librdkafka's defaults.
    ///
    /// # Errors
    /// It cannot be installed or started.
    pub fn start(bootstrap: &str, runtime: &Handle, settings: &[&str]) -> Result<Rdkafka, String> {
        if !install_client("python") {
            return Err("librdkafka cannot be installed".to_owned());
        }
        let mut child = python("chaos/python/rdkafka_produce.py")
            .args([bootstrap, TOPIC, &PARTITIONS.to_string(), RECORDS_PER_SECOND])
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("the producer cannot be started: {error}"))?;
        let output = child.stdout.take().ok_or("the producer has no output")?;
        let (history, waits) = (Arc::default(), Waits::of(PARTITIONS as usize));
        let listener = {
            let (history, waits) = (Arc::clone(&history), waits.clone());
            std::thread::spawn(move || listen(output, &history, &waits))
        };
        Ok(Rdkafka { bootstrap: bootstrap.to_owned(), runtime: runtime.clone(), child, listener, history, waits })
    }
}

impl Workload for Rdkafka {
    fn waits(&self) -> &Waits {
        &self.waits
    }

    fn finish(mut self: Box<Self>) -> Result<Judgement, String> {
        drop(self.child.stdin.take());
        let child = &mut self.child;
        let ended = until("the producer to end", PATIENCE, || child.try_wait().is_ok_and(|status| status.is_some()));
        if ended.is_err() {
            self.child.kill().map_err(|error| error.to_string())?;
            self.child.wait().map_err(|error| error.to_string())?;
        }
        self.listener.join().map_err(|_| "the producer's listener panicked")??;
        ended?;
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        judge(&self.runtime, &self.bootstrap, &history)
    }
}

/// Takes in what the producer prints until it ends.
fn listen(output: ChildStdout, history: &Mutex<History>, waits: &Waits) -> Result<(), String> {
    let clock = Clock::now();
    let mut begun = std::collections::HashMap::new();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let unreadable = || format!("the producer printed {line:?}");
        let words: Vec<&str> = line.split(' ').collect();
        let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
        match words[..] {
            ["send", partition, name, when] => {
                history.send(partition.parse().map_err(|_| unreadable())?, name);
                begun.insert(name.to_owned(), clock.instant(when).ok_or_else(unreadable)?);
            }
            ["ack", partition, name, offset, when] => {
                let offset = offset.parse().map_err(|_| unreadable())?;
                history.settle(name, Outcome::Acked(Some(offset)));
                let lane = partition.parse().map_err(|_| unreadable())?;
                let ended = clock.instant(when).ok_or_else(unreadable)?;
                if let Some(begun) = begun.remove(name) {
                    waits.done_at(lane, begun, ended);
                }
            }
            // Given up: whether it was written stays unknown.
            ["fail", ..] => (),
            _ => return Err(unreadable()),
        }
    }
    Ok(())
}

/// Tells this process's instants from the machine's monotonic clock, which the producer prints.
struct Clock {
    instant: Instant,
    milliseconds: f64,
}

impl Clock {
    fn now() -> Clock {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Clock { instant: Instant::now(), milliseconds: now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6 }
    }

    fn instant(&self, printed: &str) -> Option<Instant> {
        let later = (printed.parse::<f64>().ok()? - self.milliseconds) / 1e3;
        match later < 0.0 {
            true => self.instant.checked_sub(Duration::from_secs_f64(-later)),
            false => Some(self.instant + Duration::from_secs_f64(later)),
        }
    }
}
