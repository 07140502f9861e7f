use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Shared;
use super::rules::{DiskCall, Verdict, judge};

/// How often calls that wait are looked at.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// A call that waits for its answer.
struct Pending {
    id: u64,
    call: DiskCall,
    path: PathBuf,
    since: Instant,
    counted: bool,
}

/// Answers the calls of one process, until it is gone.
pub(super) fn run(listener: &OwnedFd, shared: &Shared) {
    let mut pending: Vec<Pending> = Vec::new();
    loop {
        let tick = (!pending.is_empty()).then_some(&TICK);
        let mut waited_for = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut waited_for, tick) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => panic!("a filter's listener cannot be waited on: {errno}"),
        }
        let events = waited_for[0].revents();
        if events.contains(PollFlags::IN) {
            pending.extend(receive(listener));
        } else if events.intersects(PollFlags::HUP | PollFlags::ERR) {
            return;
        }
        let faults = shared.faults.lock().clone();
        pending.retain_mut(|call| {
            let verdict = judge(&faults, call.call, &call.path, call.since.elapsed());
            if verdict != Verdict::Proceed && !std::mem::replace(&mut call.counted, true) {
                shared.hits.fetch_add(1, Ordering::Relaxed);
            }
            match verdict {
                Verdict::Wait => return true,
                Verdict::Proceed => answer(listener, call.id, None),
                Verdict::Fail(errno) => answer(listener, call.id, Some(errno)),
            }
            false
        });
    }
}

/// The next call; none if its process went away meanwhile.
fn receive(listener: &OwnedFd) -> Option<Pending> {
    // SAFETY: all zeros is what the kernel wants to find, and it writes no more than this structure.
    #[expect(unsafe_code, reason = "there is no safe binding of this call")]
    let (received, notification) = unsafe {
        let mut notification: libc::seccomp_notif = std::mem::zeroed();
        let received = libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification);
        (received, notification)
    };
    if received != 0 {
        return None;
    }
    let call = match libc::c_long::from(notification.data.nr) {
        libc::SYS_fsync | libc::SYS_fdatasync | libc::SYS_syncfs => DiskCall::Flush,
        // It starts the writing of what was written, and promises nothing.
        _ => DiskCall::Write,
    };
    let descriptor = notification.data.args[0] as i32;
    // A thread's descriptors are its process's. A file that is gone has no path and lies nowhere.
    let path = std::fs::read_link(format!("/proc/{}/fd/{descriptor}", notification.pid)).unwrap_or_default();
    Some(Pending { id: notification.id, call, path, since: Instant::now(), counted: false })
}

/// Lets a call go on, or fails it.
fn answer(listener: &OwnedFd, id: u64, error: Option<Errno>) {
    let (error, flags) = match error {
        Some(errno) => (-errno.raw_os_error(), 0),
        None => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
    };
    let mut response = libc::seccomp_notif_resp { id, val: 0, error, flags };
    // SAFETY: the kernel reads this structure and nothing else.
    #[expect(unsafe_code, reason = "there is no safe binding of this call")]
    let sent = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
    if sent != 0 {
        let error = std::io::Error::last_os_error();
        // ENOENT: whoever made the call was killed while it waited.
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "a call cannot be answered: {error}");
    }
}
