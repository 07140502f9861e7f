use std::collections::BTreeMap;
use std::time::Duration;

use raftsman_controller::actor::NotDecided;
use raftsman_controller::decide::{Reply, Request};
use raftsman_types::BrokerId;

use super::BrokerProcess;
use crate::simulation::event::{ConnectionId, EndEvent, Endpoint, Frame, Timer};
use crate::simulation::fabric::Fabric;

/// Between two attempts to find the active controller.
const REDIAL: Duration = Duration::from_millis(30);

/// What a request to the controller is for.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    Register,
    AlterPartition,
    Places,
    Unregister,
    /// A client's, whose answer goes there.
    Forwarded {
        connection: ConnectionId,
        correlation: u64,
    },
}

/// Why a request got no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskFailure {
    /// No controller took it.
    NotTaken,
    /// It may take effect.
    Unknown,
}

#[derive(Debug)]
struct Ask {
    request: Request,
    purpose: Purpose,
    /// Whether it may be sent again after its outcome became unknown.
    repeats: bool,
    connection: Option<ConnectionId>,
    /// It was sent, on this connection or an earlier one, without an answer.
    sent: bool,
}

/// Requests to the active controller, whoever that is.
#[derive(Debug)]
pub(super) struct Asks {
    controllers: Vec<i32>,
    next: usize,
    active: Option<i32>,
    open: BTreeMap<u64, Ask>,
    connections: BTreeMap<ConnectionId, u64>,
    /// Connections that carry one report and close.
    reports: BTreeMap<ConnectionId, BrokerId>,
}

impl Asks {
    pub fn new(controllers: &[i32]) -> Asks {
        Asks {
            controllers: controllers.to_vec(),
            next: 0,
            active: None,
            open: BTreeMap::new(),
            connections: BTreeMap::new(),
            reports: BTreeMap::new(),
        }
    }

    pub fn is_of(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection) || self.reports.contains_key(&connection)
    }

    /// The controller believed active, else each in turn.
    pub fn target(&mut self) -> i32 {
        self.active.unwrap_or_else(|| {
            self.next = (self.next + 1) % self.controllers.len();
            self.controllers[self.next]
        })
    }

    pub fn answered(&mut self, controller: i32) {
        self.active = Some(controller);
    }

    pub fn disproved(&mut self) {
        self.active = None;
    }
}

impl BrokerProcess {
    /// Asks the active controller for something; what becomes of it comes to `answered`.
    pub(super) fn ask(
        &mut self,
        request: Request,
        purpose: Purpose,
        (timeout, repeats): (Duration, bool),
        fabric: &mut Fabric,
    ) {
        let id = fabric.next_number();
        self.asks.open.insert(id, Ask { request, purpose, repeats, connection: None, sent: false });
        self.set_timer(fabric, timeout, Timer::AskGivenUp(id));
        self.attempt(id, fabric);
    }

    pub(super) fn attempt(&mut self, id: u64, fabric: &mut Fabric) {
        let target = self.asks.target();
        let Some(ask) = self.asks.open.get_mut(&id).filter(|ask| ask.connection.is_none()) else { return };
        let connection = fabric.dial(Endpoint::Broker(self.setup.node), self.setup.life, Endpoint::Controller(target));
        ask.connection = Some(connection);
        self.asks.connections.insert(connection, id);
    }

    pub(super) fn ask_event(&mut self, connection: ConnectionId, what: EndEvent, fabric: &mut Fabric) {
        if let Some(unreachable) = self.asks.reports.remove(&connection) {
            if matches!(what, EndEvent::Connected) {
                fabric.send(connection, self.me(), Frame::PeerReport { unreachable });
                fabric.close(connection, self.me());
            }
            return;
        }
        let Some(id) = self.asks.connections.get(&connection).copied() else { return };
        let me = self.me();
        let Some(ask) = self.asks.open.get_mut(&id).filter(|ask| ask.connection == Some(connection)) else {
            self.asks.connections.remove(&connection);
            return;
        };
        match what {
            EndEvent::Connected => {
                ask.sent = true;
                let request = ask.request.clone();
                fabric.send(connection, me, Frame::Ask(Box::new(request)));
            }
            EndEvent::NotConnected { .. } => self.again(id, connection, fabric),
            EndEvent::Closed => self.no_answer(id, connection, fabric),
            EndEvent::Frame(Frame::Answer(answer)) => {
                let peer = fabric.peer(connection, me);
                fabric.close(connection, me);
                self.asks.connections.remove(&connection);
                match answer {
                    Ok(reply) => {
                        if let Some(Endpoint::Controller(controller)) = peer {
                            self.asks.answered(controller);
                        }
                        self.asks.open.remove(&id).into_iter().for_each(|ask| {
                            self.answered(ask.purpose, Ok(reply.clone()), fabric);
                        });
                    }
                    Err(NotDecided::Unknown) => self.no_answer(id, connection, fabric),
                    Err(NotDecided::NotActive | NotDecided::Overloaded) => {
                        if ask_is_single(&self.asks, id) {
                            self.unsent(id);
                        }
                        self.again(id, connection, fabric);
                    }
                }
            }
            EndEvent::Frame(_) => {}
        }
    }

    /// The controller said that it did nothing: what was sent there counts no more.
    fn unsent(&mut self, id: u64) {
        if let Some(ask) = self.asks.open.get_mut(&id) {
            ask.sent = false;
        }
    }

    fn no_answer(&mut self, id: u64, connection: ConnectionId, fabric: &mut Fabric) {
        let repeats = self.asks.open.get(&id).is_some_and(|ask| ask.repeats || !ask.sent);
        if repeats {
            self.again(id, connection, fabric);
        } else if let Some(ask) = self.asks.open.remove(&id) {
            self.asks.connections.remove(&connection);
            self.asks.disproved();
            self.answered(ask.purpose, Err(AskFailure::Unknown), fabric);
        }
    }

    fn again(&mut self, id: u64, connection: ConnectionId, fabric: &mut Fabric) {
        self.asks.connections.remove(&connection);
        self.asks.disproved();
        if let Some(ask) = self.asks.open.get_mut(&id) {
            ask.connection = None;
            self.set_timer(fabric, REDIAL, Timer::AskAgain(id));
        }
    }

    pub(super) fn give_up(&mut self, id: u64, fabric: &mut Fabric) {
        let Some(ask) = self.asks.open.remove(&id) else { return };
        if let Some(connection) = ask.connection {
            self.asks.connections.remove(&connection);
            fabric.close(connection, self.me());
        }
        self.asks.disproved();
        let failure = if ask.sent { AskFailure::Unknown } else { AskFailure::NotTaken };
        self.answered(ask.purpose, Err(failure), fabric);
    }

    fn answered(&mut self, purpose: Purpose, answer: Result<Reply, AskFailure>, fabric: &mut Fabric) {
        match purpose {
            Purpose::Register => self.registration_answered(answer, fabric),
            Purpose::AlterPartition => self.isr_answered(answer),
            Purpose::Places => self.places_said(answer),
            Purpose::Unregister => {}
            Purpose::Forwarded { connection, correlation } => self.forwarded(connection, correlation, answer, fabric),
        }
    }

    /// Tells the controller of brokers that streams were lost to.
    pub(super) fn send_reports(&mut self, fabric: &mut Fabric) {
        for unreachable in self.link.take_unreachable() {
            let target = self.asks.target();
            let connection = fabric.dial(self.me(), self.setup.life, Endpoint::Controller(target));
            self.asks.reports.insert(connection, unreachable);
        }
    }
}

/// Whether nothing was sent before that may still take effect.
fn ask_is_single(asks: &Asks, id: u64) -> bool {
    asks.open.get(&id).is_some_and(|ask| !ask.repeats)
}
