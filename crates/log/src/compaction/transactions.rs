use std::collections::{HashMap, HashSet, VecDeque};

use raftsman_records::{BatchHeader, ControlRecord, ControlRecordType};
use raftsman_types::{Offset, ProducerId};

use crate::index::AbortedTransaction;

/// Follows the transactions of a log from its first batch on, to know which data was aborted and which markers have no
/// data left. Compaction stays below the last stable offset, so every transaction it meets has ended.
#[derive(Debug, Default)]
pub(crate) struct CleanedTransactions {
    /// Aborted transactions that begin further on, by their first offset.
    upcoming: VecDeque<AbortedTransaction>,
    aborted: HashMap<ProducerId, AbortedUnderWay>,
    committed: HashSet<ProducerId>,
}

#[derive(Debug)]
struct AbortedUnderWay {
    transaction: AbortedTransaction,
    /// Whether a batch of it is still in the log.
    has_data: bool,
}

/// What becomes of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MarkerFate {
    /// Whether its transaction has no data left, so that it may go once its time is over.
    pub(crate) is_spent: bool,
    /// The transaction, if it was aborted and the index must keep it.
    pub(crate) aborted: Option<AbortedTransaction>,
}

impl CleanedTransactions {
    pub(crate) fn new(mut aborted: Vec<AbortedTransaction>) -> CleanedTransactions {
        aborted.sort_unstable_by_key(|transaction| transaction.first_offset);
        CleanedTransactions { upcoming: aborted.into(), ..CleanedTransactions::default() }
    }

    /// A batch of data; whether its transaction was aborted.
    pub(crate) fn data(&mut self, header: &BatchHeader) -> bool {
        self.advance(header.last_offset());
        if !header.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&header.producer_id) {
            Some(under_way) => {
                under_way.has_data = true;
                true
            }
            None => {
                self.committed.insert(header.producer_id);
                false
            }
        }
    }

    /// A control batch; `control` is `None` if an earlier compaction emptied it.
    pub(crate) fn marker(&mut self, header: &BatchHeader, control: Option<&ControlRecord>) -> MarkerFate {
        self.advance(header.last_offset());
        let Some(control) = control else { return MarkerFate { is_spent: true, aborted: None } };
        match control.control_type {
            ControlRecordType::Abort => {
                let ended = self.aborted.remove(&header.producer_id);
                let aborted = ended.filter(|ended| ended.has_data).map(|ended| ended.transaction);
                MarkerFate { is_spent: aborted.is_none(), aborted }
            }
            ControlRecordType::Commit => {
                MarkerFate { is_spent: !self.committed.remove(&header.producer_id), aborted: None }
            }
            _ => MarkerFate { is_spent: false, aborted: None },
        }
    }

    fn advance(&mut self, offset: Offset) {
        while self.upcoming.front().is_some_and(|next| next.first_offset <= offset) {
            if let Some(transaction) = self.upcoming.pop_front() {
                let under_way = AbortedUnderWay { transaction, has_data: false };
                self.aborted.entry(transaction.producer_id).or_insert(under_way);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use raftsman_records::{
        BatchBuilder, Compression, RecordBatch, end_transaction_marker, patch_base_offset_and_epoch,
    };
    use raftsman_types::{LeaderEpoch, ProducerEpoch};

    use super::*;

    fn at(offset: Offset, bytes: &Bytes) -> RecordBatch {
        let mut bytes = bytes.to_vec();
        patch_base_offset_and_epoch(&mut bytes, offset, LeaderEpoch(0));
        RecordBatch::parse(bytes.into()).expect("whole")
    }

    fn data(id: i64, offset: Offset) -> RecordBatch {
        let builder = BatchBuilder::new(Compression::None).producer(ProducerId(id), ProducerEpoch(0), 0);
        let mut builder = builder.transactional(true);
        builder.append(0, Some(b"k"), Some(b"v"), &[]);
        at(offset, &builder.build(0, LeaderEpoch(0)))
    }

    fn ends(transactions: &mut CleanedTransactions, id: i64, offset: Offset, commit: bool) -> MarkerFate {
        let marker = at(offset, &end_transaction_marker(ProducerId(id), ProducerEpoch(0), commit, 0, 0));
        let control = marker.control_record().expect("readable");
        transactions.marker(marker.header(), control.as_ref())
    }

    fn aborted(id: i64, first_offset: Offset, last_offset: Offset) -> AbortedTransaction {
        AbortedTransaction {
            producer_id: ProducerId(id),
            first_offset,
            last_offset,
            last_stable_offset: last_offset + 1,
        }
    }

    #[test]
    fn aborted_data_is_told_from_committed_of_the_same_producer() {
        let first = aborted(1, 10, 14);
        let mut transactions = CleanedTransactions::new(vec![aborted(1, 20, 24), first]);
        assert!(!transactions.data(data(1, 5).header()));
        assert_eq!(ends(&mut transactions, 1, 6, true), MarkerFate { is_spent: false, aborted: None });
        assert!(transactions.data(data(1, 10).header()));
        assert!(!transactions.data(data(2, 11).header()));
        assert_eq!(ends(&mut transactions, 1, 14, false), MarkerFate { is_spent: false, aborted: Some(first) });
        assert!(!transactions.data(data(1, 15).header()));
        assert_eq!(ends(&mut transactions, 2, 16, true), MarkerFate { is_spent: false, aborted: None });
    }

    #[test]
    fn a_marker_without_data_is_spent() {
        let spent = MarkerFate { is_spent: true, aborted: None };
        let mut transactions = CleanedTransactions::new(vec![aborted(1, 10, 14)]);
        assert_eq!(ends(&mut transactions, 2, 8, true), spent);
        assert_eq!(ends(&mut transactions, 1, 14, false), spent);
        let marker = at(20, &end_transaction_marker(ProducerId(1), ProducerEpoch(0), true, 0, 0));
        assert_eq!(transactions.marker(marker.header(), None), spent, "it was emptied before");
    }
}
