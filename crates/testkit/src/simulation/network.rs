use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::event::{ConnectionId, EndEvent, Endpoint, Event, Frame};
use super::fabric::Fabric;
use super::time::SimTime;

/// How long a dial that nobody answers is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a silent peer is believed to be there.
const KEEP_ALIVE: Duration = Duration::from_millis(1200);
/// A frame that cannot get through is tried again this often.
const RETRANSMISSION: Duration = Duration::from_millis(40);

/// Connections that keep the order of what they carry, and datagrams that do not.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// Ways that nothing gets through, from one machine to another.
    pub blocked: BTreeSet<(i32, i32)>,
    /// Who accepts connections, and in which of its lives.
    pub listening: BTreeMap<Endpoint, u64>,
    /// Machines without power: nobody refuses a dial for them.
    pub dark: BTreeSet<i32>,
    /// Machines whose process is stopped: the kernel accepts for it, but nobody answers.
    pub paused: BTreeSet<i32>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// One in so many datagrams is lost; none at 0.
    pub lost_one_in: u32,
    /// One in so many datagrams comes twice; none at 0.
    pub repeated_one_in: u32,
    /// The longest a message takes, in microseconds.
    pub delay_us_max: u64,
}

#[derive(Debug)]
struct Connection {
    ends: [End; 2],
    /// What the dialler sends, and what it is sent.
    ways: [Way; 2],
    stands: bool,
    dialled_at: SimTime,
}

#[derive(Debug)]
struct End {
    at: Endpoint,
    life: u64,
    closed: bool,
}

#[derive(Debug, Default)]
struct Way {
    frames: VecDeque<(SimTime, Frame)>,
    arrival_is_due: bool,
}

impl Fabric {
    /// Begins to connect.
    pub fn dial(&mut self, from: Endpoint, life: u64, to: Endpoint) -> ConnectionId {
        let id = ConnectionId(self.next_number());
        let end = |at, life| End { at, life, closed: false };
        let connection = Connection {
            ends: [end(from, life), end(to, 0)],
            ways: [Way::default(), Way::default()],
            stands: false,
            dialled_at: self.now(),
        };
        self.network.connections.insert(id, connection);
        let delay = self.delay();
        self.after(delay, Event::Dial(id));
        id
    }

    /// A dial arrives where it was meant to.
    pub fn dialled(&mut self, id: ConnectionId) {
        let delay = self.delay();
        let now = self.now();
        let network = &mut self.network;
        let Some(connection) = network.connections.get_mut(&id) else { return };
        let (from, to) = (connection.ends[0].at, connection.ends[1].at);
        let life = connection.ends[0].life;
        let blocked = &network.blocked;
        let cut = is_blocked(blocked, from, to) || is_blocked(blocked, to, from);
        let (what, wait) = if cut || network.dark.contains(&to.host()) {
            let wait = (connection.dialled_at + CONNECT_TIMEOUT) - now;
            (EndEvent::NotConnected { refused: false }, wait)
        } else if let Some(life) = network.listening.get(&to) {
            connection.ends[1].life = *life;
            connection.stands = true;
            (EndEvent::Connected, delay)
        } else {
            (EndEvent::NotConnected { refused: true }, delay)
        };
        if matches!(what, EndEvent::NotConnected { .. }) {
            network.connections.remove(&id);
        }
        self.after(wait, Event::End { at: from, life, connection: id, what });
    }

    /// Sends a frame to the other end. On a connection that is gone nothing happens: the sender hears of it by itself.
    pub fn send(&mut self, id: ConnectionId, from: Endpoint, frame: Frame) {
        let ready_at = self.now() + self.delay();
        let Some(connection) = self.network.connections.get_mut(&id) else { return };
        let side = connection.side(from);
        if connection.ends[side].closed {
            return;
        }
        let way = &mut connection.ways[side];
        let ready_at = way.frames.back().map_or(ready_at, |(last, _)| ready_at.max(*last));
        way.frames.push_back((ready_at, frame));
        if !way.arrival_is_due {
            way.arrival_is_due = true;
            self.at(ready_at, Event::Arrival { connection: id, from_dialler: side == 0 });
        }
    }

    /// A frame that is due arrives; what it means for the other end comes back.
    pub fn arrive(&mut self, id: ConnectionId, from_dialler: bool) -> Option<(Endpoint, u64, EndEvent)> {
        let now = self.now();
        let side = usize::from(!from_dialler);
        let connection = self.network.connections.get_mut(&id)?;
        let (from, to) = (connection.ends[side].at, connection.ends[1 - side].at);
        let way = &mut connection.ways[side];
        way.arrival_is_due = false;
        let (ready_at, _) = way.frames.front()?;
        // A stopped process reads nothing: what it is sent waits in its kernel.
        let held = is_blocked(&self.network.blocked, from, to) || self.network.paused.contains(&to.host());
        let next = if *ready_at > now {
            Some(*ready_at)
        } else if held {
            Some(now + RETRANSMISSION)
        } else {
            None
        };
        if let Some(next) = next {
            way.arrival_is_due = true;
            self.at(next, Event::Arrival { connection: id, from_dialler });
            return None;
        }
        let (_, frame) = way.frames.pop_front()?;
        if let Some((next, _)) = way.frames.front() {
            way.arrival_is_due = true;
            let next = *next;
            self.at(next, Event::Arrival { connection: id, from_dialler });
        }
        let connection = self.network.connections.get_mut(&id)?;
        let end = &mut connection.ends[1 - side];
        if end.closed {
            return None;
        }
        let life = end.life;
        if matches!(frame, Frame::Fin) {
            end.closed = true;
            connection.ends[side].closed = true;
            self.network.connections.remove(&id);
            return Some((to, life, EndEvent::Closed));
        }
        Some((to, life, EndEvent::Frame(frame)))
    }

    /// One end closes; the other one hears of it after everything that was sent before.
    pub fn close(&mut self, id: ConnectionId, from: Endpoint) {
        self.send(id, from, Frame::Fin);
        if let Some(connection) = self.network.connections.get_mut(&id) {
            let side = connection.side(from);
            connection.ends[side].closed = true;
            connection.ways[1 - side].frames.clear();
            if !connection.stands {
                self.network.connections.remove(&id);
            }
        }
    }

    /// The connection breaks: what is on its way is lost, and the ends hear of it at times of their own.
    pub fn break_connection(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.connections.remove(&id) else { return };
        for end in connection.ends.into_iter().filter(|end| !end.closed) {
            let delay = self.delay() + self.delay();
            let what = EndEvent::Closed;
            self.after(delay, Event::End { at: end.at, life: end.life, connection: id, what });
        }
    }

    /// A process is gone. Its kernel tells its peers, unless it is gone as well.
    pub fn process_ended(&mut self, host: i32, kernel_lives: bool) {
        self.network.listening.retain(|at, _| at.host() != host);
        let of_it = |(_, c): &(&ConnectionId, &Connection)| c.ends.iter().any(|end| end.at.host() == host);
        let ids: Vec<ConnectionId> = self.network.connections.iter().filter(of_it).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(connection) = self.network.connections.get(&id) else { continue };
            if !connection.stands {
                // A dial that is on its way to the process finds out what is there when it arrives.
                if connection.ends[0].at.host() == host {
                    self.network.connections.remove(&id);
                }
                continue;
            }
            let side = usize::from(connection.ends[0].at.host() != host);
            let (at, other) = (connection.ends[side].at, &connection.ends[1 - side]);
            let (peer, peer_life, tell) = (other.at, other.life, !other.closed);
            if kernel_lives && self.one_in(2) {
                // What is in the kernel's buffers may still go out.
                self.close(id, at);
            } else if kernel_lives {
                self.break_connection(id);
            } else {
                self.network.connections.remove(&id);
                if tell {
                    let event = Event::End { at: peer, life: peer_life, connection: id, what: EndEvent::Closed };
                    self.after(KEEP_ALIVE, event);
                }
            }
        }
    }

    /// Nothing gets from one machine to the other any more. Their connections break when they notice.
    pub fn block(&mut self, from: i32, to: i32) {
        if self.network.blocked.insert((from, to)) {
            let wait = KEEP_ALIVE + self.delay();
            self.after(wait, Event::KeepAlive(from, to));
        }
    }

    /// A process is stopped, and its peers may notice.
    pub fn paused(&mut self, host: i32) {
        self.network.paused.insert(host);
        self.after(KEEP_ALIVE, Event::KeepAlive(host, host));
    }

    /// Looks whether two still hear of each other, and breaks their connections if not.
    pub fn keep_alive(&mut self, one: i32, other: i32) {
        let network = &self.network;
        let ids: Vec<ConnectionId> = if one == other {
            let stopped = network.paused.contains(&one);
            let of_it = |c: &Connection| c.ends.iter().any(|end| end.at.host() == one);
            network.connections.iter().filter(|(_, c)| stopped && of_it(c)).map(|(id, _)| *id).collect()
        } else {
            let cut = network.blocked.contains(&(one, other));
            let between = |c: &Connection| {
                let hosts = [c.ends[0].at.host(), c.ends[1].at.host()];
                hosts == [one, other] || hosts == [other, one]
            };
            network.connections.iter().filter(|(_, c)| cut && between(c)).map(|(id, _)| *id).collect()
        };
        for id in ids {
            self.break_connection(id);
        }
    }

    /// All connections that stand, for whoever wants to break one.
    pub fn standing_connections(&self) -> Vec<ConnectionId> {
        self.network.connections.iter().filter(|(_, c)| c.stands).map(|(id, _)| *id).collect()
    }

    /// Who is at a connection's other end.
    pub fn peer(&self, id: ConnectionId, of: Endpoint) -> Option<Endpoint> {
        let connection = self.network.connections.get(&id)?;
        Some(connection.ends[1 - connection.side(of)].at)
    }

    /// How long one message takes.
    pub fn delay(&mut self) -> Duration {
        let max = self.network.delay_us_max;
        // Mostly short; now and then as long as it gets.
        let us = if self.one_in(12) { self.between(max / 4, max) } else { self.between(20, (max / 8).max(21)) };
        Duration::from_micros(us)
    }

    /// Sends a datagram, which may be lost, late or repeated.
    pub fn send_raft(&mut self, from: i32, to: i32, message: &super::raft::RaftMessage) {
        if self.network.blocked.contains(&(from, to)) {
            return;
        }
        let lost = self.network.lost_one_in;
        if lost > 0 && self.one_in(lost) {
            return;
        }
        let repeated = self.network.repeated_one_in;
        let copies = if repeated > 0 && self.one_in(repeated) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = self.delay();
            self.after(delay, Event::Raft { to, from, message: message.clone() });
        }
    }
}

fn is_blocked(blocked: &BTreeSet<(i32, i32)>, from: Endpoint, to: Endpoint) -> bool {
    blocked.contains(&(from.host(), to.host()))
}

impl Connection {
    fn side(&self, at: Endpoint) -> usize {
        usize::from(self.ends[0].at != at)
    }
}
