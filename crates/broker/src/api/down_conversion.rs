//! Records for fetchers of before Kafka 0.11, who know only the formats before v2.

use bytes::Bytes;
use raftsman_records::{DEFAULT_MAX_DECOMPRESSED_BYTES, DownConverter, LegacyFormat, split_batches};
use raftsman_types::{ErrorCode, Offset, TopicIdPartition};

use super::Context;
use crate::replica::{FetchRead, Fetched, Isolation};

/// From this version on fetchers can unpack zstd (KIP-110).
const ZSTD_FROM: i16 = 10;

/// How one partition is converted.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub format: LegacyFormat,
    pub first_offset: Offset,
    pub max_bytes: usize,
    pub isolation: Isolation,
}

/// The format a Fetch version is answered in, if it is not that of the log.
pub(super) fn format_of(version: i16) -> Option<LegacyFormat> {
    match version {
        ..=1 => Some(LegacyFormat::V0),
        2 | 3 => Some(LegacyFormat::V1),
        _ => None,
    }
}

/// Whether the partition's topic serves fetchers of this version at all, as Kafka judges it: not those who cannot
/// unpack a zstd topic, nor those it would have to convert for where `message.downconversion.enable` is off.
pub(super) fn check(ctx: &Context, at: TopicIdPartition, version: i16) -> Result<(), ErrorCode> {
    if version >= ZSTD_FROM {
        return Ok(());
    }
    match ctx.state.replicas.fetch_terms(at) {
        Some(terms) if terms.is_zstd => Err(ErrorCode::UnsupportedCompressionType),
        Some(terms) if !terms.down_conversion && format_of(version).is_some() => Err(ErrorCode::UnsupportedVersion),
        _ => Ok(()),
    }
}

/// Converts what was read of a partition, one batch at a time. Where nothing of it is left (control batches only) it
/// reads on: these fetchers only get past what they are given.
pub(super) async fn convert(
    ctx: &Context,
    at: TopicIdPartition,
    mut fetched: Fetched,
    terms: Terms,
) -> Result<Fetched, ErrorCode> {
    let mut converter = DownConverter::new(terms.format, terms.first_offset, terms.max_bytes);
    loop {
        let chunks = std::mem::take(&mut fetched.chunks);
        let is_at_end = chunks.is_empty();
        push(&mut converter, chunks)?;
        if is_at_end || !converter.is_empty() {
            break;
        }
        let read = FetchRead {
            fetch_offset: fetched.next_offset,
            current_leader_epoch: None,
            last_fetched_epoch: None,
            max_bytes: terms.max_bytes,
            at_least_one: true,
            isolation: terms.isolation,
        };
        let next = ctx.state.replicas.fetched(at, read).await.map_err(|error| error.error_code())?;
        (fetched.chunks, fetched.next_offset) = (next.chunks, next.next_offset);
    }
    fetched.chunks = vec![converter.into_bytes()];
    Ok(fetched)
}

/// What cannot be converted ends the answer; it is an error only where it would be all of it.
fn push(converter: &mut DownConverter, chunks: Vec<Bytes>) -> Result<(), ErrorCode> {
    for chunk in chunks {
        for batch in split_batches(chunk, false) {
            let pushed = batch.map_err(|error| error.error_code()).and_then(|batch| {
                converter.push(&batch, DEFAULT_MAX_DECOMPRESSED_BYTES).map_err(|error| error.error_code())
            });
            match pushed {
                Err(error) if converter.is_empty() => return Err(error),
                Err(_) => return Ok(()),
                Ok(()) if converter.is_full() => return Ok(()),
                Ok(()) => {}
            }
        }
    }
    Ok(())
}
