//! What a log holds before anything happens to it.

use std::collections::BTreeMap;

use bytes::Bytes;
use raftsman_log::{AbortedTransaction, Log};
use raftsman_records::{RecordBatch, split_batches};
use raftsman_types::{LeaderEpoch, Offset};

/// Everything a reader can ask of one log.
#[derive(Debug, Clone)]
pub struct Truth {
    pub start: Offset,
    pub end: Offset,
    pub last_stable_offset: Offset,
    pub batches: BTreeMap<Offset, RecordBatch>,
    pub epochs: Vec<(i32, Option<(LeaderEpoch, Offset)>)>,
    pub aborted: Vec<AbortedTransaction>,
    /// The first record at or past each timestamp.
    pub times: Vec<(i64, Option<Offset>)>,
    pub max_timestamp: Option<(Offset, i64)>,
    pub producers: usize,
}

impl Truth {
    pub fn of(log: &Log) -> Truth {
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        let mut batches = BTreeMap::new();
        let mut from = start;
        while from < end {
            let read = log.read(from, 1, end, true).expect("readable");
            for batch in batches_of(&read.chunks) {
                batches.insert(batch.base_offset(), batch);
            }
            from = read.next_offset;
        }
        let times = stamps(&batches).into_iter().map(|time| (time, offset_at(log, time).expect("readable"))).collect();
        Truth {
            start,
            end,
            last_stable_offset: log.last_stable_offset(),
            epochs: (-1..9).map(|epoch| (epoch, log.end_offset_for(LeaderEpoch(epoch)))).collect(),
            aborted: log.aborted_transactions(start, end).expect("readable"),
            times,
            max_timestamp: log.max_timestamp().expect("readable"),
            producers: log.producer_count(),
            batches,
        }
    }

    /// The batch that holds an offset, or the next one behind it.
    pub fn batch_at(&self, offset: Offset) -> Option<&RecordBatch> {
        let before = self.batches.range(..=offset).next_back().map(|(_, batch)| batch);
        let holding = before.filter(|batch| batch.last_offset() >= offset);
        holding.or_else(|| self.batches.range(offset..).next().map(|(_, batch)| batch))
    }
}

pub fn offset_at(log: &Log, time: i64) -> Result<Option<Offset>, raftsman_log::ReadError> {
    Ok(log.offset_for_timestamp(time)?.map(|(offset, _, _)| offset))
}

pub fn batches_of(chunks: &[Bytes]) -> Vec<RecordBatch> {
    let each = chunks.iter().flat_map(|chunk| split_batches(chunk.clone(), false));
    each.map(|batch| batch.expect("reads give whole batches")).collect()
}

fn stamps(batches: &BTreeMap<Offset, RecordBatch>) -> Vec<i64> {
    let mut stamps: Vec<i64> = batches.values().map(|batch| batch.header().max_timestamp).collect();
    stamps.extend([0, i64::MAX]);
    stamps.sort_unstable();
    stamps.dedup();
    stamps
}
