//! The log against a plain list of batches: any sequence of calls, crashes among them, and both must
//! say the same.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use raftsman_log::fs::Survival;
use raftsman_log::{FlushTicket, LogConfig, ReadError};
use raftsman_records::RecordBatch;
use raftsman_types::{LeaderEpoch, Offset, WallTime};

use super::rig::{NOW, Rig, batch};

/// When what a killed process left is synced: before the log is opened, after that, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    Never,
    Before,
    After,
}

#[derive(Debug, Clone)]
enum Step {
    Append { records: usize },
    AppendSeveral { batches: usize },
    NewEpoch,
    Truncate { percent: u8 },
    Reset { ahead: i64 },
    AdvanceStart { percent: u8 },
    Roll,
    Retention { bytes: i64 },
    Flush,
    BeginFlush,
    FinishFlush,
    WriteOut,
    Checkpoint,
    Release,
    Restart,
    Kill(Sync),
    Crash { survival: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1usize..6).prop_map(|records| Step::Append { records }),
        2 => (2usize..4).prop_map(|batches| Step::AppendSeveral { batches }),
        2 => Just(Step::NewEpoch),
        2 => (0u8..=100).prop_map(|percent| Step::Truncate { percent }),
        1 => (-20i64..20).prop_map(|ahead| Step::Reset { ahead }),
        1 => (0u8..=100).prop_map(|percent| Step::AdvanceStart { percent }),
        1 => Just(Step::Roll),
        1 => (0i64..2_000).prop_map(|bytes| Step::Retention { bytes }),
        3 => Just(Step::Flush),
        2 => Just(Step::BeginFlush),
        2 => Just(Step::FinishFlush),
        1 => Just(Step::WriteOut),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Release),
        2 => Just(Step::Restart),
        2 => prop_oneof![Just(Sync::Never), Just(Sync::Before), Just(Sync::After)].prop_map(Step::Kill),
        2 => (0u8..40).prop_map(|survival| Step::Crash { survival }),
    ]
}

#[derive(Debug)]
struct Model {
    batches: Vec<RecordBatch>,
    start: Offset,
    end: Offset,
    flushed: Offset,
    epoch: i32,
    /// What stands in the directory's checkpoint file: written only now and then, so often stale.
    checkpointed: Offset,
    /// A flush under way, which anything may overtake.
    ticket: Option<FlushTicket>,
}

impl Model {
    fn truncate(&mut self, offset: Offset) {
        self.batches.retain(|batch| batch.last_offset() < offset);
        self.end = match self.batches.last() {
            Some(last) => last.header().next_offset(),
            None => self.end.min(offset).min(self.start),
        };
        self.flushed = self.flushed.min(self.end);
    }

    fn offset_at(&self, percent: u8) -> Offset {
        self.start + (self.end - self.start) * i64::from(percent) / 100
    }
}

fn check(rig: &Rig, model: &Model) {
    let log = &rig.log;
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (model.start, model.end));
    assert!(log.flushed_offset() <= log.log_end_offset());
    let read = rig.all();
    let offsets = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::base_offset).collect::<Vec<_>>();
    assert_eq!(offsets(&read), offsets(&model.batches));
    assert!(read == model.batches, "the offsets are right but the batches are not");
    for outside in [model.start - 1, model.end + 1] {
        let error = log.read(outside, 100, Offset::MAX, true).expect_err("outside");
        assert!(matches!(error, ReadError::OutOfRange { .. }));
    }
    for (i, batch) in model.batches.iter().enumerate() {
        let epoch = batch.header().partition_leader_epoch;
        let offset = batch.base_offset().max(model.start);
        assert_eq!(log.epoch_of(offset), Some(epoch), "epoch of {offset}");
        let next = model.batches[i..].iter().find(|later| later.header().partition_leader_epoch > epoch);
        let end = next.map_or(model.end, RecordBatch::base_offset);
        assert_eq!(log.end_offset_for(epoch), Some((epoch, end)), "end of epoch {epoch}");
        // No batch that reaches the limit, not even the first.
        let below = log.read(offset, 10_000, batch.last_offset(), true).expect("readable");
        assert!(below.is_empty() && below.next_offset == offset);
    }
}

fn run(steps: Vec<Step>, config: LogConfig, defers: bool) {
    let mut rig = Rig::new(config);
    rig.defers = defers;
    rig.log.defer_writes(defers);
    let mut model =
        Model { batches: Vec::new(), start: 0, end: 0, flushed: 0, epoch: 0, checkpointed: 0, ticket: None };
    let mut seed = 0;
    for step in steps {
        seed += 1;
        apply(&mut rig, &mut model, &step, seed);
        check(&rig, &model);
    }
}

fn apply(rig: &mut Rig, model: &mut Model, step: &Step, seed: i64) {
    match step {
        Step::Append { records } => append(rig, model, batch(*records, seed)),
        Step::AppendSeveral { batches } => {
            let several: Vec<Bytes> = (0..*batches).map(|i| batch(i + 1, seed)).collect();
            append(rig, model, several.concat().into());
        }
        Step::NewEpoch => {
            model.epoch += 1;
            rig.log.assign_epoch_start(LeaderEpoch(model.epoch), model.end).expect("assigned");
            assert_eq!(rig.log.latest_epoch(), Some(LeaderEpoch(model.epoch)));
        }
        Step::Truncate { percent } => {
            let offset = model.offset_at(*percent);
            let end = rig.log.truncate_to(offset).expect("truncated");
            model.truncate(offset);
            if model.batches.is_empty() {
                // The log may have started within the batch that went, or lost nothing.
                assert!(end <= offset);
                model.end = end;
                model.start = model.start.min(end);
                model.flushed = model.flushed.min(end);
            }
        }
        Step::Reset { ahead } => {
            let start = (model.end + ahead).max(0);
            rig.log.reset_to(start).expect("reset");
            model.batches.clear();
            (model.start, model.end, model.flushed) = (start, start, start);
        }
        Step::AdvanceStart { percent } => {
            let start = model.offset_at(*percent);
            rig.log.advance_log_start_offset(start, NOW).expect("advanced");
            model.start = model.start.max(start);
            model.batches.retain(|batch| batch.last_offset() >= start);
        }
        Step::Roll => {
            rig.log.roll_if_due(WallTime(NOW.0 + 100 * 365 * 86_400_000)).expect("rolled");
        }
        Step::Retention { bytes } => {
            rig.log.set_config(LogConfig { retention_bytes: *bytes, retention_ms: -1, ..rig.config.clone() });
            rig.log.delete_old_segments(model.end, NOW).expect("deleted");
            rig.log.set_config(rig.config.clone());
            model.start = rig.log.log_start_offset();
            model.batches.retain(|batch| batch.last_offset() >= rig.log.log_start_offset());
        }
        Step::Flush | Step::BeginFlush | Step::FinishFlush | Step::WriteOut => flush(rig, model, step),
        Step::Checkpoint => {
            model.checkpointed = rig.log.recovery_point();
            rig.log.recovery_point_checkpointed(model.checkpointed).expect("noted");
        }
        Step::Release => {
            rig.log.release_files();
        }
        Step::Restart => {
            model.ticket = None;
            let recovery = rig.restart();
            assert_eq!((recovery.scanned_bytes, recovery.truncated_bytes), (0, 0));
            model.checkpointed = rig.log.recovery_point();
            model.flushed = model.end;
            restore_start(rig, model);
        }
        Step::Kill(sync) => kill(rig, model, *sync),
        Step::Crash { survival } => crash(rig, model, *survival),
    }
}

fn flush(rig: &mut Rig, model: &mut Model, step: &Step) {
    match step {
        Step::BeginFlush => model.ticket = rig.log.begin_flush(),
        Step::Flush => {
            assert_eq!(rig.log.flush(NOW).expect("flushed"), model.end);
            model.flushed = model.end;
        }
        Step::FinishFlush => {
            if let Some(ticket) = model.ticket.take() {
                ticket.sync().expect("synced");
                let flushed = rig.log.complete_flush(ticket).expect("flushed");
                assert!(flushed >= model.flushed);
                model.flushed = flushed;
            }
        }
        _ => {
            rig.log.write_out().expect("written");
            assert_eq!(rig.log.written_offset(), model.end);
        }
    }
}

fn append(rig: &mut Rig, model: &mut Model, batches: Bytes) {
    let info = rig.append(batches, model.epoch);
    assert_eq!(info.first_offset, model.end);
    model.batches.extend(raftsman_records::split_batches(info.bytes, false).map(|batch| batch.expect("whole")));
    model.end = info.last_offset + 1;
}

fn kill(rig: &mut Rig, model: &mut Model, sync: Sync) {
    model.ticket = None;
    let written = rig.log.written_offset();
    assert!(rig.defers || written == model.end);
    rig.fs.kill();
    match sync {
        Sync::Never => rig.open_unsynced(model.checkpointed),
        Sync::Before => {
            rig.open_synced(model.checkpointed);
        }
        Sync::After => {
            rig.open_again(false, model.checkpointed);
        }
    }
    let end = rig.log.log_end_offset();
    assert!(sync == Sync::Never || rig.log.flushed_offset() == end);
    assert_eq!(end, written, "the kernel keeps what a process wrote");
    forget_past(model, end);
    model.flushed = rig.log.flushed_offset();
    restore_start(rig, model);
}

fn crash(rig: &mut Rig, model: &mut Model, survival: u8) {
    model.ticket = None;
    rig.fs.crash_with(|bytes| match survival {
        0..10 => Survival::Lost,
        10..20 => Survival::All,
        20..30 => Survival::Zeros,
        _ => Survival::Prefix(bytes * usize::from(survival - 30) / 10),
    });
    rig.open_again(false, model.checkpointed);
    let end = rig.log.log_end_offset();
    assert!(end >= model.flushed, "flushed up to {} but only {end} is left", model.flushed);
    assert!(end <= model.end);
    forget_past(model, end);
    model.flushed = model.end;
    restore_start(rig, model);
}

fn forget_past(model: &mut Model, end: Offset) {
    model.batches.retain(|batch| batch.last_offset() < end);
    model.end = model.batches.last().map_or(end, |last| last.header().next_offset());
}

/// What a broker does after a restart: segments only know where they begin. The checkpointed log start
/// may lie past the end that is left; then there is nothing to move.
fn restore_start(rig: &mut Rig, model: &mut Model) {
    let start = model.start.min(rig.log.log_end_offset());
    rig.log.advance_log_start_offset(start, NOW).expect("advanced");
    model.start = rig.log.log_start_offset();
    let kept = model.batches.iter().filter(|batch| batch.last_offset() >= model.start).cloned().collect();
    model.batches = kept;
    model.end = rig.log.log_end_offset();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_calls_agrees_with_a_list(
        steps in vec(step(), 1..60),
        segment_bytes in 450u64..3_000,
        index_interval_bytes in 0u64..500,
        tail_cache_bytes in prop_oneof![Just(0usize), 100usize..3_000],
        defer_from_bytes in prop_oneof![Just(None), (0usize..400).prop_map(Some)],
    ) {
        let config = LogConfig {
            segment_bytes,
            index_interval_bytes,
            tail_cache_bytes,
            defer_from_bytes: defer_from_bytes.unwrap_or_default(),
            ..LogConfig::default()
        };
        run(steps, config, defer_from_bytes.is_some());
    }
}
