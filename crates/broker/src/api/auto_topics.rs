use std::time::Duration;

use raftsman_protocol::Str;
use raftsman_rpc::controller::{self as pb, administer_request::Operation};

use super::BrokerState;
use crate::config::BrokerConfig;

/// How long a client's request may wait for a topic to be made.
const CREATE_TIMEOUT: Duration = Duration::from_secs(3);

/// Creates topics that clients or this broker itself need, and waits until the image has them. Failures are logged:
/// the caller looks at the image again and sees what is there.
pub(crate) async fn create(state: &BrokerState, names: &[Str]) {
    let topics = names.iter().map(|name| new_topic(&state.config, name)).collect();
    let operation = Operation::CreateTopics(pb::CreateTopics { topics, validate_only: false });
    let reply = match state.controller.administer(operation, CREATE_TIMEOUT).await {
        Ok(reply) => reply,
        Err(error) => {
            tracing::warn!(topics = ?names, "auto-creation of topics failed: {error}");
            return;
        }
    };
    for result in reply.results.iter().filter(|result| result.error_code != 0) {
        tracing::info!(topic = result.name, code = result.error_code, "not auto-created: {}", result.error_message);
    }
    if !state.metadata.wait_for_version(reply.version, CREATE_TIMEOUT).await {
        tracing::warn!(topics = ?names, "auto-created topics are not in this broker's metadata yet");
    }
}

/// What an automatic topic looks like: the controller's defaults, but for the topics brokers keep their state in.
fn new_topic(config: &BrokerConfig, name: &str) -> pb::NewTopic {
    let defaults =
        pb::NewTopic { name: name.to_owned(), partition_count: -1, replication_factor: -1, ..Default::default() };
    if name != "__consumer_offsets" {
        return defaults;
    }
    let groups = &config.groups;
    let entry = |key: &str, value: String| pb::ConfigEntry { key: key.to_owned(), value: Some(value) };
    pb::NewTopic {
        partition_count: groups.offsets_topic_num_partitions,
        replication_factor: i32::from(groups.offsets_topic_replication_factor),
        configs: vec![
            entry("cleanup.policy", "compact".to_owned()),
            entry("compression.type", "producer".to_owned()),
            entry("segment.bytes", groups.offsets_topic_segment_bytes.to_string()),
        ],
        ..defaults
    }
}
