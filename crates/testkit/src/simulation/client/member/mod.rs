//! A member of a classic consumer group, modelled on what librdkafka and the Java client do: joins, leads and syncs (`joining`),
//! reads from where the group is and commits (`reading`).

mod joining;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raftsman_coordinator::{Reply, Request};
use raftsman_protocol::Str;
use raftsman_types::{ErrorCode, LeaderEpoch, Offset};

use super::ClientContext;
use super::links::{Heard, Links};
use crate::simulation::event::{ClientRequest, ClientResponse, ClientTimer, ConnectionId, EndEvent, Event};
use crate::simulation::invariants::{Checked, LoggedCommit};
use crate::simulation::time::SimTime;

const TIMEOUT: Duration = Duration::from_millis(1500);

/// What a member does.
#[derive(Debug, Clone)]
pub(in crate::simulation) struct MemberSetup {
    pub id: i32,
    pub brokers: i32,
    pub group: Str,
    pub topic: Arc<str>,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub commit_interval: Duration,
    /// It leaves or vanishes about once in so many of its steps.
    pub stays: u32,
}

/// A member of a group that reads one topic.
#[derive(Debug)]
pub(in crate::simulation) struct Member {
    setup: MemberSetup,
    links: Links,
    coordinator: Option<i32>,
    stage: Stage,
    member_id: Str,
    generation: i32,
    /// Of how many partitions it shared out the topic, if it leads its generation.
    assigned_of: Option<usize>,
    owned: BTreeMap<i32, Position>,
    asked: BTreeMap<u64, Asked>,
    heartbeat_at: SimTime,
    commit_at: SimTime,
    /// After something failed nothing is asked of the coordinator before.
    patient_until: SimTime,
    /// It asks where the group is although it knows.
    looks_again: bool,
    /// It joins again as soon as its commit is answered.
    rejoins: bool,
    commits: u64,
}

/// How far it is into the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It stays away until then.
    Away(SimTime),
    /// It wants to join, or waits for the end of the join phase or its assignment.
    Joining,
    Member,
}

/// Where it is in a partition it owns.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    /// The next offset to read, once it is known.
    next: Option<Offset>,
    committed: Option<Offset>,
    /// The newest leader epoch the group has read in: no older leader is asked (KIP-320).
    epoch: i32,
    /// There was nothing more: it asks again at its next step.
    is_at_end: bool,
}

/// What was asked and not answered yet.
#[derive(Debug)]
enum Asked {
    Coordinator,
    Join,
    Sync,
    Heartbeat,
    Leave,
    Commit {
        generation: i32,
        text: Str,
        positions: Vec<(i32, Offset)>,
    },
    /// With what had been told of each partition before.
    Offsets {
        generation: i32,
        known: Vec<(i32, Option<LoggedCommit>)>,
    },
    Fetch {
        partition: i32,
        epoch: LeaderEpoch,
    },
}

impl Member {
    pub fn new(setup: MemberSetup) -> Member {
        Member {
            links: Links::new(setup.id, setup.brokers),
            setup,
            coordinator: None,
            stage: Stage::Joining,
            member_id: Str::default(),
            generation: -1,
            assigned_of: None,
            owned: BTreeMap::new(),
            asked: BTreeMap::new(),
            heartbeat_at: SimTime::default(),
            commit_at: SimTime::default(),
            patient_until: SimTime::default(),
            looks_again: false,
            rejoins: false,
            commits: 0,
        }
    }

    pub fn timer(&mut self, timer: ClientTimer, context: &mut ClientContext<'_>) {
        match timer {
            ClientTimer::Work => {
                self.looks_again |= context.fabric.one_in(40);
                self.owned.values_mut().for_each(|position| position.is_at_end = false);
                let pause = context.fabric.millis(5, 90);
                context.fabric.after(pause, Event::Client { client: self.setup.id, what: ClientTimer::Work });
                let unknown = !self.links.topics().any(|(name, _, _)| *name == self.setup.topic);
                if unknown || context.fabric.one_in(20) {
                    self.links.refresh(context.fabric);
                }
                if self.stage == Stage::Member {
                    self.look_at_topic();
                }
                if !context.calm && self.stage == Stage::Member && context.fabric.one_in(self.setup.stays) {
                    self.go(context);
                }
            }
            ClientTimer::GivenUp(connection, correlation) => {
                let lost = self.links.given_up(connection, correlation, context.fabric);
                self.lost(&lost);
            }
        }
        self.work(context);
    }

    pub fn end_event(&mut self, connection: ConnectionId, what: EndEvent, context: &mut ClientContext<'_>) -> Checked {
        let checked = match self.links.end_event(connection, what) {
            Heard::Nothing | Heard::GoOn => Ok(()),
            Heard::Lost(lost) => {
                self.lost(&lost);
                Ok(())
            }
            Heard::Answer { correlation, response } => match self.asked.remove(&correlation) {
                Some(asked) => self.answered(asked, response, context),
                None => Ok(()),
            },
        };
        self.work(context);
        checked
    }

    fn work(&mut self, context: &mut ClientContext<'_>) {
        match self.stage {
            Stage::Away(until) if context.fabric.now() < until && !context.calm => return,
            Stage::Away(_) => self.stage = Stage::Joining,
            Stage::Joining | Stage::Member => {}
        }
        let is_patient = context.fabric.now() < self.patient_until;
        if self.coordinator.is_none() && !is_patient && !self.waits_for(|asked| matches!(asked, Asked::Coordinator)) {
            let broker = context.fabric.between(1, self.setup.brokers as u64 + 1) as i32;
            let request = ClientRequest::FindCoordinator(self.setup.group.clone());
            self.ask(broker, request, TIMEOUT, Asked::Coordinator, context);
        }
        match self.stage {
            Stage::Away(_) => {}
            Stage::Joining if is_patient => {}
            Stage::Joining => self.join(context),
            Stage::Member => self.stay(context),
        }
    }

    fn waits_for(&self, is_it: impl Fn(&Asked) -> bool) -> bool {
        self.asked.values().any(is_it)
    }

    fn ask(
        &mut self,
        broker: i32,
        request: ClientRequest,
        timeout: Duration,
        asked: Asked,
        context: &mut ClientContext<'_>,
    ) -> bool {
        let correlation = self.links.ask(broker, request, timeout, context.fabric);
        correlation.map(|correlation| self.asked.insert(correlation, asked)).is_some()
    }

    /// Asks the coordinator, if it is known.
    fn ask_coordinator(
        &mut self,
        request: Request,
        timeout: Duration,
        asked: Asked,
        context: &mut ClientContext<'_>,
    ) -> bool {
        let Some(coordinator) = self.coordinator else { return false };
        self.ask(coordinator, ClientRequest::Group(Box::new(request)), timeout, asked, context)
    }

    fn lost(&mut self, correlations: &[u64]) {
        for correlation in correlations {
            match self.asked.remove(correlation) {
                None | Some(Asked::Coordinator | Asked::Fetch { .. }) => {}
                Some(_) => self.coordinator = None,
            }
        }
    }

    fn back_off(&mut self, context: &mut ClientContext<'_>) {
        self.patient_until = context.fabric.now() + context.fabric.millis(20, 150);
    }

    fn answered(&mut self, asked: Asked, response: ClientResponse, context: &mut ClientContext<'_>) -> Checked {
        let id = self.setup.id;
        match response {
            ClientResponse::Coordinator(coordinator) => {
                self.coordinator = coordinator;
                if coordinator.is_none() {
                    self.back_off(context);
                }
                Ok(())
            }
            ClientResponse::Fetched(result) => {
                if let Asked::Fetch { partition, epoch } = asked {
                    self.fetched(partition, epoch, result, context);
                }
                Ok(())
            }
            ClientResponse::Group(reply) => {
                context.fabric.trace.say(context.fabric.now(), || format!("member {id}: {asked:?} got {reply:?}"));
                self.coordinator_says(asked, *reply, context)
            }
            _ => Ok(()),
        }
    }

    fn coordinator_says(&mut self, asked: Asked, reply: Reply, context: &mut ClientContext<'_>) -> Checked {
        match (asked, reply) {
            (Asked::Join, Reply::JoinGroup(joined)) => self.joined(&joined, context),
            (Asked::Sync, Reply::SyncGroup(synced)) => self.synced(&synced, context),
            (Asked::Heartbeat, Reply::Heartbeat(answer)) => {
                self.heed(ErrorCode::from_code(answer.error_code), context);
                Ok(())
            }
            (Asked::Commit { generation, text, positions }, Reply::OffsetCommit(answer)) => {
                self.committed(generation, &text, &positions, &answer, context)
            }
            (Asked::Offsets { generation, known }, Reply::OffsetFetch(answer)) => {
                self.told_offsets(generation, &known, &answer, context)
            }
            _ => Ok(()),
        }
    }
}
