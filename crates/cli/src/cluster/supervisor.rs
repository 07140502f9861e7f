use std::process::ExitStatus;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::node::Node;

use crate::output::say;

/// How long a node that ended stays away: long enough to watch the others go on.
pub const RESTART_AFTER: Duration = Duration::from_secs(3);
/// The longest a node stays away that ends again and again.
const RESTART_AFTER_AT_MOST: Duration = Duration::from_secs(30);
/// A node that ran for this long had no trouble starting.
const RAN_WELL: Duration = Duration::from_secs(30);
/// How long nodes may take to hand over their work before they are killed.
const STOPPING: Duration = Duration::from_secs(10);

/// The signals that end a command which has nodes.
#[derive(Debug)]
pub struct EndSignals {
    all: [Signal; 3],
}

impl EndSignals {
    /// Ctrl-C, SIGTERM and a closed terminal, from now on.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn listen() -> std::io::Result<EndSignals> {
        let all = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?];
        Ok(EndSignals { all })
    }

    /// Waits for one of them.
    pub async fn received(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.all;
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
            _ = hangup.recv() => (),
        }
    }
}

/// When a node is started again, after it ended so and so often soon after its start.
fn restart_delay(short_runs: u32) -> Duration {
    RESTART_AFTER.saturating_mul(2_u32.saturating_pow(short_runs)).min(RESTART_AFTER_AT_MOST)
}

/// A node with what it takes to start it again.
struct Supervised<'a> {
    node: &'a mut Node,
    started: Instant,
    short_runs: u32,
    start_at: Option<Instant>,
}

impl Supervised<'_> {
    /// Looks whether the node ended, and starts it when its time has come.
    fn tend(&mut self, now: Instant) -> std::io::Result<()> {
        let process_id = self.node.process_id();
        if let Some(status) = self.node.take_exit()? {
            self.short_runs = if now - self.started < RAN_WELL { self.short_runs + 1 } else { 0 };
            let delay = restart_delay(self.short_runs.saturating_sub(1));
            self.start_at = Some(now + delay);
            say!("{}", farewell(self.node, process_id, status, delay));
        }
        if self.start_at.is_some_and(|at| at <= now) {
            self.start_at = None;
            self.started = now;
            match self.node.start() {
                Ok(()) => {
                    let process_id = self.node.process_id().unwrap_or_default();
                    say!("node {} is started again: pid {process_id}", self.node.id());
                }
                Err(error) => {
                    self.short_runs += 1;
                    let delay = restart_delay(self.short_runs);
                    self.start_at = Some(now + delay);
                    say!("{error}; next try in {} s", delay.as_secs());
                }
            }
        }
        Ok(())
    }
}

fn farewell(node: &Node, process_id: Option<u32>, status: ExitStatus, delay: Duration) -> String {
    let process_id = process_id.map_or_else(String::new, |id| format!(" (pid {id})"));
    // A killed process had no time for last words.
    let words = if status.code().is_some_and(|code| code != 0) { node.last_words() + "; " } else { String::new() };
    format!("node {}{process_id} ended: {status}; {words}it is started again in {} s", node.id(), delay.as_secs())
}

/// Starts every node that ends again, until a signal to end comes.
///
/// # Errors
/// The kernel does not tell of ended processes.
pub async fn supervise(nodes: &mut [Node], end: &mut EndSignals) -> std::io::Result<()> {
    let mut child_ended = signal(SignalKind::child())?;
    let started = Instant::now();
    let mut all: Vec<Supervised<'_>> =
        nodes.iter_mut().map(|node| Supervised { node, started, short_runs: 0, start_at: None }).collect();
    loop {
        let now = Instant::now();
        for supervised in &mut all {
            supervised.tend(now)?;
        }
        let next = all.iter().filter_map(|supervised| supervised.start_at).min();
        let next = next.unwrap_or_else(|| now + Duration::from_secs(3600));
        tokio::select! {
            () = end.received() => return Ok(()),
            _ = child_ended.recv() => (),
            () = tokio::time::sleep_until(next) => (),
        }
    }
}

/// Ends all nodes: asks them, waits, and kills the ones that take too long. Answers who had to be killed.
///
/// # Errors
/// The kernel does not tell of ended processes.
pub async fn stop(nodes: &mut [Node]) -> std::io::Result<Vec<i32>> {
    for node in nodes.iter() {
        node.terminate();
    }
    let deadline = Instant::now() + STOPPING;
    let mut killed = Vec::new();
    for node in nodes {
        match tokio::time::timeout_at(deadline, node.ended()).await {
            Ok(ended) => ended?,
            Err(_) => {
                killed.push(node.id());
                node.kill().await?;
            }
        }
    }
    Ok(killed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_keeps_ending_stays_away_for_longer_but_not_for_ever() {
        let seconds: Vec<u64> = [0, 1, 2, 3, 4, 1_000].map(|runs| restart_delay(runs).as_secs()).to_vec();
        assert_eq!(seconds, [3, 6, 12, 24, 30, 30]);
    }
}
