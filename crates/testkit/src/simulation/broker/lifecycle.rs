use std::collections::VecDeque;
use std::time::Duration;

use raftsman_broker::replica::{IsrChange, IsrChangeFailure, IsrChangeResult};
use raftsman_controller::decide::{
    AlterPartition, AssignDirectories, BrokerReference, DirectoryAssignment, PartitionIsr, RegisterBroker, Reply,
    Request,
};
use raftsman_controller::heartbeat::Heartbeat;
use raftsman_metadata::{Listener, features};
use raftsman_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, MonotonicTime, TopicIdPartition};

use super::BrokerProcess;
use super::asks::{AskFailure, Purpose};
use crate::simulation::controller::FIRST_PORT;
use crate::simulation::event::{ConnectionId, EndEvent, Endpoint, Frame, Timer};
use crate::simulation::fabric::Fabric;

const HEARTBEAT: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_millis(50);
const REGISTER_TIMEOUT: Duration = Duration::from_millis(2000);
const ISR_TIMEOUT: Duration = Duration::from_millis(4000);
/// Heartbeats on the way without an answer before a stream counts as stuck.
const UNANSWERED_MAX: usize = 32;

/// How far a broker is into the cluster.
#[derive(Debug)]
pub(super) struct Lifecycle {
    clean_shutdown_epoch: BrokerEpoch,
    damaged: Vec<TopicIdPartition>,
    broker_epoch: BrokerEpoch,
    registered: bool,
    pub unfenced: bool,
    pub wants_shutdown: bool,
    pub may_shut_down: bool,
    session: Option<Session>,
    heartbeats_run: bool,
}

#[derive(Debug)]
struct Session {
    connection: ConnectionId,
    stands: bool,
    unanswered: VecDeque<MonotonicTime>,
    last_reply: MonotonicTime,
}

impl Lifecycle {
    pub fn new(clean_shutdown_epoch: BrokerEpoch, damaged: Vec<TopicIdPartition>) -> Lifecycle {
        Lifecycle {
            clean_shutdown_epoch,
            damaged,
            broker_epoch: BrokerEpoch::NONE,
            registered: false,
            unfenced: false,
            wants_shutdown: false,
            may_shut_down: false,
            session: None,
            heartbeats_run: false,
        }
    }

    pub fn is_session(&self, connection: ConnectionId) -> bool {
        self.session.as_ref().is_some_and(|session| session.connection == connection)
    }
}

impl BrokerProcess {
    /// Wants to stop in order; true once it may.
    pub fn wants_shutdown(&mut self, fabric: &mut Fabric) -> bool {
        if !std::mem::replace(&mut self.lifecycle.wants_shutdown, true) {
            self.beat(fabric);
        }
        self.lifecycle.may_shut_down
    }

    /// Whether the cluster counts on this broker, as far as it knows.
    pub fn is_unfenced(&self) -> bool {
        self.lifecycle.unfenced
    }

    pub(super) fn sender(&self) -> BrokerReference {
        BrokerReference { broker: BrokerId(self.setup.node), broker_epoch: self.lifecycle.broker_epoch }
    }

    pub(super) fn register(&mut self, fabric: &mut Fabric) {
        // A process that registers again was never down: its last epoch says so like a clean stop's.
        let again = self.lifecycle.broker_epoch != BrokerEpoch::NONE;
        let offline = self.link.offline();
        let missing = self.replicas.manager().missing();
        let request = RegisterBroker {
            broker: BrokerId(self.setup.node),
            incarnation: self.setup.incarnation,
            listeners: vec![Listener {
                name: "PLAINTEXT".into(),
                host: format!("n{}", self.setup.node).into(),
                port: FIRST_PORT + self.setup.node as u16,
                security_protocol: 0,
            }],
            inter_broker_listener: "PLAINTEXT".into(),
            rack: None,
            directories: [self.directory].into_iter().filter(|id| !offline.contains(id)).collect(),
            offline_directories: usize::from(offline.contains(&self.directory)),
            features: features::SUPPORTED.iter().map(|(name, low, high)| ((*name).into(), *low, *high)).collect(),
            boot_id: self.setup.boot_id.clone(),
            clean_shutdown_epoch: if again { self.lifecycle.broker_epoch } else { self.lifecycle.clean_shutdown_epoch },
            min_insync_replicas: None,
            damaged: if again { missing.gone.into_iter().collect() } else { self.lifecycle.damaged.clone() },
            missing: missing.never_made.into_iter().collect(),
            log_durability: self.setup.durability,
        };
        self.ask(Request::RegisterBroker(request), Purpose::Register, (REGISTER_TIMEOUT, true), fabric);
    }

    pub(super) fn registration_answered(&mut self, answer: Result<Reply, AskFailure>, fabric: &mut Fabric) {
        let Ok(Reply::RegisterBroker(Ok(registered))) = answer else {
            return self.set_timer(fabric, RETRY, Timer::Register);
        };
        fabric.trace.say(fabric.now(), || format!("broker {} registered: {registered:?}", self.setup.node));
        self.lifecycle.broker_epoch = registered.broker_epoch;
        self.lifecycle.registered = true;
        self.replicas.manager().registered(registered.broker_epoch);
        if !std::mem::replace(&mut self.lifecycle.heartbeats_run, true) {
            self.set_timer(fabric, HEARTBEAT, Timer::Heartbeat);
        }
        self.open_session(fabric);
    }

    fn open_session(&mut self, fabric: &mut Fabric) {
        let target = self.asks.target();
        let connection = fabric.dial(self.me(), self.setup.life, Endpoint::Controller(target));
        let last_reply = self.now();
        self.lifecycle.session = Some(Session { connection, stands: false, unanswered: VecDeque::new(), last_reply });
    }

    pub(super) fn session_event(&mut self, what: EndEvent, fabric: &mut Fabric) {
        let now = self.now();
        let Some(session) = &mut self.lifecycle.session else { return };
        match what {
            EndEvent::Connected => {
                session.stands = true;
                session.last_reply = now;
                self.beat(fabric);
            }
            EndEvent::NotConnected { .. } | EndEvent::Closed => self.session_lost(),
            EndEvent::Frame(Frame::HeartbeatReply(reply)) => {
                session.last_reply = now;
                let connection = session.connection;
                let sent = session.unanswered.pop_front();
                match reply.error {
                    ErrorCode::None => {}
                    ErrorCode::StaleBrokerEpoch | ErrorCode::BrokerIdNotRegistered => {
                        return self.register_again(connection, fabric);
                    }
                    _ => {
                        fabric.close(connection, self.me());
                        return self.session_lost();
                    }
                }
                if let Some(Endpoint::Controller(controller)) = fabric.peer(connection, self.me()) {
                    self.asks.answered(controller);
                }
                if let Some(sent) = sent {
                    self.replicas.controller_heard(sent, reply.fenced);
                }
                self.lifecycle.unfenced = !reply.fenced;
                self.lifecycle.may_shut_down |= reply.may_shut_down;
            }
            EndEvent::Frame(_) => {}
        }
    }

    fn register_again(&mut self, session: ConnectionId, fabric: &mut Fabric) {
        fabric.close(session, self.me());
        self.lifecycle.session = None;
        self.lifecycle.unfenced = false;
        self.lifecycle.registered = false;
        self.register(fabric);
    }

    /// The next heartbeat looks for another controller.
    fn session_lost(&mut self) {
        self.lifecycle.session = None;
        self.asks.disproved();
    }

    pub(super) fn heartbeat_is_due(&mut self, fabric: &mut Fabric) {
        self.set_timer(fabric, HEARTBEAT, Timer::Heartbeat);
        if !self.lifecycle.registered {
            return;
        }
        let now = self.now();
        match &self.lifecycle.session {
            None => self.open_session(fabric),
            Some(session) if now.since(session.last_reply) > self.setup.session_timeout => {
                fabric.close(session.connection, self.me());
                self.session_lost();
                self.open_session(fabric);
            }
            Some(_) => self.beat(fabric),
        }
    }

    /// Sends a heartbeat if there is a session.
    pub(super) fn beat(&mut self, fabric: &mut Fabric) {
        let now = self.now();
        if self.replicas.manager().has_missing()
            && let Some(session) = self.lifecycle.session.as_ref().filter(|session| session.stands)
        {
            return self.register_again(session.connection, fabric);
        }
        let heartbeat = Heartbeat {
            sender: self.sender(),
            metadata_version: self.published.version,
            wants_fence: self.replicas.manager().has_stalled_disk(),
            wants_shutdown: self.lifecycle.wants_shutdown,
            offline_directories: self.link.offline().into_iter().collect(),
        };
        let me = self.me();
        let Some(session) = self.lifecycle.session.as_mut().filter(|session| session.stands) else { return };
        if session.unanswered.len() < UNANSWERED_MAX {
            session.unanswered.push_back(now);
            fabric.send(session.connection, me, Frame::Heartbeat(heartbeat));
        }
    }

    pub(super) fn ask_for_isr(&mut self, fabric: &mut Fabric) {
        if self.isr.is_some() {
            return;
        }
        let Some(request) = self.replicas.isr_request() else { return };
        let partitions = request.changes().into_iter().map(partition_isr).collect();
        self.isr = Some(request);
        let request = Request::AlterPartition(AlterPartition { sender: self.sender(), partitions });
        self.ask(request, Purpose::AlterPartition, (ISR_TIMEOUT, false), fabric);
    }

    /// Tells the controller where replicas are, as long as there is something to tell.
    pub(super) fn say_places(&mut self, fabric: &mut Fabric) {
        let places = self.link.places();
        if self.places.is_some() || places.is_empty() {
            return;
        }
        let failed = self.link.offline();
        let assignment = |(at, directory): (&TopicIdPartition, &DirectoryId)| DirectoryAssignment {
            directory: *directory,
            partitions: vec![*at],
            failed: failed.contains(directory),
        };
        let request = AssignDirectories { sender: self.sender(), assignments: places.iter().map(assignment).collect() };
        self.places = Some(places);
        self.ask(Request::AssignDirectories(request), Purpose::Places, (ISR_TIMEOUT, false), fabric);
    }

    /// Without an answer they are told again.
    pub(super) fn places_said(&mut self, answer: Result<Reply, AskFailure>) {
        let said = self.places.take().unwrap_or_default();
        if let Ok(Reply::Done(Ok(()))) = answer {
            self.link.placed(&said);
        }
    }

    pub(super) fn isr_answered(&mut self, answer: Result<Reply, AskFailure>) {
        let Some(request) = self.isr.take() else { return };
        let answer = match answer {
            Ok(Reply::AlterPartition(Ok(results))) => {
                Ok(results.into_iter().map(|result| IsrChangeResult { at: result.at, error: result.error }).collect())
            }
            Ok(Reply::AlterPartition(Err(error))) => Err(IsrChangeFailure::NotTaken(error.to_string())),
            Ok(_) | Err(AskFailure::Unknown) => Err(IsrChangeFailure::Unknown("no answer".to_owned())),
            Err(AskFailure::NotTaken) => Err(IsrChangeFailure::NotTaken("no active controller".to_owned())),
        };
        request.answered(answer);
    }
}

fn partition_isr(change: IsrChange) -> PartitionIsr {
    let member = |(broker, broker_epoch)| BrokerReference { broker, broker_epoch };
    PartitionIsr {
        at: change.at,
        leader_epoch: change.leader_epoch,
        partition_epoch: change.partition_epoch,
        new_isr: change.new_isr.into_iter().map(member).collect(),
        recovered: change.recovered,
    }
}
