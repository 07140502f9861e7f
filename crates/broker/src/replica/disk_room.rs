use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use raftsman_log::fs::FileSystem;

/// The reserve is never more than this part of the volume: one in so many bytes.
const RESERVE_PART: u64 = 20;
/// So many bytes may be written before the next look, even on an empty disk: others may fill it, too.
const LOOK_EVERY_BYTES: u64 = 64 << 20;

/// No volume has so many bytes.
const UNKNOWN: u64 = u64::MAX;

/// How much room a directory's volume has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Room {
    /// None to speak of: nobody writes records.
    Nothing = 0,
    /// The reserve is begun: clients write nothing. What keeps the cluster going does.
    Reserve = 1,
    /// Enough.
    Plenty = 2,
}

/// Keeps a part of a volume free: for metadata, group offsets and followers' catching up, and so that compaction, which
/// makes room, has some to begin with.
///
/// The volume is looked at before so much was written that its reserve could be begun, and before each write once it
/// is: so writes are taken again as soon as there is room.
#[derive(Debug)]
pub(super) struct DiskRoom {
    reserve_bytes: u64,
    /// Bytes that may be written before the next look.
    until_look: AtomicI64,
    room: AtomicU8,
    /// At the last look; [`UNKNOWN`] before the first.
    free_bytes: AtomicU64,
}

impl DiskRoom {
    /// With so many bytes kept free, or a twentieth of the volume where that is less.
    pub fn new(reserve_bytes: u64) -> DiskRoom {
        DiskRoom {
            reserve_bytes,
            until_look: AtomicI64::new(0),
            room: AtomicU8::new(Room::Plenty as u8),
            free_bytes: AtomicU64::new(UNKNOWN),
        }
    }

    /// The room there is for a write of so many bytes.
    pub fn before_write(&self, bytes: usize, fs: &dyn FileSystem, directory: &Path) -> Room {
        let left = self.until_look.fetch_sub(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
        if left < i64::try_from(bytes).unwrap_or(i64::MAX) { self.look(fs, directory) } else { self.last_seen() }
    }

    /// What the last look showed.
    pub fn last_seen(&self) -> Room {
        match self.room.load(Ordering::Relaxed) {
            0 => Room::Nothing,
            1 => Room::Reserve,
            _ => Room::Plenty,
        }
    }

    /// Bytes that were free at the last look; `None` before the first.
    pub fn free_bytes(&self) -> Option<u64> {
        Some(self.free_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes != UNKNOWN)
    }

    /// A write found no room.
    pub fn exhausted(&self, directory: &Path) {
        self.until_look.store(0, Ordering::Relaxed);
        self.free_bytes.store(0, Ordering::Relaxed);
        self.enter(Room::Nothing, directory);
    }

    /// Looks at the volume. One that cannot be asked is taken to be as it was: a write that fails will tell.
    pub fn look(&self, fs: &dyn FileSystem, directory: &Path) -> Room {
        let space = match fs.space(directory) {
            Ok(space) => space,
            Err(error) => {
                tracing::warn!(directory = %directory.display(), "cannot tell how full its disk is: {error}");
                return self.last_seen();
            }
        };
        let reserve = self.reserve_bytes.min(space.total / RESERVE_PART);
        // A little above the reserve, so that one freed page does not open a gate that the next write closes.
        let needed = if self.last_seen() == Room::Plenty { reserve } else { reserve + reserve / 10 };
        let room = match space.free {
            free if reserve > 0 && free < reserve / 2 => Room::Nothing,
            free if free < needed => Room::Reserve,
            _ => Room::Plenty,
        };
        let until_look = if room == Room::Plenty { ((space.free - reserve) / 2).min(LOOK_EVERY_BYTES) } else { 0 };
        self.until_look.store(i64::try_from(until_look).unwrap_or(i64::MAX), Ordering::Relaxed);
        self.free_bytes.store(space.free, Ordering::Relaxed);
        self.enter(room, directory);
        room
    }

    fn enter(&self, room: Room, directory: &Path) {
        let before = self.room.swap(room as u8, Ordering::Relaxed);
        let (free_bytes, directory) = (self.free_bytes.load(Ordering::Relaxed), directory.display());
        match (before == Room::Plenty as u8, room) {
            (true, Room::Plenty) | (false, Room::Reserve | Room::Nothing) => {}
            (true, _) => tracing::error!(
                %directory,
                free_bytes,
                "the disk is full up to its reserve: produce requests are refused until there is room; make some, for \
                 example by a shorter retention.ms"
            ),
            (false, Room::Plenty) => {
                tracing::info!(%directory, free_bytes, "the disk has room again: writes are taken")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use raftsman_log::fs::{MemoryFs, OpenMode};

    use super::*;

    #[test]
    fn clients_stop_at_the_reserve_and_everybody_at_half_of_it() {
        let (fs, directory) = (MemoryFs::new(), Path::new("/"));
        fs.set_capacity(Some(100_000));
        let file = fs.open(Path::new("/f"), OpenMode::Create).unwrap();
        let room = DiskRoom::new(4_000);
        let at = |used: u64| {
            file.set_length(used).unwrap();
            room.before_write(1, &fs, directory)
        };
        assert_eq!(at(10), Room::Plenty);
        // The first look allowed for some writes; use them up.
        room.before_write(60_000, &fs, directory);
        assert_eq!(at(96_000), Room::Plenty);
        room.before_write(60_000, &fs, directory);
        assert_eq!(at(96_001), Room::Reserve);
        assert_eq!(at(98_001), Room::Nothing);
        assert_eq!(at(96_000), Room::Reserve, "not at the first free byte");
        assert_eq!(at(95_600), Room::Plenty);
        room.exhausted(directory);
        assert_eq!(room.last_seen(), Room::Nothing);
        assert_eq!(at(50_000), Room::Plenty, "the next write looks");
    }

    #[test]
    fn a_small_volume_keeps_a_small_reserve_and_none_means_none() {
        let (fs, directory) = (MemoryFs::new(), Path::new("/"));
        fs.set_capacity(Some(1_000));
        let file = fs.open(Path::new("/f"), OpenMode::Create).unwrap();
        file.set_length(950).unwrap();
        assert_eq!(DiskRoom::new(1 << 30).look(&fs, directory), Room::Plenty);
        file.set_length(951).unwrap();
        assert_eq!(DiskRoom::new(1 << 30).look(&fs, directory), Room::Reserve);
        file.set_length(1_000).unwrap();
        assert_eq!(DiskRoom::new(0).look(&fs, directory), Room::Plenty, "without a reserve a failed write tells");
    }
}
