use std::sync::Arc;
use std::time::Duration;

use raftsman_metadata::MetadataImage;
use raftsman_protocol::Str;
use raftsman_types::{BrokerId, LeaderEpoch, TopicId};
use tokio::time::Instant;

use super::Context;

/// A connection that asks for metadata at this age asks again.
const AGE_OF_A_REFRESH: Duration = Duration::from_secs(1);
/// What a refresh may wait for this broker to notice what the client has noticed: a killed process takes up to some
/// tens of milliseconds to close its connections, one by one.
const GLANCE: Duration = Duration::from_millis(40);
/// What it may wait for the next leader once this broker has lost the last one as well.
const PATIENCE: Duration = Duration::from_millis(600);

/// The metadata for a client that asks about these topics again.
///
/// It asks because it has just lost a leader, as a rule, and faster than a new one can be elected. librdkafka takes an
/// answer that still names the old leader for final and asks no more for a second; so the answer waits until a leader
/// that this broker has lost touch with too is replaced, within bounds.
pub(super) async fn await_fresh_leaders(ctx: &Context, topics: &[(Option<Str>, TopicId)]) -> Arc<MetadataImage> {
    let mut images = ctx.state.metadata.subscribe();
    let mut image = images.borrow_and_update().clone();
    if ctx.connected_at.elapsed() < AGE_OF_A_REFRESH {
        return image;
    }
    let asked_at = Instant::now();
    let before = leaders(&image, topics);
    let this_broker = ctx.state.config.node_id;
    if before.iter().all(|(leader, _)| *leader == this_broker) {
        return image;
    }
    loop {
        let now = leaders(&image, topics);
        let lost = |id: BrokerId| id != this_broker && ctx.state.controller.lost_within(id, PATIENCE);
        let is_stale = now.iter().any(|(leader, _)| lost(*leader));
        let limit = if is_stale { PATIENCE } else { GLANCE };
        if asked_at.elapsed() >= limit || (!is_stale && now != before) {
            return image;
        }
        // After the glance it is known whether a leader is lost.
        let next_look = if asked_at.elapsed() < GLANCE { GLANCE } else { limit };
        if let Ok(Ok(())) = tokio::time::timeout_at(asked_at + next_look, images.changed()).await {
            image = images.borrow_and_update().clone();
        }
    }
}

fn leaders(image: &MetadataImage, topics: &[(Option<Str>, TopicId)]) -> Vec<(BrokerId, LeaderEpoch)> {
    let found = topics.iter().filter_map(|(name, topic_id)| match name {
        Some(name) => image.topic_by_name(name),
        None => image.topic(*topic_id),
    });
    let partitions = found.flat_map(|topic| topic.partitions.values());
    partitions.map(|p| (p.leader.unwrap_or(BrokerId::NONE), p.leader_epoch)).collect()
}
