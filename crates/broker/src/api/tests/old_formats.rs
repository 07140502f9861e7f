//! Clients of before Kafka 0.11, on a topic that new ones share.

use bytes::Bytes;
use raftsman_records::{
    BatchBuilder, Compression, DownConverter, LegacyFormat, RecordBatch, ValidationLimits, validate,
};
use raftsman_types::{ErrorCode, LeaderEpoch, WallTime};

use super::sole::{SoleBroker, batch, now_ms};

/// A message set as an old client writes it.
fn old_set(format: LegacyFormat, compression: Compression, values: &[&str]) -> Bytes {
    let stored = RecordBatch::parse(batch(compression, values)).unwrap();
    let mut converter = DownConverter::new(format, 0, 1 << 20);
    converter.push(&stored, 1 << 20).unwrap();
    converter.into_bytes()
}

/// What an old client reads out of its answer: values, and the timestamps it was told.
fn read_old(set: &Bytes) -> (Vec<String>, Vec<i64>) {
    let limits = ValidationLimits { accept_legacy: true, ..ValidationLimits::at(WallTime(now_ms())) };
    let batch = validate(set, &limits).unwrap();
    let records = batch.records().map(Result::unwrap);
    records.map(|r| (String::from_utf8(r.value.unwrap().to_vec()).unwrap(), r.timestamp)).unzip()
}

#[tokio::test]
async fn old_and_new_clients_share_a_topic() {
    let sole = SoleBroker::new(&[]);
    let written = [
        (0, old_set(LegacyFormat::V0, Compression::None, &["a", "b"])),
        (1, old_set(LegacyFormat::V0, Compression::Lz4, &["c", "d"])),
        (2, old_set(LegacyFormat::V1, Compression::Gzip, &["e", "f"])),
        (9, batch(Compression::Snappy, &["g", "h"])),
        (2, batch(Compression::None, &["i"])),
    ];
    for (i, (version, records)) in written.into_iter().enumerate() {
        let answer = sole.produce(records, version).await;
        assert_eq!((answer.error_code, answer.base_offset), (0, 2 * i as i64), "Produce {version}");
    }
    let all = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let values: Vec<_> = sole.records().await.into_iter().map(|r| r.value.unwrap()).collect();
    assert_eq!(values, all);
    for (version, base) in [(0, 0), (1, 0), (2, 0), (3, 0), (0, 3), (3, 5)] {
        // Sets of several wrappers are not what a producer may send: one at a time.
        let mut offset = base;
        let mut read = Vec::new();
        while offset < all.len() {
            let fetched = sole.fetch(offset as i64, 1, version).await;
            assert_eq!(fetched.error_code, 0);
            assert_eq!(fetched.high_watermark, 9);
            let set = fetched.records.unwrap().into_contiguous();
            assert!(!set.is_empty(), "one message whatever the limit");
            let (values, timestamps) = read_old(&set);
            assert!(
                timestamps.iter().all(|t| (*t == -1) == (version < 2 || offset < 4)),
                "Fetch {version} at {offset}"
            );
            offset += values.len();
            read.extend(values);
        }
        assert_eq!(read, all[base..], "Fetch {version} from {base}");
    }
}

#[tokio::test]
async fn whole_answers_stay_within_the_limit_of_an_old_fetcher() {
    let sole = SoleBroker::new(&[]);
    let many: Vec<String> = (0..500).map(|i| format!("value-{i}")).collect();
    sole.produce(batch(Compression::None, &many.iter().map(String::as_str).collect::<Vec<_>>()), 9).await;
    sole.committed().await;
    for version in 0..=3 {
        let fetched = sole.fetch(7, 1_000, version).await;
        let set = fetched.records.unwrap().into_contiguous();
        assert!((900..=1_000).contains(&set.len()), "{}", set.len());
        assert_eq!(read_old(&set).0[0], "value-7");
    }
}

#[tokio::test]
async fn kafkas_refusals_of_old_fetchers() {
    let mut sole = SoleBroker::new(&[]);
    let old = old_set(LegacyFormat::V1, Compression::None, &["a"]);
    assert_eq!(sole.produce(old.clone(), 3).await.error_code, ErrorCode::InvalidRecord.code(), "Produce 3 is v2's");
    assert_eq!(
        sole.produce(batch(Compression::Zstd, &["a"]), 2).await.error_code,
        ErrorCode::UnsupportedCompressionType.code()
    );
    assert_eq!(sole.produce(old, 2).await.error_code, 0);
    assert_eq!(sole.produce(batch(Compression::Zstd, &["b"]), 9).await.error_code, 0);
    sole.committed().await;
    let first = sole.fetch(0, 1 << 20, 3).await;
    assert_eq!(
        (first.error_code, read_old(&first.records.unwrap().into_contiguous()).0.len()),
        (0, 1),
        "up to the zstd batch"
    );
    assert_eq!(sole.fetch(1, 1 << 20, 3).await.error_code, ErrorCode::UnsupportedCompressionType.code());
    assert_eq!(sole.fetch(1, 1 << 20, 4).await.error_code, 0, "clients of v2 are given what is there");

    sole.set(&[("compression.type", "zstd")]);
    for (version, refused) in [(0, true), (3, true), (9, true), (10, false)] {
        let code = sole.fetch(0, 1 << 20, version).await.error_code;
        assert_eq!(code == ErrorCode::UnsupportedCompressionType.code(), refused, "Fetch {version} of a zstd topic");
    }
    sole.set(&[("compression.type", "producer"), ("message.downconversion.enable", "false")]);
    for (version, refused) in [(0, true), (3, true), (4, false)] {
        let code = sole.fetch(0, 1 << 20, version).await.error_code;
        assert_eq!(code == ErrorCode::UnsupportedVersion.code(), refused, "Fetch {version} without conversion");
    }
    sole.set(&[("message.downconversion.enable", "true")]);
    sole.set_cluster(&[("log.message.downconversion.enable", "false")]);
    assert_eq!(sole.fetch(0, 1 << 20, 0).await.error_code, 0, "the topic's own setting is nearer");
}

#[tokio::test]
async fn the_old_list_of_offsets() {
    let sole = SoleBroker::new(&[]);
    let list = async |timestamp, max| {
        let answer = sole.list_offsets(timestamp, max, 0).await;
        assert_eq!(answer.error_code, 0);
        answer.old_style_offsets
    };
    assert_eq!(list(-1, 10).await, [0], "an empty log is one segment");
    sole.produce(batch(Compression::None, &["a", "b", "c"]), 9).await;
    sole.committed().await;
    assert_eq!(list(-1, 10).await, [3, 0], "the latest first");
    assert_eq!(list(-1, 1).await, [3]);
    assert_eq!(list(-2, 10).await, [0]);
    assert_eq!(list(now_ms() + 60_000, 10).await, [3, 0]);
    assert_eq!(list(5, 10).await, [0; 0], "nothing is so old");
    assert_eq!(list(-1, 0).await, [0; 0]);
    assert_eq!(list(-1, -5).await, [0; 0]);
    assert_eq!(sole.list_offsets(-3, 1, 0).await.error_code, ErrorCode::UnsupportedVersion.code());
    assert_eq!(sole.list_offsets(-1, 1, 1).await.offset, 3, "later versions answer with one");
}

#[tokio::test]
async fn headers_are_lost_on_old_fetchers_only() {
    let sole = SoleBroker::new(&[]);
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(now_ms(), None, None, &[("h", Some(b"v"))]);
    sole.produce(builder.build(0, LeaderEpoch::NONE), 9).await;
    assert_eq!(sole.records().await[0].headers.len(), 1);
    let set = sole.fetch(0, 100, 2).await.records.unwrap().into_contiguous();
    // 12 bytes of prefix, 22 of a message of format 1 without key and value.
    assert_eq!(set.len(), 34);
}
