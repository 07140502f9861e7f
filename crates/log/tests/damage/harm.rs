//! What is done to the files of a directory.

use std::fmt;

use super::files::Files;
use super::mix;
use super::world::World;

/// One thing that happens to a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Harm {
    Cut {
        path: String,
        length: usize,
    },
    Zero {
        path: String,
        from: usize,
        to: usize,
    },
    Flip {
        path: String,
        bit: usize,
    },
    /// Two blocks of a file change places.
    SwapBlocks {
        path: String,
        one: usize,
        other: usize,
        length: usize,
    },
    /// Two files change places.
    SwapFiles {
        one: String,
        other: String,
    },
    /// The file as it was before.
    Older {
        path: String,
    },
    Missing {
        path: String,
    },
    Empty {
        path: String,
    },
    /// The content stands there twice.
    Doubled {
        path: String,
    },
    /// The content stands under another name, too, cut to a length.
    CopiedTo {
        path: String,
        to: String,
        length: usize,
    },
    /// Bytes that are nothing behind the end.
    Garbage {
        path: String,
        length: usize,
    },
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Harm {
    /// The kind of file it strikes.
    pub fn suffix(&self) -> &str {
        suffix(match self {
            Harm::Cut { path, .. }
            | Harm::Zero { path, .. }
            | Harm::Flip { path, .. }
            | Harm::SwapBlocks { path, .. }
            | Harm::SwapFiles { one: path, .. }
            | Harm::Older { path }
            | Harm::Missing { path }
            | Harm::Empty { path }
            | Harm::Doubled { path }
            | Harm::CopiedTo { to: path, .. }
            | Harm::Garbage { path, .. } => path,
        })
    }

    /// The files after it happened; nothing if they are as they were.
    pub fn apply(&self, files: &Files, older: &Files) -> Option<Files> {
        let mut damaged = files.clone();
        match self {
            Harm::Cut { path, length } => damaged.get_mut(path)?.truncate(*length),
            Harm::Zero { path, from, to } => damaged.get_mut(path)?.get_mut(*from..*to)?.fill(0),
            Harm::Flip { path, bit } => *damaged.get_mut(path)?.get_mut(bit / 8)? ^= 1 << (bit % 8),
            Harm::SwapBlocks { path, one, other, length } => {
                let bytes = damaged.get_mut(path)?;
                let before = bytes.clone();
                bytes.get_mut(*one..one + length)?.copy_from_slice(before.get(*other..other + length)?);
                bytes.get_mut(*other..other + length)?.copy_from_slice(&before[*one..one + length]);
            }
            Harm::SwapFiles { one, other } => {
                damaged.insert(one.clone(), files.get(other)?.clone());
                damaged.insert(other.clone(), files.get(one)?.clone());
            }
            Harm::Older { path } => {
                damaged.insert(path.clone(), older.get(path)?.clone());
            }
            Harm::Missing { path } => {
                damaged.remove(path)?;
            }
            Harm::Empty { path } => damaged.get_mut(path)?.clear(),
            Harm::Doubled { path } => {
                let bytes = damaged.get_mut(path)?;
                bytes.extend_from_within(..);
            }
            Harm::CopiedTo { path, to, length } => {
                let mut bytes = files.get(path)?.clone();
                bytes.truncate(*length);
                damaged.insert(to.clone(), bytes);
            }
            Harm::Garbage { path, length } => {
                let garbage = (0..*length).map(|i| mix(i as u64) as u8);
                damaged.get_mut(path)?.extend(garbage);
            }
        }
        (damaged != *files).then_some(damaged)
    }
}

/// Everything that is done to a directory: at every boundary, to every bit, and some at random.
pub fn every(world: &World, seed: u64) -> Vec<Harm> {
    let mut all = Vec::new();
    // The files of the directory itself say nothing of what its logs hold: two worlds are enough for them.
    let mine = |path: &&String| path.contains('/') || world.name.starts_with("kept");
    for (path, bytes) in world.files.iter().filter(|(path, _)| mine(path)) {
        of_file(world, path, bytes, seed, &mut all);
    }
    let paths: Vec<&String> = world.files.keys().collect();
    for (i, one) in paths.iter().enumerate() {
        for other in &paths[i + 1..] {
            if suffix(one) == suffix(other) {
                all.push(Harm::SwapFiles { one: (*one).clone(), other: (*other).clone() });
            }
        }
    }
    all
}

fn of_file(world: &World, path: &str, bytes: &[u8], seed: u64, all: &mut Vec<Harm>) {
    let path = path.to_owned();
    let own = || path.clone();
    all.extend([Harm::Missing { path: own() }, Harm::Empty { path: own() }, Harm::Doubled { path: own() }]);
    if world.older.contains_key(&path) {
        all.push(Harm::Older { path: own() });
    }
    all.extend([1, 16, 61, 200, 5_000].map(|length| Harm::Garbage { path: own(), length }));
    all.extend((0..bytes.len() * 8).map(|bit| Harm::Flip { path: own(), bit }));
    let boundaries = boundaries(&path, bytes);
    for (i, from) in boundaries.iter().copied().enumerate() {
        all.push(Harm::Cut { path: own(), length: from });
        all.push(Harm::Zero { path: own(), from, to: bytes.len() });
        all.extend(boundaries[i + 1..].iter().take(2).map(|to| Harm::Zero { path: own(), from, to: *to }));
        let later = boundaries[i + 1..].iter().take(24);
        for (other, length) in later.zip([8, 34, 12, 61, 46, 130].into_iter().cycle()) {
            all.push(Harm::SwapBlocks { path: own(), one: from, other: *other, length });
        }
    }
    for i in 0..120u64 {
        let random = mix(seed ^ (i << 32) ^ bytes.len() as u64) as usize;
        let (from, length) = (random % bytes.len().max(1), 1 + random / 7 % 600);
        all.push(Harm::Cut { path: own(), length: from });
        all.push(Harm::Zero { path: own(), from, to: (from + length).min(bytes.len()) });
        let other = random / 131 % bytes.len().max(1);
        if from.abs_diff(other) >= length {
            all.push(Harm::SwapBlocks { path: own(), one: from, other, length });
        }
    }
    copies(&path, bytes, &boundaries, all);
}

/// Left-overs that do not belong there, and a segment under another's name.
fn copies(path: &str, bytes: &[u8], boundaries: &[usize], all: &mut Vec<Harm>) {
    let Some((directory, name)) = path.rsplit_once('/') else { return };
    let lengths = boundaries.iter().copied().step_by(4).chain([bytes.len(), 0]);
    for length in lengths {
        for ending in [".swap", ".cleaned", ".deleted", ".tmp"] {
            all.push(Harm::CopiedTo { path: path.to_owned(), to: format!("{path}{ending}"), length });
        }
    }
    let Some((base, suffix)) =
        name.split_once('.').and_then(|(base, suffix)| Some((base.parse::<i64>().ok()?, suffix)))
    else {
        return;
    };
    for other in [0, 1, base - 1, base + 1, base + 3, 9_999].into_iter().filter(|other| *other >= 0 && *other != base) {
        let to = format!("{directory}/{other:020}.{suffix}");
        all.push(Harm::CopiedTo { path: path.to_owned(), to, length: bytes.len() });
    }
}

fn suffix(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.find('.').map_or(name, |dot| &name[dot..])
}

/// Where one thing ends and another begins in a file.
fn boundaries(path: &str, bytes: &[u8]) -> Vec<usize> {
    let every = |step: usize| -> Vec<usize> { (0..=bytes.len()).step_by(step).collect() };
    let mut boundaries = match suffix(path) {
        name if name.starts_with(".log") => {
            let fields = [0, 8, 12, 16, 17, 21, 23, 27, 35, 43, 51, 53, 57, 61];
            let mut at = Vec::new();
            let mut position = 0;
            while let Ok(header) = raftsman_records::BatchHeader::parse(&bytes[position.min(bytes.len())..]) {
                at.extend(fields.map(|field| position + field));
                position += header.size_in_bytes();
            }
            at
        }
        name if name.starts_with(".index") => every(4),
        name if name.starts_with(".timeindex") => every(4),
        name if name.starts_with(".txnindex") => every(2),
        ".snapshot" => [0, 2, 6].into_iter().chain((10..bytes.len()).step_by(46)).collect(),
        _ => every(1),
    };
    boundaries.retain(|boundary| *boundary <= bytes.len());
    boundaries.push(bytes.len());
    boundaries.dedup();
    boundaries
}
