//! Handlers of metadata and administration against a hand-made cluster, through frames as clients send them.

mod admin;
mod delete_records;
mod describe_log_dirs;
mod lost_leader;
mod metadata;
mod old_formats;
mod read_committed;
mod sole;
mod topic_settings;
mod versions;
mod waiting_room;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use raftsman_log::dir::{LogDirectory, MetaProperties};
use raftsman_log::fs::RealFs;
use raftsman_metadata::{
    BrokerRegistration, BrokerState as RegistrationState, ConfigResource, Durability, Listener, MetadataImage,
    PartitionImage, TopicImage,
};
use raftsman_protocol::{Request, RequestHeader, Str, decode_response, encode_request};
use raftsman_types::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId, LeaderEpoch, TopicId, Uuid};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::registry::Registry;
use super::{BrokerState, Close};
use crate::config::BrokerConfig;
use crate::coordinator::CoordinatorService;
use crate::lifecycle::BrokerIdentity;
use crate::metadata::{ControllerClient, MetadataCache, ProducerIds};
use crate::net::{Dispatcher, Peer};
use crate::replica::{ReplicaConfig, ReplicaManager};

pub(super) const ORDERS: TopicId = TopicId(Uuid([7; 16]));
pub(super) const OFFSETS: TopicId = TopicId(Uuid([8; 16]));

/// Broker 1 of a hand-made cluster, as clients of its listener PLAINTEXT see it.
pub(super) struct TestBroker {
    registry: Registry,
    peer: Arc<Peer>,
    pub(super) state: Arc<BrokerState>,
    directory: TempDir,
}

impl TestBroker {
    /// Must be called within a runtime.
    pub(super) fn new(image: MetadataImage, config: BrokerConfig) -> TestBroker {
        let broker = TestBroker::not_admitted(image, config);
        broker.state.identity.set_admitted();
        broker
    }

    /// One that has started but is not in its cluster yet.
    pub(super) fn not_admitted(image: MetadataImage, config: BrokerConfig) -> TestBroker {
        let temporary = tempfile::tempdir().unwrap();
        let directory = LogDirectory::open(Arc::new(RealFs::new()), temporary.path()).unwrap();
        let properties = MetaProperties {
            cluster_id: Some("test-cluster".to_owned()),
            node_id: config.node_id,
            directory_id: Some(DirectoryId(Uuid([1; 16]))),
            has_joined: true,
        };
        directory.write_meta_properties(&properties).unwrap();
        let incarnation = IncarnationId(Uuid([9; 16]));
        let identity = Arc::new(BrokerIdentity::new(config.node_id, incarnation, Some("test-cluster".into())));
        identity.set_in_contact(true);
        let controller = ControllerClient::new(Handle::current(), identity.clone(), Vec::new());
        let link = Arc::new(controller.clone());
        let replicas =
            ReplicaManager::open(replica_config(config.node_id), vec![directory], link, Handle::current()).unwrap();
        let coordinator = CoordinatorService::new(&config, replicas.clone(), Handle::current());
        let state = Arc::new(BrokerState {
            config: Arc::new(config),
            identity,
            metadata: MetadataCache::new(Arc::new(image)),
            producer_ids: ProducerIds::new(controller.clone()),
            controller,
            replicas,
            coordinator,
        });
        let address = "127.0.0.1:5000".parse().unwrap();
        let peer = Peer {
            listener: "PLAINTEXT".into(),
            principal: "User:ANONYMOUS".into(),
            address,
            connected_at: std::time::Instant::now(),
        };
        TestBroker { registry: Registry::new(state.clone()), peer: Arc::new(peer), state, directory: temporary }
    }

    /// The broker of [`cluster`] with settings as they come.
    pub(super) fn of_cluster() -> TestBroker {
        TestBroker::new(cluster(), BrokerConfig { node_id: BrokerId(1), ..BrokerConfig::default() })
    }

    /// Sends a request in a version and reads its answer.
    pub(super) async fn ask<R: Request>(&self, request: &R, version: i16) -> Result<R::Response, Close> {
        let header = RequestHeader {
            api_key: R::KEY.code(),
            api_version: version,
            correlation_id: 77,
            client_id: Some(Str::from("test")),
        };
        let frame = encode_request(&header, request).unwrap().into_contiguous().slice(4..);
        let mut dispatched = self.registry.dispatch(&self.peer, frame)?;
        let answer = poll_fn(|cx| dispatched.answer.as_mut().poll(cx)).await?;
        let frame = answer.expect("an answer").into_contiguous().slice(4..);
        let (correlation_id, response) = decode_response::<R>(frame, version).unwrap();
        assert_eq!(correlation_id, 77);
        Ok(response)
    }

    /// Sends raw bytes behind no length and gives the answer's bytes.
    pub(super) async fn send(&self, frame: Vec<u8>) -> Result<Vec<u8>, Close> {
        let mut dispatched = self.registry.dispatch(&self.peer, frame.into())?;
        let answer = poll_fn(|cx| dispatched.answer.as_mut().poll(cx)).await?;
        Ok(answer.expect("an answer").into_contiguous().to_vec())
    }
}

/// Retention is looked at all the time, checkpoints (which flush) are not written at all, and no controller is missed.
fn replica_config(node_id: BrokerId) -> ReplicaConfig {
    let never = Duration::from_secs(3600);
    ReplicaConfig {
        retention_check_interval: Duration::from_millis(20),
        checkpoint_interval: never,
        session_timeout: never,
        ..ReplicaConfig::new(node_id)
    }
}

fn broker(id: i32, state: RegistrationState, listeners: &[&str]) -> Arc<BrokerRegistration> {
    let listener = |name: &&str| Listener {
        name: (*name).into(),
        host: format!("host-{id}").into(),
        port: 9000 + id as u16,
        security_protocol: 0,
    };
    Arc::new(BrokerRegistration {
        id: BrokerId(id),
        broker_epoch: BrokerEpoch(i64::from(id)),
        incarnation: IncarnationId(Uuid([id as u8; 16])),
        listeners: listeners.iter().map(listener).collect(),
        inter_broker_listener: "PLAINTEXT".into(),
        rack: (id == 1).then(|| "rack-a".into()),
        directories: vec![DirectoryId(Uuid([id as u8; 16]))],
        offline_directories: Vec::new(),
        state,
        features: Vec::new(),
        boot_id: "boot".into(),
        log_durability: Durability::Flushed,
    })
}

fn partition(leader: Option<i32>, isr: &[i32], elr: &[i32]) -> Arc<PartitionImage> {
    let ids = |ids: &[i32]| ids.iter().map(|id| BrokerId(*id)).collect();
    Arc::new(PartitionImage {
        replicas: ids(&[1, 2, 3]),
        directories: vec![DirectoryId::ZERO; 3],
        isr: ids(isr),
        elr: ids(elr),
        leader: leader.map(BrokerId),
        leader_epoch: LeaderEpoch(4),
        ..PartitionImage::default()
    })
}

/// Brokers 1 to 4: 3 is fenced, 4 has no listener PLAINTEXT. `orders` has a partition for each way to be led.
pub(super) fn cluster() -> MetadataImage {
    let mut image = MetadataImage { version: 40, cluster_id: Some("test-cluster".into()), ..MetadataImage::default() };
    for registration in [
        broker(1, RegistrationState::Unfenced, &["PLAINTEXT"]),
        broker(2, RegistrationState::ControlledShutdown, &["PLAINTEXT", "INTERNAL"]),
        broker(3, RegistrationState::Fenced, &["PLAINTEXT"]),
        broker(4, RegistrationState::Unfenced, &["INTERNAL"]),
    ] {
        image.brokers.insert(registration.id, registration);
    }
    let topic = |id, name: &str, partitions: Vec<Arc<PartitionImage>>| {
        let partitions = (0..).zip(partitions).collect();
        Arc::new(TopicImage { id, name: name.into(), partitions })
    };
    let orders = vec![
        partition(Some(1), &[1, 2], &[]),
        partition(Some(2), &[2], &[1]),
        partition(None, &[], &[3]),
        partition(Some(3), &[3], &[]),
        partition(Some(4), &[4], &[]),
    ];
    let offsets = vec![partition(Some(1), &[1, 2], &[])];
    for topic in [topic(ORDERS, "orders", orders), topic(OFFSETS, "__consumer_offsets", offsets)] {
        image.topic_ids.insert(topic.name.clone(), topic.id);
        image.topics.insert(topic.id, topic);
    }
    let own = [("retention.ms".into(), "1000".into())].into_iter().collect();
    image.configs.insert(ConfigResource::topic("orders"), Arc::new(own));
    let all = [("log.retention.ms".into(), "5000".into())].into_iter().collect();
    image.configs.insert(ConfigResource::cluster(), Arc::new(all));
    image.features.insert("metadata.version".into(), 30);
    image
}
