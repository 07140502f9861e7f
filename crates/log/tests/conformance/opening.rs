//! Who opens a log can hear how far that is.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use raftsman_log::{LeftBehind, LogConfig, LogOpening};
use raftsman_records::{BatchBuilder, Compression};
use raftsman_types::LeaderEpoch;

use super::rig::{DIRECTORY, NOW, Rig, TOPIC_ID};

#[test]
fn what_is_checked_is_told_piece_by_piece() {
    let mut rig = Rig::new(LogConfig::default());
    for _ in 0..5 {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(NOW.0, None, Some(&[7; 700_000]), &[]);
        rig.append(builder.build(0, LeaderEpoch(-1)), 0);
    }
    rig.log.flush(NOW).unwrap();
    let size = rig.log.size_in_bytes();
    for (left, expected) in [(LeftBehind::Killed, size), (LeftBehind::KilledAndSynced, size), (LeftBehind::Cleanly, 0)]
    {
        rig.fs.kill();
        let told = RefCell::new(Vec::new());
        let opening = LogOpening {
            fs: Arc::new(rig.fs.clone()),
            directory: PathBuf::from(DIRECTORY),
            topic_id: TOPIC_ID,
            config: Arc::default(),
            left,
            recovery_point: 5,
            now: NOW,
        };
        let (log, recovery) = opening.open(&|bytes| told.borrow_mut().push(bytes)).unwrap();
        assert_eq!((log.log_end_offset(), recovery.scanned_bytes), (5, expected), "{left:?}");
        assert_eq!(told.borrow().iter().sum::<u64>(), expected, "{left:?}");
        let pieces = told.borrow().iter().filter(|bytes| **bytes > 0).count();
        assert!(
            pieces >= (expected >> 21) as usize,
            "{left:?}: a log takes long, and {pieces} times something was said"
        );
    }
}
