use std::fmt;
use std::sync::Arc;

use crate::TopicId;

/// A partition by its topic's name: what people and old protocol versions say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's index, from 0.
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A partition by its topic's id: what everything inside is keyed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicIdPartition {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The partition's index, from 0.
    pub partition: i32,
}

impl fmt::Display for TopicIdPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.topic_id, self.partition)
    }
}

/// Why a name cannot be a topic's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopicName {
    /// The empty name.
    #[error("a topic name cannot be empty")]
    Empty,
    /// `.` and `..` are directories.
    #[error("a topic name cannot be \".\" or \"..\"")]
    Dots,
    /// Longer than a directory name can hold with its partition.
    #[error("topic name of {0} characters is too long: 249 is the most")]
    TooLong(usize),
    /// A character outside Kafka's set.
    #[error("topic name {0:?} has a character other than ASCII letters, digits, '.', '_' and '-'")]
    IllegalCharacter(String),
}

/// Checks a topic name by Kafka's rule.
///
/// # Errors
/// Says which part of the rule the name breaks.
pub fn validate_topic_name(name: &str) -> Result<(), InvalidTopicName> {
    if name.is_empty() {
        return Err(InvalidTopicName::Empty);
    }
    if name == "." || name == ".." {
        return Err(InvalidTopicName::Dots);
    }
    if name.len() > 249 {
        return Err(InvalidTopicName::TooLong(name.chars().count()));
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        return Err(InvalidTopicName::IllegalCharacter(name.to_owned()));
    }
    Ok(())
}

/// Topics the brokers keep their own state in.
pub fn is_internal_topic(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_follow_kafkas_rule() {
        let longest = "x".repeat(249);
        for good in ["a", "orders.v1", "A_b-C.9", "__consumer_offsets", longest.as_str()] {
            assert_eq!(validate_topic_name(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "naïve", "x".repeat(250).as_str(), "a\0"] {
            assert!(validate_topic_name(bad).is_err(), "{bad}");
        }
    }
}
