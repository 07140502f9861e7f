use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use raftsman_metadata::{Durability, MetadataImage};
use raftsman_rpc::controller::{BrokerHeartbeatReply, RegisterBrokerReply, RegisterBrokerRequest};
use raftsman_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, IncarnationId, TopicId, TopicIdPartition, Uuid};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::fake_controller::{FakeController, Script};
use crate::lifecycle::{BrokerIdentity, Lifecycle, LifecycleObserver, LifecycleStatus, Registration};
use crate::metadata::{ControllerClient, MetadataCache};
use crate::replica::MissingReplicas;

/// A broker's lifecycle without a broker.
struct Running {
    identity: Arc<BrokerIdentity>,
    cache: MetadataCache,
    epochs: Arc<Epochs>,
    statuses: watch::Receiver<LifecycleStatus>,
    wants_shutdown: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

#[derive(Default)]
struct Epochs {
    seen: Mutex<Vec<BrokerEpoch>>,
    wants_fence: AtomicBool,
    missing: Mutex<MissingReplicas>,
}

impl LifecycleObserver for Epochs {
    fn registered(&self, epoch: BrokerEpoch) {
        self.seen.lock().push(epoch);
        *self.missing.lock() = MissingReplicas::default();
    }

    fn controller_heard(&self, sent: std::time::Instant, _fenced: bool) -> bool {
        assert!(sent <= std::time::Instant::now());
        true
    }

    fn wants_fence(&self) -> bool {
        self.wants_fence.load(Ordering::Relaxed)
    }

    fn has_missing(&self) -> bool {
        *self.missing.lock() != MissingReplicas::default()
    }

    fn missing(&self) -> MissingReplicas {
        self.missing.lock().clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

fn run(controller: &FakeController) -> Running {
    let identity = Arc::new(BrokerIdentity::new(BrokerId(1), IncarnationId::default(), None));
    let client = ControllerClient::new(Handle::current(), identity.clone(), vec![controller.endpoint()]);
    let (status, statuses) = watch::channel(LifecycleStatus::default());
    let (wants_shutdown, wishes) = watch::channel(false);
    let (cache, epochs) = (MetadataCache::default(), Arc::new(Epochs::default()));
    let lifecycle = Lifecycle {
        client,
        identity: identity.clone(),
        cache: cache.clone(),
        registration: Registration {
            listeners: Vec::new(),
            inter_broker_listener: "PLAINTEXT".into(),
            rack: None,
            directories: [2, 3].map(|id| DirectoryId(Uuid([id; 16]))).into(),
            offline_directories: 1,
            boot_id: "boot".to_owned(),
            clean_shutdown_epoch: BrokerEpoch::NONE,
            min_insync_replicas: 2,
            damaged: Vec::new(),
            durability: Durability::Flushed,
        },
        observer: epochs.clone(),
        heartbeat_interval: Duration::from_millis(10),
        session_timeout: Duration::from_millis(200),
        wants_shutdown: wishes,
        status,
    };
    let watched = identity.clone();
    let tasks = vec![tokio::spawn(lifecycle.run()), tokio::spawn(async move { watched.watch_contact().await })];
    Running { identity, cache, epochs, statuses, wants_shutdown, tasks }
}

#[tokio::test]
async fn a_broker_registers_and_tells_how_far_its_metadata_is() {
    let fenced = BrokerHeartbeatReply { fenced: true, ..Default::default() };
    let controller = FakeController::start(Script { heartbeat: Some(fenced), ..Script::default() });
    let mut running = run(&controller);
    running.statuses.wait_for(|status| status.registered).await.unwrap();
    assert_eq!(
        (running.identity.broker_epoch(), running.identity.cluster_id().as_deref()),
        (BrokerEpoch(5), Some("c"))
    );
    running.identity.contact_changes().wait_for(|in_contact| *in_contact).await.unwrap();
    assert!(!running.statuses.borrow().unfenced);
    running.cache.publish(Arc::new(MetadataImage { version: 7, ..MetadataImage::default() }));
    controller.until(|script| script.heartbeats.last().is_some_and(|beat| beat.metadata_version == 7)).await;
    controller.script(|script| script.heartbeat = Some(BrokerHeartbeatReply::default()));
    running.statuses.wait_for(|status| status.unfenced).await.unwrap();
    let sender = controller.script(|script| script.heartbeats.last().unwrap().sender.clone().unwrap());
    assert_eq!((&*sender.cluster_id, sender.broker_id, sender.broker_epoch), ("c", 1, 5));
}

#[tokio::test]
async fn a_broker_whose_epoch_is_stale_registers_again_as_one_that_never_stopped() {
    let controller = FakeController::start(Script::default());
    let mut running = run(&controller);
    running.statuses.wait_for(|status| status.unfenced).await.unwrap();
    controller.script(|script| {
        script.registration.broker_epoch = 9;
        let error_code = i32::from(ErrorCode::StaleBrokerEpoch.code());
        script.heartbeat = Some(BrokerHeartbeatReply { error_code, ..Default::default() });
    });
    controller.until(|script| script.registrations.len() >= 2).await;
    controller.script(|script| script.heartbeat = Some(BrokerHeartbeatReply::default()));
    controller.until(|s| s.heartbeats.last().is_some_and(|b| b.sender.as_ref().unwrap().broker_epoch == 9)).await;
    let (first, second) = controller.script(|s| (s.registrations[0].clone(), s.registrations[1].clone()));
    assert_eq!((first.clean_shutdown_epoch, second.clean_shutdown_epoch), (-1, 5));
    assert_eq!((first.min_insync_replicas, &*first.boot_id), (2, "boot"));
    assert_eq!(running.epochs.seen.lock()[..2], [BrokerEpoch(5), BrokerEpoch(9)]);
}

#[tokio::test]
async fn silence_for_a_session_ends_the_contact_and_an_answer_restores_it() {
    let controller = FakeController::start(Script::default());
    let running = run(&controller);
    let mut contact = running.identity.contact_changes();
    contact.wait_for(|in_contact| *in_contact).await.unwrap();
    controller.script(|script| script.heartbeat = None);
    contact.wait_for(|in_contact| !*in_contact).await.unwrap();
    controller.script(|script| script.heartbeat = Some(BrokerHeartbeatReply::default()));
    contact.wait_for(|in_contact| *in_contact).await.unwrap();
    assert_eq!(controller.script(|script| script.registrations.len()), 1, "the session went on");
}

#[tokio::test]
async fn a_dead_controller_ends_the_contact() {
    let controller = FakeController::start(Script::default());
    let running = run(&controller);
    let mut contact = running.identity.contact_changes();
    contact.wait_for(|in_contact| *in_contact).await.unwrap();
    controller.kill();
    contact.wait_for(|in_contact| !*in_contact).await.unwrap();
}

#[tokio::test]
async fn a_controlled_shutdown_waits_for_the_controllers_word() {
    let controller = FakeController::start(Script::default());
    let mut running = run(&controller);
    running.statuses.wait_for(|status| status.unfenced).await.unwrap();
    running.wants_shutdown.send_replace(true);
    controller.until(|script| script.heartbeats.last().is_some_and(|beat| beat.wants_shutdown)).await;
    assert!(!running.statuses.borrow().may_shut_down);
    let may = BrokerHeartbeatReply { may_shut_down: true, ..Default::default() };
    controller.script(|script| script.heartbeat = Some(may));
    running.statuses.wait_for(|status| status.may_shut_down).await.unwrap();
}

#[tokio::test]
async fn a_failed_directory_is_told_at_once_and_left_out_of_the_next_registration() {
    let controller = FakeController::start(Script::default());
    let mut running = run(&controller);
    running.statuses.wait_for(|status| status.registered).await.unwrap();
    running.identity.directory_offline(DirectoryId(Uuid([3; 16])));
    controller.until(|s| s.heartbeats.last().is_some_and(|beat| beat.offline_directories.len() == 1)).await;
    controller.script(|script| {
        script.registration.broker_epoch = 9;
        let error_code = i32::from(ErrorCode::StaleBrokerEpoch.code());
        script.heartbeat = Some(BrokerHeartbeatReply { error_code, ..Default::default() });
    });
    controller.until(|script| script.registrations.len() >= 2).await;
    // With it one more is missing than at the start: neither is lost.
    let directories =
        |registration: &RegisterBrokerRequest| (registration.directories.len(), registration.offline_directories);
    let told: Vec<_> = controller.script(|s| s.registrations.iter().take(2).map(directories).collect());
    assert_eq!(told, [(2, 1), (1, 2)]);
}

#[tokio::test]
async fn a_broker_that_has_not_what_is_counted_on_registers_again_without_it() {
    let controller = FakeController::start(Script::default());
    let mut running = run(&controller);
    running.statuses.wait_for(|status| status.registered).await.unwrap();
    let at = |partition| TopicIdPartition { topic_id: TopicId(Uuid([7; 16])), partition };
    *running.epochs.missing.lock() = MissingReplicas { gone: [at(0)].into(), never_made: [at(1)].into() };
    controller.until(|script| script.registrations.len() >= 2).await;
    let told = |request: &RegisterBrokerRequest| (request.damaged.len(), request.missing.len());
    let told: Vec<_> = controller.script(|script| script.registrations.iter().take(2).map(told).collect());
    assert_eq!(told, [(0, 0), (1, 1)]);
    running.statuses.wait_for(|status| status.unfenced).await.unwrap();
    assert_eq!(controller.script(|script| script.registrations.len()), 2, "once is enough");
}

#[tokio::test]
async fn a_broker_whose_disk_stalls_asks_to_be_fenced_until_it_is_well() {
    let controller = FakeController::start(Script::default());
    let running = run(&controller);
    running.epochs.wants_fence.store(true, Ordering::Relaxed);
    controller.until(|script| script.heartbeats.last().is_some_and(|beat| beat.wants_fence)).await;
    running.epochs.wants_fence.store(false, Ordering::Relaxed);
    controller.until(|script| script.heartbeats.last().is_some_and(|beat| !beat.wants_fence)).await;
}

#[tokio::test]
async fn a_broker_of_another_cluster_gives_up_with_the_controllers_words() {
    let registration = RegisterBrokerReply {
        error_code: i32::from(ErrorCode::InconsistentClusterId.code()),
        error_message: "this is cluster c".to_owned(),
        ..Default::default()
    };
    let controller = FakeController::start(Script { registration, ..Script::default() });
    let mut running = run(&controller);
    let status = running.statuses.wait_for(|status| status.failure.is_some()).await.unwrap().clone();
    assert_eq!(status.failure.as_deref(), Some("this is cluster c"));
}
