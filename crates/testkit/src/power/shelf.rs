use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::LoopDisk;

/// Whether this process may make and mount file systems, which takes root. Where it may not, the caller skips.
pub fn power_can_be_cut() -> bool {
    rustix::process::geteuid().is_root()
}

/// A place where [`LoopDisk`]s are mounted.
///
/// It is a mount of its own that shares its events: namespaces copied from this one while a disk was mounted (for a
/// boot id, for a network) let go of the disk when it is unmounted here, else it would live on in them.
pub struct Shelf {
    mounts: PathBuf,
    images: PathBuf,
    // Removed when the shelf is dropped, after its disks.
    _folder: TempDir,
}

impl Shelf {
    /// An empty shelf in the temporary folder.
    ///
    /// # Panics
    /// When it cannot be mounted.
    pub fn new() -> Shelf {
        let folder = tempfile::Builder::new().prefix("raftsman-disks-").tempdir().expect("a temporary folder is made");
        let (mounts, images) = (folder.path().join("mounts"), folder.path().join("images"));
        std::fs::create_dir(&mounts).expect("a folder can be made");
        std::fs::create_dir(&images).expect("a folder can be made");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "disks"]).arg(&mounts));
        run(Command::new("mount").arg("--make-shared").arg(&mounts));
        Shelf { mounts, images, _folder: folder }
    }

    /// A new, empty disk.
    ///
    /// # Panics
    /// When it cannot be made or mounted.
    pub fn disk(&self, name: &str, size_bytes: u64) -> LoopDisk {
        LoopDisk::format(&self.images.join(name), self.mounts.join(name), size_bytes)
    }

    /// A folder outside of all disks, which no power cut touches.
    pub fn outside(&self) -> &Path {
        &self.images
    }
}

impl Default for Shelf {
    fn default() -> Shelf {
        Shelf::new()
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if let Err(error) = Command::new("umount").arg("--lazy").arg(&self.mounts).status() {
            eprintln!("{} stays mounted: {error}", self.mounts.display());
        }
    }
}

/// Runs a system tool that must succeed.
pub(super) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    assert!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
}
