use raftsman_records::NO_TIMESTAMP;
use raftsman_types::{Offset, WallTime};

use crate::config::LogConfig;

/// What has to be known of one sealed segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentFacts {
    pub(crate) base_offset: Offset,
    /// Where the next segment begins.
    pub(crate) next_base: Offset,
    pub(crate) size: u64,
    /// Bytes of the larger of its indexes.
    pub(crate) index_bytes: u64,
    /// When its first batch was written, ms since 1970; -1 if that is not known.
    pub(crate) first_timestamp: i64,
    /// When its newest record was written, ms since 1970.
    pub(crate) newest: i64,
}

/// What of a log a compaction would be about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompactionPlan {
    /// Everything below was compacted before.
    pub first_dirty: Offset,
    /// Everything from here on stays as it is: the newest segment, what is not committed, decided and safely on disk,
    /// what is younger than `min.compaction.lag.ms`.
    pub upto: Offset,
    /// Bytes of segments below `first_dirty`.
    pub clean_bytes: u64,
    /// Bytes of segments from there on.
    pub dirty_bytes: u64,
    /// Whether `max.compaction.lag.ms` is over for a record.
    pub is_overdue: bool,
}

impl CompactionPlan {
    /// `sealed` are the segments but the newest; `cleaned_upto` says up to where an earlier compaction came; nothing at
    /// or past `limit` is touched. `None` if there is nothing to do at all.
    pub(crate) fn new(
        sealed: &[SegmentFacts],
        cleaned_upto: Offset,
        limit: Offset,
        config: &LogConfig,
        now: WallTime,
    ) -> Option<CompactionPlan> {
        let (start, end) = (sealed.first()?.base_offset, sealed.last()?.next_base);
        // A checkpoint that lies outside was written of another log than this one.
        let first_dirty = if (start..=end).contains(&cleaned_upto) { cleaned_upto } else { start };
        let is_dirty = |segment: &&SegmentFacts| segment.next_base > first_dirty;
        let too_young = |segment: &SegmentFacts| {
            config.min_compaction_lag_ms > 0 && segment.newest > now.0.saturating_sub(config.min_compaction_lag_ms)
        };
        let cleanable: Vec<&SegmentFacts> = sealed
            .iter()
            .filter(is_dirty)
            .take_while(|segment| segment.next_base <= limit && !too_young(segment))
            .collect();
        let upto = cleanable.last()?.next_base;
        let oldest = cleanable.iter().map(|s| s.first_timestamp).filter(|time| *time > NO_TIMESTAMP).min();
        let overdue_before = now.0.saturating_sub(config.max_compaction_lag_ms);
        Some(CompactionPlan {
            first_dirty,
            upto,
            clean_bytes: sealed.iter().filter(|segment| !is_dirty(segment)).map(|segment| segment.size).sum(),
            dirty_bytes: cleanable.iter().map(|segment| segment.size).sum(),
            is_overdue: oldest.is_some_and(|oldest| oldest < overdue_before),
        })
    }

    /// How much of what could be compacted is not compacted yet, 0 to 1.
    pub fn dirty_ratio(&self) -> f64 {
        self.dirty_bytes as f64 / (self.clean_bytes + self.dirty_bytes).max(1) as f64
    }

    /// Whether the topic's settings ask for it.
    pub(crate) fn is_due(&self, config: &LogConfig) -> bool {
        self.dirty_bytes > 0 && (self.is_overdue || self.dirty_ratio() > config.min_cleanable_dirty_ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(sizes: &[u64]) -> Vec<SegmentFacts> {
        let fact = |(i, size): (usize, &u64)| SegmentFacts {
            base_offset: i as i64 * 10,
            next_base: i as i64 * 10 + 10,
            size: *size,
            index_bytes: 0,
            first_timestamp: i as i64 * 1_000,
            newest: i as i64 * 1_000 + 999,
        };
        sizes.iter().enumerate().map(fact).collect()
    }

    fn plan(cleaned_upto: Offset, limit: Offset, config: &LogConfig) -> Option<CompactionPlan> {
        CompactionPlan::new(&segments(&[100, 200, 300, 400]), cleaned_upto, limit, config, WallTime(10_000))
    }

    #[test]
    fn only_whole_segments_below_the_limit_are_touched() {
        let config = LogConfig::default();
        let all = plan(0, 40, &config).expect("a plan");
        assert_eq!((all.first_dirty, all.upto, all.clean_bytes, all.dirty_bytes), (0, 40, 0, 1_000));
        let some = plan(20, 39, &config).expect("a plan");
        assert_eq!((some.first_dirty, some.upto, some.clean_bytes, some.dirty_bytes), (20, 30, 300, 300));
        assert_eq!(plan(20, 29, &config), None);
        assert_eq!(plan(40, 40, &config), None);
        assert_eq!(CompactionPlan::new(&[], 0, 40, &config, WallTime(0)), None);
    }

    #[test]
    fn a_pass_that_ended_within_a_segment_goes_on_there() {
        let plan = plan(25, 40, &LogConfig::default()).expect("a plan");
        assert_eq!((plan.first_dirty, plan.upto, plan.clean_bytes, plan.dirty_bytes), (25, 40, 300, 700));
    }

    #[test]
    fn a_checkpoint_outside_of_the_log_counts_for_nothing() {
        for outside in [-5, 41, i64::MAX] {
            assert_eq!(plan(outside, 40, &LogConfig::default()).expect("a plan").first_dirty, 0);
        }
    }

    #[test]
    fn the_dirty_ratio_decides() {
        let config = LogConfig::default();
        assert!(plan(20, 40, &config).expect("a plan").is_due(&config), "700 of 1000 are dirty");
        assert!(!plan(20, 30, &config).expect("a plan").is_due(&config), "300 of 600 are not more than half");
        let eager = LogConfig { min_cleanable_dirty_ratio: 0.0, ..config };
        assert!(plan(30, 40, &eager).expect("a plan").is_due(&eager));
    }

    #[test]
    fn young_records_wait_and_old_ones_do_not() {
        // The newest record of the third segment is 7,001 ms old, of the second 8,001.
        let lag = LogConfig { min_compaction_lag_ms: 7_500, ..LogConfig::default() };
        assert_eq!(plan(0, 40, &lag).expect("a plan").upto, 20);
        let all_young = LogConfig { min_compaction_lag_ms: 20_000, ..LogConfig::default() };
        assert_eq!(plan(0, 40, &all_young), None);
        let overdue = |max_compaction_lag_ms| {
            let config = LogConfig { max_compaction_lag_ms, min_cleanable_dirty_ratio: 1.0, ..LogConfig::default() };
            let plan = plan(30, 40, &config).expect("a plan");
            assert_eq!(plan.is_due(&config), plan.is_overdue);
            plan.is_overdue
        };
        assert!(overdue(6_999));
        assert!(!overdue(7_000));
        assert!(!overdue(i64::MAX));
    }
}
