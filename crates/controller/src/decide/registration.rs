//! A start of a broker registers itself (KIP-631, KIP-966).

use std::collections::BTreeSet;
use std::sync::Arc;

use raftsman_metadata::{
    BrokerRegistration, BrokerState, ConfigResource, Durability, MetadataImage, MetadataRecord, PartitionImage,
};
use raftsman_types::{BrokerEpoch, DirectoryId, ErrorCode, TopicIdPartition};

use super::brokers::{directory_of, refusal};
use super::election::{Electorate, Wanted, change_between, partitions_where, without};
use super::outcome::{Draft, Outcome};
use super::{Liveness, RegisterBroker, Registered, Reply, RequestError, Situation};

const MAX_LISTENERS: usize = 64;
const MAX_DIRECTORIES: usize = 1024;
const MAX_FEATURES: usize = 256;
const MAX_NAME_BYTES: usize = 1024;

/// What a broker's present registration says of a replica it comes back with.
enum Place {
    /// It has everything it ever acknowledged.
    Kept,
    /// It may miss the tail, or cannot be reached.
    Unsure,
    /// It misses data.
    Lost,
}

/// What the broker says it has not.
struct Claims {
    damaged: BTreeSet<TopicIdPartition>,
    missing: BTreeSet<TopicIdPartition>,
}

pub(super) fn register(situation: &Situation<'_>, request: &RegisterBroker) -> Outcome {
    let image = situation.image;
    let Some(cluster_id) = image.cluster_id.clone() else {
        let error = refusal(ErrorCode::NotController, "the cluster is not formed yet: try again");
        return Outcome::unchanged(Reply::RegisterBroker(Err(error)));
    };
    if let Err(error) = check(situation, request) {
        return Outcome::unchanged(Reply::RegisterBroker(Err(error)));
    }
    let present = image.broker(request.broker);
    if let Some(present) = present
        && *registration(request, Some(present), present.broker_epoch, present.state) == **present
        && !takes_back(request, present)
    {
        // The same start asks again: its first answer was lost.
        let reply = Registered { broker_epoch: present.broker_epoch, cluster_id };
        return Outcome::unchanged(Reply::RegisterBroker(Ok(reply)));
    }
    let mut draft = Draft::new(image);
    first_min_insync_replicas(&mut draft, request);
    let present = present.map(|p| &**p);
    take_out(situation, &mut draft, request, present);
    let broker_epoch = BrokerEpoch(draft.next_version() as i64);
    let registration = registration(request, present, broker_epoch, BrokerState::Fenced);
    draft.push(MetadataRecord::RegisterBroker(registration));
    draft.with_reply(Reply::RegisterBroker(Ok(Registered { broker_epoch, cluster_id })))
}

/// Whether the broker has learnt from the image with its registration that it lacks replicas. Even where nobody counts on them any
/// more by now it wants another registration: the image with that says so.
fn takes_back(request: &RegisterBroker, present: &BrokerRegistration) -> bool {
    let runs_under_it = request.clean_shutdown_epoch == present.broker_epoch;
    runs_under_it && !(request.damaged.is_empty() && request.missing.is_empty())
}

fn registration(
    request: &RegisterBroker,
    present: Option<&BrokerRegistration>,
    broker_epoch: BrokerEpoch,
    state: BrokerState,
) -> Arc<BrokerRegistration> {
    Arc::new(BrokerRegistration {
        id: request.broker,
        broker_epoch,
        incarnation: request.incarnation,
        listeners: request.listeners.clone(),
        inter_broker_listener: request.inter_broker_listener.clone(),
        rack: request.rack.clone(),
        directories: request.directories.clone(),
        offline_directories: missing_directories(request, present),
        state,
        features: request.features.clone(),
        boot_id: request.boot_id.clone(),
        log_durability: request.log_durability,
    })
}

/// Directories that the broker had, that are not online now and need not be lost: it says that some have failed, not which.
fn missing_directories(request: &RegisterBroker, present: Option<&BrokerRegistration>) -> Vec<DirectoryId> {
    let Some(present) = present.filter(|_| request.offline_directories > 0) else { return Vec::new() };
    known_directories(present).filter(|directory| !request.directories.contains(directory)).copied().collect()
}

fn known_directories(present: &BrokerRegistration) -> impl Iterator<Item = &DirectoryId> {
    present.directories.iter().chain(&present.offline_directories)
}

fn check(situation: &Situation<'_>, request: &RegisterBroker) -> Result<(), RequestError> {
    let id = request.broker;
    if let Some(present) = situation.image.broker(id)
        && present.incarnation != request.incarnation
        && may_be_another(present, request, (situation.liveness)(id))
    {
        let message = format!("another process is running as broker {id}: give each broker a node.id of its own");
        return Err(refusal(ErrorCode::DuplicateBrokerRegistration, message));
    }
    let invalid = |message: String| Err(refusal(ErrorCode::InvalidRegistration, message));
    if id.0 < 0 {
        return invalid(format!("node.id {id} is negative"));
    }
    if !request.listeners.iter().any(|listener| listener.name == request.inter_broker_listener) {
        return invalid(format!(
            "broker {id} has no listener of the name {}, its inter-broker listener",
            request.inter_broker_listener
        ));
    }
    if request.directories.is_empty() {
        return invalid(format!("broker {id} names no log directory"));
    }
    let mut directories = request.directories.clone();
    directories.sort_unstable();
    if directories.windows(2).any(|pair| pair[0] == pair[1]) || directories.contains(&DirectoryId::ZERO) {
        return invalid(format!("broker {id} names a log directory twice, or one without an id"));
    }
    let texts = request.listeners.iter().flat_map(|l| [&l.name, &l.host]);
    let texts = texts.chain(request.features.iter().map(|(name, _, _)| name));
    let mut texts = texts.chain([&request.boot_id]).chain(&request.rack);
    if request.listeners.len() > MAX_LISTENERS
        || directories.len().saturating_add(request.offline_directories) > MAX_DIRECTORIES
        || request.features.len() > MAX_FEATURES
        || texts.any(|text| text.len() > MAX_NAME_BYTES)
    {
        return invalid(format!("the registration of broker {id} is larger than any broker's can be"));
    }
    check_features(situation.image, request)
}

/// Whether the registered process may live beside the one that asks. Two cannot listen in one place, so who asks from the same
/// place is its next start; who asks from elsewhere waits until the session has passed. Else a second process under a node.id could
/// take a living one's place in the moment in which a new controller has not heard anybody yet.
fn may_be_another(present: &BrokerRegistration, request: &RegisterBroker, liveness: Liveness) -> bool {
    match liveness {
        Liveness::Lives => true,
        Liveness::Unheard => present.state != BrokerState::Fenced && present.listeners != request.listeners,
        Liveness::Gone => false,
    }
}

fn check_features(image: &MetadataImage, request: &RegisterBroker) -> Result<(), RequestError> {
    for (name, low, high) in &request.features {
        let finalized = image.features.get(name).copied().unwrap_or(0);
        if finalized != 0 && !(*low..=*high).contains(&finalized) {
            let message = format!(
                "broker {} supports {name} from {low} to {high}, but the cluster has finalized {finalized}: use a version of the \
                 program that supports it",
                request.broker
            );
            return Err(refusal(ErrorCode::UnsupportedVersion, message));
        }
    }
    Ok(())
}

/// `min.insync.replicas` of the first broker's file holds for the cluster if the controller that formed it had none.
fn first_min_insync_replicas(draft: &mut Draft, request: &RegisterBroker) {
    const KEY: &str = "min.insync.replicas";
    let is_first = draft.image().brokers.is_empty() && draft.image().config(&ConfigResource::cluster(), KEY).is_none();
    if let Some(value) = request.min_insync_replicas.filter(|value| is_first && *value >= 1) {
        let value = Some(value.to_string().into());
        draft.push(MetadataRecord::SetConfig { resource: ConfigResource::cluster(), key: KEY.into(), value });
    }
}

/// Takes the broker out of every ISR, as it starts fenced, and out of the ELR where it may miss data. What it led gets
/// another leader and epoch, or none until somebody is fit: never does it go on in an old leader epoch.
fn take_out(
    situation: &Situation<'_>,
    draft: &mut Draft,
    request: &RegisterBroker,
    present: Option<&BrokerRegistration>,
) {
    let id = request.broker;
    let claims = Claims {
        damaged: request.damaged.iter().copied().collect(),
        missing: request.missing.iter().copied().collect(),
    };
    for (topic, partition) in partitions_where(situation.image, |p| p.has_replica(id)) {
        let Some(before) = topic.partition(partition) else { continue };
        let at = TopicIdPartition { topic_id: topic.id, partition };
        let place = place(request, &claims, at, present, before);
        let mut wanted = Wanted { isr: without(&before.isr, id), ..Wanted::default() };
        match place {
            Place::Kept => {}
            Place::Unsure => wanted.unsure.push(id),
            Place::Lost => wanted.lost.push(id),
        }
        let image = draft.image();
        let electorate = Electorate {
            image,
            unclean_default: situation.settings.unclean_leader_election,
            acceptable: &|other| other != id && image.is_active(other),
        };
        let settled = electorate.settle(&topic, partition, before, &wanted);
        let mut after = settled.as_ref().map_or_else(|| before.as_ref().clone(), |change| change.applied_to(before));
        record_directory(&mut after, request);
        let weakest = image.durability_of(&topic.name, &after.replicas).min(weakened(image, &topic.name, request));
        after.durability = before.durability.min(weakest);
        if let Some(change) = change_between(&topic, partition, before, &after) {
            draft.push(MetadataRecord::ChangePartition(change));
            draft.may_split();
        }
    }
}

/// What the durability of the topic's partitions on the broker is once it is registered, as far as the broker decides it.
fn weakened(image: &MetadataImage, topic: &str, request: &RegisterBroker) -> Durability {
    let decided_by_setting = image.config(&ConfigResource::topic(topic), "durability").is_some()
        || image.config(&ConfigResource::cluster(), "log.durability").is_some();
    if decided_by_setting { Durability::Flushed } else { request.log_durability }
}

fn place(
    request: &RegisterBroker,
    claims: &Claims,
    at: TopicIdPartition,
    present: Option<&BrokerRegistration>,
    partition: &PartitionImage,
) -> Place {
    let known = directory_of(partition, request.broker).unwrap_or(DirectoryId::ZERO);
    let is_there = |directory: &DirectoryId| request.directories.contains(directory);
    let some_failed = request.offline_directories > 0;
    let directory_is_gone = if known == DirectoryId::ZERO {
        // Where the replica lies is not known: it may be in any directory that is gone.
        some_failed || present.is_some_and(|present| !known_directories(present).all(is_there))
    } else {
        !is_there(&known)
    };
    if claims.damaged.contains(&at) || (directory_is_gone && !some_failed) {
        return Place::Lost;
    }
    if directory_is_gone || claims.missing.contains(&at) {
        return Place::Unsure;
    }
    let Some(present) = present else {
        return if partition.durability == Durability::Flushed { Place::Kept } else { Place::Unsure };
    };
    let is_clean = request.clean_shutdown_epoch == present.broker_epoch;
    let same_boot = !request.boot_id.is_empty() && request.boot_id == present.boot_id;
    match partition.durability {
        _ if is_clean => Place::Kept,
        Durability::Flushed => Place::Kept,
        Durability::Written if same_boot => Place::Kept,
        Durability::Written => Place::Unsure,
    }
}

/// Notes in which directory the broker's replica is, where that is certain. A directory that may only have failed is not
/// forgotten, so that nobody makes the replica anew elsewhere.
fn record_directory(partition: &mut PartitionImage, request: &RegisterBroker) {
    if request.offline_directories > 0 {
        return;
    }
    let Some(at) = partition.replicas.iter().position(|id| *id == request.broker) else { return };
    let Some(directory) = partition.directories.get_mut(at) else { return };
    if !request.directories.contains(directory) {
        *directory = match request.directories.as_slice() {
            [only] => *only,
            _ => DirectoryId::ZERO,
        };
    }
}
