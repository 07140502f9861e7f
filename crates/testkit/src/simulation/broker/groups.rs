use std::sync::Arc;
use std::time::Duration;

use raftsman_broker::coordinator::Asker;
use raftsman_broker::coordinator::stepped::{Question, SteppedCoordinator};
use raftsman_coordinator::{CoordinatorConfig, Request, partition_for};
use raftsman_metadata::{MetadataDelta, MetadataImage};
use raftsman_protocol::Str;
use raftsman_types::{BrokerId, MonotonicTime};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{BrokerProcess, BrokerSetup};
use crate::simulation::event::{ClientResponse, ConnectionId, Endpoint, Frame, Timer};
use crate::simulation::fabric::Fabric;
use crate::simulation::invariants::OFFSETS_TOPIC;
use raftsman_broker::replica::Clock;
use raftsman_broker::replica::stepped::SteppedReplicas;

/// `offsets.commit.timeout.ms`.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1500);
/// The version of every request: member ids are given out before members join (KIP-394), topics named by name.
const VERSION: i16 = 5;

/// A broker's group coordinator, and what tasks do around it in a process.
pub(super) struct Groups {
    pub coordinator: SteppedCoordinator,
    questions: Vec<(ConnectionId, u64, Question)>,
    /// The metadata as the coordinator knows it: it hears of it after the replicas.
    told: Arc<MetadataImage>,
    telling_is_due: bool,
    load_is_due: bool,
    /// When a timer comes up.
    wakes_at: Option<MonotonicTime>,
}

impl Groups {
    pub fn new(setup: &BrokerSetup, replicas: &SteppedReplicas) -> Groups {
        let config = CoordinatorConfig {
            initial_rebalance_delay: Duration::from_millis(200),
            min_session_timeout_ms: 100,
            ..CoordinatorConfig::default()
        };
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(&setup.incarnation.0.0);
        let rng = StdRng::from_seed(seed);
        let clock = Arc::clone(&setup.clock) as Arc<dyn Clock>;
        let me = BrokerId(setup.node);
        Groups {
            coordinator: SteppedCoordinator::new(config, ANSWER_TIMEOUT, me, replicas, clock, rng),
            questions: Vec::new(),
            told: Arc::default(),
            telling_is_due: false,
            load_is_due: false,
            wakes_at: None,
        }
    }

    /// Nobody waits for answers on this connection any more.
    pub fn closed(&mut self, connection: ConnectionId) {
        self.questions.retain(|(of, _, _)| *of != connection);
    }
}

impl BrokerProcess {
    /// Its coordinator, for whoever checks what must hold.
    pub fn coordinator(&self) -> &SteppedCoordinator {
        &self.groups.coordinator
    }

    /// The replicas know of new metadata. The coordinator hears of it next, on the same thread: others run in between.
    pub(super) fn tell_groups_soon(&mut self, fabric: &mut Fabric) {
        if self.published.topic_by_name(OFFSETS_TOPIC).is_none() {
            return self.tell_groups();
        }
        if !std::mem::replace(&mut self.groups.telling_is_due, true) {
            let us = if fabric.one_in(10) { fabric.between(500, 30_000) } else { fabric.between(5, 300) };
            self.set_timer(fabric, Duration::from_micros(us), Timer::TellGroups);
        }
    }

    pub(super) fn tell_groups(&mut self) {
        self.groups.telling_is_due = false;
        if self.groups.told.version != self.published.version {
            let delta = MetadataDelta::between(&self.groups.told, &self.published);
            self.groups.coordinator.publish(&delta, &self.published);
            self.groups.told = Arc::clone(&self.published);
        }
    }

    /// The broker that coordinates a group, as far as this one knows.
    pub(super) fn coordinator_of(&self, group: &str) -> Option<i32> {
        let topic = self.published.topic_by_name(OFFSETS_TOPIC)?;
        let index = partition_for(group, topic.partitions.len() as i32);
        topic.partition(index)?.leader.map(|leader| leader.0)
    }

    pub(super) fn group_asks(
        &mut self,
        connection: ConnectionId,
        correlation: u64,
        request: Request,
        fabric: &mut Fabric,
    ) {
        let host = match fabric.peer(connection, self.me()) {
            Some(Endpoint::Client(client)) => format!("c{client}"),
            _ => return,
        };
        let client_host = Str::from(format!("/{host}"));
        let asker = Asker { version: VERSION, client_id: Str::from(host), client_host };
        let question = self.groups.coordinator.ask(&asker, request);
        self.groups.questions.push((connection, correlation, question));
    }

    /// What the coordinator has in line is looked at.
    pub(super) fn tend_groups(&mut self, fabric: &mut Fabric) {
        self.groups.coordinator.take_up_commits(&self.replicas);
        let (now, me) = (self.now(), self.me());
        self.groups.questions.retain_mut(|(connection, correlation, question)| {
            let Some(reply) = question.poll(now) else { return true };
            let response = ClientResponse::Group(Box::new(reply));
            fabric.send(*connection, me, Frame::Response { correlation: *correlation, response });
            false
        });
        if self.groups.coordinator.wants_load() && !std::mem::replace(&mut self.groups.load_is_due, true) {
            let us = if fabric.one_in(10) { fabric.between(5_000, 100_000) } else { fabric.between(50, 5_000) };
            self.set_timer(fabric, Duration::from_micros(us), Timer::LoadGroups);
        }
        self.wake_for_groups(fabric);
    }

    fn wake_for_groups(&mut self, fabric: &mut Fabric) {
        let Some(due) = self.groups.coordinator.next_deadline() else { return };
        if self.groups.wakes_at.is_none_or(|wakes| due < wakes) {
            self.groups.wakes_at = Some(due);
            let wait = due.since(self.now()) + Duration::from_millis(1);
            self.set_timer(fabric, wait, Timer::Groups);
        }
    }

    pub(super) fn load_groups(&mut self) {
        self.groups.load_is_due = false;
        self.groups.coordinator.load(&self.replicas);
    }

    pub(super) fn groups_are_due(&mut self) {
        self.groups.wakes_at = None;
        self.groups.coordinator.tick();
    }
}
