use super::message::{LogEntry, Snapshot};

/// What a node must not forget.
#[derive(Debug, Clone)]
pub(super) struct HardState {
    pub term: u64,
    pub voted_for: Option<i32>,
    pub snapshot: Snapshot,
    /// The entries after the snapshot.
    pub entries: Vec<LogEntry>,
}

impl HardState {
    pub fn empty() -> HardState {
        let snapshot = Snapshot { index: 0, term: 0, image: Default::default() };
        HardState { term: 0, voted_for: None, snapshot, entries: Vec::new() }
    }

    pub fn last_index(&self) -> u64 {
        self.snapshot.index + self.entries.len() as u64
    }

    pub fn last_term(&self) -> u64 {
        self.entries.last().map_or(self.snapshot.term, |entry| entry.term)
    }

    /// The term of the entry at an index; `None` if it is not here, or no more.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.snapshot.index {
            return Some(self.snapshot.term);
        }
        self.entry(index).map(|entry| entry.term)
    }

    pub fn entry(&self, index: u64) -> Option<&LogEntry> {
        let position = index.checked_sub(self.snapshot.index + 1)?;
        self.entries.get(position as usize)
    }

    /// The entries from an index on, at most so many.
    pub fn entries_from(&self, index: u64, most: usize) -> Vec<LogEntry> {
        let position = (index.saturating_sub(self.snapshot.index + 1) as usize).min(self.entries.len());
        self.entries[position..].iter().take(most).cloned().collect()
    }

    /// Drops the entry at an index and all after it.
    pub fn cut_from(&mut self, index: u64) {
        let keep = index.saturating_sub(self.snapshot.index + 1) as usize;
        self.entries.truncate(keep);
    }
}
