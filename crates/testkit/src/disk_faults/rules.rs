use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;

/// A kind of system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskCall {
    /// Bytes, or a file's length.
    Write,
    /// `fsync`, `fdatasync`, `syncfs`.
    Flush,
}

/// Which files are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskPlace {
    /// All.
    Everywhere,
    /// The partitions' logs and what lies beside them.
    Logs,
    /// The controller's store.
    Metadata,
}

/// Something that is wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// Calls take so much longer.
    Slow(DiskCall, DiskPlace, Duration),
    /// Calls do not return until the disk is repaired.
    Stalled(DiskCall, DiskPlace),
    /// Calls fail.
    Failing(DiskCall, DiskPlace, Errno),
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Proceed,
    Wait,
    Fail(Errno),
}

impl DiskFault {
    fn concerns(&self, call: DiskCall, path: &Path) -> bool {
        let (DiskFault::Slow(of, place, _) | DiskFault::Stalled(of, place) | DiskFault::Failing(of, place, _)) = self;
        let is_metadata = path.components().any(|part| part.as_os_str() == "__cluster_metadata-0");
        let is_there = match place {
            DiskPlace::Everywhere => true,
            DiskPlace::Logs => !is_metadata,
            DiskPlace::Metadata => is_metadata,
        };
        *of == call && is_there
    }
}

/// What becomes of a call that has waited for so long.
pub(super) fn judge(faults: &[DiskFault], call: DiskCall, path: &Path, waited: Duration) -> Verdict {
    let verdict_of = |fault: &DiskFault| match fault {
        DiskFault::Slow(_, _, delay) if waited >= *delay => Verdict::Proceed,
        DiskFault::Slow(..) | DiskFault::Stalled(..) => Verdict::Wait,
        DiskFault::Failing(_, _, errno) => Verdict::Fail(*errno),
    };
    let verdicts: Vec<Verdict> = faults.iter().filter(|f| f.concerns(call, path)).map(verdict_of).collect();
    let wait = verdicts.contains(&Verdict::Wait).then_some(Verdict::Wait);
    let fail = || verdicts.iter().copied().find(|verdict| matches!(verdict, Verdict::Fail(_)));
    wait.or_else(fail).unwrap_or(Verdict::Proceed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_hold_for_their_calls_and_places() {
        let log = Path::new("/d/data/t-0/00000000000000000000.log");
        let store = Path::new("/d/data/__cluster_metadata-0/db");
        let slow = DiskFault::Slow(DiskCall::Flush, DiskPlace::Everywhere, Duration::from_secs(2));
        let second = Duration::from_secs(1);
        assert_eq!(judge(&[slow], DiskCall::Flush, log, second), Verdict::Wait);
        assert_eq!(judge(&[slow], DiskCall::Flush, log, 2 * second), Verdict::Proceed);
        assert_eq!(judge(&[slow], DiskCall::Write, log, second), Verdict::Proceed);
        let failing = DiskFault::Failing(DiskCall::Write, DiskPlace::Logs, Errno::NOSPC);
        assert_eq!(judge(&[failing], DiskCall::Write, log, second), Verdict::Fail(Errno::NOSPC));
        assert_eq!(judge(&[failing], DiskCall::Write, store, second), Verdict::Proceed);
        let stalled = DiskFault::Stalled(DiskCall::Write, DiskPlace::Everywhere);
        assert_eq!(judge(&[failing, stalled], DiskCall::Write, log, second), Verdict::Wait);
    }
}
