//! The lines of `kafka-topics --describe`, as Kafka 4 prints them.

use std::collections::BTreeMap;

use raftsman_client::{ConfigEntry, EligibleLeaders, PartitionMetadata, TopicMetadata};
use raftsman_types::ErrorCode;

use super::arguments::TopicsArguments;

/// A topic with what is shown of it.
pub struct Described<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its partitions.
    pub topic: &'a TopicMetadata,
    /// Its settings.
    pub configs: &'a [ConfigEntry],
    /// Who else may lead each partition, by topic and number; `None` if the server does not tell.
    pub eligible: Option<&'a BTreeMap<(String, i32), EligibleLeaders>>,
}

impl Described<'_> {
    /// The lines, filtered as the arguments say; none if nothing is left.
    pub fn lines(&self, arguments: &TopicsArguments) -> Vec<String> {
        let filters = arguments.under_replicated_partitions
            || arguments.unavailable_partitions
            || arguments.under_min_isr_partitions
            || arguments.at_min_isr_partitions;
        let own: Vec<&ConfigEntry> = self.configs.iter().filter(|entry| entry.is_own).collect();
        if arguments.topics_with_overrides {
            return if own.is_empty() { Vec::new() } else { vec![self.head(&own)] };
        }
        let mut lines = if filters { Vec::new() } else { vec![self.head(&own)] };
        let shown = self.topic.partitions.iter().filter(|p| !filters || self.is_wanted(p, arguments));
        lines.extend(shown.map(|p| self.partition(p)));
        lines
    }

    fn head(&self, own: &[&ConfigEntry]) -> String {
        let settings: Vec<String> =
            own.iter().map(|entry| format!("{}={}", entry.name, entry.value.as_deref().unwrap_or(""))).collect();
        format!(
            "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}",
            self.name,
            self.topic.id,
            self.topic.partitions.len(),
            self.topic.partitions.first().map_or(0, |p| p.replicas.len()),
            settings.join(",")
        )
    }

    fn partition(&self, partition: &PartitionMetadata) -> String {
        let leader = partition.leader.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let known = self.eligible.and_then(|all| all.get(&(self.name.to_owned(), partition.index)));
        let unknown = || "N/A".to_owned();
        format!(
            "\tTopic: {}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}\tElr: {}\tLastKnownElr: {}",
            self.name,
            partition.index,
            ids(&partition.replicas),
            ids(&partition.isr),
            known.map_or_else(unknown, |leaders| ids(&leaders.eligible)),
            known.map_or_else(unknown, |leaders| ids(&leaders.last_known))
        )
    }

    fn is_wanted(&self, partition: &PartitionMetadata, arguments: &TopicsArguments) -> bool {
        let in_sync = partition.isr.len();
        let min = self.min_insync_replicas();
        let leaderless = partition.leader.is_none() || partition.error == ErrorCode::LeaderNotAvailable;
        (arguments.under_replicated_partitions && in_sync < partition.replicas.len())
            || (arguments.unavailable_partitions && leaderless)
            || (arguments.under_min_isr_partitions && in_sync < min)
            || (arguments.at_min_isr_partitions && in_sync == min)
    }

    fn min_insync_replicas(&self) -> usize {
        let entry = self.configs.iter().find(|entry| entry.name == "min.insync.replicas");
        entry.and_then(|entry| entry.value.as_ref()).and_then(|value| value.parse().ok()).unwrap_or(1)
    }
}

fn ids(all: &[i32]) -> String {
    let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use raftsman_types::TopicId;

    use super::*;

    fn topic() -> TopicMetadata {
        let partition = |index, leader, isr: &[i32]| PartitionMetadata {
            index,
            error: ErrorCode::None,
            leader,
            leader_epoch: 0,
            replicas: vec![1, 2, 3],
            isr: isr.to_vec(),
            offline: Vec::new(),
        };
        TopicMetadata {
            error: ErrorCode::None,
            id: TopicId::ZERO,
            is_internal: false,
            partitions: vec![
                partition(0, Some(1), &[1, 2, 3]),
                partition(1, None, &[2]),
                partition(2, Some(3), &[3, 1]),
            ],
        }
    }

    fn lines(arguments: &TopicsArguments) -> Vec<String> {
        let entry =
            |name: &str, value: &str, is_own| ConfigEntry { name: name.into(), value: Some(value.into()), is_own };
        let configs = [entry("min.insync.replicas", "2", true), entry("retention.ms", "7", false)];
        let leaders = EligibleLeaders { eligible: vec![3, 1], last_known: Vec::new() };
        let eligible = BTreeMap::from([(("t".to_owned(), 1), leaders)]);
        Described { name: "t", topic: &topic(), configs: &configs, eligible: Some(&eligible) }.lines(arguments)
    }

    #[test]
    fn the_whole_topic() {
        let all = lines(&TopicsArguments::default());
        let head = "Topic: t\tTopicId: AAAAAAAAAAAAAAAAAAAAAA\tPartitionCount: 3\tReplicationFactor: 3\tConfigs: min.insync.replicas=2";
        assert_eq!(all[0], head);
        assert_eq!(
            all[1],
            "\tTopic: t\tPartition: 0\tLeader: 1\tReplicas: 1,2,3\tIsr: 1,2,3\tElr: N/A\tLastKnownElr: N/A"
        );
        assert_eq!(all[2], "\tTopic: t\tPartition: 1\tLeader: none\tReplicas: 1,2,3\tIsr: 2\tElr: 3,1\tLastKnownElr: ");
    }

    #[test]
    fn filters_show_partitions_only() {
        let partitions = |arguments: TopicsArguments| -> Vec<String> {
            lines(&arguments).iter().map(|line| line.split('\t').nth(2).unwrap().to_owned()).collect()
        };
        let of = |n: &[i32]| n.iter().map(|i| format!("Partition: {i}")).collect::<Vec<_>>();
        let none = TopicsArguments::default();
        assert_eq!(partitions(TopicsArguments { under_replicated_partitions: true, ..none.clone() }), of(&[1, 2]));
        assert_eq!(partitions(TopicsArguments { unavailable_partitions: true, ..none.clone() }), of(&[1]));
        assert_eq!(partitions(TopicsArguments { under_min_isr_partitions: true, ..none.clone() }), of(&[1]));
        assert_eq!(partitions(TopicsArguments { at_min_isr_partitions: true, ..none.clone() }), of(&[2]));
        assert_eq!(lines(&TopicsArguments { topics_with_overrides: true, ..none }).len(), 1);
    }
}
