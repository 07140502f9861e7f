//! The cluster's metadata: the records that change it, the image they add up to, and the delta between two images.
//!
//! Shape A (replayed), pure. Controllers decide records, everyone replays them; brokers and controllers meet
//! here and nowhere else. `replay` never decides and never fails.

mod config;
mod delta;
mod entry;
pub mod features;
mod image;
mod record;
mod replay;
mod settings;
mod snapshot;

pub use config::{ConfigResource, ConfigResourceType, Settings};
pub use delta::{MetadataDelta, PartitionDelta};
pub use entry::{EntryOutcome, MetadataEntry};
pub use image::{
    BrokerRegistration, BrokerState, Durability, Listener, MetadataImage, PartitionImage, RecoveryState, TopicImage,
};
pub use record::{MetadataRecord, PartitionChange};
pub use settings::{
    BrokerConfigScope, CleanupPolicy, ConfigKey, ConfigKind, ConfigSource, DynamicBrokerConfig, InvalidConfig,
    ResolvedConfig, StaticSettings, Synonym, ThrottledReplicas, ThrottledSide, TimestampType, TopicConfig,
};
