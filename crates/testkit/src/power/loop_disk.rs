use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

use super::shelf::run;
use crate::wait_until;

/// `FS_IOC_SHUTDOWN`: the file system stops where it is.
const SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);
/// Its flag not to write the journal out first, so that only what was synced, or written back by chance, is left.
const NO_LOG_FLUSH: u32 = 2;

/// A small ext4 of its own whose power can be cut.
///
/// A cut drops what the kernel holds in memory for it, pages and journal alike; what the file system has handed to its
/// device stays. (A real drive may lose more, if it lies about its cache; nothing can be built on such a drive.)
pub struct LoopDisk {
    image: PathBuf,
    mount: PathBuf,
    is_mounted: bool,
}

impl LoopDisk {
    pub(super) fn format(image: &Path, mount: PathBuf, size_bytes: u64) -> LoopDisk {
        File::create(image).and_then(|file| file.set_len(size_bytes)).expect("a disk's image can be made");
        run(Command::new("mkfs.ext4").arg("-q").arg(image));
        std::fs::create_dir(&mount).expect("a mount point can be made");
        let mut disk = LoopDisk { image: image.to_owned(), mount, is_mounted: false };
        disk.mount();
        disk
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Cuts its power: whatever is done on it from now on fails, and what was not synced is gone.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn cut(&self) {
        let root = File::open(&self.mount).expect("a mounted disk can be opened");
        // SAFETY: the call reads one u32 and nothing else, as its number says.
        #[expect(unsafe_code, reason = "there is no safe binding of this call")]
        let cut = unsafe { ioctl(&root, Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH)) };
        cut.expect("the file system can be shut down");
    }

    /// Brings it back after a cut, with what is left on it. Whoever had files open on it must be gone.
    ///
    /// # Panics
    /// When it cannot be unmounted or mounted again.
    pub fn power_on(&mut self) {
        self.unmount();
        self.mount();
    }

    fn mount(&mut self) {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount));
        self.is_mounted = true;
    }

    fn unmount(&mut self) {
        run(Command::new("umount").arg(&self.mount));
        self.is_mounted = false;
        // The device goes with the last mount of it; mounted a second time beside it, the file system would be ruined.
        wait_until("the loop device to be let go of", Duration::from_secs(30), || {
            let attached = Command::new("losetup").arg("--associated").arg(&self.image).output();
            attached.expect("losetup can be started").stdout.is_empty()
        });
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // A test that fails may leave processes behind that still hold files; they are on their way out.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.mount).status();
        if self.is_mounted && !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.mount.display());
        }
    }
}
