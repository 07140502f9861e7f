//! From a request to its answer: one file per Kafka API, one line in [`registry`] for each.
//!
//! A handler has four beats and no rule of its own: authorize, validate, delegate, respond.

mod alter_configs;
mod api_versions;
mod authorize;
mod auto_topics;
mod close;
mod cluster_view;
mod context;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_topic_partitions;
mod down_conversion;
mod fetch;
mod find_coordinator;
mod forward;
mod fresh_leaders;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leader_hints;
mod leave_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
pub mod registry;
mod resource_configs;
mod sync_group;
#[cfg(test)]
mod tests;
mod waiting_room;

pub use authorize::{Operation, Resource};
pub use close::Close;
pub use context::{BrokerState, Context};
