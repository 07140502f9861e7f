//! A small Kafka client over `raftsman-protocol`: what the command-line tools, the demo and the tests need.
//!
//! It knows metadata, topics, an idempotent producer that keeps each partition in order through a broker's death, a
//! consumer with manual assignment, and ordinary consumer groups. It is not a full client library: no transactions,
//! no security protocols yet.
//!
//! Reading order: [`connection`](Connection) (one socket), [`Client`] (connections and metadata of a cluster), then
//! [`Producer`], [`Consumer`], [`GroupConsumer`] and the administrative calls on [`Client`].

mod admin;
mod assignor;
mod client;
mod connection;
mod consumer;
mod error;
mod group;
mod history;
mod logs;
mod metadata;
mod options;
mod partitioner;
mod producer;
mod record;
mod retry;

pub use admin::{ClusterDescription, ConfigEntry, EligibleLeaders, NewTopic, NodeDescription};
pub use client::{Client, Lane};
pub use connection::Connection;
pub use consumer::{Consumer, ConsumerOptions, OffsetReset, StartAt};
pub use error::ClientError;
pub use group::{GroupConsumer, GroupOptions};
pub use history::{CommitFloor, Found, History, Indeterminate, Outcome, Reads, Verdict};
pub use logs::{LogDirDescription, ReplicaSize};
pub use metadata::{BrokerAddress, Metadata, PartitionMetadata, TopicMetadata};
pub use options::ClientOptions;
pub use partitioner::partition_for_key;
pub use producer::{Acked, Acks, Delivery, Producer, ProducerOptions};
pub use record::{ConsumerRecord, ProducerRecord};
