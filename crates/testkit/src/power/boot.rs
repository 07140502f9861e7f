use std::path::{Path, PathBuf};

use crate::ProcessNode;

/// A boot of a node's machine: processes started in it read its id where Linux tells the kernel's.
///
/// The id is a file bound over the kernel's in a mount namespace of the process's own; the product knows nothing of it.
pub struct Boot {
    id_file: PathBuf,
}

impl Boot {
    /// A boot under another id than any before. `folder` is where the id is written to.
    ///
    /// # Panics
    /// When that cannot be written.
    pub fn new(folder: &Path) -> Boot {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel draws ids");
        let id_file = folder.join(format!("boot-{}", id.trim()));
        std::fs::write(&id_file, id).expect("the boot id can be written");
        Boot { id_file }
    }

    /// Has the node's next start take place in this boot.
    pub fn carries(&self, node: &mut ProcessNode) {
        let script = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"";
        let id_file = self.id_file.display().to_string();
        node.launch_through(&["unshare", "--mount", "--propagation", "slave", "sh", "-c", script, &id_file]);
    }
}
