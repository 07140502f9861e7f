use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// The calls that ask first.
const WATCHED: [libc::c_long; 8] = [
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_syncfs,
    libc::SYS_sync_file_range,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_ftruncate,
];
const PROGRAM_LENGTH: usize = WATCHED.len() + 3;

/// The seccomp filter of one process, on its way into it.
pub(super) struct Filter {
    ours: UnixStream,
    // Kept open until the child has its copy.
    _theirs: UnixStream,
}

impl Filter {
    /// Has the child put the filter on itself before it becomes its program, and send what listens to it here.
    pub fn install(command: &mut Command) -> Filter {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets can be made");
        let socket = theirs.try_clone().expect("a socket can be shared");
        let program = program();
        let in_the_child = move || {
            // SAFETY: the program outlives the call, and its length is right.
            #[expect(unsafe_code, reason = "there is no safe binding of seccomp")]
            let listener = unsafe { set_filter(&program) }?;
            send(&socket, listener.as_fd())
        };
        // SAFETY: between fork and exec it makes system calls on its own stack alone: no memory, no locks.
        #[expect(unsafe_code, reason = "a filter can only be put on by the process itself, before it is the program")]
        unsafe {
            command.pre_exec(in_the_child);
        }
        Filter { ours, _theirs: theirs }
    }

    /// What listens to the filter, once the child was started.
    pub fn listener(self) -> OwnedFd {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let received = recvmsg(&self.ours, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC);
        received.expect("the child sends its filter's listener");
        let mut descriptors = ancillary.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        descriptors.next().expect("the child sends its filter's listener")
    }
}

/// Asks for each watched call and lets all others pass.
fn program() -> [libc::sock_filter; PROGRAM_LENGTH] {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut program = [step(RETURN, 0, libc::SECCOMP_RET_USER_NOTIF); PROGRAM_LENGTH];
    // The call's number stands first in what a filter sees.
    program[0] = step(LOAD, 0, 0);
    for (i, call) in WATCHED.iter().enumerate() {
        let to_the_end = WATCHED.len() - i;
        program[i + 1] = step(JUMP_IF_EQUAL, to_the_end as u8, *call as u32);
    }
    program[WATCHED.len() + 1] = step(RETURN, 0, libc::SECCOMP_RET_ALLOW);
    program
}

/// Puts the filter on this process.
#[expect(unsafe_code, reason = "there is no safe binding of seccomp")]
unsafe fn set_filter(program: &[libc::sock_filter; PROGRAM_LENGTH]) -> std::io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    let described = libc::sock_fprog { len: PROGRAM_LENGTH as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: both calls read what they are given and nothing else; the descriptor is new and nobody else's.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        let listener = libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const described);
        if listener < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(listener as i32))
    }
}

fn send(socket: &UnixStream, listener: BorrowedFd<'_>) -> std::io::Result<()> {
    debug_assert!(listener.as_raw_fd() >= 0);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [listener];
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::empty())?;
    Ok(())
}
