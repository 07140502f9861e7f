use std::sync::Arc;

use raftsman_metadata::{BrokerRegistration, BrokerState, Listener, MetadataImage, PartitionImage};
use raftsman_types::{BrokerId, ErrorCode};

use super::Context;

/// The cluster as one client may see it: through the listener it came in on, and without this broker if that has
/// lost touch with the controller, since clients must not be sent back to a leader that may be replaced.
pub(super) struct ClusterView<'a> {
    image: &'a MetadataImage,
    listener: Arc<str>,
    without: Option<BrokerId>,
}

/// A partition's leader for a client: who, or why nobody.
pub(super) struct VisibleLeader {
    pub(super) error: ErrorCode,
    pub(super) id: BrokerId,
}

impl<'a> ClusterView<'a> {
    pub(super) fn new(ctx: &Context, image: &'a MetadataImage) -> ClusterView<'a> {
        let identity = &ctx.state.identity;
        let without = (!identity.is_in_contact()).then_some(identity.node_id);
        ClusterView { image, listener: ctx.listener.clone(), without }
    }

    /// Brokers that a client may use, with their endpoint on its listener.
    pub(super) fn brokers(&self) -> impl Iterator<Item = (&'a BrokerRegistration, &'a Listener)> + '_ {
        self.image.brokers.values().filter_map(|broker| self.endpoint(broker))
    }

    /// Brokers that a client cannot use now.
    pub(super) fn fenced_brokers(&self) -> impl Iterator<Item = (&'a BrokerRegistration, &'a Listener)> + '_ {
        let fenced = self.image.brokers.values().filter(|broker| !self.is_alive(broker.id));
        fenced.filter_map(|broker| Some((&**broker, broker.listener(&self.listener)?)))
    }

    /// The broker to send changes to: the active controller's node if it is a broker too, so that tools see which one
    /// it is. Any other will do, since each forwards them: this one, if it can.
    pub(super) fn controller(&self, this_broker: BrokerId) -> BrokerId {
        let alive: Vec<BrokerId> = self.brokers().map(|(broker, _)| broker.id).collect();
        let if_alive = |id: BrokerId| alive.contains(&id).then_some(id);
        let active = self.image.controller.and_then(|(id, _)| if_alive(id));
        active.or(if_alive(this_broker)).or(alive.first().copied()).unwrap_or(BrokerId::NONE)
    }

    pub(super) fn is_alive(&self, id: BrokerId) -> bool {
        let registered = self.image.broker(id);
        self.without != Some(id) && registered.is_some_and(|broker| broker.state != BrokerState::Fenced)
    }

    fn endpoint(&self, broker: &'a Arc<BrokerRegistration>) -> Option<(&'a BrokerRegistration, &'a Listener)> {
        let listener = broker.listener(&self.listener)?;
        self.is_alive(broker.id).then_some((broker, listener))
    }

    /// The leader, where a client can reach it.
    pub(super) fn leader(&self, partition: &PartitionImage) -> VisibleLeader {
        let nobody = |error| VisibleLeader { error, id: BrokerId::NONE };
        let Some(leader) = partition.leader.filter(|leader| self.is_alive(*leader)) else {
            return nobody(ErrorCode::LeaderNotAvailable);
        };
        match self.image.broker(leader).and_then(|broker| broker.listener(&self.listener)) {
            Some(_) => VisibleLeader { error: ErrorCode::None, id: leader },
            None => nobody(ErrorCode::ListenerNotFound),
        }
    }

    /// Replicas on brokers that are down, and in directories that have failed.
    pub(super) fn offline_replicas(&self, partition: &PartitionImage) -> Vec<i32> {
        let is_offline = |(index, id): &(usize, &BrokerId)| {
            let has_failed =
                |directory| self.image.broker(**id).is_some_and(|b| b.offline_directories.contains(directory));
            !self.is_alive(**id) || partition.directories.get(*index).is_some_and(has_failed)
        };
        partition.replicas.iter().enumerate().filter(is_offline).map(|(_, id)| id.0).collect()
    }
}

/// Broker ids as they go on the wire.
pub(super) fn node_ids(ids: &[BrokerId]) -> Vec<i32> {
    ids.iter().map(|id| id.0).collect()
}
