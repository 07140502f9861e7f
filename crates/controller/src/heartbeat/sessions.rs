use std::collections::BTreeMap;
use std::time::Duration;

use raftsman_metadata::{BrokerRegistration, BrokerState, MetadataImage};
use raftsman_types::{BrokerId, DirectoryId, ErrorCode, MonotonicTime};

use super::{
    HEARTBEAT_INTERVAL, Heartbeat, HeartbeatReply, PROBE_TIMEOUT, ProbeId, ProbeResult, SessionEffect, SessionEvent,
    StreamId,
};
use crate::decide::{BrokerReference, Liveness};

/// How long a probe whose end the driver does not report is waited for.
const PROBE_GIVEN_UP: Duration = Duration::from_millis(5 * PROBE_TIMEOUT.as_millis() as u64);

/// The sessions of all brokers, on the active controller. Every step is told the committed image.
#[derive(Debug)]
pub struct Sessions {
    timeout: Duration,
    is_active: bool,
    by_broker: BTreeMap<BrokerId, Session>,
    streams: BTreeMap<StreamId, BrokerId>,
    probes: BTreeMap<ProbeId, Probe>,
    next_probe: u64,
}

#[derive(Debug)]
struct Session {
    reference: BrokerReference,
    stream: Option<StreamId>,
    last_heard: MonotonicTime,
    metadata_version: u64,
    /// While it is fenced: the version its metadata has to reach, in which it was fenced already. Until then it may still believe
    /// to lead what others lead now.
    unfenced_from: Option<u64>,
    offline_directories: Vec<DirectoryId>,
    /// It was said to have expired; not again before it is heard.
    has_expired: bool,
    /// While it stops: the first version in which it leads nothing.
    leads_nothing_at: Option<u64>,
}

#[derive(Debug)]
struct Probe {
    reference: BrokerReference,
    started: MonotonicTime,
}

impl Sessions {
    /// No sessions; `timeout` is how long a silent broker lives (`broker.session.timeout.ms`).
    pub fn new(timeout: Duration) -> Sessions {
        Sessions {
            timeout,
            is_active: false,
            by_broker: BTreeMap::new(),
            streams: BTreeMap::new(),
            probes: BTreeMap::new(),
            next_probe: 0,
        }
    }

    /// What is known of the process registered as this broker.
    pub fn liveness(&self, broker: BrokerId) -> Liveness {
        match self.by_broker.get(&broker) {
            Some(session) if session.has_expired => Liveness::Gone,
            Some(session) if session.stream.is_some() => Liveness::Lives,
            Some(_) => Liveness::Unheard,
            None => Liveness::Gone,
        }
    }

    /// The controller became active: every broker that may lead gets a full session, and is dialled at once unless its
    /// stream stands here already.
    pub fn activate(&mut self, now: MonotonicTime, image: &MetadataImage, effects: &mut Vec<SessionEffect>) {
        self.is_active = true;
        self.probes.clear();
        let mut kept = std::mem::take(&mut self.by_broker);
        for broker in image.brokers.values() {
            let reference = reference_of(broker);
            let stands = kept.remove(&broker.id).filter(|session| session.reference == reference);
            let stream = stands.and_then(|session| session.stream);
            if broker.state == BrokerState::Fenced && stream.is_none() {
                continue;
            }
            self.by_broker.insert(broker.id, Session::new(reference, stream, now));
            if stream.is_none() {
                self.probe(now, broker, effects);
            }
        }
        self.streams.retain(|stream, broker| {
            let stands = self.by_broker.get(broker).is_some_and(|session| session.stream == Some(*stream));
            if !stands {
                effects.push(SessionEffect::Close { stream: *stream });
            }
            stands
        });
    }

    /// The controller is active no longer: brokers have to look for the one that is.
    pub fn deactivate(&mut self, effects: &mut Vec<SessionEffect>) {
        self.is_active = false;
        self.by_broker.clear();
        self.probes.clear();
        effects.extend(std::mem::take(&mut self.streams).into_keys().map(|stream| SessionEffect::Close { stream }));
    }

    /// Takes one event in.
    pub fn step(
        &mut self,
        now: MonotonicTime,
        image: &MetadataImage,
        event: SessionEvent,
        effects: &mut Vec<SessionEffect>,
    ) {
        match event {
            SessionEvent::Heartbeat { stream, .. } if !self.is_active => effects.push(SessionEffect::Close { stream }),
            SessionEvent::Heartbeat { stream, heartbeat } => self.hear(now, image, stream, heartbeat, effects),
            SessionEvent::StreamBroken { stream } => self.stream_broken(now, image, stream, effects),
            SessionEvent::PeerReport { unreachable } => self.peer_report(now, image, unreachable, effects),
            SessionEvent::ProbeResult { probe, result } => {
                if let Some(probe) = self.probes.remove(&probe) {
                    self.probed(now, image, &probe, result, effects);
                }
            }
        }
    }

    /// Time passed: silent brokers expire.
    pub fn tick(&mut self, now: MonotonicTime, image: &MetadataImage, effects: &mut Vec<SessionEffect>) {
        let given_up: Vec<ProbeId> =
            self.probes.iter().filter(|(_, p)| now >= p.started + PROBE_GIVEN_UP).map(|(id, _)| *id).collect();
        for probe in given_up {
            let event = SessionEvent::ProbeResult { probe, result: ProbeResult::Unanswered };
            self.step(now, image, event, effects);
        }
        let timeout = self.timeout;
        let streams = &mut self.streams;
        self.by_broker.retain(|id, session| {
            let present = image.broker(*id).filter(|broker| reference_of(broker) == session.reference);
            let is_due = now >= session.last_heard + timeout;
            match present.map(|broker| broker.state) {
                Some(BrokerState::Unfenced | BrokerState::ControlledShutdown) => {
                    if is_due && !session.has_expired {
                        session.has_expired = true;
                        effects.push(SessionEffect::Expire(session.reference));
                    }
                    true
                }
                // A fenced broker's stream may come to life again; only where there is none the session is over.
                Some(BrokerState::Fenced) => {
                    session.has_expired |= is_due;
                    !is_due || session.stream.is_some()
                }
                None => {
                    if let Some(stream) = session.stream
                        && is_due
                    {
                        streams.remove(&stream);
                        effects.push(SessionEffect::Close { stream });
                    }
                    !is_due
                }
            }
        });
    }

    /// When `tick` has something to do.
    pub fn next_deadline(&self) -> Option<MonotonicTime> {
        let sessions = self.by_broker.values().filter(|session| !session.has_expired);
        let sessions = sessions.map(|session| session.last_heard + self.timeout);
        sessions.chain(self.probes.values().map(|probe| probe.started + PROBE_GIVEN_UP)).min()
    }

    fn hear(
        &mut self,
        now: MonotonicTime,
        image: &MetadataImage,
        stream: StreamId,
        heartbeat: Heartbeat,
        effects: &mut Vec<SessionEffect>,
    ) {
        let reference = heartbeat.sender;
        let Some(broker) = image.broker(reference.broker).filter(|broker| reference_of(broker) == reference) else {
            let is_registered = image.broker(reference.broker).is_some();
            let error = if is_registered { ErrorCode::StaleBrokerEpoch } else { ErrorCode::BrokerIdNotRegistered };
            let reply = HeartbeatReply { error, fenced: true, may_shut_down: heartbeat.wants_shutdown };
            effects.push(SessionEffect::Answer { stream, reply });
            return;
        };
        let broker = broker.clone();
        let session = self.by_broker.entry(broker.id).or_insert_with(|| Session::new(reference, Some(stream), now));
        if session.reference != reference {
            *session = Session { stream: session.stream, ..Session::new(reference, None, now) };
        }
        if let Some(older) = session.stream.replace(stream).filter(|older| *older != stream)
            && self.streams.remove(&older).is_some()
        {
            effects.push(SessionEffect::Close { stream: older });
        }
        self.streams.insert(stream, broker.id);
        session.last_heard = now;
        session.has_expired = false;
        session.metadata_version = heartbeat.metadata_version;
        if session.offline_directories != heartbeat.offline_directories {
            session.offline_directories.clone_from(&heartbeat.offline_directories);
            effects.push(SessionEffect::DirectoriesOffline(reference, heartbeat.offline_directories.clone()));
        }
        let unfenced_from = session.unfenced_from.take().unwrap_or(image.version);
        let has_caught_up = heartbeat.metadata_version >= unfenced_from;
        if broker.state == BrokerState::Fenced && !has_caught_up {
            session.unfenced_from = Some(unfenced_from);
        }
        wishes(&broker, &heartbeat, has_caught_up, effects);
        let may_shut_down = heartbeat.wants_shutdown && self.may_shut_down(image, &broker);
        let fenced = broker.state == BrokerState::Fenced;
        let reply = HeartbeatReply { error: ErrorCode::None, fenced, may_shut_down };
        effects.push(SessionEffect::Answer { stream, reply });
    }

    /// A stopping broker may go once it leads nothing and all others that live know who leads instead.
    fn may_shut_down(&mut self, image: &MetadataImage, broker: &BrokerRegistration) -> bool {
        if broker.state != BrokerState::ControlledShutdown {
            return broker.state == BrokerState::Fenced;
        }
        let Some(session) = self.by_broker.get_mut(&broker.id) else { return false };
        if session.leads_nothing_at.is_none() && !leads_any(image, broker.id) {
            session.leads_nothing_at = Some(image.version);
        }
        let Some(version) = session.leads_nothing_at else { return false };
        let others = self.by_broker.iter().filter(|(id, session)| {
            **id != broker.id && session.stream.is_some() && !session.has_expired && image.is_active(**id)
        });
        others.into_iter().all(|(_, session)| session.metadata_version >= version)
    }

    fn stream_broken(
        &mut self,
        now: MonotonicTime,
        image: &MetadataImage,
        stream: StreamId,
        effects: &mut Vec<SessionEffect>,
    ) {
        let Some(broker) = self.streams.remove(&stream) else { return };
        let Some(session) = self.by_broker.get_mut(&broker).filter(|session| session.stream == Some(stream)) else {
            return;
        };
        session.stream = None;
        if let Some(broker) = may_lead(image, broker).filter(|broker| reference_of(broker) == session.reference) {
            self.probe(now, broker, effects);
        }
    }

    fn peer_report(
        &mut self,
        now: MonotonicTime,
        image: &MetadataImage,
        unreachable: BrokerId,
        effects: &mut Vec<SessionEffect>,
    ) {
        let is_probed = self.probes.values().any(|probe| probe.reference.broker == unreachable);
        if let Some(broker) = may_lead(image, unreachable).filter(|_| self.is_active && !is_probed) {
            self.probe(now, broker, effects);
        }
    }

    fn probe(&mut self, now: MonotonicTime, broker: &BrokerRegistration, effects: &mut Vec<SessionEffect>) {
        // A registration without its inter-broker listener is refused; the session timeout would still find such a broker.
        let Some(listener) = broker.inter_broker() else { return };
        let probe = ProbeId(self.next_probe);
        self.next_probe += 1;
        self.probes.insert(probe, Probe { reference: reference_of(broker), started: now });
        effects.push(SessionEffect::Probe { probe, host: listener.host.clone(), port: listener.port });
    }

    fn probed(
        &mut self,
        now: MonotonicTime,
        image: &MetadataImage,
        probe: &Probe,
        result: ProbeResult,
        effects: &mut Vec<SessionEffect>,
    ) {
        let Some(broker) = may_lead(image, probe.reference.broker) else { return };
        let Some(session) = self.by_broker.get_mut(&broker.id) else { return };
        let was_heard_since = session.stream.is_some() && session.last_heard > probe.started;
        let is_other = session.reference != probe.reference || reference_of(broker) != probe.reference;
        if result == ProbeResult::Answered || is_other || was_heard_since || session.has_expired {
            return;
        }
        let is_fresh = now.since(session.last_heard) < 3 * HEARTBEAT_INTERVAL;
        if result == ProbeResult::Unanswered && session.stream.is_some() && is_fresh {
            // Its own stream stands and spoke just now: one lost packet is no death. Its next heartbeat tells, or the next probe.
            self.probe(now, broker, effects);
            return;
        }
        session.has_expired = true;
        effects.push(SessionEffect::Expire(session.reference));
    }
}

impl Session {
    fn new(reference: BrokerReference, stream: Option<StreamId>, now: MonotonicTime) -> Session {
        Session {
            reference,
            stream,
            last_heard: now,
            metadata_version: 0,
            unfenced_from: None,
            offline_directories: Vec::new(),
            has_expired: false,
            leads_nothing_at: None,
        }
    }
}

/// What a heartbeat asks for, by the state its broker is in. A fenced one has caught up once it knows everything that was decided
/// when this controller first heard it fenced: its registration, and whoever leads in its place.
fn wishes(broker: &BrokerRegistration, heartbeat: &Heartbeat, has_caught_up: bool, effects: &mut Vec<SessionEffect>) {
    let reference = heartbeat.sender;
    match broker.state {
        BrokerState::Fenced if has_caught_up && !heartbeat.wants_fence && !heartbeat.wants_shutdown => {
            effects.push(SessionEffect::Unfence(reference));
        }
        BrokerState::Unfenced if heartbeat.wants_shutdown => effects.push(SessionEffect::StartShutdown(reference)),
        BrokerState::Unfenced if heartbeat.wants_fence => effects.push(SessionEffect::StandAside(reference)),
        _ => {}
    }
}

fn reference_of(broker: &BrokerRegistration) -> BrokerReference {
    BrokerReference { broker: broker.id, broker_epoch: broker.broker_epoch }
}

fn may_lead(image: &MetadataImage, broker: BrokerId) -> Option<&BrokerRegistration> {
    image.broker(broker).map(|broker| &**broker).filter(|broker| broker.state != BrokerState::Fenced)
}

fn leads_any(image: &MetadataImage, broker: BrokerId) -> bool {
    image.topics.values().any(|topic| topic.partitions.values().any(|p| p.leader == Some(broker)))
}
