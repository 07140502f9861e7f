//! Settings: which keys there are, what values they take, and what holds for a topic when all layers are looked at.

mod broker_config;
mod kind;
mod layers;
mod throttle;
mod topic_config;
mod topic_keys;

pub use broker_config::{BrokerConfigScope, DynamicBrokerConfig};
pub use kind::{ConfigKey, ConfigKind, InvalidConfig, Synonym};
pub use layers::{ConfigSource, ResolvedConfig, StaticSettings};
pub use throttle::{ThrottledReplicas, ThrottledSide};
pub use topic_config::{CleanupPolicy, TimestampType, TopicConfig};
