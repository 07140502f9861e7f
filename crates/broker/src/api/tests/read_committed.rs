//! Transactions in a log, as one that Kafka wrote has them, and what `read_committed` consumers get of it (KIP-98).

use bytes::Bytes;
use raftsman_protocol::messages::fetch::PartitionData;
use raftsman_records::{BatchBuilder, Compression, end_transaction_marker, split_batches};
use raftsman_types::{LeaderEpoch, ProducerEpoch, ProducerId};

use super::sole::{AT, SoleBroker, batch, now_ms};
use crate::replica::{Acks, AppendOrigin};

fn of_transaction(id: i64) -> Bytes {
    let builder = BatchBuilder::new(Compression::None).producer(ProducerId(id), ProducerEpoch(0), 0);
    let mut builder = builder.transactional(true);
    builder.append(now_ms(), None, Some(b"in a transaction"), &[]);
    builder.build(0, LeaderEpoch::NONE)
}

fn marker(id: i64, commit: bool) -> Bytes {
    end_transaction_marker(ProducerId(id), ProducerEpoch(0), commit, 0, now_ms())
}

/// Base offsets of the batches of an answer, and the aborted transactions it tells of.
fn told(data: PartitionData) -> (Vec<i64>, Option<Vec<(i64, i64)>>) {
    assert_eq!(data.error_code, 0);
    let batches = split_batches(data.records.unwrap().into_contiguous(), false);
    let aborted = data.aborted_transactions;
    (
        batches.map(|batch| batch.unwrap().base_offset()).collect(),
        aborted.map(|aborted| aborted.iter().map(|a| (a.producer_id, a.first_offset)).collect()),
    )
}

#[tokio::test]
async fn read_committed_is_told_what_was_aborted_and_given_what_is_decided() {
    let sole = SoleBroker::new(&[]);
    let replicas = &sole.broker.state.replicas;
    let epoch = replicas.partition_state(AT).unwrap().leader_epoch;
    let plain = || batch(Compression::None, &["of no transaction"]);
    let log = [
        of_transaction(1),
        of_transaction(2),
        plain(),
        marker(1, false),
        marker(2, true),
        plain(),
        of_transaction(3),
        plain(),
    ];
    for records in log {
        replicas.append(AT, records, Acks::Leader, AppendOrigin::Coordinator(epoch)).unwrap();
    }
    sole.committed().await;
    let all = 1 << 20;
    for version in [4, 11, 12, 18] {
        let read = async |offset, max_bytes| told(sole.fetch_isolated(offset, max_bytes, version, 1).await);
        assert_eq!(read(0, all).await, (vec![0, 1, 2, 3, 4, 5], Some(vec![(1, 0)])), "Fetch {version}");
        // Only of what is in the answer.
        assert_eq!(read(1, 1).await, (vec![1], Some(vec![(1, 0)])), "Fetch {version}: its marker is still ahead");
        assert_eq!(read(3, all).await, (vec![3, 4, 5], Some(vec![(1, 0)])), "Fetch {version}");
        assert_eq!(read(4, all).await, (vec![4, 5], Some(vec![])), "Fetch {version}");
        assert_eq!(read(6, all).await, (vec![], Some(vec![])), "Fetch {version}: what is open is not to be read");
        let uncommitted = told(sole.fetch_isolated(0, all, version, 0).await);
        assert_eq!(uncommitted, (vec![0, 1, 2, 3, 4, 5, 6, 7], None), "Fetch {version}");
    }
    let committed = sole.fetch_isolated(0, all, 18, 1).await;
    assert_eq!((committed.last_stable_offset, committed.high_watermark), (6, 8));
}
