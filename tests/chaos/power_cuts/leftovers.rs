use std::fmt;
use std::ops::AddAssign;
use std::path::Path;

/// The files that power cuts left in the midst of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// What the cleaner had written and not yet announced.
    pub cleaned: usize,
    /// What it had announced, and not yet put in its place.
    pub swap: usize,
    /// What it, or retention, had taken out of a log and not yet removed.
    pub deleted: usize,
}

impl Leftovers {
    /// Adds what the partitions of a log directory hold.
    pub fn count(&mut self, directory: &Path) {
        // A node whose power goes early may have none yet.
        let Ok(partitions) = std::fs::read_dir(directory) else { return };
        let files = partitions.flatten().filter_map(|partition| std::fs::read_dir(partition.path()).ok());
        for file in files.flatten().flatten() {
            let counter = match file.path().extension().and_then(|suffix| suffix.to_str()) {
                Some("cleaned") => &mut self.cleaned,
                Some("swap") => &mut self.swap,
                Some("deleted") => &mut self.deleted,
                _ => continue,
            };
            *counter += 1;
        }
    }
}

impl AddAssign for Leftovers {
    fn add_assign(&mut self, other: Leftovers) {
        self.cleaned += other.cleaned;
        self.swap += other.swap;
        self.deleted += other.deleted;
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} .cleaned, {} .swap, {} .deleted", self.cleaned, self.swap, self.deleted)
    }
}
