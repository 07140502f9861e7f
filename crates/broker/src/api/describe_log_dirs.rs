//! DescribeLogDirs (key 35): what this broker's log directories hold, and how full their disks are (KIP-113, KIP-827).

use std::collections::HashSet;

use raftsman_protocol::Str;
use raftsman_protocol::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};
use raftsman_types::ErrorCode;

use super::authorize::{Operation, Resource};
use super::{Close, Context};
use crate::replica::{DirectoryDescription, ReplicaDescription};

/// Which replicas are asked for; all without a list.
type Wanted<'a> = Option<HashSet<(&'a str, i32)>>;

/// Answers for every directory, also for those that hold nothing of what is asked for.
///
/// # Errors
/// None that end the connection.
pub async fn handle(ctx: &Context, request: DescribeLogDirsRequest, _: i16) -> Result<DescribeLogDirsResponse, Close> {
    if !ctx.is_authorized(Operation::Describe, Resource::Cluster) {
        let error_code = ErrorCode::ClusterAuthorizationFailed.code();
        return Ok(DescribeLogDirsResponse { error_code, ..Default::default() });
    }
    let wanted = request.topics.as_deref().map(names);
    let directories = ctx.state.replicas.describe_directories();
    let results = directories.iter().map(|directory| describe(directory, &wanted)).collect();
    Ok(DescribeLogDirsResponse { results, ..Default::default() })
}

fn names(topics: &[DescribableLogDirTopic]) -> HashSet<(&str, i32)> {
    topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic.as_str(), *partition)))
        .collect()
}

fn describe(directory: &DirectoryDescription, wanted: &Wanted<'_>) -> DescribeLogDirsResult {
    let log_dir = Str::from(directory.path.display().to_string());
    if directory.is_offline {
        let error_code = ErrorCode::KafkaStorageError.code();
        return DescribeLogDirsResult { error_code, log_dir, ..Default::default() };
    }
    let is_wanted = |replica: &&ReplicaDescription| {
        wanted.as_ref().is_none_or(|wanted| wanted.contains(&(&*replica.topic, replica.partition)))
    };
    let mut topics: Vec<DescribeLogDirsTopic> = Vec::new();
    for replica in directory.replicas.iter().filter(is_wanted) {
        let partition = DescribeLogDirsPartition {
            partition_index: replica.partition,
            partition_size: bytes(replica.size_bytes),
            offset_lag: replica.offset_lag,
            is_future_key: false,
        };
        match topics.last_mut() {
            Some(topic) if *topic.name == *replica.topic => topic.partitions.push(partition),
            _ => {
                topics.push(DescribeLogDirsTopic { name: Str::copy_from(&replica.topic), partitions: vec![partition] })
            }
        }
    }
    let mut described = DescribeLogDirsResult { log_dir, topics, ..Default::default() };
    if let Some((total, usable)) = directory.volume {
        described.total_bytes = bytes(total);
        described.usable_bytes = bytes(usable);
    }
    described
}

fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_directory_that_failed_nothing_more_is_known() {
        let failed =
            DirectoryDescription { path: "/gone".into(), is_offline: true, volume: None, replicas: Vec::new() };
        let described = describe(&failed, &None);
        assert_eq!((described.error_code, &*described.log_dir), (ErrorCode::KafkaStorageError.code(), "/gone"));
        assert_eq!((described.topics.len(), described.total_bytes, described.usable_bytes), (0, -1, -1));
    }
}
