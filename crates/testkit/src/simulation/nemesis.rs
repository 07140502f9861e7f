use std::fmt;
use std::io::ErrorKind;
use std::str::FromStr;
use std::time::Duration;

use raftsman_log::fs::{FaultPlan, FaultTarget};

use super::event::Event;
use super::world::World;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A process is killed; its kernel keeps what was written.
    Kill,
    /// A machine loses power; what was not synced is gone, or torn.
    PowerCut,
    /// All machines lose power at once.
    PowerCutAll,
    /// A broker's log directory comes back empty.
    Wipe,
    /// A broker stops in order and starts again.
    CleanRestart,
    /// All brokers stop in order and start again, one after the other.
    RollingRestart,
    /// A process is stopped for a while, without knowing.
    Pause,
    /// A machine is cut off from all others.
    Isolate,
    /// Two machines do not reach each other.
    CutPair,
    /// One machine does not reach another one, which reaches it.
    CutOneWay,
    /// A broker is cut off from all machines but its clients.
    CutFromPeers,
    /// A connection breaks.
    BreakConnection,
    /// Messages are lost, late and repeated for a while.
    BadNetwork,
    /// A disk completes no sync for a while.
    DiskStall,
    /// A sync or a write fails.
    DiskFailure,
    /// A process dies in the middle of a write.
    TornWrite,
    /// A node's clocks begin to run fast or slow.
    ClockDrift,
    /// A node's wall clock jumps, its monotonic clock leaps ahead.
    ClockJump,
}

impl Fault {
    /// All of them.
    pub const ALL: &[Fault] = &[
        Fault::Kill,
        Fault::PowerCut,
        Fault::PowerCutAll,
        Fault::Wipe,
        Fault::CleanRestart,
        Fault::RollingRestart,
        Fault::Pause,
        Fault::Isolate,
        Fault::CutPair,
        Fault::CutOneWay,
        Fault::CutFromPeers,
        Fault::BreakConnection,
        Fault::BadNetwork,
        Fault::DiskStall,
        Fault::DiskFailure,
        Fault::TornWrite,
        Fault::ClockDrift,
        Fault::ClockJump,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        let found = Fault::ALL.iter().find(|fault| fault.to_string() == text);
        found.copied().ok_or_else(|| format!("{text} is no fault: one of {:?}", Fault::ALL))
    }
}

/// What faults are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NemesisEvent {
    /// The next fault is due.
    Strike,
    /// A node starts, if it is down in that life.
    Start { node: i32, life: u64 },
    /// A stopped process goes on.
    Resume(i32),
    /// A way is open again.
    Unblock(i32, i32),
    /// The network is as it was.
    NetworkWell,
    /// A disk syncs again.
    DiskWell(i32),
    /// A node that wants to stop is looked at.
    Stopping { node: i32, life: u64, until_ms: u64 },
    /// A machine that was not there before runs a broker.
    Join,
    /// Some broker is unregistered.
    Unregister,
    /// The next node of a rolling restart.
    Roll { node: i32 },
    /// A process whose disk failed is started anew.
    Replace { node: i32, life: u64 },
    /// A process that was to die in a write and did not.
    KillNow { node: i32, life: u64 },
}

impl World {
    pub(super) fn strike_later(&mut self) {
        let mean = self.scenario.fault_interval.as_millis() as u64;
        let wait = self.fabric.millis(mean / 4, mean * 7 / 4);
        self.later(wait, NemesisEvent::Strike);
    }

    pub(super) fn later(&mut self, wait: Duration, event: NemesisEvent) {
        self.fabric.after(wait, Event::Nemesis(event));
    }

    pub(super) fn nemesis(&mut self, event: NemesisEvent) {
        match event {
            NemesisEvent::Strike => {
                if !self.calm && self.faults_struck < self.scenario.faults_max {
                    let fault = self.fabric.choose(&self.scenario.faults).copied();
                    if let Some(fault) = fault {
                        self.faults_struck += 1;
                        self.strike(fault);
                    }
                    self.strike_later();
                }
            }
            NemesisEvent::Start { node, life } => self.start_if_down(node, life),
            NemesisEvent::Resume(node) => self.resume(node),
            NemesisEvent::Unblock(from, to) => {
                self.fabric.network.blocked.remove(&(from, to));
            }
            NemesisEvent::NetworkWell => self.network_well(),
            NemesisEvent::DiskWell(node) => self.stall(node, false),
            NemesisEvent::Stopping { node, life, until_ms } => self.stop_when_allowed(node, life, until_ms),
            NemesisEvent::Join => self.join_new_broker(),
            NemesisEvent::Unregister => self.unregister_some_broker(),
            NemesisEvent::Roll { node } => self.roll(node),
            NemesisEvent::Replace { node, life } | NemesisEvent::KillNow { node, life } => {
                if self.is_up(node) && self.life(node) == life {
                    self.kill(node);
                    let wait = self.fabric.millis(20, 800);
                    self.later(wait, NemesisEvent::Start { node, life: self.life(node) });
                }
            }
        }
    }

    fn strike(&mut self, fault: Fault) {
        let nodes: Vec<i32> = self.nodes.keys().copied().collect();
        let Some(node) = self.fabric.choose(&nodes).copied() else { return };
        let Some(other) = self.fabric.choose(&nodes).copied() else { return };
        let life = self.life(node);
        self.fabric.trace.note(self.fabric.now(), "fault", &[fault as i64, node.into(), other.into()]);
        self.fabric.trace.say(self.fabric.now(), || format!("fault {fault} node {node} other {other}"));
        match fault {
            Fault::Kill if self.is_up(node) => {
                self.kill(node);
                self.start_later(node);
            }
            Fault::PowerCut if self.may_cut_power(node) => {
                self.cut_power(node);
                self.start_later(node);
            }
            Fault::PowerCutAll => {
                for node in nodes {
                    self.cut_power(node);
                    self.start_later(node);
                }
            }
            Fault::Wipe if self.may_wipe(node) => {
                self.wipe(node);
                self.start_later(node);
            }
            Fault::CleanRestart => {
                let until_ms = self.fabric.now().0 / 1000 + 3000;
                self.stop_when_allowed(node, life, until_ms);
            }
            Fault::RollingRestart => self.roll(1),
            Fault::Pause if self.is_up(node) => {
                let wait =
                    if self.fabric.one_in(3) { self.fabric.millis(1000, 5000) } else { self.fabric.millis(20, 900) };
                self.pause(node);
                self.later(wait, NemesisEvent::Resume(node));
            }
            Fault::Isolate | Fault::CutPair | Fault::CutOneWay | Fault::CutFromPeers => self.cut(fault, node, other),
            Fault::BreakConnection => {
                self.break_some_connections();
            }
            Fault::BadNetwork => {
                self.fabric.network.lost_one_in = self.fabric.between(3, 30) as u32;
                self.fabric.network.repeated_one_in = self.fabric.between(3, 30) as u32;
                self.fabric.network.delay_us_max = self.fabric.between(5_000, 200_000);
                let wait = self.fabric.millis(200, 3000);
                self.later(wait, NemesisEvent::NetworkWell);
            }
            Fault::DiskStall => {
                self.stall(node, true);
                let wait = self.fabric.millis(50, 4000);
                self.later(wait, NemesisEvent::DiskWell(node));
            }
            Fault::DiskFailure if self.is_up(node) => self.fail_disk(node, life),
            Fault::TornWrite if self.is_up(node) => self.tear_write(node, life),
            Fault::ClockDrift => {
                let ppm = self.fabric.between(0, 100_000) as i64 - 50_000;
                self.set_drift(node, ppm);
            }
            Fault::ClockJump => {
                // Less than the hour that a client's timestamps may be off.
                let by_ms = self.fabric.between(0, 7_000_000) as i64 - 3_500_000;
                let leap = if self.fabric.one_in(4) { self.fabric.millis(0, 3000) } else { Duration::ZERO };
                self.move_clocks(node, by_ms, leap);
            }
            _ => {}
        }
    }

    fn break_some_connections(&mut self) {
        for _ in 0..self.fabric.between(1, 5) {
            let standing = self.fabric.standing_connections();
            if let Some(connection) = self.fabric.choose(&standing).copied() {
                self.fabric.break_connection(connection);
            }
        }
    }

    fn start_later(&mut self, node: i32) {
        let wait = if self.fabric.one_in(3) { self.fabric.millis(1000, 4000) } else { self.fabric.millis(5, 900) };
        let life = self.life(node);
        self.later(wait, NemesisEvent::Start { node, life });
    }

    fn cut(&mut self, fault: Fault, node: i32, other: i32) {
        let nodes: Vec<i32> = self.nodes.keys().copied().filter(|id| *id != node).collect();
        let clients: Vec<i32> = self.clients.keys().map(|id| -id).collect();
        let both = |others: &[i32]| others.iter().flat_map(|id| [(node, *id), (*id, node)]).collect();
        let ways: Vec<(i32, i32)> = match fault {
            Fault::Isolate => both(&[nodes, clients].concat()),
            Fault::CutFromPeers => both(&nodes),
            Fault::CutPair if node != other => both(&[other]),
            Fault::CutOneWay if node != other => vec![(node, other)],
            _ => return,
        };
        let wait = if self.fabric.one_in(3) { self.fabric.millis(2000, 6000) } else { self.fabric.millis(50, 2000) };
        for (from, to) in ways {
            self.fabric.block(from, to);
            self.later(wait, NemesisEvent::Unblock(from, to));
        }
    }

    fn fail_disk(&mut self, node: i32, life: u64) {
        let target = if self.fabric.one_in(3) { FaultTarget::Write } else { FaultTarget::Sync };
        let skip = self.fabric.between(0, 40);
        let fault = raftsman_log::fs::Fault::Error(ErrorKind::Other);
        self.inject(node, FaultPlan { target, skip, fault });
        let wait = self.fabric.millis(500, 4000);
        self.later(wait, NemesisEvent::Replace { node, life });
    }

    fn tear_write(&mut self, node: i32, life: u64) {
        let kept = self.fabric.between(0, 300) as usize;
        let skip = self.fabric.between(0, 30);
        let fault = raftsman_log::fs::Fault::TornWrite(kept);
        self.inject(node, FaultPlan { target: FaultTarget::Write, skip, fault });
        let wait = self.fabric.millis(50, 1000);
        self.later(wait, NemesisEvent::KillNow { node, life });
    }

    fn roll(&mut self, node: i32) {
        if self.calm || !self.nodes.contains_key(&node) {
            return;
        }
        let until_ms = self.fabric.now().0 / 1000 + 2000;
        let life = self.life(node);
        self.stop_when_allowed(node, life, until_ms);
        let wait = self.fabric.millis(1000, 2500);
        self.later(wait, NemesisEvent::Roll { node: node + 1 });
    }
}
