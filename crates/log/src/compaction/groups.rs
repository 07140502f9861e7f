use std::ops::Range;

use super::plan::SegmentFacts;
use crate::config::LogConfig;

/// Which neighbouring segments become one: as many as fit the size of a segment and of its index even if nothing is
/// dropped, so that small leftovers of earlier compactions grow together.
pub(crate) fn group_segments(segments: &[SegmentFacts], config: &LogConfig) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let (mut size, mut index_bytes) = (0, 0);
    for (i, segment) in segments.iter().enumerate() {
        if let Some(group) = groups.last_mut() {
            let fits = size + segment.size <= config.segment_bytes.min(i32::MAX as u64)
                && index_bytes + segment.index_bytes <= config.segment_index_bytes
                && segment.next_base - 1 - segments[group.start].base_offset <= i64::from(i32::MAX);
            if fits {
                group.end = i + 1;
                size += segment.size;
                index_bytes += segment.index_bytes;
                continue;
            }
        }
        groups.push(i..i + 1);
        (size, index_bytes) = (segment.size, segment.index_bytes);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(base_offset: i64, next_base: i64, size: u64, index_bytes: u64) -> SegmentFacts {
        SegmentFacts { base_offset, next_base, size, index_bytes, first_timestamp: 0, newest: 0 }
    }

    fn groups(segments: &[SegmentFacts]) -> Vec<(usize, usize)> {
        let config = LogConfig { segment_bytes: 100, segment_index_bytes: 50, ..LogConfig::default() };
        group_segments(segments, &config).into_iter().map(|group| (group.start, group.end)).collect()
    }

    #[test]
    fn neighbours_grow_together_up_to_a_segments_size() {
        let segments = [fact(0, 10, 40, 0), fact(10, 20, 60, 0), fact(20, 30, 1, 0), fact(30, 40, 100, 0)];
        assert_eq!(groups(&segments), [(0, 2), (2, 3), (3, 4)]);
        assert_eq!(groups(&[]), []);
        assert_eq!(groups(&[fact(0, 10, 500, 99)]), [(0, 1)], "one that is larger already stays one");
    }

    #[test]
    fn the_index_and_the_offsets_have_to_fit_too() {
        assert_eq!(groups(&[fact(0, 10, 1, 30), fact(10, 20, 1, 21), fact(20, 30, 1, 29)]), [(0, 1), (1, 3)]);
        let far = i64::from(i32::MAX);
        assert_eq!(groups(&[fact(5, 10, 1, 0), fact(10, far + 6, 1, 0)]), [(0, 2)]);
        assert_eq!(groups(&[fact(5, 10, 1, 0), fact(10, far + 7, 1, 0)]), [(0, 1), (1, 2)]);
    }
}
