//! Unmodified Kafka clients against a three-node cluster that loses a node in mid-stream.
//!
//! Each client creates or uses a topic with replication factor 3, a node is killed while it produces, and it reads
//! back every acked record, in order and once where its producer is idempotent. The clients are installed below
//! `target/compat`, see `install.sh`.

mod clients;
mod confluent;
mod delete_records;
mod docker;
mod dump_records;
mod dump_tools;
mod group_offsets;
mod java_console;
mod kafka_directory;
mod kafka_python;
mod kcat;
mod log_dirs;
mod log_files;
mod lost_node;
mod old_clients;
mod real_kafka;
mod throttle;
