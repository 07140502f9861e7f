use std::sync::Arc;
use std::time::Duration;

use raftsman_broker::replica::Clock;
use raftsman_controller::decide::ClusterSettings;
use raftsman_log::fs::{FaultPlan, MemoryFs, Survival};
use raftsman_metadata::Durability;
use raftsman_types::{DirectoryId, IncarnationId, Uuid};
use rand::RngExt;

use super::broker::{BrokerProcess, BrokerSetup};
use super::controller::{ControllerProcess, ControllerSetup};
use super::event::{Endpoint, Event};
use super::nemesis::NemesisEvent;
use super::raft::StandInRaft;
use super::time::NodeClock;
use super::world::World;

pub(super) const SESSION_TIMEOUT: Duration = Duration::from_millis(1000);
const LAG_TIME_MAX: Duration = Duration::from_millis(2500);
const SYNC_US_MAX: u64 = 4000;

/// A machine: disks that outlive its processes, and what runs on it.
pub(super) struct Node {
    pub log_disk: MemoryFs,
    pub metadata_disk: MemoryFs,
    pub clock: Arc<NodeClock>,
    /// Rises with every start and end of its process: what was meant for an earlier one is not for the present one.
    pub life: u64,
    pub boot: u64,
    pub is_controller: bool,
    pub process: Option<Process>,
    /// What came while the process was stopped.
    pub backlog: Option<Vec<Event>>,
    pub stalled: bool,
}

/// What runs on a machine.
pub(super) struct Process {
    pub broker: BrokerProcess,
    pub controller: Option<ControllerProcess>,
}

impl World {
    pub(super) fn is_up(&self, node: i32) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.process.is_some())
    }

    pub(super) fn life(&self, node: i32) -> u64 {
        self.nodes.get(&node).map_or(0, |node| node.life)
    }

    /// Adds a machine that does not run yet.
    pub(super) fn add_node(&mut self, id: i32, is_controller: bool) {
        let drift = self.fabric.between(0, 2000) as i64 - 1000;
        let wall = self.fabric.between(0, 4000) as i64 - 2000;
        let clock = NodeClock::new(&self.fabric.present, drift, wall);
        let node = Node {
            log_disk: MemoryFs::new(),
            metadata_disk: MemoryFs::new(),
            clock,
            life: 1,
            boot: 1,
            is_controller,
            process: None,
            backlog: None,
            stalled: false,
        };
        self.nodes.insert(id, node);
    }

    pub(super) fn start_if_down(&mut self, id: i32, life: u64) {
        if self.is_up(id) || self.life(id) != life {
            return;
        }
        let controllers: Vec<i32> = self.nodes.iter().filter(|(_, n)| n.is_controller).map(|(id, _)| *id).collect();
        let (seed, raft_seed) = (self.fabric.rng.random(), self.fabric.rng.random());
        let entries_per_snapshot = self.fabric.between(20, 200) as usize;
        let incarnation = IncarnationId(Uuid::from_random(self.fabric.random_bytes()));
        let fresh_directory = DirectoryId(Uuid::from_random(self.fabric.random_bytes()));
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.life += 1;
        let life = node.life;
        self.fabric.network.dark.remove(&id);
        self.fabric.trace.note(self.fabric.now(), "start", &[id.into(), life as i64]);
        self.fabric.trace.say(self.fabric.now(), || format!("node {id} starts"));
        let setup = BrokerSetup {
            node: id,
            life,
            clock: Arc::clone(&node.clock),
            incarnation,
            fresh_directory,
            boot_id: format!("boot-{id}-{}", node.boot).into(),
            session_timeout: SESSION_TIMEOUT,
            replica_lag_time_max: LAG_TIME_MAX,
            controllers: controllers.clone(),
            durability: Durability::Flushed,
            sync_us_max: SYNC_US_MAX,
            living: self.scenario.living,
        };
        node.log_disk.set_now(node.clock.wall());
        let Ok(broker) = BrokerProcess::start(setup, &node.log_disk, &mut self.fabric) else {
            return self.failed_to_start(id);
        };
        let mut controller = None;
        if node.is_controller {
            let now = node.clock.monotonic();
            let raft = StandInRaft::open(id, &controllers, &node.metadata_disk, now, raft_seed, entries_per_snapshot);
            let Ok(raft) = raft else { return self.failed_to_start(id) };
            let settings = ClusterSettings {
                default_replication_factor: 3,
                min_insync_replicas: Some(2),
                leader_rebalance_delay: Duration::from_millis(1500),
                ..ClusterSettings::default()
            };
            let setup = ControllerSetup {
                node: id,
                life,
                clock: Arc::clone(&node.clock),
                seed,
                session_timeout: SESSION_TIMEOUT,
                settings,
                sync_us_max: SYNC_US_MAX,
            };
            controller = Some(ControllerProcess::start(setup, Box::new(raft), &mut self.fabric));
        }
        let listening = &mut self.fabric.network.listening;
        listening.insert(Endpoint::Broker(id), life);
        if controller.is_some() {
            listening.insert(Endpoint::Controller(id), life);
        }
        node.process = Some(Process { broker, controller });
        let stalled = node.stalled;
        if stalled {
            self.stall(id, true);
        }
    }

    /// A disk that fails while a process starts: it ends, and is started anew.
    fn failed_to_start(&mut self, id: i32) {
        self.fabric.trace.say(self.fabric.now(), || format!("node {id} cannot start"));
        if let Some(node) = self.nodes.get_mut(&id) {
            node.life += 1;
            node.log_disk.kill();
            node.metadata_disk.kill();
        }
        let wait = self.fabric.millis(50, 300);
        let life = self.life(id);
        self.later(wait, NemesisEvent::Start { node: id, life });
    }

    /// The process is gone; what the kernel has it keeps.
    pub(super) fn kill(&mut self, id: i32) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.process = None;
            node.log_disk.kill();
            node.metadata_disk.kill();
        }
        self.process_ended(id, true);
    }

    fn process_ended(&mut self, id: i32, kernel_lives: bool) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.life += 1;
            node.backlog = None;
        }
        self.fabric.network.paused.remove(&id);
        self.fabric.process_ended(id, kernel_lives);
        self.observer.process_ended(id);
        self.fabric.trace.note(self.fabric.now(), "ended", &[id.into(), kernel_lives.into()]);
    }

    /// The machine is without power until it starts.
    pub(super) fn cut_power(&mut self, id: i32) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.process = None;
        node.boot += 1;
        let rng = &mut self.fabric.rng;
        let mut survival = |bytes: usize| match rng.random_range(0..6) {
            0 | 1 => Survival::Lost,
            2 => Survival::All,
            3 | 4 => Survival::Prefix(rng.random_range(0..=bytes)),
            _ => Survival::Zeros,
        };
        node.log_disk.crash_with(&mut survival);
        node.metadata_disk.crash_with(&mut survival);
        self.fabric.network.dark.insert(id);
        self.process_ended(id, false);
        self.power_cuts.insert(id);
        self.observer.lost_power(id);
    }

    /// With `durability=written` as many as `min.insync.replicas` power cuts lose data, and may: one node can have them, for it
    /// is 2 at least (see `Scenario::min_insync_least`). It must not be the last, either, after disks of the others failed.
    pub(super) fn may_cut_power(&mut self, id: i32) -> bool {
        let is_first = self.power_cuts.iter().all(|cut| *cut == id);
        let image = self.observer.image();
        let nodes = &self.nodes;
        self.failing_disks.retain(|failing, life| {
            let node = nodes.get(failing);
            node.is_some_and(|node| node.life == *life)
                || !has_recovered(node, raftsman_types::BrokerId(*failing), &image)
        });
        let others_are_well = self.failing_disks.keys().all(|failing| *failing == id);
        !self.scenario.written || is_first && others_are_well && self.others_may_lead(id)
    }

    /// Whether every partition of a node has somebody else who may lead it. Whoever was unregistered, or may be any moment, may not
    /// with what it only wrote: nobody knows any more whether it has had power since.
    fn others_may_lead(&self, id: i32) -> bool {
        let me = raftsman_types::BrokerId(id);
        let image = self.observer.image();
        let stays = |member: &raftsman_types::BrokerId, epoch| {
            !self.scenario.written || self.unregistering.get(&member.0) != Some(&epoch)
        };
        let may_lead = |member: &raftsman_types::BrokerId| {
            *member != me && image.broker_epoch(*member).is_some_and(|epoch| stays(member, epoch))
        };
        image
            .topics
            .values()
            .flat_map(|topic| topic.partitions.values())
            .all(|state| !state.has_replica(me) || state.isr.iter().chain(&state.elr).any(may_lead))
    }

    /// Whether every partition has somebody else who may lead, whose disk is not wiped either: losing all of them loses
    /// data, and may.
    pub(super) fn may_wipe(&mut self, id: i32) -> bool {
        let image = self.observer.image();
        let nodes = &self.nodes;
        self.wiped.retain(|wiped| !has_recovered(nodes.get(wiped), raftsman_types::BrokerId(*wiped), &image));
        if self.scenario.written || self.wiped.iter().any(|wiped| *wiped != id) {
            return false;
        }
        self.others_may_lead(id)
    }

    /// The broker's log directory is empty when it starts again.
    pub(super) fn wipe(&mut self, id: i32) {
        self.kill(id);
        self.wiped.insert(id);
        self.observer.log_starts.wiped(id);
        if let Some(node) = self.nodes.get_mut(&id) {
            node.log_disk = MemoryFs::new();
        }
    }

    pub(super) fn pause(&mut self, id: i32) {
        if let Some(node) = self.nodes.get_mut(&id)
            && node.backlog.is_none()
        {
            node.backlog = Some(Vec::new());
            self.fabric.paused(id);
        }
    }

    pub(super) fn resume(&mut self, id: i32) {
        let Some(backlog) = self.nodes.get_mut(&id).and_then(|node| node.backlog.take()) else { return };
        self.fabric.network.paused.remove(&id);
        for event in backlog {
            self.fabric.after(Duration::from_micros(1), event);
        }
    }

    pub(super) fn stall(&mut self, id: i32, stalled: bool) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.stalled = stalled;
        let Some(process) = &mut node.process else { return };
        process.broker.stall(stalled, &mut self.fabric);
        if let Some(controller) = &mut process.controller {
            controller.stall(stalled, &mut self.fabric);
        }
    }

    /// With `durability=written` no disk may fail and no broker be unregistered while what it has is all there is: until
    /// whoever lost power has everything again.
    pub(super) fn may_lose_replicas(&self, id: i32) -> bool {
        let image = self.observer.image();
        let is_whole = |cut: &i32| has_recovered(self.nodes.get(cut), raftsman_types::BrokerId(*cut), &image);
        !self.scenario.written || self.power_cuts.iter().all(|cut| *cut == id || is_whole(cut))
    }

    pub(super) fn inject(&mut self, id: i32, plan: FaultPlan) {
        if !self.may_lose_replicas(id) {
            return;
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.log_disk.inject(plan);
            self.failing_disks.insert(id, node.life);
        }
    }

    pub(super) fn set_drift(&mut self, id: i32, ppm: i64) {
        if let Some(node) = self.nodes.get(&id) {
            node.clock.set_drift(ppm);
        }
    }

    pub(super) fn move_clocks(&mut self, id: i32, wall_offset_ms: i64, leap: Duration) {
        if let Some(node) = self.nodes.get(&id) {
            node.clock.set_wall(wall_offset_ms);
            node.clock.leap(leap);
        }
    }

    /// Asks a process to stop in order, and lets it once the controller does or its patience ends.
    pub(super) fn stop_when_allowed(&mut self, id: i32, life: u64, until_ms: u64) {
        let overdue = self.fabric.now().0 / 1000 >= until_ms;
        let again = NemesisEvent::Stopping { node: id, life, until_ms };
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.life == life) else { return };
        if node.backlog.is_some() {
            // A stopped process hears of it when it goes on.
            return self.later(Duration::from_millis(50), again);
        }
        let Some(process) = &mut node.process else { return };
        if !process.broker.wants_shutdown(&mut self.fabric) && !overdue {
            return self.later(Duration::from_millis(50), again);
        }
        if let Some(process) = node.process.take() {
            let clean = process.broker.stop();
            self.fabric.trace.say(self.fabric.now(), || format!("node {id} stopped, clean: {clean}"));
        }
        self.kill(id);
        let wait = self.fabric.millis(5, 800);
        let life = self.life(id);
        self.later(wait, NemesisEvent::Start { node: id, life });
    }

    pub(super) fn network_well(&mut self) {
        self.fabric.network.lost_one_in = 0;
        self.fabric.network.repeated_one_in = 0;
        self.fabric.network.delay_us_max = 2000;
    }
}

/// Whether a broker runs with a directory that the cluster knows of, and has all replicas in it again. The image may be
/// older than what befell the broker, but not than the registration it runs under.
fn has_recovered(node: Option<&Node>, id: raftsman_types::BrokerId, image: &raftsman_metadata::MetadataImage) -> bool {
    let Some(process) = node.and_then(|node| node.process.as_ref()) else { return false };
    let directory = process.broker.directory();
    let broker_epoch = process.broker.replicas().broker_epoch();
    let knows_it = image
        .broker(id)
        .is_some_and(|broker| broker.broker_epoch == broker_epoch && broker.directories.contains(&directory));
    let mut replicas = image.topics.values().flat_map(|topic| topic.partitions.values()).filter(|p| p.has_replica(id));
    knows_it && replicas.all(|partition| partition.isr.contains(&id))
}
