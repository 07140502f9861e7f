use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait_until;

/// SIGSTOP, and waits until no thread of the process runs any more: each has stopped, or is in the midst of a system call
/// which it will not return from before it is continued. So a machine without power answers nobody, though its disk
/// may have been at work on a flush.
///
/// # Panics
/// When there is no such process.
pub fn freeze(process_id: u32) {
    let process = Pid::from_raw(process_id as i32).expect("a process id is above zero");
    kill_process(process, Signal::STOP).expect("the process is there");
    let threads = format!("/proc/{process_id}/task");
    wait_until(&format!("process {process_id} to stand still"), Duration::from_secs(30), || {
        let threads = std::fs::read_dir(&threads).expect("a process that is there has threads");
        let mut stats = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
        stats.all(|stat| matches!(state(&stat), Some('T' | 't' | 'D' | 'Z' | 'X')))
    });
}

/// A thread's state, which stands behind its name; that is in brackets and may hold anything.
fn state(stat: &str) -> Option<char> {
    stat.rsplit(')').next()?.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_state_behind_any_name() {
        assert_eq!(state("12 (a) R b) T 1 12"), Some('T'));
        assert_eq!(state("12 (raftsman) D 1 12"), Some('D'));
    }
}
