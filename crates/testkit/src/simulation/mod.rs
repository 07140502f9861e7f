//! A cluster in one thread: the code that ships, under a scheduler that a seed decides.
//!
//! Nothing here is a model of a broker or a controller. Brokers are [`raftsman_broker::replica::stepped`] replicas over
//! [`raftsman_log::fs::MemoryFs`], controllers the shipped actor with its `decide` and sessions; what tasks, threads and sockets do
//! around them in a process is done here, one step at a time. Only Raft itself is a stand-in, behind `raft::SimRaft`.
//!
//! Reading order: `world` (the loop), `node` (machines and their processes), `broker/` and `controller` (the shell around
//! the shipped code), `network`, `nemesis` (faults), `client/`, `invariants/` and `history` (what must hold).
//! `docs/internals/testing.md` says how to run, replay and shrink.

mod broker;
mod client;
mod controller;
mod event;
mod fabric;
mod group_history;
mod history;
mod invariants;
mod nemesis;
mod network;
mod node;
mod raft;
mod reshaping;
mod scenario;
mod schedule;
mod shrink;
mod time;
mod topics;
mod trace;
mod world;

pub use invariants::Violation;
pub use nemesis::Fault;
pub use scenario::Scenario;
pub use shrink::shrink;

use world::World;

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// A number that no other course of events has, nor another state in the end.
    pub trace_hash: u64,
    /// How many things happened.
    pub events: u64,
    /// How many faults struck.
    pub faults: u32,
    /// Records that were acknowledged by all in-sync replicas.
    pub acked: u64,
    /// Records that consumers read.
    pub read: u64,
    /// The first rule that was broken, if one was.
    pub violation: Option<Violation>,
}

/// Runs a scenario to its end, or to the first rule that is broken. Prints what happens if `shows`.
pub fn run(scenario: &Scenario, shows: bool) -> Report {
    let mut world = World::new(scenario.clone(), shows);
    // What the shipped code asserts is a rule like any other.
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run()));
    let violation = match ended {
        Ok(checked) => checked.err(),
        Err(panic) => Some(Violation::new("nothing panics", panic_message(&*panic))),
    };
    if violation.is_none() {
        world.seal();
    }
    let (acked, read) = world.history.counts();
    Report {
        trace_hash: world.fabric.trace.hash(),
        events: world.fabric.trace.events(),
        faults: world.faults_struck,
        acked,
        read,
        violation,
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
