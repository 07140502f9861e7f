use std::time::Duration;

use raftsman_broker::replica::stepped::FollowerStream;
use raftsman_rpc::replica as pb;
use raftsman_types::{BrokerId, MonotonicTime};

use super::BrokerProcess;
use crate::simulation::controller::FIRST_PORT;
use crate::simulation::event::{ConnectionId, EndEvent, Endpoint, Frame, Timer};
use crate::simulation::fabric::Fabric;

const FIRST_BACKOFF: Duration = Duration::from_millis(2);
const BACKOFF_MAX: Duration = Duration::from_millis(50);
/// A leader that stays away is reported again this often.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// The stream to one leader.
pub(super) struct Outgoing {
    connection: Option<ConnectionId>,
    stream: Option<FollowerStream>,
    stands: bool,
    backoff: Duration,
    waits: bool,
    retry_is_due: bool,
    reported: Option<MonotonicTime>,
}

impl BrokerProcess {
    pub(super) fn leader_of(&self, connection: ConnectionId) -> Option<BrokerId> {
        self.streams.iter().find(|(_, out)| out.connection == Some(connection)).map(|(leader, _)| *leader)
    }

    /// Dials leaders that are wanted, gives up connections that are superseded, and sends what there is to say.
    pub(super) fn tend_streams(&mut self, fabric: &mut Fabric) {
        for wanted in self.replicas.wanted_streams() {
            let out = self.streams.entry(wanted.leader).or_insert_with(Outgoing::new);
            if out.connection.is_none() && !out.waits {
                self.dial_leader(wanted.leader, fabric);
            }
        }
        let leaders: Vec<BrokerId> = self.streams.keys().copied().collect();
        for leader in leaders {
            self.tend_stream(leader, fabric);
        }
        let me = self.me();
        for (connection, stream) in &self.accepted {
            while let Some(frame) = stream.next_frame() {
                fabric.send(*connection, me, Frame::ToFollower(frame));
            }
        }
    }

    fn tend_stream(&mut self, leader: BrokerId, fabric: &mut Fabric) {
        let me = self.me();
        let Some(out) = self.streams.get_mut(&leader) else { return };
        let (Some(stream), Some(connection)) = (&out.stream, out.connection) else { return };
        if stream.is_superseded() {
            fabric.close(connection, me);
            out.ended();
            return self.dial_leader(leader, fabric);
        }
        if !out.says() {
            return;
        }
        while let Some(frame) = stream.next_frame() {
            fabric.send(connection, me, Frame::ToLeader(frame));
        }
        if let Some(at) = stream.retry_at()
            && !std::mem::replace(&mut out.retry_is_due, true)
        {
            let wait = at.since(self.now());
            self.set_timer(fabric, wait, Timer::Retry(leader));
        }
    }

    pub(super) fn dial_is_due(&mut self, leader: BrokerId, fabric: &mut Fabric) {
        if let Some(out) = self.streams.get_mut(&leader) {
            out.waits = false;
            if out.connection.is_none() {
                self.dial_leader(leader, fabric);
            }
        }
    }

    fn dial_leader(&mut self, leader: BrokerId, fabric: &mut Fabric) {
        let Some(target) = self.replicas.wanted_streams().into_iter().find(|wanted| wanted.leader == leader) else {
            return;
        };
        let Some(stream) = self.replicas.dial(leader) else { return };
        let target = Endpoint::Broker(i32::from(target.port) - i32::from(FIRST_PORT));
        let connection = fabric.dial(self.me(), self.setup.life, target);
        if let Some(out) = self.streams.get_mut(&leader) {
            out.stream = Some(stream);
            out.connection = Some(connection);
            out.stands = false;
        }
    }

    pub(super) fn stream_event(&mut self, leader: BrokerId, what: EndEvent, fabric: &mut Fabric) {
        let now = self.now();
        let me = self.me();
        let Some(out) = self.streams.get_mut(&leader) else { return };
        let Some(stream) = &mut out.stream else { return };
        match what {
            EndEvent::Connected => {
                // The hello goes out with the request that opens the stream.
                if let (Some(connection), Some(frame)) = (out.connection, stream.next_frame()) {
                    fabric.send(connection, me, Frame::ToLeader(frame));
                }
            }
            EndEvent::Frame(Frame::Accepted) => {
                out.stands = true;
                stream.stands();
            }
            EndEvent::Frame(Frame::ToFollower(frame)) => stream.take_in(frame),
            EndEvent::Frame(_) => {}
            EndEvent::NotConnected { .. } | EndEvent::Closed => {
                let stood = out.stands;
                out.backoff = if stood { Duration::ZERO } else { (out.backoff * 2).clamp(FIRST_BACKOFF, BACKOFF_MAX) };
                if stood || out.reported.is_none_or(|at| now.since(at) >= REPORT_INTERVAL) {
                    out.reported = Some(now);
                    raftsman_broker::replica::ControllerLink::report_unreachable(&*self.link, leader);
                }
                out.ended();
                out.waits = true;
                let backoff = out.backoff;
                self.set_timer(fabric, backoff, Timer::DialLeader(leader));
            }
        }
    }

    pub(super) fn retry(&mut self, leader: BrokerId, fabric: &mut Fabric) {
        let now = self.now();
        let Some(out) = self.streams.get_mut(&leader) else { return };
        out.retry_is_due = false;
        if let Some(stream) = &mut out.stream
            && stream.retry_at().is_some_and(|at| now >= at)
        {
            stream.retry();
        }
        self.tend_stream(leader, fabric);
    }

    /// A follower's frame came.
    pub(super) fn follower_says(&mut self, connection: ConnectionId, frame: pb::FollowerFrame, fabric: &mut Fabric) {
        if let Some(stream) = self.accepted.get(&connection) {
            stream.take_in(frame);
            return;
        }
        match self.replicas.accept(frame) {
            Ok(stream) => {
                fabric.send(connection, self.me(), Frame::Accepted);
                self.accepted.insert(connection, stream);
            }
            Err(_) => fabric.close(connection, self.me()),
        }
    }
}

impl Outgoing {
    fn new() -> Outgoing {
        Outgoing {
            connection: None,
            stream: None,
            stands: false,
            backoff: Duration::ZERO,
            waits: false,
            retry_is_due: false,
            reported: None,
        }
    }

    fn says(&self) -> bool {
        self.stands
    }

    fn ended(&mut self) {
        self.connection = None;
        self.stands = false;
        if let Some(stream) = self.stream.take() {
            stream.ended();
        }
    }
}
