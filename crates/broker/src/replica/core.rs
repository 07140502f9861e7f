use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};
use raftsman_metadata::{BrokerState, MetadataImage};
use raftsman_replication::ControllerContact;
use raftsman_types::{BrokerEpoch, BrokerId, MonotonicTime, WallTime};

use super::directory::Directory;
use super::fetch_stream::FetchStream;
use super::isr_queue::IsrQueue;
use super::link::ControllerLink;
use super::partition::Partition;
use super::session::Session;
use super::throttle::Throttle;
use super::{Clock, ReplicaConfig};

/// What all replicas of a broker share. Knows no partition by name: those who do own it.
pub(super) struct Core {
    pub config: ReplicaConfig,
    pub link: Arc<dyn ControllerLink>,
    pub isr_queue: IsrQueue,
    pub attention: Attention,
    pub throttle: Throttle,
    /// The image published last.
    image: RwLock<Arc<MetadataImage>>,
    broker_epoch: AtomicI64,
    contact: Mutex<ControllerContact>,
    clock: Arc<dyn Clock>,
    next_id: AtomicU64,
}

impl Core {
    pub fn new(config: ReplicaConfig, link: Arc<dyn ControllerLink>, clock: Arc<dyn Clock>) -> Core {
        let contact = ControllerContact::new(clock.monotonic(), config.session_timeout);
        Core {
            config,
            link,
            isr_queue: IsrQueue::default(),
            attention: Attention::default(),
            throttle: Throttle::default(),
            image: RwLock::default(),
            broker_epoch: AtomicI64::new(BrokerEpoch::NONE.0),
            contact: Mutex::new(contact),
            clock,
            next_id: AtomicU64::new(1),
        }
    }

    pub fn me(&self) -> BrokerId {
        self.config.broker_id
    }

    pub fn now(&self) -> MonotonicTime {
        self.clock.monotonic()
    }

    pub fn wall_time(&self) -> WallTime {
        self.clock.wall()
    }

    pub fn image(&self) -> Arc<MetadataImage> {
        Arc::clone(&self.image.read())
    }

    pub fn set_image(&self, image: &Arc<MetadataImage>) {
        *self.image.write() = Arc::clone(image);
    }

    pub fn broker_epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.broker_epoch.load(Ordering::Acquire))
    }

    /// Takes a registration's epoch; says whether it was another one.
    pub fn set_broker_epoch(&self, epoch: BrokerEpoch) -> bool {
        self.broker_epoch.swap(epoch.0, Ordering::AcqRel) != epoch.0
    }

    /// Whether leaders here may serve: the controller was heard of within a session.
    pub fn may_serve(&self) -> bool {
        self.contact.lock().is_live(self.now())
    }

    /// Until when leaders here may serve if the controller is not heard of again.
    pub fn serves_until(&self) -> MonotonicTime {
        self.contact.lock().ends()
    }

    /// Until when who waits for a commit here goes on waiting if the controller is not heard of again: for half a session
    /// longer than leaders serve.
    ///
    /// Where a controller has died there is another one by then, as a rule, and nobody needs to know. Turned away at the end
    /// of the session, all clients would ask for leaders anew; the broker that librdkafka happens to ask may be the very one
    /// that stands still, and then it waits for its answer for as long as that does.
    pub fn waits_until(&self) -> MonotonicTime {
        self.serves_until() + self.config.session_timeout / 2
    }

    /// Whether that is still to come.
    pub fn may_wait(&self) -> bool {
        self.now() <= self.waits_until()
    }

    /// The controller answered a heartbeat that was sent at this time, and holds this broker for fenced or not. Says whether
    /// that is the contact that leaders here live by: if the broker was fenced and the metadata here does not know it yet, others
    /// may lead by now what it believes to lead.
    pub fn controller_heard(&self, sent: MonotonicTime, fenced: bool) -> bool {
        let believes = |image: &MetadataImage| {
            let registration = image.broker(self.me()).filter(|r| r.broker_epoch == self.broker_epoch());
            registration.is_some_and(|registration| registration.state != BrokerState::Fenced)
        };
        let is_behind = fenced && believes(&self.image.read());
        if !is_behind {
            self.contact.lock().heard(sent);
        }
        !is_behind
    }

    /// A number no other stream or waiter of this process has.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// What the housekeeping thread should look at. It sleeps while there is nothing.
#[derive(Default)]
pub(super) struct Attention {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct Wanted {
    /// Leaders that something is left to do for when time passes.
    pub leaders: Vec<Arc<Partition>>,
    /// Streams whose followers have not been told of a risen watermark, or wait for a quota.
    pub sessions: Vec<Arc<Session>>,
    /// Streams to leaders with throttled subscriptions.
    pub streams: Vec<Arc<FetchStream>>,
    /// Directories whose checkpoint files are to be written.
    pub checkpoints: Vec<Arc<Directory>>,
    /// Directories that failed and whose partitions must be told.
    pub failed: Vec<Arc<Directory>>,
    /// Whether to stop.
    pub stop: bool,
}

impl Attention {
    pub fn leader(&self, partition: Arc<Partition>) {
        self.add(|wanted| wanted.leaders.push(partition));
    }

    pub fn session(&self, session: Arc<Session>) {
        self.add(|wanted| wanted.sessions.push(session));
    }

    pub fn stream(&self, stream: Arc<FetchStream>) {
        self.add(|wanted| wanted.streams.push(stream));
    }

    pub fn checkpoint(&self, directory: Arc<Directory>) {
        self.add(|wanted| wanted.checkpoints.push(directory));
    }

    pub fn failed(&self, directory: Arc<Directory>) {
        self.add(|wanted| wanted.failed.push(directory));
        self.changed.notify_one();
    }

    /// Ends the thread; what was wanted is let go.
    pub fn stop(&self) {
        let left = std::mem::replace(&mut *self.wanted.lock(), Wanted { stop: true, ..Default::default() });
        drop(left);
        self.changed.notify_one();
    }

    fn add(&self, add: impl FnOnce(&mut Wanted)) {
        let mut wanted = self.wanted.lock();
        if wanted.stop {
            return;
        }
        let idle = wanted.is_empty();
        add(&mut wanted);
        drop(wanted);
        if idle {
            self.changed.notify_one();
        }
    }

    /// Whether something cannot wait for the next tick.
    pub fn is_urgent(&self) -> bool {
        self.wanted.lock().is_urgent()
    }

    /// Takes what is wanted now.
    pub fn take(&self) -> Wanted {
        self.wanted.lock().take()
    }

    /// Waits until something urgent is wanted, or until `tick` has passed if anything is, or until `idle` has.
    pub fn wait(&self, tick: Duration, idle: Duration) -> Wanted {
        let mut wanted = self.wanted.lock();
        if wanted.is_empty() {
            self.changed.wait_for(&mut wanted, idle);
        }
        if !wanted.is_urgent() && !wanted.is_empty() {
            let until = Instant::now() + tick;
            while !wanted.is_urgent() && !self.changed.wait_until(&mut wanted, until).timed_out() {}
        }
        wanted.take()
    }
}

impl Wanted {
    fn take(&mut self) -> Wanted {
        let stop = self.stop;
        std::mem::replace(self, Wanted { stop, ..Default::default() })
    }

    fn is_empty(&self) -> bool {
        let no_ticks = self.leaders.is_empty() && self.sessions.is_empty() && self.streams.is_empty();
        no_ticks && self.checkpoints.is_empty() && !self.is_urgent()
    }

    fn is_urgent(&self) -> bool {
        self.stop || !self.failed.is_empty()
    }
}
