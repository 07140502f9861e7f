//! A simulated broker: the shipped replicas and coordinators, and around them what tasks and threads do in a process.

mod asks;
mod deletions;
mod groups;
mod lifecycle;
mod link;
mod metadata;
mod requests;
mod streams;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use raftsman_broker::replica::stepped::{AcceptedStream, Cleaning, Flush, IsrRequest, SteppedReplicas};
use raftsman_broker::replica::{Clock, OpenError, ReplicaConfig};
use raftsman_controller::decide::{BrokerReference, Request};
use raftsman_log::dir::{LogDirectory, MetaProperties};
use raftsman_log::fs::{FileSystem, MemoryFs};
use raftsman_metadata::{Durability, MetadataImage};
use raftsman_types::{BrokerId, DirectoryId, IncarnationId, MonotonicTime, TopicIdPartition};

use self::asks::{Asks, Purpose};
use self::deletions::Deletions;
use self::groups::Groups;
use self::lifecycle::Lifecycle;
use self::link::Link;
use self::requests::PendingProduce;
use self::streams::Outgoing;
use super::event::{ConnectionId, EndEvent, Endpoint, Event, Frame, Timer};
use super::fabric::Fabric;
use super::time::NodeClock;

pub(super) use self::deletions::DeletionNews;

const HOUSEKEEPING: Duration = Duration::from_millis(100);
const UNREGISTER_TIMEOUT: Duration = Duration::from_millis(2000);
/// Where a node's one log directory is.
const LOG_DIRECTORY: &str = "/logs";

/// What a node's broker is made with.
#[derive(Debug, Clone)]
pub(super) struct BrokerSetup {
    pub node: i32,
    pub life: u64,
    pub clock: Arc<NodeClock>,
    pub incarnation: IncarnationId,
    /// The id a directory that is empty gets.
    pub fresh_directory: DirectoryId,
    pub boot_id: Arc<str>,
    pub session_timeout: Duration,
    pub replica_lag_time_max: Duration,
    pub controllers: Vec<i32>,
    pub durability: Durability,
    /// How slow the disk is to sync, in microseconds at most.
    pub sync_us_max: u64,
    /// Whether logs are compacted, and retention is busy.
    pub living: bool,
}

/// A broker's process.
pub(super) struct BrokerProcess {
    setup: BrokerSetup,
    replicas: SteppedReplicas,
    link: Arc<Link>,
    directory: DirectoryId,
    /// The metadata as it was received, and as it was published to the replicas.
    watched: MetadataImage,
    published: Arc<MetadataImage>,
    watch: Option<ConnectionId>,
    lifecycle: Lifecycle,
    asks: Asks,
    isr: Option<IsrRequest>,
    /// Places of replicas that the controller is being told.
    places: Option<BTreeMap<TopicIdPartition, DirectoryId>>,
    flush: Option<Flush>,
    cleaning: Option<Cleaning>,
    stalled: bool,
    streams: BTreeMap<BrokerId, Outgoing>,
    accepted: BTreeMap<ConnectionId, AcceptedStream>,
    produces: Vec<PendingProduce>,
    deletions: Deletions,
    groups: Groups,
    drain_is_due: bool,
    publish_is_due: bool,
}

impl BrokerProcess {
    /// Opens the replicas on a disk, formatted if it is empty, and begins to join the cluster.
    ///
    /// # Errors
    /// If the disk does not open: the process ends at once.
    pub fn start(setup: BrokerSetup, disk: &MemoryFs, fabric: &mut Fabric) -> Result<BrokerProcess, OpenError> {
        let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
        let files = LogDirectory::open(fs, PathBuf::from(LOG_DIRECTORY))?;
        let properties = match files.read_meta_properties()? {
            Some(properties) => properties,
            None => {
                let directory_id = Some(setup.fresh_directory);
                let node_id = BrokerId(setup.node);
                let properties = MetaProperties { cluster_id: None, node_id, directory_id, has_joined: false };
                files.write_meta_properties(&properties)?;
                properties
            }
        };
        let link = Arc::new(Link::default());
        let config = ReplicaConfig {
            session_timeout: setup.session_timeout,
            replica_lag_time_max: setup.replica_lag_time_max,
            checkpoint_interval: if setup.living { Duration::from_millis(300) } else { Duration::from_secs(2) },
            retention_check_interval: if setup.living { Duration::from_millis(700) } else { Duration::from_secs(7) },
            tail_cache_bytes: 1 << 20,
            // More would take turns that no seed repeats.
            recovery_threads: 1,
            frame_bytes: 2000,
            // On every other node all writes wait for the flush.
            defer_from_bytes: if setup.node % 2 == 0 { 0 } else { 1 << 20 },
            credit_bytes: 4000,
            ..ReplicaConfig::new(BrokerId(setup.node))
        };
        let clock: Arc<dyn Clock> = Arc::clone(&setup.clock) as Arc<dyn Clock>;
        let replicas = SteppedReplicas::open(config, vec![files], Arc::clone(&link) as Arc<_>, clock)?;
        let lifecycle = Lifecycle::new(replicas.manager().clean_shutdown_epoch(), replicas.manager().damaged());
        let groups = Groups::new(&setup, &replicas);
        let mut broker = BrokerProcess {
            directory: properties.directory_id.unwrap_or(setup.fresh_directory),
            asks: Asks::new(&setup.controllers),
            setup,
            replicas,
            link,
            watched: MetadataImage::default(),
            published: Arc::default(),
            watch: None,
            lifecycle,
            isr: None,
            places: None,
            flush: None,
            cleaning: None,
            stalled: false,
            streams: BTreeMap::new(),
            accepted: BTreeMap::new(),
            produces: Vec::new(),
            deletions: Deletions::default(),
            groups,
            drain_is_due: false,
            publish_is_due: false,
        };
        broker.set_timer(fabric, HOUSEKEEPING, Timer::Housekeeping);
        if broker.setup.living {
            broker.clean(fabric);
        }
        broker.follow_metadata(fabric);
        broker.register(fabric);
        Ok(broker)
    }

    pub fn replicas(&self) -> &SteppedReplicas {
        &self.replicas
    }

    /// The id of its log directory.
    pub fn directory(&self) -> DirectoryId {
        self.directory
    }

    /// The metadata as its replicas know it.
    pub fn published(&self) -> &Arc<MetadataImage> {
        &self.published
    }

    /// While stalled its disk completes no sync.
    pub fn stall(&mut self, stalled: bool, fabric: &mut Fabric) {
        if std::mem::replace(&mut self.stalled, stalled) && !stalled && self.flush.is_some() {
            self.set_timer(fabric, Duration::from_micros(100), Timer::Flushed);
        }
    }

    /// Asks the controller to forget a broker, as an administrator would; nobody waits for the answer.
    pub fn unregister(&mut self, broker: BrokerReference, fabric: &mut Fabric) {
        let request = Request::UnregisterBroker(broker);
        self.ask(request, Purpose::Unregister, (UNREGISTER_TIMEOUT, false), fabric);
    }

    /// Stops in order: everything is flushed and the directory marked clean.
    pub fn stop(self) -> bool {
        self.replicas.manager().shutdown()
    }

    fn me(&self) -> Endpoint {
        Endpoint::Broker(self.setup.node)
    }

    fn now(&self) -> MonotonicTime {
        self.setup.clock.monotonic()
    }

    fn set_timer(&self, fabric: &mut Fabric, wait: Duration, what: Timer) {
        fabric.after(wait, Event::Timer { node: self.setup.node, life: self.setup.life, what });
    }

    /// Time has come for something.
    pub fn timer(&mut self, timer: Timer, fabric: &mut Fabric) {
        match timer {
            Timer::Drain => {
                self.drain_is_due = false;
                self.drain(fabric);
                return;
            }
            Timer::Housekeeping => {
                self.replicas.keep_house();
                self.say_places(fabric);
                self.set_timer(fabric, HOUSEKEEPING, Timer::Housekeeping);
            }
            Timer::Flushed if self.stalled => {}
            Timer::Flushed => {
                if let Some(flush) = self.flush.take() {
                    flush.complete();
                }
            }
            Timer::Clean => self.clean(fabric),
            Timer::Heartbeat => self.heartbeat_is_due(fabric),
            Timer::Register => self.register(fabric),
            Timer::Publish => self.publish(fabric),
            Timer::FollowMetadata => self.follow_metadata(fabric),
            Timer::DialLeader(leader) => self.dial_is_due(leader, fabric),
            Timer::Retry(leader) => self.retry(leader, fabric),
            Timer::AskAgain(ask) => self.attempt(ask, fabric),
            Timer::AskGivenUp(ask) => self.give_up(ask, fabric),
            Timer::TellGroups => self.tell_groups(),
            Timer::LoadGroups => self.load_groups(),
            Timer::Groups => self.groups_are_due(),
            _ => {}
        }
        self.drain_soon(fabric);
    }

    /// Something happened to a connection.
    pub fn end_event(&mut self, connection: ConnectionId, what: EndEvent, fabric: &mut Fabric) {
        if self.asks.is_of(connection) {
            self.ask_event(connection, what, fabric);
        } else if self.lifecycle.is_session(connection) {
            self.session_event(what, fabric);
        } else if self.watch == Some(connection) {
            self.watch_event(what, fabric);
        } else if let Some(leader) = self.leader_of(connection) {
            self.stream_event(leader, what, fabric);
        } else if let EndEvent::Frame(Frame::ToLeader(frame)) = what {
            self.follower_says(connection, frame, fabric);
        } else if let EndEvent::Frame(Frame::Request { correlation, request }) = what {
            self.client_asks(connection, correlation, request, fabric);
        } else if let EndEvent::Closed = what {
            if let Some(stream) = self.accepted.remove(&connection) {
                stream.ended();
            }
            self.produces.retain(|produce| produce.connection != connection);
            self.groups.closed(connection);
            self.deletions.closed(connection);
        }
        self.drain_soon(fabric);
    }

    /// One step of the cleaner: what it moves takes a while, so that others come between two of them.
    fn clean(&mut self, fabric: &mut Fabric) {
        // While the disk completes no sync a compaction waits, too.
        if !self.stalled {
            let began = self.cleaning.is_some();
            self.cleaning = match self.cleaning.take() {
                Some(cleaning) => self.replicas.clean(cleaning),
                None => self.replicas.begin_cleaning(),
            };
            if began && self.cleaning.is_none() {
                let node = self.setup.node;
                fabric.trace.say(fabric.now(), || format!("broker {node} ends a compaction"));
            }
        }
        let works = self.cleaning.is_some() && !fabric.one_in(12);
        let wait = if works { Duration::from_micros(fabric.between(50, 5000)) } else { fabric.millis(30, 300) };
        self.set_timer(fabric, wait, Timer::Clean);
    }

    /// What the parts of the broker have put in line is looked at in a moment, as other threads would.
    fn drain_soon(&mut self, fabric: &mut Fabric) {
        if !std::mem::replace(&mut self.drain_is_due, true) {
            let us = if fabric.one_in(20) { fabric.between(200, 4000) } else { fabric.between(1, 60) };
            self.set_timer(fabric, Duration::from_micros(us), Timer::Drain);
        }
    }

    fn drain(&mut self, fabric: &mut Fabric) {
        if self.replicas.is_urgent() {
            self.replicas.keep_house();
        }
        if self.flush.is_none() {
            self.flush = self.replicas.begin_flush().pop();
            if self.flush.is_some() && !self.stalled {
                let us = fabric.between(40, self.setup.sync_us_max.max(41));
                self.set_timer(fabric, Duration::from_micros(us), Timer::Flushed);
            }
        }
        self.ask_for_isr(fabric);
        self.send_reports(fabric);
        self.tend_streams(fabric);
        self.answer_produces(fabric);
        self.answer_deletions(fabric);
        self.tend_groups(fabric);
    }
}
