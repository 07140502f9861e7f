//! Who lets the coordinator work by itself.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::Rng;
use rand::rngs::StdRng;
use tokio::runtime::Handle;

use super::loader;
use super::service::Shared;
use super::shard_driver::ShardDriver;

/// Tasks around the shards, or a simulation that takes each step by hand.
pub(super) enum Shell {
    /// Tasks on this runtime read logs, wait for commits and keep time.
    Running(Handle),
    /// Nothing happens unless [`stepped`](super::stepped) says so.
    Stepped(Box<Mutex<Work>>),
}

/// What tasks would do, in the order in which they would have been begun.
pub(super) struct Work {
    pub rng: StdRng,
    pub loads: Vec<Arc<ShardDriver>>,
    pub commits: Vec<Arc<ShardDriver>>,
}

impl Shell {
    /// A simulation's; `rng` makes the ids of new members.
    pub fn stepped(rng: StdRng) -> Shell {
        Shell::Stepped(Box::new(Mutex::new(Work { rng, loads: Vec::new(), commits: Vec::new() })))
    }

    /// Somebody is to read a shard's log.
    pub fn load(&self, shared: &Arc<Shared>, driver: Arc<ShardDriver>) {
        match self {
            Shell::Running(runtime) => drop(runtime.spawn(loader::run(Arc::clone(shared), driver))),
            Shell::Stepped(work) => work.lock().loads.push(driver),
        }
    }

    /// Somebody is to wait for the commit of what a shard has written.
    pub fn follow_commits(&self, driver: Arc<ShardDriver>) {
        match self {
            Shell::Running(runtime) => drop(runtime.spawn(driver.follow_commits())),
            Shell::Stepped(work) => work.lock().commits.push(driver),
        }
    }

    /// Runs something that needs random numbers.
    pub fn with_rng<T>(&self, run: impl FnOnce(&mut dyn Rng) -> T) -> T {
        match self {
            Shell::Running(_) => run(&mut rand::rng()),
            Shell::Stepped(work) => run(&mut work.lock().rng),
        }
    }
}
