use std::collections::BTreeSet;

use raftsman_protocol::Str;
use raftsman_protocol::messages::offset_commit_record::OffsetCommitValue;
use raftsman_types::WallTime;

use super::delete::{group_tombstone, offset_tombstone};
use crate::{CoordinatorConfig, Record, StoredGroup};

/// From when a group's offsets are no longer needed (KIP-211, KIP-496).
#[derive(Debug)]
pub(crate) enum Retention<'a> {
    /// Nobody is in the group: since it became empty, or since the commit where that is not known.
    Empty {
        /// When the last member left, in milliseconds of wall time; negative if not known.
        since_ms: i64,
    },
    /// Consumers are in it: offsets of topics they do not subscribe to, since their commit.
    Subscribed(&'a BTreeSet<Str>),
    /// A group that only stores offsets: since each one's commit.
    Unmanaged,
    /// Whether an offset is needed cannot be known: none expires.
    Kept,
}

/// Tombstones for a group's expired offsets, and for the group itself when nothing is left of it.
pub(crate) fn decide_expiry(
    config: &CoordinatorConfig,
    now: WallTime,
    group_id: &Str,
    stored: &StoredGroup,
    retention: &Retention<'_>,
) -> Vec<Record> {
    let expired = stored.offsets().filter(|(topic, _, value)| is_expired(config, now, topic, value, retention));
    let mut records: Vec<Record> =
        expired.map(|(topic, partition, _)| offset_tombstone(group_id, topic, partition)).collect();
    let nobody = matches!(retention, Retention::Empty { .. } | Retention::Unmanaged);
    if nobody && stored.metadata.is_some() && records.len() == stored.offsets().count() {
        records.push(group_tombstone(group_id));
    }
    records
}

fn is_expired(
    config: &CoordinatorConfig,
    now: WallTime,
    topic: &Str,
    value: &OffsetCommitValue,
    retention: &Retention<'_>,
) -> bool {
    let since_ms = match retention {
        Retention::Empty { since_ms } if *since_ms >= 0 => *since_ms,
        Retention::Empty { .. } | Retention::Unmanaged => value.commit_timestamp,
        Retention::Subscribed(topics) if !topics.contains(topic) => value.commit_timestamp,
        Retention::Subscribed(_) | Retention::Kept => return false,
    };
    if value.expire_timestamp >= 0 {
        // Committed with a retention of its own (OffsetCommit 2 to 4).
        return now.0 >= value.expire_timestamp;
    }
    now.0.saturating_sub(since_ms) >= config.offsets_retention_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn stored(offsets: &[(&'static str, i64, i64)], metadata: bool) -> StoredGroup {
        let mut stored = StoredGroup { metadata: metadata.then(Default::default), ..StoredGroup::default() };
        for (topic, commit_timestamp, expire_timestamp) in offsets {
            let value = OffsetCommitValue {
                commit_timestamp: *commit_timestamp,
                expire_timestamp: *expire_timestamp,
                ..OffsetCommitValue::default()
            };
            stored.offsets.entry((*topic).into()).or_default().insert(0, value);
        }
        stored
    }

    fn expired(stored: &StoredGroup, now_ms: i64, retention: &Retention<'_>) -> Vec<String> {
        let config = CoordinatorConfig { offsets_retention_ms: 7 * DAY, ..CoordinatorConfig::default() };
        let records = decide_expiry(&config, WallTime(now_ms), &"g".into(), stored, retention);
        records
            .iter()
            .map(|record| match record {
                Record::Offset { topic, .. } => topic.to_string(),
                Record::Group { .. } => "the group".to_owned(),
            })
            .collect()
    }

    #[test]
    fn each_kind_of_group_forgets_by_its_own_rule() {
        let offsets = stored(&[("a", 0, -1), ("b", 5 * DAY, -1)], true);
        let subscribed = BTreeSet::from([Str::from("a")]);
        type Case<'a> = (i64, Retention<'a>, &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (7 * DAY - 1, Retention::Unmanaged, &[]),
            (7 * DAY, Retention::Unmanaged, &["a"]),
            (12 * DAY, Retention::Unmanaged, &["a", "b", "the group"]),
            (12 * DAY, Retention::Empty { since_ms: 6 * DAY }, &[]),
            (13 * DAY, Retention::Empty { since_ms: 6 * DAY }, &["a", "b", "the group"]),
            (7 * DAY, Retention::Empty { since_ms: -1 }, &["a"]),
            (99 * DAY, Retention::Subscribed(&subscribed), &["b"]),
            (99 * DAY, Retention::Kept, &[]),
        ];
        for (now_ms, retention, expected) in cases {
            assert_eq!(expired(&offsets, *now_ms, retention), *expected, "{now_ms} {retention:?}");
        }
    }

    #[test]
    fn a_retention_given_with_the_commit_wins() {
        let offsets = stored(&[("a", 0, DAY), ("b", 0, 20 * DAY)], false);
        assert_eq!(expired(&offsets, 8 * DAY, &Retention::Unmanaged), ["a"]);
        assert!(expired(&offsets, 8 * DAY, &Retention::Kept).is_empty());
    }

    #[test]
    fn an_empty_group_without_offsets_goes_at_once() {
        let bare = stored(&[], true);
        assert_eq!(expired(&bare, 1, &Retention::Empty { since_ms: 1 }), ["the group"]);
        assert!(expired(&bare, 1, &Retention::Kept).is_empty());
    }
}
