use std::path::PathBuf;

use clap::Args;

use crate::arguments::key_value;
use crate::failure::Failure;

/// The flags of kafka-topics.sh.
#[derive(Debug, Clone, Default, Args)]
pub struct TopicsArguments {
    /// The cluster, host:port with commas between.
    #[arg(long, value_name = "HOST:PORT")]
    pub bootstrap_server: String,
    /// A file with properties of the admin client.
    #[arg(long, value_name = "FILE")]
    pub command_config: Option<PathBuf>,
    /// Create a topic.
    #[arg(long)]
    pub create: bool,
    /// List all topics.
    #[arg(long)]
    pub list: bool,
    /// Show the details of topics.
    #[arg(long)]
    pub describe: bool,
    /// Give a topic more partitions.
    #[arg(long)]
    pub alter: bool,
    /// Delete topics.
    #[arg(long)]
    pub delete: bool,
    /// The topic; a regular expression of names joined by '|', or with '.*', unless it is created.
    #[arg(long)]
    pub topic: Option<String>,
    /// The topic by its id, to describe it.
    #[arg(long)]
    pub topic_id: Option<String>,
    /// How many partitions.
    #[arg(long)]
    pub partitions: Option<i32>,
    /// How many replicas of each partition.
    #[arg(long)]
    pub replication_factor: Option<i16>,
    /// Brokers by hand: 1:2,2:3 puts partition 0 on brokers 1 and 2, and 1 on 2 and 3.
    #[arg(long)]
    pub replica_assignment: Option<String>,
    /// A setting of the new topic; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub config: Vec<(String, String)>,
    /// Creating a topic that exists is fine.
    #[arg(long)]
    pub if_not_exists: bool,
    /// Describing, altering or deleting a topic that does not exist is fine.
    #[arg(long)]
    pub if_exists: bool,
    /// Leave out the brokers' own topics.
    #[arg(long)]
    pub exclude_internal: bool,
    /// Only partitions with replicas that are not in sync.
    #[arg(long)]
    pub under_replicated_partitions: bool,
    /// Only partitions without a leader.
    #[arg(long)]
    pub unavailable_partitions: bool,
    /// Only partitions with fewer replicas in sync than min.insync.replicas.
    #[arg(long)]
    pub under_min_isr_partitions: bool,
    /// Only partitions with just as many replicas in sync as min.insync.replicas.
    #[arg(long)]
    pub at_min_isr_partitions: bool,
    /// Only topics with settings of their own.
    #[arg(long)]
    pub topics_with_overrides: bool,
    /// Accepted for Kafka's sake; the answers are not cut here.
    #[arg(long)]
    pub partition_size_limit_per_response: Option<i32>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `--create`
    Create,
    /// `--list`
    List,
    /// `--describe`
    Describe,
    /// `--alter`
    Alter,
    /// `--delete`
    Delete,
}

impl TopicsArguments {
    /// The one action asked for, after Kafka's checks of what goes with it.
    ///
    /// # Errors
    /// Says which flags do not go together.
    pub fn action(&self) -> Result<Action, Failure> {
        let flags = [
            (self.create, Action::Create),
            (self.list, Action::List),
            (self.describe, Action::Describe),
            (self.alter, Action::Alter),
            (self.delete, Action::Delete),
        ];
        let mut asked = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, action)| action);
        let (Some(action), None) = (asked.next(), asked.next()) else {
            let words = "Command must include exactly one action: --list, --describe, --create, --alter or --delete";
            return Err(Failure::Usage(words.to_owned()));
        };
        let refuse = |flag: &str| Err(Failure::Usage(format!("Option \"[{flag}]\" can't be used with this action")));
        let missing = |flag: &str| Err(Failure::Usage(format!("Missing required argument \"[{flag}]\"")));
        if self.topic.is_none() && matches!(action, Action::Create | Action::Alter | Action::Delete) {
            return missing("topic");
        }
        if self.topic_id.is_some() && action != Action::Describe {
            return refuse("topic-id");
        }
        if self.partitions.is_none() && self.replica_assignment.is_none() && action == Action::Alter {
            return missing("partitions");
        }
        let shapes = matches!(action, Action::Create | Action::Alter);
        if !shapes && self.partitions.is_some() {
            return refuse("partitions");
        }
        if action != Action::Create {
            for (is_set, flag) in [
                (self.replication_factor.is_some(), "replication-factor"),
                (!self.config.is_empty(), "config"),
                (self.if_not_exists, "if-not-exists"),
            ] {
                if is_set {
                    return refuse(flag);
                }
            }
        }
        if self.replica_assignment.is_some() {
            if !shapes {
                return refuse("replica-assignment");
            }
            if action == Action::Create && (self.partitions.is_some() || self.replication_factor.is_some()) {
                return refuse("replica-assignment");
            }
        }
        if self.if_exists && matches!(action, Action::Create | Action::List) {
            return refuse("if-exists");
        }
        self.check_describe_filters(action)?;
        Ok(action)
    }

    fn check_describe_filters(&self, action: Action) -> Result<(), Failure> {
        let filters = [
            (self.under_replicated_partitions, "under-replicated-partitions"),
            (self.unavailable_partitions, "unavailable-partitions"),
            (self.under_min_isr_partitions, "under-min-isr-partitions"),
            (self.at_min_isr_partitions, "at-min-isr-partitions"),
            (self.topics_with_overrides, "topics-with-overrides"),
        ];
        let mut set = filters.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| *flag);
        match (set.next(), set.next()) {
            (Some(one), Some(other)) => {
                Err(Failure::Usage(format!("Option \"[{one}]\" can't be used with \"[{other}]\"")))
            }
            (Some(one), None) if action != Action::Describe => {
                Err(Failure::Usage(format!("Option \"[{one}]\" can't be used with this action")))
            }
            _ => Ok(()),
        }
    }

    /// The brokers of each partition, from `--replica-assignment`.
    ///
    /// # Errors
    /// It is malformed, names a broker twice for a partition, or partitions have differently many replicas.
    pub fn assignments(&self) -> Result<Vec<Vec<i32>>, Failure> {
        let Some(text) = &self.replica_assignment else { return Ok(Vec::new()) };
        let mut assignments: Vec<Vec<i32>> = Vec::new();
        for (partition, brokers) in text.split(',').enumerate() {
            let parsed: Result<Vec<i32>, _> = brokers.split(':').map(|id| id.trim().parse()).collect();
            let brokers =
                parsed.map_err(|_| Failure::Usage(format!("bad replica assignment {brokers:?}: expected 1:2")))?;
            if (1..brokers.len()).any(|i| brokers[..i].contains(&brokers[i])) {
                return Err(Failure::Usage(format!(
                    "Partition replica lists may not contain duplicate entries: {brokers:?}"
                )));
            }
            if assignments.first().is_some_and(|first| first.len() != brokers.len()) {
                return Err(Failure::Usage(format!(
                    "Partition {partition} has different replication factor: {brokers:?}"
                )));
            }
            assignments.push(brokers);
        }
        Ok(assignments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> TopicsArguments {
        use clap::Parser;
        let words =
            ["raftsman", "kafka-topics", "--bootstrap-server", "h:1"].into_iter().chain(line.split_whitespace());
        match crate::arguments::Arguments::try_parse_from(words).unwrap().command {
            crate::arguments::Command::KafkaTopics(topics) => topics,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn exactly_one_action() {
        assert_eq!(parse("--create --topic t").action().unwrap(), Action::Create);
        assert_eq!(parse("--list --exclude-internal").action().unwrap(), Action::List);
        assert_eq!(parse("--describe").action().unwrap(), Action::Describe);
        assert_eq!(parse("--alter --topic t --partitions 2").action().unwrap(), Action::Alter);
        for line in ["--topic t", "--create --list --topic t"] {
            assert!(parse(line).action().unwrap_err().to_string().contains("exactly one action"), "{line}");
        }
    }

    #[test]
    fn flags_that_do_not_go_together() {
        for (line, flag) in [
            ("--create", "topic"),
            ("--delete", "topic"),
            ("--alter --topic t", "partitions"),
            ("--list --partitions 3", "partitions"),
            ("--describe --replication-factor 3", "replication-factor"),
            ("--delete --topic t --config a=b", "config"),
            ("--delete --topic t --if-not-exists", "if-not-exists"),
            ("--create --topic t --if-exists", "if-exists"),
            ("--create --topic t --partitions 1 --replica-assignment 1:2", "replica-assignment"),
            ("--list --under-replicated-partitions", "under-replicated-partitions"),
            ("--describe --under-replicated-partitions --unavailable-partitions", "unavailable-partitions"),
            ("--create --topic t --topic-id x", "topic-id"),
        ] {
            let error = parse(line).action().unwrap_err().to_string();
            assert!(error.contains(flag), "{line}: {error}");
        }
    }

    #[test]
    fn assignments_by_hand() {
        let parsed = parse("--create --topic t --replica-assignment 1:2,2:3").assignments().unwrap();
        assert_eq!(parsed, [vec![1, 2], vec![2, 3]]);
        for bad in ["1:x", "1:1", "1:2,3", ""] {
            let arguments = TopicsArguments { replica_assignment: Some(bad.to_owned()), ..TopicsArguments::default() };
            assert!(arguments.assignments().is_err(), "{bad}");
        }
    }
}
