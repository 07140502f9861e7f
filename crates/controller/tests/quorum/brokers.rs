use std::net::TcpListener;
use std::time::Duration;

use raftsman_metadata::{MetadataEntry, MetadataImage, MetadataRecord};
use raftsman_rpc::controller as pb;
use raftsman_rpc::controller::controller_client::ControllerClient;
use raftsman_rpc::{ACTIVE_CONTROLLER_KEY, metadata};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::Channel;

use crate::cluster::{LIMIT, Quorum};

fn registration(broker: i32, incarnation: u8, port: u16) -> pb::RegisterBrokerRequest {
    pb::RegisterBrokerRequest {
        sender: Some(pb::Sender { cluster_id: String::new(), broker_id: broker, broker_epoch: -1 }),
        incarnation: vec![incarnation; 16].into(),
        listeners: vec![metadata::Listener {
            name: "PLAINTEXT".into(),
            host: "127.0.0.1".into(),
            port: port.into(),
            security_protocol: 0,
        }],
        inter_broker_listener: "PLAINTEXT".into(),
        directories: vec![vec![broker as u8 + 1; 16].into()],
        boot_id: "boot".into(),
        clean_shutdown_epoch: -1,
        durability: 1,
        ..Default::default()
    }
}

pub async fn register(client: &mut ControllerClient<Channel>, broker: i32) -> i64 {
    let reply = client.register_broker(registration(broker, 1, 9)).await.unwrap().into_inner();
    assert_eq!(reply.error_code, 0, "{}", reply.error_message);
    assert!(!reply.cluster_id.is_empty());
    reply.broker_epoch
}

pub async fn create_topic(client: &mut ControllerClient<Channel>, broker: i32, epoch: i64, name: &str) {
    let assignments = vec![pb::ReplicaAssignment { partition: 0, broker_ids: vec![broker] }];
    let topic =
        pb::NewTopic { name: name.into(), partition_count: -1, replication_factor: -1, assignments, configs: vec![] };
    let request = pb::AdministerRequest {
        sender: Some(pb::Sender { cluster_id: String::new(), broker_id: broker, broker_epoch: epoch }),
        timeout_ms: 5000,
        operation: Some(pb::administer_request::Operation::CreateTopics(pb::CreateTopics {
            topics: vec![topic],
            validate_only: false,
        })),
    };
    let reply = client.administer(request).await.unwrap().into_inner();
    assert_eq!(reply.results[0].error_code, 0, "{}", reply.results[0].error_message);
}

/// Follows the metadata until it has reached a version.
pub async fn watch_until(client: &mut ControllerClient<Channel>, version: u64) -> MetadataImage {
    watch(client, |image| image.version >= version).await
}

pub async fn watch(client: &mut ControllerClient<Channel>, reached: impl Fn(&MetadataImage) -> bool) -> MetadataImage {
    let request = pb::WatchMetadataRequest { cluster_id: String::new(), broker_id: 1, from_version: 0 };
    let mut updates = client.watch_metadata(request).await.unwrap().into_inner();
    let mut image = MetadataImage::default();
    let mut records: Vec<MetadataRecord> = Vec::new();
    let following = async {
        while !reached(&image) {
            match updates.message().await.unwrap().expect("the stream goes on").update.unwrap() {
                pb::metadata_update::Update::Snapshot(part) => {
                    records.extend(part.records.iter().map(|r| MetadataRecord::try_from(r).unwrap()));
                    if part.last {
                        image = MetadataImage::from_snapshot(part.version, records.drain(..));
                    }
                }
                pb::metadata_update::Update::Batch(batch) => {
                    image.replay(&MetadataEntry::try_from(&batch).unwrap());
                }
            }
        }
    };
    tokio::time::timeout(LIMIT, following).await.expect("the metadata gets there");
    image
}

/// A broker's session stream that sends a heartbeat every 50 ms until it is dropped.
pub struct Session {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    replies: tonic::Streaming<pb::BrokerHeartbeatReply>,
}

pub async fn session(client: &mut ControllerClient<Channel>, broker: i32, epoch: i64) -> Session {
    let (heartbeats, receiver) = mpsc::channel(4);
    let (stop, mut stopped) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(50));
        loop {
            tokio::select! {
                _ = every.tick() => {}
                _ = &mut stopped => return,
            }
            let sender = Some(pb::Sender { cluster_id: String::new(), broker_id: broker, broker_epoch: epoch });
            let heartbeat = pb::BrokerHeartbeat { sender, metadata_version: epoch as u64, ..Default::default() };
            if heartbeats.send(heartbeat).await.is_err() {
                return;
            }
        }
    });
    let replies = client.broker_session(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    Session { stop: Some(stop), replies }
}

impl Session {
    pub async fn until_unfenced(&mut self) {
        let waiting = async {
            loop {
                let reply = self.replies.message().await.unwrap().expect("the session goes on");
                assert_eq!(reply.error_code, 0);
                if !reply.fenced {
                    return;
                }
            }
        };
        tokio::time::timeout(LIMIT, waiting).await.expect("the broker gets unfenced");
    }

    /// Waits until the controller ends the session, which says that it is not active.
    pub async fn until_closed(&mut self) {
        let waiting = async {
            loop {
                match self.replies.message().await {
                    Ok(reply) => assert!(reply.is_some(), "an end comes with a reason"),
                    Err(status) => return status,
                }
            }
        };
        let status = tokio::time::timeout(LIMIT, waiting).await.expect("the session is ended");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_registers_is_unfenced_and_is_fenced_when_it_dies() {
    let quorum = Quorum::started(1).await;
    let mut client = quorum.nodes[0].client().await;
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let request = registration(5, 1, broker.local_addr().unwrap().port());
    let epoch = client.register_broker(request).await.unwrap().into_inner().broker_epoch;
    let image = watch(&mut client, |image| image.broker(raftsman_types::BrokerId(5)).is_some()).await;
    assert!(!image.is_active(raftsman_types::BrokerId(5)), "a broker starts fenced");

    let mut session = session(&mut client, 5, epoch).await;
    session.until_unfenced().await;
    watch(&mut client, |image| image.is_active(raftsman_types::BrokerId(5))).await;

    // It dies: its stream breaks and nobody listens there any more.
    drop(broker);
    drop(session.stop.take());
    drop(session);
    let before = std::time::Instant::now();
    watch(&mut client, |image| {
        image.broker(raftsman_types::BrokerId(5)).is_some() && !image.is_active(raftsman_types::BrokerId(5))
    })
    .await;
    println!("fenced {:?} after its death", before.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_that_are_not_active_name_the_active_one_but_serve_the_metadata() {
    let quorum = Quorum::started(3).await;
    let active = quorum.active().await;
    let passive = (active + 1) % 3;
    let mut client = quorum.nodes[passive].client().await;
    let status = client.register_broker(registration(1, 1, 9)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let named = status.metadata().get(ACTIVE_CONTROLLER_KEY).expect("the active controller is named").to_str().unwrap();
    let expected = format!("{}:{}", quorum.nodes[active].host, quorum.nodes[active].port);
    assert_eq!(named, expected);

    let mut active_client = quorum.nodes[active].client().await;
    let epoch = register(&mut active_client, 1).await;
    let image = watch_until(&mut client, epoch as u64).await;
    assert_eq!(image.broker_epoch(raftsman_types::BrokerId(1)).map(|e| e.0), Some(epoch));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_another_cluster_are_refused() {
    let quorum = Quorum::started(1).await;
    let mut client = quorum.nodes[0].client().await;
    let mut request = registration(1, 1, 9);
    request.sender.as_mut().unwrap().cluster_id = "other".into();
    let reply = client.register_broker(request).await.unwrap().into_inner();
    assert_eq!(reply.error_code, 104, "INCONSISTENT_CLUSTER_ID");
    assert!(reply.error_message.contains("other"), "{}", reply.error_message);
    let watch = pb::WatchMetadataRequest { cluster_id: "other".into(), broker_id: 1, from_version: 0 };
    assert_eq!(client.watch_metadata(watch).await.unwrap_err().code(), Code::FailedPrecondition);
    let garbled = pb::AlterPartitionRequest { sender: None, partitions: vec![] };
    assert_eq!(client.alter_partition(garbled).await.unwrap_err().code(), Code::InvalidArgument);
}
